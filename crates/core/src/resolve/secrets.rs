//! A host's secrets: what modules, groups and the host say of each, put together; the units that use them, and what those
//! need to wait for them. It asks no store.

mod draft;
mod fetch;
mod shared;
mod units;

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Code, Diagnostic, Host, ProjectStores, SecretSettings, Severity, did_you_mean, noun};
use crate::model::{
    AbsPath, AfterReboot, Machine, Mode, SecretContent, SecretPart, SecretSpec, SecretValueRef, Spec, not_asked,
};

use super::check::path_of;
use super::declared::Declarations;
use super::template::mark::{Mark, Piece};
use units::{boot_unit, is_named, unknown_in_units, users, wait_for};

pub(super) use draft::{Draft, DraftContent, Given};
pub(super) use shared::{Kept, shared_by_mistake};

/// Where secrets go unless the host says otherwise: where agenix has them, and programs that read them look.
const DIRECTORY: &str = "/run/agenix";

/// Read by the owner alone: programs refuse tokens that others can read.
const MODE: Mode = Mode::from_bits(0o400);

/// The paths of a host's secrets, for templates.
pub(super) fn paths(declarations: &Declarations, settings: &SecretSettings) -> BTreeMap<String, AbsPath> {
    let Some(directory) = directory(settings) else {
        return BTreeMap::new();
    };
    let with_file = declarations.secrets.iter().filter(|(_, draft)| draft.has_file());
    with_file
        .filter_map(|(name, draft)| Some((name.clone(), path(name, draft, &directory)?)))
        .collect()
}

fn directory(settings: &SecretSettings) -> Option<AbsPath> {
    settings.directory.clone().or_else(|| AbsPath::new(DIRECTORY).ok())
}

fn path(name: &str, draft: &Draft, directory: &AbsPath) -> Option<AbsPath> {
    match &draft.path {
        Some(path) => Some(path.value.clone()),
        None => AbsPath::new(format!("{directory}/{}", name.replace('/', "-"))).ok(),
    }
}

/// Declares each secret, and what the units that use them need.
pub(super) fn finish(
    declarations: &mut Declarations,
    host: &Host,
    stores: &ProjectStores,
    found: &mut Vec<Diagnostic>,
) -> Vec<Kept> {
    let Some(directory) = directory(&host.secrets) else {
        return Vec::new();
    };
    let mut drafts = std::mem::take(&mut declarations.secrets);
    let after_reboot = after_reboot(host, found);
    let mut items = Vec::new();
    for (name, draft) in &drafts {
        let shared = draft.shared.as_ref().is_some_and(|shared| shared.value);
        items.extend(draft.item(name).map(|item| Kept {
            name: name.clone(),
            used: true,
            item,
            span: draft.span,
            shared,
        }));
    }
    // Of a host that is not of AWS that is said already.
    if after_reboot == AfterReboot::Fetch && matches!(host.machine, Some(Machine::Aws { .. })) {
        fetch::settle(&mut drafts, host, stores, found);
    }
    let mut specs = BTreeMap::new();
    let mut in_texts = BTreeSet::new();
    for (name, draft) in &drafts {
        let Some(content) = content(name, draft, &drafts, &mut in_texts, found) else {
            continue;
        };
        if !draft.has_file() {
            continue;
        }
        let Some(path) = path(name, draft, &directory) else {
            continue;
        };
        if path.parent().as_ref() != Some(&directory) {
            let message = format!("`{path}` is not in the host's directory of secrets");
            let span = draft.path.as_ref().map_or(draft.span, |path| path.span);
            let diagnostic = Diagnostic::error(Code::InvalidValue, message, span, "");
            found.push(
                diagnostic
                    .because("only there it is sure to be in memory that is never written to a disk, and all secrets change in one step")
                    .help(format!("write \"{directory}/{}\"", path.file_name())),
            );
            continue;
        }
        let owner = draft
            .owner
            .as_ref()
            .map_or_else(|| "root".to_owned(), |owner| owner.value.clone());
        let group = draft.group.as_ref().map(|group| group.value.clone());
        let spec = SecretSpec {
            name: name.clone(),
            directory: directory.clone(),
            path,
            group: group.unwrap_or_else(|| super::kind::group_of(&owner, declarations)),
            owner,
            mode: draft.mode.as_ref().map_or(MODE, |mode| mode.value),
            content,
            required: draft.required.as_ref().is_none_or(|required| required.value),
            after_reboot,
            version: not_asked(),
        };
        specs.insert(name.clone(), spec);
    }
    let users = users(&specs, &drafts, declarations, found);
    unknown_in_units(&directory, &specs, declarations, found);
    others_in(&directory, specs.is_empty(), declarations, found);
    // What is wrong with one place that uses a secret is said already.
    let is_sound = !found.iter().any(|finding| finding.severity == Severity::Error);
    for (name, draft) in drafts.iter().filter(|_| is_sound) {
        let is_used = in_texts.contains(name) || users.values().any(|secrets| secrets.contains(name));
        let path = specs.get(name).map(|spec| &spec.path);
        if !is_used && !path.is_some_and(|path| is_named(path, declarations)) {
            for kept in items.iter_mut().filter(|kept| kept.name == *name) {
                kept.used = false;
            }
            let message = format!("nothing uses the secret `{name}`");
            let diagnostic = Diagnostic::error(Code::UnusedSecret, message, draft.span, "declared here");
            let help = "list the units that read it: units = [\"NAME.service\"], or remove it";
            found.push(diagnostic.help(help).warning());
        }
    }
    for (unit, secrets) in &users {
        wait_for(unit, secrets, &specs, &drafts, declarations, found);
    }
    if after_reboot != AfterReboot::Push
        && let Some(span) = drafts.values().map(|draft| draft.span).min()
    {
        boot_unit(host, span, &users, declarations, found);
    }
    for (name, spec) in specs {
        let span = drafts.get(&name).map(|draft| draft.span);
        if let Some(span) = span {
            declarations.declare(Spec::Secret(spec), span, Vec::new(), found);
        }
    }
    items
}

