//! `provision rehearse`: host files on throwaway real hosts, from bare Debian to drift and heal. It touches no host of
//! the fleet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use provision_core::model::{Connection, Desired, HostName, Kind, Plan, ResourceId, Spec};
use provision_rehearse::{BaseOptions, HostOptions, Missing, Progress, Release, ThrowawayHost};

use super::fleet::{Fleet, options};
use super::survey::Survey;
use super::watch::watch;
use crate::cli::args::{Connect, Rehearse as Args};
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::drive::{self, Job};
use crate::events::HostOutcome;
use crate::report::error::{self, CommandError};
use crate::report::plan::{PlanView, plans_text};
use crate::report::rehearse::{self as report, Act, Flaw};
use crate::report::{drift, words};
use crate::secrets::{self, Contents, Supply};
use crate::stop::Stop;

/// How long a throwaway host may take from its start to sshd's greeting.
const READY: Duration = Duration::from_secs(60);

/// The host that is rehearsed where none is named and there are several: the example that the project comes with.
const EXAMPLE: &str = "moltbot";

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Args, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    if ui.json() {
        let error = "a rehearsal is for people to read; for JSON keep the host, and plan and apply to it";
        return Err(CommandError::refused(error));
    }
    if args.destroy {
        return destroy(&args.hosts, ui);
    }
    let fleet = Fleet::load(root, ui)?;
    let chosen = choose(&fleet, &args.hosts)?;
    ui.result(&Act::Make.title(ui.results()));
    let hosts = tokio::task::block_in_place(|| make(&chosen, args, ui))?;
    if stop.requested() {
        return Err(CommandError::interrupted());
    }
    let mut rehearsal = Rehearsal {
        root: fleet.root,
        hosts,
        args,
        ui,
        stop,
        connect: connect(),
        flaws: BTreeMap::new(),
    };
    let exit = rehearsal.play().await?;
    tokio::task::block_in_place(|| rehearsal.end())?;
    Ok(exit)
}

fn choose(fleet: &Fleet, names: &[String]) -> Result<Vec<Arc<Desired>>, CommandError> {
    if !names.is_empty() {
        let selection = crate::cli::args::Selection {
            hosts: names.to_vec(),
            ..Default::default()
        };
        return Ok(fleet.select(&selection)?);
    }
    let only = (fleet.hosts.len() == 1).then(|| fleet.hosts.values().next()).flatten();
    let example = fleet.hosts.values().find(|desired| desired.host.as_str() == EXAMPLE);
    only.or(example)
        .map(|desired| vec![Arc::clone(desired)])
        .ok_or_else(|| {
            let names: Vec<_> = fleet.hosts.keys().map(HostName::as_str).collect();
            CommandError::refused("which host is to be rehearsed?").hint(format!("there are: {}", names.join(", ")))
        })
}

/// How throwaway hosts are connected to: they are on this machine, so silence is no distance.
fn connect() -> Connect {
    Connect {
        parallel: std::num::NonZeroUsize::MIN.saturating_add(31),
        timeout: Duration::from_secs(15),
    }
}

/// A throwaway host under each declared one.
struct Stage {
    desired: Arc<Desired>,
    host: ThrowawayHost,
}

fn make(chosen: &[Arc<Desired>], args: &Args, ui: &Ui) -> Result<Vec<Stage>, CommandError> {
    let mut tell = |progress: Progress| {
        if let Some(text) = report::progress_text(&progress, ui.verbose()) {
            ui.say(&text);
        }
    };
    prepare(&mut tell)?;
    let release: Release = args.release.parse().map_err(CommandError::refused)?;
    let image = provision_rehearse::base(&BaseOptions::new(release), &mut tell).map_err(CommandError::refused)?;
    let mut stages = Vec::new();
    for desired in chosen {
        let started = Instant::now();
        let host =
            ThrowawayHost::start(&image, &HostOptions::named(desired.host.as_str())).map_err(CommandError::refused)?;
        host.wait_ready(READY).map_err(CommandError::refused)?;
        let millis = started.elapsed().as_millis();
        ui.result(&report::ready_text(&desired.host, &host.address().to_string(), millis));
        stages.push(Stage {
            desired: Arc::new(instead(desired, &host)),
            host,
        });
    }
    Ok(stages)
}

/// Installs what can be installed, and names what cannot.
fn prepare(tell: &mut dyn FnMut(Progress)) -> Result<(), CommandError> {
    let Err(missing) = provision_rehearse::preflight() else {
        return Ok(());
    };
    let installable = |missing: &Missing| matches!(missing, Missing::Package { .. });
    if missing.iter().all(installable) {
        return provision_rehearse::install_missing(tell).map_err(CommandError::refused);
    }
    Err(CommandError::refused(report::missing_text(&missing)))
}

