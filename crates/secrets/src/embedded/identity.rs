//! Private keys to decrypt with: found, checked and unlocked. What is read here never leaves as text.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use age::secrecy::SecretString;
use age::ssh::Identity as SshIdentity;
use zeroize::Zeroizing;

use super::recipient::parse_recipient;
use crate::error::Problem;
use crate::surroundings::{Passphrase, Surroundings};

/// The largest file of a key, in bytes: no key is near it.
const MAX_KEY_BYTES: u64 = 1 << 20;

/// The keys of a home directory that are tried where none is named.
const DEFAULTS: [&str; 2] = [".ssh/id_ed25519", ".ssh/id_rsa"];

/// A key that decrypts what one of the recipients can read.
pub(crate) type Identity = Box<dyn age::Identity + Send + Sync>;

/// Where keys are looked for.
pub(crate) enum Places {
    /// These files, each of which has to be there.
    Named(Vec<PathBuf>),
    /// These files, as far as they are there.
    Usual(Vec<PathBuf>),
}

impl Places {
    /// The one that the environment names, else those of the configuration, else the usual ones.
    pub(crate) fn of(surroundings: &Surroundings, project: &Path, configured: Option<&[String]>) -> Self {
        if let Some(identity) = &surroundings.identity {
            return Self::Named(vec![identity.clone()]);
        }
        if let Some(configured) = configured {
            let paths = configured.iter().map(|text| surroundings.resolve(project, text));
            return Self::Named(paths.collect());
        }
        let home = surroundings.home.iter();
        Self::Usual(home.flat_map(|home| DEFAULTS.map(|name| home.join(name))).collect())
    }

    fn paths(&self) -> &[PathBuf] {
        let (Self::Named(paths) | Self::Usual(paths)) = self;
        paths
    }
}

enum Key {
    Open(Identity),
    Locked(Box<age::ssh::EncryptedKey>),
}

/// A key that was read, and its public half as recipients are written.
struct Candidate {
    path: PathBuf,
    public: String,
    key: Key,
}

/// A key that decrypts what is encrypted to `recipients`. A passphrase is asked for only where no other key does.
pub(crate) fn find(
    places: &Places,
    recipients: &[String],
    passphrase: Option<&Passphrase>,
) -> Result<Identity, Problem> {
    let mut tried = Vec::new();
    let mut fitting = Vec::new();
    for path in places.paths() {
        let read = read(path)?;
        if read.is_none() && matches!(places, Places::Named(_)) {
            return Err(Problem::read(path, io::Error::from(io::ErrorKind::NotFound)));
        }
        for candidate in read.into_iter().flatten() {
            if recipients.contains(&candidate.public) {
                fitting.push(candidate);
            } else if !tried.contains(&candidate.path) {
                tried.push(candidate.path);
            }
        }
    }
    fitting.sort_by_key(|candidate| matches!(candidate.key, Key::Locked(_)));
    match fitting.into_iter().next() {
        Some(Candidate { path, key, .. }) => match key {
            Key::Open(identity) => Ok(identity),
            Key::Locked(key) => unlock(&key, &path, passphrase),
        },
        None if tried.is_empty() => Err(Problem::NoIdentity {
            looked: places.paths().to_vec(),
        }),
        None => Err(Problem::WrongIdentity { tried }),
    }
}

/// The public half of the first key that there is, for a new store; with its comment, where its file `.pub` has one.
pub(crate) fn own_public(places: &Places) -> Result<String, Problem> {
    for path in places.paths() {
        if let Some(first) = read(path)?.into_iter().flatten().next() {
            let mut name = path.as_os_str().to_owned();
            name.push(".pub");
            let line = fs::read_to_string(name).unwrap_or_default().trim().to_owned();
            let same = parse_recipient(&line).is_ok_and(|recipient| recipient.key == first.public);
            return Ok(if same { line } else { first.public });
        }
    }
    Err(Problem::NoIdentity {
        looked: places.paths().to_vec(),
    })
}

