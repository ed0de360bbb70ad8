//! An apply for programs: one JSON document per line, described in `docs/json.md`. It says what the terminal says.

use provision_core::model::{HostName, Plan, RunEvent};
use serde_json::{Value, json};

use super::error::ReachJson;
use super::json::{FORMAT_VERSION, line};
use super::{outcome, words};
use crate::cli::exit::Exit;
use crate::events::{HostOutcome, OutputStream, Progress, Refused};

/// One line for one event; `None` for what programs have no use for.
#[must_use]
pub fn progress_line(host: &HostName, progress: &Progress) -> Option<String> {
    let event = match progress {
        Progress::Connecting => json!({ "event": "connecting" }),
        Progress::Connected { millis } => json!({ "event": "connected", "millis": millis }),
        Progress::UploadingAgent { bytes } => json!({ "event": "uploading-agent", "bytes": bytes }),
        Progress::Observed { resources, millis } => {
            json!({ "event": "observed", "resources": resources, "millis": millis })
        }
        Progress::Run { event, .. } => run_event(event),
        Progress::ConnectionLost { problem } => json!({ "event": "connection-lost", "problem": problem }),
        Progress::Reattaching { attempt } => json!({ "event": "reattaching", "attempt": attempt }),
        Progress::Confirming => json!({ "event": "confirming" }),
        Progress::NotConfirmed { problem } => json!({ "event": "not-confirmed", "problem": problem }),
        // They have lines of their own.
        Progress::Logged(_) | Progress::TunnelOpen { .. } | Progress::TunnelFailed { .. } => return None,
        Progress::Output { stream, line } => {
            json!({ "event": "output", "stream": stream_name(*stream), "line": line.untrusted() })
        }
    };
    Some(line(&typed("event", host, event)))
}

/// The name of a stream, in JSON.
#[must_use]
pub const fn stream_name(stream: OutputStream) -> &'static str {
    match stream {
        OutputStream::Stdout => "stdout",
        OutputStream::Stderr => "stderr",
    }
}

fn run_event(event: &RunEvent) -> Value {
    match event {
        RunEvent::Phase(phase) => json!({ "event": "phase", "phase": words::phase(*phase) }),
        RunEvent::Moved(moved) => json!({ "event": "moved", "resources": moved }),
        RunEvent::StaleGeneration { planned, found } => {
            json!({ "event": "stale-generation", "planned": planned, "found": found })
        }
        RunEvent::Locked(holder) => json!({ "event": "locked", "holder": holder }),
        RunEvent::Error(problem) => json!({ "event": "error", "problem": problem }),
        RunEvent::Waiting { step, on } => json!({ "event": "waiting", "step": step, "on": on }),
        RunEvent::Started { step } => json!({ "event": "step-started", "step": step }),
        RunEvent::Output { step, line } => json!({ "event": "step-output", "step": step, "line": line }),
        RunEvent::Done {
            step,
            millis,
            note,
            entries,
        } => {
            let covers: Vec<_> = entries.keys().map(ToString::to_string).collect();
            json!({ "event": "step-done", "step": step, "millis": millis, "note": note, "covers": covers })
        }
        RunEvent::StepFailed { step, error } => json!({ "event": "step-failed", "step": step, "error": error }),
        RunEvent::NotUndone(left) => json!({ "event": "not-undone", "resources": left }),
    }
}

/// The line of a host's end.
#[must_use]
pub fn outcome_line(host: &HostName, end: &HostOutcome, plan: Option<&Plan>) -> String {
    let mut details = match end {
        HostOutcome::Nothing | HostOutcome::NotStarted => json!({}),
        HostOutcome::Changed {
            generation,
            steps,
            millis,
        } => json!({ "generation": generation, "steps": steps, "millis": millis }),
        HostOutcome::Failed {
            step,
            error,
            done,
            generation,
            millis,
        } => {
            json!({ "step": step, "error": error, "done": done, "generation": generation, "millis": millis })
        }
        HostOutcome::RolledBack {
            failed,
            unconfirmed,
            not_undone,
            done,
            generation,
            millis,
        } => json!({
            "step": failed.as_ref().map(|(step, _)| step),
            "error": failed.as_ref().map(|(_, error)| error),
            "unconfirmed": unconfirmed.as_ref().map(ReachJson::from),
            "not_undone": not_undone,
            "done": done,
            "generation": generation,
            "millis": millis,
        }),
        HostOutcome::Refused(refused) => refused_json(refused),
        HostOutcome::Locked(holder) => json!({ "holder": holder }),
        HostOutcome::Unreachable(error) => json!({ "error": ReachJson::from(error) }),
        HostOutcome::Unknown { plan_id, error } => json!({ "plan_id": plan_id, "error": ReachJson::from(error) }),
        HostOutcome::Detached { plan_id } => json!({ "plan_id": plan_id }),
    };
    details["outcome"] = json!(outcome::word(end));
    details["exit_code"] = json!(outcome::exit(end).code());
    if let Some(plan) = plan {
        details["plan_id"] = json!(plan.id());
    }
    line(&typed("outcome", host, details))
}

fn refused_json(refused: &Refused) -> Value {
    match refused {
        Refused::Blocked { blockers } => json!({ "reason": "blocked", "blockers": blockers }),
        Refused::Moved(moved) => json!({ "reason": "moved", "resources": moved }),
        Refused::StaleGeneration { planned, found } => {
            json!({ "reason": "stale-generation", "planned": planned, "found": found })
        }
        Refused::OtherMachine { found } => json!({ "reason": "other-machine", "found": found }),
        Refused::Over { phase } => json!({ "reason": "over", "phase": phase }),
        Refused::NoSuchRun => json!({ "reason": "no-such-run" }),
        Refused::Host(why) => json!({ "reason": "host", "why": why }),
    }
}

/// The line of a plan that is about to be applied.
#[must_use]
pub fn plan_line(plan: &Plan, form: &Value) -> String {
    line(&typed("plan", &plan.host, json!({ "plan": form })))
}

/// The last line.
#[must_use]
pub fn summary_line(exit: Exit) -> String {
    line(&json!({ "format_version": FORMAT_VERSION, "type": "summary", "exit_code": exit.code() }))
}

fn typed(of: &str, host: &HostName, mut value: Value) -> Value {
    value["format_version"] = json!(FORMAT_VERSION);
    value["type"] = json!(of);
    value["host"] = json!(host);
    value
}
