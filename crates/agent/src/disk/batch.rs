//! Many of the agent's own files at once, made durable together: one flush of the file system instead of two for each file.
//! It never writes into an existing file.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;

use provision_core::model::Mode;
use rustix::fs::OFlags;

use super::resolve::open_parent_of;
use super::write::{Attributes, Special, Staged, WriteError, set_on, sync_directory};

/// Writes files of these names into one directory, owned by whom the agent runs as, with mode 0600. When this returns, all of
/// them are on the disk; a name is never seen before its content is.
///
/// # Errors
/// [`WriteError`]; what is not in place yet is gone then.
pub(crate) fn write_states(directory: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<(), WriteError> {
    let failed = |doing, name: &str| {
        let path = directory.join(name);
        move |source: io::Error| WriteError::Io { doing, path, source }
    };
    let parent = open_parent_of(&directory.join("any")).map_err(|source| WriteError::Parent {
        path: directory.to_owned(),
        source,
    })?;
    let own = Attributes {
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        mode: Mode::from_bits(0o600),
    };
    let mut staged_files = Vec::with_capacity(files.len());
    for (name, bytes) in files {
        let (staged, mut file) = Staged::file(&parent).map_err(failed("stage a copy of", name))?;
        set_on(&file, &own, Special::With).map_err(failed("set owner and mode of the staged copy of", name))?;
        file.write_all(bytes)
            .map_err(failed("write the staged copy of", name))?;
        staged_files.push((staged, name));
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(&parent.dir, c".", flags, rustix::fs::Mode::empty())
        .and_then(rustix::fs::syncfs)
        .map_err(|error| failed("make durable the staged copies in", "")(error.into()))?;
    for (staged, name) in staged_files {
        staged
            .rename_to(&name.into())
            .map_err(failed("move the staged copy into place as", name))?;
    }
    sync_directory(&parent.dir).map_err(|source| WriteError::NotDurable {
        path: directory.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn all_are_there_for_their_owner_alone_and_nothing_else_is() {
        let scratch = Scratch::new();
        let files: BTreeMap<String, Vec<u8>> = (0..9).map(|number| (format!("{number}"), vec![number; 9])).collect();
        write_states(scratch.path(), &files).unwrap();
        for (name, bytes) in &files {
            let path = scratch.path().join(name);
            assert_eq!(fs::read(&path).unwrap(), *bytes);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        }
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), files.len());
    }

    #[test]
    fn where_one_cannot_be_put_in_place_no_staged_copy_is_left() {
        let scratch = Scratch::new();
        fs::create_dir(scratch.path().join("b")).unwrap();
        let files = ["a", "b", "c"].map(|name| (name.to_owned(), name.into())).into();
        assert!(write_states(scratch.path(), &files).is_err());
        let mut left: Vec<_> = fs::read_dir(scratch.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["a", "b"]);
    }
}
