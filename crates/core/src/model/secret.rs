//! Secrets as the configuration and plans know them: names, places and versions, never values. Values are
//! [`crate::wire::SecretBytes`], and pass from a store to a host's memory without being part of any of this.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AbsPath, Desired, Digest, Fact, HostText, Mode, Owner, Spec};

/// Where a secret's value is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SecretSource {
    /// The project's own store, whichever that is, under this name.
    Project {
        /// The name.
        name: String,
    },
    /// AWS Secrets Manager.
    Aws {
        /// The secret's name or ARN.
        id: String,
        /// The staging label; `None` is `AWSCURRENT`.
        stage: Option<String>,
        /// The region; `None` is the one that the project, or the environment, says.
        region: Option<String>,
    },
    /// The encrypted file in the project.
    Age {
        /// The name in that file.
        name: String,
    },
    /// What a program on the controller prints.
    Command {
        /// The program and its arguments.
        argv: Vec<String>,
    },
    /// A variable of the controller's environment.
    Environment {
        /// The variable.
        variable: String,
    },
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project { name } => f.write_str(name),
            Self::Aws { id, stage, region } => {
                write!(f, "aws {id}")?;
                if let Some(stage) = stage {
                    write!(f, "@{stage}")?;
                }
                region.as_ref().map_or(Ok(()), |region| write!(f, " in {region}"))
            }
            Self::Age { name } => write!(f, "age {name}"),
            Self::Command { argv } => write!(f, "command {}", argv.join(" ")),
            Self::Environment { variable } => write!(f, "environment {variable}"),
        }
    }
}

/// One value: a place, and of a secret in JSON one key of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretItem {
    /// The place.
    pub source: SecretSource,
    /// The key.
    pub key: Option<String>,
}

impl fmt::Display for SecretItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)?;
        self.key.as_ref().map_or(Ok(()), |key| write!(f, "#{key}"))
    }
}

/// How a value is written where it is put into a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// As it is.
    Plain,
    /// As a JSON string, with its quotes.
    Json,
    /// In base64 (RFC 4648, with padding).
    Base64,
    /// Percent-encoded (RFC 3986), fit for any part of a URL.
    Url,
    /// In single quotes, as a POSIX shell reads it.
    Shell,
}

impl Encoding {
    /// Every encoding.
    pub const ALL: [Self; 5] = [Self::Plain, Self::Json, Self::Base64, Self::Url, Self::Shell];

    /// Its name in templates.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Json => "json",
            Self::Base64 => "base64",
            Self::Url => "url",
            Self::Shell => "shell",
        }
    }
}

/// A value and how it is taken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretValueRef {
    /// Which value.
    pub item: SecretItem,
    /// Whether one line feed at its end is left out.
    pub trim: bool,
    /// The version; `None` until [`pin`] says it, and where the store has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<SecretVersion>,
}

/// A part of a text with secrets in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SecretPart {
    /// Text that is no secret.
    Text(String),
    /// A secret's value.
    Secret {
        /// The secret's name in the configuration.
        name: String,
        /// Its value.
        value: SecretValueRef,
        /// How it is written.
        encoding: Encoding,
    },
}

/// What a secret's file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SecretContent {
    /// A value, byte for byte.
    Value(SecretValueRef),
    /// A text with values in it.
    Rendered(Vec<SecretPart>),
}

/// What happens to a host's secrets when its memory is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterReboot {
    /// Units that need them wait until the next apply brings them.
    #[default]
    Push,
    /// A copy that only this host can read is kept on its disk, and read at boot.
    Sealed,
    /// The host fetches them from AWS at boot, by the role of its instance.
    Fetch,
}

impl AfterReboot {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Push, Self::Sealed, Self::Fetch];

    /// Its word in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Sealed => "sealed",
            Self::Fetch => "fetch",
        }
    }
}

/// Where a host of AWS has the program that fetches its secrets when it starts.
pub const FETCH_PROGRAM: &str = "/usr/local/lib/provision/fetch-secrets";

/// A version of a secret as its store names it, or the digest of all versions that a text is made of. It tells nothing of the
/// value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretVersion(pub String);

impl fmt::Display for SecretVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A secret as a file in a host's memory, as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretSpec {
    /// Its name in the configuration.
    pub name: String,
    /// The directory of all secrets of the host: a link into its memory.
    pub directory: AbsPath,
    /// Its file, in that directory.
    pub path: AbsPath,
    /// The owner's name or id.
    pub owner: String,
    /// The group's name or id.
    pub group: String,
    /// Permissions.
    pub mode: Mode,
    /// What the file holds.
    pub content: SecretContent,
    /// Whether the host cannot do without it; one that may be missing, and is, has no file.
    pub required: bool,
    /// What happens when the host's memory is lost.
    pub after_reboot: AfterReboot,
    /// The version that it should have, or why that is not known. `None`: the store has no such secret, and it may be missing.
    /// Resolving does not know it; [`pin`] says it.
    pub version: Fact<Option<SecretVersion>>,
}

