//! AWS Secrets Manager through its own SDK: which region and account are asked, and how often. Reading values needs
//! `BatchGetSecretValue` and `GetSecretValue`, learning versions `DescribeSecret` alone. It knows nothing of JSON keys.

mod client;
mod error;
mod put;
mod values;
mod versions;

use std::collections::BTreeMap;

use aws_sdk_secretsmanager::Client;
use tokio::sync::Mutex;

use crate::config::{AwsConfig, is_region};
use crate::error::Problem;

/// The label of the version that counts where nothing else is said.
const CURRENT: &str = "AWSCURRENT";

/// How many calls are under way at once: enough that a plan of a hundred secrets takes a second, too few to be asked to slow down.
const AT_ONCE: usize = 8;

/// Secrets Manager, in as many regions as secrets are in.
#[derive(Debug)]
pub(crate) struct Aws {
    config: AwsConfig,
    /// By region; `None` is the one that the configuration or the environment says.
    regions: Mutex<BTreeMap<Option<String>, Region>>,
}

/// A client, and the region that it asks.
#[derive(Clone, Debug)]
struct Region {
    name: String,
    /// The profile that the configuration names, to tell of.
    profile: Option<String>,
    client: Client,
}

/// A secret as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Secret {
    /// Its name or ARN.
    pub(crate) id: String,
    /// The label whose version counts.
    pub(crate) stage: Option<String>,
    /// Its region.
    pub(crate) region: Option<String>,
}

impl Secret {
    fn stage(&self) -> &str {
        self.stage.as_deref().unwrap_or(CURRENT)
    }

    /// The region that the ARN or the configuration of the secret names.
    fn named_region(&self) -> Result<Option<String>, Problem> {
        let of_arn = match self.id.split(':').collect::<Vec<_>>().as_slice() {
            ["arn", _, "secretsmanager", region, ..] if is_region(region) => Some((*region).to_owned()),
            _ => None,
        };
        match (of_arn, &self.region) {
            (Some(of_arn), Some(said)) if of_arn != *said => Err(Problem::WrongRegion {
                of_arn,
                said: said.clone(),
            }),
            (of_arn, said) => Ok(of_arn.or_else(|| said.clone())),
        }
    }
}

impl Aws {
    pub(crate) fn new(config: AwsConfig) -> Self {
        Self {
            config,
            regions: Mutex::default(),
        }
    }

    /// The region of a secret, connected to once.
    async fn region(&self, secret: &Secret) -> Result<Region, Problem> {
        let named = secret.named_region()?;
        let mut regions = self.regions.lock().await;
        if let Some(region) = regions.get(&named) {
            return Ok(region.clone());
        }
        let region = client::connect(&self.config, named.as_deref()).await?;
        regions.insert(named, region.clone());
        Ok(region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_its_region() {
        let secret = |id: &str, region: Option<&str>| Secret {
            id: id.to_owned(),
            stage: None,
            region: region.map(str::to_owned),
        };
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-Ab12cd";
        assert_eq!(secret(arn, None).named_region().unwrap().as_deref(), Some("eu-west-1"));
        assert_eq!(
            secret(arn, Some("eu-west-1")).named_region().unwrap().as_deref(),
            Some("eu-west-1")
        );
        assert!(matches!(
            secret(arn, Some("us-east-1")).named_region(),
            Err(Problem::WrongRegion { .. })
        ));
        assert_eq!(
            secret("a", Some("us-east-1")).named_region().unwrap().as_deref(),
            Some("us-east-1")
        );
        assert_eq!(secret("a", None).named_region().unwrap(), None);
    }
}
