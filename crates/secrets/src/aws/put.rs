//! A new version of a secret that is there. It makes no secret: its key, tags and policy are not ours to choose.

use aws_sdk_secretsmanager::primitives::Blob;

use super::error::problem;
use super::{Aws, Secret};
use crate::error::Problem;
use crate::item::Version;
use crate::value::SecretValue;

/// The right that this needs.
const ACTION: &str = "secretsmanager:PutSecretValue";

impl Aws {
    /// Puts a value as the version with the secret's label; text as text, and what is none as bytes.
    pub(crate) async fn put(&self, secret: &Secret, value: &SecretValue) -> Result<Version, Problem> {
        let region = self.region(secret).await?;
        let call = region
            .client
            .put_secret_value()
            .secret_id(&secret.id)
            .set_version_stages(
                // Without labels it is the current one, and the one before becomes AWSPREVIOUS.
                secret.stage.clone().map(|stage| vec![stage]),
            );
        let call = match std::str::from_utf8(value.expose()) {
            Ok(text) => call.secret_string(text),
            Err(_) => call.secret_binary(Blob::new(value.expose())),
        };
        let put = call.send().await.map_err(|error| problem(&error, ACTION, &region))?;
        put.version_id().map(Version::new).ok_or(Problem::NoAnswer)
    }
}
