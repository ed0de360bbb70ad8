//! The values of the options of every module that one host uses. Which definition wins is decided here and nowhere else.
//!
//! Of several priorities only the strongest counts: `[force.…]`, `[set.…]`, `[default.…]`, the declaration's own default.

use std::collections::BTreeMap;

use crate::config::{
    Code, Diagnostic, Host, Module, Node, OptionDeclaration, OptionValue, Priority, Project, Reported, Severity, Span,
    Value, did_you_mean, listed, shown,
};

use super::circle::{Link, circle};
use super::imports::{Imported, Importer};
use super::merge::{Part, hides_groups, merge};
use super::render::{Facts, Renderer, Scope, Written, value};
use super::template::Form;
use super::trace::{By, Defined, OptionPath};
use super::uses::{Given, Source, Use, Uses, in_header};

/// How many options may be needed, one by another, to find one value. Nobody reads a longer chain.
const MAX_CHAIN: usize = 50;

/// A definition of an option's value.
#[derive(Clone, Copy)]
struct Definition<'a> {
    priority: Priority,
    /// Whose file it is in. A template in it sees what its file sees.
    source: Source<'a>,
    node: &'a Node,
}

enum State {
    Evaluating,
    Done(Result<Option<OptionValue>, Reported>),
}

/// An option of one use of a module: the use's number, and the option's name.
type Id<'a> = (usize, &'a str);

/// Evaluates the options of one host.
pub(super) struct Options<'a, 'r> {
    uses: &'r Uses<'a>,
    definitions: BTreeMap<Id<'a>, Vec<Definition<'a>>>,
    states: BTreeMap<Id<'a>, State>,
    /// The options being evaluated, each needed by the one before.
    chain: Vec<Id<'a>>,
    facts: &'r Facts,
    host: &'a Host,
    imported: &'r Imported<'a>,
    project: &'a Project,
}

/// The scope of each use of a module on a host, in their order; and whether every option has its value.
pub(super) fn scopes<'a>(
    project: &'a Project,
    host: &'a Host,
    imported: &Imported<'a>,
    uses: &Uses<'a>,
    facts: &Facts,
    renderer: &mut Renderer<'_>,
) -> (Vec<Scope>, bool) {
    let before = errors(renderer);
    let mut options = Options {
        uses,
        definitions: BTreeMap::new(),
        states: BTreeMap::new(),
        chain: Vec::new(),
        facts,
        host,
        imported,
        project,
    };
    for given in &uses.given {
        options.take(given, renderer.found);
    }
    let mut scopes = Vec::new();
    let mut complete = true;
    for (number, used) in uses.all.iter().enumerate() {
        let mut scope = used.scope(facts, host);
        for option in used.module.options.values() {
            complete &= options.enter(&mut scope, number, option, renderer).is_ok();
        }
        scopes.push(scope);
    }
    let complete = complete && errors(renderer) == before;
    (scopes, complete)
}

fn errors(renderer: &Renderer<'_>) -> usize {
    let errors = renderer
        .found
        .iter()
        .filter(|finding| finding.severity == Severity::Error);
    errors.count()
}

