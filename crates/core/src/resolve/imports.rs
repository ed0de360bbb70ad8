//! Which modules a host uses: its imports and theirs. It evaluates nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::config::{Code, Diagnostic, Host, Module, Project, Span, Spanned, did_you_mean, shown};

/// Findings about the modules' imports of each other, and the modules from which they are reached.
pub(super) struct Imports<'a> {
    /// The modules that are in an import cycle, or import what does not exist.
    broken: BTreeSet<&'a str>,
}

impl<'a> Imports<'a> {
    /// Looks at all modules once, and reports unknown imports and cycles among them.
    pub(super) fn of(project: &'a Project, found: &mut Vec<Diagnostic>) -> Self {
        let mut broken = BTreeSet::new();
        for module in project.modules.values().filter(|module| !module.unreadable) {
            for import in &module.imports {
                if !project.modules.contains_key(&import.value) {
                    found.push(unknown(project, import));
                    broken.insert(module.name.as_str());
                }
            }
        }
        let mut walk = Walk {
            project,
            path: Vec::new(),
            done: BTreeSet::new(),
        };
        for module in project.modules.values() {
            walk.visit(module, found, &mut broken);
        }
        Self { broken }
    }

    /// The modules that a host uses, and how each came in. Unknown imports are reported.
    pub(super) fn of_host(&self, project: &'a Project, host: &'a Host, found: &mut Vec<Diagnostic>) -> Imported<'a> {
        let mut imported = Imported {
            modules: BTreeMap::new(),
            ways: BTreeMap::new(),
            sound: true,
        };
        let mut open: VecDeque<(Option<&'a str>, &'a Spanned<String>)> = VecDeque::new();
        open.extend(host.imports.iter().map(|import| (None, import)));
        // Breadth first: of several ways in, the shortest is told.
        while let Some((by, import)) = open.pop_front() {
            let Some(module) = project.modules.get(&import.value) else {
                // A module's unknown import is reported once, whatever the host.
                if by.is_none() {
                    found.push(unknown(project, import));
                    imported.sound = false;
                }
                continue;
            };
            let name = module.name.as_str();
            if imported.modules.insert(name, module).is_none() {
                imported.ways.insert(name, Way { by, span: import.span });
                imported.sound &= !self.broken.contains(name);
                open.extend(module.imports.iter().map(|import| (Some(name), import)));
            }
        }
        imported
    }
}

/// The modules of one host.
pub(super) struct Imported<'a> {
    /// By name.
    pub(super) modules: BTreeMap<&'a str, &'a Module>,
    ways: BTreeMap<&'a str, Way<'a>>,
    /// Whether all imports are of modules that there are, and none is in a circle.
    pub(super) sound: bool,
}

/// The import by which a module came in.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    /// The module that imports it; `None` is the host file.
    pub(super) by: Option<&'a str>,
    /// Where.
    pub(super) span: Span,
}

impl<'a> Imported<'a> {
    /// The imports that lead from the host file to a module, in that order; each names the module that it brings in.
    pub(super) fn way(&self, module: &str) -> Vec<(&'a str, Way<'a>)> {
        let mut way = Vec::new();
        let mut next = self.ways.get_key_value(module);
        while let Some((name, step)) = next {
            way.push((*name, *step));
            next = step.by.and_then(|by| self.ways.get_key_value(by));
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
            self.path.push((&module.name, import.span));
            let Some(target) = self.project.modules.get(&import.value) else {
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
    let mut drawn: Vec<_> = cycle.iter().map(|(name, _)| *name).collect();
    drawn.extend(cycle.first().map(|(name, _)| *name));
    let message = format!("modules import each other in a circle: {}", drawn.join(" → "));
    let mut places = cycle.iter().zip(drawn.iter().skip(1));
    let why = "a module's imports come before it, so a circle has no beginning";
    let help = "move what both need into a module of its own, and import that from both";
    let mut diagnostic = match places.next() {
        Some(((name, span), next)) => {
            Diagnostic::error(Code::ImportCycle, message, *span, format!("`{name}` imports `{next}`"))
        }
        None => Diagnostic::unplaced(Code::ImportCycle, message),
    };
    for ((name, span), next) in places {
        diagnostic = diagnostic.also(*span, format!("`{name}` imports `{next}`"));
    }
    diagnostic.because(why).help(help)
}
