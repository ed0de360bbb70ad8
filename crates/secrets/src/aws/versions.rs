//! Which version each secret has: one `DescribeSecret` for each, and no right to its value.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::error::problem;
use super::{AT_ONCE, Aws, Region, Secret};
use crate::error::Problem;
use crate::item::Version;

/// The right that this needs.
const ACTION: &str = "secretsmanager:DescribeSecret";

impl Aws {
    /// The version of each secret that has its label.
    pub(crate) async fn versions(
        &self,
        secrets: impl IntoIterator<Item = Secret>,
    ) -> Vec<(Secret, Result<Version, Problem>)> {
        let gate = Arc::new(Semaphore::new(AT_ONCE));
        let mut calls = JoinSet::new();
        let mut found = Vec::new();
        for secret in secrets {
            match self.region(&secret).await {
                Ok(region) => {
                    let gate = gate.clone();
                    calls.spawn(async move {
                        // It is never closed; were it, the call would only not have to wait.
                        let _turn = gate.acquire().await;
                        let version = describe(&region, &secret).await;
                        (secret, version)
                    });
                }
                Err(problem) => found.push((secret, Err(problem))),
            }
        }
        // A call that panics has no answer, which the caller sees.
        found.extend(calls.join_all().await);
        found
    }
}

async fn describe(region: &Region, secret: &Secret) -> Result<Version, Problem> {
    let described = region.client.describe_secret().secret_id(&secret.id).send().await;
    let described = described.map_err(|error| problem(&error, ACTION, region))?;
    if described.deleted_date().is_some() {
        return Err(Problem::Deleted);
    }
    let stage = secret.stage();
    let versions = described.version_ids_to_stages().into_iter().flatten();
    let mut with_stage = versions.filter(|(_, stages)| stages.iter().any(|label| label == stage));
    let version = with_stage.next().map(|(id, _)| Version::new(id));
    version.ok_or_else(|| Problem::NoStage {
        stage: stage.to_owned(),
    })
}
