//! Progress of an apply while it goes on: a line per host that is redrawn on a terminal, plain lines elsewhere, and
//! one JSON line per event for programs. It holds no results: the recap and the outcomes do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use provision_core::model::{HostName, Plan, RunEvent};

use super::style::{Palette, paint};
use super::{event_json, outcome, words};
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::events::{HostOutcome, Progress};

/// How often lines on a terminal are redrawn.
pub const TICK: Duration = Duration::from_millis(100);

/// The progress of an apply on hosts, told event by event.
pub struct ProgressView<'a> {
    ui: &'a Ui,
    plans: BTreeMap<HostName, Arc<Plan>>,
    width: usize,
    /// Lines that are redrawn; `None` where nothing can be.
    live: Option<Live>,
}

struct Live {
    lines: MultiProgress,
    hosts: BTreeMap<HostName, LiveHost>,
}

struct LiveHost {
    bar: ProgressBar,
    since: Instant,
    now: String,
}

impl<'a> ProgressView<'a> {
    /// The progress of an apply on these hosts; plans are given where they are known.
    pub fn new(ui: &'a Ui, hosts: impl Iterator<Item = HostName>, plans: BTreeMap<HostName, Arc<Plan>>) -> Self {
        let width = hosts.map(|host| host.as_str().len()).max().unwrap_or(0);
        let live = ui.live().then(|| Live {
            lines: MultiProgress::new(),
            hosts: BTreeMap::new(),
        });
        Self { ui, plans, width, live }
    }

    /// Tells of one event.
    pub fn progress(&mut self, host: &HostName, progress: &Progress) {
        if self.ui.json() {
            if let Some(line) = event_json::progress_line(host, progress) {
                self.ui.result(&line);
            }
            return;
        }
        let plan = self.plans.get(host).map(Arc::as_ref);
        let line = Line::of(plan, progress, self.ui.verbose());
        if self.live.is_some() {
            if let Some(now) = line.now {
                self.redraw(host, now);
            }
            if line.lasting || self.ui.verbose() {
                self.print(host, line.text);
            }
        } else {
            self.print(host, line.text);
        }
    }

    /// Tells of a host's end.
    pub fn finished(&mut self, host: &HostName, end: &HostOutcome) {
        if self.ui.json() {
            let plan = self.plans.get(host).map(Arc::as_ref);
            self.ui.result(&event_json::outcome_line(host, end, plan));
            return;
        }
        if let Some(shown) = self.live.as_mut().and_then(|live| live.hosts.remove(host)) {
            shown.bar.finish_and_clear();
        }
        self.print(host, Some(end_words(end, self.ui.talk())));
    }

    /// Says something beside the hosts' lines.
    pub fn note(&self, text: &str) {
        self.write(text);
    }

    /// Lets the clocks on the lines go on.
    pub fn tick(&self) {
        for host in self.live.iter().flat_map(|live| live.hosts.values()) {
            host.show();
        }
    }

    fn redraw(&mut self, host: &HostName, now: String) {
        let name = format!("{host:<width$}", width = self.width);
        let Some(live) = &mut self.live else { return };
        let shown = live.hosts.entry(host.clone()).or_insert_with(|| {
            let bar = ProgressBar::no_length().with_prefix(name);
            // The template is a constant that a test renders.
            if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
                bar.set_style(style);
            }
            LiveHost {
                bar: live.lines.add(bar),
                since: Instant::now(),
                now: String::new(),
            }
        });
        shown.now = now;
        shown.since = Instant::now();
        shown.show();
    }

    fn print(&self, host: &HostName, text: Option<String>) {
        let Some(text) = text else { return };
        let name = paint(self.ui.talk().faint(), format_args!("[{host}]"));
        let pad = " ".repeat(self.width.saturating_sub(host.as_str().len()));
        self.write(&format!("{name}{pad} {text}\n"));
    }

    fn write(&self, text: &str) {
        match &self.live {
            Some(live) => live.lines.suspend(|| self.ui.say(text)),
            None => self.ui.say(text),
        }
    }
}

const TEMPLATE: &str = "{spinner} {prefix}  {wide_msg}";

impl LiveHost {
    fn show(&self) {
        let seconds = self.since.elapsed().as_secs();
        let time = if seconds > 0 {
            format!("  {seconds}s")
        } else {
            String::new()
        };
        self.bar.set_message(format!("{}{time}", self.now));
        self.bar.tick();
    }
}

/// What one event says: as a line of its own, and as what the host is doing now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// A line of its own, where lines are not redrawn.
    pub(super) text: Option<String>,
    /// What the host is doing now, where they are.
    pub(super) now: Option<String>,
    /// Whether the line of its own is worth keeping on a terminal as well.
    lasting: bool,
}

impl Line {
    fn plain(text: impl Into<String>) -> Self {
        Self {
            text: Some(text.into()),
            ..Self::default()
        }
    }

    fn now(text: impl Into<String>) -> Self {
        Self {
            now: Some(text.into()),
            ..Self::default()
        }
    }

