//! One host: its modules and its own file to what it should be. What the machine is, nobody asks here.

use std::collections::BTreeMap;

use crate::config::{Assert, Code, Declaration, Diagnostic, Host, Module, Project, SourceMap, Span};
use crate::model::{Desired, Kind, Resource};

use super::declared::Declarations;
use super::imports::{Imported, Imports};
use super::local::Locals;
use super::options::scopes;
use super::reader::Reader;
use super::render::{Facts, Renderer, Scope, Templates, Written};
use super::trace::{By, Trace};
use super::{check, dependencies, kind};

/// What all hosts of a resolution share.
pub(super) struct Shared<'a> {
    pub(super) project: &'a Project,
    pub(super) imports: &'a Imports<'a>,
    pub(super) facts: &'a Facts,
    pub(super) templates: Templates,
    pub(super) locals: Locals<'a>,
    pub(super) sources: &'a mut SourceMap,
    /// Where what was seen is noted down, if anyone asks why.
    pub(super) trace: Option<&'a mut Trace>,
}

/// Resolves one host; `None` where it cannot be, with the reason in `found` or in what was found when the files were read.
pub(super) fn resolve(host: &Host, shared: &mut Shared<'_>, found: &mut Vec<Diagnostic>) -> Option<Desired> {
    if host.unreadable {
        return None;
    }
    let imported = shared.imports.of_host(shared.project, host, found);
    let modules = &imported.modules;
    let broken = host.broken || !imported.sound || modules.values().any(|module| module.broken);
    let mut renderer = Renderer {
        templates: &mut shared.templates,
        sources: shared.sources,
        found,
        trace: shared.trace.as_deref_mut(),
    };
    let (scopes, complete) = scopes(host, modules, shared.facts, &mut renderer);
    if complete {
        asserts(modules, &scopes, &mut renderer);
    }
    let own = Scope::new(By::Host, shared.facts, host);
    let mut declarations = Declarations {
        made: renderer.trace.is_some().then(Vec::new),
        ..Declarations::default()
    };
    let mut failed = false;
    for (number, (declaration, scope)) in in_order(modules, &scopes, host, &own).into_iter().enumerate() {
        declarations.current = number;
        renderer.note(declaration, scope, &mut shared.locals);
        let mut reader = Reader {
            declaration,
            scope,
            renderer: &mut renderer,
            locals: &mut shared.locals,
            declarations: &mut declarations,
        };
        failed |= kind::resolve(&mut reader).is_err();
    }
    let made = declarations.made.take();
    kind::finish(&mut declarations, renderer.found);
    if let Some(trace) = &mut renderer.trace {
        trace.read = true;
        trace.made = made.unwrap_or_default();
        trace.ways = imported
            .modules
            .keys()
            .map(|module| ((*module).to_owned(), way(&imported, module)))
            .collect();
        let specs = declarations
            .resources
            .iter()
            .map(|(id, declared)| (id.clone(), declared.spec.clone()));
        trace.specs = specs.collect();
    }
    check::paths(&declarations, renderer.found);
    // References to a resource that could not be read would be reported as references to nothing.
    if failed || broken || !complete {
        return None;
    }
    let dependencies = dependencies::find(&declarations, renderer.found);
    if let Some(trace) = &mut renderer.trace {
        trace.dependencies.clone_from(&dependencies);
    }
    check::cycles(&declarations, &dependencies, renderer.found);
    let sources = &*renderer.sources;
    let mut dependencies = dependencies;
    let resources = declarations.resources.into_iter().map(|(id, declared)| {
        let depends = dependencies.remove(&id).unwrap_or_default();
        let resource = Resource {
            spec: declared.spec,
            origin: sources.origin(declared.span),
            depends: depends.into_iter().collect(),
        };
        (id, resource)
    });
    Some(Desired {
        host: host.name.clone(),
        connection: host.connection.clone(),
        tags: host.tags.clone(),
        machine: host.machine.clone(),
        resources: resources.collect(),
        blobs: declarations.blobs,
    })
}

/// The imports that lead to a module, as a trace has them.
fn way(imported: &Imported<'_>, module: &str) -> Vec<(String, By, Span)> {
    let steps = imported.way(module).into_iter().map(|(module, way)| {
        let by = way.by.map_or(By::Host, |name| By::Module {
            name: name.to_owned(),
            instance: None,
        });
        (module.to_owned(), by, way.span)
    });
    steps.collect()
}

/// All declarations, each with what its templates see: modules by name, then the host's own. Groups and users come
/// first, because the defaults of others' groups depend on them.
fn in_order<'a>(
    modules: &BTreeMap<&'a str, &'a Module>,
    scopes: &'a BTreeMap<&'a str, Scope>,
    host: &'a Host,
    own: &'a Scope,
) -> Vec<(&'a Declaration, &'a Scope)> {
    let mut all = Vec::new();
    for (name, module) in modules {
        let Some(scope) = scopes.get(name) else { continue };
        all.extend(module.resources.iter().map(|declaration| (declaration, scope)));
    }
    all.extend(host.resources.iter().map(|declaration| (declaration, own)));
    all.sort_by_key(|(declaration, _)| match declaration.kind {
        Kind::Group => 0,
        Kind::User => 1,
        Kind::Package
        | Kind::Directory
        | Kind::File
        | Kind::Symlink
        | Kind::Sysctl
        | Kind::Command
        | Kind::Unit
        | Kind::Probe => 2,
    });
    all
}

fn asserts(modules: &BTreeMap<&str, &Module>, scopes: &BTreeMap<&str, Scope>, renderer: &mut Renderer<'_>) {
    for (name, module) in modules {
        let Some(scope) = scopes.get(name) else { continue };
        for assert in &module.asserts {
            check_assert(assert, scope, renderer);
        }
    }
}

fn check_assert(Assert { that, message }: &Assert, scope: &Scope, renderer: &mut Renderer<'_>) {
    let written = |text, span| Written {
        text,
        span,
        offset: 0,
        quoted: true,
    };
    // What could not be evaluated is reported as such.
    let Ok(value) = renderer.value(written(&that.value, that.span), scope) else {
        return;
    };
    if value.is_truthy() {
        return;
    }
    let Ok(message) = renderer.text(written(&message.value, message.span), scope) else {
        return;
    };
    let diagnostic = Diagnostic::error(Code::AssertionFailed, message.trim(), that.span, "this does not hold");
    let why = format!("{} demands it of the options it is given", scope.of);
    renderer.found.push(diagnostic.because(why));
}
