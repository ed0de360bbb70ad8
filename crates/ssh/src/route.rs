//! How to reach a target: its endpoint, identities, known_hosts files and jump, after ssh_config.
//! It opens no connection and reads no key.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use thiserror::Error;

use crate::{
    Endpoint, Environment, Target,
    config::{self, ConfigError, ConfigWarning},
};

/// Everything needed to connect to a target.
#[derive(Clone, Debug)]
pub struct Route {
    /// Where to.
    pub endpoint: Endpoint,
    /// The name under which known_hosts has the host: `HostKeyAlias`, otherwise its host name.
    pub host_key_name: String,
    /// The port is part of the name in known_hosts, unless `HostKeyAlias` replaced it.
    pub host_key_port: Option<u16>,
    /// Keys named by the target or ssh_config; empty means the default ones.
    pub identity_files: Vec<PathBuf>,
    /// Offer only `identity_files`, not whatever else the agent has.
    pub identities_only: bool,
    /// The ssh-agent to use.
    pub agent_socket: Option<PathBuf>,
    /// Files with known host keys, the user's first.
    pub known_hosts: Vec<PathBuf>,
    /// The host to go through, itself perhaps through others.
    pub jump: Option<Target>,
    /// `ConnectTimeout`.
    pub connect_timeout: Option<Duration>,
    /// What ssh_config asks for and does not get.
    pub warnings: Vec<ConfigWarning>,
}

/// Why there is no way to a target.
#[derive(Debug, Error)]
pub enum RouteError {
    /// ssh_config itself is at fault.
    #[error("ssh_config cannot be used")]
    Config(#[source] ConfigError),
    /// An option needs something we do not have, and ignoring it would lead elsewhere or trust more.
    #[error("ssh_config gives '{alias}' the option {option}, which is not supported: {instead}")]
    Unsupported {
        /// The host.
        alias: String,
        /// The option.
        option: &'static str,
        /// What to do.
        instead: &'static str,
    },
    /// A value with an unknown `%` token, an environment variable, or `~user`.
    #[error("{option} '{value}' of '{alias}' cannot be expanded: {problem}")]
    Expansion {
        /// The host.
        alias: String,
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What is wrong.
        problem: String,
    },
    /// `ProxyJump` is not a list of `[user@]host[:port]`.
    #[error("'{value}' is not a jump host: write [user@]host[:port], several separated by commas")]
    Jump {
        /// What was written.
        value: String,
    },
    /// A host name or user that no SSH client takes, such as one that starts with `-`.
    #[error("'{name}' is not a name of a host or user")]
    Name {
        /// The name.
        name: String,
    },
}

/// Applies ssh_config to a target.
///
/// # Errors
///
/// ssh_config cannot be read, or asks for what this crate does not do.
pub fn route(target: &Target, environment: &Environment) -> Result<Route, RouteError> {
    let alias = &target.alias;
    let options = config::host_options(alias, environment).map_err(RouteError::Config)?;
    let unsupported = |option, instead| RouteError::Unsupported {
        alias: alias.clone(),
        option,
        instead,
    };
    if options.proxy_command && target.jump.is_none() {
        return Err(unsupported("ProxyCommand", "use ProxyJump"));
    }
    if options.revoked_host_keys.is_some() {
        return Err(unsupported(
            "RevokedHostKeys",
            "list the keys with @revoked in known_hosts",
        ));
    }

    let port = target.port.or(options.port).unwrap_or(22);
    let user = target
        .user
        .clone()
        .or(options.user)
        .unwrap_or_else(|| environment.local_user.clone());
    let key = options.host_key_alias.as_deref().unwrap_or(alias);
    let mut tokens = Tokens {
        alias,
        key,
        host: alias,
        port,
        user: &user,
        environment,
    };
    let host = match (&target.address, options.host_name) {
        (Some(address), _) => address.clone(),
        (None, Some(name)) => tokens.expand("HostName", &name, "%h")?,
        (None, None) => alias.clone(),
    };
    for name in [&host, &user] {
        if name.is_empty() || name.starts_with('-') || name.chars().any(|c| c.is_control() || c == ' ') {
            return Err(RouteError::Name { name: name.clone() });
        }
    }
    tokens.host = &host;

    let identity_files = if target.identity_files.is_empty() {
        let named = options
            .identity_files
            .iter()
            .filter(|file| !file.eq_ignore_ascii_case("none"));
        named
            .map(|file| tokens.path("IdentityFile", file))
            .collect::<Result<_, _>>()?
    } else {
        target.identity_files.clone()
    };
    let agent_socket = match options.identity_agent.as_deref() {
        None | Some("SSH_AUTH_SOCK" | "$SSH_AUTH_SOCK" | "${SSH_AUTH_SOCK}") => environment.agent_socket.clone(),
        Some(agent) if agent.eq_ignore_ascii_case("none") => None,
        Some(agent) => Some(tokens.path("IdentityAgent", agent)?),
    };
    let mut known_hosts = Vec::new();
    for (option, named, default) in [
        (
            "UserKnownHostsFile",
            options.user_known_hosts,
            &environment.user_known_hosts,
        ),
        (
            "GlobalKnownHostsFile",
            options.global_known_hosts,
            &environment.global_known_hosts,
        ),
    ] {
        match named {
            None => known_hosts.extend(default.iter().cloned()),
            Some(files) => {
                for file in files.iter().filter(|file| !file.eq_ignore_ascii_case("none")) {
                    known_hosts.push(tokens.path(option, file)?);
                }
            }
        }
    }
    let jump = target.jump.as_deref().or(options.proxy_jump.as_deref());
    let jump = jump.map(parse_jump).transpose()?.flatten();

    Ok(Route {
        host_key_name: options
            .host_key_alias
            .clone()
            .unwrap_or_else(|| host.clone())
            .to_ascii_lowercase(),
        host_key_port: options.host_key_alias.is_none().then_some(port),
        identities_only: options.identities_only.unwrap_or(false),
        connect_timeout: options.connect_timeout.flatten(),
        warnings: options.warnings,
        identity_files,
        agent_socket,
        known_hosts,
        jump,
        endpoint: Endpoint { user, host, port },
    })
}

/// The last hop of a `ProxyJump` list, which goes through the ones before it. `None` for `none`.
fn parse_jump(list: &str) -> Result<Option<Target>, RouteError> {
    if list.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    let (before, last) = match list.rsplit_once(',') {
        Some((before, last)) => (Some(before.to_owned()), last),
        None => (None, list),
    };
    let wrong = || RouteError::Jump { value: last.to_owned() };
    let hop = last
        .strip_prefix("ssh://")
        .map_or(last, |hop| hop.trim_end_matches('/'));
    let (user, place) = match hop.rsplit_once('@') {
        Some((user, place)) => (Some(user.to_owned()), place),
        None => (None, hop),
    };
    let (host, port) = match place.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']').ok_or_else(wrong)?;
            (host, rest.strip_prefix(':'))
        }
        None => match place.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (place, None),
        },
    };
    let port = port.map(|port| port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong));
    if host.is_empty() || user.as_deref() == Some("") {
        return Err(wrong());
    }
    Ok(Some(Target {
        alias: host.to_owned(),
        user,
        port: port.transpose()?,
        jump: before,
        ..Target::default()
    }))
}

