//! What stores say no with: each refusal its own variant, with its subject and what to do about it.
//! It holds no value of any secret, and it prints nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::document::Findings;
use crate::item::Version;
use crate::value::MAX_VALUE_BYTES;

/// Why a store did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{subject}: {problem}")]
pub struct StoreError {
    /// What was asked for: an item, a store or a file, fit for a terminal.
    pub subject: String,
    /// Why not.
    pub problem: Problem,
}

impl StoreError {
    /// An error about a subject.
    #[must_use]
    pub fn new(subject: impl ToString, problem: Problem) -> Self {
        Self {
            subject: subject.to_string(),
            problem,
        }
    }

    /// What to do about it, in a sentence.
    #[must_use]
    pub fn fix(&self) -> String {
        self.problem.fix()
    }
}

/// Why not. `Display` is a fragment; texts from services and commands in it are escaped and bounded.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Problem {
    // What any store can find.
    /// There is no such secret.
    #[error("there is no such secret in {place}")]
    NotFound {
        /// Where it was looked for.
        place: String,
        /// One that may have been meant.
        near: Option<String>,
    },
    /// The secret is no longer of the version that was asked for.
    #[error("it has moved since the plan: {planned} was planned, {}", .now.as_ref().map_or("which is no longer current".to_owned(), |now| format!("now it is {now}")))]
    Moved {
        /// The version asked for.
        planned: Version,
        /// The version there is now, where that is known.
        now: Option<Version>,
    },
    /// Nothing is in it.
    #[error("the value is empty")]
    Empty,
    /// It is larger than any store takes.
    #[error("the value is larger than {MAX_VALUE_BYTES} bytes")]
    TooLarge,
    /// A key was asked for, and the value is not a JSON object.
    #[error("key {key:?} is asked for, and the value is no JSON object")]
    NotJson {
        /// The key.
        key: String,
    },
    /// The JSON object does not have the key.
    #[error("the JSON object in it has no key {key:?}")]
    NoKey {
        /// The key.
        key: String,
        /// One that may have been meant.
        near: Option<String>,
    },
    /// The key's value is `null`.
    #[error("key {key:?} of the JSON object in it is null")]
    NullKey {
        /// The key.
        key: String,
    },
    /// A single key of a JSON object cannot be written.
    #[error("a single key of a secret cannot be written, only the whole secret")]
    PartOnly,
    /// Nothing can be written there.
    #[error("{store} cannot be written to")]
    ReadOnly {
        /// The store, with its article.
        store: &'static str,
    },
    /// A name that the store cannot have.
    #[error("this cannot be a secret's name: {why}")]
    BadName {
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file of ours cannot be used.
    #[error(transparent)]
    Malformed(Arc<Findings>),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },

    // AWS Secrets Manager.
    /// The secret is scheduled for deletion.
    #[error("it is deleted, or will be soon")]
    Deleted,
    /// No version of the secret has the staging label.
    #[error("no version of it has the label {stage}")]
    NoStage {
        /// The label.
        stage: String,
    },
    /// No credentials were found.
    #[error("no AWS credentials were found{}", profile.as_ref().map_or(String::new(), |profile| format!(" in profile {profile:?}")))]
    NoCredentials {
        /// The profile that `secrets/stores.toml` names.
        profile: Option<String>,
    },
    /// AWS does not know the credentials.
    #[error("AWS does not know these credentials: {detail}")]
    BadCredentials {
        /// What it says.
        detail: String,
    },
    /// Credentials were found and could not be used: a profile that is not there, a role that cannot be assumed.
    #[error("the AWS credentials cannot be used: {detail}")]
    UnusableCredentials {
        /// What the provider says.
        detail: String,
    },
    /// The session has ended.
    #[error("the AWS session has expired")]
    Expired,
    /// The credentials do not have the right.
    #[error("access denied: {detail}")]
    AccessDenied {
        /// The action that was refused, such as `secretsmanager:DescribeSecret`.
        action: &'static str,
        /// What AWS says: who, what, on which resource.
        detail: String,
    },
    /// The right to the encryption key is missing.
    #[error("the secret's KMS key does not let it be decrypted: {detail}")]
    KeyDenied {
        /// What AWS says.
        detail: String,
    },
    /// No region is known.
    #[error("no AWS region is known")]
    NoRegion,
    /// Two regions are said.
    #[error("its ARN is of region {of_arn}, and region {said} is asked for")]
    WrongRegion {
        /// The ARN's.
        of_arn: String,
        /// The other.
        said: String,
    },
    /// AWS asked to slow down until patience was at its end.
    #[error("AWS still asks to slow down after {attempts} attempts")]
    Throttled {
        /// How often it was tried.
        attempts: u32,
    },
    /// The service cannot be reached.
    #[error("Secrets Manager cannot be reached: {detail}")]
    Unreachable {
        /// Why.
        detail: String,
    },
    /// The service refused for a reason of its own, or failed.
    #[error("Secrets Manager says {code}: {detail}")]
    Service {
        /// The error's code.
        code: String,
        /// Its message.
        detail: String,
    },
    /// The service's answer says nothing of the secret.
    #[error("Secrets Manager's answer says nothing of it")]
    NoAnswer,

    // The age-encrypted file.
    /// There is no such file yet.
    #[error("there is no {file}")]
    NoStore {
        /// The file.
        file: String,
    },
    /// There is one already.
    #[error("{file} is there already")]
    StoreExists {
        /// The file.
        file: String,
    },
    /// No key to decrypt with was found.
    #[error("no key to decrypt with was found: {} not there", listed(looked))]
    NoIdentity {
        /// Where keys were looked for.
        looked: Vec<PathBuf>,
    },
    /// None of the keys is one of those the file is encrypted to.
    #[error("none of your keys can decrypt it: {} not among its recipients", listed(tried))]
    WrongIdentity {
        /// The files of the keys.
        tried: Vec<PathBuf>,
    },
    /// The right key is protected by a passphrase, and nobody could be asked.
    #[error("{} is protected by a passphrase, and there is no terminal to ask for it", path.display())]
    Passphrase {
        /// The key's file.
        path: PathBuf,
    },
    /// The passphrase given is not the key's.
    #[error("that is not the passphrase of {}", path.display())]
    WrongPassphrase {
        /// The key's file.
        path: PathBuf,
    },
    /// Everybody can write the store's file. That everybody can read it is as it should be: it is encrypted, and belongs into git.
    #[error("{} can be written by everybody (mode {mode:04o}), who could put values of their own into it", path.display())]
    Writable {
        /// The store's file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Others can read the file of a key.
    #[error("{} can be read by others (mode {mode:04o})", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file is no key that can be used.
    #[error("{} is no key to decrypt with: {why}", path.display())]
    BadIdentity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; nothing of its content.
        why: String,
    },
    /// A private key is in a file that everyone with the project can read.
    #[error("there is a private key in {file}")]
    IdentityInStore {
        /// The file.
        file: String,
    },
    /// The recipients of `secrets/stores.toml` are not those that the file is encrypted to.
    #[error("{file} is encrypted to other recipients than secrets/stores.toml says")]
    RecipientsDiffer {
        /// The file.
        file: String,
    },
    /// The ciphertext is of another secret, or of another version of this one.
    #[error("what is stored there was encrypted as {found}, so somebody has moved it")]
    Swapped {
        /// The name and version that it was encrypted as.
        found: String,
    },
    /// The ciphertext says not which secret it is.
    #[error("what is stored there was not encrypted by `provision`, so it can be of any secret")]
    Unbound,
    /// The ciphertext is damaged.
    #[error("what is stored there is damaged: {why}")]
    Corrupt {
        /// How.
        why: &'static str,
    },

    // A command, and the environment.
    /// The command cannot be started.
    #[error("the command cannot be started")]
    CannotStart {
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// The command failed.
    #[error("the command ended with {status}{}", said(stderr))]
    CommandFailed {
        /// `exit code 1` or `signal 9`.
        status: String,
        /// What it wrote to its standard error, escaped and bounded; `None` where it had printed something before, which could be in it.
        stderr: Option<String>,
    },
    /// Something took too long.
    #[error("it took longer than {} s", limit.as_secs())]
    TimedOut {
        /// How long it may take.
        limit: Duration,
    },
    /// The variable is not set.
    #[error("the variable is not set")]
    Unset,
}

