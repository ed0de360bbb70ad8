//! A client for one region: credentials, endpoint, deadlines and patience. It makes no call of its own but those that credentials need.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{Builder, SharedCredentialsProvider, SharedHttpClient};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder as HttpBuilder, Connector, proxy::ProxyConfig};

use super::Region;
use crate::config::AwsConfig;
use crate::error::Problem;

/// How long a call may take, with all its attempts. AWS answers in a tenth of a second; what takes longer is waiting for its turn.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(10);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(4);
/// How often a call is tried where AWS asks to slow down or fails. The SDK's own three give up within a second, while a burst of other
/// clients takes several.
pub(super) const ATTEMPTS: u32 = 6;
/// The mean wait before the second attempt; it doubles from one to the next.
const FIRST_WAIT: Duration = Duration::from_millis(300);
/// The longest wait before an attempt.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// A client for a region, or for the one that the configuration, the environment or the profile says.
pub(super) async fn connect(config: &AwsConfig, named: Option<&str>) -> Result<Region, Problem> {
    let sdk = loaded(config, named).await;
    let name = sdk.region().map(ToString::to_string).ok_or(Problem::NoRegion)?;
    let mut builder = Builder::from(&sdk);
    if let Some(endpoint) = &config.endpoint {
        builder = builder.endpoint_url(endpoint);
    }
    if let Some(role) = &config.role {
        // The name is what CloudTrail shows beside the role.
        let assumed = AssumeRoleProvider::builder(role)
            .session_name("provision")
            .configure(&sdk)
            .build()
            .await;
        builder = builder.credentials_provider(SharedCredentialsProvider::new(assumed));
    }
    Ok(Region {
        name,
        profile: config.profile.clone(),
        client: Client::from_conf(builder.build()),
    })
}

async fn loaded(config: &AwsConfig, named: Option<&str>) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(DEADLINE)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(FIRST_WAIT)
        .with_max_backoff(LONGEST_WAIT);
    // Pinned: "latest" would change retries and endpoints with an update of a dependency.
    let mut loader: ConfigLoader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http())
        .timeout_config(timeouts)
        .retry_config(retries);
    if let Some(profile) = &config.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = named.or(config.region.as_deref()) {
        loader = loader.region(aws_config::Region::new(region.to_owned()));
    }
    loader.load().await
}

/// HTTPS on the cryptography that SSH uses as well, through the proxy that `HTTPS_PROXY` and `NO_PROXY` say.
fn http() -> SharedHttpClient {
    HttpBuilder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder().proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.tls_provider(Provider::Rustls(CryptoMode::Ring)).build()
    })
}
