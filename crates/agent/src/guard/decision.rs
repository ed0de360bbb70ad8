//! The one decision about a run that touches the way in: it stays, or it is undone. Whoever is first decides, and everybody
//! else is told what that was; it says nothing about when to decide.

use std::io;
use std::path::PathBuf;

use provision_core::model::{AbsPath, Decision, Digest, Mode};

use crate::disk::{self, Attributes, WriteError};
use crate::layout::Layout;
use crate::own_files::{self, OwnFileError};

/// Why it is not known what was decided.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecisionError {
    /// It cannot be read.
    #[error("cannot read what was decided")]
    Read(#[source] OwnFileError),
    /// It cannot be written.
    #[error("cannot record the decision")]
    Write(#[source] WriteError),
    /// The agent's directory has a name that is never written to.
    #[error("cannot name {}", path.display())]
    Name {
        /// The path.
        path: PathBuf,
    },
}

/// What was decided of a run; `None` as long as nothing is.
///
/// # Errors
/// [`DecisionError`].
pub(crate) fn read(layout: &Layout, plan_id: &Digest) -> Result<Option<Decision>, DecisionError> {
    match own_files::read_json(&layout.run(plan_id).decision()) {
        Ok(decision) => Ok(Some(decision)),
        Err(OwnFileError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DecisionError::Read(error)),
    }
}

/// Decides, unless that is done already, and tells what holds. When this returns, it is on the disk.
///
/// # Errors
/// [`DecisionError`]; whether it is decided is then for the next one to find out.
pub(crate) fn decide(layout: &Layout, plan_id: &Digest, wanted: Decision) -> Result<Decision, DecisionError> {
    let path = layout.run(plan_id).decision();
    let name = AbsPath::new(path.to_string_lossy()).map_err(|_| DecisionError::Name { path: path.clone() })?;
    let own = Attributes {
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        mode: Mode::from_bits(0o600),
    };
    let text = format!("\"{}\"", word(wanted));
    // Written whole under another name, and given its own only where that is still free.
    match disk::create_file(&name, text.as_bytes(), &own, None) {
        Ok(()) => Ok(wanted),
        Err(WriteError::Taken { .. } | WriteError::Occupied { .. }) => {
            own_files::read_json(&path).map_err(DecisionError::Read)
        }
        Err(error) => Err(DecisionError::Write(error)),
    }
}

const fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Confirmed => "confirmed",
        Decision::Undone => "undone",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Barrier;
    use std::thread;

    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn of_many_who_decide_at_once_one_does_and_all_are_told_the_same() {
        let scratch = Scratch::new();
        let layout = Layout::below(scratch.path());
        let (mut kept, mut undone) = (0, 0);
        for round in 0..200_u32 {
            let plan_id = Digest::of(&round.to_le_bytes());
            fs::create_dir_all(layout.run(&plan_id).root()).unwrap();
            assert_eq!(read(&layout, &plan_id).unwrap(), None);
            let start = Barrier::new(4);
            let told: Vec<_> = thread::scope(|scope| {
                let (layout, plan_id, start) = (&layout, &plan_id, &start);
                let all: Vec<_> = (0..4)
                    .map(|who| {
                        scope.spawn(move || {
                            let wanted = if who % 2 == 0 {
                                Decision::Confirmed
                            } else {
                                Decision::Undone
                            };
                            start.wait();
                            decide(layout, plan_id, wanted).unwrap()
                        })
                    })
                    .collect();
                all.into_iter().map(|one| one.join().unwrap()).collect()
            });
            assert!(told.iter().all(|decision| *decision == told[0]), "{told:?}");
            assert_eq!(read(&layout, &plan_id).unwrap(), Some(told[0]));
            match told[0] {
                Decision::Confirmed => kept += 1,
                Decision::Undone => undone += 1,
            }
        }
        assert_eq!(kept + undone, 200);
    }
}
