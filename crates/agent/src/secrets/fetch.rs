//! Secrets that the host fetches by itself when it starts: the record of what to fetch, and the program that does. On the disk are
//! names and places, never a value, and no key: the program asks in the name of the instance's role.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _, Write as _};
use std::process::{Command, ExitStatus, Stdio};

use provision_core::model::{
    AfterReboot, FETCH_PROGRAM, Fact, FetchRecord, HostText, Pins, SecretItem, SecretSource, SecretSpec,
    SecretValueRef, SecretVersion,
};
use provision_core::wire::{NoContent, SecretBytes, secret_content};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::child::{PATH, status_words};
use crate::layout::Layout;
use crate::own_files::{self, OwnFileError};

/// What is handed on to the program of this one's environment: where it finds AWS, and through which proxy. That it is told of
/// another place is for private endpoints, and for tests.
const ENVIRONMENT: [&str; 11] = [
    "AWS_CA_BUNDLE",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// The longest answer, in bytes for each value: 64 KiB in base64, and its version.
const MAX_ANSWER: usize = 96 << 10;

/// Why secrets cannot be fetched. No text here has any of a value.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// The program cannot be used.
    #[error("cannot {doing} {FETCH_PROGRAM}")]
    Program {
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It did not get them; its own lines, before this one, say why.
    #[error("{FETCH_PROGRAM} ended with {}", status_words(*status))]
    Failed {
        /// How it ended.
        status: ExitStatus,
    },
    /// It said something else.
    #[error("the answer of {FETCH_PROGRAM} makes no sense")]
    Answer,
    /// A secret is kept where no host can get it.
    #[error("`{name}` is not kept in AWS Secrets Manager")]
    Elsewhere {
        /// The secret.
        name: String,
    },
    /// There is no such secret.
    #[error("`{name}`: {}", reason.untrusted())]
    Missing {
        /// The secret.
        name: String,
        /// Such as "the store has no secret `aws bots/token`".
        reason: HostText,
    },
    /// A value cannot be written the way that a text wants it.
    #[error("`{secret}` is to be written as JSON in `{text}`, and is not UTF-8")]
    NotText {
        /// The secret.
        secret: String,
        /// The secret whose text it is in.
        text: String,
    },
}

/// What the host is to fetch when it starts, by the secrets' names.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToFetch {
    pub(super) secrets: BTreeMap<String, SecretSpec>,
}

impl ToFetch {
    pub(super) fn load(layout: &Layout) -> Result<Self, OwnFileError> {
        let path = layout.to_fetch();
        if !path.exists() {
            return Ok(Self::default());
        }
        own_files::read_json(&path)
    }
}

