//! The commands, one file each: they compose the stages and hold no logic of their own. What they find is worded by
//! [`crate::report`].

mod adopt;
mod apply;
mod attach;
mod check;
mod completions;
mod diff;
mod doctor;
mod drift;
mod exec;
mod explain;
mod fleet;
mod fmt;
mod forget;
mod generations;
mod graph;
mod init;
mod logs;
mod man;
mod new;
mod options;
mod plan;
mod records;
mod rehearse;
mod resource;
mod rollback;
mod schema;
mod secrets;
mod show;
mod skeleton;
mod status;
mod survey;
mod tunnel;
mod watch;
mod why;

use crate::cli::args::{Cli, Command};
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::report::error::CommandError;
use crate::stop::Stop;

/// Runs the command that the command line asks for.
///
/// # Errors
/// [`CommandError`] where it ends without a verdict on its hosts.
pub async fn run(cli: Cli, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    let root = cli.global.root.as_deref();
    match cli.command {
        Command::Check(_) => check::run(root, ui),
        Command::Plan(args) => plan::run(root, &args, ui, stop).await,
        Command::Apply(args) => apply::run(root, &args, ui, stop).await,
        Command::Drift(args) => drift::run(root, &args, ui, stop).await,
        Command::Show(args) => show::run(root, &args, ui),
        Command::Why(args) => why::run(root, &args, ui),
        Command::Status(args) => status::run(root, &args, ui, stop).await,
        Command::Doctor(args) => doctor::run(root, &args, ui, stop).await,
        Command::Logs(args) => logs::run(root, &args, ui, stop).await,
        Command::Tunnel(args) => tunnel::run(root, &args, ui, stop).await,
        Command::Exec(args) => exec::run(root, args, ui, stop).await,
        Command::Attach(args) => attach::run(root, &args, ui, stop).await,
        Command::Generations(args) => generations::run(root, &args, ui, stop).await,
        Command::Diff(args) => diff::run(root, &args, ui, stop).await,
        Command::Rollback(args) => rollback::run(root, &args, ui, stop).await,
        Command::Forget(args) => forget::run(root, &args, ui, stop).await,
        Command::Rehearse(args) => rehearse::run(root, &args, ui, stop).await,
        Command::Secrets(args) => secrets::run(root, &args, ui, stop).await,
        Command::Adopt(args) => adopt::run(root, &args, ui, stop).await,
        Command::Init(args) => init::run(root, &args, ui),
        Command::New(args) => new::run(root, &args, ui),
        Command::Options(args) => options::run(root, &args, ui),
        Command::Explain(args) => explain::run(&args, ui),
        Command::Fmt(args) => fmt::run(root, &args, ui),
        Command::Graph(args) => graph::run(root, &args, ui),
        Command::Schema(args) => schema::run(root, &args, ui),
        Command::Completions(args) => Ok(completions::run(&args, ui)),
        Command::Man(args) => man::run(&args, ui),
    }
}