/// What `%` tokens stand for.
#[derive(Clone, Copy)]
struct Tokens<'a> {
    alias: &'a str,
    key: &'a str,
    host: &'a str,
    port: u16,
    user: &'a str,
    environment: &'a Environment,
}

impl Tokens<'_> {
    /// Expands a path: `~`, then tokens.
    fn path(&self, option: &'static str, value: &str) -> Result<PathBuf, RouteError> {
        let failed = |problem: &str| self.failed(option, value, problem);
        if value.contains("${") || value.starts_with('$') {
            return Err(failed("environment variables are not read"));
        }
        let home = self.environment.home.as_deref();
        let path = expand_home(value, home)
            .ok_or_else(|| failed("only ~ and ~/ are understood, and need a home directory"))?;
        let text = path.to_str().ok_or_else(|| failed("the home directory is not UTF-8"))?;
        self.expand(option, text, "%dhiknpru").map(PathBuf::from)
    }

    /// Expands those `%` tokens of `value` that are in `allowed`.
    fn expand(&self, option: &'static str, value: &str, allowed: &str) -> Result<String, RouteError> {
        let mut expanded = String::new();
        let mut chars = value.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                expanded.push(c);
                continue;
            }
            let token = chars.next().unwrap_or(' ');
            if !allowed.contains(token) {
                let known = allowed.chars().map(|c| format!("%{c}")).collect::<Vec<_>>().join(" ");
                return Err(self.failed(option, value, &format!("%{token} is not one of {known}")));
            }
            match token {
                '%' => expanded.push('%'),
                'd' => {
                    let home = self.environment.home.as_deref().and_then(Path::to_str);
                    expanded.push_str(home.ok_or_else(|| self.failed(option, value, "there is no home directory"))?);
                }
                'h' => expanded.push_str(self.host),
                'i' => expanded.push_str(&rustix::process::getuid().as_raw().to_string()),
                'k' => expanded.push_str(self.key),
                'n' => expanded.push_str(self.alias),
                'p' => expanded.push_str(&self.port.to_string()),
                'r' => expanded.push_str(self.user),
                _ => expanded.push_str(&self.environment.local_user),
            }
        }
        Ok(expanded)
    }

    fn failed(&self, option: &'static str, value: &str, problem: &str) -> RouteError {
        RouteError::Expansion {
            alias: self.alias.to_owned(),
            option,
            value: value.to_owned(),
            problem: problem.to_owned(),
        }
    }
}

/// Replaces a leading `~`. `None` for `~user`, or if there is no home.
pub(crate) fn expand_home(path: &str, home: Option<&Path>) -> Option<PathBuf> {
    match path.strip_prefix('~') {
        None => Some(PathBuf::from(path)),
        Some("") => home.map(Path::to_owned),
        Some(rest) => rest.strip_prefix('/').and_then(|rest| home.map(|home| home.join(rest))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jump_hosts() {
        let hop = parse_jump("a,me@b:2200,[fe80::1]:22").unwrap().unwrap();
        assert_eq!((hop.alias.as_str(), hop.port), ("fe80::1", Some(22)));
        let hop = parse_jump(hop.jump.as_deref().unwrap()).unwrap().unwrap();
        assert_eq!(
            (hop.alias.as_str(), hop.user.as_deref(), hop.port),
            ("b", Some("me"), Some(2200))
        );
        let hop = parse_jump("ssh://me@c:22/").unwrap().unwrap();
        assert_eq!((hop.alias.as_str(), hop.jump), ("c", None));
        assert!(parse_jump("NONE").unwrap().is_none());
        for wrong in ["", "a:0", "a:x", "@a", "[::1", "a,"] {
            assert!(parse_jump(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_that_look_like_options_are_refused() {
        let environment = Environment {
            local_user: "me".to_owned(),
            ..Environment::default()
        };
        assert!(route(&Target::named("-oProxyCommand=x"), &environment).is_err());
        assert!(route(&Target::named("a\nb"), &environment).is_err());
    }
}
