//! Users and groups that a host's resources name and nothing provides. It only warns: a package may make them.

use std::collections::BTreeSet;

use crate::config::{Code, Diagnostic, Span, did_you_mean};
use crate::model::{Dependency, Kind, ResourceId, Spec, Switch};

use super::declared::{Declarations, Declared};
use super::dependencies::Dependencies;
use super::kind::UNIT_DIRECTORY;
use super::unit_text::named;
use super::user_units::is_unit_file;

/// The users and groups of a fresh Debian or Ubuntu with systemd and OpenSSH: base-passwd's, and what those packages add.
const BASE: &[&str] = &[
    "_apt",
    "_ssh",
    "adm",
    "audio",
    "backup",
    "bin",
    "cdrom",
    "crontab",
    "daemon",
    "dialout",
    "dip",
    "disk",
    "fax",
    "floppy",
    "games",
    "input",
    "irc",
    "kmem",
    "kvm",
    "list",
    "lp",
    "mail",
    "man",
    "messagebus",
    "netdev",
    "news",
    "nobody",
    "nogroup",
    "operator",
    "plugdev",
    "polkitd",
    "proxy",
    "render",
    "root",
    "sasl",
    "sgx",
    "shadow",
    "src",
    "sshd",
    "staff",
    "sudo",
    "sync",
    "sys",
    "syslog",
    "systemd-coredump",
    "systemd-journal",
    "systemd-network",
    "systemd-oom",
    "systemd-resolve",
    "systemd-timesync",
    "tape",
    "tcpdump",
    "tss",
    "tty",
    "ubuntu",
    "debian",
    "users",
    "utmp",
    "uucp",
    "uuidd",
    "video",
    "voice",
    "www-data",
];

/// Warns of users and groups that nothing provides, each once.
pub(super) fn users(declarations: &Declarations, dependencies: &Dependencies, found: &mut Vec<Diagnostic>) {
    let mut told = BTreeSet::new();
    for (id, declared) in &declarations.resources {
        for (kind, name) in named_by(id, declared, declarations) {
            if provided(kind, &name, declarations)
                || comes_after(id, Kind::Package, dependencies)
                || !told.insert(name.clone())
            {
                continue;
            }
            found.push(unknown(kind, &name, id, declared.span, declarations));
        }
    }
}

/// The users and groups that a resource names.
fn named_by(id: &ResourceId, declared: &Declared, declarations: &Declarations) -> Vec<(Kind, String)> {
    let user = |name: &String| (Kind::User, name.clone());
    let group = |name: &String| (Kind::Group, name.clone());
    match &declared.spec {
        // A unit's text is a file of its own; the unit would only name the same again.
        Spec::File(file) => {
            let mut names = vec![user(&file.owner), group(&file.group)];
            let text = id
                .name
                .starts_with(UNIT_DIRECTORY)
                .then(|| declarations.text(&file.content));
            if let Some(text) = text.flatten().filter(|text| !dynamic(text)) {
                let named = named(text);
                names.extend(named.users.iter().map(user));
                names.extend(named.groups.iter().map(group));
            }
            names
        }
        Spec::Secret(secret) => vec![user(&secret.owner), group(&secret.group)],
        Spec::Git(git) => vec![user(&git.owner)],
        Spec::Directory(directory) => vec![user(&directory.owner), group(&directory.group)],
        Spec::Block(block) => {
            let owner = block.owner.iter().map(user);
            owner.chain(block.group.iter().map(group)).collect()
        }
        Spec::Switch(switch) if switch.switch == Switch::Linger => vec![user(&switch.name)],
        Spec::Command(command) => command.user.iter().map(user).collect(),
        Spec::User(user) => user.group.iter().chain(&user.groups).map(group).collect(),
        Spec::Group(_)
        | Spec::Debconf(_)
        | Spec::Package(_)
        | Spec::Symlink(_)
        | Spec::Swapfile(_)
        | Spec::Tree(_)
        | Spec::Switch(_)
        | Spec::Sysctl(_)
        | Spec::Firewall(_)
        | Spec::Unit(_)
        | Spec::Probe(_) => Vec::new(),
    }
}

/// systemd makes the user of such a unit when it starts.
fn dynamic(unit: &str) -> bool {
    let yes = |value: &str| matches!(value.trim(), "yes" | "true" | "on" | "1");
    unit.lines()
        .filter_map(|line| line.split_once('='))
        .any(|(key, value)| key.trim() == "DynamicUser" && yes(value))
}

fn provided(kind: Kind, name: &str, declarations: &Declarations) -> bool {
    let declared = |kind| declarations.resources.contains_key(&ResourceId::new(kind, name));
    // A number needs no name; a specifier of systemd's is known only on the host.
    let literal = name.is_empty() || name.contains('%') || name.bytes().all(|b| b.is_ascii_digit());
    // A user brings a group of its own name.
    let managed = declared(Kind::User) || (kind == Kind::Group && declared(Kind::Group));
    literal || managed || BASE.contains(&name) || by_package(name, declarations)
}

/// Whether a managed package is called like the user, as `redis-server` and `redis` are.
pub(super) fn by_package(name: &str, declarations: &Declarations) -> bool {
    declarations.resources.values().any(|declared| match &declared.spec {
        Spec::Package(package) => package.may_make(name),
        _ => false,
    })
}

/// A resource's name; that of the unit where it is a unit's file, of which whoever wrote the unit may know nothing.
pub(super) fn shown_name(id: &ResourceId) -> String {
    let file = id.name.strip_prefix(UNIT_DIRECTORY).filter(|_| id.kind == Kind::File);
    match file.and_then(|file| file.strip_prefix('/')) {
        Some(file) => file.split_once(".d/").map_or(file, |(unit, _)| unit).to_owned(),
        None => id.to_string(),
    }
}

/// Whether a resource comes after one of a kind: who says so says where what it names is from. What is said of a unit is
/// said of its files, too.
pub(super) fn comes_after(id: &ResourceId, kind: Kind, dependencies: &Dependencies) -> bool {
    let waits = |on: &BTreeSet<Dependency>| on.iter().any(|dependency| dependency.on.kind == kind);
    let uses = |on: &BTreeSet<Dependency>| on.iter().any(|dependency| dependency.on == *id);
    let unit_waits = || {
        let units = dependencies
            .iter()
            .filter(|(other, on)| other.kind == Kind::Unit && uses(on));
        units.into_iter().any(|(_, on)| waits(on))
    };
    dependencies.get(id).is_some_and(waits) || (is_unit_file(&id.name) && unit_waits())
}

fn unknown(kind: Kind, name: &str, id: &ResourceId, span: Span, declarations: &Declarations) -> Diagnostic {
    let message = format!("nothing provides the {kind} `{name}` that `{}` names", shown_name(id));
    let diagnostic = Diagnostic::error(Code::UnknownUser, message, span, format!("`{name}` is named here"));
    let managed = declarations
        .resources
        .keys()
        .filter(|id| id.kind == kind || id.kind == Kind::User);
    let known: Vec<&str> = managed.map(|id| id.name.as_str()).chain(BASE.iter().copied()).collect();
    let meant = did_you_mean(name, known);
    let declare = format!(
        "declare [{}.{name}], or add the package that makes it to `after`",
        kind.table()
    );
    diagnostic
        .because("this host declares no such name, and a fresh Debian has none")
        .help(meant.unwrap_or(declare))
        .warning()
}
