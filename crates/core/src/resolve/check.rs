//! What has to hold over all resources of a host: one owner per path, nothing below a file, no circles. It repairs nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Code, Diagnostic, Span, noun};
use crate::model::{
    AbsPath, DependencyReason, Kind, PackageWant, ResourceId, Spec, Switch, SwitchSpec, SymlinkSpec, UnitName,
};

use super::circle;
use super::declared::Declarations;
use super::dependencies::Dependencies;
use super::unit_text::named;
use super::user_units;

/// Reports paths that are declared as two kinds, and paths below files and links.
pub(super) fn paths(declarations: &Declarations, found: &mut Vec<Diagnostic>) {
    let mut owners: BTreeMap<&str, &ResourceId> = BTreeMap::new();
    for (id, declared) in &declarations.resources {
        let Some(path) = path_of(&declared.spec) else { continue };
        let Some(other) = owners.insert(path.as_str(), id) else {
            continue;
        };
        let span = |id: &ResourceId| {
            declarations
                .resources
                .get(id)
                .map_or(declared.span, |declared| declared.span)
        };
        let (one, two) = (noun(other.kind), noun(id.kind));
        let message = if other.kind == id.kind {
            format!("`{path}` is the path of `{other}` and of `{id}`")
        } else {
            format!("`{path}` is declared as {one} and as {two}")
        };
        let diagnostic = Diagnostic::error(Code::TwoOwners, message, declared.span, format!("as {two}"));
        found.push(
            diagnostic
                .also(span(other), format!("as {one}"))
                .help("remove one of the two"),
        );
    }
    for declared in declarations.resources.values() {
        let Some(path) = path_of(&declared.spec) else { continue };
        // The nearest is enough; what lies above that is found there.
        let above = path.ancestors().find_map(|above| owners.get(above.as_str()).copied());
        let Some(above) = above.filter(|above| above.kind != Kind::Directory) else {
            continue;
        };
        let Some(owner) = declarations.resources.get(above) else {
            continue;
        };
        let message = format!("`{path}` lies below `{}`, which is {}", above.name, noun(above.kind));
        let help = match (&owner.spec, above.kind) {
            (Spec::Symlink(link), _) => {
                let rest = path.as_str().strip_prefix(above.name.as_str()).unwrap_or("");
                format!("declare it where it really is: \"{}{rest}\"", leads_to(link))
            }
            _ => "declare that one as a directory, or move one of the two".to_owned(),
        };
        let diagnostic = Diagnostic::error(Code::BelowFile, message, declared.span, "this path");
        found.push(
            diagnostic
                .also(owner.span, format!("{} here", noun(above.kind)))
                .help(help),
        );
    }
}

