//! `provision apply`: plans hosts or reads a saved plan, asks, and has it carried out. What a plan says is done,
//! nothing else, and hosts that cannot be applied to do not keep the others from it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use provision_core::model::{HostName, Plan};

use super::fleet::confirmed_options;
use super::survey::Survey;
use super::watch::watch;
use crate::cli::args::{Apply, Selection};
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::drive::{self, Job, Options};
use crate::events::{HostOutcome, Refused};
use crate::load;
use crate::report::error::CommandError;
use crate::report::plan::{PlanView, plans_text};
use crate::report::{error, event_json, plan_json};
use crate::saved;
use crate::secrets::{self, Contents, Supply};
use crate::stop::Stop;

/// What is to be done where, and what has already ended without being done.
#[derive(Default)]
pub(super) struct Work {
    jobs: Vec<Job>,
    ended: BTreeMap<HostName, HostOutcome>,
}

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Apply, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    let (work, options) = match args.what.as_slice() {
        [file] if is_file(file) => from_file(Path::new(file), args, ui)?,
        hosts => match hosts.iter().find(|host| is_file(host)) {
            Some(file) => {
                let error = format!("{file:?} is a file, and a saved plan is applied alone");
                return Err(CommandError::refused(error));
            }
            None => from_hosts(root, args, ui, stop).await?,
        },
    };
    carry_out(root, work, args.yes, &options, ui, stop).await
}

/// Asks, unless told not to, and has the work done.
pub(super) async fn carry_out(
    root: Option<&Path>,
    mut work: Work,
    yes: bool,
    options: &Options,
    ui: &Ui,
    stop: &Stop,
) -> Result<Exit, CommandError> {
    if options.confirm_at.is_some() && work.jobs.len() > 1 {
        let error = "--confirm-at is one place, and this plan is for several hosts; apply to each alone";
        return Err(CommandError::refused(error));
    }
    if !work.jobs.is_empty() && !yes {
        let question = question(&work.jobs);
        // Waiting for an answer must not make Ctrl-C wait as well.
        let yes = tokio::select! {
            answer = ui.ask(&question) => answer?,
            () = stop.wait() => return Err(CommandError::interrupted()),
        };
        if !yes {
            return Err(CommandError::refused("not applied, as you say; nothing was touched"));
        }
    }
    let idle = work.ended.values().all(|end| matches!(end, HostOutcome::Nothing));
    if work.jobs.is_empty() && idle && !ui.json() {
        // The plan has said so already.
        return Ok(Exit::Done);
    }
    let plans: BTreeMap<_, _> = work
        .jobs
        .iter()
        .map(|job| (job.plan.host.clone(), job.plan.clone()))
        .collect();
    work.take_secrets(root, ui, stop).await?;
    let hosts: Vec<_> = plans.keys().chain(work.ended.keys()).cloned().collect();
    let events = drive::apply(work.jobs, options, stop);
    Ok(watch(events, &hosts, &plans, work.ended, ui, stop).await)
}

/// No host can have a "." or "/" in its name, nor a pattern that fits one.
fn is_file(what: &str) -> bool {
    what.contains(['.', '/'])
}

async fn from_hosts(root: Option<&Path>, args: &Apply, ui: &Ui, stop: &Stop) -> Result<(Work, Options), CommandError> {
    let selection = Selection {
        hosts: args.what.clone(),
        narrow: args.narrow.clone(),
    };
    let survey = Survey::take(root, &selection, &args.connect, ui, stop).await?;
    show(&survey.plans(), survey.unreachable(), args, ui);
    let options = confirmed_options(&args.connect, &args.confirm);
    let mut work = Work::default();
    for (host, found) in survey.found {
        match found {
            Ok(plan) => {
                if let Some(desired) = survey.desired.get(&host) {
                    work.add(desired.connection.clone(), plan);
                }
            }
            Err(error) => {
                work.ended.insert(host, HostOutcome::Unreachable(error));
            }
        }
    }
    if !work.jobs.is_empty() && !ui.json() {
        // Whoever is asked must know which hosts are not among them; the recap tells of it again, and alone otherwise.
        for (host, end) in &work.ended {
            if let HostOutcome::Unreachable(error) = end {
                ui.warn(&error::reach_text(host.as_str(), error, ui.talk()));
            }
        }
    }
    Ok((work, options))
}

fn from_file(file: &Path, args: &Apply, ui: &Ui) -> Result<(Work, Options), CommandError> {
    if [&args.narrow.tags, &args.narrow.limit, &args.narrow.exclude]
        .iter()
        .any(|given| !given.is_empty())
    {
        let error = "a saved plan is applied as it is; --tags, --limit and --exclude belong to `provision plan`";
        return Err(CommandError::refused(error));
    }
    let saved = saved::read(file)?;
    let plans: Vec<_> = saved.iter().map(|saved| &saved.plan).collect();
    show(&plans, 0, args, ui);
    let mut work = Work::default();
    for saved in saved {
        work.add(saved.connection, Arc::new(saved.plan));
    }
    Ok((work, confirmed_options(&args.connect, &args.confirm)))
}

impl Work {
    pub(super) fn add(&mut self, connection: provision_core::model::Connection, plan: Arc<Plan>) {
        let host = plan.host.clone();
        if !plan.blockers.is_empty() {
            let blockers = plan.blockers.len();
            self.ended
                .insert(host, HostOutcome::Refused(Refused::Blocked { blockers }));
        } else if plan.changes.is_empty() {
            self.ended.insert(host, HostOutcome::Nothing);
        } else {
            self.jobs.push(Job {
                connection,
                plan,
                secrets: Contents::new(),
            });
        }
    }

    /// Gets the contents of all secrets that are to be delivered, before any host is touched.
    async fn take_secrets(&mut self, root: Option<&Path>, ui: &Ui, stop: &Stop) -> Result<(), CommandError> {
        let plans: Vec<&Plan> = self.jobs.iter().map(|job| &*job.plan).collect();
        if !plans.iter().any(|plan| secrets::delivers(plan)) {
            return Ok(());
        }
        let root = load::root(root)?;
        let mut contents = tokio::select! {
            contents = secrets::contents(&root, &plans, Supply::Stores) => contents?,
            () = stop.wait() => return Err(CommandError::interrupted()),
        };
        ui.mask(secrets::values(&contents));
        for job in &mut self.jobs {
            job.secrets = contents.remove(&job.plan.host).unwrap_or_default();
        }
        Ok(())
    }
}

/// Shows what is about to be done.
fn show(plans: &[&Plan], unreachable: usize, args: &Apply, ui: &Ui) {
    if ui.json() {
        for plan in plans {
            ui.result(&event_json::plan_line(plan, &plan_json::plan_value(plan)));
        }
        return;
    }
    let view = PlanView {
        palette: ui.results(),
        diff: args.diff.shown(),
        unchanged: ui.verbose(),
    };
    ui.result(&plans_text(plans, unreachable, view));
}

fn question(jobs: &[Job]) -> String {
    match jobs {
        [job] => format!("Apply this to {}?", job.plan.host),
        jobs => format!("Apply this to {} hosts?", jobs.len()),
    }
}
