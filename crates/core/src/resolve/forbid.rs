//! Names that must not be on a host, such as that of a variable with an API key that no bot may have. They are looked for in all
//! that the configuration puts there, and a probe looks for them on the host itself; nothing is looked at here.

use std::collections::BTreeSet;

use crate::config::{Code, Diagnostic, Span, Spanned};
use crate::model::{Check, Millis, ProbeSpec, ResourceId, SecretContent, SecretPart, SecretSource, Spec, has_name};

/// What the probe is called.
const PROBE: &str = "forbidden-names";

use super::declared::Declarations;

/// Reports every resource that has a forbidden name in it, and has the host looked through for others.
pub(super) fn names<'a>(
    forbidden: impl Iterator<Item = &'a Spanned<String>>,
    declarations: &mut Declarations,
    found: &mut Vec<Diagnostic>,
) {
    let forbidden: Vec<_> = forbidden.filter(|name| !name.value.is_empty()).collect();
    for name in &forbidden {
        for (id, declared) in &declarations.resources {
            if has(id, &declared.spec, &name.value, declarations) {
                found.push(finding(name, id, declared.span));
            }
        }
    }
    let Some(first) = forbidden.first() else { return };
    let names = forbidden.iter().map(|name| name.value.clone()).collect();
    let probe = probe(names, declarations);
    declarations.declare(Spec::Probe(probe), first.span, Vec::new(), found);
}

/// Looks for them on the host, where somebody else may have put them: in the files that it is to have, and in what its units run
/// with.
fn probe(names: BTreeSet<String>, declarations: &Declarations) -> ProbeSpec {
    let (mut files, mut units) = (BTreeSet::new(), BTreeSet::new());
    for declared in declarations.resources.values() {
        match &declared.spec {
            Spec::File(file) => _ = files.insert(file.path.clone()),
            Spec::Block(block) => _ = files.insert(block.path.clone()),
            Spec::Secret(secret) => _ = files.insert(secret.path.clone()),
            Spec::Unit(unit) => _ = units.insert(unit.name.clone()),
            _ => {}
        }
    }
    ProbeSpec {
        name: PROBE.to_owned(),
        check: Check::NoNames { names, files, units },
        // Nobody else takes one away: there is nothing to wait for.
        timeout: Millis::seconds(1),
        interval: Millis::seconds(1),
        threshold: 1,
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
    texts.iter().any(|text| has_name(text.as_bytes(), name))
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

fn finding(name: &Spanned<String>, id: &ResourceId, span: Span) -> Diagnostic {
    let message = format!(
        "`{id}` has the name `{}` in it, which is forbidden on this host",
        name.value
    );
    Diagnostic::error(Code::Forbidden, message, span, "it is in this")
        .also(name.span, "forbidden here")
        .help("take it out of that resource, or out of `forbid`")
}
