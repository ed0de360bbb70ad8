//! Rendering on behalf of one host: which names a template sees, the cache of templates that were read, and findings
//! that point into the text where it is written.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use tera::{Context, Tera, Value};

use crate::config::{
    Code, Diagnostic, Host, OptionValue, Project, Reported, SourceMap, Span, Spanned, did_you_mean, place_in_text,
    shown,
};
use crate::model::{AbsPath, Connection, Machine};

use super::template::mark::{Mark, Piece, is_marked, pieces};
use super::template::{Budget, Chain, Form, Template, TemplateError, compile, prototype};
use super::trace::{By, Trace};
use super::uses::Use;

/// Templates that were read, by their text: those of modules are worth keeping for the next host.
pub(super) struct Templates {
    prototype: Tera,
    texts: Cache,
    expressions: Cache,
}

/// Two generations: what was not used while one filled up is forgotten, so that a host's own templates, used once, do not
/// push out those of modules.
#[derive(Default)]
struct Cache {
    young: HashMap<Box<str>, Rc<Result<Template, TemplateError>>>,
    old: HashMap<Box<str>, Rc<Result<Template, TemplateError>>>,
}

/// Templates in a generation. Each holds Tera's tables, some 20 KiB.
const GENERATION: usize = 500;

impl Templates {
    pub(super) fn new() -> Self {
        Self {
            prototype: prototype(),
            texts: Cache::default(),
            expressions: Cache::default(),
        }
    }

    /// The template that a text is.
    fn get(&mut self, form: Form, text: &str) -> Rc<Result<Template, TemplateError>> {
        let cache = match form {
            Form::Text => &mut self.texts,
            Form::Expression => &mut self.expressions,
        };
        if let Some(template) = cache.young.get(text) {
            return Rc::clone(template);
        }
        let known = cache.old.remove(text);
        let template = known.unwrap_or_else(|| Rc::new(compile(text, form, &self.prototype)));
        if cache.young.len() >= GENERATION {
            cache.old = std::mem::take(&mut cache.young);
        }
        cache.young.insert(Box::from(text), Rc::clone(&template));
        template
    }
}

/// The names that templates of one file see on one host.
#[derive(Clone)]
pub(super) struct Scope {
    pub(super) context: Context,
    /// What "this" is in messages: "module `inotify`" or "the host file".
    pub(super) of: String,
    /// Whose file it is, for those who ask why.
    pub(super) by: By,
    /// What it sees, in a sentence.
    pub(super) sees: &'static str,
    /// The options that there are.
    pub(super) options: Vec<String>,
    /// Those of them that have no value.
    pub(super) unset: Vec<String>,
    /// Those whose value could not be found, which is said elsewhere.
    pub(super) failed: Vec<String>,
}

