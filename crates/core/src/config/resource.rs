//! Declarations of resources as they are written, in host files and in modules alike. Defaults and templates are
//! left to [`crate::resolve`].

use crate::model::{FIREWALL_TABLE, Kind};

use super::code::Code;
use super::decode;
use super::diagnostic::Diagnostic;
use super::scalar::{is_template, shown};
use super::schema::{self, Field};
use super::shorthand::Shorthand;
use super::sort::Sort;
use super::source::{Span, Spanned};
use super::tree::{Entry, Node, Table, Value};

/// One resource as it is written.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// Of which sort it is.
    pub sort: Sort,
    /// Its name, maybe a template.
    pub name: Spanned<String>,
    /// The fields that are written.
    pub fields: Vec<FieldValue>,
}

/// A field that is written.
#[derive(Clone, Debug)]
pub struct FieldValue {
    /// Which one.
    pub field: &'static Field,
    /// Where its key is.
    pub key: Span,
    /// Its value, maybe with templates in it.
    pub node: Node,
}

impl Declaration {
    /// A field by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&FieldValue> {
        self.fields.iter().find(|value| value.field.name == name)
    }
}

/// What the fields of a kind demand of each other.
enum Rule {
    Needs(&'static str),
    ExactlyOne(&'static [&'static str], &'static str),
    AtMostOne(&'static [&'static str]),
    OnlyWith(&'static str, &'static str),
}

const CONTENT: &[&str] = &["text", "file", "template"];
const WHOLE: &[&str] = &["default", "text", "file", "template"];
const GUARD: &[&str] = &["creates", "unless"];
const REVISION: &[&str] = &["commit", "branch"];
const CHECK: &[&str] = &["http", "tcp", "unit"];

const SOURCE: &[&str] = &["paths", "text", "file", "template"];
const STARTED: &[&str] = &["run", "unit"];

const fn rules(sort: Sort) -> &'static [Rule] {
    match sort {
        Sort::Kind(kind) => rules_of(kind),
        Sort::Shorthand(shorthand) => match shorthand {
            Shorthand::System => &[Rule::Needs("value")],
            Shorthand::Timer => &[
                Rule::ExactlyOne(STARTED, "run = [\"/usr/local/bin/tidy\"]"),
                Rule::OnlyWith("user", "run"),
                Rule::OnlyWith("timeout", "run"),
            ],
            Shorthand::Mount => &[Rule::Needs("what"), Rule::Needs("type")],
            Shorthand::Sudoers => &[Rule::ExactlyOne(
                CONTENT,
                "text = \"bot ALL=(root) NOPASSWD: /usr/bin/id\\n\"",
            )],
            Shorthand::Logrotate => &[
                Rule::ExactlyOne(SOURCE, "paths = [\"/var/log/example/*.log\"]"),
                Rule::OnlyWith("every", "paths"),
                Rule::OnlyWith("size", "paths"),
                Rule::OnlyWith("keep", "paths"),
                Rule::OnlyWith("compress", "paths"),
                Rule::OnlyWith("copy_truncate", "paths"),
                Rule::OnlyWith("user", "paths"),
                Rule::OnlyWith("after_rotation", "paths"),
            ],
            Shorthand::AptRepository => &[Rule::Needs("url"), Rule::Needs("suites"), Rule::Needs("key")],
            Shorthand::FirewallAllow => &[Rule::AtMostOne(&["port", "ports"])],
            Shorthand::AptPin => &[Rule::Needs("packages"), Rule::Needs("pin"), Rule::Needs("priority")],
        },
    }
}

