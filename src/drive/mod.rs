//! Drives hosts, many at once: connects, brings the agent, observes, applies, follows runs. It decides nothing about
//! what a host should be, and prints nothing: it tells of everything in [`crate::events`].

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use provision_core::doctor::Trip;
use provision_core::model::{Connection, Desired, Digest, Examination, Examine, HostName, Observed, Plan, UnitName};
use provision_core::wire::StatusReport;
use tokio::sync::{Semaphore, mpsc};

use crate::events::{Event, ExecEnd, HostOutcome, Progress};
use crate::secrets::Contents;
use crate::stop::Stop;

mod confirm;
mod exec;
mod follow;
mod logs;
mod look;
mod patience;
mod records;
mod session;
mod tunnel;

use patience::Patience;

pub use crate::reach::{ReachError, ReachStage};
pub use confirm::{Elsewhere, InvalidElsewhere};
pub use logs::{LogsEnd, LogsError, logs};
pub use records::{RecordsError, contents, forget, history, inventory, pasts, way_back};
pub use tunnel::{TunnelError, Way, listening, tunnel};

/// How hosts are driven.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many hosts are worked on at once.
    pub parallel: NonZeroUsize,
    /// How long it may take to connect and log in, and then again to hear from the agent. What takes longer by its nature
    /// (a look, coming back to a run whose connection was lost) may take a small multiple of it.
    pub timeout: Duration,
    /// How long after its steps a run that touches the way in waits for its confirmation, before the host undoes it.
    pub confirm_within: Duration,
    /// Where the connection goes that confirms, where the plan moves the way in.
    pub confirm_at: Option<Elsewhere>,
}

/// How long that is where nobody says otherwise: enough for several tries over a slow line.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(60);
impl Options {
    const fn patience(&self) -> Patience {
        Patience(self.timeout)
    }
}

/// A host to talk to, where there is no plan.
#[derive(Clone, Debug)]
pub struct Target {
    /// The host.
    pub host: HostName,
    /// How it is reached.
    pub connection: Connection,
}

/// A plan to carry out.
#[derive(Clone, Debug)]
pub struct Job {
    /// How the plan's host is reached.
    pub connection: Connection,
    /// The plan; it has changes and no blockers.
    pub plan: Arc<Plan>,
    /// The contents of the secrets that it delivers.
    pub secrets: Contents,
}

/// What a run of work on hosts sends: see [`Event`]. Dropping it ends the work where hosts are consistent.
pub type Events<T> = mpsc::Receiver<Event<T>>;

/// How many events may wait for the report before hosts are made to wait.
const EVENTS_AHEAD: usize = 256;

/// Looks at hosts. Reads only.
#[must_use]
pub fn look(hosts: Vec<Arc<Desired>>, options: &Options, stop: &Stop) -> Events<Result<Observed, ReachError>> {
    each(
        hosts,
        options,
        stop,
        |desired| desired.host.clone(),
        |desired, channel| async move {
            tokio::select! {
                observed = look::look(&desired, &channel) => observed,
                () = channel.stop.wait() => Err(stopped()),
            }
        },
    )
}

/// Carries plans out. When `stop` is requested, hosts whose turn has not come end as `NotStarted`, and hosts with a
/// run in progress as `Detached`.
#[must_use]
pub fn apply(jobs: Vec<Job>, options: &Options, stop: &Stop) -> Events<HostOutcome> {
    each(
        jobs,
        options,
        stop,
        |job| job.plan.host.clone(),
        |job, channel| async move {
            if channel.stop.requested() {
                return HostOutcome::NotStarted;
            }
            let plan_id = job.plan.id();
            let run = follow::Run::Plan(&job.plan, &job.secrets);
            let begun = AtomicBool::new(false);
            tokio::select! {
                outcome = follow::follow(&job.plan.host, &job.connection, run, &begun, &channel) => outcome,
                () = channel.stop.wait() => match begun.load(Ordering::Relaxed) {
                    true => HostOutcome::Detached { plan_id },
                    false => HostOutcome::NotStarted,
                },
            }
        },
    )
}