impl Scope {
    /// The names that every template sees.
    pub(super) fn new(by: By, facts: &Facts, host: &Host) -> Self {
        let mut context = Context::new();
        context.insert_value("host", facts.of(host));
        context.insert_value("hosts", facts.hosts.clone());
        Self {
            context,
            of: match &by {
                By::Host => "the host file".to_owned(),
                By::Group(tag) => format!("the group `{tag}`"),
                By::Module { name, .. } => format!("module `{name}`"),
            },
            sees: match &by {
                By::Host | By::Group(_) => {
                    "outside of modules a template sees no options, but `host`, `hosts` and, by module and name, `instances`"
                }
                By::Module { .. } => "a template sees the options of its own module, `host` and `hosts`",
            },
            by,
            options: Vec::new(),
            unset: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// The same, where it sees something else.
    pub(super) fn seeing(self, sees: &'static str) -> Self {
        Self { sees, ..self }
    }
}

/// What is known of every host before any is contacted.
pub(super) struct Facts {
    hosts: Value,
    each: BTreeMap<String, Value>,
}

impl Facts {
    pub(super) fn of_project(project: &Project) -> Self {
        let each: BTreeMap<String, Value> = project
            .hosts
            .values()
            .map(|host| (host.name.to_string(), facts(host)))
            .collect();
        Self {
            hosts: Value::from(each.clone()),
            each,
        }
    }

    fn of(&self, host: &Host) -> Value {
        self.each.get(host.name.as_str()).cloned().unwrap_or_else(Value::none)
    }
}

/// The facts, for whoever asks for one that there is not.
const FACTS: &str = "what is known of a host before it is contacted: name, address, port, user, tags, host_keys, and what its \
                     [hetzner] or [aws] says";

/// A host's public facts: what its own file says about how it is reached and what it runs on. Nothing of it is secret, and
/// nothing is a template, so no host's facts wait for another's.
fn facts(host: &Host) -> Value {
    let (port, user, host_keys) = match &host.connection {
        Connection::Ssh {
            port, user, host_keys, ..
        } => (
            port.unwrap_or(22),
            user.as_deref().unwrap_or("root"),
            host_keys.as_slice(),
        ),
        Connection::Local => (22, "root", &[][..]),
    };
    let texts = |texts: &mut dyn Iterator<Item = &String>| -> Value {
        Value::from(texts.map(|text| Value::from(text.as_str())).collect::<Vec<_>>())
    };
    let mut facts = BTreeMap::from([
        ("name".to_owned(), Value::from(host.name.as_str())),
        ("address".to_owned(), Value::from(host.address())),
        ("port".to_owned(), Value::from(u64::from(port))),
        ("user".to_owned(), Value::from(user)),
        ("tags".to_owned(), texts(&mut host.tags.iter())),
        ("host_keys".to_owned(), texts(&mut host_keys.iter())),
    ]);
    if let Some(machine) = &host.machine {
        let (cloud, keys) = machine_facts(machine);
        let keys = keys.map(|(key, value)| (key.to_owned(), Value::from(value)));
        facts.insert(cloud.to_owned(), Value::from(BTreeMap::from(keys)));
    }
    Value::from(facts)
}

/// The table of the cloud that a machine is on, with the keys that the host file has in it.
fn machine_facts(machine: &Machine) -> (&'static str, [(&'static str, &str); 3]) {
    match machine {
        Machine::Hetzner {
            server_type,
            location,
            image,
        } => (
            "hetzner",
            [("type", server_type), ("location", location), ("image", image)],
        ),
        Machine::Aws {
            instance_type,
            region,
            image,
        } => ("aws", [("type", instance_type), ("region", region), ("image", image)]),
    }
}

/// An option's value as templates see it.
pub(super) fn value(option: &OptionValue) -> Value {
    match option {
        OptionValue::String(text) => Value::from(text.as_str()),
        OptionValue::Integer(number) => Value::from(*number),
        OptionValue::Float(number) => Value::from(*number),
        OptionValue::Bool(truth) => Value::from(*truth),
        OptionValue::Path(path) => Value::from(path.as_str()),
        OptionValue::Duration(millis) => Value::from(millis.to_string()),
        OptionValue::Size(size) => Value::from(size.to_string()),
        OptionValue::Host(host) => Value::from(host.as_str()),
        OptionValue::List(items) => Value::from(items.iter().map(value).collect::<Vec<_>>()),
        OptionValue::Map(entries) => {
            let entries: BTreeMap<String, Value> =
                entries.iter().map(|(key, item)| (key.clone(), value(item))).collect();
            Value::from(entries)
        }
    }
}

/// The names that are not options.
const NAMES: &[&str] = &["host", "hosts", "instance", "instances", "item", "key"];

/// An instance's name as templates see it.
pub(super) fn instance_value(name: &str) -> Value {
    Value::from(name)
}

/// All instances with their options, by module and name; `None` where no module has any.
pub(super) fn instances_value<'a>(uses: impl Iterator<Item = (&'a Use<'a>, &'a Scope)>) -> Option<Value> {
    let mut modules: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for (used, scope) in uses {
        let Some(instance) = &used.instance else { continue };
        let options = used.module.options.keys();
        let options = options.filter_map(|name| Some((name.clone(), scope.context.get(name)?.clone())));
        let options: BTreeMap<String, Value> = options.collect();
        let module = modules.entry(used.module.name.clone()).or_default();
        module.insert(instance.to_string(), Value::from(options));
    }
    let modules = modules
        .into_iter()
        .map(|(name, instances)| (name, Value::from(instances)));
    let modules: BTreeMap<String, Value> = modules.collect();
    (!modules.is_empty()).then(|| Value::from(modules))
}

/// How many unknown names of one template are told: finding the place of each takes time by the length of the text.
const TOLD_PER_TEMPLATE: usize = 20;

/// A text and where it is written.
#[derive(Clone, Copy)]
pub(super) struct Written<'a> {
    pub(super) text: &'a str,
    pub(super) span: Span,
    /// How many bytes of what is written come before the text.
    pub(super) offset: usize,
    /// Whether `span` covers a TOML text with its quotes, or the text itself, as in a template's own file.
    pub(super) quoted: bool,
}

