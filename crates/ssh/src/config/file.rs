//! One ssh_config file and those it includes, read for one host.
//! It does not merge files into a tree: like OpenSSH it walks them once, keeping first values.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt,
    path::Path,
    time::Duration,
};

use super::{
    ConfigError, ConfigWarning, HostOptions, include_path,
    line::{self, Line},
};
use crate::{file::read_bounded, pattern};

/// As OpenSSH's READCONF_MAX_DEPTH.
pub(super) const MAX_DEPTH: usize = 16;

/// A configuration of more than 4 MiB is a mistake.
const MAX_SIZE: u64 = 4 << 20;

/// Options that change where we connect or as whom, which we do not have. Everything else that we
/// do not know either does not matter here (`ForwardAgent`, `ControlMaster`) or would only make
/// OpenSSH less strict.
const MISSED: &[&str] = &[
    "addressfamily",
    "bindaddress",
    "bindinterface",
    "canonicalizehostname",
    "certificatefile",
    "pkcs11provider",
];

/// For whom, and where from, files are read.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) alias: &'a str,
    pub(super) home: Option<&'a Path>,
    pub(super) include_base: Option<&'a Path>,
}

/// Which lines count.
#[derive(Clone, Copy)]
struct Scope {
    depth: usize,
    /// Lines before the first `Host` count.
    active: bool,
    /// No `Host` or `Match` can make lines count: the `Include` itself did not.
    never: bool,
}

impl Reader<'_> {
    pub(super) fn read(&self, path: &Path, options: &mut HostOptions) -> Result<(), ConfigError> {
        self.read_scoped(
            path,
            Scope {
                depth: 0,
                active: true,
                never: false,
            },
            options,
        )
    }

    fn read_scoped(&self, path: &Path, scope: Scope, options: &mut HostOptions) -> Result<(), ConfigError> {
        if scope.depth > MAX_DEPTH {
            return Err(ConfigError::IncludeDepth { path: path.to_owned() });
        }
        let Some(text) = read(path)? else { return Ok(()) };
        let mut active = scope.active;
        for (index, text) in text.split('\n').enumerate() {
            let number = index + 1;
            let at_line = |problem| ConfigError::Line {
                path: path.to_owned(),
                line: number,
                problem,
            };
            let Some(line) = line::split(text).map_err(at_line)? else {
                continue;
            };
            let mut warn = |ignored: String| {
                options.warnings.push(ConfigWarning {
                    path: path.to_owned(),
                    line: number,
                    ignored,
                });
            };
            match line.keyword.as_str() {
                "host" => {
                    if line.arguments.iter().any(String::is_empty) {
                        return Err(at_line("an empty Host pattern".to_owned()));
                    }
                    let patterns = line.arguments.iter().map(String::as_str);
                    active = !scope.never && pattern::list_matches(patterns, self.alias);
                }
                "match" => {
                    let all = matches!(line.arguments.as_slice(), [only] if only.eq_ignore_ascii_case("all"));
                    active = !scope.never && all;
                    if !all && !scope.never {
                        warn(format!(
                            "'Match {}' is not understood (only 'Match all' is); its block is skipped",
                            line.arguments.join(" ")
                        ));
                    }
                }
                "include" => {
                    let scope = Scope {
                        depth: scope.depth + 1,
                        active,
                        never: scope.never || !active,
                    };
                    for name in &line.arguments {
                        self.include(name, scope, options).map_err(|error| match error {
                            Included::Pattern(problem) => at_line(problem),
                            Included::File(error) => error,
                        })?;
                    }
                }
                keyword if active && MISSED.contains(&keyword) => {
                    warn(format!("{keyword} has no effect here"));
                }
                _ if active => apply(&line, options).map_err(at_line)?,
                // OpenSSH checks the arguments of inactive lines, too; so do we.
                _ => apply(&line, &mut HostOptions::default()).map_err(at_line)?,
            }
        }
        Ok(())
    }

    fn include(&self, name: &str, scope: Scope, options: &mut HostOptions) -> Result<(), Included> {
        let path = include_path(name, self.home, self.include_base)
            .ok_or_else(|| Included::Pattern(format!("cannot tell where '{name}' is")))?;
        let rules = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let files = glob::glob_with(&path.to_string_lossy(), rules)
            .map_err(|error| Included::Pattern(format!("'{name}' is not a pattern: {error}")))?;
        for file in files {
            // Like OpenSSH: what cannot be listed is not included.
            let Ok(file) = file else { continue };
            self.read_scoped(&file, scope, options).map_err(Included::File)?;
        }
        Ok(())
    }
}

/// Why an `Include` failed: its own line, or something in a file it names.
enum Included {
    Pattern(String),
    File(ConfigError),
}

