//! Files: content from a text, a local file or a template, and who may read it. It touches no file.

use crate::config::{Code, Diagnostic, LocalPath, OwnerName, Reported, Scalar, Span, Spanned};
use crate::model::{AbsPath, Content, FileSpec, Kind, Mode, ResourceId, Spec};

use super::super::declared::Declarations;
use super::super::json_schema;
use super::super::local::made;
use super::super::reader::Reader;
use super::super::render::Written;

/// Read by everybody, written by root: what nearly every configuration file is.
const MODE: Mode = Mode::from_bits(0o644);

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let path = AbsPath::new(name.value).map_err(|_| Reported)?;
    let content = content(reader);
    let owners = owners(reader);
    let mode = reader.optional::<Mode>("mode");
    let validate = reader.list::<String>("validate");
    let sensitive = reader.optional::<bool>("sensitive");
    let seed = reader.optional::<bool>("seed");
    let schema = reader.optional::<LocalPath>("schema");
    if let (Ok(Some(content)), Ok(Some(schema))) = (&content, schema) {
        fits(reader, content, schema.map(|path| path.0))?;
    }
    let said = reader.said();
    let (owner, group) = owners?;
    let mode = mode?.map_or(MODE, |mode| mode.value);
    let sensitive = sensitive?;
    let validate: Vec<_> = validate?.into_iter().map(|word| word.value).collect();
    let spec = FileSpec {
        path,
        content: content?.ok_or(Reported)?,
        owner,
        group,
        mode,
        validate: (!validate.is_empty()).then_some(validate),
        sensitive: sensitive.as_ref().is_some_and(|sensitive| sensitive.value),
        // What others may not read on the host should not be read in a terminal's history either.
        private: sensitive.is_none() && !mode.others_read(),
        seed: seed?.is_some_and(|seed| seed.value),
    };
    let span = name.span;
    reader.declare(Spec::File(spec), span, said?);
    Ok(())
}

/// The content that `text`, `file` or `template` gives; `None` where none of them is written.
pub(in crate::resolve) fn content(reader: &mut Reader<'_, '_, '_>) -> Result<Option<Content>, Reported> {
    if let Some(text) = reader.optional::<String>("text")? {
        let (blob, content) = made(text.value);
        reader.declarations.keep(&blob, content);
        return Ok(Some(content));
    }
    if let Some(path) = reader.optional::<LocalPath>("file")? {
        let path = path.map(|path| path.0);
        let local = reader.locals.file(&path, reader.renderer.found)?;
        reader.declarations.keep(&local.blob, local.content);
        return Ok(Some(local.content));
    }
    if let Some(path) = reader.optional::<LocalPath>("template")? {
        let text = template(reader, &path.map(|path| path.0))?;
        let (blob, content) = made(text);
        reader.declarations.keep(&blob, content);
        return Ok(Some(content));
    }
    Ok(None)
}

/// How many flaws of one file are told.
const TOLD: usize = 20;

/// Reports what of a content does not fit a schema.
fn fits(reader: &mut Reader<'_, '_, '_>, content: &Content, path: Spanned<String>) -> Result<(), Reported> {
    let local = reader.locals.file(&path, reader.renderer.found)?;
    let schema = serde_json::from_slice(local.blob.bytes());
    let written = ["text", "file", "template"]
        .into_iter()
        .find(|field| reader.declaration.get(field).is_some());
    let span = reader.key(written.unwrap_or("schema"));
    let text = reader.declarations.text(content).unwrap_or_default().to_owned();
    let document: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
        let message = format!("the content is not JSON, which its schema is for: {error}");
        reader.report(Diagnostic::error(Code::SchemaMismatch, message, span, "").also(path.span, "its schema"))
    })?;
    let flaws = schema
        .map_err(|error| error.to_string())
        .and_then(|schema| json_schema::flaws(&schema, &document));
    let flaws = flaws.map_err(|reason| {
        let message = format!("`files/{}` cannot be used as a schema: {reason}", path.value);
        reader.report(Diagnostic::error(Code::SchemaMismatch, message, path.span, ""))
    })?;
    let mut result = Ok(());
    for flaw in flaws.into_iter().take(TOLD) {
        let at = if flaw.path.is_empty() {
            "the content"
        } else {
            &format!("`{}`", flaw.path)
        };
        let place = place_of_key(reader, written, &flaw.path);
        let diagnostic = Diagnostic::error(
            Code::SchemaMismatch,
            format!("{at} {}", flaw.message),
            place.unwrap_or(span),
            "",
        );
        let why = format!("`files/{}` says what the program of this version takes", path.value);
        result = Err(reader.report(diagnostic.also(path.span, "its schema").because(why).help_if(flaw.help)));
    }
    result
}

/// Where the last key of a path stands in the template that the content came from, if it stands there once; else where that
/// template begins.
fn place_of_key(reader: &mut Reader<'_, '_, '_>, written: Option<&str>, path: &str) -> Option<Span> {
    if written != Some("template") {
        return None;
    }
    let local = reader.optional::<LocalPath>("template").ok()??.map(|path| path.0);
    let renderer = &mut *reader.renderer;
    let source = reader.locals.template(&local, renderer.sources, renderer.found).ok()?;
    let text = renderer.sources.text(source);
    let quoted = format!("\"{}\"", path.rsplit('.').next().unwrap_or(""));
    let is_key = |at: &usize| {
        let rest = text.get(at + quoted.len()..).unwrap_or("");
        rest.trim_start().starts_with(':')
    };
    let mut places = text.match_indices(&quoted).map(|(at, _)| at).filter(is_key);
    let range = match (places.next(), places.next()) {
        (Some(at), None) => at..at + quoted.len(),
        _ => 0..text.len().min(1),
    };
    Some(Span::new(source, range))
}

fn template(reader: &mut Reader<'_, '_, '_>, path: &Spanned<String>) -> Result<String, Reported> {
    let renderer = &mut *reader.renderer;
    let source = reader.locals.template(path, renderer.sources, renderer.found)?;
    let text = renderer.sources.text(source).to_owned();
    let written = Written {
        text: &text,
        span: Span::new(source, 0..text.len()),
        offset: 0,
        quoted: false,
    };
    renderer.text(written, reader.scope)
}

/// Owner and group of a file or directory.
pub(super) fn owners(reader: &mut Reader<'_, '_, '_>) -> Result<(String, String), Reported> {
    let owner = reader.optional::<OwnerName>("owner");
    let group = reader.optional::<OwnerName>("group");
    let owner = owner?.map_or_else(|| "root".to_owned(), |owner| owner.value.0);
    let group = group?.map(|group| group.value.0);
    let group = group.unwrap_or_else(|| group_of(&owner, reader.declarations));
    Ok((owner, group))
}

/// The primary group of a managed user; else the group of the same name, which Debian makes for each user.
pub(in crate::resolve) fn group_of(owner: &str, declarations: &Declarations) -> String {
    let user = declarations.resources.get(&ResourceId::new(Kind::User, owner));
    match user.map(|user| &user.spec) {
        Some(Spec::User(user)) => user.group.clone().unwrap_or_else(|| owner.to_owned()),
        _ => owner.to_owned(),
    }
}

/// A path field as text.
pub(super) fn path<T: Scalar + Into<AbsPath>>(path: Option<Spanned<T>>) -> Option<AbsPath> {
    path.map(|path| path.value.into())
}
