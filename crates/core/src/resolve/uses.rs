//! Which modules a host uses how often: most once, those with instances once per name; and who gives values to which.
//! It reads no value.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use crate::config::{
    Code, Diagnostic, Host, HostGroup, InstanceName, Module, Node, Priority, Reported, Scalar, Setting, Span, Spanned,
    Value, did_you_mean, finding, is_template, shown,
};

use super::imports::{Imported, Importer};
use super::render::{Facts, Renderer, Scope, Written, instance_value};
use super::trace::By;

/// How many instances a host may have. Modules can make each other's, so a slip would otherwise know no end.
const MAX_INSTANCES: usize = 1000;

/// One use of a module.
#[derive(Clone)]
pub(super) struct Use<'a> {
    pub(super) module: &'a Module,
    /// The instance's name, where the module has instances.
    pub(super) instance: Option<Rc<str>>,
    /// Where the instance is named first.
    pub(super) named: Option<Span>,
}

impl Use<'_> {
    /// As people write it: `module`, or `module.instance`.
    pub(super) fn name(&self) -> String {
        match &self.instance {
            Some(instance) => format!("{}.{instance}", self.module.name),
            None => self.module.name.clone(),
        }
    }

    /// What every template of it sees, without its options.
    pub(super) fn scope(&self, facts: &Facts, host: &Host) -> Scope {
        let by = By::Module {
            name: self.module.name.clone(),
            instance: self.instance.as_deref().map(str::to_owned),
        };
        let mut scope = Scope::new(by, facts, host);
        if let Some(instance) = &self.instance {
            scope.context.insert_value("instance", instance_value(instance));
        }
        scope
    }
}

/// Whose file a value is written in. The order is that in which lists are joined.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// A module's, on behalf of one use of it.
    Use(usize),
    /// A group's.
    Group(&'a HostGroup),
    /// The host's own.
    Host,
}

/// A value given to an option.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    /// The use whose option it is for.
    pub(super) to: usize,
    pub(super) source: Source<'a>,
    pub(super) priority: Priority,
    pub(super) option: &'a Spanned<String>,
    pub(super) node: &'a Node,
}

/// All uses, by module and instance, and what is given to them, in the order of [`Source`].
pub(super) struct Uses<'a> {
    pub(super) all: Vec<Use<'a>>,
    pub(super) given: Vec<Given<'a>>,
}

/// A use before all are known.
type Key<'a> = (&'a str, Option<Rc<str>>);

#[derive(Clone)]
enum Giver<'a> {
    Use(Key<'a>),
    Group(usize),
    Host,
}

struct Finder<'a, 'r, 't> {
    host: &'a Host,
    imported: &'r Imported<'a>,
    facts: &'r Facts,
    renderer: &'r mut Renderer<'t>,
    uses: BTreeMap<Key<'a>, (&'a Module, Option<Span>)>,
    /// The uses whose own settings are not looked at yet; the oldest first, so that a circle is found by its number.
    open: VecDeque<Key<'a>>,
    /// Where names that are none were found, each reported once.
    misnamed: BTreeSet<Span>,
    given: Vec<(Key<'a>, Giver<'a>, Priority, &'a Spanned<String>, &'a Node)>,
    full: bool,
}

/// Finds all uses; reports values for modules that are not used, and names that are no instances.
pub(super) fn find<'a>(
    host: &'a Host,
    imported: &Imported<'a>,
    facts: &Facts,
    renderer: &mut Renderer<'_>,
) -> Uses<'a> {
    let mut finder = Finder {
        host,
        imported,
        facts,
        renderer,
        uses: BTreeMap::new(),
        open: VecDeque::new(),
        misnamed: BTreeSet::new(),
        given: Vec::new(),
        full: false,
    };
    for (name, module) in &imported.modules {
        if !module.instances {
            finder.uses.insert((name, None), (module, None));
            finder.open.push_back((name, None));
        }
    }
    for setting in &host.settings {
        finder.take(setting, &Giver::Host);
    }
    for (number, group) in imported.groups.iter().enumerate() {
        for setting in &group.settings {
            finder.take(setting, &Giver::Group(number));
        }
    }
    while let Some(key) = finder.open.pop_front() {
        let Some((module, _)) = finder.uses.get(&key).copied() else {
            continue;
        };
        for setting in &module.settings {
            finder.take(setting, &Giver::Use(key.clone()));
        }
    }
    finder.unused();
    let Finder { uses, given, .. } = finder;
    finish(imported, uses, given)
}

