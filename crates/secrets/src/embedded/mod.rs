//! The embedded store: one file in the project in which each secret is encrypted with age for SSH or age keys.
//! Names, versions and recipients can be read without any key, so that planning needs none. It never writes a value in plain.

mod file;
mod identity;
mod recipient;
mod seal;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::file::check_name;
use self::file::{StoreFile, Stored};
use self::identity::{Identity, Places};
pub(crate) use self::recipient::parse_recipient;
use self::seal::Binding;
use crate::config::AgeConfig;
use crate::document::{MAX_FILE_BYTES, nearest};
use crate::error::{Problem, StoreError};
use crate::item::Version;
use crate::surroundings::Surroundings;
use crate::value::{MAX_VALUE_BYTES, SecretValue};
use crate::write;

/// Where the file is, relative to the project's root, unless `secrets/stores.toml` says otherwise.
pub const STORE_FILE: &str = "secrets/secrets.age.toml";

/// The file, and how to open it.
#[derive(Debug)]
pub(crate) struct Embedded {
    project: PathBuf,
    config: AgeConfig,
    surroundings: Surroundings,
}

/// What the file tells without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The file, relative to the project's root.
    pub file: String,
    /// Who can decrypt, as lines with their comments.
    pub recipients: Vec<String>,
    /// The secrets, by name.
    pub secrets: Vec<Listed>,
}

/// A secret of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Version,
}

/// What encrypting to other recipients has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rekeyed {
    /// How many secrets were encrypted anew; none where the recipients are those that they were.
    pub secrets: usize,
    /// The recipients that came.
    pub added: Vec<String>,
    /// The recipients that left. What they could read they may have kept.
    pub removed: Vec<String>,
}

fn version(number: u32) -> Version {
    Version::new(format!("v{number}"))
}

/// The text of a store without secrets, for these recipients.
///
/// # Errors
/// What is wrong with a recipient.
pub fn new_store(recipients: &[String]) -> Result<String, StoreError> {
    for line in recipients {
        recipient_of(line)?;
    }
    let file = StoreFile {
        recipients: recipients.to_vec(),
        ..StoreFile::default()
    };
    Ok(file.text())
}

/// The key of a recipient's line, without its comment.
///
/// # Errors
/// [`Problem::Malformed`] where it is no public key to encrypt to.
pub fn recipient_of(line: &str) -> Result<String, StoreError> {
    use crate::document::{Finding, FindingKind, Findings};
    parse_recipient(line).map(|recipient| recipient.key).map_err(|bad| {
        let finding = Finding::new(FindingKind::InvalidValue, bad.to_string(), 0..line.len());
        let findings = Findings {
            file: "a recipient".to_owned(),
            text: line.into(),
            findings: vec![finding.help(bad.fix())],
        };
        StoreError::new("a recipient", Problem::Malformed(Arc::new(findings)))
    })
}

impl Embedded {
    pub(crate) const fn new(project: PathBuf, config: AgeConfig, surroundings: Surroundings) -> Self {
        Self {
            project,
            config,
            surroundings,
        }
    }

    /// The version of each name.
    pub(crate) fn versions(&self, names: &BTreeSet<&str>) -> Vec<(String, Result<Version, Problem>)> {
        let file = self.load();
        let each = names.iter().map(|name| {
            let found = file.as_ref().map_err(Problem::clone);
            let found = found.and_then(|file| Ok(version(self.stored(file, name)?.0)));
            ((*name).to_owned(), found)
        });
        each.collect()
    }

    /// The value of each name, of exactly that version.
    pub(crate) fn values(&self, wanted: &[(&str, &Version)]) -> Vec<(String, Result<SecretValue, Problem>)> {
        let opened = self.load().and_then(|file| {
            let key = self.key(&file)?;
            Ok((file, key))
        });
        let each = wanted.iter().map(|(name, planned)| {
            let value = opened.as_ref().map_err(Problem::clone);
            let value = value.and_then(|(file, key)| self.value(file, key.as_ref(), name, planned));
            ((*name).to_owned(), value)
        });
        each.collect()
    }

