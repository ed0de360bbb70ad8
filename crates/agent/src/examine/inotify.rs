//! Who watches how many files. An instance that a child has inherited is one instance, not two.

use std::collections::BTreeMap;

use provision_core::model::{HostText, Inotify, Watcher};

use super::processes::{Seen, Walk};
use super::{LookError, number};
use crate::accounts::Accounts;

/// Counts by user.
pub(super) fn of(walk: &Walk) -> Result<Inotify, LookError> {
    walk.sound()?;
    let accounts = Accounts::read().unwrap_or_default();
    let mut users: BTreeMap<u32, (Watcher, u64)> = BTreeMap::new();
    for seen in walk.processes.values() {
        let own: Vec<_> = seen
            .inotify
            .iter()
            .filter(|one| !is_inherited(walk, seen, one))
            .collect();
        if own.is_empty() {
            continue;
        }
        let watches: u64 = own.iter().map(|one| one.watches).sum();
        let (watcher, most) = users.entry(seen.uid).or_insert_with(|| {
            let user = accounts
                .user_of(seen.uid)
                .map(|user| HostText::from(user.name.as_str()));
            let watcher = Watcher {
                uid: seen.uid,
                user,
                instances: 0,
                watches: 0,
                most: seen.process.clone(),
            };
            (watcher, 0)
        });
        watcher.instances += own.len() as u64;
        watcher.watches += watches;
        let weight = watches + own.len() as u64;
        if weight > *most {
            *most = weight;
            watcher.most = seen.process.clone();
        }
    }
    Ok(Inotify {
        max_watches: number("/proc/sys/fs/inotify/max_user_watches")?,
        max_instances: number("/proc/sys/fs/inotify/max_user_instances")?,
        users: users.into_values().map(|(watcher, _)| watcher).collect(),
        unseen: walk.unseen,
    })
}

/// Whether the parent has the same instance: the same descriptor with the same watches, of which there is at least one.
fn is_inherited(walk: &Walk, seen: &Seen, one: &super::processes::Watching) -> bool {
    let parent = walk.processes.get(&seen.parent);
    one.watches > 0 && parent.is_some_and(|parent| parent.inotify.contains(one))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use provision_core::model::Process;

    use super::super::processes::Watching;
    use super::*;

    fn seen(pid: u32, parent: u32, uid: u32, inotify: &[(u32, u64, u64)]) -> Seen {
        let watching = |&(fd, watches, digest): &(u32, u64, u64)| Watching { fd, watches, digest };
        Seen {
            process: Process {
                pid,
                name: HostText::from("x"),
                unit: None,
                user_unit: None,
            },
            parent,
            uid,
            age: 0,
            program: String::new(),
            inotify: inotify.iter().map(watching).collect(),
            sockets: BTreeSet::new(),
            outdated: BTreeSet::new(),
        }
    }

    #[test]
    fn instances_are_counted_by_user_and_inherited_ones_once() {
        let all = [
            seen(10, 1, 5000, &[(3, 100, 7), (4, 0, 1)]),
            // Forked off: the watches are the parent's, the empty instance may be another one.
            seen(11, 10, 5000, &[(3, 100, 7), (4, 0, 1)]),
            // Of the same program, and no child of it.
            seen(12, 1, 5000, &[(3, 100, 7)]),
            seen(13, 1, 0, &[(9, 2, 3)]),
            seen(14, 1, 5000, &[]),
        ];
        let walk = Walk {
            processes: all.into_iter().map(|seen| (seen.process.pid, seen)).collect(),
            unseen: 2,
            failed: None,
        };
        let found = of(&walk).unwrap();
        let users: Vec<_> = found
            .users
            .iter()
            .map(|user| (user.uid, user.instances, user.watches, user.most.pid))
            .collect();
        assert_eq!(users, [(0, 1, 2, 13), (5000, 4, 200, 10)]);
        assert_eq!(found.unseen, 2);
        assert!(found.max_watches > 0 && found.max_instances > 0);
    }
}
