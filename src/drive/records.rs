//! Asks one host of its own records: its generations, contents that it keeps, what going back takes. It changes nothing but
//! where it is told to forget.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

use provision_core::model::{Blob, Digest, History, Holder, Inventory, Observed, Past};
use provision_core::wire::{Refusal, Request, Response};

use super::look::{reads, talk, unexpected};
use super::{Channel, Events, Options, ReachError, ReachStage, Target, each, stopped};
use crate::stop::Stop;

/// Why a host did not tell of its records, or not drop them.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// It could not be reached.
    #[error(transparent)]
    Reach(ReachError),
    /// It has no such generation, or keeps it no longer.
    #[error("the host keeps no such generation")]
    NoSuchGeneration {
        /// The generations that it keeps.
        kept: BTreeSet<u64>,
    },
    /// Somebody applies to it.
    #[error("{} is applying to the host; nothing was changed", .0.who.escaped())]
    Locked(Holder),
    /// Another generation has been applied meanwhile.
    #[error("generation {found} has been applied meanwhile; nothing was changed")]
    Stale {
        /// The newest.
        found: u64,
    },
}

/// What it has that its installation did not bring.
#[must_use]
pub fn inventory(target: Target, options: &Options, stop: &Stop) -> Events<Result<Inventory, RecordsError>> {
    ask(
        target,
        vec![Request::Inventory],
        options,
        stop,
        |mut answers| match answers.pop() {
            Some(Response::Inventory(inventory)) => Ok(*inventory),
            other => Err(not_that(other)),
        },
    )
}

/// Its generations, and what they take on its disk.
#[must_use]
pub fn history(target: Target, options: &Options, stop: &Stop) -> Events<Result<History, RecordsError>> {
    ask(
        target,
        vec![Request::History],
        options,
        stop,
        |mut answers| match answers.pop() {
            Some(Response::History(history)) => Ok(*history),
            other => Err(not_that(other)),
        },
    )
}

/// These generations, in this order; `None` is the one before the newest.
#[must_use]
pub fn pasts(
    target: Target,
    generations: &[Option<u64>],
    options: &Options,
    stop: &Stop,
) -> Events<Result<Vec<Past>, RecordsError>> {
    let past = |generation: &Option<u64>| Request::Past {
        generation: *generation,
    };
    let requests = generations.iter().map(past).collect();
    ask(target, requests, options, stop, |answers| {
        let past = |answer| match answer {
            Response::Past(past) => Ok(*past),
            other => Err(not_that(Some(other))),
        };
        answers.into_iter().map(past).collect()
    })
}

/// A generation, and the host as it is: what going back takes. `None` is the one before the newest.
#[must_use]
pub fn way_back(
    target: Target,
    generation: Option<u64>,
    options: &Options,
    stop: &Stop,
) -> Events<Result<(Past, Observed), RecordsError>> {
    let requests = vec![Request::Return { generation }];
    ask(target, requests, options, stop, |answers| {
        let mut answers = answers.into_iter();
        match (answers.next(), answers.next()) {
            (Some(Response::Past(past)), Some(Response::Observed(observed))) => Ok((*past, *observed)),
            (Some(Response::Past(_)), other) | (other, _) => Err(not_that(other)),
        }
    })
}

/// Those of these contents that it keeps.
#[must_use]
pub fn contents(
    target: Target,
    digests: BTreeSet<Digest>,
    options: &Options,
    stop: &Stop,
) -> Events<Result<BTreeMap<Digest, Blob>, RecordsError>> {
    let requests = vec![Request::Contents { digests }];
    ask(target, requests, options, stop, |mut answers| match answers.pop() {
        Some(Response::Contents(contents)) => Ok(contents),
        other => Err(not_that(other)),
    })
}

/// Drops all its records, where `generation` is its newest.
#[must_use]
pub fn forget(
    target: Target,
    who: String,
    generation: u64,
    options: &Options,
    stop: &Stop,
) -> Events<Result<(), RecordsError>> {
    let requests = vec![Request::Forget { who, generation }];
    ask(target, requests, options, stop, |mut answers| match answers.pop() {
        Some(Response::Forgotten) => Ok(()),
        other => Err(not_that(other)),
    })
}

/// Sends requests to one host and reads its answers.
fn ask<T: Send + 'static>(
    target: Target,
    requests: Vec<Request>,
    options: &Options,
    stop: &Stop,
    read: impl Fn(Vec<Response>) -> Result<T, RecordsError> + Copy + Send + Sync + 'static,
) -> Events<Result<T, RecordsError>> {
    each(
        vec![(target, requests)],
        options,
        stop,
        |(target, _)| target.host.clone(),
        move |(target, requests), channel| async move {
            let answers = tokio::select! {
                answers = answers(&target, &requests, &channel) => answers?,
                () = channel.stop.wait() => return Err(RecordsError::Reach(stopped())),
            };
            read(answers)
        },
    )
}

async fn answers<T>(
    target: &Target,
    requests: &[Request],
    channel: &Channel<T>,
) -> Result<Vec<Response>, RecordsError> {
    let taken: AtomicBool = reads();
    let talk = talk(&target.host, &target.connection, requests, &taken, channel);
    let (mut session, transport) = talk.await.map_err(RecordsError::Reach)?;
    let two = |request: &&Request| matches!(request, Request::Return { .. });
    let expected = requests.len() + requests.iter().filter(two).count();
    let mut answers = Vec::with_capacity(expected);
    while answers.len() < expected {
        let patience = channel.options.patience().records();
        match session.answer_within(patience).await.map_err(RecordsError::Reach)? {
            Response::Refused(refusal) => return Err(refused(refusal)),
            answer => answers.push(answer),
        }
    }
    drop(session);
    transport.close().await;
    Ok(answers)
}

fn refused(refusal: Refusal) -> RecordsError {
    match refusal {
        Refusal::NoSuchGeneration { kept } => RecordsError::NoSuchGeneration { kept },
        Refusal::Locked(holder) => RecordsError::Locked(holder),
        Refusal::StaleGeneration { found } => RecordsError::Stale { found },
        other @ (Refusal::NoSuchRun
        | Refusal::NotWaiting
        | Refusal::NoSuchUnit { .. }
        | Refusal::NoSuchUser
        | Refusal::OtherMachine { .. }
        | Refusal::Over { .. }
        | Refusal::Stage(_)) => RecordsError::Reach(unexpected(&Response::Refused(other))),
    }
}

fn not_that(answer: Option<Response>) -> RecordsError {
    RecordsError::Reach(match answer {
        Some(answer) => unexpected(&answer),
        None => ReachError::new(ReachStage::Session, "the agent did not answer"),
    })
}
