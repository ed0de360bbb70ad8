//! Users that come near to the kernel's limits on watching files.

use super::finding::{Check, Diagnosis, Severity, Trouble};
use super::percent;
use crate::model::{Examination, Fact, HostText, Watcher};

/// From these shares on, in percent, there is little left, or as good as nothing: programs that watch a tree take
/// thousands at once.
const NEARLY: u64 = 80;
const FULL: u64 = 95;

pub(super) fn inotify(seen: &Examination, diagnosis: &mut Diagnosis) {
    let inotify = match &seen.inotify {
        Fact::Unknown(why) => return diagnosis.unknown(Check::Inotify, why.untrusted()),
        Fact::Known(inotify) => inotify,
    };
    if inotify.unseen > 0 {
        let why = format!("processes that could not be looked into: {}", inotify.unseen);
        diagnosis.unknown(Check::Inotify, why);
    }
    for user in &inotify.users {
        let limits = [
            (
                Trouble::InotifyWatches,
                user.watches,
                inotify.max_watches,
                "watches",
                "max_user_watches",
            ),
            (
                Trouble::InotifyInstances,
                user.instances,
                inotify.max_instances,
                "instances",
                "max_user_instances",
            ),
        ];
        for (trouble, used, limit, noun, key) in limits {
            let share = percent(used, limit);
            let severity = match share {
                0..NEARLY => continue,
                NEARLY..FULL => Severity::Warning,
                _ => Severity::Problem,
            };
            let most = user.most.unit.as_ref().unwrap_or(&user.most.name).untrusted();
            let words = format!(
                "{used} of {limit} {noun} ({share} %), most of them by {most} (pid {})",
                user.most.pid
            );
            let fix = format!(
                "raise it in the host's file: [sysctl] \"fs.inotify.{key}\" = {}",
                higher(limit)
            );
            diagnosis.find(trouble, severity, name(user), words, fix);
        }
    }
    let most = inotify.users.iter().max_by_key(|user| user.watches);
    let words = most.map_or_else(
        || "nobody watches files".to_owned(),
        |user| {
            format!(
                "{} has most watches, {} of {}",
                name(user),
                user.watches,
                inotify.max_watches
            )
        },
    );
    diagnosis.saw(Check::Inotify, words);
}

fn name(user: &Watcher) -> String {
    let name = user.user.as_ref().map(HostText::untrusted);
    name.map_or_else(|| format!("uid {}", user.uid), str::to_owned)
}

/// Twice as much, as a power of two: what the kernel's documentation and packages use.
fn higher(limit: u64) -> u64 {
    limit.saturating_mul(2).checked_next_power_of_two().unwrap_or(limit)
}
