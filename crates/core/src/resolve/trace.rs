//! What resolving one host notes down for [`super::why`]: every definition of every option, and every declaration with
//! what its fields came to. It judges nothing, and resolving does not depend on it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::config::{self, Node, OptionValue, Priority, Span, Spanned, Value, is_template};
use crate::model::{ResourceId, Spec};

use super::dependencies::Dependencies;
use super::local::Locals;
use super::render::{Renderer, Scope, Written};
use super::template::Form;

/// The file that a definition is in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum By {
    /// The host's own.
    Host,
    /// That of the group of a tag.
    Group(String),
    /// A module's.
    Module {
        /// The module.
        name: String,
        /// Which of its instances, where it has them.
        instance: Option<String>,
    },
}

impl By {
    /// A module that is used once.
    pub(super) fn module(name: &str) -> Self {
        Self::Module {
            name: name.to_owned(),
            instance: None,
        }
    }
}

/// An option of a module that a host uses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OptionPath {
    pub(super) module: String,
    pub(super) instance: Option<String>,
    pub(super) name: String,
}

impl OptionPath {
    /// As people write it: `module.option`, or `module.instance.option`.
    pub(super) fn path(&self) -> String {
        match &self.instance {
            Some(instance) => format!("{}.{instance}.{}", self.module, self.name),
            None => format!("{}.{}", self.module, self.name),
        }
    }
}

/// One definition of an option's value.
#[derive(Debug)]
pub(super) struct Defined {
    pub(super) by: By,
    pub(super) priority: Priority,
    pub(super) span: Span,
    /// What it came to.
    pub(super) value: Option<OptionValue>,
    /// Whether it counts.
    pub(super) wins: bool,
    /// The names in its templates.
    pub(super) needs: BTreeSet<String>,
}

/// An option, its definitions, and its value.
#[derive(Debug, Default)]
pub(super) struct OptionTrace {
    pub(super) definitions: Vec<Defined>,
    pub(super) value: Option<OptionValue>,
}

/// One declaration of resources.
#[derive(Debug)]
pub(super) struct Declaration {
    pub(super) by: By,
    /// Its name as it is written, and where.
    pub(super) name: Span,
    /// The names in its name's template.
    pub(super) needs: BTreeSet<String>,
    pub(super) fields: Vec<FieldTrace>,
}

/// A field of a declaration.
#[derive(Debug)]
pub(super) struct FieldTrace {
    pub(super) name: &'static str,
    pub(super) span: Span,
    /// What it came to.
    pub(super) value: Option<Json>,
    /// The names in its templates.
    pub(super) needs: BTreeSet<String>,
}

/// All that was noted down.
#[derive(Default)]
pub(super) struct Trace {
    /// Whether the host's file could be read at all.
    pub(super) read: bool,
    pub(super) options: BTreeMap<OptionPath, OptionTrace>,
    pub(super) declarations: Vec<Declaration>,
    /// Which declaration made which resource.
    pub(super) made: Vec<(usize, ResourceId)>,
    /// What each resource should be, where that is known.
    pub(super) specs: BTreeMap<ResourceId, Spec>,
    pub(super) dependencies: Dependencies,
    /// For each module the import that brings it in: whose file says it, and where.
    pub(super) ways: BTreeMap<String, (By, Span)>,
}

/// A literal as JSON has it.
pub(super) fn json(node: &Node, text: &mut dyn FnMut(&str, Span) -> Option<String>) -> Option<Json> {
    Some(match &node.value {
        Value::String(written) => Json::from(text(written, node.span)?),
        Value::Integer(number) => Json::from(*number),
        Value::Float(number) => Json::from(*number),
        Value::Bool(truth) => Json::from(*truth),
        Value::Array(items) => items.iter().map(|item| json(item, text)).collect::<Option<_>>()?,
        Value::Table(table) => {
            let entries = table
                .entries
                .iter()
                .map(|entry| Some((entry.key.value.clone(), json(&entry.node, text)?)));
            Json::Object(entries.collect::<Option<_>>()?)
        }
    })
}

/// An option's value as JSON has it.
pub(super) fn option_json(value: &OptionValue) -> Json {
    match value {
        OptionValue::String(text) => Json::from(text.as_str()),
        OptionValue::Integer(number) => Json::from(*number),
        OptionValue::Float(number) => Json::from(*number),
        OptionValue::Bool(truth) => Json::from(*truth),
        OptionValue::Path(path) => Json::from(path.as_str()),
        OptionValue::Duration(millis) => Json::from(millis.to_string()),
        OptionValue::Size(size) => Json::from(size.to_string()),
        OptionValue::Host(host) => Json::from(host.as_str()),
        OptionValue::List(items) => items.iter().map(option_json).collect(),
        OptionValue::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| (key.clone(), option_json(value)));
            Json::Object(entries.collect())
        }
    }
}

impl Renderer<'_> {
    /// Notes down a declaration and what its fields come to. What cannot be read is reported by whoever reads it.
    ///
    /// It gives the declaration's number.
    pub(super) fn note(&mut self, declaration: &config::Declaration, scope: &Scope, locals: &mut Locals<'_>) -> usize {
        if self.trace.is_none() {
            return 0;
        }
        let before = self.found.len();
        // Noting down renders everything once more, and must not take away what resolving has.
        let exhausted = self.exhausted;
        std::mem::swap(&mut self.budget, &mut self.noting);
        let fields = declaration.fields.iter().map(|field| {
            let mut needs = self.names_in(&field.node);
            if field.field.name == "template"
                && let Value::String(path) = &field.node.value
                && let Ok(source) =
                    locals.template(&Spanned::new(path.clone(), field.node.span), self.sources, self.found)
            {
                let text = self.sources.text(source).to_owned();
                needs.extend(self.needs(Form::Text, &text));
            }
            FieldTrace {
                name: field.field.name,
                span: field.node.span,
                value: json(&field.node, &mut |text, span| self.evaluated(text, span, scope)),
                needs,
            }
        });
        let noted = Declaration {
            by: scope.by.clone(),
            name: declaration.name.span,
            fields: fields.collect(),
            needs: self.needs(Form::Text, &declaration.name.value).into_iter().collect(),
        };
        self.found.truncate(before);
        self.exhausted = exhausted;
        std::mem::swap(&mut self.budget, &mut self.noting);
        self.trace.as_mut().map_or(0, |trace| {
            trace.declarations.push(noted);
            trace.declarations.len() - 1
        })
    }

    /// The names that the templates in a node need.
    pub(super) fn names_in(&mut self, node: &Node) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let mut collect = |text: &str, _: Span| {
            if is_template(text) {
                names.extend(self.needs(Form::Text, text));
            }
            Some(String::new())
        };
        json(node, &mut collect);
        names
    }

    fn evaluated(&mut self, text: &str, span: Span, scope: &Scope) -> Option<String> {
        if !is_template(text) {
            return Some(text.to_owned());
        }
        let written = Written {
            text,
            span,
            offset: 0,
            quoted: true,
        };
        self.text(written, scope).ok()
    }
}
