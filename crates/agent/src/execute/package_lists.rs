//! The lists of what packages there are, as apt keeps them: whether there are any, and whether they are as new as what says
//! where they are from. It fetches none.

use std::fs;
use std::path::Path;

/// Where it is said which repositories there are.
const SOURCES: [&str; 3] = ["/etc/apt/sources.list", "/etc/apt/sources.list.d", "/etc/apt/keyrings"];
/// Where apt keeps what it fetched of them.
const LISTS: &str = "/var/lib/apt/lists";

/// Whether what says where lists are from was changed since they were fetched: of a new repository there are none yet, and
/// a package of it may be in an old one too, in another version.
pub(super) fn lists_are_older() -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let sources = SOURCES.iter().map(Path::new);
    let below = sources
        .clone()
        .flat_map(|path| fs::read_dir(path).into_iter().flatten().flatten());
    let newest = sources
        .filter_map(changed)
        .chain(below.filter_map(|entry| changed(&entry.path())))
        .max();
    newest.is_some_and(|newest| changed(Path::new(LISTS)).is_none_or(|fetched| fetched <= newest))
}

/// Notes that the lists are as new as can be: fetching finds nothing to write where the repositories have not changed.
pub(super) fn note_fetched() {
    let now = rustix::fs::Timespec {
        tv_sec: 0,
        tv_nsec: rustix::fs::UTIME_NOW,
    };
    let times = rustix::fs::Timestamps {
        last_access: now,
        last_modification: now,
    };
    // Where this fails, they are fetched once more next time.
    let _ = rustix::fs::utimensat(rustix::fs::CWD, LISTS, &times, rustix::fs::AtFlags::empty());
}

/// Whether apt has any list of packages. A fresh image has none.
pub(super) fn has_lists() -> bool {
    let entries = fs::read_dir(LISTS).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().contains("_Packages")
    })
}
