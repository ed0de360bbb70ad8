//! Values between their arrival and the step that puts them in place: in the same memory, readable by root alone, and gone when
//! the run has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use provision_core::model::{AbsPath, Digest, Op, Plan};
use provision_core::wire::SecretBytes;

use super::memory::Memory;
use super::{SecretError, failed};

/// What the directories of waiting values are called; the plan's id follows.
const PREFIX: &str = "incoming-";

/// Keeps the values that a plan delivers until its run takes them.
///
/// # Errors
/// [`SecretError::NotThere`] where one is missing; nothing is kept then.
pub(crate) fn stage(plan_id: &Digest, plan: &Plan, values: &BTreeMap<String, SecretBytes>) -> Result<(), SecretError> {
    for step in &plan.steps {
        let Op::Secrets { directory, deliver, .. } = &step.op else {
            continue;
        };
        if let Some(name) = deliver.keys().find(|name| !values.contains_key(*name)) {
            return Err(SecretError::NotThere { name: name.clone() });
        }
        if deliver.is_empty() {
            continue;
        }
        let memory = Memory::of(directory).map_err(SecretError::Memory)?;
        memory.mount().map_err(SecretError::Memory)?;
        let place = place(&memory, plan_id);
        match fs::remove_dir_all(&place) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("remove", &place)(error)),
            _ => {}
        }
        DirBuilder::new()
            .mode(0o700)
            .create(&place)
            .map_err(failed("make", &place))?;
        for name in deliver.keys() {
            let Some(value) = values.get(name) else { continue };
            let path = place.join(Digest::of(name.as_bytes()).to_string());
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .and_then(|mut file| file.write_all(value.expose()))
                .map_err(failed("write", &path))?;
        }
    }
    Ok(())
}

/// A value that waits.
///
/// # Errors
/// [`SecretError::NotThere`] where there is none: the host has started anew since, for one.
pub(crate) fn take(memory: &Memory, plan_id: &Digest, name: &str) -> Result<SecretBytes, SecretError> {
    let path = place(memory, plan_id).join(Digest::of(name.as_bytes()).to_string());
    match fs::read(&path) {
        Ok(bytes) => Ok(SecretBytes::new(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(SecretError::NotThere { name: name.to_owned() }),
        Err(error) => Err(failed("read", &path)(error)),
    }
}

/// Drops everything that waits in the memory that a plan delivers to, whoever's it was, and the memory too if nothing else is in
/// it. Only who holds the host's lock, or has just been refused, may do so.
pub(crate) fn drop_all(plan: &Plan, only: Option<&Digest>) {
    let directories: BTreeSet<&AbsPath> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.op {
            Op::Secrets { directory, .. } => Some(directory),
            _ => None,
        })
        .collect();
    for directory in directories {
        let Ok(memory) = Memory::of(directory) else { continue };
        if !memory.is_mounted().unwrap_or(false) {
            continue;
        }
        let entries = fs::read_dir(&memory.root).into_iter().flatten().flatten();
        let mut others = false;
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let of_plan = name.strip_prefix(PREFIX);
            match of_plan {
                Some(plan_id) if only.is_none_or(|only| only.to_string() == plan_id) => {
                    // What stays is in memory that only root reads, and goes with the next run.
                    let _ = fs::remove_dir_all(entry.path());
                }
                _ => others = true,
            }
        }
        if !others {
            let _ = memory.unmount();
        }
    }
}

/// All values that wait, whoever's they are.
pub(super) fn all(memory: &Memory) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(&memory.root).into_iter().flatten().flatten();
    let runs = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    let files = runs.flat_map(|run| fs::read_dir(run.path()).into_iter().flatten().flatten());
    files.filter_map(|file| fs::read(file.path()).ok()).collect()
}

fn place(memory: &Memory, plan_id: &Digest) -> PathBuf {
    memory.root.join(format!("{PREFIX}{plan_id}"))
}