impl<'a> Options<'a, '_> {
    /// Takes in a definition; reports those of options that there are not.
    fn take(&mut self, given: &Given<'a>, found: &mut Vec<Diagnostic>) {
        let Some(used) = self.uses.all.get(given.to) else {
            return;
        };
        let module = used.module;
        let Some((name, declared)) = module.options.get_key_value(&given.option.value) else {
            if !module.unreadable && !module.unread_options.contains(&given.option.value) {
                found.push(unknown_option(given, used));
            }
            return;
        };
        found.extend(deprecated(given, declared, used));
        let definitions = self.definitions.entry((given.to, name)).or_default();
        definitions.push(Definition {
            priority: given.priority,
            source: given.source,
            node: given.node,
        });
    }

    /// Puts an option's value into a scope.
    fn enter(
        &mut self,
        scope: &mut Scope,
        used: usize,
        option: &'a OptionDeclaration,
        renderer: &mut Renderer<'_>,
    ) -> Result<(), Reported> {
        let name = &option.name.value;
        if scope.options.contains(name) {
            return Ok(());
        }
        scope.options.push(name.clone());
        match self.value(used, option, renderer) {
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
        used: usize,
        option: &'a OptionDeclaration,
        renderer: &mut Renderer<'_>,
    ) -> Result<Option<OptionValue>, Reported> {
        let id = (used, option.name.value.as_str());
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

    fn cycle(&self, id: Id<'_>, option: &OptionDeclaration) -> Diagnostic {
        let first = self.chain.iter().position(|step| *step == id).unwrap_or(0);
        let steps = self.chain.get(first..).unwrap_or(&[]);
        let next = steps.iter().cycle().skip(1);
        let links = steps.iter().zip(next).map(|(step, next)| {
            let (used, name) = *step;
            let declared = self.uses.all.get(used).and_then(|used| used.module.options.get(name));
            Link {
                name: self.name(*step),
                span: declared.unwrap_or(option).name.span,
                label: format!("needs `{}`", self.name(*next)),
            }
        });
        let diagnostic = circle(Code::OptionCycle, "options need each other's values", links.collect());
        diagnostic.help("give one of them a value that uses no other option")
    }

    /// An option as people write it.
    fn name(&self, (used, name): Id<'_>) -> String {
        let used = self.uses.all.get(used).map(Use::name).unwrap_or_default();
        format!("{used}.{name}")
    }

    fn evaluate(
        &mut self,
        id: Id<'a>,
        option: &'a OptionDeclaration,
        renderer: &mut Renderer<'_>,
    ) -> Result<Option<OptionValue>, Reported> {
        if let Some(trace) = &mut renderer.trace {
            trace.options.entry(self.path(id)).or_default();
        }
        let declared = option.default.as_ref().map(|node| Definition {
            priority: Priority::Declared,
            source: Source::Use(id.0),
            node,
        });
        let mut definitions = self.definitions.get(&id).cloned().unwrap_or_default();
        definitions.extend(declared);
        let Some(strongest) = definitions.iter().map(|definition| definition.priority).max() else {
            return self.without_value(id, option, renderer);
        };
        // What loses must still be a value of the option's type: it may win on the next host.
        let read = definitions.into_iter().map(|definition| {
            let value = self.read(option, definition, renderer);
            (definition, value)
        });
        let read: Vec<_> = read.collect();
        let mut parts = Vec::new();
        let mut failed = false;
        for (definition, value) in &read {
            match value {
                _ if definition.priority < strongest => {}
                Err(Reported) => failed = true,
                Ok(value) => parts.push(Part {
                    value: value.clone(),
                    span: definition.node.span,
                    node: Some(definition.node),
                    group: matches!(definition.source, Source::Group(_)),
                    host: matches!(definition.source, Source::Host),
                }),
            }
        }
        let hidden = hides_groups(&parts);
        for (definition, value) in &read {
            let group = matches!(definition.source, Source::Group(_));
            let wins = definition.priority == strongest && !(hidden && group);
            self.note(id, *definition, value.as_ref().ok(), wins, renderer);
        }
        if failed {
            return Err(Reported);
        }
        let name = self.name(id);
        let Some(merged) = merge(&name, strongest, parts, renderer.found)? else {
            return Err(Reported);
        };
        let value = merged.value.complete(&option.ty, &name, merged.span, renderer.found)?;
        let outside = option.bounds(&value, merged.span);
        let outside = outside.or_else(|| self.unknown_host(&value, option, merged.span));
        if let Some(diagnostic) = outside {
            renderer.found.push(diagnostic);
            return Err(Reported);
        }
        if let Some(trace) = &mut renderer.trace {
            trace.options.entry(self.path(id)).or_default().value = Some(value.clone());
        }
        Ok(Some(value))
    }

    /// A reference to a host that there is not.
    fn unknown_host(&self, value: &OptionValue, option: &OptionDeclaration, span: Span) -> Option<Diagnostic> {
        let hosts = &self.project.hosts;
        let unknown = value.hosts().into_iter().find(|host| !hosts.contains_key(*host))?;
        let message = format!("there is no host `{unknown}`");
        let label = format!("hosts/{unknown}.toml does not exist");
        let diagnostic = Diagnostic::error(Code::UnknownHost, message, span, label);
        let declared = format!("`{}` is declared here as {}", option.name.value, option.ty);
        let names = hosts.keys().map(crate::model::HostName::as_str);
        Some(
            diagnostic
                .also(option.name.span, declared)
                .help_if(did_you_mean(unknown.as_str(), names)),
        )
    }

    /// Notes down a definition for those who ask why.
    fn note(
        &self,
        id: Id<'_>,
        definition: Definition<'a>,
        value: Option<&OptionValue>,
        wins: bool,
        renderer: &mut Renderer<'_>,
    ) {
        if renderer.trace.is_none() {
            return;
        }
        let by = match definition.source {
            Source::Host => By::Host,
            Source::Group(group) => By::Group(group.tag.clone()),
            Source::Use(number) => match self.uses.all.get(number) {
                Some(used) => By::Module {
                    name: used.module.name.clone(),
                    instance: used.instance.as_deref().map(str::to_owned),
                },
                None => By::Host,
            },
        };
        let defined = Defined {
            by,
            priority: definition.priority,
            span: definition.node.span,
            value: value.cloned(),
            wins,
            needs: renderer.names_in(definition.node),
        };
        if let Some(trace) = &mut renderer.trace {
            trace
                .options
                .entry(self.path(id))
                .or_default()
                .definitions
                .push(defined);
        }
    }

    /// An option as a trace names it.
    fn path(&self, (used, name): Id<'_>) -> OptionPath {
        let used = self.uses.all.get(used);
        OptionPath {
            module: used.map(|used| used.module.name.clone()).unwrap_or_default(),
            instance: used.and_then(|used| used.instance.as_deref()).map(str::to_owned),
            name: name.to_owned(),
        }
    }

    fn without_value(
        &self,
        id: Id<'_>,
        option: &OptionDeclaration,
        renderer: &mut Renderer<'_>,
    ) -> Result<Option<OptionValue>, Reported> {
        if !option.required {
            return Ok(None);
        }
        let Some(used) = self.uses.all.get(id.0) else {
            return Err(Reported);
        };
        let (module, name) = (used.module.name.as_str(), id.1);
        let of = match &used.instance {
            Some(instance) => format!("instance `{instance}` of module `{module}`"),
            None => format!("module `{module}`"),
        };
        let message = format!("`{}` gives no value to the option `{name}` of {of}", self.host.name);
        // The nearest place that the user wrote: the instance, the import, or the import of what imports it.
        let way = self.imported.way(module);
        let first = way.first().map(|(_, way)| way.span);
        let (span, label) = match (used.named, first) {
            (Some(span), _) => (span, "this instance"),
            (None, Some(span)) if way.len() == 1 => (span, "imported here"),
            (None, Some(span)) => (span, "imported by way of this"),
            (None, None) => (option.name.span, ""),
        };
        let example = option
            .example
            .as_ref()
            .map_or_else(|| "…".to_owned(), ToString::to_string);
        let table = in_header(module);
        let table = match &used.instance {
            Some(instance) => format!("{table}.{instance}"),
            None => table,
        };
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
        match definition.source {
            Source::Host => Ok(Scope::new(By::Host, self.facts, self.host)),
            Source::Group(group) => Ok(Scope::new(Importer::Group(&group.tag).by(), self.facts, self.host)),
            Source::Use(number) => {
                let used = self.uses.all.get(number).cloned().ok_or(Reported)?;
                let mut scope = used.scope(self.facts, self.host);
                self.enter_needed(&mut scope, number, used.module, definition.node, renderer)?;
                Ok(scope)
            }
        }
    }

    /// Enters those options of the defining module that the templates in a node need.
    fn enter_needed(
        &mut self,
        scope: &mut Scope,
        used: usize,
        module: &'a Module,
        node: &Node,
        renderer: &mut Renderer<'_>,
    ) -> Result<(), Reported> {
        for text in templates_in(node) {
            for name in renderer.needs(Form::Text, text) {
                if let Some(option) = module.options.get(&name) {
                    self.enter(scope, used, option, renderer)?;
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

/// The warning that an option is about to be dropped.
fn deprecated(given: &Given<'_>, option: &OptionDeclaration, used: &Use<'_>) -> Option<Diagnostic> {
    let deprecated = option.deprecated.as_ref()?;
    let name = &option.name.value;
    let message = format!(
        "`{name}` of module `{}` is deprecated: {}",
        used.module.name,
        deprecated.message.value.trim()
    );
    let diagnostic = Diagnostic::error(Code::Deprecated, message, given.option.span, "deprecated");
    let help = deprecated
        .replaced_by
        .as_ref()
        .map(|by| format!("write `{}` instead of `{name}`", by.value));
    Some(
        diagnostic
            .also(deprecated.message.span, "declared here")
            .help_if(help)
            .warning(),
    )
}

fn unknown_option(given: &Given<'_>, used: &Use<'_>) -> Diagnostic {
    let (option, module) = (given.option, used.module);
    let names: Vec<_> = module.options.keys().map(String::as_str).collect();
    if let Value::Table(table) = &given.node.value
        && used.instance.is_none()
        && table
            .entries
            .iter()
            .all(|entry| module.options.contains_key(&entry.key.value))
        && !table.entries.is_empty()
    {
        let message = format!(
            "module `{}` has no instances, and no option `{}`",
            module.name,
            shown(&option.value)
        );
        let diagnostic = Diagnostic::error(Code::Instances, message, option.span, "an instance?");
        let table = format!("[{}.{}]", given.priority.name(), in_header(&module.name));
        return diagnostic
            .because("this module is used once per host, so its options have one value each")
            .help(format!("write {table}, or let {} say `instances = true`", module.file));
    }
    let message = format!("module `{}` has no option `{}`", module.name, shown(&option.value));
    let diagnostic = Diagnostic::error(Code::UnknownOption, message, option.span, "not declared");
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
