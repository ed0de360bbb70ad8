//! The words for the model's enums and values: one table for each, used by every view. It lays out nothing.

use provision_core::model::{
    Action, Digest, HostText, Moved, Op, Outcome, PathKind, Reason, ResourceId, RunPhase, Source, Switch, SwitchSpec,
};

/// Text from anywhere as one line that cannot steer a terminal. Names in a receipt, and so in a plan, come from hosts.
#[must_use]
pub fn safe(text: &str) -> String {
    HostText::new(text).escaped()
}

/// A resource's id, fit for a terminal.
#[must_use]
pub fn id(id: &ResourceId) -> String {
    safe(&id.to_string())
}

/// The sign before a change.
#[must_use]
pub const fn symbol(action: Action) -> char {
    match action {
        Action::Create => '+',
        Action::Update => '~',
        Action::Remove => '-',
        Action::Restore => '<',
        Action::Forget => '.',
        Action::Run => '!',
        Action::Restart => '↻',
        Action::Verify => '?',
        Action::Record => '=',
    }
}

/// What happens to a resource, in one word; also its name in JSON.
#[must_use]
pub const fn action(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Remove => "remove",
        Action::Restore => "restore",
        Action::Forget => "forget",
        Action::Run => "run",
        Action::Restart => "restart",
        Action::Verify => "verify",
        Action::Record => "record",
    }
}

/// Who moved, in one word; also its name in JSON.
#[must_use]
pub const fn moved_name(moved: Moved) -> &'static str {
    match moved {
        Moved::New => "new",
        Moved::Configuration => "configuration",
        Moved::Host => "host",
        Moved::Both => "both",
        Moved::Neither => "neither",
    }
}

/// Who moved, as a clause; `None` where there is nothing to add to the reasons.
#[must_use]
pub const fn moved(moved: Moved) -> Option<&'static str> {
    match moved {
        Moved::New | Moved::Neither => None,
        Moved::Configuration => Some("the configuration moved since the last apply"),
        Moved::Host => Some("the host moved since the last apply"),
        Moved::Both => Some("both the configuration and the host moved since the last apply"),
    }
}

/// A reason's name in JSON.
#[must_use]
pub const fn reason_name(reason: &Reason) -> &'static str {
    match reason {
        Reason::Differs => "differs",
        Reason::Missing => "missing",
        Reason::LeftConfiguration => "left-configuration",
        Reason::Triggered { .. } => "triggered",
        Reason::StartedWithOlder => "started-with-older",
        Reason::Unfinished => "unfinished",
        Reason::NeedsDaemonReload => "needs-daemon-reload",
        Reason::GuardOpen(_) => "guard-open",
        Reason::ProbeFails(_) => "probe-fails",
        Reason::VerifiesChanges => "verifies-changes",
        Reason::HalfInstalled(_) => "half-installed",
        Reason::WasThereBefore => "was-there-before",
        Reason::ChangedSince => "changed-since",
        Reason::AlreadyGone => "already-gone",
        Reason::NothingToUndo => "nothing-to-undo",
        Reason::CannotUndo => "cannot-undo",
        Reason::DataStays => "data-stays",
        Reason::NotReconfigured { .. } => "not-reconfigured",
        Reason::Reconfigured { .. } => "reconfigured",
        Reason::Kept => "kept",
        Reason::RemovedThoughThereBefore => "removed-though-there-before",
        Reason::LostSinceBoot => "lost-since-boot",
        Reason::OnRemovalDiffers => "on-removal-differs",
    }
}

/// Why a change is planned, as clauses. `verb` is what happens to a unit: "restarts", "reloads", …; `back` is the generation
/// that a rollback goes to.
#[must_use]
pub fn reasons(reasons: &[Reason], verb: &str, back: Option<u64>) -> String {
    let triggers: Vec<_> = reasons.iter().filter_map(trigger).map(id).collect();
    let because = match triggers.split_last() {
        None => None,
        Some((only, [])) => Some(format!("{verb} because {only} changes")),
        Some((last, others)) => Some(format!("{verb} because {} and {last} change", others.join(", "))),
    };
    let others = reasons.iter().filter(|reason| trigger(reason).is_none());
    let clauses = because.into_iter().chain(others.map(|other| reason(other, verb, back)));
    clauses.collect::<Vec<_>>().join("; ")
}

const fn trigger(reason: &Reason) -> Option<&ResourceId> {
    match reason {
        Reason::Triggered { by } => Some(by),
        Reason::Differs
        | Reason::Missing
        | Reason::LeftConfiguration
        | Reason::StartedWithOlder
        | Reason::Unfinished
        | Reason::NeedsDaemonReload
        | Reason::GuardOpen(_)
        | Reason::ProbeFails(_)
        | Reason::VerifiesChanges
        | Reason::HalfInstalled(_)
        | Reason::WasThereBefore
        | Reason::ChangedSince
        | Reason::AlreadyGone
        | Reason::NothingToUndo
        | Reason::CannotUndo
        | Reason::DataStays
        | Reason::NotReconfigured { .. }
        | Reason::Reconfigured { .. }
        | Reason::Kept
        | Reason::RemovedThoughThereBefore
        | Reason::LostSinceBoot
        | Reason::OnRemovalDiffers => None,
    }
}

