//! `provision adopt NAME`: a host file for a machine that is there already. It is read back and planned on that machine before
//! it is written, until the plan is empty; nothing is changed there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use provision_core::adopt::{Adopted, adopt};
use provision_core::config::{Severity, Sources};
use provision_core::model::{Connection, Desired, Fact, HostName, Observed, Plan, ResourceId};
use provision_core::plan::plan;
use provision_core::resolve::resolve_all;

use super::fleet::options;
use super::records::{answer, answer_or, find};
use crate::applier::applier;
use crate::cli::args::Adopt as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::drive::{self, Target};
use crate::load;
use crate::report::adopt as report;
use crate::report::error::CommandError;
use crate::report::flat::Placed;
use crate::stop::Stop;

/// How often it is planned: what is left out may take others along, and those nothing more.
const ROUNDS: usize = 5;

#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
struct WriteError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Args, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    let directory = load::root(root)?;
    let target = target(root, &directory, args, ui)?;
    let options = options(&args.connect);
    let inventory = answer(drive::inventory(target.clone(), &options, stop), ui, stop).await?;
    let mut adopted = adopt(&inventory);
    let applier = applier(&directory).await;
    for _ in 0..ROUNDS {
        let (desired, _, _) = written(&target, &mut adopted)?;
        let desired = Arc::new(desired);
        let observed = look(&desired, &options, ui, stop).await?;
        if !matches!(observed.receipt, Fact::Known(None)) {
            let error = format!("{} is managed already: provision has applied to it", target.host);
            return Err(CommandError::refused(error)
                .hint(format!(
                    "`provision generations {}` tells what was applied",
                    target.host
                ))
                .hint(format!("to begin anew: provision forget {}", target.host)));
        }
        let plan = plan(&desired, &observed, &applier);
        let wrong = wrong(&plan);
        if wrong.is_empty() {
            let (desired, text, placed) = written(&target, &mut adopted)?;
            let files = write(&directory, &desired, &text, &placed, args.force)?;
            ui.result(&if ui.json() {
                report::adopted_json(&target.host, &adopted, &files)
            } else {
                report::adopted_text(&desired, &adopted.left, &files)
            });
            return Ok(Exit::Done);
        }
        for (id, why) in wrong {
            adopted.leave(&id, &why);
        }
    }
    let error = format!("{} changes while it is looked at: no plan of it is empty", target.host);
    Err(CommandError::refused(error).hint("try again when nobody works on it; nothing was written"))
}

/// How the machine is reached: as its host file says, or the command line.
fn target(root: Option<&Path>, directory: &Path, args: &Args, ui: &Ui) -> Result<Target, CommandError> {
    let path = directory.join(format!("hosts/{}.toml", args.name));
    if path.symlink_metadata().is_ok() {
        if !args.force {
            let error = format!("{} is there already, and is not overwritten", path.display());
            return Err(CommandError::refused(error).hint("--force writes over it, and keeps how it is reached"));
        }
        return find(root, &args.name, ui);
    }
    if let Some((address, port)) = args.address.as_deref().and_then(with_port) {
        let error = format!("--address {address}:{port} has a port in it");
        return Err(CommandError::refused(error).hint(format!("write --address {address} --port {port}")));
    }
    Ok(Target {
        host: HostName::new(args.name.as_str()).map_err(CommandError::refused)?,
        connection: Connection::Ssh {
            address: args.address.clone(),
            port: args.port,
            user: args.user.clone(),
            host_keys: args.host_key.iter().cloned().collect(),
            identity_files: args.identity_file.iter().cloned().collect(),
            jump: None,
        },
    })
}

/// An address and the port that was written behind it. IPv6 addresses have several colons.
fn with_port(address: &str) -> Option<(&str, u16)> {
    let (address, port) = address.split_once(':')?;
    Some((address, port.parse().ok()?))
}

