//! The values of the options of every module that one host uses. Which definition wins is decided here and nowhere else.
//!
//! Of several priorities only the strongest counts: `[force.…]`, `[set.…]`, `[default.…]`, the declaration's own default.

use std::collections::BTreeMap;

use crate::config::{
    Code, Diagnostic, Host, Module, Node, OptionDeclaration, OptionValue, Priority, Reported, Setting, Span, Spanned,
    Value, did_you_mean, listed, shown,
};

use super::merge::Merged;
use super::render::{Facts, Renderer, Scope, Written, value};
use super::template::Form;
use super::trace::{By, Defined, OptionPath};

/// How many options may be needed, one by another, to find one value. Nobody reads a longer chain.
const MAX_CHAIN: usize = 50;

/// A definition of an option's value.
#[derive(Clone, Copy)]
struct Definition<'a> {
    priority: Priority,
    /// The module whose file it is in; `None` is the host's. A template in it sees what its file sees.
    by: Option<&'a str>,
    node: &'a Node,
}

enum State {
    Evaluating,
    Done(Result<Option<OptionValue>, Reported>),
}

/// Evaluates the options of one host.
pub(super) struct Options<'a, 'r> {
    modules: &'r BTreeMap<&'a str, &'a Module>,
    definitions: BTreeMap<(&'a str, &'a str), Vec<Definition<'a>>>,
    states: BTreeMap<(&'a str, &'a str), State>,
    /// The options being evaluated, each needed by the one before.
    chain: Vec<(&'a str, &'a str)>,
    facts: &'r Facts,
    host: &'a Host,
}

/// The scope of each module on a host, by the module's name; and whether every option has its value.
pub(super) fn scopes<'a>(
    host: &'a Host,
    modules: &BTreeMap<&'a str, &'a Module>,
    facts: &Facts,
    renderer: &mut Renderer<'_>,
) -> (BTreeMap<&'a str, Scope>, bool) {
    let before = renderer.found.len();
    let mut options = Options {
        modules,
        definitions: BTreeMap::new(),
        states: BTreeMap::new(),
        chain: Vec::new(),
        facts,
        host,
    };
    options.define(renderer.found);
    let mut scopes = BTreeMap::new();
    let mut complete = true;
    for (name, module) in modules {
        let mut scope = Scope::new(By::module(name), facts, host);
        for option in module.options.values() {
            complete &= options.enter(&mut scope, name, option, renderer).is_ok();
        }
        scopes.insert(*name, scope);
    }
    (scopes, complete && renderer.found.len() == before)
}

