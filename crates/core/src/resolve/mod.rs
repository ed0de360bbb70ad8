//! Typed configuration to [`crate::model::Desired`], one per host: imports followed, options valued, templates rendered,
//! defaults applied, dependencies found. It looks at no host, and reads nothing but the sources it is given.

mod check;
mod declared;
mod dependencies;
mod host;
mod imports;
mod kind;
mod local;
mod options;
mod reader;
mod render;
mod template;
mod unit_text;

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Diagnostic, Project, Severity, SourceMap, Sources, load};
use crate::model::{Desired, HostName};

/// What all hosts should be, and all that is wrong.
#[derive(Debug)]
pub struct Resolution {
    /// The hosts without errors.
    pub hosts: BTreeMap<HostName, Desired>,
    /// The hosts with errors: in their own file, in a module they use, or in what comes of both.
    pub hosts_with_errors: BTreeSet<HostName>,
    /// Everything found in all files, in the order of files and lines. Errors in a module that no host uses are among
    /// them, and keep no host from being resolved.
    pub diagnostics: Vec<Diagnostic>,
    /// The text that the findings point into.
    pub sources: SourceMap,
}

impl Resolution {
    /// Whether anything is wrong anywhere.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }
}

/// Resolves every host of a project. Pure: the same sources give the same resolution.
#[must_use]
pub fn resolve_all(sources: &Sources<'_>) -> Resolution {
    resolve(load(&sources.config), sources, |_| true)
}

/// Resolves those hosts of a loaded project that `wanted` names, and reports what is wrong with all files.
/// Templates still see the public facts of every host.
#[must_use]
pub fn resolve(project: Project, sources: &Sources<'_>, wanted: impl Fn(&HostName) -> bool) -> Resolution {
    let mut project = project;
    let mut resolution = Resolution {
        hosts: BTreeMap::new(),
        hosts_with_errors: BTreeSet::new(),
        diagnostics: std::mem::take(&mut project.diagnostics),
        sources: std::mem::take(&mut project.sources),
    };
    let imports = imports::Imports::of(&project, &mut resolution.diagnostics);
    let facts = render::Facts::of_project(&project);
    let mut shared = host::Shared {
        project: &project,
        imports: &imports,
        facts: &facts,
        templates: render::Templates::new(),
        locals: local::Locals::new(sources.files),
        sources: &mut resolution.sources,
    };
    for host in project.hosts.values().filter(|host| wanted(&host.name)) {
        let mut found = Vec::new();
        match host::resolve(host, &mut shared, &mut found) {
            Some(desired) if !found.iter().any(|finding| finding.severity == Severity::Error) => {
                resolution.hosts.insert(host.name.clone(), desired);
            }
            _ => {
                resolution.hosts_with_errors.insert(host.name.clone());
            }
        }
        for finding in found {
            record(finding, &host.name, &mut resolution.diagnostics);
        }
    }
    resolution
        .diagnostics
        .sort_by_key(|finding| finding.primary.as_ref().map(|label| label.span));
    resolution
}

/// One mistake in a module that a thousand hosts use is one finding, with the hosts counted.
fn record(finding: Diagnostic, host: &HostName, diagnostics: &mut Vec<Diagnostic>) {
    match diagnostics.iter_mut().find(|known| known.same_as(&finding)) {
        // What is wrong whatever the host names none.
        Some(known) if known.hosts.is_empty() => {}
        Some(known) if known.hosts.contains(host) => {}
        Some(known) => known.hosts.push(host.clone()),
        None => diagnostics.push(Diagnostic {
            hosts: vec![host.clone()],
            ..finding
        }),
    }
}