/// One reason, as a clause.
#[must_use]
pub fn reason(reason: &Reason, verb: &str, back: Option<u64>) -> String {
    match (reason, back) {
        (Reason::Differs, Some(to)) => return format!("is not as generation {to} left it"),
        (Reason::LeftConfiguration, Some(to)) => return format!("is not in generation {to}"),
        (_, _) => {}
    }
    match reason {
        Reason::Differs => "is not as declared".to_owned(),
        Reason::Missing => "is not on the host".to_owned(),
        Reason::LeftConfiguration => "left the configuration".to_owned(),
        Reason::Triggered { by } => format!("{verb} because {} changes", id(by)),
        Reason::StartedWithOlder => format!("{verb} because something it uses has changed since it was last started"),
        Reason::Unfinished => format!("{verb} because an earlier apply ended before it could do so"),
        Reason::NeedsDaemonReload => "systemd has not read its file on disk yet".to_owned(),
        Reason::GuardOpen(seen) => format!("its guard says there is something to do: {}", seen.escaped()),
        Reason::ProbeFails(seen) => format!("does not pass now: {}", seen.escaped()),
        Reason::VerifiesChanges => "is checked after the changes that come before it".to_owned(),
        Reason::HalfInstalled(status) => format!("dpkg left it half-way: {}", status.escaped()),
        Reason::WasThereBefore => "was there before provision came".to_owned(),
        Reason::ChangedSince => "was changed by somebody since provision made it".to_owned(),
        Reason::AlreadyGone => "is already gone from the host".to_owned(),
        Reason::NothingToUndo => "has nothing to undo".to_owned(),
        Reason::CannotUndo => "what it did stays: a command cannot be undone".to_owned(),
        Reason::DataStays => "its data, and configuration files that were changed, stay".to_owned(),
        Reason::NotReconfigured { package } => format!(
            "{package} is installed already and stays configured as it is until `dpkg-reconfigure {package}`, or reconfigure = true"
        ),
        Reason::Reconfigured { package } => {
            format!("{package} is reconfigured with it; what it then writes is its own, and is not kept to be put back")
        }
        Reason::Kept => "stays, as on_removal says".to_owned(),
        Reason::RemovedThoughThereBefore => "goes though it was there before, as on_removal says".to_owned(),
        Reason::LostSinceBoot => "is missing since the host has started anew: its memory was lost".to_owned(),
        Reason::OnRemovalDiffers => "is as declared; what happens when it leaves the configuration changes".to_owned(),
    }
}

