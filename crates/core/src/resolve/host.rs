//! One host: its modules and its own file to what it should be. What the machine is, nobody asks here.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::config::{
    Assert, Code, Declaration, Diagnostic, Host, Label, PortClaim, Project, Severity, Sort, SourceMap,
};
use crate::model::{Desired, HostName, Kind, Resource, Spec};

use super::declared::{Declarations, Whose};
use super::imports::{Imported, Imports};
use super::local::Locals;
use super::options::scopes;
use super::reader::Reader;
use super::render::{Facts, Renderer, Scope, Templates, Written, instances_value};
use super::secrets::{self, Kept};
use super::trace::{By, Trace};
use super::uses::{self, Uses};
use super::{check, claims, dependencies, firewall, forbid, kind, needed, provided, repeat, unsound, user_units};

/// What all hosts of a resolution share.
pub(super) struct Shared<'a> {
    pub(super) project: &'a Project,
    pub(super) imports: &'a Imports<'a>,
    pub(super) facts: &'a Facts,
    pub(super) templates: Templates,
    pub(super) locals: Locals<'a>,
    pub(super) sources: &'a mut SourceMap,
    /// The values in stores that each host has.
    pub(super) secrets: Vec<(HostName, Vec<Kept>)>,
    /// Where what was seen is noted down, if anyone asks why.
    pub(super) trace: Option<&'a mut Trace>,
}

/// Resolves one host; `None` where it cannot be, with the reason in `found` or in what was found when the files were read.
pub(super) fn resolve(host: &Host, shared: &mut Shared<'_>, found: &mut Vec<Diagnostic>) -> Option<Desired> {
    if host.unreadable {
        return None;
    }
    let mut renderer = Renderer::new(
        &mut shared.templates,
        shared.sources,
        found,
        shared.trace.as_deref_mut(),
    );
    let imported = shared
        .imports
        .of_host(shared.project, host, shared.facts, &mut renderer);
    let desired = with_modules(
        shared.project,
        host,
        &imported,
        shared.facts,
        &mut shared.locals,
        &mut renderer,
    );
    let desired = desired.map(|(desired, secrets)| {
        shared.secrets.push((host.name.clone(), secrets));
        desired
    });
    tell_ways(&imported, renderer.sources, renderer.found);
    desired
}

