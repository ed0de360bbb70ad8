//! Files that no package owns, in places where people put some; files that are not as their packages brought them; keys that
//! may log in.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use provision_core::model::{AbsPath, FoundBody, FoundFile, HostText, Mode};

use super::packages::Dpkg;
use super::private;
use crate::accounts::{Accounts, User};
use crate::child::{self, Invocation};

/// Where people put files, and how deep below.
const PLACES: [(&str, usize); 21] = [
    ("/etc/apt/apt.conf.d", 1),
    ("/etc/apt/keyrings", 1),
    ("/etc/apt/preferences.d", 1),
    ("/etc/apt/sources.list.d", 1),
    ("/etc/apt/trusted.gpg.d", 1),
    ("/etc/logrotate.d", 1),
    ("/etc/modprobe.d", 1),
    ("/etc/modules-load.d", 1),
    ("/etc/nginx/conf.d", 1),
    ("/etc/nginx/sites-available", 1),
    ("/etc/nginx/sites-enabled", 1),
    ("/etc/profile.d", 1),
    ("/etc/security/limits.d", 1),
    ("/etc/ssh/sshd_config.d", 1),
    ("/etc/sudoers.d", 1),
    ("/etc/sysctl.d", 1),
    ("/etc/systemd/journald.conf.d", 1),
    ("/etc/systemd/network", 1),
    ("/etc/systemd/system", 2),
    ("/etc/tmpfiles.d", 1),
    ("/usr/share/keyrings", 1),
];

/// Files without a package that people write as well.
const ALONE: [&str; 1] = ["/etc/apt/sources.list"];

/// Where cron's jobs are.
const CRON: [&str; 6] = [
    "/etc/cron.d",
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/etc/cron.monthly",
    "/var/spool/cron/crontabs",
];

/// The longest content that is taken, in bytes.
const BYTES: u64 = 1 << 20;

/// How many files are taken in all.
const FILES: usize = 2_000;

/// How long the digests of all changed files may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// Files of the usual places that no package owns.
pub(super) fn of_places(owned: &BTreeSet<String>, accounts: &Accounts, unseen: &mut Vec<HostText>) -> Vec<FoundFile> {
    let mut found = Vec::new();
    for (place, depth) in PLACES {
        below(Path::new(place), depth, owned, accounts, &mut found, unseen);
    }
    found.extend(
        ALONE
            .iter()
            .filter(|path| !owned.contains(**path))
            .filter_map(|path| take(Path::new(path), accounts)),
    );
    found
}

fn below(
    at: &Path,
    depth: usize,
    owned: &BTreeSet<String>,
    accounts: &Accounts,
    found: &mut Vec<FoundFile>,
    unseen: &mut Vec<HostText>,
) {
    let Ok(entries) = fs::read_dir(at) else { return };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.to_string_lossy();
        let is_directory = fs::symlink_metadata(&path).is_ok_and(|there| there.is_dir());
        // Links that enabling a unit makes are its state, and not files of anybody.
        let is_wants = name.ends_with(".wants") || name.ends_with(".requires");
        if is_directory && depth > 1 && !is_wants {
            below(&path, depth - 1, owned, accounts, found, unseen);
        } else if !is_directory && !owned.contains(&*name) && !is_noise(&name) && !is_enabling(&path) {
            if found.len() >= FILES {
                unseen.push(HostText::new(format!(
                    "more than {FILES} files, of which {name} is one"
                )));
                return;
            }
            found.extend(take(&path, accounts));
        }
    }
}

/// What package tools and editors leave behind.
fn is_noise(name: &str) -> bool {
    [
        ".dpkg-old",
        ".dpkg-dist",
        ".dpkg-new",
        ".dpkg-bak",
        ".ucf-old",
        ".ucf-dist",
        "~",
        ".swp",
        ".save",
        "/.placeholder",
    ]
    .iter()
    .any(|end| name.ends_with(end))
}