    fn both(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            now: Some(text.clone()),
            ..Self::plain(text)
        }
    }

    const fn lasting(mut self) -> Self {
        self.lasting = true;
        self
    }

    pub(super) fn of(plan: Option<&Plan>, progress: &Progress, verbose: bool) -> Self {
        match progress {
            Progress::Connecting => Self::now("connecting"),
            Progress::Connected { millis } => Self::now(format!("connected in {}", words::duration(*millis))),
            Progress::UploadingAgent { bytes } => Self::both(format!("uploading the agent ({})", words::bytes(*bytes))),
            Progress::Observed { resources, .. } => Self::now(format!("saw {}", words::count(*resources, "resource"))),
            Progress::Run { event, .. } => Self::of_run(plan, event, verbose),
            Progress::ConnectionLost { problem } => Self::both(format!(
                "connection lost ({}); the run goes on on the host",
                words::safe(problem)
            ))
            .lasting(),
            Progress::Reattaching { attempt } => Self::both(format!("re-attaching (try {attempt})")),
            Progress::Confirming => {
                Self::both("the steps are over; confirming over a new connection that the way in is still there")
            }
            Progress::NotConfirmed { problem } => {
                Self::both(format!("not confirmed yet ({}); trying again", words::safe(problem))).lasting()
            }
            Progress::Output { line, .. } => Self::plain(line.escaped()).lasting(),
            Progress::Logged(_) => Self::now("it writes"),
            Progress::TunnelOpen { local } => Self::both(format!("a tunnel begins at {local}")),
            Progress::TunnelFailed { problem } => Self::both(words::safe(problem)),
        }
    }

    fn of_run(plan: Option<&Plan>, event: &RunEvent, verbose: bool) -> Self {
        let at = |step: usize| match plan {
            Some(plan) => format!("{}/{}", step + 1, plan.steps.len()),
            None => format!("step {}", step + 1),
        };
        let op = |step: usize| plan.and_then(|plan| plan.steps.get(step)).map(|step| &step.op);
        let what = |step: usize| op(step).map_or_else(String::new, |op| format!(" {}", words::op(op)));
        match event {
            RunEvent::Phase(phase) if verbose => Self::both(words::phase(*phase)),
            RunEvent::Phase(phase) => Self::now(words::phase(*phase)),
            RunEvent::Waiting { step, on } => {
                Self::both(format!("{}{}: waits for {}", at(*step), what(*step), on.escaped())).lasting()
            }
            RunEvent::Started { step } => {
                let text = format!("{}{} …", at(*step), what(*step));
                // Where the plan is not known any step may take long.
                if op(*step).is_none_or(words::op_is_long) {
                    Self::both(text)
                } else {
                    Self::now(text)
                }
            }
            RunEvent::Output { line, .. } if verbose => Self::plain(format!("| {}", line.escaped())),
            RunEvent::Output { .. } => Self::default(),
            RunEvent::Done {
                step,
                millis,
                note,
                entries,
            } => {
                let covered = || {
                    let ids: Vec<_> = entries.keys().map(words::id).collect();
                    format!(" {}", ids.join(", "))
                };
                let what = if op(*step).is_some() { what(*step) } else { covered() };
                let said = note
                    .as_ref()
                    .map(|note| format!(" ({})", note.escaped()))
                    .unwrap_or_default();
                let line = Self::plain(format!("{}{what}  done {}{said}", at(*step), words::duration(*millis)));
                if note.is_some() { line.lasting() } else { line }
            }
            RunEvent::StepFailed { step, error } => {
                let problem = error.problem.escaped();
                Self::plain(format!("{}{}  failed: {problem}", at(*step), what(*step)))
            }
            // The host's end says these better.
            RunEvent::Moved(_) | RunEvent::StaleGeneration { .. } | RunEvent::Locked(_) => Self::default(),
            RunEvent::NotUndone(_) => Self::default(),
            RunEvent::Error(problem) => Self::plain(problem.escaped()),
        }
    }
}

/// A host's end as its last line.
pub(super) fn end_words(end: &HostOutcome, palette: Palette) -> String {
    let style = match outcome::exit(end) {
        Exit::Done => palette.create(),
        Exit::Changes | Exit::Locked | Exit::Stale | Exit::Interrupted => palette.update(),
        Exit::Refused | Exit::Unreachable | Exit::Failed | Exit::Output | Exit::Usage => palette.remove(),
    };
    let word = paint(style, outcome::word(end));
    match end {
        HostOutcome::Changed {
            generation,
            steps,
            millis,
        } => format!(
            "{word}: {} in {}, recorded as generation {generation}",
            words::count(*steps, "step"),
            words::duration(*millis)
        ),
        HostOutcome::Nothing
        | HostOutcome::Failed { .. }
        | HostOutcome::RolledBack { .. }
        | HostOutcome::Refused(_)
        | HostOutcome::Locked(_)
        | HostOutcome::Unreachable(_)
        | HostOutcome::Unknown { .. }
        | HostOutcome::Detached { .. }
        | HostOutcome::NotStarted => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_one() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }

    #[test]
    fn without_a_plan_a_step_is_told_by_what_it_covered() {
        let id = "file:/etc/\u{1b}[2Jmotd".parse().unwrap();
        let event = RunEvent::Done {
            step: 2,
            millis: 12,
            note: None,
            entries: BTreeMap::from([(id, None)]),
        };
        let line = Line::of(None, &Progress::Run { number: 0, event }, false);
        assert_eq!(line.text.as_deref(), Some("step 3 file:/etc/\\u{1b}[2Jmotd  done 12ms"));
    }

    #[test]
    fn output_is_shown_only_where_it_is_asked_for() {
        let event = || Progress::Run {
            number: 0,
            event: RunEvent::Output {
                step: 0,
                line: "a\u{1b}]0;title\u{7}".into(),
            },
        };
        assert_eq!(Line::of(None, &event(), false), Line::default());
        let line = Line::of(None, &event(), true);
        assert_eq!(line.text.as_deref(), Some("| a\\u{1b}]0;title\\u{7}"));
    }
}