/// What a step does, in the imperative, short enough for a line of progress.
#[must_use]
pub fn op(op: &Op) -> String {
    let words = match op {
        Op::WriteFile(spec) => format!("write {}", spec.path),
        Op::SetAttributes { path, .. } => format!("set owner, group and mode of {path}"),
        Op::MakeDirectory(spec) => format!("make directory {}", spec.path),
        Op::MakeSymlink(spec) => format!("link {}", spec.path),
        Op::RemovePath { path, what } => format!("remove {} {path}", path_kind(*what)),
        Op::RestoreFile { path, .. } => format!("restore {path}"),
        Op::PutBlock(spec) => format!("put block {} into {}", spec.name, spec.path),
        Op::RemoveBlock { path, name, .. } => format!("take block {name} out of {path}"),
        Op::Answer { answers } => {
            let questions: Vec<_> = answers.keys().cloned().collect();
            format!("answer {}", few(&questions))
        }
        Op::TakeBackAnswer { question, .. } => format!("take back the answer to {question}"),
        Op::Reconfigure { package } => format!("reconfigure {package}"),
        Op::Packages { install, remove, .. } => packages(install.keys(), remove.iter()),
        Op::MakeTree(spec) => match &spec.source {
            Source::Archive { url, .. } => format!("unpack {url} at {}", spec.path),
            Source::Npm { .. } => format!("install npm packages at {}", spec.path),
        },
        Op::PutSwapfile { spec, rebuild: true } => format!("make the swap file {}", spec.path),
        Op::PutSwapfile { spec, rebuild: false } => format!("set up the swap file {}", spec.path),
        Op::RemoveSwapfile { path } => format!("bring back what is in the swap file {path}, and remove it"),
        Op::RemoveTree { path } => format!("remove {path} and its versions"),
        Op::CloneGit(spec) => format!("clone {} to {}", spec.url, spec.path),
        Op::MirrorGit { spec, commit } => {
            format!("bring {} to commit {}", spec.path, commit.get(..12).unwrap_or(commit))
        }
        Op::RemoveGit(spec) => format!("remove {} if nobody's work is in it", spec.path),
        Op::Turn(spec) => turn(spec),
        Op::SetSysctl(spec) => format!("set {} = {}", spec.key, spec.value),
        Op::LoadFirewall(_) => "check and load the firewall".to_owned(),
        Op::RemoveFirewall => "take the firewall away".to_owned(),
        Op::Secrets {
            deliver, keep, remove, ..
        } => secrets(deliver.keys(), keep.keys(), remove.iter()),
        Op::DaemonReload => "let systemd read its unit files".to_owned(),
        Op::ReloadOfUser { user } => format!("let the service manager of {user} read its unit files"),
        Op::AtBoot { enable, disable } => {
            let orders = [("enable", enable), ("disable", disable)];
            let orders = orders.iter().filter(|(_, units)| !units.is_empty());
            let orders: Vec<_> = orders
                .map(|(verb, units)| {
                    let names: Vec<_> = units.iter().map(ToString::to_string).collect();
                    format!("{verb} {}", few(&names))
                })
                .collect();
            orders.join(", ")
        }
        Op::Unit { name, verb } => format!("{} {name}", verb.systemctl()),
        Op::Settle(units) => {
            let names: Vec<_> = units.keys().map(ToString::to_string).collect();
            format!("watch {} settle", few(&names))
        }
        Op::CreateGroup(spec) => format!("create group {}", spec.name),
        Op::SetGroupId { name, gid } => format!("set id of group {name} to {gid}"),
        Op::DeleteGroup { name } => format!("delete group {name}"),
        Op::CreateUser(spec) => format!("create user {}", spec.name),
        Op::ModifyUser { change, .. } => format!("change user {}", change.name),
        Op::DeleteUser { name, .. } => format!("delete user {name}"),
        Op::Run(spec) => format!("run {}", spec.name),
        Op::Probe(spec) => format!("wait for {}", spec.name),
        Op::Record => "bring the record up to date".to_owned(),
    };
    safe(&words)
}

/// Whether a step may well take seconds, so that its beginning is worth a line.
#[must_use]
pub const fn op_is_long(op: &Op) -> bool {
    match op {
        Op::Packages { .. }
        | Op::Reconfigure { .. }
        | Op::MakeTree(_)
        | Op::CloneGit(_)
        | Op::MirrorGit { .. }
        | Op::PutSwapfile { .. }
        | Op::RemoveSwapfile { .. }
        | Op::AtBoot { .. }
        | Op::Unit { .. }
        | Op::Settle(_)
        | Op::Run(_)
        | Op::Probe(_) => true,
        Op::WriteFile(_)
        | Op::SetAttributes { .. }
        | Op::MakeDirectory(_)
        | Op::MakeSymlink(_)
        | Op::RemovePath { .. }
        | Op::RestoreFile { .. }
        | Op::PutBlock(_)
        | Op::RemoveBlock { .. }
        | Op::Answer { .. }
        | Op::TakeBackAnswer { .. }
        | Op::RemoveTree { .. }
        | Op::RemoveGit(_)
        | Op::Turn(_)
        | Op::SetSysctl(_)
        | Op::LoadFirewall(_)
        | Op::RemoveFirewall
        | Op::Secrets { .. }
        | Op::DaemonReload
        | Op::ReloadOfUser { .. }
        | Op::CreateGroup(_)
        | Op::SetGroupId { .. }
        | Op::DeleteGroup { .. }
        | Op::CreateUser(_)
        | Op::ModifyUser { .. }
        | Op::DeleteUser { .. }
        | Op::Record => false,
    }
}

fn turn(spec: &SwitchSpec) -> String {
    let name = &spec.name;
    match (spec.switch, spec.on) {
        (Switch::Hold, true) => format!("hold {name} at its version"),
        (Switch::Hold, false) => format!("no longer hold {name} at its version"),
        (Switch::Linger, true) => format!("let {name} linger"),
        (Switch::Linger, false) => format!("let {name} no longer linger"),
        (Switch::KernelModule, true) => format!("load kernel module {name}"),
        (Switch::KernelModule, false) => format!("unload kernel module {name}"),
    }
}

fn secrets<'a>(
    deliver: impl Iterator<Item = &'a String>,
    keep: impl Iterator<Item = &'a String>,
    remove: impl Iterator<Item = &'a String>,
) -> String {
    let named = |verb: &str, names: Vec<String>| (!names.is_empty()).then(|| format!("{verb} {}", few(&names)));
    let all = [
        named("deliver", deliver.cloned().collect()),
        named("hand over", keep.cloned().collect()),
        named("remove", remove.cloned().collect()),
    ];
    let all: Vec<_> = all.into_iter().flatten().collect();
    format!("secrets: {}", all.join(", "))
}

