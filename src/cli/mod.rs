//! The command line's edge: parses it, starts the command, and turns its end into an exit code.
//! What a command does is the command's own matter.

pub mod args;
pub mod exit;
pub mod select;
pub mod ui;

use std::process::ExitCode;

use clap::Parser as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::args::Cli;
use self::exit::Exit;
use self::ui::{Terminal, Ui};
use crate::report::error::{CommandError, error_text};
use crate::stop::{Stop, StopSwitch, switch};

/// The program: everything that `main` does.
#[must_use]
pub fn main() -> ExitCode {
    crate::unseen::keep_out();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version come as "errors" as well; they go to standard output and are a success.
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            return match error.print() {
                Err(lost) if lost.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::from(Exit::Output.code()),
                Ok(()) | Err(_) => ExitCode::from(exit.code()),
            };
        }
    };
    let ui = Ui::new(&cli.global, Terminal::detect());
    ui.mask_panics();
    let exit = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(until_interrupted(cli, &ui));
            // A blocked read of the terminal must not keep the process.
            runtime.shutdown_background();
            exit
        }
        Err(error) => tell(&ui, &CommandError::refused(error)),
    };
    match ui.lost_output() {
        Some(kind) => {
            let lost = CommandError::output(std::io::Error::from(kind));
            ExitCode::from(exit.max(tell(&ui, &lost)).code())
        }
        None => ExitCode::from(exit.code()),
    }
}

/// Runs the command; the second Ctrl-C leaves it at once.
async fn until_interrupted(cli: Cli, ui: &Ui) -> Exit {
    let (handle, stop) = switch();
    // Caught before anything is begun: a Ctrl-C of the first moment is one, too.
    let signals = signal(SignalKind::interrupt()).and_then(|first| Ok((first, signal(SignalKind::terminate())?)));
    tokio::select! {
        exit = run(cli, ui, &stop) => exit,
        () = second_interrupt(signals.ok(), handle) => Exit::Interrupted,
    }
}

async fn run(cli: Cli, ui: &Ui, stop: &Stop) -> Exit {
    match crate::commands::run(cli, ui, stop).await {
        Ok(exit) => exit,
        Err(error) => tell(ui, &error),
    }
}

fn tell(ui: &Ui, error: &CommandError) -> Exit {
    ui.warn(&error_text(error, ui.talk()));
    error.exit
}

/// Asks everything to stop at the first signal, and returns at the second.
async fn second_interrupt(signals: Option<(Signal, Signal)>, handle: StopSwitch) {
    let Some((mut interrupt, mut terminate)) = signals else {
        // Without handlers the signals' default action ends the process, which hosts survive as well.
        return std::future::pending().await;
    };
    for _ in 0..2 {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        handle.request();
    }
}
