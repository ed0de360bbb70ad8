//! The bare Debian that throwaway hosts start from: built once by mmdebstrap, kept in a cache, never changed afterwards.
//! It holds nothing of any one host: no host keys, no machine id, no account.

mod recipe;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::mounts::{self, MountError};
use crate::program::{self, ProgramError};
use recipe::Recipe;

/// Where base images are kept unless another directory is asked for. They can be deleted at any time when no host runs.
pub const DEFAULT_CACHE_DIR: &str = "/var/cache/provision/rehearse";

/// Units that would make two hosts differ, or serve nobody: apt's timers take the dpkg lock at a random moment of the first minutes, and a throwaway host has no console to log in at.
const MASKED: [&str; 3] = ["apt-daily.timer", "apt-daily-upgrade.timer", "console-getty.service"];

/// Where a company's own certificate authorities are, on Debian.
const LOCAL_CAS: &str = "usr/local/share/ca-certificates";

/// A Debian release that hosts can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Release {
    /// Debian 12, bookworm.
    Debian12,
    /// Debian 13, trixie.
    Debian13,
}

impl Release {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Debian12, Self::Debian13];

    /// The name that host files use: `debian-12`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Debian12 => "debian-12",
            Self::Debian13 => "debian-13",
        }
    }

    fn suite(self) -> &'static str {
        match self {
            Self::Debian12 => "bookworm",
            Self::Debian13 => "trixie",
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A release that is not known here.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no throwaway host can be made of `{0}`: known are debian-12 and debian-13")]
pub struct UnknownRelease(pub String);

impl FromStr for Release {
    type Err = UnknownRelease;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|release| release.name() == name)
            .ok_or_else(|| UnknownRelease(name.to_owned()))
    }
}

/// Which base image is wanted.
#[derive(Debug, Clone)]
pub struct BaseOptions {
    /// What it is made of.
    pub release: Release,
    /// Where images are kept: [`DEFAULT_CACHE_DIR`]. Must not be on an overlay file system.
    pub cache_dir: PathBuf,
    /// Where packages come from: `http://deb.debian.org`. Below it are `debian` and `debian-security`.
    pub mirror: String,
    /// Packages to have besides the bare ones. Another set is another image.
    pub packages: Vec<String>,
}

impl BaseOptions {
    /// Bare Debian of that release, in the usual place, from the usual mirror.
    pub fn new(release: Release) -> Self {
        Self {
            release,
            cache_dir: DEFAULT_CACHE_DIR.into(),
            mirror: "http://deb.debian.org".to_owned(),
            packages: Vec::new(),
        }
    }
}

/// A root file system that hosts can be started from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseImage {
    release: Release,
    root: PathBuf,
}

impl BaseImage {
    /// What it is made of.
    pub fn release(&self) -> Release {
        self.release
    }

    /// The root file system. Do not write to it: running hosts lie over it.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// What goes on while a base image is got ready.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Another process is building; its image will do for this one too.
    Waiting,
    /// The image was not there and is being built. Takes about 40 seconds.
    Building(Release),
    /// A line of the program that builds or installs, as it came: print it escaped.
    Line(String),
    /// Missing packages are being installed on this machine.
    Installing(Vec<String>),
    /// The image is built; this long it took.
    Built(Duration),
}