/// The same host, reached where the throwaway one is.
fn instead(desired: &Desired, host: &ThrowawayHost) -> Desired {
    Desired {
        connection: Connection::Ssh {
            address: Some(host.address().to_string()),
            port: Some(host.ssh_address().port()),
            user: Some("root".into()),
            host_keys: vec![host.host_key().trim().to_owned()],
            identity_files: vec![host.identity().display().to_string()],
            jump: Some("none".into()),
        },
        ..desired.clone()
    }
}

struct Rehearsal<'a> {
    root: PathBuf,
    hosts: Vec<Stage>,
    args: &'a Args,
    ui: &'a Ui,
    stop: &'a Stop,
    connect: Connect,
    flaws: BTreeMap<HostName, Vec<Flaw>>,
}

impl Rehearsal<'_> {
    async fn play(&mut self) -> Result<Exit, CommandError> {
        let palette = self.ui.results();
        self.ui.result(&Act::Plan.title(palette));
        let first = self.look().await?;
        self.show(&first);
        self.ui.result(&Act::Apply.title(palette));
        self.apply(first).await?;
        if self.unharmed() {
            self.ui.result(&Act::Again.title(palette));
            self.nothing_left().await?;
        }
        if self.unharmed() {
            self.ui.result(&Act::Drift.title(palette));
            let changed = self.change_by_hand()?;
            let found = self.drift(&changed).await?;
            self.ui.result(&Act::Heal.title(palette));
            self.apply(found).await?;
            self.nothing_left().await?;
        }
        self.ui.result("\n");
        for stage in &self.hosts {
            let host = &stage.desired.host;
            let flaws = self.flaws.get(host).map_or(&[][..], Vec::as_slice);
            self.ui.result(&report::verdict_text(host, flaws, palette));
        }
        Ok(if self.flaws.is_empty() {
            Exit::Done
        } else {
            Exit::Failed
        })
    }

    fn unharmed(&self) -> bool {
        self.flaws.is_empty() && !self.stop.requested()
    }

    fn flaw(&mut self, host: &HostName, flaw: Flaw) {
        self.flaws.entry(host.clone()).or_default().push(flaw);
    }

    async fn look(&self) -> Result<Survey, CommandError> {
        let selected = self.hosts.iter().map(|stage| Arc::clone(&stage.desired)).collect();
        Survey::look(&self.root, selected, self.supply(), &self.connect, self.ui, self.stop).await
    }

    /// Real secrets have no place on a host that is thrown away, unless somebody says so.
    fn supply(&self) -> Supply {
        if self.args.with_secrets {
            Supply::Stores
        } else {
            Supply::MadeUp
        }
    }

    fn view(&self) -> PlanView {
        PlanView {
            palette: self.ui.results(),
            diff: self.args.diff.shown(),
            unchanged: self.ui.verbose(),
        }
    }

    fn show(&self, survey: &Survey) {
        let plans = survey.plans();
        self.ui.result(&plans_text(&plans, survey.unreachable(), self.view()));
        self.unreachable(survey);
    }

    fn unreachable(&self, survey: &Survey) {
        for (host, found) in survey.each() {
            if let Err(error) = found {
                self.ui.warn(&error::reach_text(host.as_str(), error, self.ui.talk()));
            }
        }
    }

    async fn apply(&mut self, survey: Survey) -> Result<(), CommandError> {
        let mut jobs = Vec::new();
        let mut ended = BTreeMap::new();
        for (host, found) in survey.found {
            match (found, survey.desired.get(&host)) {
                (Ok(plan), Some(desired)) if plan.blockers.is_empty() => {
                    if plan.changes.is_empty() {
                        ended.insert(host, HostOutcome::Nothing);
                    } else {
                        jobs.push(Job {
                            connection: desired.connection.clone(),
                            plan,
                            secrets: Contents::new(),
                        });
                    }
                }
                _ => self.flaw(&host, Flaw::NotDone),
            }
        }
        let plans: BTreeMap<_, _> = jobs
            .iter()
            .map(|job| (job.plan.host.clone(), Arc::clone(&job.plan)))
            .collect();
        let all: Vec<&Plan> = plans.values().map(Arc::as_ref).collect();
        let mut contents = secrets::contents(&self.root, &all, self.supply()).await?;
        self.ui.mask(secrets::values(&contents));
        for job in &mut jobs {
            job.secrets = contents.remove(&job.plan.host).unwrap_or_default();
        }
        let hosts: Vec<_> = plans.keys().chain(ended.keys()).cloned().collect();
        let options = options(&self.connect);
        let events = drive::apply(jobs, &options, self.stop);
        if watch(events, &hosts, &plans, ended, self.ui, self.stop).await != Exit::Done {
            for host in plans.into_keys() {
                self.flaw(&host, Flaw::NotDone);
            }
        }
        Ok(())
    }

    /// A plan right after an apply must be empty.
    async fn nothing_left(&mut self) -> Result<(), CommandError> {
        let survey = self.look().await?;
        self.show(&survey);
        for (host, found) in survey.each() {
            match found {
                Ok(plan) if plan.is_empty() => {}
                Ok(_) => self.flaw(host, Flaw::NotEmpty),
                Err(_) => self.flaw(host, Flaw::NotDone),
            }
        }
        Ok(())
    }

    /// Does on each host what somebody in a hurry does, around `provision`.
    fn change_by_hand(&self) -> Result<BTreeMap<HostName, ResourceId>, CommandError> {
        let mut changed = BTreeMap::new();
        for stage in &self.hosts {
            let host = &stage.desired.host;
            let Some((id, line)) = by_hand(&stage.desired) else {
                self.ui.result(&report::nothing_by_hand_text(host));
                continue;
            };
            self.ui.result(&report::by_hand_text(host, &line));
            let output = tokio::task::block_in_place(|| stage.host.run(&["/bin/sh", "-c", &line]));
            let output = output.map_err(CommandError::refused)?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                let error = format!("the change by hand failed on {host}: {}", words::safe(said.trim()));
                return Err(CommandError::new(Exit::Failed, error));
            }
            changed.insert(host.clone(), id);
        }
        Ok(changed)
    }

    /// Drift must find and name what was changed.
    async fn drift(&mut self, changed: &BTreeMap<HostName, ResourceId>) -> Result<Survey, CommandError> {
        let survey = self.look().await?;
        let plans = survey.plans();
        self.ui
            .result(&drift::drifts_text(&plans, survey.unreachable(), self.view()));
        self.unreachable(&survey);
        for (host, found) in survey.each() {
            let Some(id) = changed.get(host) else { continue };
            let named = found.is_ok_and(|plan| drift::differences(plan).any(|change| change.id == *id));
            if !named {
                self.flaws
                    .entry(host.clone())
                    .or_default()
                    .push(Flaw::NotFound(id.clone()));
            }
        }
        Ok(survey)
    }

    /// Destroys the hosts, or leaves them and says how to enter them.
    fn end(self) -> Result<(), CommandError> {
        for stage in self.hosts {
            if self.args.keep {
                let kept = stage.host.keep().map_err(CommandError::refused)?;
                self.ui.say(&format!("\n{}", report::kept_text(&kept)));
            } else {
                stage
                    .host
                    .destroy()
                    .map_err(|error| CommandError::new(Exit::Failed, error))?;
            }
        }
        Ok(())
    }
}

