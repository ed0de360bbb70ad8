//! Following a run on a host: hands the plan over, reads the journal's events, and comes back after a lost connection.
//! The host's journal is the verdict: an end that was not read from it is reported as unknown.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use provision_core::model::{
    Connection, Digest, HostName, HostText, Millis, Plan, ResourceId, RunEvent, RunPhase, StepError,
};
use provision_core::wire::{Refusal, Request, Response, StatusReport};

use super::confirm;
use super::look::{millis, talk, unexpected};
use super::{Channel, ReachError, ReachStage};
use crate::events::{HostOutcome, Progress, Refused};
use crate::secrets::Contents;

/// The pauses before the tries to come back to a run, in seconds; the last one again and again. They are long enough
/// never to earn a penalty from sshd (PerSourcePenalties), and short enough that a link that is back is soon used.
const PAUSES: [u64; 4] = [1, 2, 4, 8];

/// What to follow.
pub(super) enum Run<'a> {
    /// A plan that may not be on the host yet, and the contents of the secrets that it delivers.
    Plan(&'a Plan, &'a Contents),
    /// A run that somebody started before; `None` is the host's newest.
    Before(Option<Digest>),
}

/// Follows a run to its end. `begun` is set from the moment on from which the host may have begun: a connection that is
/// lost after it says nothing about what happened there.
pub(super) async fn follow(
    host: &HostName,
    connection: &Connection,
    run: Run<'_>,
    begun: &AtomicBool,
    channel: &Channel<HostOutcome>,
) -> HostOutcome {
    let mut verdict = Verdict::default();
    let plan_id = match &run {
        Run::Plan(plan, _) => plan.id(),
        Run::Before(Some(plan_id)) => *plan_id,
        Run::Before(None) => match newest(host, connection, channel).await {
            Ok(Some(plan_id)) => plan_id,
            Ok(None) => return HostOutcome::Refused(Refused::NoSuchRun),
            Err(error) => return HostOutcome::Unreachable(error),
        },
    };
    if matches!(run, Run::Before(_)) {
        begun.store(true, Ordering::Relaxed);
    }
    let mut hand_over = matches!(run, Run::Plan(..));
    let moved = match &channel.options.confirm_at {
        Some(elsewhere) => elsewhere.of(connection),
        None => connection.clone(),
    };
    let within = u64::try_from(channel.options.confirm_within.as_millis()).unwrap_or(u64::MAX);
    let mut tries = 0;
    let mut lost_since: Option<Instant> = None;
    loop {
        let request = match &run {
            Run::Plan(plan, secrets) if hand_over => Request::Apply {
                plan: Box::new((*plan).clone()),
                secrets: (*secrets).clone(),
                confirm_within: Millis(within),
            },
            Run::Plan(..) | Run::Before(_) => Request::Attach {
                plan_id,
                from: verdict.events,
            },
        };
        let before = verdict.events;
        // Once the steps are over, the old way in may be gone for good.
        let way = if verdict.touches { &moved } else { connection };
        let error = match watch(host, (way, &moved), request, plan_id, &mut verdict, begun, channel).await {
            Ok(Watched::Ended(status)) => return verdict.outcome(plan_id, status.as_deref()),
            Ok(Watched::Refused(Refusal::NoSuchRun)) if matches!(run, Run::Plan(..)) && !hand_over => {
                // The connection broke before the plan was on the host: nothing has happened there.
                begun.store(false, Ordering::Relaxed);
                hand_over = true;
                continue;
            }
            Ok(Watched::Refused(refusal)) => return refused(refusal),
            Err(error) if !begun.load(Ordering::Relaxed) => return HostOutcome::Unreachable(error),
            // Whoever answers there now is not the host, or not provably so: it is not to be asked again and again.
            Err(error) if error.stage == ReachStage::HostKey => return HostOutcome::Unknown { plan_id, error },
            Err(error) => error,
        };
        if verdict.events > before {
            tries = 0;
            lost_since = None;
        }
        channel
            .progress(Progress::ConnectionLost { problem: chain(&error) })
            .await;
        let pause = PAUSES.get(tries).or(PAUSES.last()).copied().unwrap_or_default();
        let pause = Duration::from_secs(pause);
        let waited = lost_since.get_or_insert_with(Instant::now).elapsed();
        // A host that undoes what has cut us off needs its time before it can be reached again.
        let undone = if verdict.touches {
            channel.options.confirm_within
        } else {
            Duration::ZERO
        };
        if waited + pause > channel.options.patience().back() + undone {
            return HostOutcome::Unknown { plan_id, error };
        }
        tokio::time::sleep(pause).await;
        tries += 1;
        let attempt = u32::try_from(tries).unwrap_or(u32::MAX);
        channel.progress(Progress::Reattaching { attempt }).await;
        hand_over = false;
    }
}

