//! systemd units: a file for the text, where there is one, and the state. What the text uses is found later.

use crate::config::{Code, Diagnostic, Reported};
use crate::model::{
    AbsPath, Content, DependencyReason, DirectorySpec, FileSpec, Millis, Mode, OnChange, Spec, SymlinkSpec, UnitName,
    UnitSpec,
};

use super::super::declared::Said;
use super::super::local::made;
use super::super::reader::Reader;
use super::super::user_units;
use super::file::{content, group_of};

/// Where the administrator's units lie (systemd.unit(5)).
pub(in crate::resolve) const DIRECTORY: &str = "/etc/systemd/system";

/// Long enough for a program that dies at once over a bad configuration to do so, short enough to wait for.
const SETTLE: Millis = Millis::seconds(1);

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let unit = UnitName::new(name.value).map_err(|_| Reported)?;
    let content = content(reader);
    let enabled = reader.optional::<bool>("enabled");
    let active = reader.optional::<bool>("active");
    let on_change = reader.optional::<OnChange>("on_change");
    let settle = reader.optional::<Millis>("settle");
    let drop_ins = reader.table("drop_ins");
    let masked = reader.optional::<bool>("masked");
    let said = reader.said();
    let (content, masked) = (content?, masked?);
    if masked.is_some_and(|masked| masked.value) {
        return mask(reader, unit, said?);
    }
    drop_in_files(reader, &unit, drop_ins?)?;
    if let Some(content) = content {
        let place = Place::of(reader, &unit)?;
        let file = place.file(unit.unit(), content)?;
        let written = ["text", "file", "template"]
            .into_iter()
            .find(|field| reader.declaration.get(field).is_some());
        let span = reader.key(written.unwrap_or("text"));
        reader.declare(Spec::File(file), span, Vec::new());
    }
    let (enabled, active) = (enabled?, active?);
    if unit.is_template()
        && let Some(active) = active.as_ref().filter(|active| active.value)
    {
        let message = format!("`{unit}` is a template of units, and cannot run itself");
        let diagnostic = Diagnostic::error(Code::InvalidValue, message, active.span, "");
        let instance = unit.as_str().replacen("@.", "@NAME.", 1);
        return Err(reader.report(diagnostic.help(format!("declare an instance: [units.\"{instance}\"]"))));
    }
    let spec = UnitSpec {
        name: unit,
        enabled: enabled.map(|enabled| enabled.value),
        active: active.map(|active| active.value),
        on_change: on_change?.map_or(OnChange::Restart, |on_change| on_change.value),
        settle: settle?.map_or(SETTLE, |settle| settle.value),
    };
    reader.declare(Spec::Unit(spec), name.span, said?);
    Ok(())
}

/// Where a unit's files lie, and whose they are: its manager's, so that whoever may give it orders may change them.
struct Place {
    directory: String,
    owner: String,
    group: String,
}

impl Place {
    fn of(reader: &mut Reader<'_, '_, '_>, unit: &UnitName) -> Result<Self, Reported> {
        let owner = unit.user().unwrap_or("root");
        let Some(directory) = user_units::directory(unit, reader.declarations) else {
            let span = reader.declaration.name.span;
            return Err(reader.report(user_units::homeless(unit, owner, span)));
        };
        Ok(Self {
            directory,
            owner: owner.to_owned(),
            group: group_of(owner, reader.declarations),
        })
    }

    fn drop_ins(&self, unit: &UnitName) -> Result<DirectorySpec, Reported> {
        Ok(DirectorySpec {
            path: AbsPath::new(format!("{}/{}.d", self.directory, unit.unit())).map_err(|_| Reported)?,
            owner: self.owner.clone(),
            group: self.group.clone(),
            mode: Mode::from_bits(0o755),
        })
    }

    fn file(&self, name: &str, content: Content) -> Result<FileSpec, Reported> {
        Ok(FileSpec {
            path: AbsPath::new(format!("{}/{name}", self.directory)).map_err(|_| Reported)?,
            content,
            owner: self.owner.clone(),
            group: self.group.clone(),
            mode: Mode::from_bits(0o644),
            validate: None,
            sensitive: false,
            private: false,
            seed: false,
        })
    }
}

/// A unit that nobody may start: it is stopped, and then leads to nowhere, so that undoing it frees and then starts it.
fn mask(reader: &mut Reader<'_, '_, '_>, unit: UnitName, said: Vec<Said>) -> Result<(), Reported> {
    let other = [
        "text",
        "file",
        "template",
        "enabled",
        "active",
        "on_change",
        "restart_on",
        "drop_ins",
    ]
    .into_iter()
    .find(|field| reader.declaration.get(field).is_some());
    let span = reader.key("masked");
    if let Some(other) = other {
        let message = format!("`{unit}` is masked, so `{other}` means nothing");
        let diagnostic = Diagnostic::error(Code::ConflictingKeys, message, reader.key(other), "");
        return Err(reader.report(diagnostic.also(span, "masked here").help("keep one of the two")));
    }
    let place = Place::of(reader, &unit)?;
    let link = SymlinkSpec {
        path: AbsPath::new(format!("{}/{}", place.directory, unit.unit())).map_err(|_| Reported)?,
        target: "/dev/null".to_owned(),
    };
    let stopped = Spec::Unit(UnitSpec {
        name: unit,
        enabled: None,
        active: Some(false),
        on_change: OnChange::Nothing,
        settle: SETTLE,
    });
    let first = Said {
        on: crate::config::Spanned::new(stopped.id(), span),
        reason: DependencyReason::After,
    };
    let name = reader.declaration.name.span;
    reader.declare(stopped, name, said);
    reader.declare(Spec::Symlink(link), name, vec![first]);
    Ok(())
}

/// The files that add to a unit's text, and the directory that they lie in.
fn drop_in_files(
    reader: &mut Reader<'_, '_, '_>,
    unit: &UnitName,
    texts: std::collections::BTreeMap<String, String>,
) -> Result<(), Reported> {
    let span = reader.key("drop_ins");
    if texts.is_empty() {
        return Ok(());
    }
    let place = Place::of(reader, unit)?;
    reader.declare(Spec::Directory(place.drop_ins(unit)?), span, Vec::new());
    for (name, text) in texts {
        let stem = name.strip_suffix(".conf").unwrap_or(&name);
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if stem.is_empty() || !stem.bytes().all(plain) {
            let message = format!("`{}` cannot name a drop-in", crate::config::shown(&name));
            let diagnostic = Diagnostic::error(Code::InvalidValue, message, span, "");
            return Err(reader.report(diagnostic.help("a name is letters, digits, \"-\" and \"_\"")));
        }
        let (blob, content) = made(text);
        reader.declarations.keep(&blob, content);
        let file = place.file(&format!("{}.d/{stem}.conf", unit.unit()), content)?;
        reader.declare(Spec::File(file), span, Vec::new());
    }
    Ok(())
}
