//! A fault of the program itself, while it has secrets: what it says of that is masked like all else.

use std::process::Command;

use clap::Parser as _;
use provision::cli::args::Cli;
use provision::cli::ui::{Terminal, Ui};

/// A value that is nowhere else.
const CANARY: &str = "canary-9d41c0ff";

/// The same in hex.
const HEX: &str = "63616e6172792d3964343163306666";

#[test]
#[ignore = "it panics: the test below starts it in a process of its own"]
fn a_worker_panics_with_a_secret_in_hand() {
    let ui = Ui::new(&Cli::parse_from(["provision", "check"]).global, Terminal::default());
    ui.mask_panics();
    ui.mask([("token", CANARY.as_bytes())]);
    let worker = std::thread::Builder::new().name("worker".to_owned());
    let ended = worker
        .spawn(|| panic!("it had {CANARY} and {HEX} in hand"))
        .unwrap()
        .join();
    ended.unwrap_err();
}

#[test]
fn a_panic_tells_where_it_was_and_no_secret() {
    let name = "panic::a_worker_panics_with_a_secret_in_hand";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env("RUST_BACKTRACE", "full")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(told.contains("1 passed"), "{told}");
    for words in [
        "provision has a fault in itself (worker)",
        "tests/cli/panic.rs",
        "it had [secret token] and [secret token] in hand",
    ] {
        assert!(told.contains(words), "no {words:?} in {told}");
    }
    assert!(!told.contains(CANARY) && !told.contains(HEX), "{told}");
}
