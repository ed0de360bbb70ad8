//! Confirming a run that touched the way in: over a new connection, as whoever comes next would come. It decides nothing; the
//! host does, and what it decided is read back.

use std::str::FromStr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use provision_core::model::{Connection, Decision, Digest, HostName};
use provision_core::wire::{Refusal, Request, Response};

use super::look::{talk, unexpected};
use super::{Channel, ReachError};
use crate::events::{HostOutcome, Progress};

/// The pause before it is tried again. It is long enough never to earn a penalty from sshd (PerSourcePenalties).
const PAUSE: Duration = Duration::from_secs(1);

/// Where a new connection goes, where that is not where the one before went: a plan may move the way in. What is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elsewhere {
    /// Login user.
    pub user: Option<String>,
    /// Address or DNS name.
    pub address: Option<String>,
    /// TCP port.
    pub port: Option<u16>,
}

impl Elsewhere {
    /// The way to the host once it has moved.
    #[must_use]
    pub fn of(&self, connection: &Connection) -> Connection {
        let mut moved = connection.clone();
        if let Connection::Ssh {
            address, port, user, ..
        } = &mut moved
        {
            let replace = |place: &mut Option<String>, by: &Option<String>| *place = by.clone().or(place.take());
            replace(address, &self.address);
            replace(user, &self.user);
            *port = self.port.or(*port);
        }
        moved
    }
}

/// Why a text is no place to connect to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a place to connect to is [USER@]ADDRESS[:PORT] or :PORT, such as root@203.0.113.7:2222 or :2222")]
pub struct InvalidElsewhere;

impl FromStr for Elsewhere {
    type Err = InvalidElsewhere;

    fn from_str(text: &str) -> Result<Self, InvalidElsewhere> {
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) if !user.is_empty() => (Some(user.to_owned()), rest),
            Some(_) => return Err(InvalidElsewhere),
            None => (None, text),
        };
        let (address, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, "")) => (address, None),
            Some((address, port)) => (address, Some(port.strip_prefix(':').ok_or(InvalidElsewhere)?)),
            // An IPv6 address without brackets has no port.
            None if rest.matches(':').count() > 1 => (rest, None),
            None => rest
                .split_once(':')
                .map_or((rest, None), |(address, port)| (address, Some(port))),
        };
        let port = port.map(str::parse).transpose().map_err(|_| InvalidElsewhere)?;
        let plain = |c: char| c.is_ascii_graphic() && !"@[]/".contains(c);
        if port == Some(0) || !address.chars().all(plain) || address.starts_with('-') {
            return Err(InvalidElsewhere);
        }
        let elsewhere = Self {
            user,
            address: Some(address.to_owned()).filter(|address| !address.is_empty()),
            port,
        };
        if elsewhere == Self::default() {
            return Err(InvalidElsewhere);
        }
        Ok(elsewhere)
    }
}

/// Tries again and again until the host says what it decided; `None` where the run waits for nothing any more. Why a try failed
/// is left in `problem`. It ends in no other way: whoever waits for it knows when the host has decided by itself.
pub(super) async fn confirm(
    host: &HostName,
    connection: &Connection,
    plan_id: Digest,
    problem: &std::sync::Mutex<Option<ReachError>>,
    channel: &Channel<HostOutcome>,
) -> Option<Decision> {
    channel.progress(Progress::Confirming).await;
    loop {
        match attempt(host, connection, plan_id, channel).await {
            Ok(decision) => return decision,
            Err(error) => {
                channel
                    .progress(Progress::NotConfirmed {
                        problem: super::follow::chain(&error),
                    })
                    .await;
                if let Ok(mut problem) = problem.lock() {
                    *problem = Some(error);
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn attempt(
    host: &HostName,
    connection: &Connection,
    plan_id: Digest,
    channel: &Channel<HostOutcome>,
) -> Result<Option<Decision>, ReachError> {
    let request = [Request::Confirm { plan_id }];
    let (mut session, transport) = talk(host, connection, &request, &AtomicBool::new(false), channel).await?;
    let answer = session.answer_within(channel.options.patience().word()).await?;
    drop(session);
    transport.close().await;
    match answer {
        Response::Decided(decision) => Ok(Some(decision)),
        Response::Refused(Refusal::NotWaiting | Refusal::NoSuchRun) => Ok(None),
        other => Err(unexpected(&other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_to_connect_to_are_read_and_what_is_left_out_stays() {
        let parsed = |text: &str| {
            let found: Elsewhere = text.parse().ok()?;
            Some((found.user, found.address, found.port))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(parsed(":2222"), Some((None, None, Some(2222))));
        assert_eq!(parsed("host.example"), Some((None, some("host.example"), None)));
        assert_eq!(
            parsed("bob@192.0.2.1:22"),
            Some((some("bob"), some("192.0.2.1"), Some(22)))
        );
        assert_eq!(parsed("bob@:22"), Some((some("bob"), None, Some(22))));
        assert_eq!(parsed("[2001:db8::1]:22"), Some((None, some("2001:db8::1"), Some(22))));
        assert_eq!(parsed("2001:db8::1"), Some((None, some("2001:db8::1"), None)));
        for wrong in [
            "",
            ":",
            "@x",
            "x:0",
            "x:port",
            "[::1]x",
            "a b",
            "-oProxyCommand=x",
            "x:70000",
        ] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }

        let before = Connection::Ssh {
            address: some("old"),
            port: None,
            user: some("root"),
            host_keys: vec!["key".into()],
            identity_files: Vec::new(),
            jump: None,
        };
        let Connection::Ssh {
            address,
            port,
            user,
            host_keys,
            ..
        } = ":2222".parse::<Elsewhere>().unwrap().of(&before)
        else {
            panic!("SSH stays SSH");
        };
        assert_eq!((address, port, user), (some("old"), Some(2222), some("root")));
        assert_eq!(host_keys, ["key"]);
    }
}
