//! Names that must not be on a host: in files, in what units say, and in the variables that their processes have. Of what it
//! reads it tells only where which name was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use provision_core::model::{AbsPath, UnitName, has_name};
use rustix::fs::OFlags;

use crate::accounts::Accounts;

/// Where the system's units and their drop-ins are (systemd.unit(5)).
const OF_SYSTEM: [&str; 8] = [
    "etc/systemd/system.control",
    "run/systemd/system.control",
    "run/systemd/transient",
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// Where those of all users are.
const OF_USERS: [&str; 5] = [
    "etc/systemd/user",
    "run/systemd/user",
    "usr/local/lib/systemd/user",
    "usr/lib/systemd/user",
    "lib/systemd/user",
];

/// Where those of one user are, below the home directory.
const OF_USER: [&str; 3] = [
    ".config/systemd/user.control",
    ".config/systemd/user",
    ".local/share/systemd/user",
];

/// More than any file that a program is configured by; a program itself may be larger.
const MOST_BYTES: u64 = 64 << 20;

/// Why it is not known whether a name is there.
#[derive(Debug, thiserror::Error)]
pub(super) enum NamesError {
    /// The system refused.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is too much to look through.
    #[error("{} is larger than {} MiB", path.display(), MOST_BYTES >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// Where each name was seen.
pub(super) type Seen<'a> = BTreeMap<&'a str, BTreeSet<String>>;

/// Looks for names in files and in what units run with, on the host whose root and accounts these are. The units of a user
/// who is not there are not there either.
///
/// # Errors
/// [`NamesError`]; a file that is not there has no name in it.
pub(super) fn find<'a>(
    names: &'a BTreeSet<String>,
    files: &BTreeSet<AbsPath>,
    units: &BTreeSet<UnitName>,
    accounts: &Accounts,
    root: &Path,
) -> Result<Seen<'a>, NamesError> {
    let mut seen = Seen::new();
    let mut see = |text: &[u8], place: &dyn Fn() -> String| {
        for name in names.iter().filter(|name| has_name(text, name)) {
            seen.entry(name.as_str()).or_default().insert(place());
        }
    };
    let mut paths: BTreeSet<PathBuf> = files.iter().map(|path| below(root, path.as_str())).collect();
    for unit in units {
        for path in texts(unit, accounts, root)? {
            let Some(text) = read(&path)? else { continue };
            paths.extend(environment_files(&text).iter().map(|path| below(root, path)));
            paths.insert(path);
        }
    }
    for path in &paths {
        let Some(text) = read(path)? else { continue };
        see(&text, &|| {
            format!("/{}", path.strip_prefix(root).unwrap_or(path).display())
        });
    }
    for (unit, variables) in processes(units, accounts, &root.join("proc"))? {
        see(&variables, &|| format!("the environment of {unit}"));
    }
    Ok(seen)
}

