//! What keeps a template bounded in time and memory: a budget of loop turns, bounded values, a bounded result.
//! Tera bounds its parser and `range`; loops, assignments and growing filters it does not.

use std::cell::{Cell, RefCell};
use std::io;

use tera::{Kwargs, State, Tera, TeraResult, Value};

use super::mark;

/// The largest result. Files of more than a few megabytes are not made from templates.
pub(super) const MAX_OUTPUT: usize = 4 * 1024 * 1024;

/// The largest value that a loop or `set` may bind, in bytes of text plus 16 per element.
const MAX_VALUE: usize = 1024 * 1024;

/// How deep a bound value may be nested: it is walked by recursion.
const MAX_DEPTH: usize = 16;

/// How many loop turns a template of a few tags has. A turn of a template with many tags costs more.
const TURNS: u64 = 200_000;

/// How many loop turns all templates of one host have together.
const HOST_TURNS: u64 = 5 * TURNS;

/// How many bytes all templates of one host may come to. Larger contents are files, copied as they are.
const HOST_BYTES: u64 = 32 * 1024 * 1024;

/// Bytes read or written that cost as much as a turn.
const BYTES_PER_TURN: u64 = 256;

/// What the templates of one host have left.
#[derive(Clone, Copy, Debug)]
pub(in crate::resolve) struct Budget {
    turns: u64,
    bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            turns: HOST_TURNS,
            bytes: HOST_BYTES,
        }
    }
}

impl Budget {
    /// The loop turns of the next template.
    fn turns(self) -> u64 {
        self.turns.min(TURNS)
    }

    /// After a template of so many tags and bytes was rendered to so many bytes; `stopped` says that it met a limit.
    pub(super) fn charge(&mut self, tags: u64, read: usize, written: usize, stopped: bool) {
        let turns = self.turns() - BUDGET.get().0;
        let bytes = read as u64 + written as u64;
        // What is left may be too little for one more loop without being nothing.
        let short = stopped && self.turns < TURNS;
        let spent = if short {
            self.turns
        } else {
            turns + 1 + tags + bytes / BYTES_PER_TURN
        };
        self.turns = self.turns.saturating_sub(spent);
        self.bytes = self.bytes.saturating_sub(written as u64);
    }

    /// What is used up, in words; `None` while something is left.
    pub(super) const fn exhausted(self) -> Option<&'static str> {
        if self.turns == 0 {
            Some("the templates of this host do too much together: they have about a million loop turns")
        } else if self.bytes == 0 {
            Some("the templates of this host come to more than 32 MiB together")
        } else {
            None
        }
    }
}

/// Tags that cost as much as a turn itself.
const TAGS_PER_TURN: u64 = 32;

/// The first letters of every message here, by which it is told from Tera's own.
pub(super) const PREFIX: &str = "limit: ";

/// The functions that [`super::scan`] writes into templates. The names are such that nobody writes them by accident.
pub(super) const TURN: &str = "__provision_turn";
pub(super) const BOUND: &str = "__provision_bound";
pub(super) const VALUE: &str = "__provision_value";

/// Our `json`, and Tera's filters, but for those that make HTML, and `group_by`, whose result is in random order.
pub(super) const FILTERS: &[&str] = &[
    "abs",
    "capitalize",
    "default",
    "escape_html",
    "escape_xml",
    "first",
    "float",
    "get",
    "indent",
    "int",
    "join",
    "json",
    "keys",
    "last",
    "length",
    "lower",
    "nth",
    "pairs",
    "pluralize",
    "replace",
    "reverse",
    "round",
    "sort",
    "split",
    "str",
    "title",
    "trim",
    "trim_end",
    "trim_start",
    "truncate",
    "unique",
    "upper",
    "values",
    "wordcount",
];
pub(super) const TESTS: &[&str] = &[
    "array",
    "bool",
    "containing",
    "defined",
    "divisible_by",
    "ending_with",
    "even",
    "float",
    "integer",
    "iterable",
    "map",
    "none",
    "number",
    "odd",
    "starting_with",
    "string",
    "undefined",
];
pub(super) const FUNCTIONS: &[&str] = &["range", "secret", "secret_path", "throw"];

thread_local! {
    /// What is left for the template being rendered on this thread, and what one turn costs it. Tera's functions are
    /// shared by all renderings and take no state of ours, so it cannot travel as an argument.
    static BUDGET: Cell<(u64, u64)> = const { Cell::new((0, 1)) };
    static CAPTURED: RefCell<Value> = RefCell::new(Value::none());
}

/// Before each rendering of a template with so many tags.
pub(super) fn start(tags: u64, budget: Budget) {
    BUDGET.set((budget.turns(), 1 + tags / TAGS_PER_TURN));
    CAPTURED.set(Value::none());
}

/// The value that the expression had, after its rendering.
pub(super) fn captured() -> Value {
    CAPTURED.replace(Value::none())
}

pub(super) fn register(tera: &mut Tera) {
    tera.register_function(TURN, |kwargs: Kwargs, _: &State| {
        spend(1)?;
        bounded(&kwargs)
    });
    tera.register_function(BOUND, |kwargs: Kwargs, _: &State| bounded(&kwargs));
    tera.register_function(VALUE, |kwargs: Kwargs, _: &State| -> TeraResult<&'static str> {
        CAPTURED.set(kwargs.get::<Value>("v")?.unwrap_or_else(Value::undefined));
        Ok("")
    });
    tera.register_function("range", range);
    mark::register(tera);
    tera.register_filter("replace", replace);
    tera.register_filter("join", join);
    tera.register_filter("indent", indent);
    tera.register_filter("json", json);
    tera.register_filter("unique", unique);
}