impl Written<'_> {
    /// The place of a part of the text.
    fn place(&self, sources: &SourceMap, range: std::ops::Range<usize>) -> Span {
        let range = range.start + self.offset..range.end + self.offset;
        if self.quoted {
            place_in_text(self.span, sources.slice(self.span), range)
        } else {
            let start = self.span.start as usize;
            Span::new(self.span.source, start + range.start..start + range.end)
        }
    }
}

/// Whether any text in a value has a mark in it.
fn has_mark(value: &Value) -> bool {
    value.as_str().is_some_and(is_marked)
        || value.as_array().is_some_and(|items| items.iter().any(has_mark))
        || value.as_map().is_some_and(|entries| entries.values().any(has_mark))
}

/// Where a function is called in a text; all of the text where that is not plain.
fn call(text: &str, function: &str) -> std::ops::Range<usize> {
    match text.find(&format!("{function}(")) {
        Some(at) => at..at + function.len(),
        None => 0..text.len(),
    }
}

/// What rendering needs beside a template and a scope.
pub(super) struct Renderer<'a> {
    pub(super) templates: &'a mut Templates,
    pub(super) sources: &'a mut SourceMap,
    pub(super) found: &'a mut Vec<Diagnostic>,
    pub(super) trace: Option<&'a mut Trace>,
    /// What the host's templates have left.
    pub(super) budget: Budget,
    /// What is left for noting down.
    pub(super) noting: Budget,
    /// The paths of the host's secrets, once they are known.
    pub(super) secret_paths: Option<BTreeMap<String, AbsPath>>,
    /// Whether it is said that nothing is left. From then on nothing is rendered: all of it would fail for that.
    pub(super) exhausted: bool,
}

impl<'a> Renderer<'a> {
    /// For one host.
    pub(super) fn new(
        templates: &'a mut Templates,
        sources: &'a mut SourceMap,
        found: &'a mut Vec<Diagnostic>,
        trace: Option<&'a mut Trace>,
    ) -> Self {
        Self {
            templates,
            sources,
            found,
            trace,
            budget: Budget::default(),
            noting: Budget::default(),
            secret_paths: None,
            exhausted: false,
        }
    }

    /// The names from outside that a text needs; none where it cannot be read, which [`Self::text`] will report.
    pub(super) fn needs(&mut self, form: Form, text: &str) -> Vec<String> {
        match &*self.templates.get(form, text) {
            Ok(template) => template.needs().to_vec(),
            Err(_) => Vec::new(),
        }
    }

    /// Renders a text in which no secret's value may stand.
    pub(super) fn text(&mut self, written: Written<'_>, scope: &Scope) -> Result<String, Reported> {
        let text = self.rendered(written, scope)?;
        if !is_marked(&text) {
            return Ok(text);
        }
        let mut plain = String::new();
        for piece in self.settled(&text, written)? {
            match piece {
                Piece::Text(text) => plain.push_str(&text),
                Piece::Mark(mark) => return Err(self.value_in_plain(&mark, written)),
            }
        }
        Ok(plain)
    }

    /// Renders the text of a secret: what is left of marks in it stands for values.
    pub(super) fn secret_text(&mut self, written: Written<'_>, scope: &Scope) -> Result<Vec<Piece>, Reported> {
        let text = self.rendered(written, scope)?;
        self.settled(&text, written)
    }

    /// The pieces of a text, with the paths of secrets in their place.
    fn settled(&mut self, text: &str, written: Written<'_>) -> Result<Vec<Piece>, Reported> {
        let Some(pieces) = pieces(text) else {
            let message = "a filter changes what stands for a secret here";
            let span = written.place(self.sources, call(written.text, "secret"));
            let diagnostic = Diagnostic::error(Code::TemplateFailed, message, span, "");
            let help = "say how it is to be written instead: secret(name=\"…\", as=\"json\"), or base64, url or shell";
            self.found.push(
                diagnostic
                    .because("the value is put in on the host's behalf when it is delivered, after all filters")
                    .help(help),
            );
            return Err(Reported);
        };
        let mut settled = Vec::new();
        for piece in pieces {
            settled.push(match piece {
                Piece::Mark(Mark::Path(name)) => Piece::Text(self.secret_path(&name, written)?),
                other => other,
            });
        }
        Ok(settled)
    }