fn unlock(key: &age::ssh::EncryptedKey, path: &Path, passphrase: Option<&Passphrase>) -> Result<Identity, Problem> {
    let answer = passphrase.and_then(|ask| ask(path));
    let answer = answer.ok_or_else(|| Problem::Passphrase { path: path.to_owned() })?;
    let secret = SecretString::from(answer.as_str());
    let open = key
        .decrypt(secret)
        .map_err(|_| Problem::WrongPassphrase { path: path.to_owned() })?;
    Ok(Box::new(SshIdentity::from(open)))
}

/// The keys of a file; `None` where there is no such file.
fn read(path: &Path) -> Result<Option<Vec<Candidate>>, Problem> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(Problem::read(path, error)),
    };
    let bad = |why: &str| Problem::BadIdentity {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    // Before it is opened: opening a FIFO would wait for ever.
    if !metadata.is_file() {
        return Err(bad("it is no regular file"));
    }
    let text = read_text(path, metadata.len()).map_err(|error| Problem::read(path, error))?;
    let text = std::str::from_utf8(&text).map_err(|_| bad("it is no text"))?;
    if text.trim_start().starts_with("ssh-") || text.trim_start().starts_with("age1") {
        return Err(bad("it is a public key; the private one is wanted"));
    }
    let mode = metadata.permissions().mode() & 0o7777;
    // OpenSSH's rule: a file of ours that others can read is not private.
    if mode & 0o077 != 0 && metadata.uid() == rustix::process::getuid().as_raw() {
        return Err(Problem::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let candidates = if text.contains("AGE-SECRET-KEY-") {
        age_keys(path, text)?
    } else if text.contains("BEGIN AGE ENCRYPTED FILE") || text.starts_with("age-encryption.org/") {
        return Err(bad(
            "it is itself encrypted with age, which only age's own programs open",
        ));
    } else if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("BEGIN PRIVATE KEY") {
        return Err(bad(
            "it is in the form of PKCS#8; `ssh-keygen -p -f FILE` writes it in OpenSSH's",
        ));
    } else {
        vec![ssh_key(path, text)?]
    };
    Ok(Some(candidates))
}

/// At its final size from the start: growing would leave copies of private keys behind.
fn read_text(path: &Path, length: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = usize::try_from(length.min(MAX_KEY_BYTES)).unwrap_or(0);
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + 64));
    File::open(path)?.take(MAX_KEY_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn age_keys(path: &Path, text: &str) -> Result<Vec<Candidate>, Problem> {
    let lines = text.lines().enumerate();
    let keys = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    keys.map(|(number, line)| {
        let key: age::x25519::Identity = line.trim().parse().map_err(|_| Problem::BadIdentity {
            path: path.to_owned(),
            why: format!("line {} is no age key", number + 1),
        })?;
        Ok(Candidate {
            path: path.to_owned(),
            public: key.to_public().to_string(),
            key: Key::Open(Box::new(key)),
        })
    })
    .collect()
}

fn ssh_key(path: &Path, text: &str) -> Result<Candidate, Problem> {
    let bad = |why: &str| Problem::BadIdentity {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    let identity =
        SshIdentity::from_buffer(text.as_bytes(), None).map_err(|_| bad("it is no SSH or age private key"))?;
    if let SshIdentity::Unsupported(kind) = &identity {
        return Err(bad(match kind {
            age::ssh::UnsupportedKey::EncryptedPem => {
                "it is protected in the old, weak form; `ssh-keygen -p -f FILE` writes the new one"
            }
            age::ssh::UnsupportedKey::Hardware(_) => "it is of a security key, which can only sign",
            age::ssh::UnsupportedKey::EncryptedSsh(_) => "it is protected with a cipher that age does not know",
            age::ssh::UnsupportedKey::Type(_) => "it is an SSH key of a type that can only sign",
        }));
    }
    let public = age::ssh::Recipient::try_from(identity.clone())
        .map_err(|_| bad("it is an SSH key of a type that can only sign"))?;
    Ok(Candidate {
        path: path.to_owned(),
        public: public.to_string(),
        key: match identity {
            SshIdentity::Encrypted(key) => Key::Locked(Box::new(key)),
            open => Key::Open(Box::new(open)),
        },
    })
}