/// The host file's text, and what it is when it is read: nothing else is planned. What the language does not take is left out.
fn written(target: &Target, adopted: &mut Adopted) -> Result<(Desired, String, Placed), CommandError> {
    match read_back(target, adopted) {
        Ok(read) => Ok(read),
        Err(_) => {
            for id in adopted.resources.keys().cloned().collect::<Vec<_>>() {
                let mut alone = Adopted {
                    blobs: adopted.blobs.clone(),
                    ..Adopted::default()
                };
                alone.resources.extend(
                    adopted
                        .resources
                        .get(&id)
                        .map(|resource| (id.clone(), resource.clone())),
                );
                if let Err(why) = read_back(target, &alone) {
                    adopted.leave(&id, &why);
                }
            }
            read_back(target, adopted).map_err(|why| {
                CommandError::refused(format!(
                    "what {} has does not fit together in one file: {why}",
                    target.host
                ))
            })
        }
    }
}

fn read_back(target: &Target, adopted: &Adopted) -> Result<(Desired, String, Placed), String> {
    let desired = Desired {
        host: target.host.clone(),
        connection: target.connection.clone(),
        tags: BTreeSet::new(),
        machine: None,
        ports: Vec::new(),
        resources: adopted.resources.clone(),
        blobs: adopted.blobs.clone(),
    };
    let placed = report::placed(&desired);
    let text = report::host_file(&desired, &adopted.left, &placed);
    let files: BTreeMap<String, Vec<u8>> = placed
        .iter()
        .filter_map(|(digest, name)| Some((name.clone(), report::content(&desired, digest)?.to_vec())))
        .collect();
    let config = BTreeMap::from([(format!("hosts/{}.toml", target.host), text.clone().into_bytes())]);
    let mut resolved = resolve_all(&Sources { config, files: &files });
    match resolved.hosts.remove(&target.host) {
        Some(desired) => Ok((desired, text, placed)),
        None => {
            let error = resolved
                .diagnostics
                .into_iter()
                .find(|found| found.severity == Severity::Error);
            Err(error.map_or_else(|| "it cannot be declared".to_owned(), |error| error.message))
        }
    }
}

async fn look(
    desired: &Arc<Desired>,
    options: &drive::Options,
    ui: &Ui,
    stop: &Stop,
) -> Result<Observed, CommandError> {
    let events = drive::look(vec![Arc::clone(desired)], options, stop);
    answer_or(events, |host, error| CommandError::reach(host, &error), ui, stop).await
}

/// What a plan would change or cannot tell, with why.
fn wrong(plan: &Plan) -> Vec<(ResourceId, String)> {
    let changes = plan.changes.iter().map(|change| {
        let fields: Vec<_> = change.fields.iter().map(|field| field.field.clone()).collect();
        let what = if fields.is_empty() {
            String::new()
        } else {
            format!(": {}", fields.join(", "))
        };
        (change.id.clone(), format!("a plan would change it{what}"))
    });
    let blockers = plan
        .blockers
        .iter()
        .map(|blocker| (blocker.id.clone(), blocker.problem.untrusted().to_owned()));
    changes.chain(blockers).collect()
}

/// Writes all of it, contents first: a host file without them would be wrong.
fn write(
    root: &Path,
    desired: &Desired,
    text: &str,
    placed: &Placed,
    force: bool,
) -> Result<Vec<PathBuf>, CommandError> {
    let contents = placed
        .iter()
        .filter_map(|(digest, name)| Some((format!("files/{name}"), report::content(desired, digest)?)));
    let host = (format!("hosts/{}.toml", desired.host), text.as_bytes());
    let all: Vec<_> = contents.chain([host]).collect();
    let there = |(path, _): &&(String, &[u8])| root.join(path).symlink_metadata().is_ok();
    if let Some((path, _)) = all.iter().find(there).filter(|_| !force) {
        let error = format!("{path} is there already, and is not overwritten; nothing was written");
        return Err(CommandError::refused(error).hint("--force writes over it"));
    }
    let mut made = Vec::new();
    for (name, bytes) in all {
        let path = root.join(&name);
        replace(&path, bytes).map_err(|source| {
            let path = path.clone();
            CommandError::refused(WriteError { path, source })
        })?;
        made.push(path);
    }
    Ok(made)
}

/// A reader sees the old file or the new one.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(name);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What could not be written is worth nothing.
        let _ = fs::remove_file(&beside);
    }
    written
}