    fn value(
        &self,
        file: &StoreFile,
        key: &dyn age::Identity,
        name: &str,
        planned: &Version,
    ) -> Result<SecretValue, Problem> {
        let (number, armored) = self.stored(file, name)?;
        if version(number) != *planned {
            return Err(Problem::Moved {
                planned: planned.clone(),
                now: Some(version(number)),
            });
        }
        seal::open(Binding { name, version: number }, key, armored)
    }

    /// Stores a value as the next version of a name.
    pub(crate) fn put(&self, name: &str, value: &SecretValue) -> Result<Version, Problem> {
        check_name(name).map_err(|why| Problem::BadName { why })?;
        if value.is_empty() {
            return Err(Problem::Empty);
        }
        if value.len() > MAX_VALUE_BYTES {
            return Err(Problem::TooLarge);
        }
        let _lock = self.lock()?;
        let mut file = self.load()?;
        let recipients = self.agreed(&file)?;
        let next = file
            .secrets
            .get(name)
            .map_or(0, |stored| stored.version)
            .saturating_add(1);
        let age = seal::seal(Binding { name, version: next }, &recipients, value)?;
        let stored = Stored {
            version: next,
            age: Some(age),
        };
        file.secrets.insert(name.to_owned(), stored);
        self.save(&file)?;
        Ok(version(next))
    }

