//! The one door to all stores: it sorts what is asked by store, asks each source once, and gives an answer for every item.
//! It decides nothing about what a value is for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::aws::{Aws, Secret};
use crate::command::{self, DEADLINE};
use crate::config::{Config, DefaultStore};
use crate::embedded::{Embedded, Listing, Rekeyed};
use crate::environment;
use crate::error::{Problem, StoreError};
use crate::fingerprint::fingerprint;
use crate::item::{Item, Source, Version};
use crate::json_key;
use crate::surroundings::Surroundings;
use crate::value::{MAX_VALUE_BYTES, SecretValue};

/// The stores of a project. Opening it contacts none of them and reads no key.
#[derive(Debug)]
pub struct Stores {
    default: DefaultStore,
    prefix: String,
    region: Option<String>,
    aws: Aws,
    embedded: Embedded,
}

/// An answer for every item.
type Answers<T> = BTreeMap<Item, Result<T, StoreError>>;

impl Stores {
    /// The stores as `secrets/stores.toml` of a project describes them.
    ///
    /// # Errors
    /// [`Problem::Malformed`] with everything that is wrong in that file, or [`Problem::Read`].
    pub fn open(project: &Path, surroundings: Surroundings) -> Result<Self, StoreError> {
        Ok(Self::with(project, Config::load(project)?, surroundings))
    }

    /// The stores as a configuration describes them.
    #[must_use]
    pub fn with(project: &Path, config: Config, surroundings: Surroundings) -> Self {
        Self {
            default: config.default,
            prefix: config.prefix,
            region: config.aws.region.clone(),
            aws: Aws::new(config.aws),
            embedded: Embedded::new(project.to_owned(), config.age, surroundings),
        }
    }

    /// Where a secret is that names no store.
    #[must_use]
    pub fn default_source(&self, name: &str) -> Source {
        let name = format!("{}{name}", self.prefix);
        match self.default {
            DefaultStore::Age => Source::Age { name },
            DefaultStore::Aws => Source::Aws {
                id: name,
                stage: None,
                region: None,
            },
        }
    }

    /// The region that `secrets/stores.toml` names for AWS.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// The version that each item has now. Of Secrets Manager only `DescribeSecret` is used, and of the age file only what is plain;
    /// a command and a variable have no version but that of their value, so these are read.
    pub async fn versions(&self, items: &BTreeSet<Item>) -> BTreeMap<Item, Result<Version, StoreError>> {
        let mut answers = Answers::new();
        let secrets: BTreeSet<_> = items.iter().filter_map(|item| aws_secret(&item.source)).collect();
        let found: BTreeMap<_, _> = self.aws.versions(secrets).await.into_iter().collect();
        for item in items {
            if let Some(found) = aws_secret(&item.source).and_then(|secret| found.get(&secret)) {
                answers.insert(
                    item.clone(),
                    found.clone().map_err(|problem| StoreError::new(item, problem)),
                );
            }
        }
        let names = items.iter().filter_map(|item| age_name(&item.source)).collect();
        let found: BTreeMap<_, _> = self.embedded.versions(&names).into_iter().collect();
        for item in items {
            if let Some(found) = age_name(&item.source).and_then(|name| found.get(name)) {
                answers.insert(
                    item.clone(),
                    found.clone().map_err(|problem| StoreError::new(item, problem)),
                );
            }
        }
        for (item, value) in self.read_now(items).await {
            let version = value.map(|value| fingerprint(&item, value.expose()));
            answers.insert(item, version);
        }
        complete(answers, items.iter())
    }

    /// The value of each item, of exactly the version that is wanted; [`Problem::Moved`] where there is another by now.
    pub async fn values(&self, wanted: &BTreeMap<Item, Version>) -> BTreeMap<Item, Result<SecretValue, StoreError>> {
        let mut answers = Answers::new();
        let secrets: BTreeSet<_> = wanted
            .iter()
            .filter_map(|(item, version)| Some((aws_secret(&item.source)?, version.clone())))
            .collect();
        let secrets: Vec<_> = secrets.into_iter().collect();
        let found = self.aws.values(&secrets).await;
        for ((secret, version), value) in secrets.iter().zip(found) {
            let of_this = wanted
                .iter()
                .filter(|(item, of)| aws_secret(&item.source).as_ref() == Some(secret) && *of == version);
            for (item, _) in of_this {
                answers.insert(item.clone(), part(item, value.as_ref()));
            }
        }
        let by_name: BTreeMap<_, _> = wanted
            .iter()
            .filter_map(|(item, version)| Some(((age_name(&item.source)?, version), item)))
            .collect();
        let pairs: Vec<_> = by_name.keys().copied().collect();
        let found: Vec<_> = if pairs.is_empty() {
            Vec::new()
        } else {
            self.embedded.values(&pairs)
        };
        for ((name, version), (_, value)) in pairs.iter().zip(found) {
            let of_this = wanted
                .iter()
                .filter(|(item, of)| age_name(&item.source) == Some(*name) && of == version);
            for (item, _) in of_this {
                answers.insert(item.clone(), part(item, value.as_ref()));
            }
        }
        let items = wanted.keys().cloned().collect();
        for (item, value) in self.read_now(&items).await {
            let value = value.and_then(|value| match (wanted.get(&item), fingerprint(&item, value.expose())) {
                (Some(planned), now) if *planned != now => {
                    let (planned, now) = (planned.clone(), Some(now));
                    Err(StoreError::new(&item, Problem::Moved { planned, now }))
                }
                _ => Ok(value),
            });
            answers.insert(item, value);
        }
        complete(answers, wanted.keys())
    }

