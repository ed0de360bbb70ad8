//! Looking at a host, and asking how it stands. Both only read.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use provision_core::doctor::Trip;
use provision_core::model::{Connection, Desired, Examination, Examine, HostName, Observed, UnitName};
use provision_core::plan::accounts;
use provision_core::wire::{Request, Response, StatusReport};

use super::session::Session;
use super::{Channel, ReachError, ReachStage};
use crate::events::Progress;
use crate::transport::{self, Transport};

pub(super) async fn look<T>(desired: &Desired, channel: &Channel<T>) -> Result<Observed, ReachError> {
    let accounts = accounts(desired);
    let declared = desired.resources.values().map(|resource| &resource.spec);
    let specs = declared.chain(accounts.values()).cloned().collect();
    let started = Instant::now();
    let request = Request::Observe { specs };
    let (mut session, transport) = talk(&desired.host, &desired.connection, &[request], &reads(), channel).await?;
    let observed = match session.answer_within(channel.options.patience().look()).await? {
        Response::Observed(observed) => *observed,
        other => return Err(unexpected(&other)),
    };
    channel
        .progress(Progress::Observed {
            resources: observed
                .resources
                .keys()
                .filter(|id| !accounts.contains_key(*id))
                .count(),
            millis: millis(started),
        })
        .await;
    drop(session);
    transport.close().await;
    Ok(observed)
}

pub(super) async fn status<T>(
    host: &HostName,
    connection: &Connection,
    units: BTreeSet<UnitName>,
    channel: &Channel<T>,
) -> Result<StatusReport, ReachError> {
    let requests = [Request::Status { units, run: None }];
    let (mut session, transport) = talk(host, connection, &requests, &reads(), channel).await?;
    let report = match session.answer_within(channel.options.patience().look()).await? {
        Response::Status(report) => *report,
        other => return Err(unexpected(&other)),
    };
    drop(session);
    transport.close().await;
    Ok(report)
}

/// What an examination found, and when it was asked for and had.
pub(super) async fn examine<T>(
    host: &HostName,
    connection: &Connection,
    asked: Examine,
    channel: &Channel<T>,
) -> Result<(Examination, Trip), ReachError> {
    let requests = [Request::Examine(asked)];
    let (mut session, transport) = talk(host, connection, &requests, &reads(), channel).await?;
    let examination = match session.answer_within(channel.options.patience().look()).await? {
        Response::Examined(examination) => *examination,
        other => return Err(unexpected(&other)),
    };
    let trip = Trip {
        sent: since_1970(session.asked()),
        received: since_1970(SystemTime::now()),
    };
    drop(session);
    transport.close().await;
    Ok((examination, trip))
}

/// Milliseconds since 1970.
fn since_1970(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Whether the host took a request up, where that changes nothing.
pub(super) fn reads() -> AtomicBool {
    AtomicBool::new(false)
}

/// Opens a way to a host and a session on it, and tells of both. `taken` is as in [`Session::start`].
pub(super) async fn talk<T>(
    host: &HostName,
    connection: &Connection,
    requests: &[Request],
    taken: &AtomicBool,
    channel: &Channel<T>,
) -> Result<(Session, Transport), ReachError> {
    channel.progress(Progress::Connecting).await;
    let started = Instant::now();
    let transport = transport::open(host, connection, channel.options.timeout).await?;
    channel
        .progress(Progress::Connected {
            millis: millis(started),
        })
        .await;
    let session = Session::start(&transport, requests, taken, channel).await?;
    Ok((session, transport))
}

pub(super) fn unexpected(response: &Response) -> ReachError {
    let what = match response {
        Response::Hello { .. } => "a second hello",
        Response::Observed(_) => "an observation",
        Response::Event { .. } => "an event",
        Response::Decided(_) => "a decision",
        Response::Beat => "that a run goes on",
        Response::Status(_) => "a status",
        Response::Examined(_) => "an examination",
        Response::Inventory(_) => "an inventory",
        Response::Entries(_) | Response::Logged => "a journal",
        Response::Listening(_) => "who listens",
        Response::History(_) => "generations",
        Response::Past(_) => "a generation",
        Response::Contents(_) => "contents",
        Response::Forgotten => "that it has forgotten",
        Response::Refused(_) => "a refusal",
        Response::Error(_) => "an error",
    };
    ReachError::new(
        ReachStage::Session,
        format!("the agent answered with {what}, which was not asked for"),
    )
}

pub(super) fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
