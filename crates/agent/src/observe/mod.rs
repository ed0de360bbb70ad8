//! What is there: every resource asked for, looked at in this one process, with at most one question to systemd.
//! It changes nothing on the host, decides nothing about what it finds, and prints nothing.

mod block;
mod command;
mod debconf;
mod facts;
mod firewall;
mod git;
mod group;
mod http;
mod names;
mod package;
mod path;
mod probe;
mod secret;
mod swapfile;
mod switch;
mod sysctl;
mod tree;
mod unit;
mod user;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use provision_core::model::{
    AbsPath, Check, DebconfSpec, DebconfState, Fact, PackageState, ResourceId, Spec, State, Switch,
};

use crate::accounts::Accounts;
use crate::words::chain;

pub(crate) use command::invocation;
pub(crate) use debconf::ANSWERS as DEBCONF_ANSWERS;
pub(crate) use facts::{facts, uptime};
pub(crate) use git::{as_user, git, local_work, who};
pub(crate) use probe::try_once;
pub(crate) use swapfile::observe as swapfile;
pub(crate) use sysctl::{folded, proc_path};
pub(crate) use tree::{is_intact, is_version, seal_path};

/// How many guards and probes are tried at the same time. They wait more than they work.
const WAITING_AT_ONCE: usize = 16;