fn finish<'a>(
    imported: &Imported<'a>,
    uses: BTreeMap<Key<'a>, (&'a Module, Option<Span>)>,
    given: Vec<(Key<'a>, Giver<'a>, Priority, &'a Spanned<String>, &'a Node)>,
) -> Uses<'a> {
    let numbers: BTreeMap<Key<'a>, usize> = uses.keys().cloned().zip(0..).collect();
    let all = uses.into_iter().map(|((_, instance), (module, named))| Use {
        module,
        instance,
        named,
    });
    let given = given.into_iter().filter_map(|(to, giver, priority, option, node)| {
        Some(Given {
            to: *numbers.get(&to)?,
            source: match giver {
                Giver::Use(key) => Source::Use(*numbers.get(&key)?),
                Giver::Group(number) => Source::Group(imported.groups.get(number)?),
                Giver::Host => Source::Host,
            },
            priority,
            option,
            node,
        })
    });
    let mut uses = Uses {
        all: all.collect(),
        given: given.collect(),
    };
    uses.given.sort_by_key(|given| match given.source {
        Source::Use(number) => (0, number, ""),
        Source::Group(group) => (1, 0, group.tag.as_str()),
        Source::Host => (2, 0, ""),
    });
    uses
}

impl<'a> Finder<'a, '_, '_> {
    fn take(&mut self, setting: &'a Setting, giver: &Giver<'a>) {
        let name = &setting.module;
        let Some((module_name, module)) = self.imported.modules.get_key_value(name.value.as_str()) else {
            // A group is for several hosts: it is enough if one of them uses the module, which is looked at elsewhere.
            if !matches!(giver, Giver::Group(_)) {
                let diagnostic = self.not_imported(name, matches!(giver, Giver::Use(_)));
                self.renderer.found.push(diagnostic);
            }
            return;
        };
        for (key, node) in &setting.values {
            if !module.instances {
                let to = (*module_name, None);
                self.given.push((to, giver.clone(), setting.priority, key, node));
                continue;
            }
            let Value::Table(table) = &node.value else {
                self.renderer.found.push(without_instance(
                    key,
                    node,
                    setting,
                    self.renderer.sources.slice(node.span),
                ));
                continue;
            };
            let Ok(instance) = self.instance_name(key, giver) else {
                continue;
            };
            let to = (*module_name, Some(instance));
            if !self.make(to.clone(), module, key.span) {
                return;
            }
            for entry in &table.entries {
                self.given
                    .push((to.clone(), giver.clone(), setting.priority, &entry.key, &entry.node));
            }
        }
    }

    /// Makes an instance, where it is not there already; `false` where there are too many.
    fn make(&mut self, key: Key<'a>, module: &'a Module, span: Span) -> bool {
        if self.uses.contains_key(&key) {
            return true;
        }
        let instances = self.uses.keys().filter(|(_, instance)| instance.is_some()).count();
        if instances >= MAX_INSTANCES {
            if !std::mem::replace(&mut self.full, true) {
                let message = format!(
                    "`{}` has more than {MAX_INSTANCES} instances of modules",
                    self.host.name
                );
                let diagnostic = Diagnostic::error(Code::TooMuch, message, span, "one too many");
                let why = "modules whose instances make instances of each other know no end";
                self.renderer.found.push(diagnostic.because(why));
            }
            return false;
        }
        self.open.push_back(key.clone());
        self.uses.insert(key, (module, Some(span)));
        true
    }

