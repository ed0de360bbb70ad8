//! The units that use a host's secrets, and what they need to wait for them. It looks for paths in texts, and runs none.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Code, Diagnostic, Host, Span, Spanned, did_you_mean};
use crate::model::{
    AbsPath, AfterReboot, DependencyReason, DirectorySpec, FileSpec, Kind, Millis, Mode, OnChange, ResourceId,
    SecretSpec, Spec, UnitName, UnitSpec,
};

use super::super::declared::{Declarations, Said};
use super::super::kind::{UNIT_DIRECTORY, group_of};
use super::super::local::made;
use super::super::unit_text::named;
use super::super::user_units;
use super::draft::Draft;
use super::fetch;

/// The unit that brings secrets back at boot.
const BOOT_UNIT: &str = "provision-secrets.service";

/// The program that it runs: the agent keeps a link to itself there.
const BOOT_PROGRAM: &str = "/var/lib/provision/agent";

/// The units that use secrets, each with the names of those.
pub(super) fn users(
    specs: &BTreeMap<String, SecretSpec>,
    drafts: &BTreeMap<String, Draft>,
    declarations: &Declarations,
    found: &mut Vec<Diagnostic>,
) -> BTreeMap<UnitName, BTreeSet<String>> {
    let mut users: BTreeMap<UnitName, BTreeSet<String>> = BTreeMap::new();
    let by_path: BTreeMap<&str, &String> = specs.iter().map(|(name, spec)| (spec.path.as_str(), name)).collect();
    for (unit, text, _) in unit_texts(declarations) {
        let names = named(text).paths;
        let used = names.iter().filter_map(|path| by_path.get(path.as_str()));
        for name in used {
            users.entry(unit.clone()).or_default().insert((*name).clone());
        }
    }
    for (id, declared) in declarations.resources.iter().filter(|(id, _)| id.kind == Kind::Unit) {
        let Ok(unit) = UnitName::new(id.name.as_str()) else {
            continue;
        };
        let said = declared.said.iter().map(|said| &said.on.value);
        for on in said.filter(|on| on.kind == Kind::Secret && specs.contains_key(&on.name)) {
            users.entry(unit.clone()).or_default().insert(on.name.clone());
        }
    }
    for (name, draft) in drafts {
        for (unit, span) in &draft.units {
            if declarations
                .resources
                .contains_key(&ResourceId::new(Kind::Unit, unit.as_str()))
            {
                users.entry(unit.clone()).or_default().insert(name.clone());
                continue;
            }
            let units = declarations.resources.keys().filter(|id| id.kind == Kind::Unit);
            let help = did_you_mean(unit.as_str(), units.map(|id| id.name.as_str()));
            let help = help.unwrap_or_else(|| format!("declare it: [units.\"{unit}\"]"));
            let message = format!("this host declares no unit `{unit}`");
            found.push(Diagnostic::error(Code::UnknownResource, message, *span, "not declared").help(help));
        }
    }
    users
}

/// The texts of the host's units, drop-ins among them, with the unit that each is of.
fn unit_texts(declarations: &Declarations) -> impl Iterator<Item = (UnitName, &str, Span)> {
    declarations.resources.iter().filter_map(move |(id, declared)| {
        let Spec::File(file) = &declared.spec else { return None };
        let unit = user_units::unit_of(&id.name, declarations)?;
        Some((unit, declarations.text(&file.content)?, declared.span))
    })
}

/// Reports paths in the directory of secrets that units name and that no secret has.
pub(super) fn unknown_in_units(
    directory: &AbsPath,
    specs: &BTreeMap<String, SecretSpec>,
    declarations: &Declarations,
    found: &mut Vec<Diagnostic>,
) {
    let below = format!("{directory}/");
    let known: BTreeSet<&str> = specs.values().map(|spec| spec.path.as_str()).collect();
    for (unit, text, span) in unit_texts(declarations) {
        let paths = named(text).paths;
        let unknown: BTreeSet<_> = paths
            .iter()
            .filter(|path| path.starts_with(&below) && !known.contains(path.as_str()))
            .collect();
        for path in unknown {
            let message = format!("`{unit}` reads `{path}`, and no secret of this host has that path");
            let label = format!("`{path}` is named here");
            let name = path.strip_prefix(&below).unwrap_or(path);
            let help = did_you_mean(path, known.iter().copied());
            let help = help.unwrap_or_else(|| format!("declare it: [secrets.\"{name}\"]"));
            found.push(
                Diagnostic::error(Code::UnknownSecret, message, span, label)
                    .because("only secrets lie there, so the unit could never start")
                    .help(help),
            );
        }
    }
}

/// Whether the text of a file or the words of a command name a path.
pub(super) fn is_named(path: &AbsPath, declarations: &Declarations) -> bool {
    declarations.resources.values().any(|declared| match &declared.spec {
        Spec::File(file) => declarations
            .text(&file.content)
            .is_some_and(|text| text.contains(path.as_str())),
        Spec::Block(block) => block.text.contains(path.as_str()),
        Spec::Command(command) => command.run.iter().any(|word| word.contains(path.as_str())),
        Spec::Symlink(link) => link.target == path.as_str(),
        _ => false,
    })
}