impl<'a> Options<'a, '_> {
    /// Gathers the definitions of the modules and the host, and reports those of options that there are not.
    fn define(&mut self, found: &mut Vec<Diagnostic>) {
        let modules = self.modules;
        for (name, module) in modules {
            for setting in &module.settings {
                self.take(setting, Some(name), found);
            }
        }
        for setting in &self.host.settings {
            self.take(setting, None, found);
        }
    }

    fn take(&mut self, setting: &'a Setting, by: Option<&'a str>, found: &mut Vec<Diagnostic>) {
        let name = &setting.module;
        let Some((module_name, module)) = self.modules.get_key_value(name.value.as_str()) else {
            found.push(self.not_imported(name, by));
            return;
        };
        for (option, node) in &setting.values {
            let Some((option_name, _)) = module.options.get_key_value(&option.value) else {
                if module.unreadable || module.unread_options.contains(&option.value) {
                    continue;
                }
                found.push(unknown_option(option, module));
                continue;
            };
            let definitions = self.definitions.entry((module_name, option_name)).or_default();
            definitions.push(Definition {
                priority: setting.priority,
                by,
                node,
            });
        }
    }

    fn not_imported(&self, name: &Spanned<String>, by: Option<&str>) -> Diagnostic {
        let shown = shown(&name.value);
        let message = format!("`{shown}` is not among the modules that `{}` uses", self.host.name);
        let diagnostic = Diagnostic::error(Code::NotImported, message, name.span, "not imported");
        let why = "values for a module that is not used would have no effect";
        let meant = did_you_mean(&name.value, self.modules.keys().copied());
        let help = meant.unwrap_or_else(|| match by {
            Some(_) => format!("add \"{shown}\" to this module's `imports`, or remove the table"),
            None => {
                let imports = self
                    .host
                    .imports
                    .iter()
                    .map(|import| import.value.as_str())
                    .chain([shown.as_str()]);
                let imports: Vec<_> = imports.map(|name| format!("\"{name}\"")).collect();
                format!("write imports = [{}], or remove the table", imports.join(", "))
            }
        });
        diagnostic.because(why).help(help)
    }

    /// Puts an option's value into a scope.
    fn enter(
        &mut self,
        scope: &mut Scope,
        module: &'a str,
        option: &'a OptionDeclaration,
        renderer: &mut Renderer<'_>,
    ) -> Result<(), Reported> {
        let name = &option.name.value;
        if scope.options.contains(name) {
            return Ok(());
        }
        scope.options.push(name.clone());
        match self.value(module, option, renderer) {
            Ok(Some(found)) => scope.context.insert_value(name.clone(), value(&found)),
            // A template that uses it anyway is told so when it is rendered.
            Ok(None) => scope.unset.push(name.clone()),
            // What went wrong is said; templates that use it would only say it again.
            Err(Reported) => {
                scope.failed.push(name.clone());
                return Err(Reported);
            }
        }
        Ok(())
    }

    /// An option's value; `None` where it may be left out, and is.
    fn value(
        &mut self,
        module: &'a str,
        option: &'a OptionDeclaration,
        renderer: &mut Renderer<'_>,
    ) -> Result<Option<OptionValue>, Reported> {
        let id = (module, option.name.value.as_str());
        match self.states.get(&id) {
            Some(State::Done(value)) => return value.clone(),
            Some(State::Evaluating) => {
                let diagnostic = self.cycle(id, option);
                renderer.found.push(diagnostic);
                return Err(Reported);
            }
            None => {}
        }
        if self.chain.len() >= MAX_CHAIN {
            let message = format!(
                "the value of `{}` is found by way of more than {MAX_CHAIN} other options",
                id.1
            );
            renderer.found.push(Diagnostic::error(
                Code::OptionCycle,
                message,
                option.name.span,
                "too far away",
            ));
            return Err(Reported);
        }
        self.states.insert(id, State::Evaluating);
        self.chain.push(id);
        let value = self.evaluate(id, option, renderer);
        self.chain.pop();
        self.states.insert(id, State::Done(value.clone()));
        value
    }

    fn cycle(&self, id: (&str, &str), option: &OptionDeclaration) -> Diagnostic {
        let first = self.chain.iter().position(|step| *step == id).unwrap_or(0);
        let steps = self.chain.get(first..).unwrap_or(&[]);
        let drawn: Vec<_> = steps
            .iter()
            .chain([&id])
            .map(|(module, name)| format!("{module}.{name}"))
            .collect();
        let message = format!("options need each other's values in a circle: {}", drawn.join(" → "));
        let needs = |index: usize| format!("needs `{}`", drawn.get(index + 1).map_or("", String::as_str));
        let mut diagnostic = Diagnostic::error(Code::OptionCycle, message, option.name.span, needs(0));
        for (index, (module, name)) in steps.iter().enumerate().skip(1) {
            let other = self.modules.get(module).and_then(|module| module.options.get(*name));
            diagnostic = match other {
                Some(other) => diagnostic.also(other.name.span, needs(index)),
                None => diagnostic,
            };
        }
        diagnostic.help("give one of them a value that uses no other option")
    }

    fn evaluate(
        &mut self,
        id: (&'a str, &'a str),
        option: &'a OptionDeclaration,
        renderer: &mut Renderer<'_>,
    ) -> Result<Option<OptionValue>, Reported> {
        let declared = option.default.as_ref().map(|node| Definition {
            priority: Priority::Declared,
            by: Some(id.0),
            node,
        });
        let mut definitions = self.definitions.get(&id).cloned().unwrap_or_default();
        definitions.extend(declared);
        if let Some(trace) = &mut renderer.trace {
            trace.options.entry(path(id)).or_default();
        }
        let Some(strongest) = definitions.iter().map(|definition| definition.priority).max() else {
            return self.without_value(id, option, renderer);
        };
        // What loses must still be a value of the option's type: it may win on the next host.
        let read = definitions.into_iter().map(|definition| {
            let value = self.read(option, definition, renderer);
            self.note(id, definition, value.as_ref().ok(), renderer);
            (definition, value)
        });
        let read: Vec<_> = read.collect();
        let mut winner: Option<Merged<'a>> = None;
        let mut failed = false;
        for (definition, value) in read {
            let Ok(value) = value else {
                failed |= definition.priority == strongest;
                continue;
            };
            if definition.priority < strongest {
                continue;
            }
            let name = format!("{}.{}", id.0, id.1);
            winner = Some(match winner.take() {
                None => Merged {
                    value,
                    nodes: vec![definition.node],
                },
                Some(before) => before.with(value, definition.node, &name, renderer.found)?,
            });
        }
        match winner {
            Some(Merged { value, nodes }) if !failed => {
                let span = nodes.first().map_or(option.name.span, |node| node.span);
                match option.bounds(&value, span) {
                    None => {
                        if let Some(trace) = &mut renderer.trace {
                            let trace = trace.options.entry(path(id)).or_default();
                            (trace.strongest, trace.value) = (Some(strongest), Some(value.clone()));
                        }
                        Ok(Some(value))
                    }
                    Some(diagnostic) => {
                        renderer.found.push(diagnostic);
                        Err(Reported)
                    }
                }
            }
            _ => Err(Reported),
        }
    }

    /// Notes down a definition for those who ask why.
    fn note(
        &self,
        id: (&str, &str),
        definition: Definition<'a>,
        value: Option<&OptionValue>,
        renderer: &mut Renderer<'_>,
    ) {
        if renderer.trace.is_none() {
            return;
        }
        let defined = Defined {
            by: definition.by.map_or(By::Host, By::module),
            priority: definition.priority,
            span: definition.node.span,
            value: value.cloned(),
            needs: renderer.names_in(definition.node),
        };
        if let Some(trace) = &mut renderer.trace {
            trace.options.entry(path(id)).or_default().definitions.push(defined);
        }
    }

    fn without_value(
        &self,
        id: (&str, &str),
        option: &OptionDeclaration,
        renderer: &mut Renderer<'_>,
    ) -> Result<Option<OptionValue>, Reported> {
        if !option.required {
            return Ok(None);
        }
        let (module, name) = id;
        let message = format!(
            "`{}` gives no value to the option `{name}` of module `{module}`",
            self.host.name
        );
        let import = self.host.imports.iter().find(|import| import.value == module);
        let any = import.or_else(|| self.host.imports.first());
        let span = any.map_or(option.name.span, |import| import.span);
        let label = if import.is_some() {
            "imported here"
        } else {
            "imported by way of this"
        };
        let table = if module.contains('/') {
            format!("\"{module}\"")
        } else {
            module.to_owned()
        };
        let example = option
            .example
            .as_ref()
            .map_or_else(|| "…".to_owned(), ToString::to_string);
        let help = format!("write\n[set.{table}]\n{name} = {example}");
        let diagnostic = Diagnostic::error(Code::MissingOption, message, span, label);
        let diagnostic = diagnostic
            .also(option.name.span, "declared here, without a default")
            .help(help);
        renderer.found.push(match &option.description {
            Some(description) => diagnostic.because(format!("`{name}`: {}", description.trim())),
            None => diagnostic,
        });
        Err(Reported)
    }

    /// Reads a definition in the scope of the file that it is in.
    fn read(
        &mut self,
        option: &OptionDeclaration,
        definition: Definition<'a>,
        renderer: &mut Renderer<'_>,
    ) -> Result<OptionValue, Reported> {
        // Most values are no templates, and need no scope.
        let scope = match templates_in(definition.node).is_empty() {
            true => None,
            false => Some(self.scope_of(definition, renderer)?),
        };
        let mut findings = Vec::new();
        let mut render = |text: &str, span: Span| {
            let written = Written {
                text,
                span,
                offset: 0,
                quoted: true,
            };
            let scope = scope.as_ref().ok_or(Reported)?;
            renderer.text(written, scope)
        };
        let value = OptionValue::read(&option.ty, definition.node, &mut render, &mut findings);
        let findings = findings.into_iter().map(|finding| {
            // The declaration's own default was checked beside it.
            if definition.priority == Priority::Declared {
                finding
            } else {
                let declared = format!("`{}` is declared here as {}", option.name.value, option.ty);
                finding.also(option.name.span, declared)
            }
        });
        renderer.found.extend(findings);
        value
    }

    /// What the templates of a definition see.
    fn scope_of(&mut self, definition: Definition<'a>, renderer: &mut Renderer<'_>) -> Result<Scope, Reported> {
        let Some(by) = definition.by else {
            return Ok(Scope::new(By::Host, self.facts, self.host));
        };
        let mut scope = Scope::new(By::module(by), self.facts, self.host);
        self.enter_needed(&mut scope, by, definition.node, renderer)?;
        Ok(scope)
    }

    /// Enters those options of the defining module that the templates in a node need.
    fn enter_needed(
        &mut self,
        scope: &mut Scope,
        by: &'a str,
        node: &Node,
        renderer: &mut Renderer<'_>,
    ) -> Result<(), Reported> {
        let Some((by, module)) = self.modules.get_key_value(by) else {
            return Ok(());
        };
        for text in templates_in(node) {
            for name in renderer.needs(Form::Text, text) {
                if let Some(option) = module.options.get(&name) {
                    self.enter(scope, by, option, renderer)?;
                }
            }
        }
        // The rest of the names are known, so that a misspelt one can be told from them.
        let others = module
            .options
            .keys()
            .filter(|name| !scope.options.contains(name))
            .cloned()
            .collect::<Vec<_>>();
        scope.options.extend(others);
        Ok(())
    }
}

/// An option as a trace names it.
fn path((module, name): (&str, &str)) -> OptionPath {
    OptionPath {
        module: module.to_owned(),
        instance: None,
        name: name.to_owned(),
    }
}

fn unknown_option(option: &Spanned<String>, module: &Module) -> Diagnostic {
    let message = format!("module `{}` has no option `{}`", module.name, shown(&option.value));
    let diagnostic = Diagnostic::error(Code::UnknownOption, message, option.span, "not declared");
    let names: Vec<_> = module.options.keys().map(String::as_str).collect();
    let help = did_you_mean(&option.value, names.iter().copied());
    let help = help.unwrap_or_else(|| match &names[..] {
        [] => "it has no options at all".to_owned(),
        names => format!("its options are {}", listed(names)),
    });
    diagnostic.help(help)
}

/// The texts in a node that are templates.
fn templates_in(node: &Node) -> Vec<&str> {
    match &node.value {
        Value::String(text) if crate::config::is_template(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(templates_in).collect(),
        Value::Table(table) => table
            .entries
            .iter()
            .flat_map(|entry| templates_in(&entry.node))
            .collect(),
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Bool(_) => Vec::new(),
    }
}
