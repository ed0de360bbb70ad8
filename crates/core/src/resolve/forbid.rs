//! Names that must not be on a host, such as that of a variable with an API key that no bot may have. They are looked for in all
//! that the configuration puts there; what a host has beside that is not known here.

use crate::config::{Code, Diagnostic, Span, Spanned};
use crate::model::{ResourceId, SecretContent, SecretPart, SecretSource, Spec};

use super::declared::Declarations;

/// Reports every resource that has a forbidden name in it.
pub(super) fn names<'a>(
    forbidden: impl Iterator<Item = &'a Spanned<String>>,
    declarations: &Declarations,
    found: &mut Vec<Diagnostic>,
) {
    for name in forbidden.filter(|name| !name.value.is_empty()) {
        for (id, declared) in &declarations.resources {
            if has(id, &declared.spec, &name.value, declarations) {
                found.push(finding(name, id, declared.span));
            }
        }
    }
}

fn has(id: &ResourceId, spec: &Spec, name: &str, declarations: &Declarations) -> bool {
    let mut texts: Vec<&str> = vec![&id.name];
    match spec {
        Spec::File(file) => texts.extend(declarations.text(&file.content)),
        Spec::Block(block) => texts.push(&block.text),
        Spec::Command(command) => {
            texts.extend(command.run.iter().map(String::as_str));
            texts.extend(command.env.iter().flat_map(|(name, value)| [name.as_str(), value]));
        }
        Spec::Secret(secret) => match &secret.content {
            SecretContent::Value(value) => texts.extend(words(&value.item.source)),
            SecretContent::Rendered(parts) => texts.extend(parts.iter().map(|part| match part {
                SecretPart::Text(text) => text.as_str(),
                SecretPart::Secret { name, .. } => name.as_str(),
            })),
        },
        Spec::Tree(tree) => {
            if let crate::model::Source::Npm { env, .. } = &tree.source {
                texts.extend(env.keys().map(String::as_str));
            }
        }
        _ => {}
    }
    texts.iter().any(|text| is_word_of(name, text))
}

/// What a source is called where it is kept.
fn words(source: &SecretSource) -> Option<&str> {
    match source {
        SecretSource::Project { name } | SecretSource::Age { name } => Some(name),
        SecretSource::Aws { id, .. } => Some(id),
        SecretSource::Environment { variable } => Some(variable),
        SecretSource::Command { .. } => None,
    }
}

/// Whether a name stands in a text, and not as a part of a longer one.
fn is_word_of(name: &str, text: &str) -> bool {
    let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + name.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(goes_on) && !after.is_some_and(goes_on)
    })
}

fn finding(name: &Spanned<String>, id: &ResourceId, span: Span) -> Diagnostic {
    let message = format!(
        "`{id}` has the name `{}` in it, which is forbidden on this host",
        name.value
    );
    Diagnostic::error(Code::Forbidden, message, span, "it is in this")
        .also(name.span, "forbidden here")
        .help("take it out of that resource, or out of `forbid`")
}

#[cfg(test)]
mod tests {
    use super::is_word_of;

    #[test]
    fn only_the_whole_name_counts() {
        for (text, is_in) in [
            ("OPENAI_API_KEY=x", true),
            ("export OPENAI_API_KEY", true),
            ("\"OPENAI_API_KEY\"", true),
            ("MY_OPENAI_API_KEY=x", false),
            ("OPENAI_API_KEYS", false),
            ("", false),
        ] {
            assert_eq!(is_word_of("OPENAI_API_KEY", text), is_in, "{text}");
        }
    }
}