fn after_reboot(host: &Host, found: &mut Vec<Diagnostic>) -> AfterReboot {
    let Some(said) = &host.secrets.after_reboot else {
        return AfterReboot::default();
    };
    if said.value == AfterReboot::Fetch && !matches!(host.machine, Some(Machine::Aws { .. })) {
        let message = "only a machine of AWS can fetch its secrets by itself";
        let diagnostic = Diagnostic::error(Code::ConflictingKeys, message, said.span, "");
        found.push(
            diagnostic
                .because("it does so by the role of its instance, and this host declares no [aws]")
                .help("write \"sealed\", which keeps an encrypted copy on the host, or \"push\""),
        );
    }
    said.value
}

/// What a secret's file holds, with the items in it; names those in texts.
fn content(
    name: &str,
    draft: &Draft,
    drafts: &BTreeMap<String, Draft>,
    in_texts: &mut BTreeSet<String>,
    found: &mut Vec<Diagnostic>,
) -> Option<SecretContent> {
    let (pieces, span) = match &draft.content {
        Some(Given {
            value: DraftContent::Text(pieces),
            span,
            ..
        }) => (pieces, *span),
        _ => {
            return Some(SecretContent::Value(SecretValueRef {
                item: draft.item(name)?,
                trim: draft.is_trimmed(),
                version: None,
            }));
        }
    };
    let mut parts = Vec::new();
    let mut sound = true;
    for piece in pieces {
        match piece {
            Piece::Text(text) if text.is_empty() => {}
            Piece::Text(text) => parts.push(SecretPart::Text(text.clone())),
            Piece::Mark(Mark::Path(_)) => {}
            Piece::Mark(Mark::Value(used, encoding)) => {
                in_texts.insert(used.clone());
                let item = drafts.get(used).map(|other| other.item(used));
                let problem = match item {
                    Some(Some(item)) => {
                        parts.push(SecretPart::Secret {
                            name: used.clone(),
                            // A line feed at the end of a token would end the line that it is put into.
                            value: SecretValueRef {
                                item,
                                trim: true,
                                version: None,
                            },
                            encoding: *encoding,
                        });
                        continue;
                    }
                    Some(None) => format!("`{used}` is itself a text with secrets in it"),
                    None => format!("this host declares no secret `{used}`"),
                };
                sound = false;
                let known = drafts.keys().map(String::as_str).filter(|other| *other != name);
                let help = did_you_mean(used, known).unwrap_or_else(|| {
                    format!("declare it: [secrets.\"{used}\"], with deliver = false if it needs no file")
                });
                found.push(Diagnostic::error(Code::UnknownSecret, problem, span, "used here").help(help));
            }
        }
    }
    sound.then_some(SecretContent::Rendered(parts))
}

/// Reports paths of other kinds in the directory of secrets.
fn others_in(directory: &AbsPath, is_unused: bool, declarations: &Declarations, found: &mut Vec<Diagnostic>) {
    if is_unused {
        return;
    }
    for (id, declared) in &declarations.resources {
        let Some(path) = path_of(&declared.spec) else { continue };
        if path != directory && !path.ancestors().any(|above| above == *directory) {
            continue;
        }
        let message = format!("`{path}` is in the way of the host's secrets");
        let diagnostic = Diagnostic::error(Code::BelowFile, message, declared.span, noun(id.kind));
        found.push(
            diagnostic
                .because(format!(
                    "`{directory}` is a link to the host's secrets, which change all at once"
                ))
                .help("move it elsewhere, or let secrets be elsewhere: secrets_directory in [host]"),
        );
    }
}