/// What was seen, in words.
pub(super) fn told(seen: &Seen<'_>) -> String {
    if seen.is_empty() {
        return "no forbidden name is there".to_owned();
    }
    let names = seen.iter().map(|(name, places)| {
        let places: Vec<_> = places.iter().map(String::as_str).collect();
        format!("the forbidden name `{name}` is in {}", places.join(" and in "))
    });
    names.collect::<Vec<_>>().join("; ")
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// The texts of a unit: its own, its template's, and the drop-ins of both and of all units of its type.
fn texts(unit: &UnitName, accounts: &Accounts, root: &Path) -> Result<BTreeSet<PathBuf>, NamesError> {
    let name = unit.unit();
    let mut all: Vec<String> = vec![name.to_owned()];
    if let Some((stem, suffix)) = name.rsplit_once('.') {
        all.extend(
            stem.split_once('@')
                .map(|(template, _)| format!("{template}@.{suffix}")),
        );
        all.push(suffix.to_owned());
    }
    let directories: Vec<PathBuf> = match unit.user().map(|user| accounts.user(user)) {
        None => OF_SYSTEM.map(|directory| root.join(directory)).into(),
        Some(None) => Vec::new(),
        Some(Some(user)) => {
            let home = below(root, &user.home);
            let own = OF_USER.map(|directory| home.join(directory));
            own.into_iter()
                .chain(OF_USERS.map(|directory| root.join(directory)))
                .collect()
        }
    };
    let mut found = BTreeSet::new();
    for directory in directories {
        for name in &all {
            found.insert(directory.join(name));
            let drop_ins = directory.join(format!("{name}.d"));
            let entries = match fs::read_dir(&drop_ins) {
                Err(error) if is_gone(&error) => continue,
                entries => entries.map_err(failed(&drop_ins))?,
            };
            for entry in entries {
                let path = entry.map_err(failed(&drop_ins))?.path();
                if path.extension().is_some_and(|extension| extension == "conf") {
                    found.insert(path);
                }
            }
        }
    }
    Ok(found)
}

/// The files of variables that a unit's text names in full. What it names by a pattern is in its processes' variables.
fn environment_files(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let values = text.lines().filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "EnvironmentFile").then(|| value.trim().trim_start_matches('-').trim_matches('"').to_owned())
    });
    values
        .filter(|path| path.starts_with('/') && !path.contains(['*', '?', '[', '%']))
        .collect()
}

/// The variables that processes of units were started with, each with its unit.
fn processes(
    units: &BTreeSet<UnitName>,
    accounts: &Accounts,
    proc: &Path,
) -> Result<Vec<(String, Vec<u8>)>, NamesError> {
    let mut found = Vec::new();
    // A user's units are below the service of their manager, and a user's unit may be called as one of the system's.
    let managers: Vec<(&UnitName, Option<String>)> = units
        .iter()
        .filter_map(|unit| match unit.user() {
            None => Some((unit, None)),
            Some(user) => Some((unit, Some(format!("user@{}.service", accounts.user(user)?.uid)))),
        })
        .collect();
    let entries = match fs::read_dir(proc) {
        Err(error) if is_gone(&error) => return Ok(found),
        entries => entries.map_err(failed(proc))?,
    };
    for entry in entries {
        let process = entry.map_err(failed(proc))?;
        let is_process = process
            .file_name()
            .to_string_lossy()
            .bytes()
            .all(|byte| byte.is_ascii_digit());
        if !is_process {
            continue;
        }
        let Some(groups) = read(&process.path().join("cgroup"))? else {
            continue;
        };
        let groups = String::from_utf8_lossy(&groups).into_owned();
        let parts: Vec<&str> = groups.split(['/', '\n']).collect();
        let of = managers.iter().find(|(unit, manager)| {
            let by = parts
                .iter()
                .find(|part| part.starts_with("user@") && part.ends_with(".service"));
            parts.contains(&unit.unit()) && by.copied() == manager.as_deref()
        });
        if let Some((unit, _)) = of
            && let Some(variables) = read(&process.path().join("environ"))?
        {
            found.push((unit.to_string(), variables));
        }
    }
    Ok(found)
}

