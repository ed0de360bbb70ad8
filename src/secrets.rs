//! Secrets on the controller: what the configuration says of them to what stores say, and values to what hosts get. It keeps
//! none, and hands them to nobody but [`crate::drive`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use provision_core::config::ProjectStores;
use provision_core::model::{
    Fact, HostName, Op, Pins, Plan, SecretItem, SecretSource, SecretSpec, SecretValueRef, SecretVersion,
};
use provision_core::redact::words;
use provision_core::wire::{NoContent, SecretBytes, secret_content};
use provision_secrets::{
    Config, DefaultStore, Item, Problem, SecretValue, Source, StoreError, Stores, Surroundings, Version,
};

/// The contents of a host's secrets, by name.
pub type Contents = BTreeMap<String, SecretBytes>;

/// Why the contents of secrets cannot be had. No host was touched.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The project's stores cannot be opened.
    #[error("cannot open the project's stores")]
    Open(#[source] StoreError),
    /// Stores refuse values.
    #[error("{}", refused(.0))]
    Refused(Vec<(String, StoreError)>),
    /// A value cannot be written the way that a text wants it.
    #[error("`{secret}` is to be written as JSON in `{text}`, and is not UTF-8")]
    NotText {
        /// The secret.
        secret: String,
        /// The secret whose text it is in.
        text: String,
    },
}

impl SecretsError {
    /// Whether planning again is all that it takes.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        match self {
            Self::Refused(all) => all
                .iter()
                .any(|(_, error)| matches!(error.problem, Problem::Moved { .. })),
            Self::Open(_) | Self::NotText { .. } => false,
        }
    }

    /// What to do about it, each a sentence.
    #[must_use]
    pub fn fixes(&self) -> Vec<String> {
        match self {
            Self::Open(error) => vec![error.fix()],
            Self::Refused(all) => {
                let fixes: BTreeSet<_> = all.iter().map(|(_, error)| error.fix()).collect();
                fixes.into_iter().collect()
            }
            Self::NotText { .. } => vec!["write it in base64: secret(name=\"…\", as=\"base64\")".to_owned()],
        }
    }
}

fn refused(all: &[(String, StoreError)]) -> String {
    let lines: Vec<_> = all.iter().map(|(name, error)| format!("`{name}`: {error}")).collect();
    format!("not all secrets can be had: {}", lines.join("; "))
}

/// The stores of the project at `root`.
///
/// # Errors
/// [`SecretsError::Open`].
pub fn open(root: &Path) -> Result<Stores, SecretsError> {
    Stores::open(root, Surroundings::detect()).map_err(SecretsError::Open)
}

/// What the project's `secrets/stores.toml` says of where in AWS its secrets are.
///
/// # Errors
/// [`SecretsError::Open`]: it cannot be read.
pub fn project_stores(root: &Path) -> Result<ProjectStores, SecretsError> {
    let config = Config::load(root).map_err(SecretsError::Open)?;
    let is_aws = config.default == DefaultStore::Aws;
    Ok(ProjectStores {
        aws_prefix: is_aws.then_some(config.prefix),
        region: config.aws.region,
    })
}

/// Where secrets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// The project's stores.
    Stores,
    /// Nowhere: random texts take their place, so that a host can be rehearsed by whoever may not have its secrets.
    MadeUp,
}

/// The version of what is made up.
const MADE_UP: &str = "made-up";

/// The version that there is of each item. Where there is none to ask for, no store is opened.
///
/// # Errors
/// [`SecretsError::Open`]; what a store refuses is a fact that is unknown.
pub async fn pins(root: &Path, items: &BTreeSet<SecretItem>, supply: Supply) -> Result<Pins, SecretsError> {
    if items.is_empty() {
        return Ok(Pins::new());
    }
    if supply == Supply::MadeUp {
        let version = Fact::Known(Some(SecretVersion(MADE_UP.to_owned())));
        return Ok(items.iter().map(|item| (item.clone(), version.clone())).collect());
    }
    let answers = answers(root, items).await?;
    let pin = |answer| match answer {
        Ok(version) => Fact::Known(Some(version)),
        Err(StoreError {
            problem: Problem::NotFound { .. },
            ..
        }) => Fact::Known(None),
        Err(error) => Fact::unknown(format!("{error}; {}", error.fix())),
    };
    Ok(answers.into_iter().map(|(item, answer)| (item, pin(answer))).collect())
}

/// What stores say of each item: its version, or why there is none. Of stores that number versions none is asked for a value.
///
/// # Errors
/// [`SecretsError::Open`].
pub async fn answers(
    root: &Path,
    items: &BTreeSet<SecretItem>,
) -> Result<BTreeMap<SecretItem, Result<SecretVersion, StoreError>>, SecretsError> {
    if items.is_empty() {
        return Ok(BTreeMap::new());
    }
    let stores = open(root)?;
    let places: BTreeMap<&SecretItem, Item> = items.iter().map(|item| (item, place(&stores, item))).collect();
    let answers = stores.versions(&places.values().cloned().collect()).await;
    let answer = |place: &Item| match answers.get(place) {
        Some(Ok(version)) => Ok(SecretVersion(version.as_str().to_owned())),
        Some(Err(error)) => Err(error.clone()),
        None => Err(StoreError::new(place, Problem::NoAnswer)),
    };
    Ok(places
        .iter()
        .map(|(item, place)| ((*item).clone(), answer(place)))
        .collect())
}