    /// An instance's name. A module can name another's instance after its own: `[set.other."{{ instance }}"]`.
    fn instance_name(&mut self, key: &Spanned<String>, giver: &Giver<'a>) -> Result<Rc<str>, Reported> {
        let rendered = if is_template(&key.value) {
            let scope = match giver {
                Giver::Host => Scope::new(By::Host, self.facts, self.host),
                Giver::Group(number) => {
                    let tag = self.imported.groups.get(*number).map_or("", |group| &group.tag);
                    Scope::new(Importer::Group(tag).by(), self.facts, self.host)
                }
                Giver::Use(key) => {
                    let (module, named) = self.uses.get(key).copied().ok_or(Reported)?;
                    let instance = key.1.clone();
                    let used = Use {
                        module,
                        instance,
                        named,
                    };
                    used.scope(self.facts, self.host)
                }
            };
            let scope = scope.seeing(
                "an instance's name sees `host`, `hosts` and `instance` only: options have values once it is known which instances there are",
            );
            let written = Written {
                text: &key.value,
                span: key.span,
                offset: 0,
                quoted: true,
            };
            self.renderer.text(written, &scope)?
        } else {
            key.value.clone()
        };
        match InstanceName::from_text(&rendered) {
            Ok(InstanceName(name)) => Ok(Rc::from(name)),
            Err(problem) => {
                if self.misnamed.insert(key.span) {
                    self.renderer.found.push(finding(problem, key.span));
                }
                Err(Reported)
            }
        }
    }

    /// A module that waits for instances does nothing, which is seldom meant by a host that imports it itself.
    fn unused(&mut self) {
        for import in &self.host.imports {
            let name = import.module.value.as_str();
            let Some(module) = self.imported.modules.get(name).filter(|module| module.instances) else {
                continue;
            };
            if self.uses.keys().any(|(used, _)| *used == name) || module.unreadable {
                continue;
            }
            let message = format!("`{}` imports `{name}`, and gives it no instance", self.host.name);
            let diagnostic = Diagnostic::error(Code::NoInstance, message, import.module.span, "does nothing so far");
            let diagnostic = diagnostic.because("the module is used once per name");
            let help = format!("write [set.{}.NAME], and below it its options", in_header(name));
            self.renderer.found.push(diagnostic.help(help).warning());
        }
    }

    fn not_imported(&self, name: &Spanned<String>, in_module: bool) -> Diagnostic {
        let shown = shown(&name.value);
        let message = format!("`{shown}` is not among the modules that `{}` uses", self.host.name);
        let diagnostic = Diagnostic::error(Code::NotImported, message, name.span, "not imported");
        let why = "values for a module that is not used would have no effect";
        let meant = did_you_mean(&name.value, self.imported.modules.keys().copied());
        let help = meant.unwrap_or_else(|| {
            if in_module {
                return format!("add \"{shown}\" to this module's `imports`, or remove the table");
            }
            let imports = self.host.imports.iter().map(|import| import.module.value.as_str());
            let imports: Vec<_> = imports
                .chain([shown.as_str()])
                .map(|name| format!("\"{name}\""))
                .collect();
            format!("write imports = [{}], or remove the table", imports.join(", "))
        });
        diagnostic.because(why).help(help)
    }
}

/// A module's name as a part of a table's header.
pub(super) fn in_header(module: &str) -> String {
    if module.contains('/') {
        format!("\"{module}\"")
    } else {
        module.to_owned()
    }
}

fn without_instance(key: &Spanned<String>, node: &Node, setting: &Setting, written: &str) -> Diagnostic {
    let module = &setting.module.value;
    let message = format!("`{}` is given to no instance of `{}`", shown(&key.value), shown(module));
    let diagnostic = Diagnostic::error(Code::Instances, message, key.span, "for which instance?");
    let table = setting.priority.name();
    let value = match &node.value {
        Value::Table(_) => "…",
        _ => written,
    };
    diagnostic
        .because("this module is used once per name, and each instance has options of its own")
        .help(format!(
            "write\n[{table}.{}.NAME]\n{} = {value}",
            in_header(module),
            shown(&key.value)
        ))
}