/// Looks at each resource. None is left out: what cannot be seen is unknown, with the reason.
pub(crate) fn observe(specs: &[Spec]) -> BTreeMap<ResourceId, Fact<State>> {
    let sources = &Sources {
        specs,
        accounts: Accounts::read().map_err(|error| reason(&error)),
        packages: OnceLock::new(),
        answers: OnceLock::new(),
        units: OnceLock::new(),
        secrets: OnceLock::new(),
    };
    let mut order: Vec<&Spec> = specs.iter().collect();
    order.sort_by_key(|spec| turn(spec));
    let (beside, here) = order.split_at(order.partition_point(|spec| turn(spec) == Turn::Beside));
    let next = &AtomicUsize::new(0);
    let fact_of = |spec: &Spec| (spec.id(), look(spec, sources));

    thread::scope(|scope| {
        // Asked beside all else; whoever needs the answers first waits for them.
        scope.spawn(|| sources.units());
        scope.spawn(|| sources.packages());
        let workers: Vec<_> = (0..beside.len().min(WAITING_AT_ONCE))
            .map(|_| {
                scope.spawn(move || {
                    let taken = std::iter::repeat_with(|| beside.get(next.fetch_add(1, Ordering::Relaxed)));
                    taken
                        .map_while(|spec| spec.map(|spec| fact_of(spec)))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let mut found: BTreeMap<_, _> = here.iter().map(|spec| fact_of(spec)).collect();
        for worker in workers {
            found.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        found
    })
}

/// When a resource is looked at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// In a thread of its own, as it waits for somebody else.
    Beside,
    /// By the thread that observes.
    Here,
    /// After those, when the answer that it needs is probably there.
    Last,
}

fn turn(spec: &Spec) -> Turn {
    match spec {
        Spec::Command(_) | Spec::Tree(_) | Spec::Git(_) | Spec::Firewall(_) => Turn::Beside,
        Spec::Probe(probe) => match probe.check {
            Check::Http { .. } | Check::Tcp { .. } => Turn::Beside,
            Check::Unit { .. } => Turn::Last,
            Check::NoNames { .. } => Turn::Here,
        },
        Spec::Debconf(_) | Spec::Package(_) | Spec::Unit(_) => Turn::Last,
        Spec::Switch(switch) => match switch.switch {
            Switch::Hold => Turn::Last,
            Switch::Linger | Switch::KernelModule => Turn::Here,
        },
        Spec::Group(_)
        | Spec::User(_)
        | Spec::Directory(_)
        | Spec::File(_)
        | Spec::Block(_)
        | Spec::Symlink(_)
        | Spec::Swapfile(_)
        | Spec::Secret(_)
        | Spec::Sysctl(_) => Turn::Here,
    }
}

fn look(spec: &Spec, sources: &Sources<'_>) -> Fact<State> {
    let state = match spec {
        Spec::Group(spec) => sources
            .accounts()
            .map(|all| State::Group(group::observe(&spec.name, all))),
        Spec::User(spec) => sources
            .accounts()
            .map(|all| State::User(user::observe(&spec.name, all))),
        Spec::Debconf(spec) => sources.answer(spec).map(State::Debconf),
        Spec::Package(spec) => sources.packages().state(&spec.name).map(State::Package),
        Spec::Directory(spec) => sources
            .accounts()
            .and_then(|all| path::observe(&spec.path, all))
            .map(State::Path),
        Spec::File(spec) => sources
            .accounts()
            .and_then(|all| path::observe_file(spec, all))
            .map(State::Path),
        Spec::Block(spec) => sources
            .accounts()
            .and_then(|all| block::observe(spec, all))
            .map(State::Block),
        Spec::Symlink(spec) => sources
            .accounts()
            .and_then(|all| path::observe(&spec.path, all))
            .map(State::Path),
        Spec::Tree(spec) => sources
            .accounts()
            .and_then(|all| tree::observe(spec, all))
            .map(State::Tree),
        Spec::Git(spec) => sources
            .accounts()
            .and_then(|all| git::observe(spec, all))
            .map(State::Git),
        Spec::Swapfile(spec) => swapfile::observe(&spec.path).map(State::Swapfile),
        Spec::Switch(spec) => switch::observe(spec, || sources.packages().is_held(&spec.name)).map(State::Switch),
        Spec::Sysctl(spec) => sysctl::observe(&spec.key).map(State::Sysctl),
        Spec::Firewall(spec) => firewall::observe(spec).map(State::Firewall),
        Spec::Secret(spec) => sources
            .accounts()
            .and_then(|all| secret::observe(spec, sources.secrets(&spec.directory)?, all))
            .map(State::Secret),
        Spec::Command(spec) => sources
            .accounts()
            .and_then(|all| command::observe(spec, all))
            .map(State::Command),
        Spec::Unit(spec) => sources.units().state(&spec.name).map(State::Unit),
        Spec::Probe(spec) => match &spec.check {
            Check::Unit { unit } => sources.units().state(unit).map(|state| probe::of_unit(&state)),
            Check::Http { .. } | Check::Tcp { .. } | Check::NoNames { .. } => {
                probe::try_once(&spec.check, probe::OBSERVATION)
            }
        }
        .map(State::Probe),
    };
    state.map_or_else(Fact::unknown, Fact::Known)
}

/// What several resources are looked up in, each read at most once. A failure is the reason of all that need it.
struct Sources<'a> {
    specs: &'a [Spec],
    accounts: Result<Accounts, String>,
    packages: OnceLock<package::Packages>,
    answers: OnceLock<debconf::Answers>,
    units: OnceLock<unit::Units>,
    secrets: OnceLock<BTreeMap<AbsPath, Result<secret::Seen, String>>>,
}

impl Sources<'_> {
    fn accounts(&self) -> Result<&Accounts, String> {
        self.accounts.as_ref().map_err(Clone::clone)
    }

    fn packages(&self) -> &package::Packages {
        self.packages.get_or_init(|| {
            let names = self.specs.iter().filter_map(|spec| match spec {
                Spec::Package(package) => Some(package.name.as_str()),
                Spec::Debconf(answer) => Some(answer.package.as_str()),
                Spec::Switch(switch) if switch.switch == Switch::Hold => Some(switch.name.as_str()),
                _ => None,
            });
            package::Packages::read(names)
        })
    }

    fn answer(&self, spec: &DebconfSpec) -> Result<DebconfState, String> {
        let answers = self.answers.get_or_init(|| {
            let questions = self.specs.iter().filter_map(|spec| match spec {
                Spec::Debconf(answer) => Some(answer.question.as_str()),
                _ => None,
            });
            debconf::Answers::read(questions)
        });
        let package = self.packages().state(&spec.package)?;
        Ok(DebconfState {
            answer: answers.of(&spec.question)?,
            installed: matches!(package, PackageState::Installed { .. }),
        })
    }

    /// The secrets of a directory. Those of all directories are read together, each once: a host has one.
    fn secrets(&self, directory: &AbsPath) -> Result<&secret::Seen, String> {
        let all = self.secrets.get_or_init(|| {
            let directories = self.specs.iter().filter_map(|spec| match spec {
                Spec::Secret(secret) => Some(&secret.directory),
                _ => None,
            });
            let directories: BTreeSet<&AbsPath> = directories.collect();
            directories
                .into_iter()
                .map(|directory| (directory.clone(), secret::see(directory)))
                .collect()
        });
        match all.get(directory) {
            Some(seen) => seen.as_ref().map_err(Clone::clone),
            None => Err("it was not looked at".to_owned()),
        }
    }

    fn units(&self) -> &unit::Units {
        self.units.get_or_init(|| {
            let names = self.specs.iter().filter_map(|spec| match spec {
                Spec::Unit(unit) => Some(&unit.name),
                Spec::Probe(probe) => match &probe.check {
                    Check::Unit { unit } => Some(unit),
                    Check::Http { .. } | Check::Tcp { .. } | Check::NoNames { .. } => None,
                },
                _ => None,
            });
            unit::Units::ask(names)
        })
    }
}

/// An error with its causes, in one line: why something is unknown, or what a probe saw.
fn reason(error: &dyn Error) -> String {
    chain(error).untrusted().to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use provision_core::model::{
        CommandSpec, Content, FileSpec, GroupSpec, GroupState, Guard, Millis, Mode, OnChange, PackageSpec,
        PackageState, PackageWant, PathState, ProbeSpec, SymlinkSpec, SysctlSpec, SysctlState, UnitName, UnitSpec,
        UserSpec, UserState,
    };

    use super::*;
    use crate::systemd;
    use crate::testing::Scratch;

    fn path(text: &str) -> AbsPath {
        AbsPath::new(text).unwrap()
    }

    fn file(at: &str) -> Spec {
        Spec::File(FileSpec {
            path: path(at),
            content: Content::of(b""),
            owner: "root".to_owned(),
            group: "root".to_owned(),
            mode: Mode::from_bits(0o644),
            validate: None,
            sensitive: false,
            private: false,
            seed: false,
        })
    }

    fn command(name: &str, script: &str) -> Spec {
        Spec::Command(CommandSpec {
            name: name.to_owned(),
            run: vec!["true".to_owned()],
            guard: Guard::Unless(["sh", "-c", script].map(str::to_owned).to_vec()),
            user: None,
            cwd: None,
            env: BTreeMap::new(),
            timeout: Millis::seconds(1),
        })
    }

    fn unit() -> Spec {
        Spec::Unit(UnitSpec {
            name: UnitName::new("dbus.service").unwrap(),
            enabled: None,
            active: Some(true),
            on_change: OnChange::Nothing,
            settle: Millis::seconds(1),
        })
    }

    fn one_of_each() -> Vec<Spec> {
        let name = "root".to_owned();
        vec![
            Spec::Group(GroupSpec {
                name: name.clone(),
                gid: None,
                system: true,
            }),
            Spec::User(UserSpec {
                name,
                uid: None,
                group: None,
                groups: [].into(),
                home: None,
                create_home: false,
                shell: None,
                comment: None,
                system: true,
            }),
            Spec::Package(PackageSpec {
                name: "dpkg".to_owned(),
                want: PackageWant::Present,
                recommends: true,
            }),
            file("/etc/passwd"),
            Spec::Symlink(SymlinkSpec {
                path: path("/proc/self/exe"),
                target: String::new(),
            }),
            Spec::Sysctl(SysctlSpec {
                key: "kernel.ostype".to_owned(),
                value: String::new(),
            }),
            command("guard", "exit 0"),
            unit(),
            Spec::Probe(ProbeSpec {
                name: "bus".to_owned(),
                check: Check::Unit {
                    unit: UnitName::new("dbus.service").unwrap(),
                },
                timeout: Millis::seconds(1),
                interval: Millis::seconds(1),
                threshold: 1,
            }),
        ]
    }

    #[test]
    fn every_resource_has_its_fact() {
        let specs = one_of_each();
        let found = observe(&specs);
        assert_eq!(found.len(), specs.len());
        for spec in &specs {
            let fact = &found[&spec.id()];
            let as_it_is = match (spec, fact.known()) {
                (Spec::Group(_), Some(State::Group(state))) => *state == GroupState::Present { gid: 0 },
                (Spec::User(_), Some(State::User(UserState::Present { uid: 0, home, .. }))) => {
                    home.untrusted() == "/root"
                }
                (Spec::Package(_), Some(State::Package(PackageState::Installed { .. }))) => true,
                (Spec::File(_), Some(State::Path(PathState::File { text: Some(text), .. }))) => {
                    text.untrusted().starts_with("root:")
                }
                (Spec::Symlink(_), Some(State::Path(PathState::Symlink { .. }))) => true,
                (Spec::Sysctl(_), Some(State::Sysctl(SysctlState::Live(value)))) => value.untrusted() == "Linux",
                (Spec::Command(_), Some(State::Command(state))) => state.satisfied,
                (Spec::Unit(_), Some(State::Unit(state))) => state.load.untrusted() == "loaded",
                (Spec::Probe(_), Some(State::Probe(state))) => state.detail.untrusted() == "active",
                (Spec::Unit(_) | Spec::Probe(_), None) => {
                    !systemd::is_running() && *fact == Fact::unknown("systemd is not running on this host")
                }
                _ => false,
            };
            assert!(as_it_is, "{spec:?} is {fact:?}");
        }
    }

    #[test]
    fn what_waits_waits_at_the_same_time() {
        // Each of two guards ends only when the other has begun.
        let scratch = Scratch::new();
        let meet = |own: &str, other: &str| {
            let script = format!(
                "cd {}; : > {own}; until test -e {other}; do sleep 0.01; done",
                scratch.path().display()
            );
            command(own, &script)
        };
        let specs = [meet("a", "b"), meet("b", "a"), file("/etc/passwd")];
        let began = Instant::now();
        let found = observe(&specs);
        assert!(found.values().all(|fact| fact.known().is_some()), "{found:?}");
        assert!(began.elapsed() < Duration::from_secs(25));
    }

    #[test]
    fn more_guards_than_threads_are_all_tried() {
        let specs: Vec<_> = (0..3 * WAITING_AT_ONCE)
            .map(|n| command(&n.to_string(), "exit 1"))
            .collect();
        let found = observe(&specs);
        assert_eq!(found.len(), specs.len());
        assert!(
            found
                .values()
                .all(|fact| matches!(fact, Fact::Known(State::Command(state)) if !state.satisfied))
        );
    }
}
