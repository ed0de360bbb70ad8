//! Follows what a unit of one host writes. It reads, and says nothing of what it reads.

use std::collections::BTreeSet;
use std::time::Duration;

use provision_core::model::Logs;
use provision_core::wire::{Refusal, Request, Response};

use super::look::{reads, talk, unexpected};
use super::{Channel, Events, Options, ReachError, Target, each};
use crate::events::Progress;
use crate::stop::Stop;

/// How long the host may take from one answer to the next, where it does not wait for what comes: a journal of gigabytes.
const ANSWER: Duration = Duration::from_secs(120);

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogsEnd {
    /// All of it was told, so many entries.
    All(u64),
    /// The user has seen enough.
    Stopped,
}

/// Why a host does not tell what a unit wrote.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// It could not be reached.
    #[error(transparent)]
    Reach(ReachError),
    /// There is no such unit, and it never wrote anything.
    #[error("there is no such unit")]
    NoSuchUnit {
        /// Those that there are.
        units: BTreeSet<String>,
        /// Users whose managers have one of that name.
        users: BTreeSet<String>,
    },
    /// There is no such user.
    #[error("there is no such user")]
    NoSuchUser,
}

/// Tells what a unit wrote, and where that is asked for, what it writes, until `stop`: as [`Progress::Logged`].
#[must_use]
pub fn logs(target: Target, asked: Logs, options: &Options, stop: &Stop) -> Events<Result<LogsEnd, LogsError>> {
    each(
        vec![(target, asked)],
        options,
        stop,
        |(target, _)| target.host.clone(),
        |(target, asked), channel| async move {
            tokio::select! {
                end = follow(&target, asked, &channel) => end,
                () = channel.stop.wait() => Ok(LogsEnd::Stopped),
            }
        },
    )
}

async fn follow<T>(target: &Target, asked: Logs, channel: &Channel<T>) -> Result<LogsEnd, LogsError> {
    let follows = asked.follow;
    let requests = [Request::Logs(asked)];
    let taken = reads();
    let talk = talk(&target.host, &target.connection, &requests, &taken, channel);
    let (mut session, transport) = talk.await.map_err(LogsError::Reach)?;
    let mut count = 0;
    loop {
        let answer = if follows {
            session.answer().await
        } else {
            session.answer_within(ANSWER).await
        };
        match answer.map_err(LogsError::Reach)? {
            Response::Entries(entries) => {
                count += entries.len() as u64;
                channel.progress(Progress::Logged(entries)).await;
            }
            Response::Logged => break,
            Response::Refused(Refusal::NoSuchUnit { units, users }) => {
                return Err(LogsError::NoSuchUnit { units, users });
            }
            Response::Refused(Refusal::NoSuchUser) => return Err(LogsError::NoSuchUser),
            other => return Err(LogsError::Reach(unexpected(&other))),
        }
    }
    drop(session);
    transport.close().await;
    Ok(LogsEnd::All(count))
}
