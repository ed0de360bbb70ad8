//! Kernel parameters: the live value is set, and read back, for the kernel may keep another one. The file that keeps it
//! over a reboot is a file like any other.

use std::fs::OpenOptions;
use std::io::Write as _;

use provision_core::model::{Fact, Spec, State, StepError, SysctlSpec, SysctlState};

use super::{failure, problem};
use crate::observe;

pub(super) fn set(spec: &SysctlSpec) -> Result<(), StepError> {
    let SysctlSpec { key, value } = spec;
    let path = observe::proc_path(key).map_err(|error| failure(&error))?;
    // One write(2): the kernel parses each write on its own.
    let written = OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|mut file| file.write_all(format!("{value}\n").as_bytes()));
    if let Err(error) = written {
        return Err(problem(format!(
            "the kernel does not take {value:?} for {key}: {error}"
        )));
    }
    let read = observe::observe(&[Spec::Sysctl(spec.clone())]).into_values().next();
    match read {
        Some(Fact::Known(State::Sysctl(SysctlState::Live(kept)))) => {
            if kept.untrusted() == observe::folded(value) {
                Ok(())
            } else {
                Err(StepError {
                    fix: Some("write the value that the kernel keeps, or change what limits it".to_owned()),
                    ..problem(format!(
                        "{key} was set to {value:?}, and the kernel kept {:?}",
                        kept.untrusted()
                    ))
                })
            }
        }
        Some(Fact::Unknown(reason)) => Err(problem(format!(
            "{key} was set, and cannot be read back: {}",
            reason.untrusted()
        ))),
        Some(Fact::Known(_)) | None => Err(problem(format!("{key} was set, and is gone"))),
    }
}
