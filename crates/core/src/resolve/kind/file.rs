//! Files: content from a text, a local file or a template, and who may read it. It touches no file.

use crate::config::{LocalPath, OwnerName, Reported, Scalar, Span, Spanned};
use crate::model::{AbsPath, Content, FileSpec, Kind, Mode, ResourceId, Spec};

use super::super::declared::Declarations;
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
