//! ssh_config: which options a host has, by OpenSSH's rules (first value wins, blocks by pattern).
//! It does not expand `~` or tokens, nor decide what the options mean: `route` does.

mod file;
mod line;

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use thiserror::Error;

use crate::{Environment, route::expand_home};

/// The options of one host, as written: nothing expanded, nothing defaulted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostOptions {
    /// `HostName`.
    pub host_name: Option<String>,
    /// `User`.
    pub user: Option<String>,
    /// `Port`.
    pub port: Option<u16>,
    /// Every `IdentityFile`, in order, without repetitions.
    pub identity_files: Vec<String>,
    /// `IdentitiesOnly`.
    pub identities_only: Option<bool>,
    /// `IdentityAgent`.
    pub identity_agent: Option<String>,
    /// `ProxyJump`; `none` is a value.
    pub proxy_jump: Option<String>,
    /// True if `ProxyCommand` came before any `ProxyJump`, and is not `none`.
    pub proxy_command: bool,
    /// `UserKnownHostsFile`: all files of the one line that counts.
    pub user_known_hosts: Option<Vec<String>>,
    /// `GlobalKnownHostsFile`: all files of the one line that counts.
    pub global_known_hosts: Option<Vec<String>>,
    /// `HostKeyAlias`.
    pub host_key_alias: Option<String>,
    /// `RevokedHostKeys`, unless `none`.
    pub revoked_host_keys: Option<String>,
    /// `ConnectTimeout`; `none` and 0 are `Some(None)`.
    pub connect_timeout: Option<Option<Duration>>,
    /// What was read and not obeyed.
    pub warnings: Vec<ConfigWarning>,
}

/// A line of ssh_config that applies to the host and has no effect here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigWarning {
    /// The file.
    pub path: PathBuf,
    /// Its line, from 1.
    pub line: usize,
    /// What was ignored, as a lowercase fragment.
    pub ignored: String,
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.ignored)
    }
}

/// Why ssh_config could not be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file is there and cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Someone else could have written the file, and with it decide where we connect.
    #[error(
        "{path} can be changed by others: its owner must be you or root, and its mode must not allow group or others to write"
    )]
    Writable {
        /// The file.
        path: PathBuf,
    },
    /// A line that OpenSSH would refuse, too.
    #[error("{path}:{line}: {problem}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// Files include one another too deeply.
    #[error("{path}: more than {} levels of Include", file::MAX_DEPTH)]
    IncludeDepth {
        /// The file that is one too many.
        path: PathBuf,
    },
}

/// Looks up the options of `alias` in the user's and then the system's ssh_config.
///
/// # Errors
///
/// A file that exists and cannot be read or parsed. An absent file is an empty one.
pub fn host_options(alias: &str, environment: &Environment) -> Result<HostOptions, ConfigError> {
    let mut options = HostOptions::default();
    let home = environment.home.as_deref();
    for (path, include_base) in [
        (&environment.ssh_config, home.map(|home| home.join(".ssh"))),
        (&environment.system_ssh_config, Some(PathBuf::from("/etc/ssh"))),
    ] {
        if let Some(path) = path {
            let reader = file::Reader {
                alias,
                home,
                include_base: include_base.as_deref(),
            };
            reader.read(path, &mut options)?;
        }
    }
    Ok(options)
}

/// The path an `Include` names: `~` is home, and relative names start at the configuration's
/// directory.
fn include_path(name: &str, home: Option<&Path>, base: Option<&Path>) -> Option<PathBuf> {
    let path = expand_home(name, home)?;
    if path.is_absolute() {
        Some(path)
    } else {
        base.map(|base| base.join(path))
    }
}