impl SecretSpec {
    /// The values that its file is made of.
    #[must_use]
    pub fn values(&self) -> Vec<&SecretValueRef> {
        match &self.content {
            SecretContent::Value(value) => vec![value],
            SecretContent::Rendered(parts) => parts
                .iter()
                .filter_map(|part| match part {
                    SecretPart::Text(_) => None,
                    SecretPart::Secret { value, .. } => Some(value),
                })
                .collect(),
        }
    }

    /// The same without any version: what is asked for, whatever stores have.
    #[must_use]
    pub fn unpinned(&self) -> Self {
        let mut spec = self.clone();
        spec.version = not_asked();
        spec.values_mut().into_iter().for_each(|value| value.version = None);
        spec
    }

    /// Says which version it should have.
    pub fn pin(&mut self, pins: &Pins) {
        self.version = pinned(self, pins);
    }

    fn values_mut(&mut self) -> Vec<&mut SecretValueRef> {
        match &mut self.content {
            SecretContent::Value(value) => vec![value],
            SecretContent::Rendered(parts) => parts
                .iter_mut()
                .filter_map(|part| match part {
                    SecretPart::Text(_) => None,
                    SecretPart::Secret { value, .. } => Some(value),
                })
                .collect(),
        }
    }
}

/// What resolving says of a version: it asks no store.
#[must_use]
pub fn not_asked() -> Fact<Option<SecretVersion>> {
    Fact::unknown("its store was not asked")
}

/// A secret's file as it was found. Nothing of it tells of the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SecretState {
    /// There is no such file.
    Absent {
        /// Whether that is because the host's memory was lost: nothing is mounted for any secret.
        nothing_mounted: bool,
    },
    /// The file that was delivered.
    Delivered {
        /// The version that was delivered.
        version: HostText,
        /// Whether the content is still what was delivered.
        intact: bool,
        /// Owner.
        owner: Owner,
        /// Group.
        group: Owner,
        /// Permissions.
        mode: Mode,
        /// The version of the sealed copy on disk; `None` where there is none.
        sealed: Option<HostText>,
        /// What the host has on record of where to fetch it when it starts.
        fetch: FetchRecord,
        /// Whether the host brought it back itself when it started, before any unit that uses it was started.
        at_boot: bool,
    },
    /// Something that `provision` did not put there.
    Other {
        /// Such as "a directory on the disk".
        what: String,
    },
}

/// Whether a host knows where to fetch a secret when it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FetchRecord {
    /// It does not.
    #[default]
    None,
    /// It would fetch what is asked for here, to where it is asked for.
    Current,
    /// It would fetch something else, or give it to somebody else.
    Outdated,
}

/// The versions that stores have, for each item that was asked for; `Known(None)` is a secret that does not exist.
pub type Pins = std::collections::BTreeMap<SecretItem, Fact<Option<SecretVersion>>>;

/// The items that secrets are made of.
pub fn items<'a>(specs: impl Iterator<Item = &'a Spec>) -> BTreeSet<SecretItem> {
    let specs = specs.filter_map(|spec| match spec {
        Spec::Secret(spec) => Some(spec),
        _ => None,
    });
    specs
        .flat_map(|spec| spec.values().into_iter().map(|value| value.item.clone()))
        .collect()
}

/// Says of each secret which version it should have.
pub fn pin(desired: &mut Desired, pins: &Pins) {
    for resource in desired.resources.values_mut() {
        if let Spec::Secret(spec) = &mut resource.spec {
            spec.pin(pins);
        }
    }
}

/// The version of a secret, once each value in it has its own.
fn pinned(spec: &mut SecretSpec, pins: &Pins) -> Fact<Option<SecretVersion>> {
    let required = spec.required;
    for value in spec.values_mut() {
        value.version = match pins.get(&value.item) {
            None => return not_asked(),
            Some(Fact::Unknown(reason)) => return Fact::Unknown(reason.clone()),
            Some(Fact::Known(None)) if required => {
                return Fact::unknown(format!("the store has no secret `{}`", value.item));
            }
            Some(Fact::Known(None)) => return Fact::Known(None),
            Some(Fact::Known(Some(version))) => Some(version.clone()),
        };
    }
    match &spec.content {
        SecretContent::Value(value) => value
            .version
            .clone()
            .map_or_else(not_asked, |version| Fact::Known(Some(version))),
        // A text changes with its own words, too.
        SecretContent::Rendered(parts) => Fact::Known(Some(SecretVersion(Digest::of_json(parts).short()))),
    }
}
