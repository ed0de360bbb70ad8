//! The documentation of modules in Markdown, as GitHub has it.

use super::{ModuleDoc, OptionDoc};

/// Modules in Markdown, with a list of them first where there are several.
#[must_use]
pub fn markdown(docs: &[ModuleDoc]) -> String {
    let mut text = String::new();
    if docs.len() != 1 {
        text += "# Modules\n\n";
        for doc in docs {
            let name = format!("[{}](#{})", escaped(&doc.name), anchor(&doc.name));
            text += &match doc.description.as_deref().map(first_sentence) {
                Some(first) => format!("- {name}: {}\n", escaped(&first)),
                None => format!("- {name}\n"),
            };
        }
        text.push('\n');
    }
    let level = if docs.len() == 1 { "#" } else { "##" };
    let modules: Vec<_> = docs.iter().map(|doc| module(doc, level)).collect();
    text + &modules.join("\n")
}

fn first_sentence(text: &str) -> String {
    let paragraph = text.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    match paragraph.split_once(". ") {
        Some((first, _)) => format!("{first}."),
        None => paragraph,
    }
}

fn module(doc: &ModuleDoc, level: &str) -> String {
    let mut text = format!("{level} {}\n\n", escaped(&doc.name));
    if let Some(description) = &doc.description {
        text += &format!("{}\n\n", escaped(description));
    }
    text += &format!("Declared in {}.", code(&doc.file));
    if !doc.imports.is_empty() {
        let imports: Vec<_> = doc
            .imports
            .iter()
            .map(|import| {
                let link = format!("[{}](#{})", escaped(&import.module), anchor(&import.module));
                match &import.when {
                    Some(when) => format!("{link} (when {})", code(when)),
                    None => link,
                }
            })
            .collect();
        text += &format!(" Imports {}.", imports.join(", "));
    }
    if doc.instances {
        text += " Used once per name, which its templates see as `instance`.";
    }
    text += &format!("\n\n{}", fenced("toml", &doc.usage));
    for option in &doc.options {
        text += &format!(
            "\n{level}# {}\n\n{}\n",
            code(&option.name),
            option_text(option).trim_end()
        );
    }
    if !doc.ports.is_empty() {
        text += &format!("\n{level}# Listens on\n\n");
        for port in &doc.ports {
            let ports: Vec<_> = port.ports.iter().map(|port| code(port)).collect();
            text += &format!("- {} {}: {}\n", port.protocol, ports.join(", "), escaped(&port.name));
        }
    }
    if !doc.asserts.is_empty() {
        text += &format!("\n{level}# Checks\n\n");
        for assert in &doc.asserts {
            text += &format!("- {}: {}\n", code(&assert.that), escaped(&assert.message));
        }
    }
    if !doc.resources.is_empty() {
        text += &format!("\n{level}# Makes\n\n");
        for resource in &doc.resources {
            text += &format!("- {} {}\n", resource.kind, code(&resource.name));
        }
    }
    text
}

fn option_text(option: &OptionDoc) -> String {
    let mut text = format!("Type: {}", code(&option.ty));
    let list = |values: &[String]| values.iter().map(|value| code(value)).collect::<Vec<_>>().join(", ");
    for (word, value) in [("At least", &option.min), ("At most", &option.max)] {
        if let Some(value) = value {
            text += &format!(". {word}: {}", code(value));
        }
    }
    if !option.one_of.is_empty() {
        text += &format!(". One of: {}", list(&option.one_of));
    }
    if let Some(pattern) = &option.pattern {
        text += &format!(". Fitting: {}", code(pattern));
    }
    match &option.default {
        Some(default) if default.contains('\n') => text += &format!(". Default:\n\n{}", fenced("toml", default)),
        Some(default) => text += &format!(". Default: {}", code(default)),
        None if option.required => text += ". **Has to be set**",
        None => text += ". May be left out",
    }
    if let Some(example) = &option.example {
        text += &format!(". Example: {}", code(example));
    }
    text += "\n";
    if let Some(deprecated) = &option.deprecated {
        text += &format!("\n**Deprecated:** {}\n", escaped(deprecated));
    }
    if let Some(description) = &option.description {
        text += &format!("\n{}\n", escaped(description));
    }
    text
}

/// The anchor that GitHub gives a title.
fn anchor(title: &str) -> String {
    let kept = title
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
    kept.map(|c| if c == ' ' { '-' } else { c })
        .collect::<String>()
        .to_lowercase()
}

/// A span of code, fenced by more backticks than it has.
fn code(text: &str) -> String {
    let fence = "`".repeat(longest_run(text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{}{pad}{fence}", text.replace('\n', " "))
}

fn fenced(language: &str, text: &str) -> String {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_end())
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Text in which nothing is markup but the spans of code that its author wrote.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for (number, part) in text.split('`').enumerate() {
        if number > 0 {
            out.push('`');
        }
        // Every second part is code, if the last backtick has a partner.
        if number % 2 == 1 && text.matches('`').count().is_multiple_of(2) {
            out += part;
            continue;
        }
        for c in part.chars() {
            match c {
                '&' => out += "&amp;",
                '<' => out += "&lt;",
                '\\' | '*' | '_' | '[' | ']' | '#' | '|' | '~' => out.extend(['\\', c]),
                c => out.push(c),
            }
        }
    }
    out
}