fn with_modules(
    project: &Project,
    host: &Host,
    imported: &Imported<'_>,
    facts: &Facts,
    locals: &mut Locals<'_>,
    renderer: &mut Renderer<'_>,
) -> Option<(Desired, Vec<Kept>)> {
    let broken = host.broken || !imported.sound || imported.modules.values().any(|module| module.broken);
    let uses = uses::find(host, imported, facts, renderer);
    let (mut scopes, complete) = scopes(project, host, imported, &uses, facts, renderer);
    see_instances(&uses, &mut scopes);
    if complete {
        asserts(&uses, &scopes, renderer);
    }
    let files = Files::of(host, imported, &uses, &scopes, facts);
    let mut declarations = Declarations {
        made: renderer.trace.is_some().then(Vec::new),
        ..Declarations::default()
    };
    let mut failed = false;
    for (declaration, file) in files.in_order() {
        declarations.whose = file.whose;
        if renderer.secret_paths.is_none() && turn(declaration) == Turn::Others {
            renderer.secret_paths = Some(secrets::paths(&declarations, &host.secrets));
        }
        declarations.file = file.number;
        let repeated = repeat::each(declaration, &file.scope, renderer, |scope, renderer| {
            declarations.current = renderer.note(declaration, scope, locals);
            let mut reader = Reader {
                declaration,
                scope,
                renderer,
                locals,
                declarations: &mut declarations,
            };
            kind::resolve(&mut reader)
        });
        failed |= repeated.is_err();
    }
    let made = declarations.made.take();
    kind::finish(&mut declarations, renderer.found);
    firewall::finish(&mut declarations, &host.connection, renderer.found);
    let secrets = secrets::finish(&mut declarations, host, &project.stores, renderer.found);
    user_units::directories(&mut declarations, renderer.found);
    let ports = files.all.iter().map(|file| (file.ports, &file.scope));
    let claims = claims::find(ports, &declarations.units, renderer);
    if let Some(trace) = &mut renderer.trace {
        trace.read = true;
        trace.made = made.unwrap_or_default();
        let ways = imported.ways.iter();
        trace.ways = ways
            .map(|(module, way)| ((*module).to_owned(), (way.by.by(), way.span)))
            .collect();
        let specs = declarations.resources.iter();
        trace.specs = specs
            .map(|(id, declared)| (id.clone(), declared.spec.clone()))
            .collect();
    }
    let forbidden = imported
        .groups
        .iter()
        .flat_map(|group| &group.forbid)
        .chain(&host.forbid);
    forbid::names(forbidden, &mut declarations, renderer.found);
    check::paths(&declarations, renderer.found);
    check::holds(&declarations, renderer.found);
    check::answers(&declarations, renderer.found);
    check::blocks(&declarations, renderer.found);
    check::numbers(&declarations, renderer.found);
    check::units(&declarations, renderer.found);
    user_units::lingering(&declarations, renderer.found);
    unsound::find(&declarations, renderer.found);
    if let Ok(claimed) = &claims {
        claims::probes(&claimed.healths, &declarations, renderer.found);
    }
    // References to a resource that could not be read would be reported as references to nothing.
    let Ok(claims::Claimed { ports, .. }) = claims else {
        return None;
    };
    if failed || broken || !complete {
        return None;
    }
    let mut dependencies = dependencies::find(&declarations, renderer.found);
    if let Some(trace) = &mut renderer.trace {
        trace.dependencies.clone_from(&dependencies);
    }
    check::cycles(&declarations, &dependencies, renderer.found);
    provided::users(&declarations, &dependencies, renderer.found);
    needed::paths(&declarations, &dependencies, renderer.found);
    let sources = &*renderer.sources;
    let resources = declarations.resources.into_iter().map(|(id, declared)| {
        let depends = dependencies.remove(&id).unwrap_or_default();
        let resource = Resource {
            spec: declared.spec,
            origin: sources.origin(declared.span),
            depends: depends.into_iter().collect(),
            on_removal: declared.on_removal,
        };
        (id, resource)
    });
    let resources: BTreeMap<_, _> = resources.collect();
    // What a group said and the host says instead has left its text behind.
    let used = resources.values().flat_map(|resource| match &resource.spec {
        Spec::File(file) => vec![file.content],
        Spec::Tree(tree) => tree.source.contents(),
        _ => Vec::new(),
    });
    let used: BTreeSet<_> = used.map(|content| content.sha256).collect();
    declarations.blobs.retain(|digest, _| used.contains(digest));
    let desired = Desired {
        host: host.name.clone(),
        connection: host.connection.clone(),
        tags: host.tags.clone(),
        machine: host.machine.clone(),
        ports,
        resources,
        blobs: declarations.blobs,
    };
    Some((desired, secrets))
}

/// Lets the templates of resources and assertions see all instances, with their options: `instances.openclaw.ops.port`.
fn see_instances(uses: &Uses<'_>, scopes: &mut [Scope]) {
    let all = instances_value(uses.all.iter().zip(scopes.iter()));
    if let Some(all) = all {
        for scope in scopes {
            scope.context.insert_value("instances", all.clone());
        }
    }
}

/// A file with resources in it, on behalf of one host.
struct File<'a> {
    number: usize,
    whose: Whose,
    scope: Cow<'a, Scope>,
    resources: &'a [Declaration],
    ports: &'a [PortClaim],
}

/// All files with resources of one host, a module's once per use: modules by name, groups by tag, the host's own.
struct Files<'a> {
    all: Vec<File<'a>>,
}

