//! What a tree of files looks like from outside: names, types, owners, permissions, sizes and times, in one digest. It
//! reads no content, so that looking at tens of thousands of files takes no longer than listing them.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use provision_core::model::Digest;

/// The digest of a tree. Whoever edits a file, adds one or takes one away changes it; who only reads does not.
///
/// # Errors
/// Where something cannot be listed.
pub(crate) fn seal_of(root: &Path) -> io::Result<Digest> {
    let mut lines = Vec::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let path = entry.path();
            let meta = fs::symlink_metadata(&path)?;
            let below = path.strip_prefix(root).unwrap_or(&path);
            let mut line = below.as_os_str().as_bytes().to_vec();
            line.push(0);
            line.extend(format!("{:o} {} {}", meta.mode(), meta.uid(), meta.gid()).into_bytes());
            if meta.is_symlink() {
                line.push(0);
                line.extend(fs::read_link(&path)?.as_os_str().as_bytes());
            } else if meta.is_dir() {
                directories.push(path);
            } else {
                line.extend(format!(" {} {}.{}", meta.size(), meta.mtime(), meta.mtime_nsec()).into_bytes());
            }
            lines.push(line);
        }
    }
    lines.sort_unstable();
    let mut hasher = Digest::hasher();
    for line in lines {
        hasher.update(&(line.len() as u64).to_le_bytes());
        hasher.update(&line);
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn every_edit_breaks_the_seal_and_reading_does_not() {
        let scratch = Scratch::new();
        let root = scratch.path().join("tree");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/f"), "one").unwrap();
        symlink("f", root.join("a/b/l")).unwrap();
        let mut seen = vec![seal_of(&root).unwrap()];
        let _ = fs::read(root.join("a/b/f")).unwrap();
        assert_eq!(seal_of(&root).unwrap(), seen[0]);
        let edits: [&dyn Fn(); 6] = [
            &|| fs::write(root.join("a/b/f"), "two").unwrap(),
            &|| fs::write(root.join("a/new"), "").unwrap(),
            &|| fs::set_permissions(root.join("a/new"), fs::Permissions::from_mode(0o600)).unwrap(),
            &|| fs::remove_file(root.join("a/b/l")).unwrap(),
            &|| symlink("elsewhere", root.join("a/b/l")).unwrap(),
            &|| fs::create_dir(root.join("empty")).unwrap(),
        ];
        for edit in edits {
            // A file system may count time in milliseconds.
            std::thread::sleep(std::time::Duration::from_millis(10));
            edit();
            let now = seal_of(&root).unwrap();
            assert!(!seen.contains(&now));
            seen.push(now);
        }
    }
}
