//! Packages, by apt: what a killed dpkg left is repaired first, then everything is installed and removed in one run, after
//! one for those that come without what they recommend. Nothing is removed that the plan does not name. Otherwise
//! recommended packages are left to apt's own configuration, and so is what an automatic removal would find superfluous.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use provision_core::model::{Fact, HostText, PackageSpec, PackageState, PackageWant, Spec, State, StepError};

use super::{Progress, Ran, dpkg_lock, must_run, package_lists, problem, run};
use crate::child::Invocation;
use crate::observe;

/// How long one run of apt or dpkg may take.
const DEADLINE: Duration = Duration::from_secs(30 * 60);
/// How long the package lists may take: some 50 MB at worst.
const UPDATE: Duration = Duration::from_secs(10 * 60);

/// Keep the configuration files that were changed, take the package's where they were not, and never ask.
const KEEP_CONFIGURATION: [&str; 2] = ["--force-confdef", "--force-confold"];

/// What apt says where its lists are missing or older than the mirror.
const STALE_LISTS: [&str; 6] = [
    "Unable to locate package",
    "has no installation candidate",
    "was not found",
    "Failed to fetch",
    "Unable to fetch",
    "apt-get update",
];

/// What to do where the mirror does not answer.
const REACH_MIRROR: &str = "see whether this host reaches its package mirror: network, DNS, clock, proxy, sources.list";

pub(super) fn change(
    install: &BTreeMap<String, Option<String>>,
    bare: &BTreeSet<String>,
    remove: &BTreeSet<String>,
    progress: &mut Progress<'_>,
) -> Result<(), StepError> {
    dpkg_lock::wait(progress)?;
    repair(progress)?;
    let mut updated = None;
    if !install.is_empty() && (!package_lists::has_lists() || package_lists::lists_are_older()) {
        updated = Some(update(progress)?);
    }
    for (arguments, recommends, remove) in runs(install, bare, remove) {
        let mut ran = install_or_remove(&arguments, recommends, &remove, progress)?;
        if !ran.status.success() && updated.is_none() && STALE_LISTS.iter().any(|text| ran.says(text)) {
            updated = Some(update(progress)?);
            ran = install_or_remove(&arguments, recommends, &remove, progress)?;
        }
        if !ran.status.success() {
            return Err(explained(ran, updated.and_then(|updated| updated.unreachable)));
        }
    }
    check(install, remove)
}

/// The packages as apt takes them: `name`, `name=version`, and `name-` for a removal; whether those that they recommend come
/// along; and what goes. Removals are with the last, whose packages may take the place of theirs.
fn runs(
    install: &BTreeMap<String, Option<String>>,
    bare: &BTreeSet<String>,
    remove: &BTreeSet<String>,
) -> Vec<(Vec<String>, bool, BTreeSet<String>)> {
    let wanted = |bares: bool| {
        let some = install.iter().filter(move |(name, _)| bare.contains(*name) == bares);
        some.map(|(name, version)| match version {
            Some(version) => format!("{name}={version}"),
            // Without the plus, apt would take a name that ends in a minus for a removal.
            None if name.ends_with(['-', '+']) => format!("{name}+"),
            None => name.clone(),
        })
        .collect::<Vec<_>>()
    };
    let mut runs = vec![
        (wanted(true), false, BTreeSet::new()),
        (wanted(false), true, BTreeSet::new()),
    ];
    runs.retain(|(arguments, _, _)| !arguments.is_empty());
    if runs.is_empty() {
        runs.push((Vec::new(), true, BTreeSet::new()));
    }
    if let Some((arguments, _, removed)) = runs.last_mut() {
        arguments.extend(remove.iter().map(|name| format!("{name}-")));
        removed.clone_from(remove);
    }
    runs
}