/// No base image could be got.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaseError {
    /// A file or directory of the cache refused.
    #[error("cannot {verb} {}", path.display())]
    Cache {
        /// read, write, lock, …
        verb: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Package names, or the mirror, hold what apt would read as something else.
    #[error("`{0}` is no package name or mirror address")]
    Malformed(String),
    /// What an interrupted build left could not be removed.
    #[error("cannot clear the cache of an unfinished image")]
    Clear(#[source] MountError),
    /// mmdebstrap failed. What it said last is the reason.
    #[error("mmdebstrap could not build {release}: {said}")]
    Build {
        /// What was being built.
        release: Release,
        /// Its last lines.
        said: String,
    },
    /// A program failed.
    #[error("cannot finish the image of {release}")]
    Finish {
        /// What was being built.
        release: Release,
        /// What failed.
        #[source]
        source: ProgramError,
    },
}

/// Gets the base image: from the cache, or built now. Processes that want the same one at the same time build it once.
///
/// Behind a proxy that re-signs TLS, hosts trust what this machine trusts: the certificates below `/usr/local/share/ca-certificates` are built in,
/// and so are apt's proxy settings.
///
/// # Errors
/// When packages cannot be fetched, or the cache cannot be written. Whatever was built so far is removed, at the latest by the next call.
pub fn base(options: &BaseOptions, progress: &mut dyn FnMut(Progress)) -> Result<BaseImage, BaseError> {
    let authorities = local_authorities(&Path::new("/").join(LOCAL_CAS))?;
    let recipe = Recipe::new(options, &apt_proxies(), authorities)?;
    let directory = options.cache_dir.join(recipe.key());
    let image = BaseImage {
        release: options.release,
        root: directory.join("root"),
    };
    if image.root.is_dir() {
        return Ok(image);
    }
    let cache = |verb, path: &Path| {
        let path = path.to_owned();
        move |source| BaseError::Cache { verb, path, source }
    };
    fs::create_dir_all(&options.cache_dir).map_err(cache("create", &options.cache_dir))?;
    let lock_path = options.cache_dir.join(format!("{}.lock", recipe.key()));
    let lock = File::options()
        .create(true)
        .append(true)
        .read(true)
        .open(&lock_path)
        .map_err(cache("open", &lock_path))?;
    if lock.try_lock().is_err() {
        progress(Progress::Waiting);
        lock.lock().map_err(cache("lock", &lock_path))?;
    }
    if image.root.is_dir() {
        return Ok(image);
    }
    progress(Progress::Building(options.release));
    let started = Instant::now();
    let unfinished = options.cache_dir.join(format!("{}.unfinished", recipe.key()));
    mounts::remove_tree(&unfinished).map_err(BaseError::Clear)?;
    let built = build(&recipe, &unfinished, &lock, progress)
        .and_then(|()| fs::rename(&unfinished, &directory).map_err(cache("create", &directory)));
    if let Err(error) = built {
        // The error of the build is what the caller has to know; the rest is cleared by the next build.
        let _cleared = mounts::remove_tree(&unfinished);
        return Err(error);
    }
    progress(Progress::Built(started.elapsed()));
    Ok(image)
}

fn build(recipe: &Recipe, directory: &Path, lock: &File, progress: &mut dyn FnMut(Progress)) -> Result<(), BaseError> {
    let root = directory.join("root");
    let cache = |verb, path: &Path| {
        let path = path.to_owned();
        move |source| BaseError::Cache { verb, path, source }
    };
    fs::create_dir(directory).map_err(cache("create", directory))?;
    let start = |source| BaseError::Finish {
        release: recipe.release,
        source: ProgramError::Start {
            program: "mmdebstrap".to_owned(),
            source,
        },
    };
    let mut child = program::command("mmdebstrap")
        .args(recipe.arguments(&root))
        .env("DEBIAN_FRONTEND", "noninteractive")
        // As its input it holds the lock's open file, and so the lock: should this process be killed, nobody builds in its way until it has ended too.
        .stdin(Stdio::from(lock.try_clone().map_err(cache("share", directory))?))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    let mut last_lines: Vec<String> = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            last_lines.push(line.clone());
            if last_lines.len() > 5 {
                last_lines.remove(0);
            }
            progress(Progress::Line(line));
        }
    }
    if !child.wait().map_err(start)?.success() {
        return Err(BaseError::Build {
            release: recipe.release,
            said: last_lines.join("; "),
        });
    }
    finish(recipe, &root)
}