/// Records which of these secrets, which are all that the host should have, it is to fetch when it starts.
///
/// # Errors
/// [`OwnFileError`]; the old record is in place then.
pub(crate) fn record<'a>(layout: &Layout, all: impl Iterator<Item = &'a SecretSpec>) -> Result<(), OwnFileError> {
    let wanted = all.filter(|spec| spec.after_reboot == AfterReboot::Fetch);
    let record = ToFetch {
        // Versions are those of then, and what is fetched at boot is what there is by then.
        secrets: wanted.map(|spec| (spec.name.clone(), spec.unpinned())).collect(),
    };
    let path = layout.to_fetch();
    if !record.secrets.is_empty() {
        own_files::make_directory(layout.root())?;
        return own_files::write_json(&path, &record);
    }
    match own_files::remove_file(&path) {
        Err(OwnFileError::Remove { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// What the record says of a secret.
///
/// # Errors
/// [`OwnFileError`]: it cannot be read.
pub(crate) fn recorded(layout: &Layout, spec: &SecretSpec) -> Result<FetchRecord, OwnFileError> {
    let record = ToFetch::load(layout)?;
    Ok(match record.secrets.get(&spec.name) {
        None => FetchRecord::None,
        Some(known) if *known == spec.unpinned() => FetchRecord::Current,
        Some(_) => FetchRecord::Outdated,
    })
}

/// One thing that the program is asked for.
#[derive(Serialize)]
struct Wanted<'a> {
    id: &'a str,
    stage: &'a Option<String>,
    region: &'a Option<String>,
    key: &'a Option<String>,
}

/// What it says of one; an item that does not exist has none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fetched {
    version: String,
    value: SecretBytes,
}

/// Fetches secrets, each with the version that AWS says it is of. One that need not be there, and is not, is left out.
///
/// # Errors
/// [`FetchError`]: not all that are needed can be had.
pub(super) fn fetch(specs: &[&SecretSpec]) -> Result<Vec<(SecretSpec, SecretBytes)>, FetchError> {
    let mut items: BTreeSet<&SecretItem> = BTreeSet::new();
    for spec in specs {
        for value in spec.values() {
            if !matches!(value.item.source, SecretSource::Aws { .. }) {
                return Err(FetchError::Elsewhere {
                    name: spec.name.clone(),
                });
            }
            items.insert(&value.item);
        }
    }
    let answers = ask(&items)?;
    let found: BTreeMap<&SecretItem, Option<Fetched>> = items.into_iter().zip(answers).collect();
    let pins: Pins = found
        .iter()
        .map(|(item, fetched)| {
            let version = fetched.as_ref().map(|fetched| SecretVersion(fetched.version.clone()));
            ((*item).clone(), Fact::Known(version))
        })
        .collect();
    let mut all = Vec::new();
    for spec in specs {
        let mut spec = (*spec).clone();
        spec.pin(&pins);
        match &spec.version {
            Fact::Known(Some(_)) => {}
            Fact::Known(None) => continue,
            Fact::Unknown(reason) => {
                return Err(FetchError::Missing {
                    name: spec.name.clone(),
                    reason: reason.clone(),
                });
            }
        }
        let get = |value: &SecretValueRef| {
            let fetched = found.get(&value.item).and_then(Option::as_ref);
            fetched.map(|fetched| fetched.value.expose()).ok_or(())
        };
        let content = secret_content(&spec.content, get).map_err(|error| match error {
            NoContent::Value(()) => FetchError::Answer,
            NoContent::NotText { secret } => FetchError::NotText {
                secret,
                text: spec.name.clone(),
            },
        })?;
        all.push((spec, content));
    }
    Ok(all)
}

/// Runs the program. Its errors go where this program's do: to the journal of the boot unit.
fn ask(items: &BTreeSet<&SecretItem>) -> Result<Vec<Option<Fetched>>, FetchError> {
    let failed = |doing| move |source| FetchError::Program { doing, source };
    let wanted: Vec<Wanted<'_>> = items
        .iter()
        .filter_map(|item| match &item.source {
            SecretSource::Aws { id, stage, region } => Some(Wanted {
                id,
                stage,
                region,
                key: &item.key,
            }),
            _ => None,
        })
        .collect();
    let list = serde_json::to_vec(&wanted).map_err(|_| FetchError::Answer)?;
    let known = |name: &&'static str| {
        let name = *name;
        std::env::var_os(name).map(|value| (name, value))
    };
    let mut child = Command::new(FETCH_PROGRAM)
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .envs(ENVIRONMENT.iter().filter_map(known))
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed("start"))?;
    // It reads all of it before it writes anything. Where it does not even read, how it ends says more than the broken pipe.
    let told = child.stdin.take().map_or(Ok(()), |mut input| input.write_all(&list));
    let most = wanted.len() * MAX_ANSWER + 64;
    // Allocated once: growing would leave copies behind that nobody can wipe.
    let mut text = Zeroizing::new(Vec::with_capacity(most + 64));
    let read = match child.stdout.take() {
        Some(output) => output.take(most as u64 + 1).read_to_end(&mut text),
        None => Ok(0),
    };
    let status = child.wait().map_err(failed("wait for"))?;
    if !status.success() {
        return Err(FetchError::Failed { status });
    }
    told.map_err(failed("tell"))?;
    read.map_err(failed("read from"))?;
    // What is wrong with an answer is not shown: it has values in it.
    let answers: Vec<Option<Fetched>> = serde_json::from_slice(&text).map_err(|_| FetchError::Answer)?;
    if answers.len() != items.len() {
        return Err(FetchError::Answer);
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, after_reboot: AfterReboot, version: Option<&str>) -> SecretSpec {
        let version = version.map(|version| SecretVersion(version.to_owned()));
        let mut spec: SecretSpec = serde_json::from_value(serde_json::json!({
            "name": name, "directory": "/run/agenix", "path": format!("/run/agenix/{name}"), "owner": "root", "group": "root",
            "mode": "0400", "required": true, "after_reboot": after_reboot, "version": Fact::Known(version.clone()),
            "content": { "value": { "trim": false, "item": {
                "key": null, "source": { "aws": { "id": name, "stage": null, "region": "eu-central-1" } } } } },
        }))
        .unwrap();
        if let provision_core::model::SecretContent::Value(value) = &mut spec.content {
            value.version = version;
        }
        spec
    }

    #[test]
    fn what_is_recorded_is_what_is_asked_for_whatever_its_version() {
        let root = crate::testing::Scratch::new();
        let layout = Layout::below(&root.path().join("provision"));
        let asked = spec("a", AfterReboot::Fetch, Some("v1"));
        assert_eq!(recorded(&layout, &asked).unwrap(), FetchRecord::None);
        record(&layout, [&asked, &spec("b", AfterReboot::Sealed, None)].into_iter()).unwrap();
        assert_eq!(recorded(&layout, &asked).unwrap(), FetchRecord::Current);
        assert_eq!(
            recorded(&layout, &spec("a", AfterReboot::Fetch, Some("v2"))).unwrap(),
            FetchRecord::Current
        );
        assert_eq!(
            recorded(&layout, &spec("b", AfterReboot::Sealed, None)).unwrap(),
            FetchRecord::None
        );
        let other_owner = SecretSpec {
            owner: "bot".to_owned(),
            ..asked.clone()
        };
        assert_eq!(recorded(&layout, &other_owner).unwrap(), FetchRecord::Outdated);
        record(&layout, std::iter::empty()).unwrap();
        assert!(!layout.to_fetch().exists());
        record(&layout, std::iter::empty()).unwrap();
    }

    #[test]
    fn what_is_kept_elsewhere_is_never_asked_for() {
        let mut elsewhere = spec("a", AfterReboot::Fetch, None);
        elsewhere.content = provision_core::model::SecretContent::Value(SecretValueRef {
            item: SecretItem {
                source: SecretSource::Age { name: "a".to_owned() },
                key: None,
            },
            trim: false,
            version: None,
        });
        assert!(matches!(fetch(&[&elsewhere]), Err(FetchError::Elsewhere { .. })));
    }
}
