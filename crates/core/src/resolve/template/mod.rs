//! Templates: text in Tera's language, read once and rendered for many hosts, with errors that point into it.
//! Which names a template sees is decided by whoever renders it.

mod limits;
pub(super) mod mark;
mod scan;

use std::ops::Range;

use tera::{Context, ErrorKind, Tera};

use crate::config::{Code, did_you_mean, listed};

pub(super) use limits::Budget;
pub(super) use scan::Chain;

/// What a text is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// A text with templates in it.
    Text,
    /// One expression, without braces; its value is wanted, not its text.
    Expression,
}

/// A template that was read.
pub(super) struct Template {
    tera: Tera,
    /// The names that it needs from outside, sorted.
    needs: Vec<String>,
    chains: Vec<Chain>,
    edits: scan::Edits,
    tags: u64,
    size: usize,
}

/// What is wrong with a template, and where in its text.
#[derive(Clone, Debug)]
pub(super) struct TemplateError {
    pub(super) code: Code,
    pub(super) range: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl TemplateError {
    fn new(code: Code, range: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            code,
            range,
            message: message.into(),
            help: None,
        }
    }
}

/// The name under which the one template of each [`Tera`] is kept. It ends in nothing that Tera escapes for HTML.
const NAME: &str = "template";

/// Reads a template. `prototype` comes from [`prototype`].
pub(super) fn compile(text: &str, form: Form, prototype: &Tera) -> Result<Template, TemplateError> {
    let scan::Scan {
        edits,
        chains,
        calls,
        tags,
        bound,
    } = scan::scan(text, form)?;
    for call in &calls {
        check_call(call, text)?;
    }
    let mut tera = prototype.clone();
    tera.add_raw_template(NAME, &edits.apply(text))
        .map_err(|error| syntax_error(&error, text, &edits))?;
    let mut needs: Vec<String> = match tera.get_template_variables(NAME) {
        Ok(names) => names
            .into_iter()
            .filter(|name| !bound.contains(*name))
            .map(str::to_owned)
            .collect(),
        Err(error) => return Err(syntax_error(&error, text, &edits)),
    };
    needs.sort_unstable();
    Ok(Template {
        tera,
        needs,
        chains,
        edits,
        tags,
        size: text.len(),
    })
}

/// What every template starts from: Tera with bounded versions of what could run away.
pub(super) fn prototype() -> Tera {
    let mut tera = Tera::new();
    tera.autoescape_on(Vec::<&str>::new());
    limits::register(&mut tera);
    tera
}

impl Template {
    /// The names that it needs from outside.
    pub(super) fn needs(&self) -> &[String] {
        &self.needs
    }

    /// The places where it uses a name from outside, with the fields that follow.
    pub(super) fn chains(&self) -> &[Chain] {
        &self.chains
    }

    /// Renders it to text.
    pub(super) fn render(&self, context: &Context, text: &str, budget: &mut Budget) -> Result<String, TemplateError> {
        self.within(*budget)?;
        let mut output = limits::Output::default();
        limits::start(self.tags, *budget);
        let result = self.tera.render_to(NAME, context, &mut output);
        let stopped = result
            .as_ref()
            .is_err_and(|error| place(error, &self.edits, text).0.starts_with(limits::PREFIX));
        budget.charge(self.tags, self.size, output.len(), stopped);
        self.within(*budget)?;
        if output.is_full() {
            let message = format!("the result is larger than {} MiB", limits::MAX_OUTPUT / 1024 / 1024);
            return Err(TemplateError::new(Code::TemplateLimit, 0..self.size, message));
        }
        result.map_err(|error| self.failure(&error, text))?;
        // Tera writes texts only; what is not UTF-8 could only be its own mistake.
        Ok(String::from_utf8_lossy(&output.into_bytes()).into_owned())
    }

    fn within(&self, budget: Budget) -> Result<(), TemplateError> {
        match budget.exhausted() {
            None => Ok(()),
            Some(message) => Err(TemplateError::new(Code::TooMuch, 0..self.size, message)),
        }
    }