    fn secret_path(&mut self, name: &str, written: Written<'_>) -> Result<String, Reported> {
        let span = written.place(self.sources, call(written.text, "secret_path"));
        let Some(paths) = &self.secret_paths else {
            let message = "paths of secrets are not known here yet";
            let diagnostic = Diagnostic::error(Code::UnknownSecret, message, span, "");
            self.found.push(
                diagnostic
                    .because("they follow from [secrets] of this host, which may use options themselves")
                    .help("use secret_path in resources, after those of users and groups"),
            );
            return Err(Reported);
        };
        if let Some(path) = paths.get(name) {
            return Ok(path.to_string());
        }
        let message = format!("this host declares no secret `{}` that has a file", shown(name));
        let help = did_you_mean(name, paths.keys().map(String::as_str));
        let help = help.unwrap_or_else(|| format!("declare it: [secrets.\"{}\"]", shown(name)));
        let diagnostic = Diagnostic::error(Code::UnknownSecret, message, span, "not declared");
        self.found.push(diagnostic.help(help));
        Err(Reported)
    }

    fn value_in_plain(&mut self, mark: &Mark, written: Written<'_>) -> Reported {
        let (Mark::Value(name, _) | Mark::Path(name)) = mark;
        let message = format!(
            "the value of the secret `{}` would stand in plain text here",
            shown(name)
        );
        let span = written.place(self.sources, call(written.text, "secret"));
        let diagnostic = Diagnostic::error(Code::SecretInPlain, message, span, "a secret's value");
        self.found.push(
            diagnostic
                .because("what is written here goes into plans, onto disks or into command lines")
                .help(format!(
                    "name its file: {{{{ secret_path(name=\"{}\") }}}}, or write this text as one of [secrets]",
                    shown(name)
                )),
        );
        Reported
    }

    fn rendered(&mut self, written: Written<'_>, scope: &Scope) -> Result<String, Reported> {
        if self.exhausted {
            return Err(Reported);
        }
        let template = self.templates.get(Form::Text, written.text);
        let template = self.checked(&template, written, scope)?;
        let result = template.render(&scope.context, written.text, &mut self.budget);
        result.map_err(|error| self.report(&error, written, scope))
    }

    /// Evaluates an expression.
    pub(super) fn value(&mut self, written: Written<'_>, scope: &Scope) -> Result<Value, Reported> {
        if self.exhausted {
            return Err(Reported);
        }
        let template = self.templates.get(Form::Expression, written.text);
        let template = self.checked(&template, written, scope)?;
        let result = template.value(&scope.context, written.text, &mut self.budget);
        let value = result.map_err(|error| self.report(&error, written, scope))?;
        // No option has a mark in it, so only what is written here can bring one.
        if written.text.contains("secret") && has_mark(&value) {
            let message = "secrets stand in texts, not in expressions";
            let span = written.place(self.sources, call(written.text, "secret"));
            self.found.push(
                Diagnostic::error(Code::SecretInPlain, message, span, "").help("write a text with {{ … }} in it"),
            );
            return Err(Reported);
        }
        Ok(value)
    }

    /// Whether a condition holds.
    pub(super) fn holds(&mut self, condition: &Spanned<String>, scope: &Scope) -> Result<bool, Reported> {
        let written = Written {
            text: &condition.value,
            span: condition.span,
            offset: 0,
            quoted: true,
        };
        self.value(written, scope).map(|value| value.is_truthy())
    }

