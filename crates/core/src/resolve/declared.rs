//! The resources of one host as they come in from its modules and its own file: equal ones become one, different ones
//! of one name a finding. What depends on what comes later.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Code, Diagnostic, Span, Spanned};
use crate::model::{Blob, Content, DependencyReason, Digest, Kind, OnRemoval, ResourceId, Spec, UnitName};

/// A dependency that the configuration writes down.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) on: Spanned<ResourceId>,
    pub(super) reason: DependencyReason,
}

/// A resource and where it is declared.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) spec: Spec,
    pub(super) span: Span,
    pub(super) said: Vec<Said>,
    pub(super) on_removal: OnRemoval,
    /// Whether a group declares it, so that the host's own declaration of it takes its place.
    weak: bool,
}

/// What is declared so far.
#[derive(Default)]
pub(super) struct Declarations {
    pub(super) resources: BTreeMap<ResourceId, Declared>,
    pub(super) blobs: BTreeMap<Digest, Blob>,
    /// Secrets by name, as far as they are said.
    pub(super) secrets: BTreeMap<String, super::secrets::Draft>,
    /// Kernel parameters by key, each with the file that keeps it.
    pub(super) sysctls: BTreeMap<String, Sysctl>,
    /// What is said of the firewall.
    pub(super) firewall: super::firewall::Draft,
    /// Which resources each declaration made, by its number, where someone wants to know.
    pub(super) made: Option<Vec<(usize, ResourceId)>>,
    /// The number of the declaration that is being read.
    pub(super) current: usize,
    /// Whose file it is in.
    pub(super) whose: Whose,
    /// The number of that file.
    pub(super) file: usize,
    /// The units that each file declares, by its number.
    pub(super) units: BTreeMap<usize, BTreeSet<UnitName>>,
}

/// How strong a declaration is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Whose {
    /// A module's: it has to agree with all others.
    #[default]
    Module,
    /// A group's: the host's takes its place.
    Group,
    /// The host's own.
    Host,
}

/// A kernel parameter and the file that keeps it.
#[derive(Clone, Debug)]
pub(super) struct Sysctl {
    pub(super) value: String,
    pub(super) file: crate::model::AbsPath,
    pub(super) span: Span,
    /// As that of a resource.
    pub(super) weak: bool,
}

impl Declarations {
    /// Takes in a resource that is undone when it leaves the configuration.
    pub(super) fn declare(&mut self, spec: Spec, span: Span, said: Vec<Said>, found: &mut Vec<Diagnostic>) {
        self.declare_with(spec, OnRemoval::default(), span, said, found);
    }

    /// Takes in a resource.
    pub(super) fn declare_with(
        &mut self,
        spec: Spec,
        on_removal: OnRemoval,
        span: Span,
        said: Vec<Said>,
        found: &mut Vec<Diagnostic>,
    ) {
        let id = spec.id();
        self.note(&id);
        if let Spec::Unit(unit) = &spec {
            self.units.entry(self.file).or_default().insert(unit.name.clone());
        }
        let declared = Declared {
            spec,
            span,
            said,
            on_removal,
            weak: self.whose == Whose::Group,
        };
        match self.resources.get_mut(&id) {
            None => _ = self.resources.insert(id, declared),
            Some(there) if there.weak && self.whose == Whose::Host => *there = declared,
            Some(there) if there.spec == declared.spec && there.on_removal == on_removal => {
                there.weak &= declared.weak;
                there.said.extend(declared.said);
            }
            Some(there) => {
                let difference = if there.spec == declared.spec {
                    format!("`on_removal` is \"{}\" and \"{on_removal}\"", there.on_removal)
                } else {
                    differences(&there.spec, &declared.spec)
                };
                found.push(twice(&id.to_string(), &difference, there.span, span));
            }
        }
    }

    /// Takes in a kernel parameter.
    pub(super) fn declare_sysctl(&mut self, key: String, sysctl: Sysctl, found: &mut Vec<Diagnostic>) {
        self.note(&ResourceId::new(Kind::Sysctl, key.as_str()));
        self.note(&ResourceId::new(Kind::File, sysctl.file.as_str()));
        match self.sysctls.get(&key) {
            Some(there) if there.weak && self.whose == Whose::Host => {
                self.sysctls.insert(key, sysctl);
            }
            Some(there) if there.value != sysctl.value => {
                let difference = format!("`value` is {} and {}", there.value, sysctl.value);
                found.push(twice(&format!("sysctl:{key}"), &difference, there.span, sysctl.span));
            }
            Some(there) if there.file != sysctl.file => {
                let difference = format!("`file` is {} and {}", there.file, sysctl.file);
                found.push(twice(&format!("sysctl:{key}"), &difference, there.span, sysctl.span));
            }
            Some(_) if sysctl.weak => {}
            Some(_) | None => {
                self.sysctls.insert(key, sysctl);
            }
        }
    }

    /// Notes down that the declaration being read makes a resource.
    pub(super) fn note(&mut self, id: &ResourceId) {
        let current = self.current;
        if let Some(made) = &mut self.made {
            made.push((current, id.clone()));
        }
    }

    /// Keeps bytes for the host.
    pub(super) fn keep(&mut self, blob: &Blob, content: Content) {
        self.blobs.entry(content.sha256).or_insert_with(|| blob.clone());
    }

    /// The text of a managed file, where it is text.
    pub(super) fn text(&self, content: &Content) -> Option<&str> {
        let blob = self.blobs.get(&content.sha256)?;
        std::str::from_utf8(blob.bytes()).ok()
    }
}

pub(super) fn twice(id: &str, difference: &str, first: Span, second: Span) -> Diagnostic {
    let message = format!("`{id}` is declared twice, differently: {difference}");
    let because = "two declarations of one resource are one only if they agree";
    if first == second {
        let label = "by two instances, or two items of `each`";
        let help = "let its name differ: write {{ instance }}, {{ item }} or {{ key }} in it";
        return Diagnostic::error(Code::DeclaredTwice, message, second, label)
            .because(because)
            .help(help);
    }
    Diagnostic::error(Code::DeclaredTwice, message, second, "and here")
        .also(first, "declared here")
        .because(because)
        .help("remove one, or make it an option of one module that the other sets")
}

/// The fields in which two specs of one kind differ, in a line.
fn differences(one: &Spec, other: &Spec) -> String {
    let fields = |spec: &Spec| match serde_json::to_value(spec) {
        // A spec is a map of its kind's name to its fields.
        Ok(serde_json::Value::Object(kinds)) => kinds.into_iter().next().map(|(_, fields)| fields),
        _ => None,
    };
    let (Some(serde_json::Value::Object(one)), Some(serde_json::Value::Object(other))) = (fields(one), fields(other))
    else {
        return "they differ".to_owned();
    };
    let shown = |value: Option<&serde_json::Value>| match value {
        None | Some(serde_json::Value::Null) => "not given".to_owned(),
        Some(value) => value.to_string(),
    };
    let differing = one.iter().filter(|(key, value)| other.get(*key) != Some(value));
    let words: Vec<_> = differing
        .map(|(key, value)| match key.as_str() {
            "content" => "the contents differ".to_owned(),
            key => format!("`{key}` is {} and {}", shown(Some(value)), shown(other.get(key))),
        })
        .collect();
    words.join(", ")
}