enum Watched {
    /// The journal has reached its end. The status says what the host recorded, where it could be asked.
    Ended(Option<Box<StatusReport>>),
    Refused(Refusal),
}

async fn watch(
    host: &HostName,
    (connection, moved): (&Connection, &Connection),
    request: Request,
    plan_id: Digest,
    verdict: &mut Verdict,
    begun: &AtomicBool,
    channel: &Channel<HostOutcome>,
) -> Result<Watched, ReachError> {
    let requests = [
        request,
        Request::Status {
            units: Default::default(),
            run: Some(plan_id),
        },
    ];
    let (mut session, transport) = talk(host, connection, &requests, begun, channel).await?;
    // After a connection that broke between the last event and the status, only the status is left to hear.
    let unconfirmed = Arc::clone(&verdict.unconfirmed);
    let confirming = confirm::confirm(host, moved, plan_id, &unconfirmed, channel);
    tokio::pin!(confirming);
    let mut decided = false;
    let patience = channel.options.patience();
    let mut limit = patience.begin();
    while !verdict.ended() {
        let answer = tokio::select! {
            answer = session.answer_within(limit) => answer?,
            // What the host decided shows in its journal, too: that is what is told.
            _ = &mut confirming, if verdict.phase == Some(RunPhase::Unconfirmed) && !decided => {
                decided = true;
                continue;
            }
        };
        limit = patience.silence();
        match answer {
            Response::Beat => {}
            Response::Event { number, event } if number == verdict.events => {
                verdict.take(&event);
                channel.progress(Progress::Run { number, event }).await;
            }
            Response::Event { number, .. } => {
                let text = format!("event {number} came where {} is next", verdict.events);
                return Err(ReachError::new(ReachStage::Session, text));
            }
            Response::Refused(refusal) => return Ok(Watched::Refused(refusal)),
            other => return Err(unexpected(&other)),
        }
    }
    let status = match session.answer_within(patience.look()).await {
        Ok(Response::Status(status)) => Some(status),
        // Success is told only with what the host has recorded; of other ends the journal has told enough.
        Err(error) if verdict.phase == Some(RunPhase::Confirmed) => return Err(error),
        Ok(_) | Err(_) => None,
    };
    drop(session);
    transport.close().await;
    Ok(Watched::Ended(status))
}

async fn newest(
    host: &HostName,
    connection: &Connection,
    channel: &Channel<HostOutcome>,
) -> Result<Option<Digest>, ReachError> {
    let report = super::look::status(host, connection, Default::default(), channel).await?;
    Ok(report.last_run.map(|run| run.plan_id))
}

/// What the events so far say.
#[derive(Default)]
struct Verdict {
    events: u64,
    phase: Option<RunPhase>,
    started: Option<Instant>,
    /// How long the finished steps took, in milliseconds.
    worked: u64,
    done: usize,
    failed: Option<(usize, StepError)>,
    error: Option<HostText>,
    /// Whether it touches the way in, as its journal says.
    touches: bool,
    /// Why it could not be confirmed, where a try failed.
    unconfirmed: Arc<Mutex<Option<ReachError>>>,
    not_undone: BTreeMap<ResourceId, HostText>,
    outcome: Option<HostOutcome>,
}

