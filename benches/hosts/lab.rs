//! The hosts that things are measured on, and the ways to reach them. It measures nothing.

use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use provision_rehearse::{
    BaseImage, BaseOptions, HostOptions, Link, LinkOptions, Missing, Progress, Release, ThrowawayHost, base,
    install_missing, preflight,
};
use tempfile::TempDir;

use crate::talk;
use crate::workload::{Settle, Workload, project};

/// The program that is measured, built as cargo builds benches: optimised.
pub(crate) const PROVISION: &str = env!("CARGO_BIN_EXE_provision");

/// How long a host may take to boot while many do.
const BOOT: Duration = Duration::from_secs(120);

/// How a host is reached.
#[derive(Clone)]
pub(crate) struct Reach {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) host_key: String,
    pub(crate) identity: PathBuf,
    pub(crate) known_hosts: PathBuf,
}

/// Straight.
pub(crate) fn reach(host: &ThrowawayHost) -> Reach {
    Reach {
        name: host.name().to_owned(),
        address: host.ssh_address(),
        host_key: host.host_key().to_owned(),
        identity: host.identity(),
        known_hosts: host.known_hosts(),
    }
}

/// Makes sure that this machine can make hosts, and gets the image for them; `packages` are on it beside the bare ones.
pub(crate) fn image(packages: &[&str]) -> Result<BaseImage, Box<dyn Error>> {
    let mut tell = |progress| match progress {
        Progress::Building(release) => talk(format_args!("building {release} with {packages:?}")),
        Progress::Installing(names) => talk(format_args!("installing {names:?} on this machine")),
        _ => {}
    };
    if preflight().is_err() {
        install_missing(&mut tell)?;
    }
    preflight().map_err(|missing| missing.iter().map(Missing::to_string).collect::<Vec<_>>().join("\n"))?;
    let mut options = BaseOptions::new(Release::Debian12);
    options.packages = packages.iter().map(|&name| name.to_owned()).collect();
    Ok(base(&options, &mut tell)?)
}

/// A fresh host on which apt has its lists and the workload's packages in its cache, so that nobody's network is measured.
///
/// The lists and packages are fetched once per process, then copied: every host gets the same bytes.
pub(crate) fn fresh(image: &BaseImage, name: &str, cache: &AptCache) -> Result<ThrowawayHost, Box<dyn Error>> {
    let host = ThrowawayHost::start(image, &HostOptions::named(name))?;
    cache.copy_to(&host)?;
    host.wait_ready(BOOT)?;
    Ok(host)
}

/// What `apt-get update` and a download of the workload's packages leave behind.
pub(crate) struct AptCache {
    directory: TempDir,
}

/// The directories that apt keeps what it fetched in.
const APT: [&str; 2] = ["var/lib/apt/lists", "var/cache/apt/archives"];

impl AptCache {
    /// Fetches it with a host that is thrown away at once.
    pub(crate) fn fetch(image: &BaseImage, workload: &Workload) -> Result<Self, Box<dyn Error>> {
        let host = ThrowawayHost::start(image, &HostOptions::named("fetch"))?;
        host.wait_ready(BOOT)?;
        let packages = workload.packages.join(" ");
        let fetch = format!("apt-get -qq update && apt-get -qq install --download-only --yes {packages}");
        let output = host.run(&["bash", "-c", &fetch])?;
        if !output.status.success() {
            return Err(format!("apt cannot fetch: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let directory = tempfile::tempdir()?;
        for part in APT {
            copy(&host.path_outside(part), &directory.path().join(part))?;
        }
        Ok(Self { directory })
    }

    fn copy_to(&self, host: &ThrowawayHost) -> Result<(), Box<dyn Error>> {
        APT.iter()
            .try_for_each(|part| copy(&self.directory.path().join(part), &host.path_outside(part)))
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(to)?;
    let status = Command::new("cp")
        .args(["--archive", "--no-target-directory"])
        .arg(from)
        .arg(to)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("cp {} {}: {status}", from.display(), to.display()).into())
    }
}

/// Does this on every item at once, and gives the results in order.
pub(crate) fn at_once<T: Sync, R: Send>(
    items: &[T],
    each: impl Fn(&T) -> Result<R, Box<dyn Error>> + Sync,
) -> Result<Vec<R>, Box<dyn Error>> {
    let each = &each;
    std::thread::scope(|scope| {
        let threads: Vec<_> = items
            .iter()
            .map(|item| scope.spawn(move || each(item).map_err(|error| error.to_string())))
            .collect();
        let results = threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?);
        Ok(results.collect::<Result<Vec<_>, String>>()?)
    })
}

/// A project that declares the workload for some hosts.
pub(crate) struct Project {
    directory: TempDir,
}

impl Project {
    pub(crate) fn new(workload: &Workload, hosts: &[Reach]) -> Result<Self, Box<dyn Error>> {
        Self::settling(workload, hosts, Settle::Default)
    }

    pub(crate) fn settling(workload: &Workload, hosts: &[Reach], settle: Settle) -> Result<Self, Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        project(workload, hosts, settle, directory.path())?;
        Ok(Self { directory })
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// The program in this project, without the user's own configuration.
    pub(crate) fn provision(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROVISION);
        command
            .current_dir(self.root())
            .env_remove("SSH_AUTH_SOCK")
            .env("HOME", self.root())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .args(arguments);
        command
    }

    /// Brings all hosts to the workload, and sees that nothing is left to do.
    pub(crate) fn converge(&self) -> Result<(), Box<dyn Error>> {
        crate::sample::run(&mut self.provision(&["apply", "--yes"]))?;
        self.is_converged()
    }

    /// That a plan finds nothing to do.
    pub(crate) fn is_converged(&self) -> Result<(), Box<dyn Error>> {
        crate::sample::run(&mut self.provision(&["plan", "--detailed-exitcode"])).map(drop)
    }
}

/// A host at a distance.
pub(crate) struct Far {
    link: Link,
    host: Reach,
}

impl Far {
    /// `delay` each way, so that a round trip takes twice that.
    pub(crate) fn new(host: &ThrowawayHost, delay: Duration) -> Result<Self, Box<dyn Error>> {
        let link = Link::start(
            host.ssh_address(),
            LinkOptions {
                delay,
                ..LinkOptions::default()
            },
        )?;
        let host = Reach {
            address: link.address(),
            ..reach(host)
        };
        Ok(Self { link, host })
    }

    /// How it is reached.
    pub(crate) fn reach(&self) -> &Reach {
        &self.host
    }

    /// OpenSSH's client through the link, its options as of [`ThrowawayHost::ssh`].
    pub(crate) fn ssh(&self, host: &ThrowawayHost) -> Command {
        let address = self.link.address();
        let mut command = host.ssh();
        // After the destination the client takes options as before it.
        command
            .args(["-p", &address.port().to_string(), "-o"])
            .arg(format!("HostName={}", address.ip()));
        command.arg("-o").arg(format!("HostKeyAlias={}", host.address()));
        command
    }
}