/// `None` where there is no such file, or something that is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, NamesError> {
    match fs::metadata(path) {
        Err(error) if is_gone(&error) => return Ok(None),
        meta if !meta
            .as_ref()
            .map_err(|error| failed(path)(error.kind().into()))?
            .is_file() =>
        {
            return Ok(None);
        }
        _ => {}
    }
    let mut bytes = Vec::new();
    // What was a file a moment ago may be a pipe now, which nobody writes to.
    let nonblocking = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path);
    let read = nonblocking.and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
    match read {
        // A process that has just ended has nothing.
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(failed(path)(error)),
        Ok(count) if count as u64 > MOST_BYTES => Err(NamesError::TooLarge { path: path.to_owned() }),
        Ok(_) => Ok(Some(bytes)),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> NamesError + use<> {
    let path = path.to_owned();
    move |source| NamesError::Read { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_name_is_seen_wherever_a_unit_gets_it_from_and_its_value_is_not_told() {
        let scratch = Scratch::new();
        let root = scratch.path();
        write(root, "etc/bot.json", "{ \"MY_KEY\": \"canary-1\" }");
        write(
            root,
            "etc/systemd/system/bot@.service",
            "[Service]\nEnvironmentFile=-/etc/default/bot\n",
        );
        write(root, "etc/default/bot", "MY_KEY=canary-2\n");
        write(
            root,
            "run/systemd/system/service.d/all.conf",
            "[Service]\nEnvironment=MY_KEY=canary-3\n",
        );
        write(root, "etc/systemd/system/bot@a.service.d/not.text", "MY_KEY\n");
        write(root, "etc/systemd/system/other.service", "MY_KEY\n");
        write(root, "proc/7/cgroup", "0::/system.slice/bot@a.service/child\n");
        write(root, "proc/7/environ", "A=1\0MY_KEY=canary-4\0");
        write(root, "proc/8/cgroup", "0::/system.slice/other.service\n");
        write(root, "proc/8/environ", "MY_KEY=canary-5\0");
        let names = ["MY_KEY".to_owned(), "NOT_THERE".to_owned()].into();
        let files = [
            AbsPath::new("/etc/bot.json").unwrap(),
            AbsPath::new("/etc/none").unwrap(),
        ]
        .into();
        let units = [UnitName::new("bot@a.service").unwrap()].into();
        let found = find(&names, &files, &units, &Accounts::default(), root).unwrap();
        assert_eq!(
            told(&found),
            "the forbidden name `MY_KEY` is in /etc/bot.json and in /etc/default/bot and in \
             /run/systemd/system/service.d/all.conf and in the environment of bot@a.service"
        );
        let none = find(&names, &BTreeSet::new(), &BTreeSet::new(), &Accounts::default(), root).unwrap();
        assert_eq!(told(&none), "no forbidden name is there");
    }

    #[test]
    fn a_users_unit_is_looked_at_where_it_lies_and_runs_and_no_other_of_its_name() {
        let scratch = Scratch::new();
        let root = scratch.path();
        write(root, "home/ann/.config/systemd/user/bot.service.d/a.conf", "MY_KEY\n");
        write(root, "etc/systemd/user/bot.service", "MY_KEY\n");
        write(root, "etc/systemd/system/bot.service", "MY_KEY\n");
        write(root, "home/bob/.config/systemd/user/bot.service", "MY_KEY\n");
        let user = |uid: u32| format!("0::/user.slice/user-{uid}.slice/user@{uid}.service/app.slice/bot.service\n");
        write(root, "proc/7/cgroup", &user(1001));
        write(root, "proc/7/environ", "MY_KEY=1\0");
        let names = ["MY_KEY".to_owned()].into();
        let look = |name: &str| {
            let accounts = Accounts::parse(b"ann:x:1001:1001::/home/ann:\nbob:x:1002:1002::/home/bob:\n", b"");
            let units = [UnitName::new(name).unwrap()].into();
            let found = find(&names, &BTreeSet::new(), &units, &accounts, root).unwrap();
            told(&found)
        };
        assert_eq!(
            look("ann/bot.service"),
            "the forbidden name `MY_KEY` is in /etc/systemd/user/bot.service and in \
             /home/ann/.config/systemd/user/bot.service.d/a.conf and in the environment of ann/bot.service"
        );
        assert_eq!(
            look("bob/bot.service"),
            "the forbidden name `MY_KEY` is in /etc/systemd/user/bot.service and in /home/bob/.config/systemd/user/bot.service"
        );
        assert_eq!(
            look("bot.service"),
            "the forbidden name `MY_KEY` is in /etc/systemd/system/bot.service"
        );
        assert_eq!(look("nobody/bot.service"), "no forbidden name is there");
    }
}