impl Verdict {
    fn take(&mut self, event: &RunEvent) {
        self.events += 1;
        self.started.get_or_insert_with(Instant::now);
        match event {
            RunEvent::Phase(phase) => {
                self.phase = Some(*phase);
                self.touches |= *phase == RunPhase::Unconfirmed;
            }
            RunEvent::NotUndone(left) => self.not_undone = left.clone(),
            RunEvent::Moved(moved) => self.outcome = Some(HostOutcome::Refused(Refused::Moved(moved.clone()))),
            RunEvent::StaleGeneration { planned, found } => {
                let stale = Refused::StaleGeneration {
                    planned: *planned,
                    found: *found,
                };
                self.outcome = Some(HostOutcome::Refused(stale));
            }
            RunEvent::Locked(holder) => self.outcome = Some(HostOutcome::Locked(holder.clone())),
            RunEvent::Error(text) => self.error = Some(text.clone()),
            RunEvent::Done { millis, .. } => {
                self.done += 1;
                self.worked = self.worked.saturating_add(*millis);
            }
            RunEvent::StepFailed { step, error } => self.failed = Some((*step, error.clone())),
            RunEvent::Waiting { .. } | RunEvent::Started { .. } | RunEvent::Output { .. } => {}
        }
    }

    fn ended(&self) -> bool {
        self.phase.is_some_and(RunPhase::is_final)
    }

    /// The outcome, from the journal's last phase and from what the host says it recorded.
    fn outcome(self, plan_id: Digest, status: Option<&StatusReport>) -> HostOutcome {
        // Whoever attaches later sees the events at once; what the steps took by the host's clock is the least it was.
        let millis = self.started.map_or(0, millis).max(self.worked);
        let recorded = status
            .and_then(|status| status.last_run.as_ref())
            .filter(|run| run.plan_id == plan_id);
        let generation = recorded.and_then(|run| run.generation);
        let problem = |text: &str| StepError {
            problem: HostText::from(text),
            output: Vec::new(),
            fix: None,
        };
        match self.phase {
            Some(RunPhase::Confirmed) => match generation {
                Some(generation) => HostOutcome::Changed {
                    generation,
                    steps: self.done,
                    millis,
                },
                // Its journal says that it is recorded, and it could not be asked which generation that is.
                None => HostOutcome::Unknown {
                    plan_id,
                    error: ReachError::new(
                        ReachStage::Session,
                        "the run ended well, and the host could not be asked what it has recorded",
                    ),
                },
            },
            Some(RunPhase::Refused) => self.outcome.unwrap_or_else(|| {
                let text = self
                    .error
                    .unwrap_or_else(|| HostText::from("the host does not say why"));
                HostOutcome::Refused(Refused::Host(text))
            }),
            Some(RunPhase::RolledBack) => HostOutcome::RolledBack {
                failed: self.failed,
                unconfirmed: self.unconfirmed.lock().ok().and_then(|mut problem| problem.take()),
                not_undone: self.not_undone,
                done: self.done,
                generation,
                millis,
            },
            Some(RunPhase::Interrupted) => HostOutcome::Failed {
                step: None,
                error: StepError {
                    fix: Some("apply again: what was not done will be".into()),
                    // What it could still say is why; otherwise nobody knows.
                    ..match self.error {
                        Some(text) => problem(text.untrusted()),
                        None => problem("the run was killed on the host"),
                    }
                },
                done: self.done,
                generation,
                millis,
            },
            _ => {
                let (step, error) = match self.failed {
                    Some((step, error)) => (Some(step), error),
                    None => {
                        let text = self
                            .error
                            .unwrap_or_else(|| HostText::from("the host does not say why"));
                        (
                            None,
                            StepError {
                                problem: text,
                                output: Vec::new(),
                                fix: None,
                            },
                        )
                    }
                };
                HostOutcome::Failed {
                    step,
                    error,
                    done: self.done,
                    generation,
                    millis,
                }
            }
        }
    }
}

fn refused(refusal: Refusal) -> HostOutcome {
    match refusal {
        Refusal::Locked(holder) => HostOutcome::Locked(holder),
        Refusal::NoSuchRun => HostOutcome::Refused(Refused::NoSuchRun),
        Refusal::OtherMachine { found } => HostOutcome::Refused(Refused::OtherMachine { found }),
        Refusal::Over { phase } => HostOutcome::Refused(Refused::Over { phase }),
        Refusal::Stage(text) => HostOutcome::Refused(Refused::Host(text)),
        // Answers to questions about records, which were not asked.
        Refusal::NoSuchGeneration { .. }
        | Refusal::StaleGeneration { .. }
        | Refusal::NotWaiting
        | Refusal::NoSuchUnit { .. }
        | Refusal::NoSuchUser => HostOutcome::Refused(Refused::Host(HostText::from("it answers to another request"))),
    }
}

/// An error and its causes in one line.
pub(super) fn chain(error: &ReachError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