const fn rules_of(kind: Kind) -> &'static [Rule] {
    match kind {
        Kind::File => &[Rule::ExactlyOne(CONTENT, "text = \"…\\n\"")],
        Kind::Block => &[Rule::ExactlyOne(CONTENT, "text = \"…\\n\"")],
        Kind::Symlink => &[Rule::Needs("target")],
        Kind::Debconf => &[Rule::Needs("type")],
        Kind::Package => &[Rule::Needs("version")],
        Kind::Swapfile => &[Rule::Needs("size")],
        Kind::Archive => &[Rule::Needs("url"), Rule::Needs("sha256")],
        Kind::Npm => &[Rule::Needs("manifest"), Rule::Needs("lock")],
        Kind::Git => &[Rule::Needs("url"), Rule::ExactlyOne(REVISION, "branch = \"main\"")],
        Kind::Hold | Kind::Linger | Kind::KernelModule => &[Rule::Needs("on")],
        Kind::Sysctl => &[Rule::Needs("value")],
        Kind::Firewall => &[
            Rule::ExactlyOne(WHOLE, "default = \"drop\""),
            Rule::OnlyWith("rules", "default"),
        ],
        Kind::Secret => &[
            Rule::AtMostOne(&["aws", "age", "command", "env", "text", "template"]),
            Rule::OnlyWith("stage", "aws"),
            Rule::OnlyWith("region", "aws"),
        ],
        Kind::Unit => &[Rule::AtMostOne(CONTENT)],
        Kind::Command => &[
            Rule::Needs("run"),
            Rule::ExactlyOne(GUARD, "creates = \"/a/path/that/it/makes\""),
        ],
        Kind::Probe => &[
            Rule::ExactlyOne(CHECK, "tcp = \"127.0.0.1:22\""),
            Rule::OnlyWith("status", "http"),
            Rule::OnlyWith("body", "http"),
        ],
        Kind::Directory | Kind::User | Kind::Group => &[],
    }
}

/// The declarations of every table of resources in a document.
pub(super) fn declarations(document: &Table, found: &mut Vec<Diagnostic>) -> Vec<Declaration> {
    let mut declarations = Vec::new();
    for sort in Sort::all() {
        let Some(entry) = of_sort(document, sort) else {
            continue;
        };
        if let (Sort::Kind(Kind::Firewall), Value::Table(table)) = (sort, &entry.node.value) {
            declarations.extend(firewall(entry, table, found));
            continue;
        }
        match &entry.node.value {
            Value::Table(table) => {
                declarations.extend(table.entries.iter().filter_map(|entry| declaration(sort, entry, found)));
            }
            Value::Array(_) => {
                let message = format!("`{}` is a table of resources by name, not a list", sort.table());
                let example = example_name(sort);
                let diagnostic = Diagnostic::error(Code::WrongType, message, entry.key.span, "a list");
                found.push(diagnostic.help(format!("write [{}.{example}]", sort.table())));
            }
            other => {
                let problem = super::scalar::Problem::wrong_type("a table of resources by name", other);
                found.push(decode::finding(problem, entry.node.span));
            }
        }
    }
    // Findings, and which of two equal declarations gives the origin, follow the order of the file.
    declarations.sort_by_key(|declaration| declaration.name.span);
    declarations
}

/// The table of a sort; that of what a firewall lets in is in the firewall's.
fn of_sort(document: &Table, sort: Sort) -> Option<&Entry> {
    let mut names = sort.table().split('.');
    let mut entry = document.get(names.next()?)?;
    for name in names {
        let Value::Table(table) = &entry.node.value else {
            return None;
        };
        entry = table.get(name)?;
    }
    Some(entry)
}

/// The firewall: the table itself is the one resource of its kind, but for what is let in. Where it says only that, it is
/// not one yet.
fn firewall(entry: &Entry, table: &Table, found: &mut Vec<Diagnostic>) -> Option<Declaration> {
    let sort = Sort::Kind(Kind::Firewall);
    let allow = Shorthand::FirewallAllow.table().rsplit('.').next().unwrap_or_default();
    let own = |entry: &&Entry| entry.key.value != allow;
    let own: Vec<Entry> = table.entries.iter().filter(own).cloned().collect();
    let own = Table { entries: own };
    if own.entries.is_empty() && table.get(allow).is_some() {
        return None;
    }
    let name = Spanned::new(FIREWALL_TABLE[1].to_owned(), entry.key.span);
    check_rules(sort, &name, &own, found);
    let fields = fields(sort, &own, found);
    Some(Declaration { sort, name, fields })
}

