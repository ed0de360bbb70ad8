//! Typed configuration to [`crate::model::Desired`], one per host: imports followed, options valued, templates rendered,
//! defaults applied, dependencies found. It looks at no host, and reads nothing but the sources it is given.

mod check;
mod circle;
mod claims;
mod declared;
mod dependencies;
mod firewall;
mod forbid;
mod host;
mod imports;
mod json_schema;
mod kind;
mod local;
mod merge;
mod needed;
mod options;
mod parts;
mod provided;
mod reader;
mod render;
mod repeat;
mod secrets;
mod shorthand;
mod template;
mod trace;
mod unit_text;
mod unsound;
mod user_units;
mod uses;
mod why;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::config::{Code, Diagnostic, Host, Label, Project, Severity, SourceId, SourceMap, Sources, load};
use crate::model::{Desired, HostName, SecretItem};

use trace::Trace;

pub use why::{Answer, Definition, Import, Owner, Step, Subject, Why, WhyError, why};

/// What all hosts should be, and all that is wrong.
#[derive(Debug)]
pub struct Resolution {
    /// The hosts without errors.
    pub hosts: BTreeMap<HostName, Desired>,
    /// The hosts with errors: in their own file, in a module they use, or in what comes of both.
    pub hosts_with_errors: BTreeSet<HostName>,
    /// The secrets that each host declares and nothing on it uses, by name, with where they are kept.
    pub unused_secrets: BTreeMap<HostName, BTreeMap<String, SecretItem>>,
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
    stage(project, sources, wanted, None)
}

/// As [`resolve`], for one host, with what was noted down about it.
fn resolve_traced(project: Project, sources: &Sources<'_>, wanted: impl Fn(&HostName) -> bool) -> (Resolution, Trace) {
    let mut trace = Trace::default();
    let resolution = stage(project, sources, wanted, Some(&mut trace));
    (resolution, trace)
}

fn stage(
    mut project: Project,
    sources: &Sources<'_>,
    wanted: impl Fn(&HostName) -> bool,
    trace: Option<&mut Trace>,
) -> Resolution {
    let mut resolution = Resolution {
        hosts: BTreeMap::new(),
        hosts_with_errors: BTreeSet::new(),
        unused_secrets: BTreeMap::new(),
        diagnostics: Vec::new(),
        sources: std::mem::take(&mut project.sources),
    };
    let mut found = std::mem::take(&mut project.diagnostics);
    let imports = imports::Imports::of(&project, &mut found);
    let mut record = Record::new(found);
    let facts = render::Facts::of_project(&project);
    let mut shared = host::Shared {
        project: &project,
        imports: &imports,
        facts: &facts,
        templates: render::Templates::new(),
        locals: local::Locals::new(sources.files),
        sources: &mut resolution.sources,
        secrets: Vec::new(),
        trace,
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
            record.add(host, finding, shared.sources);
        }
    }
    let mut found = Vec::new();
    secrets::shared_by_mistake(&shared.secrets, &mut found);
    for (host, kept) in shared.secrets {
        let unused = kept.into_iter().filter(|kept| !kept.used);
        let unused: BTreeMap<_, _> = unused.map(|kept| (kept.name, kept.item)).collect();
        if !unused.is_empty() {
            resolution.unused_secrets.insert(host, unused);
        }
    }
    resolution.diagnostics = record.all;
    resolution.diagnostics.extend(found);
    resolution
        .diagnostics
        .sort_by_key(|finding| finding.primary.as_ref().map(|label| label.span));
    count_the_rest(&mut resolution);
    resolution
}

/// How many findings of one file are told. Nobody reads more, and showing each takes time.
const TOLD_PER_FILE: usize = 100;

/// Leaves the first findings of each file, and one that counts the others.
fn count_the_rest(resolution: &mut Resolution) {
    let mut told: BTreeMap<SourceId, usize> = BTreeMap::new();
    let mut rest: BTreeMap<SourceId, (usize, Diagnostic)> = BTreeMap::new();
    resolution.diagnostics.retain(|finding| {
        let Some(primary) = &finding.primary else { return true };
        let source = primary.span.source;
        let count = told.entry(source).or_default();
        *count += 1;
        if *count <= TOLD_PER_FILE {
            return true;
        }
        // An error among them makes it one.
        let first = || {
            (
                0,
                Diagnostic::error(Code::TooMuch, "", primary.span, "from here on").warning(),
            )
        };
        let (more, summary) = rest.entry(source).or_insert_with(first);
        *more += 1;
        summary.severity = summary.severity.min(finding.severity);
        false
    });
    for (source, (more, summary)) in rest {
        let message = format!("`{}` has {more} more findings", resolution.sources.path(source));
        resolution.diagnostics.push(Diagnostic { message, ..summary });
    }
}

/// The findings so far. One mistake in a module that a thousand hosts use is one finding, with the hosts counted.
struct Record {
    all: Vec<Diagnostic>,
    known: HashMap<(Code, Option<Label>, String), usize>,
}

impl Record {
    fn new(found: Vec<Diagnostic>) -> Self {
        let mut record = Self {
            all: Vec::new(),
            known: HashMap::new(),
        };
        for finding in found {
            record.known.insert(key(&finding), record.all.len());
            record.all.push(finding);
        }
        record
    }

    /// Takes in a finding of one host. The host is not named where the finding is in its own file, or known already
    /// whatever the host.
    fn add(&mut self, host: &Host, finding: Diagnostic, sources: &SourceMap) {
        let known = self
            .known
            .get(&key(&finding))
            .and_then(|index| self.all.get_mut(*index));
        if let Some(known) = known {
            if known.hosts.last().is_some_and(|last| *last != host.name) {
                known.hosts.push(host.name.clone());
            }
            return;
        }
        let place = finding.primary.as_ref().map(|label| sources.path(label.span.source));
        let hosts = if place == Some(&host.file) {
            Vec::new()
        } else {
            vec![host.name.clone()]
        };
        self.known.insert(key(&finding), self.all.len());
        self.all.push(Diagnostic { hosts, ..finding });
    }
}

fn key(finding: &Diagnostic) -> (Code, Option<Label>, String) {
    (finding.code, finding.primary.clone(), finding.message.clone())
}
