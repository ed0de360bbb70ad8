//! Which modules a host uses: its imports and theirs. It evaluates nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::config::{
    Code, Diagnostic, Host, HostGroup, Import, Module, Project, Reported, Span, Spanned, did_you_mean, shown,
};

use super::circle::{Link, circle};
use super::render::{Facts, Renderer, Scope};
use super::trace::By;

/// Findings about the modules' imports of each other, and the modules from which they are reached.
pub(super) struct Imports<'a> {
    /// The modules that are in an import cycle, or import what does not exist.
    broken: BTreeSet<&'a str>,
    /// The groups that import what does not exist.
    broken_groups: BTreeSet<&'a str>,
}

impl<'a> Imports<'a> {
    /// Looks at all modules once, and reports unknown imports and cycles among them.
    pub(super) fn of(project: &'a Project, found: &mut Vec<Diagnostic>) -> Self {
        let mut broken = BTreeSet::new();
        for module in project.modules.values().filter(|module| !module.unreadable) {
            for import in &module.imports {
                if !project.modules.contains_key(&import.module.value) {
                    found.push(unknown(project, &import.module));
                    broken.insert(module.name.as_str());
                }
            }
        }
        let mut broken_groups = BTreeSet::new();
        for group in project.groups.values() {
            for import in &group.imports {
                if !project.modules.contains_key(&import.module.value) {
                    found.push(unknown(project, &import.module));
                    broken_groups.insert(group.tag.as_str());
                }
            }
            group_values(project, group, found);
        }
        let mut walk = Walk {
            project,
            path: Vec::new(),
            done: BTreeSet::new(),
        };
        for module in project.modules.values() {
            walk.visit(module, found, &mut broken);
        }
        Self { broken, broken_groups }
    }

    /// The modules that a host uses, and how each came in. Unknown imports are reported.
    pub(super) fn of_host(
        &self,
        project: &'a Project,
        host: &'a Host,
        facts: &Facts,
        renderer: &mut Renderer<'_>,
    ) -> Imported<'a> {
        let groups: Vec<_> = host.tags.iter().filter_map(|tag| project.groups.get(tag)).collect();
        let sound = groups
            .iter()
            .all(|group| !group.broken && !self.broken_groups.contains(group.tag.as_str()));
        let mut imported = Imported {
            modules: BTreeMap::new(),
            groups,
            ways: BTreeMap::new(),
            sound,
        };
        let mut open: VecDeque<(Importer<'a>, &'a Import)> = VecDeque::new();
        open.extend(host.imports.iter().map(|import| (Importer::Host, import)));
        for group in &imported.groups {
            let imports = group.imports.iter();
            open.extend(imports.map(|import| (Importer::Group(&group.tag), import)));
        }
        // Breadth first: of several ways in, the shortest is told.
        while let Some((by, import)) = open.pop_front() {
            let Some(module) = project.modules.get(&import.module.value) else {
                // Another file's unknown import is reported once, whatever the host.
                if by == Importer::Host {
                    renderer.found.push(unknown(project, &import.module));
                    imported.sound = false;
                }
                continue;
            };
            if let Some(when) = &import.when {
                let scope = Scope::new(by.by(), facts, host).seeing(SEES);
                match renderer.holds(when, &scope) {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(Reported) => {
                        imported.sound = false;
                        continue;
                    }
                }
            }
            let name = module.name.as_str();
            if imported.modules.insert(name, module).is_none() {
                let span = import.module.span;
                imported.ways.insert(name, Way { by, span });
                imported.sound &= !self.broken.contains(name);
                open.extend(module.imports.iter().map(|import| (Importer::Module(name), import)));
            }
        }
        imported
    }
}

/// What the condition of an import sees, and why no more.
const SEES: &str =
    "an import's condition sees `host` and `hosts` only: options have values once it is known which modules there are";

/// Values that a group gives to a module have no effect where none of its hosts can use that module.
fn group_values(project: &Project, group: &HostGroup, found: &mut Vec<Diagnostic>) {
    let hosts: Vec<_> = project
        .hosts
        .values()
        .filter(|host| host.tags.contains(&group.tag))
        .collect();
    if hosts.is_empty() {
        found.extend(unused_group(project, group));
        return;
    }
    for setting in &group.settings {
        let module = &setting.module;
        let served = hosts.iter().any(|host| can_use(project, host, &module.value));
        if served {
            continue;
        }
        let name = shown(&module.value);
        let message = format!("no host of the group `{}` uses the module `{name}`", group.tag);
        let diagnostic = Diagnostic::error(Code::NotImported, message, module.span, "not imported");
        let help = did_you_mean(&module.value, project.modules.keys().map(String::as_str));
        let help = match help {
            Some(help) if !project.modules.contains_key(&module.value) => help,
            _ => format!("add \"{name}\" to this group's `imports`, or remove the table"),
        };
        let why = "values for a module that is not used would have no effect";
        found.push(diagnostic.because(why).help(help));
    }
}

