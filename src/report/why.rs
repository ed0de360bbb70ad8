//! Why a host is as it is at one place, for people and programs: every definition, which of them counts, and what it was
//! made from. What the answer is, the language says; here it gets its words.

use provision_core::model::{DependencyReason, HostName, HostText};
use provision_core::resolve::{Definition, Owner, Step, Subject, Why, WhyError};
use serde_json::{Value, json};

use super::columns::indented;
use super::error::CommandError;
use super::json::{FORMAT_VERSION, document};
use super::style::{Palette, paint};
use super::words;

/// How many lines of a value or of what is written are shown.
const LINES: usize = 8;

/// The answer as people read it.
#[must_use]
pub fn why_text(why: &Why, palette: Palette) -> String {
    let steps: Vec<_> = why
        .steps
        .iter()
        .enumerate()
        .map(|(number, step)| step_text(step, number == 0, palette))
        .collect();
    format!("{}\n\n{}", paint(palette.title(), &why.host), steps.join("\n"))
}

fn step_text(step: &Step, first: bool, palette: Palette) -> String {
    let name = words::safe(&step.path);
    let name = if first { paint(palette.title(), name) } else { name };
    // A resource's keys follow as steps of their own, and a long text is shown where it is defined.
    let value = match step.subject {
        Subject::Resource { .. } => None,
        Subject::Module { .. } | Subject::Option { .. } | Subject::Field { .. } => step.value.as_ref().and_then(short),
    };
    let mut text = match value {
        Some(value) => format!("{name} = {value}\n"),
        None => format!("{name}\n"),
    };
    for definition in &step.definitions {
        text += &definition_text(step, definition, palette);
    }
    if step.definitions.is_empty() {
        text += &format!("    {}\n", paint(palette.faint(), "nothing defines it"));
    }
    for dependency in &step.depends {
        text += &format!("    {}\n", depends(dependency.reason, &words::id(&dependency.on)));
    }
    for dependency in &step.dependents {
        text += &format!("    {}\n", waits(dependency.reason, &words::id(&dependency.on)));
    }
    text
}

fn definition_text(step: &Step, definition: &Definition, palette: Palette) -> String {
    const INDENT: &str = "        ";
    let (sign, style) = if definition.wins {
        ("→", palette.create())
    } else {
        (" ", palette.faint())
    };
    let mut line = format!("  {sign} {}", words::safe(&definition.origin.to_string()));
    if matches!(step.subject, Subject::Option { .. }) {
        line += &format!("  {}", definition.priority.name());
    }
    match &definition.file {
        Owner::Host => {}
        Owner::Group { tag } => line += &format!("  (group {})", words::safe(tag)),
        Owner::Module { module, instance } => {
            let instance = instance
                .as_ref()
                .map(|name| format!(", instance {}", words::safe(name)));
            line += &format!("  (module {}{})", words::safe(module), instance.unwrap_or_default());
        }
    }
    let mut text = paint(style, line);
    let written = match step.subject {
        Subject::Option { .. } | Subject::Field { .. } => definition.written.as_str(),
        Subject::Module { .. } | Subject::Resource { .. } => "",
    };
    if written.contains('\n') {
        text += &format!("\n{}", indented(INDENT, &clipped(written)));
    } else {
        text += &format!("  {}\n", words::safe(written));
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    // What is written and what it comes to are told apart only where they are not the same.
    if let Some(value) = &definition.value
        && short(value).as_deref() != Some(written)
    {
        text += &match (short(value), value) {
            (Some(value), _) => format!("{INDENT}= {value}\n"),
            (None, Value::String(value)) => indented(&format!("{INDENT}| "), &clipped(value)),
            (None, value) => indented(&format!("{INDENT}= "), &clipped(&value.to_string())),
        };
    }
    // One import is the host's own, which says no more than the module's name.
    if definition.imports.len() > 1 {
        let imports: Vec<_> = definition
            .imports
            .iter()
            .map(|import| {
                format!(
                    "{} ({})",
                    words::safe(&import.module),
                    words::safe(&import.origin.to_string())
                )
            })
            .collect();
        let imports = format!("{INDENT}imported: {}", imports.join(" → "));
        text += &format!("{}\n", paint(palette.faint(), imports));
    }
    text
}

/// A value that fits into a line, as TOML has it where that is no different from JSON.
fn short(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.contains('\n') => None,
        value => Some(words::safe(&value.to_string())),
    }
}

fn clipped(text: &str) -> String {
    let text = HostText::new(text).escaped_lines();
    let all = text.lines().count();
    let mut lines: Vec<_> = text.lines().take(LINES).map(str::to_owned).collect();
    if all > LINES {
        lines.push(format!("… {} more", words::count(all - LINES, "line")));
    }
    lines.join("\n")
}

fn depends(reason: DependencyReason, on: &str) -> String {
    match reason {
        DependencyReason::InDirectory => format!("lies in {on}"),
        DependencyReason::OwnedBy => format!("belongs to {on}"),
        DependencyReason::Uses => format!("uses {on}"),
        DependencyReason::RestartOn => format!("restarts on {on}"),
        DependencyReason::After => format!("comes after {on}"),
        DependencyReason::Checks => format!("checks {on}"),
    }
}

fn waits(reason: DependencyReason, who: &str) -> String {
    match reason {
        DependencyReason::InDirectory => format!("has {who} in it"),
        DependencyReason::OwnedBy => format!("owns {who}"),
        DependencyReason::Uses => format!("is used by {who}"),
        DependencyReason::RestartOn => format!("restarts {who}"),
        DependencyReason::After => format!("comes before {who}"),
        DependencyReason::Checks => format!("is checked by {who}"),
    }
}

/// The answer for programs.
#[must_use]
pub fn why_json(why: &Why) -> String {
    document(&json!({
        "format_version": FORMAT_VERSION,
        "command": "why",
        "version": env!("CARGO_PKG_VERSION"),
        "host": why.host,
        "steps": why.steps,
    }))
}

/// Why there is no answer, and what to ask instead.
#[must_use]
pub fn no_answer(error: WhyError) -> CommandError {
    let show = |host: &HostName| format!("`provision show {host}` lists the resources there are");
    let hints = match &error {
        WhyError::UnknownHost { meant: Some(meant), .. } => vec![format!("did you mean {meant}?")],
        WhyError::UnknownHost { meant: None, .. } => vec!["a host is a file hosts/NAME.toml".to_owned()],
        WhyError::Unreadable { .. } => vec!["`provision check` tells what is wrong with its files".to_owned()],
        WhyError::Unknown { host, meant, .. } if meant.is_empty() => vec![
            "ask for MODULE.OPTION, for a resource such as file:/etc/motd, or for a key of one: file:/etc/motd.text"
                .to_owned(),
            show(host),
        ],
        WhyError::Unknown { host, meant, .. } => vec![format!("did you mean {}?", meant.join(" or ")), show(host)],
        WhyError::Ambiguous { meanings, .. } => meanings.iter().map(|meaning| format!("ask for '{meaning}'")).collect(),
    };
    CommandError {
        hints,
        ..CommandError::refused(error)
    }
}