const fn example_name(sort: Sort) -> &'static str {
    let kind = match sort {
        Sort::Kind(kind) => kind,
        Sort::Shorthand(shorthand) => return shorthand.example_name(),
    };
    match kind {
        Kind::File | Kind::Directory | Kind::Symlink => "\"/etc/example\"",
        Kind::Block => "\"/etc/example#name\"",
        Kind::Swapfile => "\"/swapfile\"",
        Kind::Sysctl => "\"net.ipv4.ip_forward\"",
        Kind::Unit => "\"example.service\"",
        Kind::Debconf => "\"postfix/main_mailer_type\"",
        Kind::Archive | Kind::Npm | Kind::Git => "\"/opt/example\"",
        Kind::Hold | Kind::Linger | Kind::KernelModule | Kind::Secret => "example",
        Kind::Firewall => "default",
        Kind::Package | Kind::User | Kind::Group | Kind::Command | Kind::Probe => "example",
    }
}

/// A kind with its article.
#[must_use]
pub const fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "a file",
        Kind::Block => "a block",
        Kind::Directory => "a directory",
        Kind::Symlink => "a symlink",
        Kind::Debconf => "an answer to a package's question",
        Kind::Package => "a package",
        Kind::Swapfile => "a swap file",
        Kind::Archive => "an archive",
        Kind::Npm => "a set of npm packages",
        Kind::Git => "a git checkout",
        Kind::Hold => "a hold",
        Kind::Linger => "a lingering user",
        Kind::KernelModule => "a kernel module",
        Kind::Sysctl => "a kernel parameter",
        Kind::Firewall => "the firewall",
        Kind::Secret => "a secret",
        Kind::Unit => "a unit",
        Kind::User => "a user",
        Kind::Group => "a group",
        Kind::Command => "a command",
        Kind::Probe => "a probe",
    }
}

/// A sort with its article.
const fn noun_of(sort: Sort) -> &'static str {
    match sort {
        Sort::Kind(kind) => noun(kind),
        Sort::Shorthand(shorthand) => shorthand.noun(),
    }
}

fn declaration(sort: Sort, entry: &Entry, found: &mut Vec<Diagnostic>) -> Option<Declaration> {
    let name = entry.key.clone();
    if let Value::Table(table) = &entry.node.value
        && dotted_by_mistake(sort, &name, table, found)
    {
        return None;
    }
    if !is_template(&name.value)
        && let Err(problem) = schema::check_name(sort, &name.value)
    {
        found.push(decode::finding(problem, name.span));
    }
    let fields = match (&entry.node.value, schema::short_form(sort)) {
        (Value::Table(table), _) => {
            check_rules(sort, &name, table, found);
            fields(sort, table, found)
        }
        (_, Some(short)) => {
            let field = schema::fields(sort).iter().find(|field| field.name == short)?;
            check(field, &entry.node, found);
            vec![FieldValue {
                field,
                key: name.span,
                node: entry.node.clone(),
            }]
        }
        (other, None) => {
            let problem = super::scalar::Problem::wrong_type(&format!("a table for {}", noun_of(sort)), other);
            let help = format!("write [{}.{}] and its keys below", sort.table(), example_name(sort));
            found.push(decode::finding(problem.help(help), entry.node.span));
            return None;
        }
    };
    Some(Declaration { sort, name, fields })
}

