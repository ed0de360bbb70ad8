//! The documentation of modules for a terminal.

use provision_core::model::HostText;

use super::{ImportDoc, ModuleDoc};
use crate::report::style::{Palette, paint};
use crate::report::words;
use crate::report::wrap::wrap;

/// The longest line of running text that reads well.
const READABLE: usize = 90;

/// Modules as people read them in a terminal of that width.
#[must_use]
pub fn text(docs: &[ModuleDoc], width: usize, palette: Palette) -> String {
    let modules: Vec<_> = docs
        .iter()
        .map(|doc| module(doc, width.min(READABLE), palette))
        .collect();
    modules.join("\n")
}

fn module(doc: &ModuleDoc, width: usize, palette: Palette) -> String {
    let title = paint(palette.title(), words::safe(&doc.name));
    let mut text = format!("{title}  {}\n", paint(palette.faint(), words::safe(&doc.file)));
    text += &running("  ", doc.description.as_deref().unwrap_or("(no description)"), width);
    if !doc.imports.is_empty() {
        let imports: Vec<_> = doc.imports.iter().map(import).collect();
        text += &running("  ", &format!("Imports {}.", imports.join(", ")), width);
    }
    if doc.instances {
        text += "  Used once per name, which its templates see as `instance`.\n";
    }
    for option in &doc.options {
        let name = paint(palette.create(), words::safe(&option.name));
        let phrases = words::safe(&option.phrases().join(", "));
        let ty = paint(palette.act(), words::safe(&option.ty));
        text += &format!("\n    {name}  {ty}, {phrases}\n");
        if let Some(description) = &option.description {
            text += &running("        ", description, width);
        }
        if let Some(deprecated) = &option.deprecated {
            let word = paint(palette.update(), "deprecated:");
            text += &format!("        {word} {}\n", words::safe(deprecated));
        }
    }
    if !doc.ports.is_empty() {
        text += "\n  Listens on\n";
        for port in &doc.ports {
            let ports = words::safe(&port.ports.join(", "));
            text += &format!("    {}/{ports}  {}\n", port.protocol, words::safe(&port.name));
        }
    }
    if !doc.asserts.is_empty() {
        text += "\n  Checks\n";
        for assert in &doc.asserts {
            text += &format!(
                "    {}  {}\n",
                words::safe(&assert.that),
                paint(palette.faint(), words::safe(&assert.message))
            );
        }
    }
    if !doc.resources.is_empty() {
        text += "\n  Makes\n";
        for resource in &doc.resources {
            text += &format!("    {:<9}  {}\n", resource.kind, words::safe(&resource.name));
        }
    }
    text += "\n  In a host file\n";
    text + &below("    ", &HostText::new(doc.usage.as_str()).escaped_lines())
}

fn import(import: &ImportDoc) -> String {
    match &import.when {
        Some(when) => format!("{} (when {when})", import.module),
        None => import.module.clone(),
    }
}

fn running(indent: &str, text: &str, width: usize) -> String {
    let text = HostText::new(text).escaped_lines();
    below(
        indent,
        &wrap(&text, width.saturating_sub(indent.len()).max(20)).join("\n"),
    )
}

/// Every line behind `indent`, but for empty ones.
fn below(indent: &str, text: &str) -> String {
    let line = |line: &str| {
        if line.is_empty() {
            "\n".to_owned()
        } else {
            format!("{indent}{line}\n")
        }
    };
    text.lines().map(line).collect()
}