/// Where a store has an item.
#[must_use]
pub fn place(stores: &Stores, item: &SecretItem) -> Item {
    let source = match item.source.clone() {
        SecretSource::Project { name } => stores.default_source(&name),
        SecretSource::Age { name } => Source::Age { name },
        SecretSource::Aws { id, stage, region } => Source::Aws { id, stage, region },
        SecretSource::Command { argv } => Source::Command { argv },
        SecretSource::Environment { variable } => Source::Environment { variable },
    };
    Item {
        source,
        key: item.key.clone(),
    }
}

/// Whether a plan delivers any secret.
#[must_use]
pub fn delivers(plan: &Plan) -> bool {
    delivered(plan).next().is_some()
}

/// The contents that plans deliver, of exactly the versions that they say: all of them, or an error that names each that
/// cannot be had.
///
/// # Errors
/// [`SecretsError`].
pub async fn contents(
    root: &Path,
    plans: &[&Plan],
    supply: Supply,
) -> Result<BTreeMap<HostName, Contents>, SecretsError> {
    if !plans.iter().any(|plan| delivers(plan)) {
        return Ok(BTreeMap::new());
    }
    crate::unseen::keep_unswapped();
    let stores = open(root)?;
    let wanted: BTreeSet<_> = plans
        .iter()
        .flat_map(|plan| delivered(plan))
        .flat_map(|spec| {
            spec.values()
                .into_iter()
                .filter_map(|value| Some((place(&stores, &value.item), version(value)?)))
        })
        .collect();
    let values = match supply {
        Supply::Stores => fetched(&stores, wanted).await,
        Supply::MadeUp => wanted.into_iter().map(|wanted| (wanted, Ok(made_up()))).collect(),
    };
    let mut problems = BTreeMap::new();
    let mut contents: BTreeMap<HostName, Contents> = BTreeMap::new();
    for plan in plans {
        for spec in delivered(plan) {
            match content(spec, &stores, &values) {
                Ok(content) => {
                    let of_host = contents.entry(plan.host.clone()).or_default();
                    of_host.insert(spec.name.clone(), content);
                }
                Err(Failed::Store(error)) => _ = problems.insert(spec.name.clone(), error),
                Err(Failed::Text(error)) => return Err(error),
            }
        }
    }
    if problems.is_empty() {
        Ok(contents)
    } else {
        Err(SecretsError::Refused(problems.into_iter().collect()))
    }
}

/// A text that nobody knows, of the length and letters of many tokens.
fn made_up() -> SecretValue {
    let mut bytes = [0; 24];
    // Where the system has no randomness left to give, what is there is as good: it is no secret of anybody's.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    SecretValue::new(
        bytes
            .iter()
            .flat_map(|byte| format!("{byte:02x}").into_bytes())
            .collect(),
    )
}

/// All contents with their names, for masking: whole, and the longer words of what is a text with secrets in it.
pub fn values(contents: &BTreeMap<HostName, Contents>) -> impl Iterator<Item = (&str, &[u8])> {
    let all = contents.values().flatten();
    all.flat_map(|(name, content)| {
        let whole = std::iter::once(content.expose());
        whole.chain(words(content.expose())).map(|value| (name.as_str(), value))
    })
}

type Values = BTreeMap<(Item, Version), Result<SecretValue, StoreError>>;

/// Asks for all values, at once where each item is wanted in one version, as it is unless plans of different days are applied.
async fn fetched(stores: &Stores, mut wanted: BTreeSet<(Item, Version)>) -> Values {
    let mut values = Values::new();
    while !wanted.is_empty() {
        let round: BTreeMap<Item, Version> = wanted.iter().cloned().collect();
        wanted.retain(|(item, version)| round.get(item) != Some(version));
        let mut answers = stores.values(&round).await;
        for (item, version) in round {
            let answer = answers
                .remove(&item)
                .unwrap_or_else(|| Err(StoreError::new(&item, Problem::NoAnswer)));
            values.insert((item, version), answer);
        }
    }
    values
}

fn delivered(plan: &Plan) -> impl Iterator<Item = &SecretSpec> {
    let steps = plan.steps.iter().filter_map(|step| match &step.op {
        Op::Secrets { deliver, .. } => Some(deliver.values()),
        _ => None,
    });
    steps.flatten()
}

fn version(value: &SecretValueRef) -> Option<Version> {
    value.version.as_ref().map(|version| Version::new(version.0.as_str()))
}

enum Failed {
    Store(StoreError),
    Text(SecretsError),
}

fn content(spec: &SecretSpec, stores: &Stores, values: &Values) -> Result<SecretBytes, Failed> {
    let get = |value: &SecretValueRef| {
        let item = place(stores, &value.item);
        let missing = || Failed::Store(StoreError::new(&item, Problem::NoAnswer));
        let version = version(value).ok_or_else(missing)?;
        match values.get(&(item.clone(), version)) {
            Some(Ok(found)) => Ok(found.expose()),
            Some(Err(error)) => Err(Failed::Store(error.clone())),
            None => Err(missing()),
        }
    };
    secret_content(&spec.content, get).map_err(|error| match error {
        NoContent::Value(failed) => failed,
        NoContent::NotText { secret } => Failed::Text(SecretsError::NotText {
            secret,
            text: spec.name.clone(),
        }),
    })
}
