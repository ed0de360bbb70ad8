//! One declaration's fields, rendered and read as the types that their places demand. It applies no defaults.

use std::collections::BTreeMap;

use tera::Value as TemplateValue;

use crate::config::{
    Code, Declaration, Diagnostic, Node, Problem, Reported, Scalar, Span, Spanned, Value, check_name, finding,
    is_template, shown,
};
use crate::model::{DependencyReason, Kind, OnRemoval, ResourceId};

use super::declared::{Declarations, Said};
use super::local::Locals;
use super::render::{Renderer, Scope, Written};

/// Reads the fields of one declaration on behalf of one host.
pub(super) struct Reader<'a, 'r, 'l> {
    pub(super) declaration: &'a Declaration,
    pub(super) scope: &'a Scope,
    pub(super) renderer: &'a mut Renderer<'r>,
    pub(super) locals: &'a mut Locals<'l>,
    pub(super) declarations: &'a mut Declarations,
}

impl Reader<'_, '_, '_> {
    /// The resource's name, rendered and checked.
    pub(super) fn name(&mut self) -> Result<Spanned<String>, Reported> {
        let written = &self.declaration.name;
        if !is_template(&written.value) {
            // It was checked when the file was read.
            let known = check_name(self.declaration.sort, &written.value);
            return known.map(|()| written.clone()).map_err(|_| Reported);
        }
        let name = self.render(&written.value, written.span)?;
        match check_name(self.declaration.sort, &name) {
            Ok(()) => Ok(Spanned::new(name, written.span)),
            Err(problem) => Err(self.rendered(problem, &name, written.span)),
        }
    }

    /// Where a field's key is; the name's place where it is not written.
    pub(super) fn key(&self, field: &str) -> Span {
        self.declaration
            .get(field)
            .map_or(self.declaration.name.span, |value| value.key)
    }

    /// A field's value; `None` where it is not written.
    pub(super) fn optional<T: Scalar>(&mut self, field: &str) -> Result<Option<Spanned<T>>, Reported> {
        match self.declaration.get(field) {
            None => Ok(None),
            Some(value) => self.scalar(&value.node).map(Some),
        }
    }

    /// A field's value. That it is missing was found when the file was read.
    pub(super) fn required<T: Scalar>(&mut self, field: &str) -> Result<Spanned<T>, Reported> {
        self.optional(field)?.ok_or(Reported)
    }

    /// A field's list, empty where it is not written.
    pub(super) fn list<T: Scalar>(&mut self, field: &str) -> Result<Vec<Spanned<T>>, Reported> {
        let Some(value) = self.declaration.get(field) else {
            return Ok(Vec::new());
        };
        match &value.node.value {
            Value::Array(items) => self.items(items),
            Value::String(text) if is_template(text) => {
                let whole = self.expression(text, value.node.span)?;
                let Some(items) = whole.as_array() else {
                    return Err(self.not_a("a list", &whole, value.node.span));
                };
                let read = items.iter().map(|item| {
                    let text = item.to_string();
                    let read = T::from_text(&text).map_err(|problem| self.rendered(problem, &text, value.node.span));
                    read.map(|read| Spanned::new(read, value.node.span))
                });
                read.collect()
            }
            // It was found when the file was read.
            _ => Err(Reported),
        }
    }

    /// A field's table of texts, empty where it is not written.
    pub(super) fn table(&mut self, field: &str) -> Result<BTreeMap<String, String>, Reported> {
        let Some(value) = self.declaration.get(field) else {
            return Ok(BTreeMap::new());
        };
        match &value.node.value {
            Value::Table(table) => {
                let mut entries = BTreeMap::new();
                let mut failed = false;
                for entry in &table.entries {
                    match self.scalar::<String>(&entry.node) {
                        Ok(text) => drop(entries.insert(entry.key.value.clone(), text.value)),
                        Err(Reported) => failed = true,
                    }
                }
                if failed { Err(Reported) } else { Ok(entries) }
            }
            _ => Err(Reported),
        }
    }

    /// The dependencies that `after` and `restart_on` write down.
    pub(super) fn said(&mut self) -> Result<Vec<Said>, Reported> {
        let mut said = Vec::new();
        for (field, reason) in [
            ("after", DependencyReason::After),
            ("restart_on", DependencyReason::RestartOn),
        ] {
            let ids = self.list::<ResourceId>(field)?;
            said.extend(ids.into_iter().map(|on| Said { on, reason }));
        }
        Ok(said)
    }

    /// Declares what the fields say.
    pub(super) fn declare(&mut self, spec: crate::model::Spec, span: Span, said: Vec<Said>) {
        // What is wrong with it is found; the host is not resolved then.
        let on_removal = self.optional::<OnRemoval>("on_removal").ok().flatten();
        // What people may work in stays where nothing else is said.
        let unsaid = match spec.kind() {
            Kind::Git => OnRemoval::Keep,
            _ => OnRemoval::default(),
        };
        let on_removal = on_removal.map_or(unsaid, |on_removal| on_removal.value);
        self.declarations
            .declare_with(spec, on_removal, span, said, self.renderer.found);
    }

    /// Records a finding.
    pub(super) fn report(&mut self, diagnostic: Diagnostic) -> Reported {
        self.renderer.found.push(diagnostic);
        Reported
    }

    /// A text, rendered.
    pub(super) fn render(&mut self, text: &str, span: Span) -> Result<String, Reported> {
        let written = Written {
            text,
            span,
            offset: 0,
            quoted: true,
        };
        self.renderer.text(written, self.scope)
    }

    fn scalar<T: Scalar>(&mut self, node: &Node) -> Result<Spanned<T>, Reported> {
        let value = match &node.value {
            Value::String(text) if is_template(text) => {
                let text = self.render(text, node.span)?;
                T::from_text(&text).map_err(|problem| self.rendered(problem, &text, node.span))?
            }
            literal => T::from_value(literal).map_err(|problem| self.report(finding(problem, node.span)))?,
        };
        Ok(Spanned::new(value, node.span))
    }

    fn items<T: Scalar>(&mut self, items: &[Node]) -> Result<Vec<Spanned<T>>, Reported> {
        // All of them are read, so that all of what is wrong with them is found.
        let read: Vec<_> = items.iter().map(|item| self.scalar(item)).collect();
        read.into_iter().collect()
    }

    /// The value of a text that is nothing but `{{ expression }}`, for places that want more than a text.
    fn expression(&mut self, text: &str, span: Span) -> Result<TemplateValue, Reported> {
        let inner = text.trim().strip_prefix("{{").and_then(|text| text.strip_suffix("}}"));
        let Some(inner) = inner.filter(|inner| !inner.contains("}}")) else {
            let message = "a list is wanted here, and a template with text around it gives a text";
            let diagnostic = Diagnostic::error(Code::RenderedType, message, span, "");
            return Err(
                self.report(diagnostic.help("write \"{{ name_of_a_list }}\", or a list whose items are templates"))
            );
        };
        let written = Written {
            text: inner,
            span,
            offset: text.find(inner).unwrap_or(0),
            quoted: true,
        };
        self.renderer.value(written, self.scope)
    }

    fn rendered(&mut self, problem: Problem, text: &str, span: Span) -> Reported {
        let message = format!("this renders to \"{}\": {}", shown(text), problem.message);
        let diagnostic = Diagnostic::error(Code::RenderedType, message, span, "");
        self.report(diagnostic.help_if(problem.help))
    }

    fn not_a(&mut self, wanted: &str, value: &TemplateValue, span: Span) -> Reported {
        let message = format!("{wanted} is wanted here, and this is {}", noun(value));
        self.report(Diagnostic::error(Code::RenderedType, message, span, ""))
    }
}

/// What a value is, in the words of the configuration.
pub(super) fn noun(value: &TemplateValue) -> &'static str {
    if value.is_string() {
        "a text"
    } else if value.is_bool() {
        "true or false"
    } else if value.is_number() {
        "a number"
    } else if value.is_map() {
        "a table"
    } else if value.is_array() {
        "a list"
    } else {
        "nothing"
    }
}
