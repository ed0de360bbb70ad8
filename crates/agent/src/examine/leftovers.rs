//! What `provision` itself left behind that nothing uses any more: agents that should have ended, files that were never
//! finished. It removes nothing.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use provision_core::model::{HostText, Leftover, Spec};

use super::LookError;
use super::processes::Walk;
use crate::disk::is_temp_name;
use crate::layout::Layout;
use crate::{generations, lock};

/// After which time an agent is no longer at work: a session that hears nothing ends after an hour.
const OLD: Duration = Duration::from_secs(2 * 60 * 60);

/// After which time a file that is being written is no longer being written.
const STALE: Duration = Duration::from_secs(10 * 60);

/// Finds them.
pub(super) fn find(layout: &Layout, walk: &Walk) -> Result<Vec<Leftover>, LookError> {
    walk.sound()?;
    let mut found = Vec::new();
    let holder = lock::holder(&layout.lock()).ok().flatten().map(|holder| holder.pid);
    let agents = layout.root().join("agents");
    for seen in walk.processes.values() {
        let is_agent = Path::new(&seen.program).starts_with(&agents);
        let pid = seen.process.pid;
        if is_agent && seen.age > OLD.as_secs() && pid != std::process::id() && Some(pid) != holder {
            found.push(Leftover::Agent {
                process: seen.process.clone(),
                age: seen.age,
            });
        }
    }
    let mut files = unfinished(&agents, 2, |name| name.starts_with(b".upload."))?;
    // While somebody applies, what is being written is theirs.
    if holder.is_none() {
        for directory in written_to(layout) {
            files.extend(unfinished(&directory, 1, is_temp_name)?);
        }
    }
    found.extend(
        files
            .into_iter()
            .map(|path| Leftover::File(HostText::new(path.to_string_lossy()))),
    );
    Ok(found)
}

/// Directories that the newest generation has files in.
fn written_to(layout: &Layout) -> Vec<PathBuf> {
    let receipt = generations::load(layout).ok().and_then(|standing| standing.receipt);
    let specs = receipt.iter().flat_map(|receipt| receipt.entries.values());
    let mut directories: Vec<_> = specs
        .filter_map(|entry| {
            let Spec::File(file) = &entry.spec else { return None };
            Path::new(file.path.as_str()).parent().map(Path::to_owned)
        })
        .collect();
    directories.sort();
    directories.dedup();
    directories
}

/// Old files in a directory, and in those below it down to a depth, whose names say that they were never finished.
fn unfinished(at: &Path, depth: usize, is: fn(&[u8]) -> bool) -> Result<Vec<PathBuf>, LookError> {
    let error = |source| LookError::Read {
        path: at.display().to_string(),
        source,
    };
    let entries = match fs::read_dir(at) {
        Ok(entries) => entries,
        Err(missing) if matches!(missing.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(source) => return Err(error(source)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(error)?;
        let path = entry.path();
        // What goes meanwhile is no leftover.
        let Ok(there) = entry.metadata() else { continue };
        if there.is_dir() && depth > 1 {
            found.extend(unfinished(&path, depth - 1, is)?);
        }
        let age = there
            .modified()
            .ok()
            .and_then(|at| SystemTime::now().duration_since(at).ok());
        if is(entry.file_name().as_encoded_bytes()) && age.is_some_and(|age| age > STALE) {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn what_was_never_finished_is_found_once_it_is_old() {
        let scratch = Scratch::new();
        let layout = Layout::below(scratch.path());
        let directory = scratch.path().join("agents/abc");
        fs::create_dir_all(&directory).unwrap();
        for (name, minutes) in [(".upload.aaaa", 60), (".upload.bbbb", 0), ("provision-agent", 60)] {
            let file = fs::File::create(directory.join(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(minutes * 60))
                .unwrap();
        }
        let walk = Walk {
            processes: std::collections::BTreeMap::new(),
            unseen: 0,
            failed: None,
        };
        let found = find(&layout, &walk).unwrap();
        let path = directory.join(".upload.aaaa");
        assert_eq!(found, [Leftover::File(HostText::new(path.to_str().unwrap()))]);
    }
}