    /// The value of an expression.
    pub(super) fn value(
        &self,
        context: &Context,
        text: &str,
        budget: &mut Budget,
    ) -> Result<tera::Value, TemplateError> {
        self.render(context, text, budget)?;
        Ok(limits::captured())
    }

    fn failure(&self, error: &tera::Error, text: &str) -> TemplateError {
        let (message, range) = place(error, &self.edits, text);
        if let Some(limit) = message.strip_prefix(limits::PREFIX) {
            return TemplateError::new(Code::TemplateLimit, range, limit);
        }
        if message == UNDEFINED
            || (message.starts_with("Variable `") && message.contains("is not defined"))
            || message.starts_with("Field `")
            || message.starts_with("Cannot index into an undefined")
        {
            let what = text.get(range.clone()).unwrap_or("this").trim();
            return TemplateError::new(
                Code::UnknownVariable,
                range.clone(),
                format!("`{what}` has no value here"),
            );
        }
        TemplateError::new(
            Code::TemplateFailed,
            range,
            format!("the template failed: {}", lowered(&message)),
        )
    }
}

/// Tera's words for a name or field that is not there.
const UNDEFINED: &str = "Tried to render a variable that is undefined";

fn syntax_error(error: &tera::Error, text: &str, edits: &scan::Edits) -> TemplateError {
    let (message, range) = place(error, edits, text);
    let mut error = TemplateError::new(
        Code::TemplateSyntax,
        range,
        format!("this template cannot be read: {}", lowered(&message)),
    );
    if let Some(name) = dashed_host(text) {
        error.help = Some(format!("a name with \"-\" needs brackets: hosts[\"{name}\"]"));
    }
    if error.message.contains("comment tag") {
        error.help =
            Some("`{#` begins a comment; to write it as it is, put it between {% raw %} and {% endraw %}".to_owned());
    }
    error
}

/// The host in `hosts.web-1.address`, which is read as a subtraction, and seldom as one that makes sense.
fn dashed_host(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("hosts.")?;
    let end = rest
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .unwrap_or(rest.len());
    rest.get(..end).filter(|name| name.contains('-'))
}

/// Tera's message, and the range in the text as the user wrote it.
fn place(error: &tera::Error, edits: &scan::Edits, text: &str) -> (String, Range<usize>) {
    let whole = 0..text.len();
    match error.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => {
            let range = edits.original(report.span().range.clone());
            let range = range.start.min(text.len())..range.end.min(text.len());
            (report.message().to_owned(), range)
        }
        other => (other.to_string(), whole),
    }
}

/// A message of Tera's as the rest of a sentence.
fn lowered(message: &str) -> String {
    let message = message.trim().trim_end_matches('.');
    let mut letters = message.chars();
    match letters.next() {
        Some(first) if !letters.as_str().starts_with(char::is_uppercase) => {
            first.to_lowercase().collect::<String>() + letters.as_str()
        }
        _ => message.to_owned(),
    }
}

/// Filters, tests and functions are known before anything is rendered, so that a misspelt one is found in a branch that
/// is never taken, too.
fn check_call(call: &scan::Call, text: &str) -> Result<(), TemplateError> {
    let (noun, known) = match call.kind {
        scan::CallKind::Filter => ("filter", limits::FILTERS),
        scan::CallKind::Test => ("test", limits::TESTS),
        scan::CallKind::Function => ("function", limits::FUNCTIONS),
    };
    let name = text.get(call.range.clone()).unwrap_or("");
    if known.contains(&name) {
        return Ok(());
    }
    let mut error = TemplateError::new(
        Code::TemplateSyntax,
        call.range.clone(),
        format!("there is no {noun} `{name}`"),
    );
    error.help =
        did_you_mean(name, known.iter().copied()).or_else(|| Some(format!("the {noun}s are {}", listed(known))));
    Err(error)
}

#[cfg(test)]
mod tests;
