//! What the text of a systemd unit says that matters here: the paths, users, groups and other units that it names, and
//! whether it ends by itself. It judges none of it; systemd does.

use crate::model::Kind;

/// What a unit's text names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    /// Absolute paths, wherever they stand.
    pub(super) paths: Vec<String>,
    /// Those of them without which it cannot start, each a file or a directory, as systemd would read them on any host.
    pub(super) needed: Vec<(Kind, String)>,
    pub(super) users: Vec<String>,
    pub(super) groups: Vec<String>,
    /// The units that it starts after.
    pub(super) after: Vec<String>,
    /// The unit that a timer, socket or path starts, where it says so.
    pub(super) starts: Option<String>,
    /// Its `Type`, where it says one.
    pub(super) service_type: Option<String>,
    /// The commands that it runs, each with the key that says when.
    pub(super) commands: Vec<(String, String)>,
    /// What it says of its variables.
    pub(super) environment: Vec<String>,
    /// Whether systemd is to end it where it does not say that it is alive.
    pub(super) watchdog: bool,
    /// Whether it may tell systemd how it is, where it says so.
    pub(super) notifies: Option<bool>,
    /// The most memory that it may use, in bytes.
    pub(super) memory_max: Option<u64>,
    /// The paths outside that it sees inside, at the same or another place.
    pub(super) bound: Vec<String>,
    /// Whether it counts as active when its program has ended, where it says so.
    pub(super) remains: Option<bool>,
}

/// Reads a unit's text, or a drop-in's (systemd.syntax(7)).
pub(super) fn named(text: &str) -> Named {
    let mut named = Named::default();
    let mut section = String::new();
    for line in lines(text) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        let words = || value.split_whitespace().map(str::to_owned);
        match (section.as_str(), key) {
            ("Unit", "After") => named.after.extend(words()),
            ("Timer" | "Path", "Unit") | ("Socket", "Service") => named.starts = Some(value.to_owned()),
            ("Service", "WatchdogSec") => named.watchdog = !matches!(value, "" | "0" | "infinity"),
            ("Service", "NotifyAccess") => named.notifies = Some(value != "none"),
            ("Service", "MemoryMax" | "MemoryLimit") => named.memory_max = bytes(value),
            ("Service", "Environment") => named.environment.push(value.to_owned()),
            ("Service", "BindPaths" | "BindReadOnlyPaths") => {
                let sources = value
                    .split_whitespace()
                    .map(|pair| pair.split(':').next().unwrap_or(pair));
                named
                    .bound
                    .extend(sources.map(|path| path.trim_start_matches('-').to_owned()));
            }
            ("Service", "Type") => named.service_type = Some(value.to_owned()),
            ("Service", "RemainAfterExit") => {
                named.remains = Some(matches!(value, "1" | "yes" | "y" | "true" | "t" | "on"));
            }
            ("Service" | "Socket", "User" | "SocketUser") => named.users.push(value.to_owned()),
            ("Service" | "Socket", "Group" | "SocketGroup" | "SupplementaryGroups") => named.groups.extend(words()),
            ("Service", key) => {
                if key.starts_with("Exec") && !value.is_empty() {
                    named.commands.push((key.to_owned(), value.to_owned()));
                }
                named.needed.extend(needed(key, value));
            }
            _ => {}
        }
        named.paths.extend(paths(value));
    }
    named
}

/// What a key of `[Service]` cannot do without: the program that it runs, the file or directory that it names. What may be
/// missing ("-"), and what only the host can tell (specifiers, variables, patterns), is not among them.
fn needed(key: &str, value: &str) -> Option<(Kind, String)> {
    let path = match key {
        "ExecStart" | "ExecStartPre" | "ExecStartPost" | "ExecCondition" | "ExecReload" | "ExecStop"
        | "ExecStopPost" => {
            // systemd.service(5), "Special executable prefixes".
            let program = value.split_whitespace().next()?;
            let bare = program.trim_start_matches(['@', ':', '+', '!', '|', '-']);
            let prefixes = program.get(..program.len() - bare.len())?;
            (!prefixes.contains('-')).then(|| bare.trim_matches(['"', '\'']))?
        }
        "EnvironmentFile" | "WorkingDirectory" => value.trim_matches('"'),
        "LoadCredential" | "LoadCredentialEncrypted" => value.split_once(':')?.1,
        _ => return None,
    };
    let path = path.trim_end_matches('/');
    let plain = path.starts_with('/') && !path.contains(['%', '$', '*', '?', '[', ' ', '\\']);
    let kind = if key == "WorkingDirectory" {
        Kind::Directory
    } else {
        Kind::File
    };
    plain.then(|| (kind, path.to_owned()))
}

