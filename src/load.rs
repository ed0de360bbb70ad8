//! The project on disk: finds its root, and reads host files, modules and local files. It does not look into them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

/// The largest local file that a host can be given, in bytes: a plan travels in one message with all files that it writes.
const LOCAL_FILE_BYTES: u64 = 32 << 20;

/// The largest host file or module that is read, in bytes. The language refuses what is this large with a finding of its own.
const CONFIG_FILE_BYTES: u64 = (4 << 20) + 1;

/// Why a project could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no project.
    #[error("there is no project at or above {}: no directory hosts/", from.display())]
    NoProject {
        /// Where it was looked for.
        from: PathBuf,
    },
    /// A file or directory cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn cannot_read(path: &Path) -> impl FnOnce(io::Error) -> LoadError {
    let path = path.to_owned();
    move |source| LoadError::Read { path, source }
}

/// The root of the project: the directory given, or the nearest one at or above the current directory that has `hosts/`.
///
/// # Errors
/// [`LoadError::NoProject`], or [`LoadError::Read`] where the current directory is gone.
pub fn root(given: Option<&Path>) -> Result<PathBuf, LoadError> {
    let has_hosts = |directory: &Path| directory.join("hosts").is_dir();
    match given {
        Some(given) if has_hosts(given) => Ok(given.to_owned()),
        Some(given) => Err(LoadError::NoProject { from: given.to_owned() }),
        None => {
            let here = std::env::current_dir().map_err(cannot_read(Path::new(".")))?;
            let found = here.ancestors().find(|directory| has_hosts(directory));
            found.map(Path::to_owned).ok_or(LoadError::NoProject { from: here })
        }
    }
}

/// Every host file, group and module, by path relative to the root with forward slashes.
///
/// # Errors
/// [`LoadError::Read`] for the first file that cannot be read.
pub fn config(root: &Path) -> Result<BTreeMap<String, Vec<u8>>, LoadError> {
    let mut files = BTreeMap::new();
    read_toml(root, "hosts", false, &mut files)?;
    if root.join("groups").is_dir() {
        read_toml(root, "groups", false, &mut files)?;
    }
    if root.join("modules").is_dir() {
        read_toml(root, "modules", true, &mut files)?;
    }
    Ok(files)
}

fn read_toml(root: &Path, directory: &str, deep: bool, files: &mut BTreeMap<String, Vec<u8>>) -> Result<(), LoadError> {
    let path = root.join(directory);
    for entry in fs::read_dir(&path).map_err(cannot_read(&path))? {
        let entry = entry.map_err(cannot_read(&path))?;
        // Names that are not UTF-8, and hidden ones such as an editor's, are nobody's host or module.
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        let relative = format!("{directory}/{name}");
        // `file_type` does not follow links, so that a link to a directory above cannot make this endless.
        let is_directory = entry.file_type().map_err(cannot_read(&entry.path()))?.is_dir();
        if is_directory && deep {
            read_toml(root, &relative, deep, files)?;
        } else if !is_directory && name.ends_with(".toml") {
            let bytes = read_up_to(&entry.path(), CONFIG_FILE_BYTES).map_err(cannot_read(&entry.path()))?;
            files.insert(relative, bytes);
        }
    }
    Ok(())
}

fn read_up_to(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The local files below `files/`, which host files and modules name.
#[derive(Clone, Debug)]
pub struct LocalDirectory {
    files: PathBuf,
}

/// Why a local file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// There is none of that path.
    #[error("there is no such file")]
    Missing,
    /// The path leads out of `files/`, itself or by a link.
    #[error("it lies outside of files/")]
    Outside,
    /// It is a directory, a device or the like.
    #[error("it is no regular file")]
    NotAFile,
    /// It is larger than a host can be given.
    #[error("it is larger than {} MiB", LOCAL_FILE_BYTES >> 20)]
    TooLarge,
    /// The system says no.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
}