/// `net.ipv4.ip_forward = 1` without quotes is three tables in each other. That is the most common mistake of all here.
fn dotted_by_mistake(sort: Sort, name: &Spanned<String>, table: &Table, found: &mut Vec<Diagnostic>) -> bool {
    let dotted = matches!(sort, Sort::Kind(Kind::Sysctl | Kind::Unit)) && !name.value.contains('.');
    let known = |key: &str| schema::fields(sort).iter().any(|field| field.name == key);
    let unknown = table.entries.iter().find(|entry| !known(&entry.key.value));
    let (Some(entry), true) = (unknown, dotted) else {
        return false;
    };
    let mut whole = vec![name.value.clone(), entry.key.value.clone()];
    let mut inner = &entry.node;
    while let Value::Table(table) = &inner.value
        && let Some(entry) = table.entries.first()
        && !known(&entry.key.value)
    {
        whole.push(entry.key.value.clone());
        inner = &entry.node;
    }
    let whole = whole.join(".");
    let message = format!("the name `{whole}` has dots, and needs quotes");
    let why = "without quotes a dot in a TOML key opens a table in a table";
    let help = match sort {
        Sort::Kind(Kind::Unit) => format!("write [units.\"{whole}\"]"),
        _ => format!("write \"{whole}\" = …"),
    };
    let diagnostic = Diagnostic::error(Code::InvalidValue, message, name.span, "the name begins here");
    found.push(diagnostic.because(why).help(help));
    true
}

fn fields(sort: Sort, table: &Table, found: &mut Vec<Diagnostic>) -> Vec<FieldValue> {
    let known: Vec<_> = schema::fields(sort).iter().map(|field| field.name).collect();
    decode::only(table, &known, noun_of(sort), found);
    let mut values = Vec::new();
    for entry in &table.entries {
        let field = schema::fields(sort).iter().find(|field| field.name == entry.key.value);
        let Some(field) = field else { continue };
        check(field, &entry.node, found);
        values.push(FieldValue {
            field,
            key: entry.key.span,
            node: entry.node.clone(),
        });
    }
    values
}

fn check(field: &Field, node: &Node, found: &mut Vec<Diagnostic>) {
    let mut problems = Vec::new();
    field.shape.check(node, &mut problems);
    found.extend(
        problems
            .into_iter()
            .map(|(span, problem)| decode::finding(problem, span)),
    );
}

fn check_rules(sort: Sort, name: &Spanned<String>, table: &Table, found: &mut Vec<Diagnostic>) {
    let of = format!("{} `{}`", sort.name(), shown(&name.value));
    for rule in rules(sort) {
        match rule {
            Rule::Needs(key) => {
                if table.get(key).is_none() {
                    let doc = schema::fields(sort)
                        .iter()
                        .find(|field| field.name == *key)
                        .map_or("", |field| field.doc);
                    let doc = lowered(doc.trim_end_matches('.'));
                    found.push(decode::missing(key, &of, &doc, name.span, table));
                }
            }
            Rule::ExactlyOne(keys, example) => {
                if !keys.iter().any(|key| table.get(key).is_some()) {
                    let message = format!("{of} needs one of {}", decode::listed(keys));
                    let diagnostic = Diagnostic::error(Code::MissingKey, message, name.span, "none of them is here");
                    found.push(diagnostic.help(format!("such as {example}")));
                }
                at_most_one(keys, &of, table, found);
            }
            Rule::AtMostOne(keys) => at_most_one(keys, &of, table, found),
            Rule::OnlyWith(key, other) => {
                if let (Some(entry), None) = (table.get(key), table.get(other)) {
                    let message = format!("`{key}` means something only beside `{other}`");
                    found.push(Diagnostic::error(Code::ConflictingKeys, message, entry.key.span, ""));
                }
            }
        }
    }
}

/// A sentence as the rest of another.
fn lowered(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first = letters.next().map(|first| first.to_lowercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

fn at_most_one(keys: &[&str], of: &str, table: &Table, found: &mut Vec<Diagnostic>) {
    let written: Vec<_> = keys.iter().filter_map(|key| table.get(key)).collect();
    if let [first, second, ..] = written[..] {
        let message = format!("{of} has both `{}` and `{}`", first.key.value, second.key.value);
        let diagnostic = Diagnostic::error(Code::ConflictingKeys, message, second.key.span, "and this");
        let help = format!("keep one of {}", decode::listed(keys));
        found.push(diagnostic.also(first.key.span, "this").help(help));
    }
}
