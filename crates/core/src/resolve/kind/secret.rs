//! Secrets: where the value is, and whose file it becomes. A module says whose, a host says where from, so that what they say
//! is put together before it is a resource; [`super::super::secrets`] does so.

use crate::config::{Code, Diagnostic, LocalPath, OwnerName, Reported, Spanned};
use crate::model::{AbsPath, Mode, SecretSource, UnitName};

use super::super::reader::Reader;
use super::super::render::Written;
use super::super::secrets::{Draft, DraftContent, Given};

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let content = content(reader);
    let key = reader.optional::<String>("key");
    let owner = reader.optional::<OwnerName>("owner");
    let group = reader.optional::<OwnerName>("group");
    let mode = reader.optional::<Mode>("mode");
    let path = reader.optional::<AbsPath>("path");
    let required = reader.optional::<bool>("required");
    let trim = reader.optional::<bool>("trim");
    let units = reader.list::<UnitName>("units");
    let shared = reader.optional::<bool>("shared");
    let deliver = reader.optional::<bool>("deliver");
    let mode = mode?;
    if let Some(mode) = mode.as_ref().filter(|mode| mode.value.others_read()) {
        let message = "everybody on the host could read this secret";
        let diagnostic = Diagnostic::error(Code::InvalidValue, message, mode.span, "read by others");
        let help = "name the user with owner = \"…\", or a group with group = \"…\" and mode = \"0440\"";
        return Err(reader.report(diagnostic.help(help)));
    }
    let whose = reader.declarations.whose;
    let draft = Draft {
        span: name.span,
        content: content?.map(|content| Given::new(content, whose)),
        key: Given::of(key?, whose),
        owner: Given::of(owner?.map(|owner| owner.map(|owner| owner.0)), whose),
        group: Given::of(group?.map(|group| group.map(|group| group.0)), whose),
        mode: Given::of(mode, whose),
        path: Given::of(path?, whose),
        required: Given::of(required?, whose),
        trim: Given::of(trim?, whose),
        shared: Given::of(shared?, whose),
        deliver: Given::of(deliver?, whose),
        units: units?.into_iter().map(|unit| (unit.value, unit.span)).collect(),
    };
    reader
        .declarations
        .declare_secret(name.value, draft, reader.renderer.found);
    Ok(())
}

/// What the file holds, as far as this declaration says.
fn content(reader: &mut Reader<'_, '_, '_>) -> Result<Option<Spanned<DraftContent>>, Reported> {
    let kept = |text: Spanned<String>, source: fn(String) -> SecretSource| {
        Some(text.map(|text| DraftContent::Kept(source(text))))
    };
    if let Some(id) = reader.optional::<String>("aws")? {
        let stage = reader.optional::<String>("stage")?.map(|stage| stage.value);
        let region = reader.optional::<String>("region")?.map(|region| region.value);
        let aws = |id| DraftContent::Kept(SecretSource::Aws { id, stage, region });
        check_aws(reader, &id)?;
        return Ok(Some(id.map(aws)));
    }
    if let Some(name) = reader.optional::<String>("age")? {
        return Ok(kept(name, |name| SecretSource::Age { name }));
    }
    if let Some(variable) = reader.optional::<String>("env")? {
        check_variable(reader, &variable)?;
        return Ok(kept(variable, |variable| SecretSource::Environment { variable }));
    }
    if reader.declaration.get("command").is_some() {
        let span = reader.key("command");
        let argv: Vec<_> = reader
            .list::<String>("command")?
            .into_iter()
            .map(|word| word.value)
            .collect();
        return Ok(Some(Spanned::new(
            DraftContent::Kept(SecretSource::Command { argv }),
            span,
        )));
    }
    if let Some(value) = reader.declaration.get("text") {
        let crate::config::Value::String(text) = &value.node.value else {
            return Err(Reported);
        };
        let written = Written {
            text,
            span: value.node.span,
            offset: 0,
            quoted: true,
        };
        let pieces = reader.renderer.secret_text(written, reader.scope)?;
        return Ok(Some(Spanned::new(DraftContent::Text(pieces), value.node.span)));
    }
    if let Some(path) = reader.optional::<LocalPath>("template")? {
        let path = path.map(|path| path.0);
        let source = reader
            .locals
            .template(&path, reader.renderer.sources, reader.renderer.found)?;
        let text = reader.renderer.sources.text(source).to_owned();
        let written = Written {
            text: &text,
            span: crate::config::Span::new(source, 0..text.len()),
            offset: 0,
            quoted: false,
        };
        let pieces = reader.renderer.secret_text(written, reader.scope)?;
        return Ok(Some(Spanned::new(DraftContent::Text(pieces), path.span)));
    }
    Ok(None)
}

/// What Secrets Manager takes as a name (API reference, CreateSecret), or an ARN.
fn check_aws(reader: &mut Reader<'_, '_, '_>, id: &Spanned<String>) -> Result<(), Reported> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/_+=.@-:".contains(&b);
    if !id.value.is_empty() && id.value.len() <= 2048 && id.value.bytes().all(allowed) {
        return Ok(());
    }
    let diagnostic = Diagnostic::error(
        Code::InvalidValue,
        "this is not a name or ARN of a secret in AWS",
        id.span,
        "",
    );
    Err(reader.report(diagnostic.help("a name is of letters, digits and \"/_+=.@-\"; it is never the secret itself")))
}

fn check_variable(reader: &mut Reader<'_, '_, '_>, variable: &Spanned<String>) -> Result<(), Reported> {
    let first = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let mut bytes = variable.value.bytes();
    if bytes.next().is_some_and(first) && bytes.all(allowed) {
        return Ok(());
    }
    let diagnostic = Diagnostic::error(
        Code::InvalidValue,
        "this is not the name of a variable",
        variable.span,
        "",
    );
    Err(reader.report(diagnostic.help("write the name alone, such as \"DISCORD_TOKEN\", and never the secret itself")))
}
