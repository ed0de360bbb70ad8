//! The schema of resources' tables, made from the language's table of fields.

use provision_core::config::{Shape, Shorthand, Sort, fields, short_form};
use provision_core::model::{Kind, OnRemoval, QuestionType};
use serde_json::{Value, json};

use super::{about, integer, list_of, or_template, table, text, text_or_template};

/// The table of each sort.
pub(super) fn tables() -> impl Iterator<Item = (String, Value)> {
    let own = |sort: &Sort| !sort.table().contains('.');
    Sort::all().filter(own).map(|sort| match sort {
        Sort::Kind(Kind::Firewall) => (sort.table().to_owned(), firewall()),
        _ => (sort.table().to_owned(), resources(sort)),
    })
}

/// The one firewall, with what it lets in.
fn firewall() -> Value {
    let own = fields(Sort::Kind(Kind::Firewall)).iter();
    let own = own.map(|field| (field.name, about(shape(field.shape), field.doc)));
    let allow = resources(Sort::Shorthand(Shorthand::FirewallAllow));
    table(one(Kind::Firewall), own.chain([("allow", allow)]).collect(), &[])
}

fn resources(sort: Sort) -> Value {
    let own = fields(sort)
        .iter()
        .map(|field| (field.name, about(shape(field.shape), field.doc)));
    let (all, one) = match sort {
        Sort::Kind(kind) => (all(kind), one(kind)),
        Sort::Shorthand(shorthand) => shorthand.docs(),
    };
    let full = table(one, own.collect(), &[]);
    let resource = match short_form(sort) {
        None => full,
        Some(field) => {
            let value = fields(sort).iter().find(|other| other.name == field);
            let value = value.map_or_else(text, |field| about(shape(field.shape), field.doc));
            json!({ "anyOf": [value, full] })
        }
    };
    json!({
        "type": "object",
        "description": all,
        "additionalProperties": resource,
    })
}

/// What a table of the kind holds.
const fn all(kind: Kind) -> &'static str {
    match kind {
        Kind::Group => "Groups of users, by name.",
        Kind::User => "Users, by name.",
        Kind::Debconf => {
            "Answers to the questions that packages ask, by question in quotes: \"postfix/main_mailer_type\"."
        }
        Kind::Package => "Distribution packages, by name: curl = \"present\".",
        Kind::Directory => "Directories, by absolute path.",
        Kind::File => "Files, by absolute path.",
        Kind::Block => "Lines of ours in files that others own, by path and name: \"/etc/hosts#bots\".",
        Kind::Symlink => "Symbolic links, by absolute path.",
        Kind::Swapfile => "Files that the kernel swaps to, now and after each boot, by absolute path.",
        Kind::Archive => "Archives, unpacked and swapped in whole, by absolute path.",
        Kind::Npm => "Sets of npm packages, installed and swapped in whole, by absolute path.",
        Kind::Git => "Git checkouts, by absolute path.",
        Kind::Hold => "Packages that are kept at their version: nodejs = true.",
        Kind::Linger => "Users whose own services run without a login: bot = true.",
        Kind::KernelModule => "Kernel modules, loaded now and at each boot: br_netfilter = true.",
        Kind::Secret => "Secrets, by name: where each value is kept, and whose file it becomes in the host's memory.",
        Kind::Sysctl => "Kernel parameters, by key in quotes: \"net.ipv4.ip_forward\" = 1.",
        Kind::Firewall => "What may come in: one table of nftables, which the kernel has now and after each boot.",
        Kind::Command => "Commands with a guard that says when there is nothing to do, by a name of your own.",
        Kind::Unit => {
            "systemd units, by full name in quotes: [units.\"nginx.service\"]; a user's own as \"bot/app.service\"."
        }
        Kind::Probe => "Health checks, by a name of your own; an apply waits until they pass.",
    }
}

