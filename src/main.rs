//! The `provision` program: a door into the library, so that everything behind it can be tested.

use std::process::ExitCode;

fn main() -> ExitCode {
    provision::cli::main()
}