    /// Takes a secret out. Its version stays, so that one of the same name later has another.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Problem> {
        let _lock = self.lock()?;
        let mut file = self.load()?;
        self.stored(&file, name)?;
        if let Some(stored) = file.secrets.get_mut(name) {
            stored.age = None;
        }
        self.save(&file)
    }

    /// What can be told without a key.
    pub(crate) fn list(&self) -> Result<Listing, Problem> {
        let file = self.load()?;
        let there = file.secrets.iter().filter(|(_, stored)| stored.age.is_some());
        let secrets = there.map(|(name, stored)| Listed {
            name: name.clone(),
            version: version(stored.version),
        });
        Ok(Listing {
            file: self.config.file.clone(),
            secrets: secrets.collect(),
            recipients: file.recipients,
        })
    }

    /// Encrypts every secret to the recipients that `secrets/stores.toml` says; its version stays, since its value does.
    pub(crate) fn rekey(&self) -> Result<Rekeyed, Problem> {
        let _lock = self.lock()?;
        let mut file = self.load()?;
        let Some(wanted) = self.config.recipients.clone() else {
            return Ok(Rekeyed {
                secrets: 0,
                added: Vec::new(),
                removed: Vec::new(),
            });
        };
        let (old, new) = (file.keys(), keys(&wanted));
        let differ = |lines: &[String], others: &[String]| -> Vec<String> {
            let missing =
                |line: &&String| parse_recipient(line).is_ok_and(|recipient| !others.contains(&recipient.key));
            lines.iter().filter(missing).cloned().collect()
        };
        let (added, removed) = (differ(&wanted, &old), differ(&file.recipients, &new));
        let mut secrets = 0;
        if !added.is_empty() || !removed.is_empty() {
            let key = self.key(&file)?;
            let recipients: Vec<_> = wanted.iter().filter_map(|line| parse_recipient(line).ok()).collect();
            for (name, stored) in &mut file.secrets {
                let Some(armored) = &stored.age else { continue };
                let binding = Binding {
                    name,
                    version: stored.version,
                };
                let value = seal::open(binding, key.as_ref(), armored)?;
                stored.age = Some(seal::seal(binding, &recipients, &value)?);
                secrets += 1;
            }
        }
        // Comments may have changed as well.
        if file.recipients != wanted {
            file.recipients = wanted;
            self.save(&file)?;
        }
        Ok(Rekeyed {
            secrets,
            added,
            removed,
        })
    }

    /// The value of a file that age has encrypted to one of our keys, whatever it is named.
    pub(crate) fn open_foreign(&self, file: &[u8]) -> Result<SecretValue, Problem> {
        let recipients = match self.load() {
            Ok(file) => file.keys(),
            Err(_) => keys(self.config.recipients.as_deref().unwrap_or_default()),
        };
        let key = identity::find(&self.places(), &recipients, self.surroundings.passphrase.as_ref())?;
        seal::open_foreign(key.as_ref(), file)
    }

    /// Our own public key, for a store that begins.
    pub(crate) fn own_recipient(&self) -> Result<String, Problem> {
        identity::own_public(&self.places())
    }

    fn places(&self) -> Places {
        Places::of(&self.surroundings, &self.project, self.config.identities.as_deref())
    }

    fn key(&self, file: &StoreFile) -> Result<Identity, Problem> {
        identity::find(&self.places(), &file.keys(), self.surroundings.passphrase.as_ref())
    }

    /// A secret's version and ciphertext.
    fn stored<'f>(&self, file: &'f StoreFile, name: &str) -> Result<(u32, &'f str), Problem> {
        let stored = file.secrets.get(name);
        let found = stored.and_then(|stored| Some((stored.version, stored.age.as_deref()?)));
        found.ok_or_else(|| {
            let there = file.secrets.iter().filter(|(_, stored)| stored.age.is_some());
            Problem::NotFound {
                place: self.config.file.clone(),
                near: nearest(name, there.map(|(name, _)| name.as_str())).map(str::to_owned),
            }
        })
    }

    /// The recipients, where the file and the configuration agree on them.
    fn agreed(&self, file: &StoreFile) -> Result<Vec<recipient::Recipient>, Problem> {
        let set = |keys: Vec<String>| keys.into_iter().collect::<BTreeSet<_>>();
        match &self.config.recipients {
            Some(said) if set(keys(said)) != set(file.keys()) => Err(Problem::RecipientsDiffer {
                file: self.config.file.clone(),
            }),
            _ => Ok(file
                .recipients
                .iter()
                .filter_map(|line| parse_recipient(line).ok())
                .collect()),
        }
    }

    fn path(&self) -> PathBuf {
        self.project.join(&self.config.file)
    }

    fn load(&self) -> Result<StoreFile, Problem> {
        let path = self.path();
        let no_store = || Problem::NoStore {
            file: self.config.file.clone(),
        };
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() && metadata.len() <= MAX_FILE_BYTES as u64 => {
                let mode = metadata.permissions().mode() & 0o7777;
                if mode & 0o002 != 0 {
                    return Err(Problem::Writable { path, mode });
                }
            }
            Ok(_) => {
                let why = "not a regular file, or larger than any such file is";
                return Err(Problem::read(&path, std::io::Error::new(ErrorKind::InvalidInput, why)));
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Err(no_store());
            }
            Err(error) => return Err(Problem::read(&path, error)),
        }
        let bytes = fs::read(&path).map_err(|error| Problem::read(&path, error))?;
        if holds_private_key(&bytes) {
            return Err(Problem::IdentityInStore {
                file: self.config.file.clone(),
            });
        }
        StoreFile::parse(&self.config.file, &bytes).map_err(|found| Problem::Malformed(Arc::new(found)))
    }

    fn save(&self, file: &StoreFile) -> Result<(), Problem> {
        let path = self.path();
        write::replace(&path, file.text().as_bytes()).map_err(|error| Problem::write(&path, error))
    }

    /// Holds other writers off.
    fn lock(&self) -> Result<File, Problem> {
        let path = self.path();
        let directory = path.parent().unwrap_or(Path::new("."));
        write::lock(directory).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Problem::NoStore {
                file: self.config.file.clone(),
            },
            _ => Problem::read(directory, error),
        })
    }
}

fn keys(lines: &[String]) -> Vec<String> {
    let parsed = lines.iter().filter_map(|line| parse_recipient(line).ok());
    parsed.map(|recipient| recipient.key).collect()
}

/// Whether somebody has put a private key where everyone with the project reads it.
fn holds_private_key(bytes: &[u8]) -> bool {
    let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    holds(b"AGE-SECRET-KEY-1") || holds(b"PRIVATE KEY-----")
}
