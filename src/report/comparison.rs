//! How two generations differ, for people and programs. It contacts no host.

use provision_core::model::{Action, HostName, TextChange};
use provision_core::plan::{Comparison, Differs};
use serde_json::{Value, json};

use super::columns::indented;
use super::diff::diff_text;
use super::json::{FORMAT_VERSION, document};
use super::plan::{action_style, fields};
use super::style::{Palette, paint};
use super::words;
use crate::cli::exit::Exit;

const INDENT: &str = "      ";

/// The earlier and the later generation's number.
pub type Numbers = (u64, u64);

/// Every difference, as a plan shows changes.
#[must_use]
pub fn comparison_text(
    host: &HostName,
    (from, to): Numbers,
    differences: &[Comparison],
    diff: bool,
    palette: Palette,
) -> String {
    let head = paint(palette.title(), host);
    if differences.is_empty() {
        return format!("{head}  generations {from} and {to} declare the same\n");
    }
    let mut text = format!("{head}  from generation {from} to {to}\n");
    for difference in differences {
        let action = match difference.differs {
            Differs::Added => Action::Create,
            Differs::Removed => Action::Remove,
            Differs::Changed => Action::Update,
        };
        let line = format!(
            "{} {:<8} {}",
            words::symbol(action),
            word(difference.differs),
            words::id(&difference.id)
        );
        text += &format!("  {}\n", paint(action_style(action, palette), line));
        text += &indented(INDENT, &fields(&difference.fields).join("\n"));
        if let Some(change) = difference.text.as_ref().filter(|_| diff) {
            text += &indented(INDENT, &diff_text(change, palette));
        }
    }
    let of = |differs| differences.iter().filter(|found| found.differs == differs).count();
    text += &format!(
        "\n{} {} added, {} removed, {} changed\n",
        paint(palette.title(), "Diff:"),
        of(Differs::Added),
        of(Differs::Removed),
        of(Differs::Changed)
    );
    text
}

const fn word(differs: Differs) -> &'static str {
    match differs {
        Differs::Added => "added",
        Differs::Removed => "removed",
        Differs::Changed => "changed",
    }
}

/// The same, for programs.
#[must_use]
pub fn comparison_json(host: &HostName, (from, to): Numbers, differences: &[Comparison]) -> String {
    let differences: Vec<_> = differences.iter().map(difference).collect();
    document(&json!({
        "format_version": FORMAT_VERSION,
        "command": "diff",
        "version": env!("CARGO_PKG_VERSION"),
        "host": host,
        "from": from,
        "to": to,
        "differences": differences,
        "exit_code": Exit::Done.code(),
    }))
}

fn difference(difference: &Comparison) -> Value {
    let text = difference.text.as_ref().map(|text| match text {
        TextChange::Text { before, after } => json!({ "before": before, "after": after, "hidden": null }),
        TextChange::Hidden(why) => json!({ "before": null, "after": null, "hidden": why }),
    });
    json!({
        "id": difference.id,
        "differs": word(difference.differs),
        "fields": difference.fields,
        "text": text,
    })
}