/// Where a link leads, as far as its text tells.
fn leads_to(link: &SymlinkSpec) -> String {
    let from = link.path.parent().filter(|_| !link.target.starts_with('/'));
    let from = from.as_ref().map_or("", AbsPath::as_str);
    let mut parts = Vec::new();
    for part in from.split('/').chain(link.target.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Reports blocks in what is managed whole: the file's content would never hold the block.
pub(super) fn blocks(declarations: &Declarations, found: &mut Vec<Diagnostic>) {
    for declared in declarations.resources.values() {
        let Spec::Block(block) = &declared.spec else { continue };
        let whole = [Kind::File, Kind::Directory, Kind::Symlink]
            .map(|kind| ResourceId::new(kind, block.path.as_str()))
            .into_iter()
            .find_map(|id| declarations.resources.get_key_value(&id));
        let Some((id, owner)) = whole else { continue };
        if matches!(&owner.spec, Spec::File(file) if file.seed) {
            continue;
        }
        let message = format!("`{}` is declared as {}, and has a block", block.path, noun(id.kind));
        let diagnostic = Diagnostic::error(Code::TwoOwners, message, declared.span, "a block in it");
        found.push(
            diagnostic
                .also(owner.span, format!("as {}", noun(id.kind)))
                .because("a block is for a file that others own; each apply would undo the other's work")
                .help("put the lines into the file's own text, or let the file be a seed: seed = true"),
        );
    }
}

/// Reports packages that are to be away and kept at their version.
pub(super) fn holds(declarations: &Declarations, found: &mut Vec<Diagnostic>) {
    for (id, declared) in &declarations.resources {
        let Spec::Switch(SwitchSpec {
            switch: Switch::Hold,
            name,
            on: true,
        }) = &declared.spec
        else {
            continue;
        };
        let package = declarations
            .resources
            .get(&ResourceId::new(Kind::Package, name.as_str()));
        let absent = |package: &&super::declared::Declared| matches!(&package.spec, Spec::Package(package) if package.want == PackageWant::Absent);
        let Some(package) = package.filter(absent) else {
            continue;
        };
        let message = format!("`{id}` keeps a package that is to be absent");
        let diagnostic = Diagnostic::error(Code::ConflictingKeys, message, declared.span, "held here");
        found.push(diagnostic.also(package.span, "absent here").help("keep one of the two"));
    }
}

/// Reports answers for packages that are to be away: nobody would ask.
pub(super) fn answers(declarations: &Declarations, found: &mut Vec<Diagnostic>) {
    for (id, declared) in &declarations.resources {
        let Spec::Debconf(answer) = &declared.spec else {
            continue;
        };
        let asks = ResourceId::new(Kind::Package, answer.package.as_str());
        let Some(package) = declarations.resources.get(&asks) else {
            continue;
        };
        let absent = matches!(&package.spec, Spec::Package(package) if package.want == PackageWant::Absent);
        if !absent {
            continue;
        }
        let message = format!("`{id}` answers a package that is to be absent");
        let diagnostic = Diagnostic::error(Code::ConflictingKeys, message, declared.span, "answered here");
        found.push(diagnostic.also(package.span, "absent here").help("keep one of the two"));
    }
}

/// Reports numbers that two users, or two groups, have.
pub(super) fn numbers(declarations: &Declarations, found: &mut Vec<Diagnostic>) {
    let mut owners: BTreeMap<(Kind, u32), (&ResourceId, Span)> = BTreeMap::new();
    for (id, declared) in &declarations.resources {
        let (number, key) = match &declared.spec {
            Spec::User(user) => (user.uid, "uid"),
            Spec::Group(group) => (group.gid, "gid"),
            _ => (None, ""),
        };
        let Some(number) = number else { continue };
        let Some((other, before)) = owners.insert((id.kind, number), (id, declared.span)) else {
            continue;
        };
        let message = format!("`{other}` and `{id}` have one `{key}`: {number}");
        let diagnostic = Diagnostic::error(Code::IdTwice, message, declared.span, format!("{number} here"));
        found.push(
            diagnostic
                .also(before, format!("and {number} here"))
                .because("the system knows owners by number, so each would own the other's files")
                .help(format!("give one of them another `{key}`, or leave it out")),
        );
    }
}

/// Reports units that are to be active and cannot stay so.
pub(super) fn units(declarations: &Declarations, found: &mut Vec<Diagnostic>) {
    for (id, declared) in &declarations.resources {
        let Spec::Unit(unit) = &declared.spec else { continue };
        if unit.active != Some(true) {
            continue;
        }
        let (mut service_type, mut remains) = (None, None);
        let mut place = None;
        for (span, text) in unit_texts(&unit.name, declarations) {
            let named = named(text);
            place = place.or(named.service_type.is_some().then_some(span));
            service_type = named.service_type.or(service_type);
            remains = named.remains.or(remains);
        }
        if service_type.as_deref() != Some("oneshot") || remains == Some(true) {
            continue;
        }
        let message = format!("`{id}` is to be active, and ends by itself");
        let diagnostic = Diagnostic::error(
            Code::EndsByItself,
            message,
            declared.span,
            "`active = true` is said of this unit",
        );
        let diagnostic = match place.filter(|place| *place != declared.span) {
            Some(place) => diagnostic.also(place, "`Type=oneshot`"),
            None => diagnostic,
        };
        found.push(
            diagnostic
                .because("a service of Type=oneshot is inactive again once its program has ended, so every plan would start it anew")
                .help("write `RemainAfterExit=yes` into its [Service] section, or remove `active = true`"),
        );
    }
}

/// The texts that make up a unit, in systemd's order: its own file, or its template's, then the drop-ins.
fn unit_texts<'a>(name: &UnitName, declarations: &'a Declarations) -> impl Iterator<Item = (Span, &'a str)> {
    let names = name.template().into_iter().chain([name.unit().to_owned()]);
    let directory = user_units::directory(name, declarations);
    let files = names.filter_map(move |name| Some(format!("{}/{name}", directory.as_deref()?)));
    let files = files.flat_map(|file| {
        let own = AbsPath::new(file.as_str());
        let own = own.ok().map(|path| ResourceId::new(Kind::File, path.as_str()));
        let drop_ins = format!("{file}.d/");
        let below = declarations
            .resources
            .iter()
            .filter(move |(id, _)| id.kind == Kind::File && id.name.starts_with(&drop_ins));
        own.and_then(|id| declarations.resources.get_key_value(&id))
            .into_iter()
            .chain(below)
    });
    files.filter_map(|(_, declared)| match &declared.spec {
        Spec::File(file) => Some((declared.span, declarations.text(&file.content)?)),
        _ => None,
    })
}

pub(super) const fn path_of(spec: &Spec) -> Option<&AbsPath> {
    match spec {
        Spec::File(file) => Some(&file.path),
        Spec::Directory(directory) => Some(&directory.path),
        Spec::Symlink(link) => Some(&link.path),
        Spec::Swapfile(swapfile) => Some(&swapfile.path),
        Spec::Tree(tree) => Some(&tree.path),
        Spec::Git(git) => Some(&git.path),
        Spec::Secret(secret) => Some(&secret.path),
        Spec::Group(_)
        | Spec::User(_)
        | Spec::Debconf(_)
        | Spec::Package(_)
        | Spec::Block(_)
        | Spec::Switch(_)
        | Spec::Sysctl(_)
        | Spec::Firewall(_)
        | Spec::Command(_)
        | Spec::Unit(_)
        | Spec::Probe(_) => None,
    }
}

/// Reports every circle of resources that wait for each other, each drawn once.
pub(super) fn cycles(declarations: &Declarations, dependencies: &Dependencies, found: &mut Vec<Diagnostic>) {
    let mut left: BTreeSet<&ResourceId> = dependencies.keys().collect();
    // How many others each still waits for, and who waits for it.
    let mut waits: BTreeMap<&ResourceId, usize> = BTreeMap::new();
    let mut waiting: BTreeMap<&ResourceId, Vec<&ResourceId>> = BTreeMap::new();
    for (id, on) in dependencies {
        let on: BTreeSet<_> = on.iter().map(|dependency| &dependency.on).collect();
        waits.insert(id, on.len());
        for on in on {
            waiting.entry(on).or_default().push(id);
        }
    }
    let mut ready: Vec<&ResourceId> = waits
        .iter()
        .filter(|(_, count)| **count == 0)
        .map(|(id, _)| *id)
        .collect();
    loop {
        while let Some(id) = ready.pop() {
            if !left.remove(id) {
                continue;
            }
            for next in waiting.get(id).into_iter().flatten() {
                if let Some(count) = waits.get_mut(next) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        ready.push(next);
                    }
                }
            }
        }
        // Whatever is left waits for something that is left: following it must come round.
        let Some(first) = left.first().copied() else { return };
        let cycle = follow(first, &left, dependencies);
        found.extend(drawn(&cycle, declarations));
        if cycle.is_empty() {
            return;
        }
        ready.extend(cycle.iter().map(|(id, _)| *id));
    }
}