    /// Stores a value as the newest version of an item.
    ///
    /// # Errors
    /// [`Problem::ReadOnly`] for what no one can write to, [`Problem::PartOnly`] for one key of a JSON secret, or what the store says.
    pub async fn put(&self, item: &Item, value: SecretValue) -> Result<Version, StoreError> {
        let put = async {
            if value.is_empty() {
                return Err(Problem::Empty);
            }
            if value.len() > MAX_VALUE_BYTES {
                return Err(Problem::TooLarge);
            }
            match &item.source {
                Source::Command { .. } => Err(Problem::ReadOnly { store: "a command" }),
                Source::Environment { .. } => Err(Problem::ReadOnly {
                    store: "the environment",
                }),
                _ if item.key.is_some() => Err(Problem::PartOnly),
                Source::Age { name } => self.embedded.put(name, &value),
                Source::Aws { id, stage, region } => self.aws.put(&secret(id, stage, region), &value).await,
            }
        };
        put.await.map_err(|problem| StoreError::new(item, problem))
    }

    /// What the age-encrypted file holds, as far as it can be told without a key.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn list(&self) -> Result<Listing, StoreError> {
        self.embedded
            .list()
            .map_err(|problem| StoreError::new("the age store", problem))
    }

    /// Encrypts the age-encrypted file to the recipients that `secrets/stores.toml` says.
    ///
    /// # Errors
    /// What keeps it from being read, decrypted or written. Then nothing is changed.
    pub fn rekey(&self) -> Result<Rekeyed, StoreError> {
        self.embedded
            .rekey()
            .map_err(|problem| StoreError::new("the age store", problem))
    }

    /// Takes a secret out of the age-encrypted file.
    ///
    /// # Errors
    /// What keeps it from being found or written.
    pub fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.embedded
            .remove(name)
            .map_err(|problem| StoreError::new(age_item(name), problem))
    }

    /// The value of a file that age has encrypted to one of our keys, to take it over.
    ///
    /// # Errors
    /// What keeps it from being decrypted.
    pub fn open_age_file(&self, file: &[u8]) -> Result<SecretValue, StoreError> {
        self.embedded
            .open_foreign(file)
            .map_err(|problem| StoreError::new("the age file", problem))
    }

    /// Our own public key, for a store that begins.
    ///
    /// # Errors
    /// What keeps it from being found.
    pub fn own_recipient(&self) -> Result<String, StoreError> {
        self.embedded
            .own_recipient()
            .map_err(|problem| StoreError::new("your key", problem))
    }

    /// The values of commands and variables, each read once however many of its keys are asked for.
    async fn read_now(&self, items: &BTreeSet<Item>) -> Answers<SecretValue> {
        let mut sources: BTreeMap<&Source, Vec<&Item>> = BTreeMap::new();
        for item in items {
            if matches!(item.source, Source::Command { .. } | Source::Environment { .. }) {
                sources.entry(&item.source).or_default().push(item);
            }
        }
        let mut answers = Answers::new();
        for (source, items) in sources {
            let value = match source {
                Source::Command { argv } => command::value(argv, DEADLINE).await,
                Source::Environment { variable } => environment::value(variable),
                Source::Aws { .. } | Source::Age { .. } => continue,
            };
            for item in items {
                answers.insert(item.clone(), part(item, value.as_ref()));
            }
        }
        answers
    }
}

/// An answer for every item, also where a store has said nothing.
fn complete<'a, T>(mut answers: Answers<T>, items: impl Iterator<Item = &'a Item>) -> Answers<T> {
    for item in items {
        let silent = || Err(StoreError::new(item, Problem::NoAnswer));
        answers.entry(item.clone()).or_insert_with(silent);
    }
    answers
}