/// Follows a run that was started before, from its first event on: the given one, or the host's newest.
#[must_use]
pub fn attach(target: Target, plan_id: Option<Digest>, options: &Options, stop: &Stop) -> Events<HostOutcome> {
    each(
        vec![target],
        options,
        stop,
        |target| target.host.clone(),
        move |target, channel| async move {
            let run = follow::Run::Before(plan_id);
            let begun = AtomicBool::new(true);
            tokio::select! {
                outcome = follow::follow(&target.host, &target.connection, run, &begun, &channel) => outcome,
                () = channel.stop.wait() => plan_id.map_or(HostOutcome::NotStarted, |plan_id| HostOutcome::Detached { plan_id }),
            }
        },
    )
}

/// Asks hosts how they stand, each with the units to tell of even when they have not failed. Reads only.
#[must_use]
pub fn status(
    targets: Vec<(Target, Vec<UnitName>)>,
    options: &Options,
    stop: &Stop,
) -> Events<Result<StatusReport, ReachError>> {
    each(
        targets,
        options,
        stop,
        |(target, _)| target.host.clone(),
        |(target, units), channel| async move {
            let units = units.into_iter().collect();
            tokio::select! {
                report = look::status(&target.host, &target.connection, units, &channel) => report,
                () = channel.stop.wait() => Err(stopped()),
            }
        },
    )
}

/// Examines hosts, each with what is asked for beyond what every host is examined for. Reads only.
#[must_use]
pub fn examine(
    targets: Vec<(Target, Examine)>,
    options: &Options,
    stop: &Stop,
) -> Events<Result<(Examination, Trip), ReachError>> {
    each(
        targets,
        options,
        stop,
        |(target, _)| target.host.clone(),
        |(target, asked), channel| async move {
            tokio::select! {
                found = look::examine(&target.host, &target.connection, asked, &channel) => found,
                () = channel.stop.wait() => Err(stopped()),
            }
        },
    )
}

/// Runs one command on hosts, without a shell. Its output comes as [`crate::events::Progress::Output`].
#[must_use]
pub fn exec(
    targets: Vec<Target>,
    argv: Vec<String>,
    options: &Options,
    stop: &Stop,
) -> Events<Result<ExecEnd, ReachError>> {
    let argv = Arc::new(argv);
    each(
        targets,
        options,
        stop,
        |target| target.host.clone(),
        move |target, channel| {
            let argv = Arc::clone(&argv);
            async move {
                tokio::select! {
                    end = exec::exec(&target.host, &target.connection, &argv, &channel) => end,
                    () = channel.stop.wait() => Err(stopped()),
                }
            }
        },
    )
}

fn stopped() -> ReachError {
    ReachError::new(ReachStage::Connect, "stopped by the user")
}

/// What the work on one host may know: its options, the wish to stop, and where to tell of what happens.
struct Channel<T> {
    host: HostName,
    options: Options,
    stop: Stop,
    sender: mpsc::Sender<Event<T>>,
}

impl<T> Channel<T> {
    /// A report that is gone no longer needs to be told.
    async fn progress(&self, progress: Progress) {
        let _ = self
            .sender
            .send(Event::Progress {
                host: self.host.clone(),
                progress,
            })
            .await;
    }
}

/// Works on hosts, as many at once as allowed, each in a task of its own: one that hangs, fails or panics is alone in it.
fn each<W, T, F, Fut>(work: Vec<W>, options: &Options, stop: &Stop, name: fn(&W) -> HostName, one: F) -> Events<T>
where
    W: Send + 'static,
    T: Send + 'static,
    F: Fn(W, Arc<Channel<T>>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = T> + Send,
{
    let (sender, receiver) = mpsc::channel(EVENTS_AHEAD);
    let permits = Arc::new(Semaphore::new(options.parallel.get()));
    let one = Arc::new(one);
    for item in work {
        let (host, sender) = (name(&item), sender.clone());
        let channel = Arc::new(Channel {
            host,
            options: options.clone(),
            stop: stop.clone(),
            sender,
        });
        let (permits, one) = (Arc::clone(&permits), Arc::clone(&one));
        tokio::spawn(async move {
            let _permit = permits.acquire().await;
            let result = one(item, Arc::clone(&channel)).await;
            let _ = channel
                .sender
                .send(Event::Finished {
                    host: channel.host.clone(),
                    result,
                })
                .await;
        });
    }
    receiver
}
