//! Private keys in files: which there are, and why some cannot be used.
//! It asks nobody for a passphrase, and offers nothing: `auth` does.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use russh::keys::{PrivateKey, PublicKey};
use zeroize::Zeroizing;

use crate::{
    error::{SkipReason, SkippedKey, unreadable},
    file::read_bounded,
};

/// The largest private key file in use is below 16 KiB (RSA 16384).
const MAX_SIZE: u64 = 64 << 10;

/// OpenSSH's default names, the ones people have today first.
const DEFAULTS: &[&str] = &["id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk"];

/// A key that a file names.
#[derive(Debug)]
pub(crate) enum Identity {
    /// The private key itself.
    Private { key: Arc<PrivateKey>, path: PathBuf },
    /// Only the public half can be read; an agent may hold the private one. `missing` says why not.
    Public {
        key: PublicKey,
        path: PathBuf,
        missing: SkipReason,
    },
}

/// The default key files of a home directory.
pub(crate) fn defaults(home: Option<&Path>) -> Vec<PathBuf> {
    let dir = home.map(|home| home.join(".ssh"));
    dir.iter()
        .flat_map(|dir| DEFAULTS.iter().map(|name| dir.join(name)))
        .collect()
}

/// Reads one file of a private key, or of a public key whose private half the agent has.
pub(crate) fn read(path: &Path) -> Result<Identity, SkippedKey> {
    let skip = |reason| SkippedKey {
        origin: path.display().to_string(),
        reason,
    };
    let Some(bytes) = read_bounded(path, MAX_SIZE).map_err(|error| unreadable(path, &error))? else {
        return match public_half(path) {
            Some(key) => Ok(Identity::Public {
                key,
                path: path.to_owned(),
                missing: SkipReason::PublicOnly,
            }),
            None => Err(skip(SkipReason::Absent)),
        };
    };
    let bytes = Zeroizing::new(bytes);
    let text = std::str::from_utf8(&bytes).map_err(|_| skip(SkipReason::Unreadable("not a key file".to_owned())))?;
    if let Ok(key) = PublicKey::from_openssh(text.trim()) {
        return Ok(Identity::Public {
            key,
            path: path.to_owned(),
            missing: SkipReason::PublicOnly,
        });
    }
    if exposed(path) {
        return Err(skip(SkipReason::Exposed));
    }
    let failed = |problem: String| skip(SkipReason::Unreadable(problem));
    let key = if text.contains("BEGIN OPENSSH PRIVATE KEY") {
        PrivateKey::from_openssh(text).map_err(|error| failed(error.to_string()))?
    } else {
        match russh::keys::decode_secret_key(text, None) {
            Ok(key) => key,
            Err(_) if text.contains("ENCRYPTED") => {
                let key = public_half(path).ok_or_else(|| skip(SkipReason::Encrypted))?;
                return Ok(Identity::Public {
                    key,
                    path: path.to_owned(),
                    missing: SkipReason::Encrypted,
                });
            }
            Err(error) => return Err(failed(error.to_string())),
        }
    };
    if key.is_encrypted() {
        let key = key.public_key().clone();
        return Ok(Identity::Public {
            key,
            path: path.to_owned(),
            missing: SkipReason::Encrypted,
        });
    }
    Ok(Identity::Private {
        key: Arc::new(key),
        path: path.to_owned(),
    })
}

/// The public key beside a private one.
fn public_half(path: &Path) -> Option<PublicKey> {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    let bytes = read_bounded(Path::new(&name), MAX_SIZE).ok()??;
    PublicKey::from_openssh(std::str::from_utf8(&bytes).ok()?.trim()).ok()
}

/// OpenSSH's rule: our own file that others can read is not private.
fn exposed(path: &Path) -> bool {
    fs::metadata(path)
        .is_ok_and(|metadata| metadata.uid() == rustix::process::getuid().as_raw() && metadata.mode() & 0o077 != 0)
}
