//! What a rollback goes back to, and what it does not bring back: what is said before its plan. The plan itself is worded as every
//! plan is.

use provision_core::model::{HostText, Past, Plan, ResourceId};
use provision_core::plan::Remains;
use serde_json::{Value, json};

use super::json::{FORMAT_VERSION, document, line};
use super::plan_json::plan_value;
use super::style::{Palette, paint};
use super::words;
use crate::cli::exit::Exit;

/// The lines before the plan.
#[must_use]
pub fn rollback_text(past: &Past, remains: &[(ResourceId, Remains)], plan: &Plan, palette: Palette) -> String {
    let head = format!("Back to generation {}", past.number);
    let of = match &past.receipt {
        None => "the host before provision first changed it".to_owned(),
        Some(receipt) => {
            let by = |field: &str| receipt.by.get(field).map(HostText::escaped);
            let commit = by("commit")
                .map(|commit| format!(", commit {commit}"))
                .unwrap_or_default();
            let who = by("who").unwrap_or_default();
            let outcome = words::outcome(receipt.outcome);
            format!("{outcome} {} by {who}{commit}", words::time(receipt.at))
        }
    };
    let mut text = format!("{}: {of}\n", paint(palette.title(), head));
    if !remains.is_empty() {
        text += &format!("  {}\n", paint(palette.warning(), "what this does not bring back:"));
    }
    for (id, what) in remains {
        text += &format!("    {}: {}\n", words::id(id), words_of(what, past, plan));
    }
    text + "\n"
}

fn words_of(remains: &Remains, past: &Past, plan: &Plan) -> String {
    match remains {
        Remains::Ran => "it has run since; what it did stays".to_owned(),
        Remains::Sensitive => format!(
            "{}; {}",
            "its content is sensitive, so hosts do not keep it",
            instead(past, plan)
        ),
        Remains::NotKept => format!("its content of then is not kept; {}", instead(past, plan)),
        Remains::Version(version) => format!(
            "it had version {}, which was not declared; that does not come back",
            version.escaped()
        ),
        Remains::OldVersion(version) => {
            format!(
                "version {} is installed only if the archive still has it",
                words::safe(version)
            )
        }
        Remains::Data => "what it has written since stays as it is".to_owned(),
    }
}

/// What to do about a content that the host does not have.
fn instead(past: &Past, plan: &Plan) -> String {
    let commit = past.receipt.as_ref().and_then(|receipt| receipt.by.get("commit"));
    match commit {
        Some(commit) => format!(
            "it stays as it is now. To get it back, check out commit {} and apply: provision apply {}",
            commit.escaped(),
            plan.host
        ),
        None => format!(
            "it stays as it is now. To get it back, declare it as it was and apply: provision apply {}",
            plan.host
        ),
    }
}

fn remains_json(past: &Past, remains: &[(ResourceId, Remains)], plan: &Plan) -> Value {
    let code = |remains: &Remains| match remains {
        Remains::Ran => "ran",
        Remains::Sensitive => "sensitive",
        Remains::NotKept => "not-kept",
        Remains::Version(_) => "version",
        Remains::OldVersion(_) => "old-version",
        Remains::Data => "data",
    };
    remains
        .iter()
        .map(|(id, what)| json!({ "id": id, "code": code(what), "words": words_of(what, past, plan) }))
        .collect()
}

/// The first line of a rollback that is carried out, for programs.
#[must_use]
pub fn rollback_line(past: &Past, remains: &[(ResourceId, Remains)], plan: &Plan) -> String {
    line(&json!({
        "format_version": FORMAT_VERSION,
        "type": "rollback",
        "host": plan.host,
        "to": past.number,
        "remains": remains_json(past, remains, plan),
    }))
}

/// A rollback that is only shown, for programs.
#[must_use]
pub fn rollback_document(past: &Past, remains: &[(ResourceId, Remains)], plan: &Plan, exit: Exit) -> String {
    document(&json!({
        "format_version": FORMAT_VERSION,
        "command": "rollback",
        "version": env!("CARGO_PKG_VERSION"),
        "host": plan.host,
        "to": past.number,
        "remains": remains_json(past, remains, plan),
        "plan": plan_value(plan),
        "exit_code": exit.code(),
    }))
}
