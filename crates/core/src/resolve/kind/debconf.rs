//! Answers to packages' questions. Whether a package asks the question, and takes the answer, shows on the host.

use crate::config::{Answer, Code, Diagnostic, PackageName, Reported, Scalar as _, finding};
use crate::model::{DebconfSpec, QuestionType, Spec};

use super::super::reader::Reader;

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let answer_type = reader.required::<QuestionType>("type");
    let package = reader.optional::<PackageName>("package");
    let written = reader.optional::<Answer>("value");
    let reconfigure = reader.optional::<bool>("reconfigure");
    let said = reader.said();
    let answer_type = answer_type?.value;
    let package = match package? {
        Some(package) => package.value.0,
        None => asked_by(reader, &name)?,
    };
    let value = match written? {
        Some(written) => written
            .value
            .of_type(answer_type)
            .map_err(|problem| reader.report(finding(problem, written.span)))?,
        None if answer_type.has_value() => {
            let message = format!("`{}` has no answer", name.value);
            let diagnostic = Diagnostic::error(Code::MissingKey, message, name.span, "`value` is missing here");
            return Err(reader.report(diagnostic.help("write value = …; only notes, texts and titles have none")));
        }
        None => String::new(),
    };
    let spec = DebconfSpec {
        question: name.value,
        package,
        answer_type,
        value,
        reconfigure: reconfigure?.is_some_and(|reconfigure| reconfigure.value),
    };
    reader.declare(Spec::Debconf(spec), name.span, said?);
    Ok(())
}

/// The package whose question it is: most are named after theirs.
fn asked_by(reader: &mut Reader<'_, '_, '_>, name: &crate::config::Spanned<String>) -> Result<String, Reported> {
    let package = name.value.split('/').next().unwrap_or_default();
    match PackageName::from_text(package) {
        Ok(package) => Ok(package.0),
        Err(_) => {
            let message = format!("which package asks `{}` cannot be seen", name.value);
            let diagnostic = Diagnostic::error(Code::MissingKey, message, name.span, "`package` is missing here");
            Err(reader.report(diagnostic.help(format!("`{package}` is no package's name: write package = \"NAME\""))))
        }
    }
}
