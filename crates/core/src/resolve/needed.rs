//! Programs, files and directories that a service cannot start without and that nothing provides. It only warns, and only
//! where packages put nothing: what else is on a host, nobody knows here.

use std::collections::BTreeSet;

use crate::config::{Code, Diagnostic, Span, did_you_mean};
use crate::model::{AbsPath, Guard, Kind, ResourceId, Spec};

use super::declared::Declarations;
use super::dependencies::Dependencies;
use super::provided::{by_package, comes_after, shown_name};
use super::unit_text::named;
use super::user_units::is_unit_file;

/// Where nothing is but what the host's owner puts there: Debian's packages keep out of these (policy, chapter 9).
const LOCAL: &[&str] = &[
    "/home",
    "/opt",
    "/root",
    "/srv",
    "/usr/local/bin",
    "/usr/local/etc",
    "/usr/local/lib",
    "/usr/local/libexec",
    "/usr/local/sbin",
    "/usr/local/share",
];

/// What a fresh Debian or Ubuntu image of a cloud has there all the same.
const THERE: &[&str] = &["/home/admin", "/home/debian", "/home/ubuntu"];

/// Warns of what services need and nothing provides, each once.
pub(super) fn paths(declarations: &Declarations, dependencies: &Dependencies, found: &mut Vec<Diagnostic>) {
    let mut told = BTreeSet::new();
    for (id, declared) in &declarations.resources {
        let Spec::File(file) = &declared.spec else { continue };
        if !is_unit_file(&id.name) {
            continue;
        }
        let needed = declarations.text(&file.content).map(|text| named(text).needed);
        for (kind, path) in needed.unwrap_or_default() {
            let Ok(path) = AbsPath::new(path) else { continue };
            if !is_local(&path, declarations) || is_provided(&path, declarations) {
                continue;
            }
            let made = [Kind::Package, Kind::Command]
                .into_iter()
                .any(|kind| comes_after(id, kind, dependencies));
            if !made && told.insert(path.clone()) {
                found.push(unprovided(kind, &path, id, declared.span, declarations));
            }
        }
    }
}

/// Whether the path lies where only the host's owner puts things: by custom, or below a directory that is declared and that
/// no package of the host seems to have a part in.
fn is_local(path: &AbsPath, declarations: &Declarations) -> bool {
    let by_custom = path.ancestors().any(|above| LOCAL.contains(&above.as_str()));
    let declared = |above: &AbsPath| {
        let id = ResourceId::new(Kind::Directory, above.as_str());
        declarations.resources.contains_key(&id) && above.parent().is_some()
    };
    let packaged = || {
        let mut parts = path.as_str().split('/').filter(|part| !part.is_empty());
        parts.any(|part| by_package(part, declarations))
    };
    by_custom || (path.ancestors().any(|above| declared(&above)) && !packaged())
}

fn is_provided(path: &AbsPath, declarations: &Declarations) -> bool {
    let is = |kind: Kind, path: &AbsPath| {
        let id = ResourceId::new(kind, path.as_str());
        declarations.resources.contains_key(&id)
    };
    let itself = [Kind::File, Kind::Directory, Kind::Symlink]
        .into_iter()
        .any(|kind| is(kind, path));
    // Below a link the path is somewhere else; above a declared path, directories come with it.
    let linked = path.ancestors().any(|above| is(Kind::Symlink, &above));
    let below = format!("{path}/");
    itself
        || linked
        || THERE.contains(&path.as_str())
        || declarations
            .resources
            .iter()
            .any(|(id, declared)| match &declared.spec {
                Spec::File(_) | Spec::Directory(_) | Spec::Symlink(_) => id.name.starts_with(&below),
                // What is in it is known once it is unpacked.
                Spec::Tree(tree) => tree.path == *path || path.ancestors().any(|above| above == tree.path),
                Spec::Git(git) => git.path == *path || path.ancestors().any(|above| above == git.path),
                Spec::Block(block) => block.path == *path || id.name.starts_with(&below),
                Spec::User(user) => match &user.home {
                    Some(home) => home == path,
                    None => path.as_str() == format!("/home/{}", id.name),
                },
                Spec::Command(command) => match &command.guard {
                    Guard::Creates(made) => is_made_with(path, made),
                    Guard::Unless(_) => false,
                },
                Spec::Group(_)
                | Spec::Debconf(_)
                | Spec::Package(_)
                | Spec::Swapfile(_)
                | Spec::Switch(_)
                | Spec::Sysctl(_)
                | Spec::Firewall(_)
                | Spec::Secret(_)
                | Spec::Unit(_)
                | Spec::Probe(_) => false,
            })
}

/// Whether what makes `made` may well make `path`, too: a command names one path of the many that it makes.
fn is_made_with(path: &AbsPath, made: &AbsPath) -> bool {
    let beside = path
        .parent()
        .is_some_and(|parent| made.ancestors().any(|above| above == parent) && !LOCAL.contains(&parent.as_str()));
    path == made || beside || path.ancestors().any(|above| above == *made)
}

fn unprovided(kind: Kind, path: &AbsPath, id: &ResourceId, span: Span, declarations: &Declarations) -> Diagnostic {
    let message = format!("`{}` needs `{path}`, and nothing provides it", shown_name(id));
    let label = format!("`{path}` is named here");
    let diagnostic = Diagnostic::error(Code::UnknownFile, message, span, label);
    let paths = declarations.resources.iter().filter_map(|(id, declared)| {
        let is_path = matches!(&declared.spec, Spec::File(_) | Spec::Directory(_) | Spec::Symlink(_));
        is_path.then_some(id.name.as_str())
    });
    let meant = did_you_mean(path.as_str(), paths);
    let declare = format!(
        "declare [{}.\"{path}\"], or add the command or package that makes it to the unit's `after`",
        kind.table()
    );
    diagnostic
        .because(
            "this host declares no such path, and none of its packages seems to bring it, so the unit could not start",
        )
        .help(meant.unwrap_or(declare))
        .warning()
}