type Link<'a> = (&'a ResourceId, DependencyReason);

/// Follows dependencies from `first` until one comes again: the circle, each with the reason it waits for the next.
fn follow<'a>(first: &'a ResourceId, left: &BTreeSet<&'a ResourceId>, dependencies: &'a Dependencies) -> Vec<Link<'a>> {
    let mut path: Vec<Link<'a>> = Vec::new();
    let mut seen: BTreeMap<&ResourceId, usize> = BTreeMap::new();
    let mut id = first;
    loop {
        if let Some(at) = seen.get(id) {
            return path.split_off(*at);
        }
        let mut on = dependencies.get(id).into_iter().flatten();
        let Some(next) = on.find(|dependency| left.contains(&dependency.on)) else {
            return Vec::new();
        };
        seen.insert(id, path.len());
        path.push((id, next.reason));
        id = &next.on;
    }
}

fn drawn(cycle: &[Link<'_>], declarations: &Declarations) -> Option<Diagnostic> {
    let (first, _) = cycle.first()?;
    let next = cycle.iter().cycle().skip(1);
    let links = cycle.iter().zip(next).filter_map(|((id, reason), (next, _))| {
        Some(circle::Link {
            name: id.to_string(),
            span: declarations.resources.get(*id)?.span,
            label: format!("`{id}` {} `{next}`", words(*reason)),
        })
    });
    let mut diagnostic = circle::circle(Code::DependencyCycle, "resources wait for each other", links.collect());
    if cycle.len() == 1 {
        diagnostic.message = format!("`{first}` waits for itself");
    }
    let said = cycle
        .iter()
        .any(|(_, reason)| matches!(reason, DependencyReason::After | DependencyReason::RestartOn));
    let help = if said {
        "remove an `after` or `restart_on` that closes the circle"
    } else {
        "let one of them no longer name the next"
    };
    Some(
        diagnostic
            .because("each has to be there before the next, so none can be the first")
            .help(help),
    )
}

/// What a reason is in a sentence between two resources.
const fn words(reason: DependencyReason) -> &'static str {
    match reason {
        DependencyReason::InDirectory => "lies in",
        DependencyReason::OwnedBy => "is owned by, or runs as,",
        DependencyReason::Uses => "uses",
        DependencyReason::RestartOn => "restarts on",
        DependencyReason::After => "comes after",
        DependencyReason::Checks => "checks",
    }
}