fn said(text: &Option<String>) -> String {
    match text.as_deref() {
        Some("") => String::new(),
        Some(text) => format!(", saying: {text}"),
        None => "; what it said is not shown, since it had printed something that may be the value".to_owned(),
    }
}

fn listed(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    match names.as_slice() {
        [] => "none is".to_owned(),
        [one] => format!("{one} is"),
        several => format!("{} are", several.join(", ")),
    }
}

impl Problem {
    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }

    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }

    /// What to do about it, in a sentence.
    #[must_use]
    pub fn fix(&self) -> String {
        let fixed = match self {
            Self::NotFound { near: Some(near), .. } => return format!("did you mean {near:?}?"),
            Self::NotFound { place, near: None } => {
                return if place.starts_with("region") {
                    "look at the name's spelling, and at the region: every region has secrets of its own".to_owned()
                } else {
                    "`provision secrets list` shows what there is; `provision secrets set NAME` adds one".to_owned()
                };
            }
            Self::Moved { .. } => "make a new plan: it shows the new version, and what will restart",
            Self::Empty => "put a value into the store; an empty one is always a mistake somewhere",
            Self::TooLarge => "a secret is a key or a password; put what is larger into an encrypted file of its own",
            Self::NotJson { .. } => {
                "leave the key out to use the whole value, or store a JSON object such as {\"key\": \"value\"}"
            }
            Self::NoKey { near: Some(near), .. } => return format!("did you mean {near:?}?"),
            Self::NoKey { near: None, .. } => "add the key to the JSON object in the store, or name one that it has",
            Self::NullKey { .. } => "give the key a text as its value",
            Self::PartOnly => {
                "put the whole JSON object: one key alone could not be changed without racing other writers"
            }
            Self::ReadOnly { .. } => "change the value where it comes from",
            Self::BadName { .. } => {
                "a name is letters, digits, \".\", \"_\", \"-\" and \"/\", and begins with a letter or digit"
            }
            Self::Malformed(findings) => {
                let first = findings.findings.first().and_then(|finding| finding.help.clone());
                return first.unwrap_or_else(|| format!("correct {}", findings.file));
            }
            Self::Read { .. } => "look at the file's owner and mode",
            Self::Write { .. } => "look at the directory's owner and mode, and at the free space",
            Self::Deleted => {
                "restore it (`aws secretsmanager restore-secret --secret-id …`), or take it out of the configuration"
            }
            Self::NoStage { .. } => {
                "name a label that a version has; AWSCURRENT is there always, AWSPREVIOUS after the first rotation"
            }
            Self::NoCredentials { profile: Some(profile) } => {
                return format!(
                    "log in (`aws sso login --profile {profile}`), or see to it that ~/.aws/config has the profile"
                );
            }
            Self::NoCredentials { profile: None } => {
                "log in (`aws sso login`), set AWS_PROFILE, or name the profile in secrets/stores.toml: [aws] profile = \"…\""
            }
            Self::BadCredentials { .. } => {
                "look at AWS_ACCESS_KEY_ID and AWS_PROFILE, and whether the account has the region enabled"
            }
            Self::UnusableCredentials { .. } => {
                "look at the profile and the role: `aws sts get-caller-identity` uses the same ones"
            }
            Self::Expired => "log in again: `aws sso login`, or get new session credentials",
            Self::AccessDenied { action, .. } => {
                return format!("grant {action} on this secret to the identity that the message names");
            }
            Self::KeyDenied { .. } => "grant kms:Decrypt on the secret's key, with kms:ViaService for secretsmanager",
            Self::NoRegion => "write it into secrets/stores.toml, [aws] region = \"eu-central-1\", or set AWS_REGION",
            Self::WrongRegion { .. } => "take the region out: the ARN names it already",
            Self::Throttled { .. } => "try again in a minute; other clients of this account use up its quota",
            Self::Unreachable { .. } => {
                "look at the network, at the region's spelling, and at [aws] endpoint in secrets/stores.toml"
            }
            Self::Service { .. } => {
                "try again; if it stays, the code is explained in the API reference of Secrets Manager"
            }
            Self::NoAnswer => "try again; the endpoint does not behave as Secrets Manager does",
            Self::NoStore { .. } => "begin one: `provision secrets init`",
            Self::StoreExists { .. } => "use it: `provision secrets set NAME`",
            Self::NoIdentity { .. } => {
                "set PROVISION_AGE_IDENTITY to the file of your key, or name it in secrets/stores.toml: [age] identities = [\"…\"]"
            }
            Self::WrongIdentity { .. } => {
                "let somebody who can decrypt it add your public key to [age] recipients in secrets/stores.toml and run `provision secrets rekey`"
            }
            Self::Passphrase { .. } => {
                "run it in a terminal, or use an age key without a passphrase (PROVISION_AGE_IDENTITY)"
            }
            Self::WrongPassphrase { .. } => "try again",
            Self::Writable { path, .. } => {
                return format!(
                    "chmod 644 {}, and see that nobody has changed it (`git diff`)",
                    path.display()
                );
            }
            Self::Exposed { path, .. } => return format!("chmod 600 {}", path.display()),
            Self::BadIdentity { .. } => {
                "use an SSH key of type ed25519 or rsa, or a file that `age-keygen` has written"
            }
            Self::IdentityInStore { .. } => {
                "take it out, and out of git's history; then make a new key, `provision secrets rekey`, and change every secret"
            }
            Self::RecipientsDiffer { .. } => "encrypt it to them: `provision secrets rekey`",
            Self::Swapped { .. } => "look at the file's history (`git log -p`), and set the secret again",
            Self::Unbound => "if you trust it, take it over: age -d … | provision secrets set NAME",
            Self::Corrupt { .. } => "restore the file from git, or set the secret again",
            Self::CannotStart { .. } => "look at the program's name and at PATH; no shell reads the line",
            Self::CommandFailed { .. } => "run the command by hand; it gets no input and has to print the value alone",
            Self::TimedOut { .. } => "try again; a command that waits for input or a login never ends, log in before",
            Self::Unset => "set it for this process; in CI, map the pipeline's secret to it",
        };
        fixed.to_owned()
    }
}
