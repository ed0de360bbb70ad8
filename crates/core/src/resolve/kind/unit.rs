//! systemd units: a file for the text, where there is one, and the state. What the text uses is found later.

use crate::config::{Code, Diagnostic, Reported};
use crate::model::{AbsPath, FileSpec, Millis, Mode, OnChange, Spec, UnitName, UnitSpec};

use super::super::reader::Reader;
use super::file::content;

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
    let said = reader.said();
    if let Some(content) = content? {
        let path = AbsPath::new(format!("{DIRECTORY}/{unit}")).map_err(|_| Reported)?;
        let file = FileSpec {
            path,
            content,
            owner: "root".to_owned(),
            group: "root".to_owned(),
            mode: Mode::from_bits(0o644),
            validate: None,
            sensitive: false,
            seed: false,
        };
        let written = ["text", "file", "template"]
            .into_iter()
            .find(|field| reader.declaration.get(field).is_some());
        let span = reader.key(written.unwrap_or("text"));
        reader.declare(Spec::File(file), span, Vec::new());
    }
    let (enabled, active) = (enabled?, active?);
    if unit.as_str().contains("@.")
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