/// Lets a unit start only when its secrets are there, and restart when one changes.
pub(super) fn wait_for(
    unit: &UnitName,
    secrets: &BTreeSet<String>,
    specs: &BTreeMap<String, SecretSpec>,
    drafts: &BTreeMap<String, Draft>,
    declarations: &mut Declarations,
    found: &mut Vec<Diagnostic>,
) {
    let id = ResourceId::new(Kind::Unit, unit.as_str());
    let span = secrets
        .iter()
        .filter_map(|name| drafts.get(name))
        .map(|draft| draft.units.get(unit).copied().unwrap_or(draft.span))
        .min();
    let Some(span) = span else { return };
    let used: Vec<_> = secrets.iter().filter_map(|name| specs.get(name)).collect();
    if let Some(declared) = declarations.resources.get_mut(&id) {
        let on = used.iter().map(|spec| Said {
            on: Spanned::new(ResourceId::new(Kind::Secret, spec.name.as_str()), span),
            reason: DependencyReason::RestartOn,
        });
        declared.said.extend(on);
    }
    let mut text = format!("{WAITS}[Unit]\n");
    if used.iter().any(|spec| spec.after_reboot != AfterReboot::Push) {
        let waits = format!("Wants={BOOT_UNIT}\nAfter={BOOT_UNIT}\n");
        match unit.user() {
            None => text.push_str(&waits),
            // A user's manager knows no unit of the system's, so it is the manager that waits.
            Some(user) => {
                let Some(manager) = user_units::manager(unit, user, span, declarations, found) else {
                    return;
                };
                drop_in(&manager, format!("{WAITS}[Unit]\n{waits}"), span, declarations, found);
            }
        }
    }
    for spec in used.iter().filter(|spec| spec.required) {
        text.push_str(&format!("ConditionPathExists={}\n", spec.path));
    }
    drop_in(unit, text, span, declarations, found);
}

/// What a drop-in for secrets begins with.
const WAITS: &str = "# Written by provision: this unit waits for its secrets.\n";

fn drop_in(unit: &UnitName, text: String, span: Span, declarations: &mut Declarations, found: &mut Vec<Diagnostic>) {
    let owner = unit.user().unwrap_or("root");
    let Some(above) = user_units::directory(unit, declarations) else {
        return found.push(user_units::homeless(unit, owner, span));
    };
    let directory = format!("{above}/{}.d", unit.unit());
    let (Ok(directory), Ok(path)) = (
        AbsPath::new(&*directory),
        AbsPath::new(format!("{directory}/50-provision-secrets.conf")),
    ) else {
        return;
    };
    let directory = DirectorySpec {
        path: directory,
        owner: owner.to_owned(),
        group: group_of(owner, declarations),
        mode: Mode::from_bits(0o755),
    };
    declarations.declare(Spec::Directory(directory), span, Vec::new(), found);
    declare_file(path, owner, text, span, declarations, found);
}

/// The unit that brings secrets back at boot, before those that need them.
pub(super) fn boot_unit(
    host: &Host,
    span: Span,
    users: &BTreeMap<UnitName, BTreeSet<String>>,
    declarations: &mut Declarations,
    found: &mut Vec<Diagnostic>,
) {
    let span = host.secrets.after_reboot.as_ref().map_or(span, |said| said.span);
    let (of_network, of_time) = match host.secrets.after_reboot.as_ref().map(|said| said.value) {
        Some(AfterReboot::Fetch) => (fetch::NETWORK, fetch::TIME),
        _ => ("", ""),
    };
    let waiting = starts(users, declarations);
    let text = format!(
        "# Written by provision: what is changed here by hand is changed back.\n[Unit]\nDescription=Bring this host's secrets back \
         into its memory\n{of_network}{waiting}[Service]\nType=oneshot\nRemainAfterExit=yes\n\
         ExecStart={BOOT_PROGRAM} secrets-at-boot\n{of_time}LimitCORE=0\n[Install]\nWantedBy=multi-user.target\n"
    );
    let (Ok(path), Ok(name)) = (
        AbsPath::new(format!("{UNIT_DIRECTORY}/{BOOT_UNIT}")),
        UnitName::new(BOOT_UNIT),
    ) else {
        return;
    };
    declare_file(path, "root", text, span, declarations, found);
    let unit = UnitSpec {
        name,
        enabled: Some(true),
        active: None,
        on_change: OnChange::Nothing,
        settle: Millis::seconds(1),
    };
    declarations.declare(Spec::Unit(unit), span, Vec::new(), found);
}

/// Lets it start the units that wait for it, in its `[Unit]`: those that start with the host. At boot they start anyhow, and after
/// it; where it first fails and succeeds later, nobody else would start them. Users' managers start their own.
fn starts(users: &BTreeMap<UnitName, BTreeSet<String>>, declarations: &Declarations) -> String {
    let is_enabled = |unit: &UnitName| {
        let declared = declarations.resources.get(&ResourceId::new(Kind::Unit, unit.as_str()));
        matches!(
            declared.map(|declared| &declared.spec),
            Some(Spec::Unit(UnitSpec {
                enabled: Some(true),
                ..
            }))
        )
    };
    let waiting: Vec<&str> = users
        .keys()
        .filter(|unit| unit.user().is_none() && is_enabled(unit))
        .map(UnitName::as_str)
        .collect();
    match waiting.as_slice() {
        [] => String::new(),
        waiting => format!("Wants={}\n", waiting.join(" ")),
    }
}

fn declare_file(
    path: AbsPath,
    owner: &str,
    text: String,
    span: Span,
    declarations: &mut Declarations,
    found: &mut Vec<Diagnostic>,
) {
    let (blob, content) = made(text);
    declarations.keep(&blob, content);
    let file = FileSpec {
        path,
        content,
        owner: owner.to_owned(),
        group: group_of(owner, declarations),
        mode: Mode::from_bits(0o644),
        validate: None,
        private: false,
        sensitive: false,
        seed: false,
    };
    declarations.declare(Spec::File(file), span, Vec::new(), found);
}