fn aws_secret(source: &Source) -> Option<Secret> {
    match source {
        Source::Aws { id, stage, region } => Some(secret(id, stage, region)),
        Source::Age { .. } | Source::Command { .. } | Source::Environment { .. } => None,
    }
}

fn secret(id: &str, stage: &Option<String>, region: &Option<String>) -> Secret {
    Secret {
        id: id.to_owned(),
        stage: stage.clone(),
        region: region.clone(),
    }
}

fn age_name(source: &Source) -> Option<&str> {
    match source {
        Source::Age { name } => Some(name),
        Source::Aws { .. } | Source::Command { .. } | Source::Environment { .. } => None,
    }
}

fn age_item(name: &str) -> Item {
    Item {
        source: Source::Age { name: name.to_owned() },
        key: None,
    }
}

/// What an item means of its source's value.
fn part(item: &Item, value: Result<&SecretValue, &Problem>) -> Result<SecretValue, StoreError> {
    let part = || {
        let value = value.map_err(Problem::clone)?;
        let part = match &item.key {
            Some(key) => json_key::value_of(key, value)?,
            None => SecretValue::new(value.expose().to_vec()),
        };
        if part.is_empty() {
            return Err(Problem::Empty);
        }
        if part.len() > MAX_VALUE_BYTES {
            return Err(Problem::TooLarge);
        }
        Ok(part)
    };
    part().map_err(|problem| StoreError::new(item, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(script: &str, key: Option<&str>) -> Item {
        Item {
            source: Source::Command {
                argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
            },
            key: key.map(str::to_owned),
        }
    }

    fn variable(name: &str) -> Item {
        Item {
            source: Source::Environment {
                variable: name.to_owned(),
            },
            key: None,
        }
    }

    #[tokio::test]
    async fn what_is_read_is_of_the_version_that_was_planned() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("value");
        let script = format!("cat {}; echo >> {}.runs", file.display(), file.display());
        let stores = Stores::with(directory.path(), Config::default(), Surroundings::default());
        let (whole, user, missing) = (
            command(&script, None),
            command(&script, Some("user")),
            command(&script, Some("usr")),
        );
        std::fs::write(&file, r#"{"user": "alice", "password": "one"}"#).unwrap();
        let items = [
            whole.clone(),
            user.clone(),
            missing.clone(),
            variable("CARGO_PKG_NAME"),
            variable("NOT_SET_ANYWHERE"),
        ];
        let versions = stores.versions(&items.clone().into()).await;
        assert_eq!(versions.len(), items.len());
        assert_eq!(
            std::fs::read(format!("{}.runs", file.display())).unwrap().len(),
            1,
            "one source is read once"
        );
        assert!(matches!(
            versions[&missing].as_ref().unwrap_err().problem,
            Problem::NoKey { .. }
        ));
        assert!(matches!(
            versions[&variable("NOT_SET_ANYWHERE")].as_ref().unwrap_err().problem,
            Problem::Unset
        ));

        let planned: BTreeMap<_, _> = versions
            .into_iter()
            .filter_map(|(item, version)| Some((item, version.ok()?)))
            .collect();
        let values = stores.values(&planned).await;
        assert_eq!(values[&user].as_ref().unwrap().expose(), b"alice");
        assert_eq!(
            values[&variable("CARGO_PKG_NAME")].as_ref().unwrap().expose(),
            b"provision-secrets"
        );

        // Another password: the whole document moved, its user did not.
        std::fs::write(&file, r#"{"user": "alice", "password": "two"}"#).unwrap();
        let values = stores.values(&planned).await;
        assert!(matches!(
            values[&whole].as_ref().unwrap_err().problem,
            Problem::Moved { now: Some(_), .. }
        ));
        assert_eq!(values[&user].as_ref().unwrap().expose(), b"alice");
    }

    #[tokio::test]
    async fn what_cannot_be_written_says_so() {
        let stores = Stores::with(Path::new("."), Config::default(), Surroundings::default());
        let value = || SecretValue::new(b"x".to_vec());
        let put = |item: Item, value| {
            let stores = &stores;
            async move { stores.put(&item, value).await.unwrap_err().problem }
        };
        assert!(matches!(
            put(command("", None), value()).await,
            Problem::ReadOnly { .. }
        ));
        assert!(matches!(put(variable("HOME"), value()).await, Problem::ReadOnly { .. }));
        let part = Item {
            key: Some("k".to_owned()),
            ..age_item("a")
        };
        assert!(matches!(put(part, value()).await, Problem::PartOnly));
        assert!(matches!(
            put(age_item("a"), SecretValue::new(Vec::new())).await,
            Problem::Empty
        ));
        let large = SecretValue::new(vec![0; MAX_VALUE_BYTES + 1]);
        assert!(matches!(put(age_item("a"), large).await, Problem::TooLarge));
    }
}