fn install_or_remove(
    arguments: &[String],
    recommends: bool,
    remove: &BTreeSet<String>,
    progress: &mut Progress<'_>,
) -> Result<Ran, StepError> {
    let mut options = vec!["install", "--yes", "--allow-downgrades"];
    if !recommends {
        options.push("--no-install-recommends");
    }
    if remove.is_empty() {
        options.push("--no-remove");
    } else {
        // Packages that depend on a removed one go with it, so apt is first asked what it would remove.
        let rehearsed = rehearse(arguments, progress)?;
        match rehearsed {
            Rehearsed::Removes(names) => {
                let beyond = names.iter().filter(|name| !names_one_of(name, remove));
                // What only came along with something goes with it. What somebody asked for does not.
                let along = came_along();
                let beyond: Vec<_> = beyond.filter(|name| !names_one_of(name, &along)).cloned().collect();
                if !beyond.is_empty() {
                    return Err(StepError {
                        fix: Some("declare these packages absent too, or keep the one that they need".to_owned()),
                        ..problem(format!(
                            "apt would also remove {}; no package was changed",
                            beyond.join(", ")
                        ))
                    });
                }
            }
            Rehearsed::Fails(ran) => return Ok(ran),
        }
    }
    run(&apt(DEADLINE).args(options).args(["--"]).args(arguments), progress)
}

/// What apt says it would do.
enum Rehearsed {
    Removes(Vec<String>),
    Fails(Ran),
}

fn rehearse(arguments: &[String], progress: &mut Progress<'_>) -> Result<Rehearsed, StepError> {
    let invocation = apt(DEADLINE)
        .args(["install", "--yes", "--allow-downgrades", "--simulate", "--"])
        .args(arguments);
    let mut names = Vec::new();
    let mut tail = super::Tail::default();
    let ended = crate::child::run(&invocation, |line| {
        tail.push(line);
        names.extend(removed(line).map(str::to_owned));
    });
    match ended {
        Ok(status) if status.success() => Ok(Rehearsed::Removes(names)),
        Ok(status) => {
            let tail = tail.lines();
            tail.iter().for_each(|line| progress.output(line.untrusted()));
            Ok(Rehearsed::Fails(Ran { status, tail }))
        }
        Err(error) => Err(super::child_failure(&error, tail)),
    }
}

/// The packages that apt installed only because another one needed them (apt-mark(8), showauto). None where it cannot be read:
/// then nothing goes along.
fn came_along() -> BTreeSet<String> {
    let states = fs::read_to_string("/var/lib/apt/extended_states").unwrap_or_default();
    automatic(&states)
}

fn automatic(states: &str) -> BTreeSet<String> {
    let field = |paragraph: &str, name: &str| {
        let line = paragraph.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().to_owned())
    };
    states
        .split("\n\n")
        .filter(|paragraph| field(paragraph, "Auto-Installed:").as_deref() == Some("1"))
        .filter_map(|paragraph| field(paragraph, "Package:"))
        .collect()
}

/// The package that a line of a simulation removes: `Remv NAME [VERSION]`.
fn removed(line: &str) -> Option<&str> {
    line.strip_prefix("Remv ")?.split_whitespace().next()
}

/// Whether a package of a simulation is one of the plan's. The simulation adds `:arch` to foreign ones only.
fn names_one_of(name: &str, planned: &BTreeSet<String>) -> bool {
    let bare = name.split(':').next().unwrap_or(name);
    planned.contains(name) || planned.contains(bare) || planned.iter().any(|one| one.split(':').next() == Some(name))
}

/// Finishes what a killed dpkg left.
fn repair(progress: &mut Progress<'_>) -> Result<(), StepError> {
    if !is_interrupted() && !has_half_installed() {
        return Ok(());
    }
    progress.output("dpkg was interrupted; its work is finished first");
    let configure = tool("dpkg", DEADLINE)
        .args(KEEP_CONFIGURATION)
        .args(["--configure", "--pending"]);
    // What it cannot finish, apt may be able to: by installing what is missing, or the package once more.
    let configured = run(&configure, progress)?;
    if configured.status.success() && !has_half_installed() {
        return Ok(());
    }
    dpkg_lock::wait(progress)?;
    let fix = apt(DEADLINE).args(["install", "--yes", "--no-remove", "--fix-broken"]);
    must_run(&fix, "apt-get install --fix-broken", progress)
}

/// Whether dpkg's journal holds what is not merged into its status file.
fn is_interrupted() -> bool {
    let mut entries = fs::read_dir("/var/lib/dpkg/updates").into_iter().flatten();
    entries.any(|entry| {
        let name = entry.map(|entry| entry.file_name()).unwrap_or_default();
        let name = name.as_encoded_bytes();
        !name.is_empty() && name.iter().all(u8::is_ascii_digit)
    })
}