/// Takes out what must differ between hosts, and puts in what this machine has and its hosts need.
fn finish(recipe: &Recipe, root: &Path) -> Result<(), BaseError> {
    let cache = |verb, path: &Path| {
        let path = path.to_owned();
        move |source| BaseError::Cache { verb, path, source }
    };
    let ssh = root.join("etc/ssh");
    for entry in fs::read_dir(&ssh).map_err(cache("read", &ssh))? {
        let path = entry.map_err(cache("read", &ssh))?.path();
        let is_host_key = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("ssh_host_"));
        if is_host_key {
            fs::remove_file(&path).map_err(cache("remove", &path))?;
        }
    }
    for unit in MASKED {
        let path = root.join("etc/systemd/system").join(unit);
        std::os::unix::fs::symlink("/dev/null", &path).map_err(cache("create", &path))?;
    }
    for name in ["etc/machine-id", "etc/resolv.conf", "etc/hostname"] {
        let path = root.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(cache("remove", &path)(error));
            }
            _ => {}
        }
    }
    if recipe.authorities.is_empty() {
        return Ok(());
    }
    let directory = root.join(LOCAL_CAS);
    fs::create_dir_all(&directory).map_err(cache("create", &directory))?;
    for (name, content) in &recipe.authorities {
        let path = directory.join(name);
        fs::write(&path, content).map_err(cache("write", &path))?;
    }
    program::run("chroot", &[root.as_os_str(), "update-ca-certificates".as_ref()])
        .map(drop)
        .map_err(|source| BaseError::Finish {
            release: recipe.release,
            source,
        })
}

/// The certificate authorities that this machine's administrator added.
fn local_authorities(directory: &Path) -> Result<BTreeMap<String, Vec<u8>>, BaseError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| BaseError::Cache {
            verb: "read",
            path,
            source,
        }
    };
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        other => other.map_err(failed(directory))?,
    };
    let mut authorities = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(failed(directory))?.path();
        // update-ca-certificates takes these and no others.
        if path.extension().is_some_and(|extension| extension == "crt")
            && let Some(name) = path.file_name().and_then(|name| name.to_str())
        {
            let content = fs::read(&path).map_err(failed(&path))?;
            authorities.insert(name.to_owned(), content);
        }
    }
    Ok(authorities)
}

/// The proxies that this machine's apt uses, from its configuration or else from the environment, as pairs of scheme and address.
fn apt_proxies() -> Vec<(String, String)> {
    ["http", "https"]
        .into_iter()
        .filter_map(|scheme| {
            let question = ["shell", "proxy", &format!("Acquire::{scheme}::Proxy")];
            let configured = program::run("apt-config", &question)
                .ok()
                .and_then(|answer| parse_apt_config(&String::from_utf8_lossy(&answer)));
            let proxy = configured.or_else(|| {
                let name = format!("{scheme}_proxy");
                std::env::var(&name)
                    .or_else(|_| std::env::var(name.to_uppercase()))
                    .ok()
            })?;
            let is_plain = !proxy.is_empty() && !proxy.contains(['"', '\n', ';']);
            is_plain.then(|| (scheme.to_owned(), proxy))
        })
        .collect()
}

/// The answer of `apt-config shell proxy …`: `proxy='http://…'`, or nothing.
fn parse_apt_config(answer: &str) -> Option<String> {
    let value = answer.trim().strip_prefix("proxy='")?.strip_suffix('\'')?;
    Some(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_known_by_their_name() {
        for release in Release::ALL {
            assert_eq!(release.name().parse(), Ok(release));
        }
        let error = "debian-7".parse::<Release>().unwrap_err();
        assert!(error.to_string().contains("known are debian-12"), "{error}");
    }

    #[test]
    fn the_answer_of_apt_config_is_understood() {
        assert_eq!(parse_apt_config("proxy='http://p:1'\n"), Some("http://p:1".to_owned()));
        assert_eq!(parse_apt_config(""), None);
    }
}