    /// Looks at the names before rendering, so that a misspelt one is found in a branch that is never taken, too.
    fn checked<'t>(
        &mut self,
        template: &'t Result<Template, TemplateError>,
        written: Written<'_>,
        scope: &Scope,
    ) -> Result<&'t Template, Reported> {
        let template = match template {
            Ok(template) => template,
            Err(error) => return Err(self.report(error, written, scope)),
        };
        // A finding about a value that could not be found would only repeat that.
        if template.needs().iter().any(|name| scope.failed.contains(name)) {
            return Err(Reported);
        }
        let before = self.found.len();
        for name in template.needs() {
            if self.found.len() - before >= TOLD_PER_TEMPLATE {
                return Err(Reported);
            }
            if !scope.context.contains_key(name) && !scope.unset.contains(name) {
                let diagnostic = self.unknown_name(template, name, written, scope);
                self.found.push(diagnostic);
            }
        }
        for chain in template.chains().iter().filter(|chain| !chain.asked) {
            if self.found.len() - before >= TOLD_PER_TEMPLATE {
                break;
            }
            let finding = self.unknown_field(chain, written, scope);
            self.found.extend(finding);
        }
        if self.found.len() > before {
            Err(Reported)
        } else {
            Ok(template)
        }
    }

    fn unknown_name(&self, template: &Template, name: &str, written: Written<'_>, scope: &Scope) -> Diagnostic {
        let used = template
            .chains()
            .iter()
            .find(|chain| chain.words.first().is_some_and(|word| word == name));
        let range = used
            .and_then(|chain| chain.ranges.first().cloned())
            .unwrap_or(0..written.text.len());
        let message = format!("`{name}` is not known in a template of {}", scope.of);
        let span = written.place(self.sources, range);
        let diagnostic = Diagnostic::error(Code::UnknownVariable, message, span, "not known here");
        let options = scope.options.iter().map(String::as_str);
        let others = NAMES.iter().copied().filter(|name| scope.context.contains_key(name));
        let known: Vec<_> = options.chain(others).collect();
        let help = match name {
            "item" | "key" => Some("beside `each` it is the item, and where in the list or table that is".to_owned()),
            "instance" => Some("it is the instance's name, in modules that say `instances = true`".to_owned()),
            name => did_you_mean(name, known.iter().copied()),
        };
        diagnostic.because(scope.sees).help_if(help)
    }

    /// A field of `host` or `hosts` that does not exist. Fields of options are the user's own.
    fn unknown_field(&self, chain: &Chain, written: Written<'_>, scope: &Scope) -> Option<Diagnostic> {
        let first = chain
            .words
            .first()
            .filter(|word| matches!(word.as_str(), "host" | "hosts" | "instances"))?;
        let mut value = scope.context.get(first)?;
        for (word, range) in chain.words.iter().zip(&chain.ranges).skip(1) {
            let map = value.as_map()?;
            if let Some(inner) = value.get_from_path(word) {
                value = inner;
                continue;
            }
            // Not every host has one, so a template may be right that asks first; rendering tells.
            if matches!(word.as_str(), "hetzner" | "aws") && first != "instances" {
                return None;
            }
            let keys: Vec<_> = map.keys().filter_map(|key| key.as_str()).collect();
            let (what, why) = if first == "instances" {
                let why = "`instances` has an entry for each module with instances, and in it one for each instance";
                (format!("there is no `{word}` here"), why)
            } else if first == "hosts" && chain.words.get(1) == Some(word) {
                (
                    format!("there is no host `{word}`"),
                    "`hosts` has an entry for each file in hosts/",
                )
            } else {
                (format!("a host has no fact `{word}`"), FACTS)
            };
            // `hosts.web-1.address` is read as a subtraction.
            let rest = written.text.get(range.start..).unwrap_or("");
            let whole: String = rest
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
                .collect();
            let dashed = keys.contains(&whole.as_str()) && whole != *word;
            let dashed = dashed.then(|| format!("a name with \"-\" needs brackets: {first}[\"{whole}\"]"));
            let help = dashed.or_else(|| did_you_mean(word, keys));
            let span = written.place(self.sources, range.clone());
            let diagnostic = Diagnostic::error(Code::UnknownVariable, what, span, "not known");
            return Some(diagnostic.because(why).help_if(help));
        }
        None
    }

    fn report(&mut self, error: &TemplateError, written: Written<'_>, scope: &Scope) -> Reported {
        // All templates from here on would say the same.
        if error.code == Code::TooMuch && std::mem::replace(&mut self.exhausted, true) {
            return Reported;
        }
        let span = written.place(self.sources, error.range.clone());
        let mut diagnostic = Diagnostic::error(error.code, error.message.clone(), span, "").help_if(error.help.clone());
        let part = written.text.get(error.range.clone()).unwrap_or("").trim();
        if error.code == Code::UnknownVariable && scope.unset.iter().any(|name| name == part) {
            let help = format!(
                "ask first: {{% if {part} is defined %}}…{{% endif %}}, or {{{{ {part} | default(value=\"…\") }}}}"
            );
            diagnostic = diagnostic
                .because(format!(
                    "`{}` is an option that may be left out, and this host leaves it out",
                    shown(part)
                ))
                .help(help);
        }
        if error.code == Code::UnknownVariable && matches!(part, "hetzner" | "aws") {
            diagnostic = diagnostic
                .because(format!("only a host whose file has [{part}] has it"))
                .help(format!("ask first: {{% if host.{part} is defined %}}…{{% endif %}}"));
        }
        self.found.push(diagnostic);
        Reported
    }
}