fn spend(turns: u64) -> TeraResult<()> {
    let (left, cost) = BUDGET.get();
    match left.checked_sub(turns.saturating_mul(cost)) {
        Some(left) => {
            BUDGET.set((left, cost));
            Ok(())
        }
        None => Err(limit(
            "the template loops too often; a template has about 200 000 turns",
        )),
    }
}

fn limit(message: &str) -> tera::Error {
    tera::Error::message(format!("{PREFIX}{message}"))
}

fn bounded(kwargs: &Kwargs) -> TeraResult<&'static str> {
    let mut left = MAX_VALUE;
    for (_, value) in kwargs.iter() {
        weigh(value, &mut left, 0)?;
    }
    Ok("")
}

/// Walks a value and stops as soon as it is too large, so that a small value with itself in it many times costs no more.
fn weigh(value: &Value, left: &mut usize, depth: usize) -> TeraResult<()> {
    let too_large = || limit("a value in the template grows beyond 1 MiB");
    if depth > MAX_DEPTH {
        return Err(limit("a value in the template is nested too deeply"));
    }
    let size = 16 + value.as_str().map_or(0, str::len);
    *left = left.checked_sub(size).ok_or_else(too_large)?;
    if let Some(items) = value.as_array() {
        items.iter().try_for_each(|item| weigh(item, left, depth + 1))?;
    }
    if let Some(entries) = value.as_map() {
        entries.values().try_for_each(|item| weigh(item, left, depth + 1))?;
    }
    Ok(())
}

/// The numbers from `start` (0) up to but without `end`.
fn range(kwargs: Kwargs, _: &State) -> TeraResult<Vec<i64>> {
    let start = kwargs.get::<i64>("start")?.unwrap_or(0);
    let end = kwargs.must_get::<i64>("end")?;
    let step = usize::try_from(kwargs.get::<i64>("step_by")?.unwrap_or(1))
        .ok()
        .filter(|step| *step > 0)
        .ok_or_else(|| tera::Error::message("`step_by` must be at least 1"))?;
    let length = end.checked_sub(start).filter(|length| *length >= 0);
    let length = length.and_then(|length| u64::try_from(length).ok());
    let length = length.ok_or_else(|| tera::Error::message("`range` ends before it starts"))?;
    // Charged before anything is allocated.
    spend(length / step as u64)?;
    Ok((start..end).step_by(step).collect())
}

fn replace(text: &str, kwargs: Kwargs, _: &State) -> TeraResult<String> {
    let from = kwargs.must_get::<&str>("from")?;
    let to = kwargs.must_get::<&str>("to")?;
    fits(text.len(), text.matches(from).count(), to.len())?;
    Ok(text.replace(from, to))
}

fn join(items: &[Value], kwargs: Kwargs, _: &State) -> TeraResult<String> {
    let separator = kwargs.get::<&str>("sep")?.unwrap_or("");
    let mut left = MAX_VALUE;
    items.iter().try_for_each(|item| weigh(item, &mut left, 0))?;
    fits(MAX_VALUE - left, items.len(), separator.len())?;
    let texts: Vec<String> = items.iter().map(ToString::to_string).collect();
    Ok(texts.join(separator))
}

/// A value as JSON, a text with its quotes: a TOML file takes it, too. The keys of a table are in the alphabet's order.
fn json(value: &Value, _: Kwargs, _: &State) -> TeraResult<String> {
    let mut left = MAX_VALUE;
    weigh(value, &mut left, 0)?;
    let value = serde_json::to_value(value).map_err(|error| tera::Error::message(error.to_string()))?;
    let text = value.to_string();
    fits(text.len(), 0, 0)?;
    Ok(text)
}

fn indent(text: &str, kwargs: Kwargs, _: &State) -> TeraResult<String> {
    let width = kwargs.get::<usize>("width")?.unwrap_or(4);
    let first = kwargs.get::<bool>("first")?.unwrap_or(false);
    let blank = kwargs.get::<bool>("blank")?.unwrap_or(false);
    fits(text.len(), text.matches('\n').count() + 1, width)?;
    let prefix = " ".repeat(width);
    let mut indented = String::with_capacity(text.len());
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if (number > 0 || first) && (blank || !line.trim().is_empty()) {
            indented.push_str(&prefix);
        }
        indented.push_str(line);
    }
    Ok(indented)
}

/// Each item is compared with all that were kept, so it costs turns by the square of the length.
fn unique(items: &[Value], _: Kwargs, _: &State) -> TeraResult<Vec<Value>> {
    let length = items.len() as u64;
    spend(length.saturating_mul(length) / 1000)?;
    let mut kept: Vec<Value> = Vec::new();
    for item in items {
        if !kept.contains(item) {
            kept.push(item.clone());
        }
    }
    Ok(kept)
}

fn fits(base: usize, count: usize, each: usize) -> TeraResult<()> {
    let size = count.checked_mul(each).and_then(|grown| grown.checked_add(base));
    match size {
        Some(size) if size <= MAX_VALUE => Ok(()),
        _ => Err(limit("a value in the template grows beyond 1 MiB")),
    }
}

/// What a template has written so far. It takes no more than [`MAX_OUTPUT`].
#[derive(Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    full: bool,
}

impl Output {
    pub(super) const fn is_full(&self) -> bool {
        self.full
    }

    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > MAX_OUTPUT {
            self.full = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
