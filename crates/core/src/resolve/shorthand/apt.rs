//! apt's own configuration: repositories with the key that signs them, and pins. Packages come after both; when lists are
//! fetched again is the agent's business.

use crate::config::{Code, Diagnostic, LocalPath, Reported, Spanned};
use crate::model::Spec;

use super::super::reader::Reader;
use super::{HEADER, after, file, one_line, one_word, text};

pub(super) fn repository(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let url = reader.required::<String>("url");
    let suites = reader.list::<String>("suites");
    let components = reader.list::<String>("components");
    let architectures = reader.list::<String>("architectures");
    let key = reader.required::<LocalPath>("key");
    let said = reader.said();
    let (url, suites, components, architectures) = (url?, suites?, components?, architectures?);
    for word in [&url]
        .into_iter()
        .chain(&suites)
        .chain(&components)
        .chain(&architectures)
    {
        one_word(reader, word)?;
    }
    if suites.is_empty() {
        let span = reader.key("suites");
        let message = "a repository without suites has no packages";
        return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, span, "")));
    }
    let flat = suites.iter().any(|suite| suite.value.ends_with('/'));
    if let (true, Some(component)) = (flat, components.first()) {
        let message = "a suite that ends in \"/\" is a path, and has no components";
        return Err(reader.report(Diagnostic::error(Code::ConflictingKeys, message, component.span, "")));
    }
    let key = key?.map(|path| path.0);
    let own = &name.value;
    let ending = match key.value.rsplit_once('.') {
        Some((_, ending @ ("asc" | "gpg"))) => ending.to_owned(),
        _ => {
            let message = "apt tells keys by the ending of their file";
            let diagnostic = Diagnostic::error(Code::InvalidValue, message, key.span, "");
            return Err(reader.report(diagnostic.help("let it end in .asc (armored) or .gpg (binary)")));
        }
    };
    let local = reader.locals.file(&key, reader.renderer.found)?;
    reader.declarations.keep(&local.blob, local.content);
    let keyring = file(format!("/etc/apt/keyrings/{own}.{ending}"), local.content)?;
    let mut source = format!("{HEADER}Types: deb\nURIs: {}\nSuites: {}\n", url.value, joined(&suites));
    if !flat {
        let main = "main".to_owned();
        let components = if components.is_empty() {
            main
        } else {
            joined(&components)
        };
        source += &format!("Components: {components}\n");
    }
    if !architectures.is_empty() {
        source += &format!("Architectures: {}\n", joined(&architectures));
    }
    source += &format!("Signed-By: {}\n", keyring.path);
    let content = text(reader, source);
    let source = Spec::File(file(format!("/etc/apt/sources.list.d/{own}.sources"), content)?);
    let keyring = Spec::File(keyring);
    let mut said = said?;
    reader.declare(keyring.clone(), name.span, said.clone());
    said.push(after(&keyring, name.span));
    reader.declare(source, name.span, said);
    Ok(())
}

pub(super) fn pin(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let packages = reader.list::<String>("packages");
    let pin = reader.required::<String>("pin");
    let priority = reader.required::<i64>("priority");
    let (packages, pin, priority) = (packages?, pin?, priority?);
    for package in &packages {
        one_word(reader, package)?;
    }
    one_line(reader, &pin)?;
    let known = ["version ", "release ", "origin "];
    if packages.is_empty() || !known.iter().any(|word| pin.value.starts_with(word)) {
        let message = "a pin is for at least one package, and says \"version …\", \"release …\" or \"origin …\"";
        return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, pin.span, "")));
    }
    if priority.value == 0 || i16::try_from(priority.value).is_err() {
        let message = "apt takes priorities from -32768 to 32767, and does not define 0";
        return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, priority.span, "")));
    }
    let content = text(
        reader,
        format!(
            "{HEADER}Package: {}\nPin: {}\nPin-Priority: {}\n",
            joined(&packages),
            pin.value.trim(),
            priority.value
        ),
    );
    let spec = file(format!("/etc/apt/preferences.d/{}", name.value), content)?;
    reader.declare(Spec::File(spec), name.span, Vec::new());
    Ok(())
}

fn joined(words: &[Spanned<String>]) -> String {
    let words: Vec<_> = words.iter().map(|word| word.value.as_str()).collect();
    words.join(" ")
}

/// The directories whose files say which packages there are. Packages are installed after what is declared in them.
pub(in crate::resolve) const APT_DIRECTORIES: [&str; 4] = [
    "/etc/apt/sources.list.d/",
    "/etc/apt/keyrings/",
    "/etc/apt/preferences.d/",
    "/etc/apt/apt.conf.d/",
];
