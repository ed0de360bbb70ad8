//! Which modules a host uses: its imports and theirs. It evaluates nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Code, Diagnostic, Host, Module, Project, Span, Spanned, did_you_mean, shown};

/// Findings about the modules' imports of each other, and the modules from which they are reached.
pub(super) struct Imports<'a> {
    /// For each module, all modules it needs, itself included; in the order of their names.
    closures: BTreeMap<&'a str, BTreeSet<&'a str>>,
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
        let closures = project
            .modules
            .keys()
            .map(|name| (name.as_str(), closure(project, std::iter::once(name.as_str()))))
            .collect();
        Self { closures, broken }
    }

    /// The modules that a host uses, by name, and whether all of its imports are sound. Unknown ones are reported.
    pub(super) fn of_host(
        &self,
        project: &'a Project,
        host: &Host,
        found: &mut Vec<Diagnostic>,
    ) -> (BTreeMap<&'a str, &'a Module>, bool) {
        let mut names = BTreeSet::new();
        let mut sound = true;
        for import in &host.imports {
            match self.closures.get(import.value.as_str()) {
                Some(closure) => names.extend(closure.iter().copied()),
                None => {
                    found.push(unknown(project, import));
                    sound = false;
                }
            }
        }
        sound &= names.iter().all(|name| !self.broken.contains(name));
        let modules = names
            .into_iter()
            .filter_map(|name| project.modules.get(name).map(|module| (name, module)));
        (modules.collect(), sound)
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

fn closure<'a>(project: &'a Project, start: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let mut closure = BTreeSet::new();
    let mut open: Vec<&str> = start.collect();
    while let Some(name) = open.pop() {
        let Some(module) = project.modules.get(name) else {
            continue;
        };
        if closure.insert(module.name.as_str()) {
            open.extend(module.imports.iter().map(|import| import.value.as_str()));
        }
    }
    closure
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
