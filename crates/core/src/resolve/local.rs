//! The local files that a configuration names, each read once. Where they come from is the caller's business.

use std::collections::HashMap;

use crate::config::{
    Code, Diagnostic, LocalFiles, MAX_SOURCE_BYTES, Reported, SourceId, SourceMap, Spanned, did_you_mean,
};
use crate::model::{Blob, Content, Digest};

/// A local file's bytes, and what they are.
#[derive(Clone)]
pub(super) struct Local {
    pub(super) blob: Blob,
    pub(super) content: Content,
}

/// The local files that were read so far.
pub(super) struct Locals<'a> {
    files: &'a dyn LocalFiles,
    read: HashMap<String, Result<Local, String>>,
    templates: HashMap<String, Result<SourceId, String>>,
}

impl<'a> Locals<'a> {
    pub(super) fn new(files: &'a dyn LocalFiles) -> Self {
        Self {
            files,
            read: HashMap::new(),
            templates: HashMap::new(),
        }
    }

    /// A file as it is.
    pub(super) fn file(&mut self, path: &Spanned<String>, found: &mut Vec<Diagnostic>) -> Result<Local, Reported> {
        let files = self.files;
        let read = self.read.entry(path.value.clone()).or_insert_with(|| {
            let bytes = files.read(&path.value).map_err(|error| error.to_string())?;
            let content = Content::of(&bytes);
            Ok(Local {
                blob: Blob::from(bytes),
                content,
            })
        });
        let result = read.clone();
        result.map_err(|reason| self.missing(path, &reason, Code::LocalFile, found))
    }

    /// A template's text, as a source that findings can point into.
    pub(super) fn template(
        &mut self,
        path: &Spanned<String>,
        sources: &mut SourceMap,
        found: &mut Vec<Diagnostic>,
    ) -> Result<SourceId, Reported> {
        if let Some(known) = self.templates.get(&path.value).cloned() {
            return known.map_err(|reason| self.missing(path, &reason, Code::NotText, found));
        }
        let Local { blob, .. } = self.file(path, found)?;
        let text = match std::str::from_utf8(blob.bytes()) {
            Ok(text) if text.len() <= MAX_SOURCE_BYTES => Ok(sources.add(format!("files/{}", path.value), text)),
            Ok(_) => Err(format!("a template is at most {} MiB", MAX_SOURCE_BYTES / 1024 / 1024)),
            Err(_) => Err("a template is text in UTF-8, and this is not; copy it as it is with `file`".to_owned()),
        };
        self.templates.insert(path.value.clone(), text.clone());
        text.map_err(|reason| self.missing(path, &reason, Code::NotText, found))
    }

    fn missing(&self, path: &Spanned<String>, reason: &str, code: Code, found: &mut Vec<Diagnostic>) -> Reported {
        let message = format!("`files/{}` cannot be used: {reason}", path.value);
        let paths = self.files.paths();
        let meant = path
            .value
            .strip_prefix("files/")
            .filter(|rest| paths.iter().any(|path| path == rest));
        let help = match meant {
            Some(rest) => Some(format!("the path is relative to files/ already: \"{rest}\"")),
            None if paths.contains(&path.value) => None,
            None => {
                let meant = did_you_mean(&path.value, paths.iter().map(String::as_str));
                Some(meant.unwrap_or_else(|| format!("create it: files/{}", path.value)))
            }
        };
        found.push(Diagnostic::error(code, message, path.span, "").help_if(help));
        Reported
    }
}

/// Bytes that were made here.
pub(super) fn made(text: String) -> (Blob, Content) {
    let content = Content {
        sha256: Digest::of(text.as_bytes()),
        size: text.len() as u64,
    };
    (Blob::from(text.into_bytes()), content)
}
