//! What is asked of a store: where a value is kept, which part of it is meant, and which version. No value is in any of them.

use std::fmt;

use crate::escape::escape;

/// Where a secret's value is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A secret of AWS Secrets Manager.
    Aws {
        /// Its name or ARN.
        id: String,
        /// The staging label whose version counts; `AWSCURRENT` where there is none.
        stage: Option<String>,
        /// Its region, where that is not the one of the ARN or of `secrets/stores.toml`.
        region: Option<String>,
    },
    /// A secret of the project's age-encrypted file.
    Age {
        /// Its name there.
        name: String,
    },
    /// What a command writes to its standard output.
    Command {
        /// The program and its arguments; no shell reads them.
        argv: Vec<String>,
    },
    /// A variable of this process's environment.
    Environment {
        /// Its name.
        variable: String,
    },
}

/// One value: all that a source holds, or of a JSON document one key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Item {
    /// Where it is kept.
    pub source: Source,
    /// The key whose value is meant, where the source holds a JSON object.
    pub key: Option<String>,
}

/// A version of a secret, as it is shown to people: `v3` of the age file, a `VersionId` of Secrets Manager, a fingerprint such as `~9f86d081`
/// where a store numbers nothing. Two values of one item have the same version only if they are the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(String);

impl Version {
    /// A version by the name its store gives it, as it was shown or planned before.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(self.0.as_bytes()))
    }
}

impl fmt::Display for Source {
    /// The source in a few words, fit for a terminal. Of a command only the program: its arguments can be long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| escape(text.as_bytes());
        match self {
            Self::Aws { id, stage: None, .. } => write!(f, "aws secret {}", shown(id)),
            Self::Aws {
                id, stage: Some(stage), ..
            } => write!(f, "aws secret {} ({})", shown(id), shown(stage)),
            Self::Age { name } => write!(f, "age secret {}", shown(name)),
            Self::Command { argv } => {
                write!(f, "the command {}", shown(argv.first().map_or("", String::as_str)))
            }
            Self::Environment { variable } => write!(f, "the variable {}", shown(variable)),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            None => self.source.fmt(f),
            Some(key) => write!(f, "{}, key {}", self.source, escape(key.as_bytes())),
        }
    }
}