fn packages<'a>(install: impl Iterator<Item = &'a String>, remove: impl Iterator<Item = &'a String>) -> String {
    let install: Vec<_> = install.cloned().collect();
    let remove: Vec<_> = remove.cloned().collect();
    match (install.is_empty(), remove.is_empty()) {
        (true, true) => "repair half-installed packages".to_owned(),
        (false, true) => format!("install {}", few(&install)),
        (true, false) => format!("remove {}", few(&remove)),
        (false, false) => format!("install {} and remove {}", few(&install), few(&remove)),
    }
}

/// A list in one line, with its end left out where it is long.
fn few(names: &[String]) -> String {
    const SHOWN: usize = 5;
    match names.get(SHOWN..) {
        Some(rest @ [_, ..]) => format!("{} and {} more", names[..SHOWN].join(", "), rest.len()),
        Some([]) | None => names.join(", "),
    }
}

const fn path_kind(kind: PathKind) -> &'static str {
    match kind {
        PathKind::File => "file",
        PathKind::Symlink => "link",
        PathKind::Directory => "directory",
    }
}

/// Where a run stands; also its name in JSON.
#[must_use]
pub const fn phase(phase: RunPhase) -> &'static str {
    match phase {
        RunPhase::Staged => "staged",
        RunPhase::Armed => "armed",
        RunPhase::Switching => "switching",
        RunPhase::Switched => "switched",
        RunPhase::Confirmed => "confirmed",
        RunPhase::Refused => "refused",
        RunPhase::Failed => "failed",
        RunPhase::Interrupted => "interrupted",
        RunPhase::Unconfirmed => "unconfirmed",
        RunPhase::RollingBack => "rolling-back",
        RunPhase::RolledBack => "rolled-back",
    }
}

/// How a generation ended; also its name in JSON.
#[must_use]
pub const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Confirmed => "confirmed",
        Outcome::Failed => "failed",
        Outcome::Interrupted => "interrupted",
        Outcome::RolledBack => "rolled-back",
    }
}

/// A number with its noun; the plural takes an "s".
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{s}")
}

/// A duration as people say it: `12ms`, `3.4s`, `2m 05s`.
#[must_use]
pub fn duration(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis}ms"),
        1_000..60_000 => format!("{}.{}s", millis / 1000, millis % 1000 / 100),
        60_000..3_600_000 => format!("{}m {:02}s", millis / 60_000, millis / 1000 % 60),
        _ => format!("{}h {:02}m", millis / 3_600_000, millis / 60_000 % 60),
    }
}

/// A span of seconds as people say it, in its two largest units: `3d 4h`.
#[must_use]
pub fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}min", seconds / 60),
        3_600..86_400 => format!("{}h {}min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// A point in time, given in seconds since 1970: `2026-11-20 18:50:14 UTC`.
#[must_use]
pub fn time(seconds: u64) -> String {
    // Days to a civil date, after Howard Hinnant's "chrono-compatible low-level date algorithms": eras of 400 years
    // that begin on the first of March, so that the leap day comes last.
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// A length in bytes as people say it.
#[must_use]
pub fn bytes(length: u64) -> String {
    match length {
        0..1_024 => format!("{length} B"),
        1_024..1_048_576 => format!("{} KiB", length / 1_024),
        _ => format!("{}.{} MiB", length / 1_048_576, length % 1_048_576 * 10 / 1_048_576),
    }
}

/// The command that watches a run again.
#[must_use]
pub fn attach(host: &provision_core::model::HostName, plan_id: &Digest) -> String {
    format!("provision attach {host} --plan {plan_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59:59 UTC"),
            (1_709_251_200, "2024-03-01 00:00:00 UTC"),
            (4_102_444_800, "2100-01-01 00:00:00 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(time(seconds), expected);
        }
        // A host may send any number.
        assert!(time(u64::MAX).ends_with(" UTC"));
    }

    #[test]
    fn durations_and_lengths() {
        for (millis, expected) in [
            (0, "0ms"),
            (999, "999ms"),
            (1_000, "1.0s"),
            (59_999, "59.9s"),
            (65_000, "1m 05s"),
            (3_660_000, "1h 01m"),
        ] {
            assert_eq!(duration(millis), expected);
        }
        for (length, expected) in [(1_023, "1023 B"), (1_024, "1 KiB"), (5_767_168, "5.5 MiB")] {
            assert_eq!(bytes(length), expected);
        }
        for (seconds, expected) in [(59, "59s"), (3_599, "59min"), (7_260, "2h 1min"), (273_600, "3d 4h")] {
            assert_eq!(span(seconds), expected);
        }
    }
}
