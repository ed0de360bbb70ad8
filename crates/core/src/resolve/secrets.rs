//! A host's secrets: what modules, groups and the host say of each, put together; the units that use them, and what those
//! need to wait for them. It asks no store.

mod fetch;

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{
    Code, Diagnostic, Host, ProjectStores, SecretSettings, Severity, Span, Spanned, did_you_mean, noun,
};
use crate::model::{
    AbsPath, AfterReboot, DependencyReason, DirectorySpec, FileSpec, HostName, Kind, Machine, Millis, Mode, OnChange,
    ResourceId, SecretContent, SecretItem, SecretPart, SecretSource, SecretSpec, SecretValueRef, Spec, UnitName,
    UnitSpec, not_asked,
};

use super::check::path_of;
use super::declared::{Declarations, Said, Whose};
use super::kind::UNIT_DIRECTORY;
use super::local::made;
use super::template::mark::{Mark, Piece};
use super::unit_text::named;

/// Where secrets go unless the host says otherwise: where agenix has them, and programs that read them look.
const DIRECTORY: &str = "/run/agenix";

/// Read by the owner alone: programs refuse tokens that others can read.
const MODE: Mode = Mode::from_bits(0o400);

/// The unit that brings secrets back at boot.
const BOOT_UNIT: &str = "provision-secrets.service";

/// The program that it runs: the agent keeps a link to itself there.
const BOOT_PROGRAM: &str = "/var/lib/provision/agent";

/// A value in a store that a host has.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) item: SecretItem,
    /// Where it is declared.
    pub(super) span: Span,
    /// Whether other hosts may have it, too.
    pub(super) shared: bool,
}

/// Reports values that several hosts have and that none says are shared.
pub(super) fn shared_by_mistake(hosts: &[(HostName, Vec<Kept>)], found: &mut Vec<Diagnostic>) {
    let mut first: BTreeMap<&SecretItem, (&HostName, &Kept)> = BTreeMap::new();
    let mut told = BTreeSet::new();
    for (host, kept) in hosts {
        for kept in kept {
            let Some((other, before)) = first.get(&kept.item) else {
                first.insert(&kept.item, (host, kept));
                continue;
            };
            if *other == host || (kept.shared && before.shared) || !told.insert(&kept.item) {
                continue;
            }
            let message = format!("`{other}` and `{host}` have one secret: {}", kept.item);
            let diagnostic = Diagnostic::error(Code::SecretShared, message, kept.span, format!("on `{host}`"));
            let diagnostic = match kept.span == before.span {
                true => diagnostic,
                false => diagnostic.also(before.span, format!("on `{other}`")),
            };
            found.push(
                diagnostic
                    .because("two bots with one token disconnect each other, and one host that is broken into gives away both")
                    .help("give each its own, as in aws = \"bots/{{ host.name }}/token\"; where it is meant, write shared = true"),
            );
        }
    }
}

/// What one place says of a field.
#[derive(Debug)]
pub(super) struct Given<T> {
    pub(super) value: T,
    pub(super) span: Span,
    whose: Whose,
}

impl<T> Given<T> {
    pub(super) fn new(value: Spanned<T>, whose: Whose) -> Self {
        Self {
            value: value.value,
            span: value.span,
            whose,
        }
    }

    /// What follows from what others say.
    const fn implied(value: T, span: Span) -> Self {
        Self {
            value,
            span,
            whose: Whose::Host,
        }
    }

    pub(super) fn of(value: Option<Spanned<T>>, whose: Whose) -> Option<Self> {
        value.map(|value| Self::new(value, whose))
    }
}

/// What a file holds, before it is known where each secret is from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DraftContent {
    Kept(SecretSource),
    Text(Vec<Piece>),
}

/// A secret as far as it is said.
#[derive(Debug)]
pub(super) struct Draft {
    /// Where it is first declared.
    pub(super) span: Span,
    pub(super) content: Option<Given<DraftContent>>,
    pub(super) key: Option<Given<String>>,
    pub(super) owner: Option<Given<String>>,
    pub(super) group: Option<Given<String>>,
    pub(super) mode: Option<Given<Mode>>,
    pub(super) path: Option<Given<AbsPath>>,
    pub(super) required: Option<Given<bool>>,
    pub(super) trim: Option<Given<bool>>,
    pub(super) shared: Option<Given<bool>>,
    pub(super) deliver: Option<Given<bool>>,
    pub(super) units: BTreeMap<UnitName, Span>,
}

impl Draft {
    fn has_file(&self) -> bool {
        self.deliver.as_ref().is_none_or(|deliver| deliver.value)
    }

    fn is_trimmed(&self) -> bool {
        self.trim.as_ref().is_some_and(|trim| trim.value)
    }

    /// The store's item that it is; `None` of a text.
    fn item(&self, name: &str) -> Option<SecretItem> {
        let source = match &self.content {
            None => SecretSource::Project { name: name.to_owned() },
            Some(Given {
                value: DraftContent::Kept(source),
                ..
            }) => source.clone(),
            Some(_) => return None,
        };
        Some(SecretItem {
            source,
            key: self.key.as_ref().map(|key| key.value.clone()),
        })
    }
}

