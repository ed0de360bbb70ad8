//! `provision-fetch-secrets`, the program with which a host of AWS gets its own secrets when it starts: what is wanted comes on
//! standard input, values go to standard output and nowhere else. It writes no file and knows nothing of what values are for.

mod clock;
mod http;
mod instance;
mod json_key;
mod patience;
mod sign;
mod store;
mod wire;

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::http::Client;
use crate::instance::Instance;
use crate::patience::Patience;
use crate::store::Store;
use crate::wire::{Answer, Wanted};

/// How long what may pass is waited for: the network of a host that starts, an instance's role that was just attached, a service
/// that asks to slow down. After that somebody has to look anyhow.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// The longest list that is taken, in bytes.
const MAX_LIST: u64 = 4 << 20;

/// The arguments make no sense (EX_USAGE of sysexits.h).
const USAGE: u8 = 64;

const HELP: &str = "usage: provision-fetch-secrets < WANTED.json > VALUES.json\n\
    Started at boot by `provision-agent`, which puts the values into memory; not meant to be run by hand.\n";

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {}
        ["--version"] => {
            let version = concat!("provision-fetch-secrets ", env!("CARGO_PKG_VERSION"), "\n");
            return match io::stdout().write_all(version.as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            };
        }
        _ => {
            say(HELP.trim_end());
            return ExitCode::from(USAGE);
        }
    }
    keep_to_memory();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problems) => {
            problems.iter().for_each(|problem| say(problem));
            ExitCode::FAILURE
        }
    }
}

/// Values pass through this process: none of it is dumped, looked at or swapped, unless the host does not let its root say so.
/// Under a limit of locked memory it would run out of it instead.
fn keep_to_memory() {
    let none = rustix::process::Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    use rustix::thread::{CapabilitySet, capabilities};
    let may = capabilities(None).is_ok_and(|of| of.effective.contains(CapabilitySet::IPC_LOCK));
    if may
        || rustix::process::getrlimit(rustix::process::Resource::Memlock)
            .current
            .is_none()
    {
        use rustix::mm::{MlockAllFlags, mlockall};
        let _ = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT);
    }
}

/// Fetches all that is wanted, or gives a line for each thing that is wrong; nothing is written then.
fn run() -> Result<(), Vec<String>> {
    let one = |problem: String| vec![problem];
    let mut list = Vec::new();
    io::stdin()
        .take(MAX_LIST)
        .read_to_end(&mut list)
        .map_err(|error| one(format!("cannot read the list of what is wanted: {error}")))?;
    let wanted: Vec<Wanted> = serde_json::from_slice(&list)
        .map_err(|error| one(format!("the list of what is wanted makes no sense: {error}")))?;
    let patience = Patience::new(PATIENCE, say);
    let instance = Instance::new().map_err(one)?;
    let client = Client::of_service().map_err(one)?;
    let found = Store::new(&client, &instance, &patience).fetch(&wanted)?;
    let text = Answer::new(found)
        .text()
        .map_err(|error| one(format!("cannot write the answer: {error}")))?;
    let mut out = io::stdout().lock();
    let text: &Zeroizing<Vec<u8>> = &text;
    out.write_all(text)
        .and_then(|()| out.flush())
        .map_err(|error| one(format!("cannot hand over the values: {error}")))
}

/// Says a line on stderr, if anybody listens. What others wrote cannot steer a terminal with it.
fn say(line: &str) {
    let plain: String = line.chars().flat_map(plain).collect();
    let _ = io::stderr().write_all(format!("{plain}\n").as_bytes());
}

fn plain(c: char) -> Vec<char> {
    match c {
        '\n' => vec![c],
        c if c.is_control() => c.escape_default().collect(),
        c => vec![c],
    }
}
