//! What stores need to know of the person and machine they run for. It reads no store.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::escape::escape;
use crate::terminal::ask_hidden;

/// Asks a person for the passphrase of a key file; `None` where nobody can be asked or nobody answers.
pub type Passphrase = Arc<dyn Fn(&Path) -> Option<Zeroizing<String>> + Send + Sync>;

/// The person's home, key and terminal.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// The home directory, where `~` leads and SSH keys are.
    pub home: Option<PathBuf>,
    /// The one identity to decrypt with, instead of those of `secrets/stores.toml` and of the home directory.
    pub identity: Option<PathBuf>,
    /// How to ask for a passphrase.
    pub passphrase: Option<Passphrase>,
}

impl Surroundings {
    /// What the environment says: `HOME`, and `PROVISION_AGE_IDENTITY`, a file. Passphrases are asked for on the terminal, if there is one.
    #[must_use]
    pub fn detect() -> Self {
        let path = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        Self {
            home: path("HOME"),
            identity: path("PROVISION_AGE_IDENTITY"),
            passphrase: Some(Arc::new(|path| {
                let answer = ask_hidden(&format!(
                    "Passphrase of {}: ",
                    escape(path.as_os_str().as_encoded_bytes())
                ))
                .ok()?;
                std::str::from_utf8(&answer)
                    .ok()
                    .map(|text| Zeroizing::new(text.to_owned()))
            })),
        }
    }

    /// A path as a person writes it: `~/` is the home directory, and what is relative begins at `base`.
    pub(crate) fn resolve(&self, base: &Path, text: &str) -> PathBuf {
        match (text.strip_prefix("~/"), &self.home) {
            (Some(below), Some(home)) => home.join(below),
            _ => base.join(text),
        }
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("home", &self.home)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}
