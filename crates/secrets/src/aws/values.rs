//! The value of each secret, of exactly the version that is wanted: up to twenty to a call. A failure of one is its own alone.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_secretsmanager::error::ProvideErrorMetadata as _;
use aws_sdk_secretsmanager::primitives::Blob;

use super::error::{of_code, problem};
use super::{Aws, CURRENT, Region, Secret};
use crate::error::Problem;
use crate::item::Version;
use crate::value::SecretValue;

/// How many secrets one call may ask for.
const BATCH: usize = 20;

/// The right that a batch needs, beside the right to each value in it.
const BATCH_ACTION: &str = "secretsmanager:BatchGetSecretValue";
/// The right to one value.
const ACTION: &str = "secretsmanager:GetSecretValue";

/// A secret and the version of it that is wanted.
type Wanted<'a> = (&'a Secret, &'a Version);

/// A value as a batch brings it: what is current.
struct Current {
    version: Version,
    value: Option<SecretValue>,
}

impl Aws {
    /// The value of each secret.
    pub(crate) async fn values(&self, wanted: &[(Secret, Version)]) -> Vec<Result<SecretValue, Problem>> {
        let mut regions: BTreeMap<Option<String>, (Region, BTreeSet<&str>)> = BTreeMap::new();
        let mut refused: BTreeMap<&Secret, Problem> = BTreeMap::new();
        for (secret, _) in wanted {
            match self.region(secret).await {
                Ok(region) => {
                    let name = Some(region.name.clone());
                    let (_, ids) = regions.entry(name).or_insert_with(|| (region, BTreeSet::new()));
                    // A batch brings what is current, and nothing else.
                    if secret.stage() == CURRENT {
                        ids.insert(&secret.id);
                    }
                }
                Err(problem) => {
                    refused.insert(secret, problem);
                }
            }
        }
        let mut current = BTreeMap::new();
        for (name, (region, ids)) in &regions {
            let ids: Vec<_> = ids.iter().copied().collect();
            for batch in ids.chunks(BATCH) {
                for (id, found) in region.batch(batch).await {
                    current.insert((name.clone(), id), found);
                }
            }
        }
        let mut values = Vec::with_capacity(wanted.len());
        for (secret, version) in wanted {
            let value = match (refused.get(secret), self.region(secret).await) {
                (Some(problem), _) => Err(problem.clone()),
                (None, Err(problem)) => Err(problem),
                (None, Ok(region)) => {
                    // What a batch brought for another item says nothing of another label.
                    let labelled = secret.stage() == CURRENT;
                    let found = current
                        .get(&(Some(region.name.clone()), secret.id.clone()))
                        .filter(|_| labelled);
                    region.value((secret, version), found).await
                }
            };
            values.push(value);
        }
        values
    }
}

impl Region {
    /// What is current of up to twenty secrets; every one of them has an answer.
    async fn batch(&self, ids: &[&str]) -> Vec<(String, Result<Current, Problem>)> {
        let mut found: BTreeMap<&str, Result<Current, Problem>> = BTreeMap::new();
        let mut token = None;
        loop {
            let call = self.client.batch_get_secret_value().set_next_token(token.take());
            let call = ids.iter().fold(call, |call, id| call.secret_id_list(*id));
            match call.send().await {
                Ok(answer) => {
                    for error in answer.errors() {
                        let Some(id) = ids.iter().find(|id| Some(**id) == error.secret_id()) else {
                            continue;
                        };
                        let (code, message) = (error.error_code().unwrap_or(""), error.message().unwrap_or(""));
                        found.insert(id, Err(of_code(code, message, ACTION, self)));
                    }
                    token = answer.next_token().map(str::to_owned);
                    for entry in answer.secret_values.unwrap_or_default() {
                        let Some(id) = ids
                            .iter()
                            .find(|id| is(id, entry.name.as_deref(), entry.arn.as_deref()))
                        else {
                            continue;
                        };
                        let current = Current {
                            version: Version::new(entry.version_id.unwrap_or_default()),
                            value: taken(entry.secret_string, entry.secret_binary),
                        };
                        found.insert(id, Ok(current));
                    }
                }
                Err(error) => {
                    let problem = problem(&error, BATCH_ACTION, self);
                    for id in ids {
                        found.entry(id).or_insert_with(|| Err(problem.clone()));
                    }
                }
            }
            if token.is_none() {
                break;
            }
        }
        let each = ids.iter().map(|id| {
            let answer = found.remove(id).unwrap_or(Err(Problem::NoAnswer));
            ((*id).to_owned(), answer)
        });
        each.collect()
    }

    /// The value that is wanted: out of a batch where it is current, or asked for by its version.
    async fn value(
        &self,
        wanted: Wanted<'_>,
        current: Option<&Result<Current, Problem>>,
    ) -> Result<SecretValue, Problem> {
        let (_, version) = wanted;
        let mut now = None;
        match current {
            Some(Err(problem)) => return Err(problem.clone()),
            Some(Ok(current)) if current.version == *version => {
                let value = current.value.as_ref().ok_or(Problem::Empty)?;
                return Ok(SecretValue::new(value.expose().to_vec()));
            }
            Some(Ok(current)) => now = Some(current.version.clone()),
            None => {}
        }
        self.of_version(wanted, now).await
    }

    /// The value of a version, if it still has the label. After a version was put, an answer may for a moment tell of the one before:
    /// so it is asked for itself, and what a batch said is only told where that was true.
    async fn of_version(&self, (secret, version): Wanted<'_>, now: Option<Version>) -> Result<SecretValue, Problem> {
        let moved = |now| Problem::Moved {
            planned: version.clone(),
            now,
        };
        let call = self
            .client
            .get_secret_value()
            .secret_id(&secret.id)
            .version_id(version.as_str());
        let answer = match call.send().await {
            Ok(answer) => answer,
            // The secret is there, and that version of it is not.
            Err(error) if error.message().is_some_and(|text| text.contains("VersionId")) => return Err(moved(now)),
            Err(error) => return Err(problem(&error, ACTION, self)),
        };
        if !answer.version_stages().iter().any(|label| label == secret.stage()) {
            return Err(moved(now));
        }
        taken(answer.secret_string, answer.secret_binary).ok_or(Problem::Empty)
    }
}

/// Whether an answer is about what was asked for: a name, an ARN, or an ARN without the six characters that AWS adds.
fn is(id: &str, name: Option<&str>, arn: Option<&str>) -> bool {
    let of_arn = |arn: &str| {
        arn == id || id.starts_with("arn:") && arn.strip_prefix(id).is_some_and(|rest| rest.starts_with('-'))
    };
    name == Some(id) || arn.is_some_and(of_arn)
}

/// The bytes themselves, moved and not copied.
fn taken(text: Option<String>, binary: Option<Blob>) -> Option<SecretValue> {
    let bytes = text.map(String::into_bytes).or_else(|| binary.map(Blob::into_inner));
    bytes.map(SecretValue::new)
}
