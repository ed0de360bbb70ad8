//! `provision-agent`, the one program that runs on hosts: a session that looks and follows, and a runner that changes.
//! It takes no option but its mode, and no user's data in its arguments.

mod accounts;
mod armed;
mod before;
mod child;
mod disk;
mod examine;
mod execute;
mod forget;
mod generations;
mod guard;
mod inventory;
mod journal;
mod layout;
mod lock;
mod logs;
mod observe;
mod originals;
mod own_files;
mod run;
mod secrets;
mod session;
mod staging;
mod start;
mod status;
mod systemd;
#[cfg(test)]
mod testing;
mod words;

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::process::ExitCode;

use provision_core::model::Digest;

use crate::layout::Layout;
use crate::words::chain;

/// The arguments make no sense (EX_USAGE of sysexits.h).
const USAGE: u8 = 64;

const HELP: &str = "usage: provision-agent session | run PLAN-ID | watch PLAN-ID | recover | secrets-at-boot | --version\n\
    Started by `provision` on the hosts that it provisions; not meant to be run by hand.\n";

fn main() -> ExitCode {
    keep_unseen();
    let args: Vec<_> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["session"] => session(),
        ["run", plan_id] => match plan_id.parse() {
            Ok(plan_id) => run(plan_id),
            Err(_) => say(HELP, USAGE),
        },
        ["secrets-at-boot"] => secrets_at_boot(),
        ["watch", plan_id] => match plan_id.parse() {
            Ok(plan_id) => watch(plan_id),
            Err(_) => say(HELP, USAGE),
        },
        ["recover"] => recover(),
        ["--version"] => {
            let version = concat!("provision-agent ", env!("CARGO_PKG_VERSION"), "\n");
            match io::stdout().write_all(version.as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
        _ => say(HELP, USAGE),
    }
}

fn session() -> ExitCode {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    // Unbuffered: an answer is written whole, and a frame that waits in a buffer helps nobody.
    let streams = io::stdin().as_fd().try_clone_to_owned().and_then(|input| {
        Ok((
            File::from(input),
            File::from(io::stdout().as_fd().try_clone_to_owned()?),
        ))
    });
    let ended = match streams {
        Ok((input, output)) => session::session(&Layout::host(), input, output),
        Err(error) => Err(session::SessionError::Read(error)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => say(&format!("provision-agent: {}\n", chain(&error).escaped()), 1),
    }
}

/// Brings sealed secrets, and those that the host fetches, back at boot; the boot unit's journal has what it says.
fn secrets_at_boot() -> ExitCode {
    match secrets::bring_back(&Layout::host()) {
        Ok(count) => say(&format!("{count} secrets are back in memory\n"), 0),
        Err(error) => say(&format!("provision-agent: {}\n", chain(&error).escaped()), 1),
    }
}

/// Values of secrets pass through this process: no core dump holds its memory, no other process looks at it, and none of it is
/// swapped, unless the host does not let its root say so. Under a limit of locked memory it would run out of it instead.
fn keep_unseen() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
    use rustix::thread::{CapabilitySet, capabilities};
    // The unit of a run says the same.
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let may = capabilities(None).is_ok_and(|of| of.effective.contains(CapabilitySet::IPC_LOCK));
    if may || getrlimit(Resource::Memlock).current.is_none() {
        use rustix::mm::{MlockAllFlags, mlockall};
        let _ = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT);
    }
}

fn run(plan_id: Digest) -> ExitCode {
    let layout = Layout::host();
    run::detach(&layout, &plan_id);
    match run::run(&layout, plan_id) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => say(&format!("provision-agent: {}\n", chain(&error).escaped()), 1),
    }
}

fn watch(plan_id: Digest) -> ExitCode {
    let layout = Layout::host();
    run::detach(&layout, &plan_id);
    told(guard::watch(&layout, plan_id))
}

fn recover() -> ExitCode {
    told(guard::recover(&Layout::host()))
}

fn told(ended: Result<(), guard::GuardError>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => say(&format!("provision-agent: {}\n", chain(&error).escaped()), 1),
    }
}

/// Says something on stderr, if anybody listens, and gives this exit code.
fn say(words: &str, code: u8) -> ExitCode {
    let _ = io::stderr().write_all(words.as_bytes());
    ExitCode::from(code)
}
