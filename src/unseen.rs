//! What this process keeps others from seeing of its memory: no core dump, no debugger of another process, no swap where the
//! system allows that. It knows no secret, and masks no text.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{CapabilitySet, capabilities};

/// Lets no core dump be written of this process, and no other one of the same user look into its memory. Programs that it
/// starts may undo the first for themselves, and the second is not theirs.
pub fn keep_out() {
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let none = Rlimit {
        current: Some(0),
        maximum: getrlimit(Resource::Core).maximum,
    };
    let _ = setrlimit(Resource::Core, none);
}

/// Keeps this process's memory out of swap from here on, if it may: as root, or where `ulimit -l` is unlimited. Under a limit it
/// would run out of memory instead, so it is not tried there.
pub fn keep_unswapped() {
    let may = capabilities(None).is_ok_and(|of| of.effective.contains(CapabilitySet::IPC_LOCK));
    if may || getrlimit(Resource::Memlock).current.is_none() {
        let _ = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT);
    }
}