/// A size as systemd writes it; what depends on the machine is none.
fn bytes(value: &str) -> Option<u64> {
    let digits = value.trim_end_matches(['K', 'M', 'G', 'T']);
    let unit = match value.get(digits.len()..)? {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// Lines without comments, with continued ones joined.
fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for line in text.lines() {
        // Comments inside of a continued line are skipped, and do not end it.
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        match line.strip_suffix('\\') {
            Some(part) => {
                open.push_str(part);
                open.push(' ');
            }
            None => {
                open.push_str(line);
                lines.push(std::mem::take(&mut open).trim().to_owned());
            }
        }
    }
    if !open.is_empty() {
        lines.push(open.trim().to_owned());
    }
    lines
}

/// The absolute paths in a value: `-/etc/default/x`, `/bin/a --config=/etc/b`, `/a:/b`, `"/quoted"`, and those of a shell's line:
/// `$(cat /a)`, `>/b`, `` `cat /c` ``.
fn paths(value: &str) -> impl Iterator<Item = String> {
    let parts = value.split(|c: char| c.is_whitespace() || r#""'=:,;()`<>&|"#.contains(c));
    parts.filter_map(|part| {
        // The prefixes of Exec lines (`-`, `@`, `+`, `!`, `|`) and of optional paths (`-`, `~`).
        let part = part.trim_start_matches(['-', '@', '+', '!', '|', '~']);
        let path = part.trim_end_matches('/');
        (part.starts_with('/') && !path.is_empty()).then(|| path.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_the_lines_of_a_shell_end_where_the_shell_ends_them() {
        let line = "/bin/sh -c 'TOKEN=$(cat /run/agenix/token) exec /opt/bot </etc/in >>/var/log/out 2>&1; x=`cat /run/a`|/bin/b'";
        let found: Vec<_> = paths(line).collect();
        let all = [
            "/bin/sh",
            "/run/agenix/token",
            "/opt/bot",
            "/etc/in",
            "/var/log/out",
            "/run/a",
            "/bin/b",
        ];
        assert_eq!(found, all);
    }

    #[test]
    fn everything_a_unit_names_is_found() {
        let named = named(
            "[Unit]\nAfter=network.target other.service\n# After=/etc/comment\n[Service]\nUser=moltbot\n\
             ExecStartPre=-/bin/check \"/etc/quoted\" \\\n  # a comment inside\n  --config=/etc/a.conf\n\
             EnvironmentFile=-/etc/default/bot\nSupplementaryGroups=a b\nBindPaths=/x:/y/\n[Timer]\nUnit=job.service\n",
        );
        assert_eq!(named.after, ["network.target", "other.service"]);
        assert_eq!(named.users, ["moltbot"]);
        assert_eq!(named.groups, ["a", "b"]);
        let paths = [
            "/bin/check",
            "/etc/quoted",
            "/etc/a.conf",
            "/etc/default/bot",
            "/x",
            "/y",
        ];
        assert_eq!(named.paths, paths);
        assert_eq!(named.starts.as_deref(), Some("job.service"));
    }

    #[test]
    fn what_a_service_cannot_start_without_is_told_from_what_it_only_names() {
        let named = named(
            "[Service]\nExecStartPre=-/opt/may-fail\nExecStart=@!\"/opt/app/run\" /opt/app/argument\nExecStart=\n\
             ExecReload=/bin/kill -HUP $MAINPID\nExecStop=/opt/%i/stop\nEnvironmentFile=-/etc/app/may-be\n\
             EnvironmentFile=/etc/app/env\nEnvironmentFile=/etc/app/*.env\nWorkingDirectory=/srv/app/\n\
             WorkingDirectory=~\nWorkingDirectory=-/srv/may-be\nLoadCredential=token:/etc/app/token\n\
             LoadCredential=inherited\nReadWritePaths=/srv/else\n[Install]\nExecStart=/not/here\n",
        );
        let needed = [
            "/opt/app/run",
            "/bin/kill",
            "/etc/app/env",
            "/srv/app",
            "/etc/app/token",
        ];
        let named: Vec<_> = named.needed.iter().map(|(_, path)| path.as_str()).collect();
        assert_eq!(named, needed);
    }
}