/// Whether a package is in a state that dpkg leaves only when it is interrupted or a script fails.
fn has_half_installed() -> bool {
    let status = fs::read("/var/lib/dpkg/status").unwrap_or_default();
    status
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.strip_prefix(b"Status: "))
        .filter_map(|words| words.rsplit(|byte| *byte == b' ').next())
        .any(|state| {
            matches!(
                state,
                b"half-installed" | b"unpacked" | b"half-configured" | b"triggers-pending"
            )
        })
}

/// How the package lists were brought up to date.
struct Updated {
    /// A mirror that could not be reached, in apt's words. apt goes on with the lists of the others, and so do we.
    unreachable: Option<String>,
}

fn update(progress: &mut Progress<'_>) -> Result<Updated, StepError> {
    dpkg_lock::wait(progress)?;
    let ran = run(&apt(UPDATE).args(["update"]), progress)?;
    if !ran.status.success() {
        return Err(StepError {
            fix: Some(REACH_MIRROR.to_owned()),
            ..ran.failure("apt-get update")
        });
    }
    let unreachable = ran
        .tail
        .iter()
        .find_map(|line| line.untrusted().strip_prefix("W: Failed to fetch "));
    let unreachable = unreachable.map(str::to_owned);
    if let Some(refused) = ran.tail.iter().map(HostText::untrusted).find(|line| is_refusal(line)) {
        // apt goes on with the lists of before, and so with whatever somebody else may offer instead.
        let fix = "see that `key` is the repository's own, as its makers publish it over HTTPS";
        return Err(StepError {
            fix: Some(fix.to_owned()),
            ..problem(format!(
                "a repository is not signed by the key that it is declared with: {refused}"
            ))
        });
    }
    if unreachable.is_none() {
        package_lists::note_fetched();
    }
    dpkg_lock::wait(progress)?;
    Ok(Updated { unreachable })
}

/// Whether apt says of a repository that its signature is not the right one.
fn is_refusal(line: &str) -> bool {
    let warns = line.starts_with("W: ") || line.starts_with("E: ");
    warns
        && ["NO_PUBKEY", "BADSIG", "EXPKEYSIG", "REVKEYSIG", "is not signed"]
            .iter()
            .any(|word| line.contains(word))
}

fn explained(ran: Ran, unreachable: Option<String>) -> StepError {
    let fix = if unreachable.is_some() {
        Some(REACH_MIRROR)
    } else if ran.says("Packages need to be removed but remove is disabled") {
        Some("what is to be installed conflicts with an installed package: declare that one absent")
    } else if ran.says("Unable to locate package") || ran.says("was not found") {
        Some("see whether the name and the version are right for this release, and its sources.list complete")
    } else if ran.says("No space left on device") || ran.says("enough free space") {
        Some("free some space on that disk, then apply again")
    } else if ran.says("held packages") {
        Some("a package is on hold: see `apt-mark showhold`")
    } else {
        None
    };
    let errors: Vec<_> = ran
        .tail
        .iter()
        .filter_map(|line| line.untrusted().strip_prefix("E: "))
        .collect();
    let mut errors = errors.join("; ");
    if let Some(mirror) = unreachable {
        errors = format!("{errors}; and its lists are incomplete: {mirror}");
    }
    let failed = ran.failure("apt-get install");
    let problem = match &*errors {
        "" => failed.problem,
        errors => HostText::new(format!("{}: {errors}", failed.problem.untrusted())),
    };
    StepError {
        problem,
        fix: fix.map(str::to_owned),
        ..failed
    }
}

