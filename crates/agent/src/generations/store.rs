//! The contents of files that generations can be taken back to, each kept once, under its digest, for root alone. What is declared
//! sensitive is never among them, but for what a person had in its place before. It knows no generation's number.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};

use provision_core::model::{AbsPath, Blob, Content, Digest, Entry, PathState, Plan, Receipt, Spec, State};

use super::GenerationError;
use crate::disk;
use crate::layout::Layout;
use crate::own_files::{self, OwnFileError};
use crate::secrets::Mask;

/// The longest file whose content is kept, in bytes: what a plan could bring back.
pub(crate) const CONTENT_BYTES: u64 = 64 << 20;

/// Keeps the bytes of a file that is about to be replaced. Where somebody has put a secret into it that is in the host's memory,
/// there would be one more copy of that on the disk: then it is not kept, and does not come back.
///
/// # Errors
/// [`GenerationError`].
pub(crate) fn keep(layout: &Layout, content: &Digest, bytes: &[u8]) -> Result<(), GenerationError> {
    let path = layout.stored(content);
    // It got its name when it was whole.
    if path.exists() {
        return Ok(());
    }
    if Mask::of_memory().is_some_and(|mask| mask.has(bytes)) {
        return Ok(());
    }
    own_files::make_directory(&layout.store())
        .and_then(|()| disk::write_state(&path, bytes).map_err(OwnFileError::Write))
        .map_err(GenerationError::Own)
}

/// Keeps what a plan brings, before it is known what comes of it: [`keep_applied`] has less to do then, and what no
/// generation turns out to need is swept like all else.
///
/// # Errors
/// [`GenerationError`]; none of what was missing is kept then.
pub(crate) fn keep_brought(layout: &Layout, plan: &Plan) -> Result<(), GenerationError> {
    let kept = names(layout)?;
    let files = plan.entries.values().flat_map(|entry| match &entry.spec {
        Spec::File(spec) if !spec.sensitive => vec![spec.content],
        Spec::Tree(spec) => spec.source.contents(),
        _ => Vec::new(),
    });
    let brought = files.filter_map(|content| {
        let name = content.sha256.to_string();
        let blob = plan.blobs.get(&content.sha256).filter(|_| !kept.contains(&name))?;
        Some((name, blob.bytes().to_vec()))
    });
    write(layout, &brought.collect())
}

/// Keeps what a generation left in files, as far as it is not kept yet: what its plan brought, and what was there already
/// as declared. All of it is made durable at once; what is more than memory should hold waits for the next generation.
///
/// # Errors
/// [`GenerationError`]; none of what was missing is kept then.
pub(crate) fn keep_applied(
    layout: &Layout,
    receipt: &Receipt,
    brought: &BTreeMap<Digest, Blob>,
) -> Result<(), GenerationError> {
    let kept = names(layout)?;
    let mut missing: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut room = CONTENT_BYTES;
    for entry in receipt.entries.values() {
        for (path, content) in files_of(&entry.spec) {
            let name = content.sha256.to_string();
            if content.size > room || kept.contains(&name) || missing.contains_key(&name) {
                continue;
            }
            let bytes = match brought.get(&content.sha256) {
                Some(blob) => Some(blob.bytes().to_vec()),
                // What cannot be read, or is no longer as it was left, is not what this generation was.
                None => disk::read_file(&path, CONTENT_BYTES).ok().flatten(),
            };
            if let Some(bytes) = bytes.filter(|bytes| Content::of(bytes) == content) {
                room -= content.size;
                missing.insert(name, bytes);
            }
        }
    }
    write(layout, &missing)
}

/// The contents that a resource can be brought back with, and where they are while it is as declared.
fn files_of(spec: &Spec) -> Vec<(AbsPath, Content)> {
    match spec {
        Spec::File(spec) if !spec.sensitive => vec![(spec.path.clone(), spec.content)],
        // What is installed can be installed again from these two.
        Spec::Tree(spec) => {
            let file = |(name, content)| Some((AbsPath::new(format!("{}/{name}", spec.path)).ok()?, content));
            spec.source.files().into_iter().filter_map(file).collect()
        }
        _ => Vec::new(),
    }
}

fn write(layout: &Layout, missing: &BTreeMap<String, Vec<u8>>) -> Result<(), GenerationError> {
    if missing.is_empty() {
        return Ok(());
    }
    own_files::make_directory(&layout.store())
        .and_then(|()| disk::write_states(&layout.store(), missing).map_err(OwnFileError::Write))
        .map_err(GenerationError::Own)
}

/// Those of these contents that are kept, and whole, until they are too many for one answer.
///
/// # Errors
/// [`GenerationError`] where one cannot be read.
pub(crate) fn read(
    layout: &Layout,
    wanted: &BTreeSet<Digest>,
    limit: u64,
) -> Result<BTreeMap<Digest, Blob>, GenerationError> {
    let mut found = BTreeMap::new();
    let mut room = limit;
    for digest in wanted {
        let path = layout.stored(digest);
        let failed = |source: io::Error| {
            GenerationError::Own(OwnFileError::Read {
                path: path.clone(),
                source,
            })
        };
        let size = match fs::metadata(&path) {
            Ok(meta) => meta.len(),
            Err(missing) if missing.kind() == ErrorKind::NotFound => continue,
            Err(source) => return Err(failed(source)),
        };
        if size > room {
            continue;
        }
        let bytes = fs::read(&path).map_err(failed)?;
        // A damaged one is as good as none.
        if Digest::of(&bytes) == *digest {
            room -= size;
            found.insert(*digest, Blob::from(bytes));
        }
    }
    Ok(found)
}

/// The digests of what is kept, as they are written in names of files.
pub(super) fn names(layout: &Layout) -> Result<BTreeSet<String>, GenerationError> {
    let names = own_files::names(&layout.store()).map_err(GenerationError::Own)?;
    Ok(names.into_iter().collect())
}

/// The contents that a receipt points to: what it left, and what was there before.
pub(super) fn contents(receipt: &Receipt) -> impl Iterator<Item = Content> {
    receipt.entries.values().flat_map(|entry| {
        let left = files_of(&entry.spec).into_iter().map(|(_, content)| content);
        left.chain(original(entry))
    })
}

fn original(entry: &Entry) -> Option<Content> {
    match &entry.original {
        Some(State::Path(PathState::File { content, .. })) => Some(*content),
        _ => None,
    }
}

/// Removes what no generation that is kept needs.
pub(super) fn sweep(layout: &Layout, needed: &BTreeSet<Digest>) -> Result<(), GenerationError> {
    for name in names(layout)? {
        if name.parse().is_ok_and(|digest: Digest| !needed.contains(&digest)) {
            own_files::remove_file(&layout.store().join(name)).map_err(GenerationError::Own)?;
        }
    }
    Ok(())
}