const fn one(kind: Kind) -> &'static str {
    match kind {
        Kind::Group => "A group of users.",
        Kind::User => "A user.",
        Kind::Debconf => "An answer to a question that a package asks while it is installed.",
        Kind::Package => "A distribution package.",
        Kind::Directory => "A directory.",
        Kind::File => "A file; its content is `text`, `file` or `template`.",
        Kind::Block => "Lines between two markers in a file that others own; they are `text`, `file` or `template`.",
        Kind::Symlink => "A symbolic link.",
        Kind::Swapfile => "A swap file.",
        Kind::Archive => "An archive.",
        Kind::Npm => "A set of npm packages.",
        Kind::Git => "A git checkout, of a `commit` or of a `branch`.",
        Kind::Hold => "A hold.",
        Kind::Linger => "A lingering user.",
        Kind::KernelModule => "A kernel module.",
        Kind::Sysctl => "A kernel parameter.",
        Kind::Firewall => "The firewall: what happens to what nothing lets in, and what is let in.",
        Kind::Secret => {
            "A secret; where it is kept is `aws`, `age`, `command` or `env`, and else the project's own store."
        }
        Kind::Command => "A command; its guard is `creates` or `unless`.",
        Kind::Unit => "A systemd unit.",
        Kind::Probe => "A health check: `http`, `tcp` or `unit`.",
    }
}

fn shape(shape: Shape) -> Value {
    match shape {
        Shape::Text => text(),
        Shape::Bool => or_template(json!({ "type": "boolean" })),
        Shape::Uint => or_template(integer(0, i64::from(u32::MAX))),
        Shape::Status => or_template(integer(0, i64::from(u16::MAX))),
        Shape::Port => or_template(integer(1, i64::from(u16::MAX))),
        Shape::Path => text_or_template("^/"),
        Shape::Mode => text_or_template("^[0-7]{3,4}$"),
        Shape::Duration => text_or_template("^ *[0-9]+ *(ms|s|sec|min|m|h|d) *$"),
        Shape::Size => json!({ "anyOf": [integer(0, i64::MAX), text_or_template("^ *[0-9]+ *([KMGT](iB)?)? *$")] }),
        Shape::SwapPriority => or_template(integer(0, 32767)),
        Shape::OnChange => or_template(json!({ "type": "string", "enum": ["restart", "reload", "nothing"] })),
        Shape::OnRemoval => or_template(json!({ "type": "string", "enum": OnRemoval::ALL.map(OnRemoval::word) })),
        Shape::Unit => text_or_template(r"^[^-].*\.[a-z]+$"),
        Shape::User | Shape::Owner => text_or_template("^[A-Za-z0-9_]"),
        Shape::Url => text_or_template("^http://"),
        Shape::Address => text_or_template(":[0-9]+$"),
        Shape::LocalPath => text_or_template("^[^/]"),
        Shape::TextOrInteger => json!({ "type": ["string", "integer"] }),
        Shape::Texts => or_template(list_of(text())),
        Shape::Arguments => {
            let mut list = list_of(text());
            list["minItems"] = json!(1);
            or_template(list)
        }
        Shape::Users => or_template(list_of(text_or_template("^[A-Za-z_]"))),
        Shape::Units => or_template(list_of(text_or_template(r"^[^-].*\.[a-z]+$"))),
        Shape::PublicKeys => or_template(list_of(text())),
        Shape::Interface => text_or_template("^[A-Za-z0-9_.:@-]{1,15}[*]?$"),
        Shape::PortRanges => or_template(list_of(json!({ "type": ["integer", "string"] }))),
        Shape::Networks => or_template(list_of(text_or_template("^[0-9a-fA-F:.]+(/[0-9]+)?$"))),
        Shape::Ids => {
            let kinds = Kind::ALL.map(Kind::name).join("|");
            or_template(list_of(text_or_template(&format!("^({kinds}):."))))
        }
        Shape::Package => text_or_template("^[a-z0-9]"),
        Shape::QuestionType => {
            or_template(json!({ "type": "string", "enum": QuestionType::ALL.map(QuestionType::word) }))
        }
        Shape::Answer => json!({ "anyOf": [text(), { "type": "boolean" }, list_of(text())] }),
        Shape::Expression => json!({ "type": ["string", "boolean"] }),
        Shape::Each => json!({ "type": ["array", "object", "string"] }),
        Shape::TextTable => json!({ "type": "object", "additionalProperties": text() }),
    }
}
