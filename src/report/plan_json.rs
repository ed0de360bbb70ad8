//! Plans for programs: the document of `plan --json` and `drift --json`, described in `docs/json.md`. It is a form of
//! its own, so that the model can change without breaking readers.

use provision_core::model::{Change, HostName, Origin, Plan, Reason, TextChange};
use serde::Serialize;

use super::error::ReachJson;
use super::json::FORMAT_VERSION;
use super::{Counts, words};
use crate::cli::exit::Exit;
use crate::drive::ReachError;

/// The whole document.
#[derive(Debug, Serialize)]
pub struct PlanDocument<'a> {
    format_version: u32,
    command: &'static str,
    version: &'static str,
    hosts: Vec<HostJson<'a>>,
    summary: Counts,
    exit_code: u8,
}

/// Exactly one of `plan` and `error` is there.
#[derive(Debug, Serialize)]
struct HostJson<'a> {
    host: &'a HostName,
    status: &'static str,
    plan: Option<PlanJson<'a>>,
    error: Option<ReachJson>,
}

#[derive(Debug, Serialize)]
struct PlanJson<'a> {
    plan_id: String,
    machine_id: &'a str,
    base_generation: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rollback_to: Option<u64>,
    touches_access: bool,
    summary: Counts,
    changes: Vec<ChangeJson<'a>>,
    unchanged: Vec<UnchangedJson<'a>>,
    blockers: Vec<BlockerJson<'a>>,
}

#[derive(Debug, Serialize)]
struct ChangeJson<'a> {
    id: String,
    kind: &'static str,
    name: &'a str,
    action: &'static str,
    moved: &'static str,
    reasons: Vec<ReasonJson>,
    fields: Vec<FieldJson<'a>>,
    text: Option<TextJson<'a>>,
    access: bool,
    origin: Option<&'a Origin>,
}

#[derive(Debug, Serialize)]
struct ReasonJson {
    code: &'static str,
    by: Option<String>,
    seen: Option<String>,
    words: String,
}

#[derive(Debug, Serialize)]
struct FieldJson<'a> {
    field: &'a str,
    before: Option<&'a str>,
    after: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct TextJson<'a> {
    before: Option<&'a str>,
    after: Option<&'a str>,
    hidden: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct UnchangedJson<'a> {
    id: String,
    because: &'a str,
}

#[derive(Debug, Serialize)]
struct BlockerJson<'a> {
    id: String,
    unknown: bool,
    problem: &'a str,
    fix: &'a str,
    origin: Option<&'a Origin>,
}

/// The document of what was planned, or why a host could not be reached.
pub fn plan_document<'a>(
    command: &'static str,
    found: impl Iterator<Item = (&'a HostName, Result<&'a Plan, &'a ReachError>)>,
    exit: Exit,
) -> PlanDocument<'a> {
    let mut summary = Counts::default();
    let hosts = found
        .map(|(host, found)| {
            if let Ok(plan) = found {
                summary = summary.and(Counts::of(plan));
            }
            HostJson {
                host,
                status: if found.is_ok() { "planned" } else { "unreachable" },
                plan: found.ok().map(plan_json),
                error: found.err().map(ReachJson::from),
            }
        })
        .collect();
    PlanDocument {
        format_version: FORMAT_VERSION,
        command,
        version: env!("CARGO_PKG_VERSION"),
        hosts,
        summary,
        exit_code: exit.code(),
    }
}

/// One plan's form, as a value.
#[must_use]
pub fn plan_value(plan: &Plan) -> serde_json::Value {
    // Its fields are text and numbers: nothing in it can fail to be serialised.
    serde_json::to_value(plan_json(plan)).unwrap_or_default()
}

fn plan_json(plan: &Plan) -> PlanJson<'_> {
    let unchanged = plan.unchanged.iter().map(|unchanged| UnchangedJson {
        id: unchanged.id.to_string(),
        because: &unchanged.because,
    });
    let blockers = plan.blockers.iter().map(|blocker| BlockerJson {
        id: blocker.id.to_string(),
        unknown: blocker.unknown,
        problem: blocker.problem.untrusted(),
        fix: &blocker.fix,
        origin: blocker.origin.as_ref(),
    });
    PlanJson {
        plan_id: plan.id().to_string(),
        machine_id: plan.machine_id.untrusted(),
        base_generation: plan.base_generation,
        rollback_to: plan.by.rollback_to,
        touches_access: plan.changes.iter().any(|change| change.access),
        summary: Counts::of(plan),
        changes: plan
            .changes
            .iter()
            .map(|change| change_json(change, plan.by.rollback_to))
            .collect(),
        unchanged: unchanged.collect(),
        blockers: blockers.collect(),
    }
}

fn change_json(change: &Change, back: Option<u64>) -> ChangeJson<'_> {
    let fields = change.fields.iter().map(|field| FieldJson {
        field: &field.field,
        before: field.before.as_ref().map(|before| before.untrusted()),
        after: field.after.as_deref(),
    });
    ChangeJson {
        id: change.id.to_string(),
        kind: change.id.kind.name(),
        name: &change.id.name,
        action: words::action(change.action),
        moved: words::moved_name(change.moved),
        reasons: change.reasons.iter().map(|reason| reason_json(reason, back)).collect(),
        fields: fields.collect(),
        text: change.text.as_ref().map(text_json),
        access: change.access,
        origin: change.origin.as_ref(),
    }
}

fn reason_json(reason: &Reason, back: Option<u64>) -> ReasonJson {
    let (by, seen) = match reason {
        Reason::Triggered { by } => (Some(by.to_string()), None),
        Reason::GuardOpen(seen) | Reason::ProbeFails(seen) | Reason::HalfInstalled(seen) => {
            (None, Some(seen.untrusted().to_owned()))
        }
        Reason::Differs
        | Reason::Missing
        | Reason::LeftConfiguration
        | Reason::StartedWithOlder
        | Reason::Unfinished
        | Reason::NeedsDaemonReload
        | Reason::VerifiesChanges
        | Reason::WasThereBefore
        | Reason::ChangedSince
        | Reason::AlreadyGone
        | Reason::NothingToUndo
        | Reason::CannotUndo
        | Reason::DataStays
        | Reason::NotReconfigured { .. }
        | Reason::Reconfigured { .. }
        | Reason::Kept
        | Reason::RemovedThoughThereBefore
        | Reason::LostSinceBoot
        | Reason::OnRemovalDiffers => (None, None),
    };
    ReasonJson {
        code: words::reason_name(reason),
        by,
        seen,
        words: words::reason(reason, "changes", back),
    }
}

fn text_json(text: &TextChange) -> TextJson<'_> {
    match text {
        TextChange::Text { before, after } => TextJson {
            before: Some(before.untrusted()),
            after: Some(after),
            hidden: None,
        },
        TextChange::Hidden(why) => TextJson {
            before: None,
            after: None,
            hidden: Some(why),
        },
    }
}
