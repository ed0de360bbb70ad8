//! One connection: requests come in frames on stdin, answers go in frames to stdout. It looks at the host and follows runs;
//! every change is a runner's, which outlives the connection.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use provision_core::model::{
    Decision, Digest, Fact, HostText, Logs, Millis, Observed, Plan, RunEvent, RunPhase, Spec, UnitName,
};
use provision_core::wire::{
    Decoder, FrameError, FrameKind, Refusal, Request, Response, SecretBytes, StatusReport, encode, encode_message,
    limits,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::armed::is_armed_for;
use crate::forget::{self, Forgotten};
use crate::generations::{self, GenerationError};
use crate::guard;
use crate::journal::{self, Follower, Journal, JournalError};
use crate::layout::Layout;
use crate::lock::{self, LockError};
use crate::logs::{self, Told};
use crate::secrets::{self, Mask, SecretError};
use crate::staging::{self, StageError};
use crate::start::{self, StartError};
use crate::words::chain;
use crate::{examine, inventory, observe, status, systemd};

/// How long a connection may say nothing. A person may think about a plan for a while; a dead link must not keep us.
const IDLE: Duration = Duration::from_secs(60 * 60);
/// How long a run may take that touches the way in, its confirmation included: one that hangs is undone then.
const GUARDED: Duration = Duration::from_secs(60 * 60);
/// How often a journal is looked at.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a started runner may take to its first event.
const FIRST_EVENT: Duration = Duration::from_secs(15);

/// Why a session ends before its end frame.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// What came is no stream of requests.
    #[error("what came on stdin is no request")]
    Frame(#[source] FrameError),
    /// A stream begins with a hello.
    #[error("the first message is not a hello")]
    NoHello,
    /// An answer has no form on the wire.
    #[error("an answer cannot be encoded")]
    Encode(#[source] serde_json::Error),
    /// stdin cannot be read.
    #[error("cannot read stdin")]
    Read(#[source] io::Error),
    /// stdout cannot be written.
    #[error("cannot write to stdout")]
    Write(#[source] io::Error),
}

/// How a session goes on after an answer.
enum Next {
    Continue,
    /// The other side is gone; nobody reads what we say.
    HungUp,
}

/// Answers requests until the other side ends the stream or goes away. A stream that is cut is no error, and no request
/// of which a part is missing is ever acted on.
///
/// # Errors
/// [`SessionError`]; where anybody still listens, they were told.
pub(crate) fn session(
    layout: &Layout,
    mut input: impl Read + AsFd,
    output: impl Write + AsFd,
) -> Result<(), SessionError> {
    let mut answers = Answers {
        output,
        sequence: 0,
        began: false,
        mask: OnceCell::new(),
    };
    let ended = answer_all(layout, &mut input, &mut answers);
    match ended {
        Ok(Next::Continue) => answers.end(),
        Ok(Next::HungUp) => Ok(()),
        Err(error) => {
            // They may be gone; then there is nobody to tell.
            let _ = answers
                .send(&Response::Error(chain(&error)))
                .and_then(|_| answers.end());
            Err(error)
        }
    }
}

fn answer_all<W: Write + AsFd>(
    layout: &Layout,
    input: &mut (impl Read + AsFd),
    answers: &mut Answers<W>,
) -> Result<Next, SessionError> {
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 64 << 10];
    let mut greeted = false;
    loop {
        while let Some(request) = decoder.next_message::<Request>().map_err(SessionError::Frame)? {
            if !greeted && !matches!(request, Request::Hello { .. }) {
                return Err(SessionError::NoHello);
            }
            greeted = true;
            if let Next::HungUp = answer(layout, request, answers)? {
                return Ok(Next::HungUp);
            }
        }
        if decoder.ended() {
            return Ok(Next::Continue);
        }
        if !wait(input.as_fd(), PollFlags::IN, IDLE).map_err(SessionError::Read)? {
            return Ok(Next::HungUp);
        }
        match input.read(&mut buffer) {
            Ok(0) => return Ok(Next::HungUp),
            Ok(count) => decoder.feed(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(SessionError::Read(error)),
        }
    }
}

fn answer<W: Write + AsFd>(layout: &Layout, request: Request, answers: &mut Answers<W>) -> Result<Next, SessionError> {
    if let Request::Hello { nonce } = request {
        return answers.send(&Response::Hello {
            nonce,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        });
    }
    let user = rustix::process::geteuid();
    if !user.is_root() {
        let words = format!("provision-agent must run as root, and runs as user {}", user.as_raw());
        return answers.send(&Response::Error(HostText::new(words)));
    }
    match request {
        Request::Hello { .. } => Ok(Next::Continue),
        Request::Observe { specs } => answers.send(&observed(layout, specs)),
        Request::Status { units, run } => answers.send(&status_report(layout, &units, run)),
        Request::Examine(asked) => answers.send(&Response::Examined(Box::new(examine::examine(layout, &asked)))),
        Request::Logs(asked) => logs(&asked, answers),
        Request::Inventory => answers.send(&Response::Inventory(Box::new(inventory::inventory()))),
        Request::Listening => answers.send(&Response::Listening(examine::listening())),
        Request::History => answers.send(&told(generations::history(layout), |history| {
            Response::History(Box::new(history))
        })),
        Request::Past { generation } => answers.send(&past(layout, generation)),
        Request::Return { generation } => {
            let past = past(layout, generation);
            let Response::Past(found) = &past else {
                return answers.send(&past);
            };
            let entries = found.receipt.iter().flat_map(|receipt| receipt.entries.values());
            let specs = entries.map(|entry| entry.spec.clone()).collect();
            match answers.send(&past)? {
                Next::Continue => answers.send(&observed(layout, specs)),
                Next::HungUp => Ok(Next::HungUp),
            }
        }
        Request::Contents { digests } => answers.send(&told(
            generations::read_contents(layout, &digests, limits::CONTENTS_BYTES),
            Response::Contents,
        )),
        Request::Forget { who, generation } => answers.send(&forgotten(layout, &who, generation)),
        Request::Apply {
            plan,
            secrets,
            confirm_within,
        } => match begin(layout, &plan, &secrets, confirm_within) {
            Ok(plan_id) => {
                answers.began = true;
                follow(layout, &plan_id, 0, answers)
            }
            Err(response) => answers.send(&response),
        },
        Request::Confirm { plan_id } => {
            let answer = confirm(layout, &plan_id, answers.began);
            answers.send(&answer)
        }
        Request::Attach { plan_id, from } => {
            if layout.run(&plan_id).root().is_dir() {
                follow(layout, &plan_id, from, answers)
            } else {
                answers.send(&Response::Refused(Refusal::NoSuchRun))
            }
        }
    }
}

/// Looks at what is asked, and at what the receipt has beyond it.
fn observed(layout: &Layout, mut specs: Vec<Spec>) -> Response {
    let holder = match lock::holder(&layout.lock()) {
        Ok(holder) => holder,
        Err(error) => return Response::Error(chain(&error)),
    };
    let receipt = generations::load(layout).map(|standing| standing.receipt);
    if let Ok(Some(receipt)) = &receipt {
        let asked: BTreeSet<_> = specs.iter().map(Spec::id).collect();
        let others = receipt.entries.iter().filter(|(id, _)| !asked.contains(id));
        specs.extend(others.map(|(_, entry)| entry.spec.clone()));
    }
    let last_run = match status::last_run(layout, receipt.as_ref().ok().and_then(Option::as_ref)) {
        Ok(last_run) => last_run,
        Err(error) => return Response::Error(chain(&error)),
    };
    Response::Observed(Box::new(Observed {
        facts: observe::facts(),
        last_run,
        lock: holder,
        resources: observe::observe(&specs),
        receipt: match receipt {
            Ok(receipt) => Fact::Known(receipt),
            Err(error) => Fact::Unknown(chain(&error)),
        },
    }))
}

fn status_report(layout: &Layout, units: &BTreeSet<UnitName>, run: Option<Digest>) -> Response {
    let holder = match lock::holder(&layout.lock()) {
        Ok(holder) => holder,
        Err(error) => return Response::Error(chain(&error)),
    };
    let last_run = generations::load(layout).and_then(|standing| match run {
        Some(plan_id) => status::run(layout, plan_id, standing.receipt),
        None => status::last_run(layout, standing.receipt.as_ref()),
    });
    let last_run = match last_run {
        Ok(last_run) => last_run,
        Err(error) => return Response::Error(chain(&error)),
    };
    Response::Status(Box::new(StatusReport {
        facts: observe::facts(),
        uptime: observe::uptime(),
        last_run,
        lock: holder,
        units: systemd::report(units).map_err(|error| chain(&error)),
    }))
}

/// Sends what a unit wrote, as it comes.
fn logs<W: Write + AsFd>(asked: &Logs, answers: &mut Answers<W>) -> Result<Next, SessionError> {
    let listener = answers
        .output
        .as_fd()
        .try_clone_to_owned()
        .map_err(SessionError::Write)?;
    let mut failed = None;
    let told = logs::tell(
        asked,
        listener.as_fd(),
        &mut |entries| match answers.send(&Response::Entries(entries)) {
            Ok(Next::Continue) => true,
            Ok(Next::HungUp) => false,
            Err(error) => {
                failed = Some(error);
                false
            }
        },
    );
    match (failed, told) {
        (Some(error), _) => Err(error),
        (None, Ok(Told::HungUp)) => Ok(Next::HungUp),
        (None, Ok(Told::All)) => answers.send(&Response::Logged),
        (None, Ok(Told::NoSuchUnit { units, users })) => {
            answers.send(&Response::Refused(Refusal::NoSuchUnit { units, users }))
        }
        (None, Ok(Told::NoSuchUser)) => answers.send(&Response::Refused(Refusal::NoSuchUser)),
        (None, Err(error)) => answers.send(&Response::Error(chain(&error))),
    }
}

fn told<T>(found: Result<T, GenerationError>, answer: impl FnOnce(T) -> Response) -> Response {
    match found {
        Ok(found) => answer(found),
        Err(error) => Response::Error(chain(&error)),
    }
}

fn past(layout: &Layout, generation: Option<u64>) -> Response {
    match generations::past(layout, generation) {
        Ok(Some(past)) => Response::Past(Box::new(past)),
        Ok(None) => told(generations::history(layout), |history| {
            let kept = history.generations.iter().map(|generation| generation.number).collect();
            Response::Refused(Refusal::NoSuchGeneration { kept })
        }),
        Err(error) => Response::Error(chain(&error)),
    }
}

fn forgotten(layout: &Layout, who: &str, generation: u64) -> Response {
    match forget::forget(layout, who, generation) {
        Ok(Forgotten::Gone) => Response::Forgotten,
        Ok(Forgotten::Locked(holder)) => Response::Refused(Refusal::Locked(*holder)),
        Ok(Forgotten::Stale { found }) => Response::Refused(Refusal::StaleGeneration { found }),
        Err(error) => Response::Error(chain(&error)),
    }
}

/// Why no run could be begun.
#[derive(Debug, thiserror::Error)]
enum BeginError {
    #[error("cannot tell who applies to this host")]
    Lock(#[source] LockError),
    #[error("cannot read the journal of an earlier run of this plan")]
    Journal(#[source] JournalError),
    #[error("cannot stage the plan")]
    Stage(#[source] StageError),
    #[error("cannot take the secrets")]
    Secrets(#[source] SecretError),
    #[error("cannot start the run")]
    Start(#[source] StartError),
}

/// Stages a plan and starts its run. Where it runs already, or died, that run is the answer; one that has ended is history.
fn begin(
    layout: &Layout,
    plan: &Plan,
    values: &BTreeMap<String, SecretBytes>,
    confirm_within: Millis,
) -> Result<Digest, Response> {
    let plan_id = plan.id();
    match earlier(layout, &plan_id).map_err(not_begun)? {
        Earlier::None => {}
        Earlier::Open => return Ok(plan_id),
        Earlier::Over(phase) => return Err(Response::Refused(Refusal::Over { phase })),
    }
    let machine = observe::facts().machine_id;
    if machine != plan.machine_id {
        return Err(Response::Refused(Refusal::OtherMachine { found: machine }));
    }
    let holder = lock::holder(&layout.lock()).map_err(|error| not_begun(BeginError::Lock(error)))?;
    match holder {
        Some(holder) if holder.plan_id == plan_id => return Ok(plan_id),
        Some(holder) => return Err(Response::Refused(Refusal::Locked(holder))),
        None => {}
    }
    staging::stage(layout, &plan_id, plan, confirm_within).map_err(|error| not_begun(BeginError::Stage(error)))?;
    if let Err(error) = secrets::stage(&plan_id, plan, values) {
        secrets::drop_all(plan, Some(&plan_id));
        return Err(not_begun(BeginError::Secrets(error)));
    }
    let limit = plan.touches_access().then_some(GUARDED);
    match start::start(layout, &plan_id, limit) {
        Ok(()) => Ok(plan_id),
        // Another connection was faster with the same plan.
        Err(_) if journal::is_written(&layout.run(&plan_id).journal()).is_ok_and(|written| written) => Ok(plan_id),
        Err(error) => {
            secrets::drop_all(plan, Some(&plan_id));
            Err(not_begun(BeginError::Start(error)))
        }
    }
}

fn not_begun(error: BeginError) -> Response {
    Response::Refused(Refusal::Stage(chain(&error)))
}

/// An earlier run of the same plan.
enum Earlier {
    None,
    /// It is at work, or died after its first change.
    Open,
    /// It has its verdict.
    Over(RunPhase),
}

/// Looks for it. One that was refused or died before its first change is forgotten here, so that it can be tried again.
fn earlier(layout: &Layout, plan_id: &Digest) -> Result<Earlier, BeginError> {
    let path = layout.run(plan_id).journal();
    if !path.exists() {
        return Ok(Earlier::None);
    }
    let Some((mut journal, events)) = Journal::open(&path).map_err(BeginError::Journal)? else {
        return Ok(Earlier::Open);
    };
    if generations::changed_something(&events) {
        let verdict = journal::phase(&events).filter(|phase| phase.is_final());
        return Ok(verdict.map_or(Earlier::Open, Earlier::Over));
    }
    journal.clear().map_err(BeginError::Journal)?;
    Ok(Earlier::None)
}

/// Takes a confirmation of a run, and tells what was decided: this, or before it something else.
fn confirm(layout: &Layout, plan_id: &Digest, began: bool) -> Response {
    if !layout.run(plan_id).root().is_dir() {
        return Response::Refused(Refusal::NoSuchRun);
    }
    match guard::is_waiting(layout, plan_id) {
        Ok(true) if !began => match guard::decide(layout, plan_id, Decision::Confirmed) {
            Ok(decision) => Response::Decided(decision),
            Err(error) => Response::Error(chain(&error)),
        },
        Ok(_) => Response::Refused(Refusal::NotWaiting),
        Err(error) => Response::Error(chain(&error)),
    }
}

/// Sends a run's events from one on, until its last.
fn follow<W: Write + AsFd>(
    layout: &Layout,
    plan_id: &Digest,
    from: u64,
    answers: &mut Answers<W>,
) -> Result<Next, SessionError> {
    let path = layout.run(plan_id).journal();
    let mut follower = Follower::new(&path);
    let until = Instant::now() + FIRST_EVENT;
    let mut dead_since: Option<Instant> = None;
    let mut told = Instant::now();
    loop {
        // Asked before reading: what a dead runner wrote is then all there is to read.
        let written = journal::is_written(&path);
        let events = match written.and_then(|written| Ok((written, follower.read()?))) {
            Ok((written, events)) => {
                let is_dead = !written && events.is_empty() && follower.number() > 0;
                // What watches a run that touches the way in takes its place in a moment.
                let replaced = is_dead && is_armed_for(layout, plan_id) && {
                    dead_since.get_or_insert_with(Instant::now).elapsed() < FIRST_EVENT
                };
                if is_dead && !replaced {
                    return match follower.number() {
                        // They have seen it.
                        number if number < from => Ok(Next::Continue),
                        number => finish(layout, plan_id, number, answers),
                    };
                }
                events
            }
            Err(error) => return answers.send(&Response::Error(chain(&error))),
        };
        let is_silent = events.is_empty();
        if !is_silent {
            told = Instant::now();
        }
        for (number, event) in events {
            let is_last = matches!(&event, RunEvent::Phase(phase) if phase.is_final());
            if number >= from
                && let Next::HungUp = answers.send(&Response::Event { number, event })?
            {
                return Ok(Next::HungUp);
            }
            if is_last {
                return Ok(Next::Continue);
            }
        }
        if is_silent {
            if follower.number() == 0 && Instant::now() >= until {
                let words = format!(
                    "the run {} has not begun; see its unit's journal on the host",
                    plan_id.short()
                );
                return answers.send(&Response::Error(HostText::new(words)));
            }
            if told.elapsed() >= limits::BEAT {
                told = Instant::now();
                if let Next::HungUp = answers.send(&Response::Beat)? {
                    return Ok(Next::HungUp);
                }
            }
            // A hang-up shows on stdout: stdin may have ended long ago.
            if wait(answers.output.as_fd(), PollFlags::empty(), PAUSE).map_err(SessionError::Write)? {
                return Ok(Next::HungUp);
            }
        }
    }
}

/// The last event of a run that died. It is not written anywhere: the next runner writes the same, under the same number.
fn finish<W: Write + AsFd>(
    layout: &Layout,
    plan_id: &Digest,
    number: u64,
    answers: &mut Answers<W>,
) -> Result<Next, SessionError> {
    let recorded: Result<_, GenerationError> = generations::recorded(layout);
    match recorded {
        Ok(receipt) => {
            let outcome = receipt
                .filter(|receipt| receipt.plan_id == *plan_id)
                .map(|receipt| receipt.outcome);
            let phase = outcome.map_or(RunPhase::Interrupted, generations::final_phase);
            answers.send(&Response::Event {
                number,
                event: RunEvent::Phase(phase),
            })
        }
        Err(error) => answers.send(&Response::Error(chain(&error))),
    }
}

/// Where answers go.
struct Answers<W> {
    output: W,
    sequence: u32,
    /// Whether a run was begun on this stream: then it is not the new one that a confirmation takes.
    began: bool,
    /// Masks the secrets that are in the host's memory. It is made when the first answer needs it.
    mask: OnceCell<Option<Mask>>,
}

impl<W: Write> Answers<W> {
    fn send(&mut self, response: &Response) -> Result<Next, SessionError> {
        let mask = match response {
            // Contents go back to where they came from, and are checked by their digests.
            Response::Hello { .. } | Response::Contents(_) => None,
            _ => self.mask.get_or_init(Mask::of_memory).as_ref(),
        };
        let bytes = match mask {
            Some(mask) => mask
                .json(response)
                .and_then(|response| encode_message(&response, &mut self.sequence)),
            None => encode_message(response, &mut self.sequence),
        };
        self.write(&bytes.map_err(SessionError::Encode)?)
    }

    fn end(&mut self) -> Result<(), SessionError> {
        let bytes = encode(FrameKind::End, self.sequence, &[]);
        self.write(&bytes).map(|_| ())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<Next, SessionError> {
        match self.output.write_all(bytes).and_then(|()| self.output.flush()) {
            Ok(()) => Ok(Next::Continue),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Next::HungUp),
            Err(error) => Err(SessionError::Write(error)),
        }
    }
}

/// Waits for a descriptor to be ready, or its other side to go; `false` when the time is over.
fn wait(fd: impl AsFd, flags: PollFlags, patience: Duration) -> io::Result<bool> {
    let timeout = Timespec::try_from(patience).map_err(io::Error::other)?;
    let mut fds = [PollFd::from_borrowed_fd(fd.as_fd(), flags)];
    match poll(&mut fds, Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