/// A link of `/etc/systemd/system` to a unit elsewhere: an alias, made by enabling it.
fn is_enabling(path: &Path) -> bool {
    let target = fs::read_link(path).ok();
    path.parent() == Some(Path::new("/etc/systemd/system"))
        && target.is_some_and(|target| target != Path::new("/dev/null"))
}

/// Configuration files that are not as their packages brought them.
pub(super) fn changed(dpkg: &Dpkg, accounts: &Accounts, unseen: &mut Vec<HostText>) -> Vec<FoundFile> {
    let files: BTreeMap<&str, (&str, &str)> = dpkg
        .conffiles()
        .filter(|(_, path, _)| Path::new(path).is_file())
        .map(|(package, path, md5)| (path, (package, md5)))
        .collect();
    let mut sums: BTreeMap<String, String> = BTreeMap::new();
    let invocation = Invocation::new("md5sum", DEADLINE).args(["--"]).args(files.keys());
    let ended = child::run(&invocation, |line| {
        if let Some((md5, path)) = line.split_once("  ") {
            sums.insert(path.to_owned(), md5.to_owned());
        }
    });
    if let Err(error) = ended {
        unseen.push(HostText::new(format!("changed configuration files: {error}")));
        return Vec::new();
    }
    let mut found = Vec::new();
    for (path, (package, md5)) in files {
        match sums.get(path) {
            Some(sum) if sum == md5 => {}
            Some(_) => found.extend(take(Path::new(path), accounts).map(|file| FoundFile {
                changed: Some(HostText::from(package)),
                ..file
            })),
            None => unseen.push(HostText::new(format!("whether {path} is as {package} brought it"))),
        }
    }
    found
}

/// The keys that may log in as a user, with the directory that they are in.
pub(super) fn keys(user: &User, accounts: &Accounts) -> Vec<FoundFile> {
    let directory = Path::new(&user.home).join(".ssh");
    let keys = directory.join("authorized_keys");
    let found = take(&keys, accounts);
    // Without keys the directory is nobody's business.
    let directory = found.is_some().then(|| take(&directory, accounts)).flatten();
    directory.into_iter().chain(found).collect()
}

/// Jobs of cron that no package brought.
pub(super) fn cron(owned: &BTreeSet<String>) -> Vec<HostText> {
    let mut found = Vec::new();
    for place in CRON {
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            let name = entry.path().to_string_lossy().into_owned();
            if !owned.contains(&name) && !is_noise(&name) {
                found.push(HostText::new(name));
            }
        }
    }
    found.sort();
    found
}

fn take(path: &Path, accounts: &Accounts) -> Option<FoundFile> {
    let there = fs::symlink_metadata(path).ok()?;
    let name = |owner: provision_core::model::Owner| owner.label().untrusted().to_owned();
    Some(FoundFile {
        path: AbsPath::new(path.to_str()?).ok()?,
        owner: name(accounts.owner(there.uid())),
        group: name(accounts.owning_group(there.gid())),
        mode: Mode::from_bits(there.mode()),
        changed: None,
        body: body(path, &there)?,
    })
}

fn body(path: &Path, there: &Metadata) -> Option<FoundBody> {
    if there.is_dir() {
        return Some(FoundBody::Directory);
    }
    if there.is_symlink() {
        let target = fs::read_link(path).ok()?;
        return Some(FoundBody::Link(HostText::new(target.to_string_lossy())));
    }
    if !there.is_file() {
        return None;
    }
    let private = |why: &str| Some(FoundBody::Private(HostText::from(why)));
    if there.len() > BYTES {
        return private("it is longer than 1 MiB");
    }
    // sudo and sshd demand that others may not read these; that makes them no secrets.
    let demanded = path.starts_with("/etc/sudoers.d") || path.ends_with(".ssh/authorized_keys");
    if there.mode() & 0o004 == 0 && !demanded {
        return private("not everybody may read it");
    }
    let mut content = Vec::new();
    fs::File::open(path).ok()?.take(BYTES).read_to_end(&mut content).ok()?;
    match private::reason(&content) {
        Some(why) => private(why),
        None => Some(FoundBody::Content(content.into())),
    }
}