impl LocalDirectory {
    /// The local files of the project with this root.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        Self {
            files: root.join("files"),
        }
    }

    /// The bytes of one file, by path relative to `files/`.
    ///
    /// # Errors
    /// [`LocalError`].
    pub fn bytes(&self, path: &str) -> Result<Vec<u8>, LocalError> {
        let relative = Path::new(path);
        if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(LocalError::Outside);
        }
        let real = self.files.join(relative).canonicalize().map_err(not_there)?;
        let inside = self.files.canonicalize().map_err(not_there)?;
        if !real.starts_with(inside) {
            return Err(LocalError::Outside);
        }
        // Before it is opened: opening a FIFO would wait for ever.
        if !fs::metadata(&real).map_err(not_there)?.is_file() {
            return Err(LocalError::NotAFile);
        }
        let bytes = read_up_to(&real, LOCAL_FILE_BYTES + 1).map_err(not_there)?;
        if bytes.len() as u64 > LOCAL_FILE_BYTES {
            return Err(LocalError::TooLarge);
        }
        Ok(bytes)
    }

    /// The paths of all files there are, relative to `files/`; what cannot be listed is left out.
    #[must_use]
    pub fn list(&self) -> Vec<String> {
        let mut paths = Vec::new();
        let mut open = vec![self.files.clone()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    open.push(entry.path());
                } else if let Some(path) = entry.path().strip_prefix(&self.files).ok().and_then(Path::to_str) {
                    paths.push(path.to_owned());
                }
            }
        }
        paths.sort();
        paths
    }
}

fn not_there(error: io::Error) -> LocalError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => LocalError::Missing,
        _ => LocalError::Read(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn project() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for directory in ["hosts", "groups", "modules/net", "files/app"] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        for (path, text) in [
            ("hosts/web-1.toml", "a"),
            ("hosts/.#web-1.toml", "an editor's lock"),
            ("hosts/README.md", "no host"),
            ("groups/bot.toml", "g"),
            ("modules/base.toml", "b"),
            ("modules/net/dns.toml", "c"),
            ("files/app/config", "d"),
            ("secret", "outside"),
        ] {
            fs::write(root.path().join(path), text).unwrap();
        }
        root
    }

    #[test]
    fn hosts_and_modules_are_found_and_nothing_else() {
        let project = project();
        symlink("..", project.path().join("modules/loop")).unwrap();
        let files = config(project.path()).unwrap();
        let paths: Vec<_> = files.keys().map(String::as_str).collect();
        let expected = [
            "groups/bot.toml",
            "hosts/web-1.toml",
            "modules/base.toml",
            "modules/net/dns.toml",
        ];
        assert_eq!(paths, expected);
        assert_eq!(files["modules/net/dns.toml"], b"c");
    }

    #[test]
    fn local_files_end_where_their_directory_does() {
        let project = project();
        let files = LocalDirectory::of(project.path());
        assert_eq!(files.bytes("app/config").unwrap(), b"d");
        assert_eq!(files.list(), ["app/config"]);
        symlink("app/config", project.path().join("files/inside")).unwrap();
        assert_eq!(files.bytes("inside").unwrap(), b"d");
        symlink("../secret", project.path().join("files/outside")).unwrap();
        for path in ["outside", "../secret", "/etc/passwd", "app/../../secret", "."] {
            assert!(matches!(files.bytes(path), Err(LocalError::Outside)), "{path}");
        }
        assert!(matches!(files.bytes("app"), Err(LocalError::NotAFile)));
        for path in ["none", "app/config/below"] {
            assert!(matches!(files.bytes(path), Err(LocalError::Missing)), "{path}");
        }
    }

    #[test]
    fn a_given_root_must_be_one() {
        let project = project();
        assert_eq!(root(Some(project.path())).unwrap(), project.path());
        let inner = project.path().join("modules");
        assert!(matches!(root(Some(&inner)), Err(LoadError::NoProject { .. })));
    }
}
