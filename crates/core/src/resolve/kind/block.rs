//! Blocks: lines of ours in a file that belongs to others. What else is in that file is not asked.

use crate::config::{Code, Diagnostic, OwnerName, Reported};
use crate::model::{BlockSpec, Mode, Spec, block_name, find_block};
use crate::wire::limits::DIFF_TEXT_BYTES;

use super::super::reader::Reader;
use super::file::content;

/// What begins a comment in most configuration files.
const COMMENT: &str = "#";

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let (path, own) = block_name(&name.value).ok_or(Reported)?;
    let content = content(reader);
    let comment = reader.optional::<String>("comment");
    let owner = reader.optional::<OwnerName>("owner");
    let group = reader.optional::<OwnerName>("group");
    let mode = reader.optional::<Mode>("mode");
    let said = reader.said();
    let content = content?.ok_or(Reported)?;
    let Some(text) = reader.declarations.text(&content).map(str::to_owned) else {
        let message = "a block is text, and this is not";
        return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, name.span, "")));
    };
    let comment = comment?;
    let bad = |comment: &&crate::config::Spanned<String>| {
        comment.value.is_empty()
            || comment
                .value
                .chars()
                .any(|c| c.is_alphanumeric() || c.is_control() || c == ' ')
    };
    if let Some(comment) = comment.as_ref().filter(bad) {
        let message = "what begins a comment is punctuation, such as \"#\", \";\" or \"//\"";
        return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, comment.span, "")));
    }
    let spec = BlockSpec {
        name: own.to_owned(),
        path,
        text: if text.is_empty() || text.ends_with('\n') {
            text
        } else {
            text + "\n"
        },
        comment: comment.map_or_else(|| COMMENT.to_owned(), |comment| comment.value),
        owner: owner?.map(|owner| owner.value.0),
        group: group?.map(|group| group.value.0),
        mode: mode?.map(|mode| mode.value),
    };
    let lines = spec.lines();
    let span = name.span;
    if lines.len() as u64 > DIFF_TEXT_BYTES {
        let message = format!(
            "a block is at most {DIFF_TEXT_BYTES} bytes long, and this has {}",
            lines.len()
        );
        let diagnostic = Diagnostic::error(Code::InvalidValue, message, span, "");
        return Err(reader.report(diagnostic.help("make it a file of its own")));
    }
    if find_block(lines.as_bytes(), &spec.name) != Ok(Some(0..lines.len())) {
        let message = "the block's text holds the markers of the block itself";
        let diagnostic = Diagnostic::error(Code::InvalidValue, message, span, "");
        return Err(reader.report(
            diagnostic
                .because("nobody could tell where it ends")
                .help("leave the lines \"begin provision …\" and \"end provision …\" out: they are added"),
        ));
    }
    reader.declare(Spec::Block(spec), span, said?);
    Ok(())
}
