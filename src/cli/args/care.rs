//! The command lines that look after running hosts: what is wrong with them, and what they say. What they do is the commands'.

use clap::Args;
use provision_core::model::Since;
use provision_core::wire::limits::ENTRIES;

use super::{Connect, Selection};

/// `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Looks, in one round trip and without changing anything, for failed units with their last lines, kills for want of memory, \
full memory, disks and inodes, inotify use by user (from 80 % of a limit), ports that somebody else took, certificates \
about to expire, a wrong clock, pending reboots and replaced code, held locks, and applies that did not end. What could \
not be looked at is said, and is no sign of health.

Exit codes: 0 nothing is wrong; 2 only warnings, or something could not be looked at; 3 a problem; 4 a host could not be \
reached.

Examples:
  provision doctor
  provision doctor web-1 -v                also what was seen where nothing is wrong
  provision doctor --json | jq '.hosts[].findings[].name'")]
pub struct Doctor {
    /// Which hosts.
    #[command(flatten)]
    pub selection: Selection,
    /// How hosts are connected to.
    #[command(flatten)]
    pub connect: Connect,
}

/// `logs`.
#[derive(Debug, Args)]
#[command(after_help = "\
Times are in UTC. Nothing that a unit writes can steer your terminal: control characters are shown as what they are. \
Ctrl-C ends --follow, with exit code 0.

Examples:
  provision logs web-1 nginx                        the newest 100 entries; .service may be left out
  provision logs web-1 nginx --since 2h --lines 1000
  provision logs web-1 backup.timer --since '2026-11-25 14:00'
  provision logs web-1 bot --user bob --follow      a unit of bob's own manager
  provision logs web-1 nginx --json | jq -r .message")]
pub struct Logs {
    /// The host
    #[arg(value_name = "HOST")]
    pub host: String,
    /// The unit
    #[arg(value_name = "UNIT")]
    pub unit: String,
    /// How many of the newest entries
    #[arg(short = 'n', long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=i64::from(ENTRIES)))]
    pub lines: u32,
    /// Then go on with what comes
    #[arg(short, long)]
    pub follow: bool,
    /// Only from then on: 45s, 30m, 2h or 7d ago; or a time in UTC, such as '2026-11-25 14:00'
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Since>,
    /// Whose manager the unit belongs to [default: the system's]
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// How the host is connected to.
    #[command(flatten)]
    pub connect: Connect,
}

/// `tunnel`.
#[derive(Debug, Args)]
#[command(after_help = "\
For a unit it is the port that its module claims in [ports.…], or else the one that it is found listening on. The tunnel \
goes through the SSH connection, begins at this machine's loopback, and prints its URL. Ctrl-C closes it and every \
connection through it, with exit code 0.

Examples:
  provision tunnel moltbot openclaw-moltbot         then open the printed URL
  provision tunnel db-1 5432 --local 15432
  provision tunnel web-1 8080 --json")]
pub struct Tunnel {
    /// The host
    #[arg(value_name = "HOST")]
    pub host: String,
    /// The unit, or a port of the host's loopback
    #[arg(value_name = "UNIT|PORT")]
    pub to: String,
    /// The port here [default: the same one, or any that is free]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub local: Option<u16>,
    /// How the host is connected to.
    #[command(flatten)]
    pub connect: Connect,
}

/// `adopt`.
#[derive(Debug, Args)]
#[command(after_help = "\
Reads packages that were asked for, users and groups with the keys that may log in, files that no package owns in the \
usual places of /etc, changed configuration files, and units and timers of the machine's own, and writes \
hosts/NAME.toml, with large contents below files/NAME/. It is planned on the machine before it is written: what a plan \
would change is left out, so the plan of the written file is empty. What is left out, and why, stands in its comments; \
contents that not everybody may read, or that look like keys or tokens, never leave the machine. Changes nothing on it.

Examples:
  provision adopt web-1 --address 192.0.2.10
  provision adopt web-2                       reached as ~/.ssh/config says
  provision adopt web-1 --force               over a host file that is there, whose [host] table stays")]
pub struct Adopt {
    /// The host's name: a-z, 0-9 and "-"
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Its address or DNS name [default: its name, as ~/.ssh/config has it]
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<String>,
    /// The port of its sshd
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Whom to log in as
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Its host key, as "ssh-ed25519 AAAA…" [default: as known_hosts has it]
    #[arg(long, value_name = "KEY")]
    pub host_key: Option<String>,
    /// The private key to log in with
    #[arg(long, value_name = "FILE")]
    pub identity_file: Option<String>,
    /// Write over the host file that is there
    #[arg(long)]
    pub force: bool,
    /// How the host is connected to.
    #[command(flatten)]
    pub connect: Connect,
}

/// Reads a moment: so long ago, or a time in UTC.
fn since(text: &str) -> Result<Since, String> {
    let ago = || {
        let unit = text.chars().next_back()?;
        let factor = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(factor).map(Since::Ago)
    };
    ago().or_else(|| at(text).map(Since::At)).ok_or_else(|| {
        "write how long ago, such as 30m, 2h or 7d, or a time in UTC, such as '2026-11-25 14:00'".to_owned()
    })
}

/// Seconds since 1970 of `2026-11-25`, `2026-11-25 14:00` or `2026-11-25 14:00:05`; a `T` may stand for the blank.
fn at(text: &str) -> Option<u64> {
    let text = text.trim().trim_end_matches(['Z', 'z']);
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00"));
    let number = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<u64>().ok()).flatten()
    };
    let date: Vec<_> = date.split('-').map(number).collect::<Option<_>>()?;
    let time: Vec<_> = time.split(':').map(number).collect::<Option<_>>()?;
    let [year @ 1970..=9999, month @ 1..=12, day @ 1..=31] = date[..] else {
        return None;
    };
    let (hour, minute, second) = match time[..] {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = |month: u64| match month {
        2 => 28 + u64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day > length(month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let years: u64 = (1970..year).map(|year| 365 + u64::from(leap(year))).sum();
    let days = years + (1..month).map(length).sum::<u64>() + day - 1;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        for (text, moment) in [
            ("45s", Since::Ago(45)),
            ("2h", Since::Ago(7_200)),
            ("7d", Since::Ago(604_800)),
            ("1970-01-01", Since::At(0)),
            ("2000-02-29 00:00", Since::At(951_782_400)),
            ("2024-03-01T00:00:00Z", Since::At(1_709_251_200)),
            ("2100-03-01", Since::At(4_107_542_400)),
            ("2026-11-20 18:50:14", Since::At(1_795_200_614)),
        ] {
            assert_eq!(since(text), Ok(moment), "{text}");
        }
        for text in [
            "",
            "h",
            "-1h",
            "1w",
            "2026-02-29",
            "2026-13-01",
            "2026-11-25 24:00",
            "yesterday",
            "1 2",
            "2026-11",
        ] {
            assert!(since(text).is_err(), "{text}");
        }
    }
}