/// Something to change by hand, and the line that does it: a file of text gets another line, or a unit is stopped.
fn by_hand(desired: &Desired) -> Option<(ResourceId, String)> {
    // Validated files (sudoers, sshd) and units' texts could break the throwaway host instead of making it drift.
    let file = desired.resources.values().find_map(|resource| match &resource.spec {
        Spec::File(file) if file.validate.is_none() && file.is_shown() => {
            let path = file.path.as_str();
            (!path.starts_with("/etc/systemd/") && !path.starts_with("/etc/ssh/")).then(|| {
                let line = format!("echo '# changed by hand' >> {}", crate::transport::quote(&[path]));
                (resource.spec.id(), line)
            })
        }
        _ => None,
    });
    let unit = || {
        desired.resources.values().find_map(|resource| match &resource.spec {
            Spec::Unit(unit) if unit.active == Some(true) => Some((
                ResourceId::new(Kind::Unit, unit.name.as_str()),
                unit.name.command("stop"),
            )),
            _ => None,
        })
    };
    file.or_else(unit)
}

fn destroy(names: &[String], ui: &Ui) -> Result<Exit, CommandError> {
    for name in names {
        tokio::task::block_in_place(|| provision_rehearse::destroy_kept(name)).map_err(CommandError::refused)?;
        ui.say(&format!("destroyed the throwaway host {}\n", words::safe(name)));
    }
    Ok(Exit::Done)
}