impl Declarations {
    /// Takes in what a place says of a secret.
    pub(super) fn declare_secret(&mut self, name: String, draft: Draft, found: &mut Vec<Diagnostic>) {
        self.note(&ResourceId::new(Kind::Secret, name.as_str()));
        let Some(there) = self.secrets.get_mut(&name) else {
            self.secrets.insert(name, draft);
            return;
        };
        let mut clash = Clash { name: &name, found };
        clash.merge("content", &mut there.content, draft.content);
        clash.merge("key", &mut there.key, draft.key);
        clash.merge("owner", &mut there.owner, draft.owner);
        clash.merge("group", &mut there.group, draft.group);
        clash.merge("mode", &mut there.mode, draft.mode);
        clash.merge("path", &mut there.path, draft.path);
        clash.merge("required", &mut there.required, draft.required);
        clash.merge("trim", &mut there.trim, draft.trim);
        clash.merge("shared", &mut there.shared, draft.shared);
        clash.merge("deliver", &mut there.deliver, draft.deliver);
        there.units.extend(draft.units);
    }
}

struct Clash<'a> {
    name: &'a str,
    found: &'a mut Vec<Diagnostic>,
}

impl Clash<'_> {
    /// One place may say what another leaves open; the host's own word counts before its groups'.
    fn merge<T: PartialEq>(&mut self, field: &str, there: &mut Option<Given<T>>, new: Option<Given<T>>) {
        let Some(new) = new else { return };
        match there {
            None => *there = Some(new),
            Some(old) if old.value == new.value => {}
            Some(old) if old.whose == Whose::Group && new.whose == Whose::Host => *there = Some(new),
            Some(old) => {
                let message = format!("two places say differently what `{field}` of `secret:{}` is", self.name);
                let diagnostic = Diagnostic::error(Code::DeclaredTwice, message, new.span, "and this");
                self.found.push(
                    diagnostic
                        .also(old.span, "this")
                        .because("what several places say of one secret is put together, so they have to agree")
                        .help("remove one of the two"),
                );
            }
        }
    }
}

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
        boot_unit(host, span, declarations, found);
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

/// The units that use secrets, each with the names of those.
fn users(
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
    let below = format!("{UNIT_DIRECTORY}/");
    declarations.resources.iter().filter_map(move |(id, declared)| {
        let Spec::File(file) = &declared.spec else { return None };
        let name = id.name.strip_prefix(&below)?;
        let unit = name.split_once(".d/").map_or(name, |(unit, _)| unit);
        Some((
            UnitName::new(unit).ok()?,
            declarations.text(&file.content)?,
            declared.span,
        ))
    })
}

/// Reports paths in the directory of secrets that units name and that no secret has.
fn unknown_in_units(
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

/// Whether the text of a file or the words of a command name a path.
fn is_named(path: &AbsPath, declarations: &Declarations) -> bool {
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
fn wait_for(
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
    let mut text = "# Written by provision: this unit waits for its secrets.\n[Unit]\n".to_owned();
    if used.iter().any(|spec| spec.after_reboot != AfterReboot::Push) {
        text.push_str(&format!("Wants={BOOT_UNIT}\nAfter={BOOT_UNIT}\n"));
    }
    for spec in used.iter().filter(|spec| spec.required) {
        text.push_str(&format!("ConditionPathExists={}\n", spec.path));
    }
    let directory = format!("{UNIT_DIRECTORY}/{unit}.d");
    let (Ok(directory), Ok(path)) = (
        AbsPath::new(&*directory),
        AbsPath::new(format!("{directory}/50-provision-secrets.conf")),
    ) else {
        return;
    };
    let directory = DirectorySpec {
        path: directory,
        owner: "root".to_owned(),
        group: "root".to_owned(),
        mode: Mode::from_bits(0o755),
    };
    declarations.declare(Spec::Directory(directory), span, Vec::new(), found);
    declare_file(path, text, span, declarations, found);
}

/// The unit that brings secrets back at boot, before those that need them.
fn boot_unit(host: &Host, span: Span, declarations: &mut Declarations, found: &mut Vec<Diagnostic>) {
    let span = host.secrets.after_reboot.as_ref().map_or(span, |said| said.span);
    let (of_network, of_time) = match host.secrets.after_reboot.as_ref().map(|said| said.value) {
        Some(AfterReboot::Fetch) => (fetch::NETWORK, fetch::TIME),
        _ => ("", ""),
    };
    let text = format!(
        "# Written by provision: what is changed here by hand is changed back.\n[Unit]\nDescription=Bring this host's secrets back \
         into its memory\n{of_network}[Service]\nType=oneshot\nRemainAfterExit=yes\n\
         ExecStart={BOOT_PROGRAM} secrets-at-boot\n{of_time}LimitCORE=0\n[Install]\nWantedBy=multi-user.target\n"
    );
    let (Ok(path), Ok(name)) = (
        AbsPath::new(format!("{UNIT_DIRECTORY}/{BOOT_UNIT}")),
        UnitName::new(BOOT_UNIT),
    ) else {
        return;
    };
    declare_file(path, text, span, declarations, found);
    let unit = UnitSpec {
        name,
        enabled: Some(true),
        active: None,
        on_change: OnChange::Nothing,
        settle: Millis::seconds(1),
    };
    declarations.declare(Spec::Unit(unit), span, Vec::new(), found);
}

fn declare_file(path: AbsPath, text: String, span: Span, declarations: &mut Declarations, found: &mut Vec<Diagnostic>) {
    let (blob, content) = made(text);
    declarations.keep(&blob, content);
    let file = FileSpec {
        path,
        content,
        owner: "root".to_owned(),
        group: "root".to_owned(),
        mode: Mode::from_bits(0o644),
        validate: None,
        private: false,
        sensitive: false,
        seed: false,
    };
    declarations.declare(Spec::File(file), span, Vec::new(), found);
}
