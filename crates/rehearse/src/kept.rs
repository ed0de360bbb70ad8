//! Hosts that outlive their owner because someone wants to look around: listing them, and destroying them.
//! It does not boot them again.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::host::SSH_PORT;
use crate::slots::{self, Record, Slot, StateError, TeardownError};

/// A host that was kept. Displays as text that tells how to enter it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptHost {
    /// Its name.
    pub name: String,
    /// What tells it from others of its name, and from those only on this machine.
    pub id: String,
    /// Where it is reached from this machine.
    pub address: IpAddr,
    /// The private key that may log in as root.
    pub identity: PathBuf,
    /// The file that pins its key.
    pub known_hosts: PathBuf,
    /// Its root directory as the machine outside sees it.
    pub root: PathBuf,
    /// Whether it runs: one that was switched off, or rebooted, has only its disk left.
    pub running: bool,
}

impl fmt::Display for KeptHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} is kept ({}). To enter it:", self.name, self.id)?;
        write!(
            f,
            "  ssh -p {SSH_PORT} -o UserKnownHostsFile={} -i {} root@{}",
            self.known_hosts.display(),
            self.identity.display(),
            self.address
        )
    }
}

/// A kept host could not be destroyed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeptError {
    /// No kept host is called that.
    #[error("no kept host is called `{name}`{}", list(" (kept are ", known, ")"))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// More than one is.
    #[error("several kept hosts are called `{name}`: say which by {}", list("", ids, ""))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// What tells them apart.
        ids: Vec<String>,
    },
    /// The shared state cannot be read.
    #[error("cannot look for kept hosts")]
    State(#[source] StateError),
    /// Something of it stayed.
    #[error("cannot destroy the kept host {name}")]
    Teardown {
        /// The host.
        name: String,
        /// Why not.
        #[source]
        source: TeardownError,
    },
}

fn list(before: &str, words: &[String], after: &str) -> String {
    if words.is_empty() {
        String::new()
    } else {
        format!("{before}{}{after}", words.join(", "))
    }
}

pub(crate) fn describe(slot: Slot, record: &Record) -> KeptHost {
    KeptHost {
        name: record.name.clone(),
        id: slot.machine(),
        address: slot.network().address().into(),
        identity: slot.file("identity"),
        known_hosts: slot.file("known_hosts"),
        root: slot.file("root"),
        running: crate::cgroup::has_processes(&slot.machine()),
    }
}

fn kept_slots() -> Result<Vec<(Slot, KeptHost)>, StateError> {
    let mut kept = Vec::new();
    for slot in slots::taken()? {
        // A slot without a record is being given back.
        if let Ok(record) = slot.record()
            && record.kept
        {
            kept.push((slot, describe(slot, &record)));
        }
    }
    Ok(kept)
}

/// The hosts that were kept and not destroyed yet.
///
/// # Errors
/// When the shared state cannot be read.
pub fn list_kept() -> Result<Vec<KeptHost>, StateError> {
    Ok(kept_slots()?.into_iter().map(|(_, host)| host).collect())
}

/// Destroys a kept host, by its name or its id.
///
/// # Errors
/// When there is none of that name, or more than one, or something of it stays.
pub fn destroy_kept(name: &str) -> Result<(), KeptError> {
    let kept = kept_slots().map_err(KeptError::State)?;
    let (slot, host) = pick(&kept, name)?;
    slots::release(*slot).map_err(|source| KeptError::Teardown {
        name: host.name.clone(),
        source,
    })
}

fn pick<'a>(kept: &'a [(Slot, KeptHost)], name: &str) -> Result<&'a (Slot, KeptHost), KeptError> {
    let wanted: Vec<_> = kept
        .iter()
        .filter(|(_, host)| host.name == name || host.id == name)
        .collect();
    match wanted.as_slice() {
        [one] => Ok(one),
        [] => Err(KeptError::Unknown {
            name: name.to_owned(),
            known: kept.iter().map(|(_, host)| host.name.clone()).collect(),
        }),
        several => Err(KeptError::Ambiguous {
            name: name.to_owned(),
            ids: several.iter().map(|(_, host)| host.id.clone()).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(number: u8, name: &str) -> (Slot, KeptHost) {
        let slot = Slot { number };
        let host = KeptHost {
            name: name.to_owned(),
            id: slot.machine(),
            address: slot.network().address().into(),
            identity: slot.file("identity"),
            known_hosts: slot.file("known_hosts"),
            root: slot.file("root"),
            running: false,
        };
        (slot, host)
    }

    #[test]
    fn a_host_is_found_by_name_or_id() {
        let all = [kept(1, "friday"), kept(2, "monday"), kept(3, "monday")];
        assert_eq!(pick(&all, "friday").unwrap().0.number, 1);
        assert_eq!(pick(&all, "rehearse-3").unwrap().0.number, 3);
    }

    #[test]
    fn what_is_not_there_or_not_clear_is_refused_with_the_choices() {
        let all = [kept(2, "monday"), kept(3, "monday")];
        let error = pick(&all, "monday").unwrap_err().to_string();
        assert!(error.contains("rehearse-2, rehearse-3"), "{error}");
        let error = pick(&all[..1], "sunday").unwrap_err().to_string();
        assert!(error.contains("(kept are monday)"), "{error}");
        let error = pick(&[], "sunday").unwrap_err().to_string();
        assert_eq!(error, "no kept host is called `sunday`");
    }

    #[test]
    fn the_text_holds_a_command_that_enters() {
        let text = kept(4, "friday").1.to_string();
        assert!(
            text.contains("ssh -p 22 -o UserKnownHostsFile=/var/lib/provision-rehearse/hosts/4/known_hosts"),
            "{text}"
        );
        assert!(text.ends_with("root@10.213.4.2"), "{text}");
    }
}
