//! Holds, lingering users and kernel modules: on or off. A module that is loaded is loaded at each boot, too.

use crate::config::{Code, Diagnostic, Reported};
use crate::model::{AbsPath, DependencyReason, FileSpec, Kind, Mode, ResourceId, Spec, Switch, SwitchSpec};

use super::super::declared::Said;
use super::super::local::made;
use super::super::reader::Reader;

/// What systemd-modules-load reads at boot.
const MODULES: &str = "/etc/modules-load.d";

pub(super) fn resolve(switch: Switch, reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let on = reader.required::<bool>("on");
    let said = reader.said();
    let (on, mut said) = (on?, said?);
    let span = name.span;
    if switch == Switch::KernelModule {
        if !on.value {
            let message = "a module that others may load cannot be kept out this way";
            let diagnostic = Diagnostic::error(Code::InvalidValue, message, on.span, "");
            let help = format!(
                "write a file: [files.\"/etc/modprobe.d/no-{0}.conf\"] text = \"install {0} /bin/false\\n\"",
                name.value
            );
            return Err(reader.report(diagnostic.help(help)));
        }
        let (blob, content) = made(format!("{}\n", name.value));
        reader.declarations.keep(&blob, content);
        let file = FileSpec {
            path: AbsPath::new(format!("{MODULES}/{}.conf", name.value)).map_err(|_| Reported)?,
            content,
            owner: "root".to_owned(),
            group: "root".to_owned(),
            mode: Mode::from_bits(0o644),
            validate: None,
            sensitive: false,
            private: false,
            seed: false,
        };
        let on = ResourceId::new(Kind::File, file.path.as_str());
        reader.declare(Spec::File(file), span, Vec::new());
        said.push(Said {
            on: crate::config::Spanned::new(on, span),
            reason: DependencyReason::After,
        });
    }
    let spec = SwitchSpec {
        switch,
        name: name.value,
        on: on.value,
    };
    reader.declare(Spec::Switch(spec), span, said);
    Ok(())
}