/// The warning that no host has a group's tag. It points at the file's beginning: its name is what nobody has.
fn unused_group(project: &Project, group: &HostGroup) -> Option<Diagnostic> {
    if project.hosts.is_empty() {
        return None;
    }
    let message = format!("no host has the tag `{}`, so `{}` is for nobody", group.tag, group.file);
    let tags = project
        .hosts
        .values()
        .flat_map(|host| host.tags.iter().map(String::as_str));
    let meant = did_you_mean(&group.tag, tags);
    let help = meant.map(|meant| format!("{meant} Rename the file then"));
    let help = help.unwrap_or_else(|| {
        format!(
            "write tags = [\"{}\"] below [host] of the hosts that it is for",
            group.tag
        )
    });
    let span = Span::new(group.source, 0..0);
    Some(
        Diagnostic::error(Code::UnusedGroup, message, span, "")
            .help(help)
            .warning(),
    )
}

/// Whether a host could use a module, if all conditions held.
fn can_use(project: &Project, host: &Host, module: &str) -> bool {
    let groups = host.tags.iter().filter_map(|tag| project.groups.get(tag));
    let imports = groups.flat_map(|group| &group.imports).chain(&host.imports);
    let mut open: Vec<&str> = imports.map(|import| import.module.value.as_str()).collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if name == module {
            return true;
        }
        if let Some(next) = project.modules.get(name)
            && seen.insert(name)
        {
            open.extend(next.imports.iter().map(|import| import.module.value.as_str()));
        }
    }
    false
}

/// The modules of one host.
pub(super) struct Imported<'a> {
    /// By name.
    pub(super) modules: BTreeMap<&'a str, &'a Module>,
    /// The groups that the host is in, by tag.
    pub(super) groups: Vec<&'a HostGroup>,
    pub(super) ways: BTreeMap<&'a str, Way<'a>>,
    /// Whether all imports are of modules that there are, and none is in a circle; and no group is broken.
    pub(super) sound: bool,
}

/// The import by which a module came in.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    /// The file that imports it.
    pub(super) by: Importer<'a>,
    /// Where.
    pub(super) span: Span,
}

/// A file that imports modules.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Importer<'a> {
    /// The host's own.
    Host,
    /// The group of a tag.
    Group(&'a str),
    /// A module.
    Module(&'a str),
}

impl Importer<'_> {
    /// The same for those who ask why.
    pub(super) fn by(self) -> By {
        match self {
            Self::Host => By::Host,
            Self::Group(tag) => By::Group(tag.to_owned()),
            Self::Module(name) => By::module(name),
        }
    }
}

impl<'a> Imported<'a> {
    /// The imports that lead from the host's file, or its group's, to a module, in that order; each names the module that it brings in.
    pub(super) fn way(&self, module: &str) -> Vec<(&'a str, Way<'a>)> {
        let mut way = Vec::new();
        let mut next = self.ways.get_key_value(module);
        while let Some((name, step)) = next {
            way.push((*name, *step));
            next = match step.by {
                Importer::Module(by) => self.ways.get_key_value(by),
                Importer::Host | Importer::Group(_) => None,
            };
        }
        way.reverse();
        way
    }
}

fn unknown(project: &Project, import: &Spanned<String>) -> Diagnostic {
    let name = shown(&import.value);
    let message = format!("there is no module `{name}`");
    let diagnostic = Diagnostic::error(
        Code::UnknownModule,
        message,
        import.span,
        format!("modules/{name}.toml does not exist"),
    );
    diagnostic.help_if(did_you_mean(&import.value, project.modules.keys().map(String::as_str)))
}

/// A walk along the imports, in which a module met again on its own path closes a cycle.
struct Walk<'a> {
    project: &'a Project,
    /// The modules being walked, each with the import that leads on.
    path: Vec<(&'a str, Span)>,
    done: BTreeSet<&'a str>,
}

impl<'a> Walk<'a> {
    /// An explicit stack: a chain of imports may be as long as there are modules.
    fn visit(&mut self, start: &'a Module, found: &mut Vec<Diagnostic>, broken: &mut BTreeSet<&'a str>) {
        let mut stack: Vec<(&'a Module, usize)> = vec![(start, 0)];
        while let Some((module, next)) = stack.last_mut() {
            let module = *module;
            if *next == 0 && self.done.contains(module.name.as_str()) {
                stack.pop();
                self.path.pop();
                continue;
            }
            let Some(import) = module.imports.get(*next) else {
                self.done.insert(&module.name);
                stack.pop();
                self.path.pop();
                continue;
            };
            *next += 1;
            self.path.truncate(stack.len() - 1);
            self.path.push((&module.name, import.module.span));
            let Some(target) = self.project.modules.get(&import.module.value) else {
                continue;
            };
            if let Some(first) = self.path.iter().position(|(name, _)| *name == target.name) {
                let cycle = self.path.get(first..).unwrap_or(&[]);
                broken.extend(cycle.iter().map(|(name, _)| *name));
                found.push(cycle_found(cycle));
            } else if !self.done.contains(target.name.as_str()) {
                stack.push((target, 0));
            }
        }
    }
}

fn cycle_found(cycle: &[(&str, Span)]) -> Diagnostic {
    let next = cycle.iter().cycle().skip(1);
    let links = cycle.iter().zip(next).map(|((name, span), (next, _))| Link {
        name: (*name).to_owned(),
        span: *span,
        label: format!("`{name}` imports `{next}`"),
    });
    circle(Code::ImportCycle, "modules import each other", links.collect())
        .because("a module's imports come before it, so a circle has no beginning")
        .help("move what both need into a module of its own, and import that from both")
}
