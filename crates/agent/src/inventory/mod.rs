//! What this machine has that its installation did not bring. It only reads, and what looks private does not leave the host.

mod files;
mod packages;
mod private;
mod units;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use provision_core::model::{Fact, FoundFile, FoundGroup, FoundUser, HostText, Inventory};

use crate::accounts::{Accounts, User};
use crate::observe;
use crate::words::chain;

/// Numbers of users and groups that are people's, as Debian policy 9.2 has them.
const PEOPLE: std::ops::RangeInclusive<u32> = 1000..=59_999;

/// Looks at everything.
pub(crate) fn inventory() -> Inventory {
    let mut unseen = Vec::new();
    let accounts = Accounts::read().unwrap_or_else(|error| {
        unseen.push(HostText::new(format!(
            "users and groups: {}",
            chain(&error).untrusted()
        )));
        Accounts::default()
    });
    let dpkg = packages::Dpkg::read();
    let owned = dpkg.as_ref().map(packages::Dpkg::owned).unwrap_or_default();
    let mut files = files::of_places(&owned, &accounts, &mut unseen);
    if let Ok(dpkg) = &dpkg {
        files.extend(files::changed(dpkg, &accounts, &mut unseen));
    }
    let people: Vec<_> = accounts.users().filter(|user| PEOPLE.contains(&user.uid)).collect();
    for user in &people {
        files.extend(files::keys(user, &accounts));
    }
    let local: BTreeSet<_> = files
        .iter()
        .map(|file: &FoundFile| file.path.as_str().to_owned())
        .collect();
    let fact = |error: String| Fact::Unknown(HostText::new(error));
    Inventory {
        facts: observe::facts(),
        packages: match &dpkg {
            Ok(dpkg) => Fact::Known(dpkg.asked()),
            Err(error) => fact(error.clone()),
        },
        groups: groups(&accounts),
        users: people.iter().map(|user| found(user, &accounts)).collect(),
        units: match units::find(&owned, &local) {
            Ok(units) => Fact::Known(units),
            Err(error) => Fact::Unknown(chain(&error)),
        },
        cron: files::cron(&owned),
        containers: containers(&mut unseen),
        files,
        unseen,
    }
}

/// Groups of people, but those that are a user's own: the user brings them.
fn groups(accounts: &Accounts) -> Vec<FoundGroup> {
    let own = |name: &str| accounts.user(name).is_some_and(|user| PEOPLE.contains(&user.uid));
    let groups = accounts
        .groups()
        .filter(|group| PEOPLE.contains(&group.gid) && !own(&group.name));
    groups
        .map(|group| FoundGroup {
            name: group.name.clone(),
            gid: group.gid,
        })
        .collect()
}

fn found(user: &User, accounts: &Accounts) -> FoundUser {
    let group = accounts.group_of(user.gid).map(|group| group.name.clone());
    let groups = accounts.groups_of(&user.name).map(|group| group.name.clone());
    FoundUser {
        groups: groups.filter(|name| Some(name) != group.as_ref()).collect(),
        name: user.name.clone(),
        uid: user.uid,
        group,
        home: user.home.clone(),
        shell: user.shell.clone(),
        comment: user.comment.clone(),
    }
}

/// Docker's containers, from its own files: its daemon need not run.
fn containers(unseen: &mut Vec<HostText>) -> Vec<(HostText, HostText)> {
    let at = Path::new("/var/lib/docker/containers");
    let Ok(entries) = fs::read_dir(at) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path().join("config.v2.json");
        let json = fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
        let Some(json) = json else {
            unseen.push(HostText::new(format!("a container: {} cannot be read", path.display())));
            continue;
        };
        let text =
            |value: &serde_json::Value| HostText::new(value.as_str().unwrap_or_default().trim_start_matches('/'));
        found.push((text(&json["Name"]), text(&json["Config"]["Image"])));
    }
    found.sort();
    found
}