/// Reads a file that nobody else can write. `None` if it is absent.
fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    let failed = |source: io::Error| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    let ours = [0, rustix::process::getuid().as_raw()].contains(&metadata.uid());
    if metadata.is_file() && (!ours || metadata.mode() & 0o022 != 0) {
        return Err(ConfigError::Writable { path: path.to_owned() });
    }
    let bytes = read_bounded(path, MAX_SIZE).map_err(failed)?.unwrap_or_default();
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|error| failed(io::Error::new(ErrorKind::InvalidData, error.utf8_error())))
}

/// Keeps the value of one line, unless an earlier one has set it.
fn apply(line: &Line, options: &mut HostOptions) -> Result<(), String> {
    let keyword = line.keyword.as_str();
    let one = || match line.arguments.as_slice() {
        [value] if value.is_empty() => Err(format!("{keyword} is empty")),
        [value] => Ok(value.clone()),
        _ => Err(format!(
            "{keyword} takes one argument, there are {}",
            line.arguments.len()
        )),
    };
    let is_none = |value: &str| value.eq_ignore_ascii_case("none");
    match keyword {
        "hostname" => keep(&mut options.host_name, one()?),
        "user" => keep(&mut options.user, one()?),
        "hostkeyalias" => keep(&mut options.host_key_alias, one()?),
        "identityagent" => keep(&mut options.identity_agent, one()?),
        "port" => {
            let value = one()?;
            let port = value.parse().ok().filter(|port| *port > 0);
            keep(
                &mut options.port,
                port.ok_or_else(|| format!("'{value}' is not a port"))?,
            );
        }
        "identitiesonly" => {
            let value = one()?;
            let flag = match value.to_ascii_lowercase().as_str() {
                "yes" | "true" => true,
                "no" | "false" => false,
                _ => return Err(format!("'{value}' is neither yes nor no")),
            };
            keep(&mut options.identities_only, flag);
        }
        "identityfile" => {
            let value = one()?;
            if !options.identity_files.contains(&value) {
                options.identity_files.push(value);
            }
        }
        "connecttimeout" => keep(&mut options.connect_timeout, duration(&one()?)?),
        "userknownhostsfile" => keep(&mut options.user_known_hosts, line.arguments.clone()),
        "globalknownhostsfile" => keep(&mut options.global_known_hosts, line.arguments.clone()),
        "revokedhostkeys" => {
            let value = one()?;
            if !is_none(&value) {
                keep(&mut options.revoked_host_keys, value);
            }
        }
        "proxyjump" => {
            let value = one()?;
            if !options.proxy_command {
                keep(&mut options.proxy_jump, value);
            }
        }
        "proxycommand" => {
            let none = matches!(line.arguments.as_slice(), [value] if is_none(value));
            match (&options.proxy_jump, none) {
                (Some(_), _) => {}
                (None, true) => options.proxy_jump = Some("none".to_owned()),
                (None, false) => options.proxy_command = true,
            }
        }
        _ => {}
    }
    Ok(())
}

fn keep<T>(slot: &mut Option<T>, value: T) {
    slot.get_or_insert(value);
}

/// OpenSSH's time format: numbers with a unit of s, m, h, d or w; seconds without one.
fn duration(text: &str) -> Result<Option<Duration>, String> {
    let wrong = || format!("'{text}' is not a time");
    if text.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    let mut seconds: u64 = 0;
    let mut number: Option<u64> = None;
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            let shifted = number
                .unwrap_or(0)
                .checked_mul(10)
                .and_then(|n| n.checked_add(digit.into()));
            number = Some(shifted.ok_or_else(wrong)?);
            continue;
        }
        let unit = match c.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86400,
            'w' => 604_800,
            _ => return Err(wrong()),
        };
        let part = number.take().ok_or_else(wrong)?.checked_mul(unit).ok_or_else(wrong)?;
        seconds = seconds.checked_add(part).ok_or_else(wrong)?;
    }
    if text.is_empty() {
        return Err(wrong());
    }
    let seconds = seconds
        .checked_add(number.unwrap_or(0))
        .filter(|s| *s <= i32::MAX as u64);
    Ok(Some(Duration::from_secs(seconds.ok_or_else(wrong)?)).filter(|limit| !limit.is_zero()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(duration("10"), Ok(Some(Duration::from_secs(10))));
        assert_eq!(duration("1m30s"), Ok(Some(Duration::from_secs(90))));
        assert_eq!(duration("1h5"), Ok(Some(Duration::from_secs(3605))));
        assert_eq!(duration("none"), Ok(None));
        assert_eq!(duration("0"), Ok(None));
        for wrong in ["", "m", "5x", "-1", "99999999999999999999", "9999999w"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
