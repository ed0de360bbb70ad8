//! Kernel parameters: the live value, and the file that keeps it over a reboot. Which keys the kernel has is not known.

use std::collections::BTreeMap;

use crate::config::{Code, Diagnostic, Reported, Scalar, Span, Value};
use crate::model::{AbsPath, DependencyReason, FileSpec, Kind, Mode, ResourceId, Spec, SysctlSpec};

use super::super::declared::{Declarations, Said, Sysctl, Whose};
use super::super::local::made;
use super::super::reader::Reader;

/// Where keys go that name no file. 60 comes after the distribution's own, and before `99-sysctl.conf`.
const FILE: &str = "/etc/sysctl.d/60-provision.conf";

/// The directory that systemd-sysctl reads for what the administrator sets.
const DIRECTORY: &str = "/etc/sysctl.d/";

/// A value: the kernel takes numbers and words.
struct Setting(String);

impl Scalar for Setting {
    const NOUN: &'static str = "a text or an integer";

    fn from_text(text: &str) -> Result<Self, crate::config::Problem> {
        let words: Vec<_> = text.split_whitespace().collect();
        if words.is_empty() || text.chars().any(|c| c.is_control() && c != '\t') {
            return Err(crate::config::Problem::invalid(
                "a kernel parameter's value is one line, and not empty",
            ));
        }
        Ok(Self(words.join(" ")))
    }

    fn from_value(value: &Value) -> Result<Self, crate::config::Problem> {
        match value {
            Value::Integer(number) => Ok(Self(number.to_string())),
            Value::String(text) => Self::from_text(text),
            other => Err(crate::config::Problem::wrong_type(Self::NOUN, other)),
        }
    }
}

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let value = reader.required::<Setting>("value");
    let file = reader.optional::<AbsPath>("file")?;
    let value = value?.value.0;
    let file = match file {
        Some(file) if read_at_boot(&file.value) => file.value,
        Some(file) => {
            let message = format!("`{}` would not be read at boot", file.value);
            let diagnostic = Diagnostic::error(Code::InvalidValue, message, file.span, "");
            let why = "systemd-sysctl reads the files of /etc/sysctl.d whose names end in .conf";
            let stem = file.value.file_name().trim_end_matches(".conf");
            return Err(reader.report(
                diagnostic
                    .because(why)
                    .help(format!("write \"{DIRECTORY}{stem}.conf\"")),
            ));
        }
        None => AbsPath::new(FILE).map_err(|_| Reported)?,
    };
    let sysctl = Sysctl {
        value,
        file,
        span: name.span,
        weak: reader.declarations.whose == Whose::Group,
    };
    reader
        .declarations
        .declare_sysctl(name.value, sysctl, reader.renderer.found);
    Ok(())
}

fn read_at_boot(file: &AbsPath) -> bool {
    let name = file.as_str().strip_prefix(DIRECTORY);
    name.is_some_and(|name| name.ends_with(".conf") && !name.contains('/') && name.len() > ".conf".len())
}

/// Declares the live values, and each file after all the keys that it keeps. In this order a power cut between the two loses
/// nothing: the kernel then starts with what it had before. The other way round it would start with our value, and nobody
/// could tell what had been there.
pub(super) fn finish(declarations: &mut Declarations, found: &mut Vec<Diagnostic>) {
    let sysctls = std::mem::take(&mut declarations.sysctls);
    let mut files: BTreeMap<AbsPath, Kept> = BTreeMap::new();
    for (key, sysctl) in &sysctls {
        let kept = files
            .entry(sysctl.file.clone())
            .or_insert_with(|| Kept::at(sysctl.span));
        kept.text.push_str(&format!("{key} = {}\n", sysctl.value));
        kept.span = kept.span.min(sysctl.span);
        kept.after.push(Said {
            on: crate::config::Spanned::new(ResourceId::new(Kind::Sysctl, key.as_str()), sysctl.span),
            reason: DependencyReason::After,
        });
    }
    for (path, Kept { text, span, after }) in files {
        let (blob, content) = made(text);
        declarations.keep(&blob, content);
        let id = ResourceId::new(Kind::File, path.as_str());
        if let Some(there) = declarations.resources.get(&id) {
            let message = format!("`{path}` is declared as a file, and keeps kernel parameters");
            let diagnostic = Diagnostic::error(Code::TwoOwners, message, there.span, "as a file");
            let help = "give the parameters a file of their own: { value = …, file = \"/etc/sysctl.d/70-NAME.conf\" }";
            found.push(diagnostic.also(span, "kept in it").help(help));
            continue;
        }
        let spec = FileSpec {
            path,
            content,
            owner: "root".to_owned(),
            group: "root".to_owned(),
            mode: Mode::from_bits(0o644),
            validate: None,
            sensitive: false,
            private: false,
            seed: false,
        };
        declarations.declare(Spec::File(spec), span, after, found);
    }
    for (key, Sysctl { value, span, .. }) in sysctls {
        declarations.declare(Spec::Sysctl(SysctlSpec { key, value }), span, Vec::new(), found);
    }
}

/// A file that keeps kernel parameters.
struct Kept {
    text: String,
    /// Where the first of them is declared.
    span: Span,
    after: Vec<Said>,
}

impl Kept {
    fn at(span: Span) -> Self {
        Self {
            text: "# Written by provision; what is changed here by hand is changed back.\n".to_owned(),
            span,
            after: Vec::new(),
        }
    }
}
