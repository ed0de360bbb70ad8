//! A test in a process of its own, with an environment of its own: the AWS SDK reads credentials, profiles and endpoints from there, and a
//! process cannot safely change its own environment.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
use provision_secrets::{AwsConfig, Config, Item, Source, Stores, Surroundings, Version};

use crate::stand_in::{Control, StandIn};

const CHILD: &str = "STORES_TEST_CHILD";

/// The region of everything that does not say another one.
pub(crate) const REGION: &str = "eu-central-1";

/// What a test is given.
pub(crate) struct Scene {
    pub(crate) aws: Control,
}

/// Runs a test's body in a process of its own; `test` is its path. A variable's `{}` becomes the port of the stand-in.
pub(crate) fn scene<F: Future<Output = ()>>(test: &str, variables: &[(&str, &str)], body: impl FnOnce(Scene) -> F) {
    if let Ok(port) = std::env::var(CHILD) {
        let port = port.parse().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        return runtime.block_on(body(Scene {
            aws: Control {
                address: "127.0.0.1".to_owned(),
                port,
            },
        }));
    }
    let stand_in = StandIn::start();
    let port = stand_in.control.port.to_string();
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", test, "--nocapture"])
        .env_clear()
        .env(CHILD, &port)
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home.path())
        .env("AWS_EC2_METADATA_DISABLED", "true");
    for (name, value) in variables {
        child.env(name, value.replace("{}", &port));
    }
    let output = child.output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// The variables of somebody with credentials.
pub(crate) const KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "KNOWN"),
    ("AWS_SECRET_ACCESS_KEY", "canary-credential"),
];

impl Scene {
    /// The stores of a project that asks the stand-in.
    pub(crate) fn stores(&self) -> Stores {
        self.stores_with(|_| ())
    }

    pub(crate) fn stores_with(&self, change: impl FnOnce(&mut AwsConfig)) -> Stores {
        let mut config = Config {
            aws: AwsConfig {
                region: Some(REGION.to_owned()),
                endpoint: Some(self.aws.endpoint()),
                ..AwsConfig::default()
            },
            ..Config::default()
        };
        change(&mut config.aws);
        Stores::with(Path::new("/nonexistent"), config, Surroundings::default())
    }

    /// A client that is not under test, to make what the tests find.
    pub(crate) fn admin(&self) -> Client {
        let config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .credentials_provider(Credentials::new("ADMIN", "x", None, None, "test"))
            .region(Region::new(REGION))
            .endpoint_url(self.aws.endpoint())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        Client::from_conf(config)
    }

    /// Makes a secret and gives its version.
    pub(crate) async fn create(&self, name: &str, value: &str) -> Version {
        let made = self
            .admin()
            .create_secret()
            .name(name)
            .secret_string(value)
            .send()
            .await
            .unwrap();
        Version::new(made.version_id().unwrap())
    }
}

pub(crate) fn aws(id: &str) -> Item {
    Item {
        source: Source::Aws {
            id: id.to_owned(),
            stage: None,
            region: None,
        },
        key: None,
    }
}

pub(crate) fn staged(id: &str, label: &str) -> Item {
    Item {
        source: Source::Aws {
            id: id.to_owned(),
            stage: Some(label.to_owned()),
            region: None,
        },
        key: None,
    }
}

pub(crate) fn key(item: &Item, key: &str) -> Item {
    Item {
        key: Some(key.to_owned()),
        ..item.clone()
    }
}

/// The versions of items, all of which have one.
pub(crate) async fn planned(stores: &Stores, items: impl IntoIterator<Item = Item>) -> BTreeMap<Item, Version> {
    let versions = stores.versions(&items.into_iter().collect()).await;
    versions
        .into_iter()
        .map(|(item, version)| (item, version.unwrap()))
        .collect()
}