/// apt is content with a package that another one provides. The configuration names a real one.
fn check(install: &BTreeMap<String, Option<String>>, remove: &BTreeSet<String>) -> Result<(), StepError> {
    let want = |version: &Option<String>| match version {
        Some(version) => PackageWant::Version(version.clone()),
        None => PackageWant::Present,
    };
    let installed = install.iter().map(|(name, version)| (name, want(version)));
    let removed = remove.iter().map(|name| (name, PackageWant::Absent));
    let specs: Vec<Spec> = installed
        .chain(removed)
        .map(|(name, want)| {
            Spec::Package(PackageSpec {
                name: name.clone(),
                want,
                recommends: true,
            })
        })
        .collect();
    let found = observe::observe(&specs);
    for spec in &specs {
        let Spec::Package(PackageSpec { name, want, .. }) = spec else {
            continue;
        };
        let state = match found.get(&spec.id()) {
            Some(Fact::Known(State::Package(state))) => state,
            Some(Fact::Unknown(reason)) => {
                let words = format!("apt succeeded, and {name} cannot be seen: {}", reason.untrusted());
                return Err(problem(words));
            }
            Some(Fact::Known(_)) | None => return Err(problem(format!("apt succeeded, and {name} was not looked at"))),
        };
        let wrong = match (want, state) {
            (PackageWant::Present, PackageState::Installed { .. }) | (PackageWant::Absent, PackageState::Absent) => {
                None
            }
            (PackageWant::Version(wanted), PackageState::Installed { version }) => {
                (version.untrusted() != wanted).then(|| format!("is installed in version {}", version.untrusted()))
            }
            (PackageWant::Absent, PackageState::Installed { .. }) => Some("is still installed".to_owned()),
            (PackageWant::Present | PackageWant::Version(_), PackageState::Absent) => {
                Some("is not installed: it may be provided by another package".to_owned())
            }
            (_, PackageState::Broken { status }) => Some(format!("is {}", status.untrusted())),
        };
        if let Some(wrong) = wrong {
            return Err(problem(format!("apt succeeded, and {name} {wrong}")));
        }
    }
    Ok(())
}

/// apt-get, which never asks, waits a little for a lock that was taken after we looked, and gives up on a dead mirror.
fn apt(deadline: Duration) -> Invocation {
    let keep = KEEP_CONFIGURATION.map(|option| format!("--option=Dpkg::Options::={option}"));
    tool("apt-get", deadline).args(keep).args([
        "--option=DPkg::Lock::Timeout=60",
        "--option=Dpkg::Use-Pty=0",
        "--option=Acquire::Retries=2",
        "--option=Acquire::http::Timeout=30",
        "--option=Acquire::https::Timeout=30",
        "--quiet",
    ])
}

/// With the environment that keeps maintainer scripts from asking, and needrestart from restarting what the plan does not.
fn tool(program: &str, deadline: Duration) -> Invocation {
    Invocation::new(program, deadline)
        .env("LC_ALL", "C.UTF-8")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("DEBIAN_PRIORITY", "critical")
        .env("APT_LISTCHANGES_FRONTEND", "none")
        .env("NEEDRESTART_MODE", "l")
        .env("NEEDRESTART_SUSPEND", "1")
        .env("UCF_FORCE_CONFFOLD", "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_like_orders_to_apt_are_installed() {
        let install = [("g++", None), ("curl", Some("8.0-1"))];
        let install = install.map(|(name, version)| (name.to_owned(), version.map(str::to_owned)));
        let (install, remove) = (BTreeMap::from(install), BTreeSet::from(["nano".to_owned()]));
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let all = words(&["curl=8.0-1", "g+++", "nano-"]);
        assert_eq!(runs(&install, &[].into(), &remove), [(all, true, remove.clone())]);
        // What comes without what it recommends has a run of its own, and removals come with the last.
        let bare = BTreeSet::from(["curl".to_owned()]);
        let first = (words(&["curl=8.0-1"]), false, [].into());
        assert_eq!(
            runs(&install, &bare, &remove),
            [first, (words(&["g+++", "nano-"]), true, remove.clone())]
        );
        let all = ["curl".to_owned(), "g++".to_owned()].into();
        assert_eq!(
            runs(&install, &all, &remove),
            [(words(&["curl=8.0-1", "g+++", "nano-"]), false, remove.clone())]
        );
        assert_eq!(
            runs(&[].into(), &[].into(), &remove),
            [(words(&["nano-"]), true, remove)]
        );
    }

    #[test]
    fn what_came_along_is_told_from_what_was_asked_for() {
        let states = "Package: libfoo\nArchitecture: amd64\nAuto-Installed: 1\n\nPackage: nano\nArchitecture: amd64\nAuto-Installed: 0\n\n\
                      Package: libbar\nAuto-Installed: 1\n";
        assert_eq!(automatic(states), ["libbar", "libfoo"].map(str::to_owned).into());
        assert!(automatic("").is_empty());
    }

    #[test]
    fn a_simulation_tells_what_goes() {
        assert_eq!(removed("Remv libfoo:i386 [1.2-3]"), Some("libfoo:i386"));
        assert_eq!(removed("Inst curl (8.0-1 Debian:12)"), None);
        let planned = BTreeSet::from(["libfoo".to_owned()]);
        assert!(names_one_of("libfoo:i386", &planned));
        assert!(!names_one_of("libfoo2", &planned));
    }
}