impl<'a> Files<'a> {
    fn of(host: &'a Host, imported: &Imported<'a>, uses: &Uses<'a>, scopes: &'a [Scope], facts: &Facts) -> Self {
        let mut all = Vec::new();
        for (used, scope) in uses.all.iter().zip(scopes) {
            all.push(File {
                number: all.len(),
                whose: Whose::Module,
                scope: Cow::Borrowed(scope),
                resources: &used.module.resources,
                ports: &used.module.ports,
            });
        }
        let instances = instances_value(uses.all.iter().zip(scopes));
        let own = |by: By| {
            let mut scope = Scope::new(by, facts, host);
            if let Some(instances) = &instances {
                scope.context.insert_value("instances", instances.clone());
            }
            Cow::Owned(scope)
        };
        for group in &imported.groups {
            all.push(File {
                number: all.len(),
                whose: Whose::Group,
                scope: own(By::Group(group.tag.clone())),
                resources: &group.resources,
                ports: &group.ports,
            });
        }
        all.push(File {
            number: all.len(),
            whose: Whose::Host,
            scope: own(By::Host),
            resources: &host.resources,
            ports: &host.ports,
        });
        Self { all }
    }

    /// All declarations, in their turn.
    fn in_order(&self) -> Vec<(&'a Declaration, &File<'a>)> {
        let mut declarations: Vec<_> = self
            .all
            .iter()
            .flat_map(|file| file.resources.iter().map(move |declaration| (declaration, file)))
            .collect();
        declarations.sort_by_key(|(declaration, _)| turn(declaration));
        declarations
    }
}

/// Groups and users come first, because the defaults of others' groups depend on them, and then secrets, whose paths others name.
fn turn(declaration: &Declaration) -> Turn {
    match declaration.sort {
        Sort::Kind(Kind::Group) => Turn::Groups,
        Sort::Kind(Kind::User) => Turn::Users,
        Sort::Kind(Kind::Secret) => Turn::Secrets,
        Sort::Kind(_) | Sort::Shorthand(_) => Turn::Others,
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Groups,
    Users,
    Secrets,
    Others,
}

/// How many imports are shown with a finding in a module.
const SHOWN_IMPORTS: usize = 4;

/// A finding in a module is shown with the imports that lead there: the user may not have written that module.
fn tell_ways(imported: &Imported<'_>, sources: &SourceMap, found: &mut [Diagnostic]) {
    for finding in found {
        let Some(primary) = &finding.primary else { continue };
        let file = sources.path(primary.span.source);
        let module = imported.modules.values().find(|module| module.file == file);
        let Some(module) = module else { continue };
        for (name, way) in imported.way(&module.name).into_iter().rev().take(SHOWN_IMPORTS) {
            let known = finding.secondary.iter().any(|label| label.span == way.span);
            if !known {
                let text = format!("`{name}` is imported here");
                finding.secondary.push(Label { span: way.span, text });
            }
        }
    }
}

fn asserts(uses: &Uses<'_>, scopes: &[Scope], renderer: &mut Renderer<'_>) {
    for (used, scope) in uses.all.iter().zip(scopes) {
        for assert in &used.module.asserts {
            check_assert(assert, scope, renderer);
        }
    }
}

fn check_assert(assert: &Assert, scope: &Scope, renderer: &mut Renderer<'_>) {
    // What could not be evaluated is reported as such.
    let Ok(false) = renderer.holds(&assert.that, scope) else {
        return;
    };
    let written = Written {
        text: &assert.message.value,
        span: assert.message.span,
        offset: 0,
        quoted: true,
    };
    let Ok(message) = renderer.text(written, scope) else {
        return;
    };
    let diagnostic = Diagnostic::error(
        Code::AssertionFailed,
        message.trim(),
        assert.that.span,
        "this does not hold",
    );
    let why = match assert.severity {
        Severity::Error => format!("{} demands it of the options it is given", scope.of),
        Severity::Warning => format!("{} advises it", scope.of),
    };
    let severity = assert.severity;
    renderer.found.push(Diagnostic {
        severity,
        ..diagnostic.because(why)
    });
}
