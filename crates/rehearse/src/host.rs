//! A throwaway host: a real Debian with systemd and sshd on this machine, with a disk, a network and keys of its own, that disappears with its owner.
//! It puts nothing on the host but its names and keys; what the host should be is for others to say.

mod disk;
mod error;

use std::fs;
use std::io::{self, Read as _, Seek as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::base::BaseImage;
use crate::nspawn::{Machine, Phase, Running};
use crate::program;
use crate::slots::{self, Slot, TeardownError};
pub use error::{HostError, ReadyError, StartError};

/// The port of every host's sshd.
pub const SSH_PORT: u16 = 22;

/// A directory or file of the machine outside that a host sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// What it sees. Must exist.
    pub outside: PathBuf,
    /// Where. Is created as needed.
    pub inside: PathBuf,
    /// Whether the host may only read it.
    pub read_only: bool,
}

/// How a host is to be.
#[derive(Debug, Clone, Default)]
pub struct HostOptions {
    /// Its name: a DNS label. Several hosts of one machine may share a name.
    pub name: String,
    /// Public key lines that may log in as root, besides the host's own identity.
    pub authorized_keys: Vec<String>,
    /// What it sees of the machine outside.
    pub binds: Vec<Bind>,
    /// Allow what Docker and Tailscale need: more system calls and rights, `/dev/net/tun`, and a `/var/lib/docker` that is not on an overlay.
    /// Such a host can reach out of its container: run nothing in it that you would not run on the machine.
    pub containers: bool,
    /// Let it tell the kernel to swap to its files, and no more. The kernel is the machine's, and so is the swap space: whoever lets it must see to it
    /// that none is left when the host is gone. An overlay holds no swap file, so one lies in a bind.
    pub swap: bool,
}

impl HostOptions {
    /// A bare host of that name.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }
}

/// A host that exists for as long as this value does. Dropping it destroys the host, also while panicking; if the process is killed, the next start of any host does it.
#[derive(Debug)]
pub struct ThrowawayHost {
    options: HostOptions,
    slot: Slot,
    host_key: String,
    /// None once it was kept or destroyed.
    running: Option<Running>,
}

impl ThrowawayHost {
    /// Makes a disk over `base` and keys, and switches the host on. Returns while it boots: see [`ThrowawayHost::wait_ready`].
    ///
    /// # Errors
    /// When a part of it cannot be made; then the others are removed again.
    pub fn start(base: &BaseImage, options: &HostOptions) -> Result<Self, StartError> {
        if !is_host_name(&options.name) {
            return Err(StartError::Name(options.name.clone()));
        }
        if options.authorized_keys.iter().any(|key| key.contains('\n')) {
            return Err(StartError::Key);
        }
        let host = || options.name.clone();
        let slot =
            slots::claim(&options.name, base.root()).map_err(|source| StartError::State { host: host(), source })?;
        let started = disk::prepare(slot, base, options).and_then(|host_key| {
            let running = machine(slot, options)
                .start()
                .map_err(|source| StartError::Boot { host: host(), source })?;
            Ok((host_key, running))
        });
        match started {
            Ok((host_key, running)) => Ok(Self {
                options: options.clone(),
                slot,
                host_key,
                running: Some(running),
            }),
            Err(error) => {
                discard(slot);
                Err(error)
            }
        }
    }

    /// Its name, which is also its hostname.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Where it is reached from this machine.
    pub fn address(&self) -> IpAddr {
        self.ipv4().into()
    }

    fn ipv4(&self) -> Ipv4Addr {
        self.slot.network().address()
    }

    /// The address of its sshd.
    pub fn ssh_address(&self) -> SocketAddr {
        (self.address(), SSH_PORT).into()
    }

    /// Its public host key as an OpenSSH line without comment: `ssh-ed25519 AAAA…`. It was made before the first boot, so it can be pinned without trust.
    pub fn host_key(&self) -> &str {
        &self.host_key
    }

    /// A private key (0600, Ed25519, no passphrase) that may log in as root.
    pub fn identity(&self) -> PathBuf {
        self.slot.file("identity")
    }

    /// A file in OpenSSH's known_hosts format that holds this host's key and no other.
    pub fn known_hosts(&self) -> PathBuf {
        self.slot.file("known_hosts")
    }

    /// Its root directory as the machine outside sees it. Mounts that the host makes do not show.
    pub fn root(&self) -> PathBuf {
        self.slot.file("root")
    }

    /// Where the machine outside finds the host's absolute `path`. `..` and links are not resolved: neither may lead out.
    pub fn path_outside(&self, path: impl AsRef<Path>) -> PathBuf {
        let inside = path
            .as_ref()
            .components()
            .filter(|part| matches!(part, Component::Normal(_)));
        let mut outside = self.root();
        outside.extend(inside);
        outside
    }

    /// The console's text since the first boot, whose bytes are the host's.
    pub fn console(&self) -> PathBuf {
        self.slot.file("console.log")
    }

    /// The number of the host's PID 1 outside, while it is on.
    pub fn leader_pid(&self) -> Option<u32> {
        match self.running.as_ref()?.phase() {
            Phase::Booting { leader } | Phase::Booted { leader } => Some(leader),
            Phase::Starting | Phase::Off { .. } => None,
        }
    }

    /// The control group of all its processes, as a path below the unified hierarchy's mount.
    pub fn control_group(&self) -> String {
        self.slot.machine()
    }

    /// Waits until systemd has finished booting (also when some of its units failed) and sshd greets.
    ///
    /// # Errors
    /// When it goes off instead, or `deadline` from now is over. The error shows the end of the console.
    pub fn wait_ready(&self, deadline: Duration) -> Result<(), ReadyError> {
        let end = Instant::now() + deadline;
        let late = |missing| ReadyError::Late {
            host: self.options.name.clone(),
            waited: deadline,
            missing,
            console: self.console_tail(),
        };
        let is_settled = |phase: &Phase| matches!(phase, Phase::Booted { .. } | Phase::Off { .. });
        loop {
            let phase = match &self.running {
                Some(running) => running.wait(end, is_settled),
                None => Phase::Off {
                    ended: "it was destroyed".to_owned(),
                },
            };
            match phase {
                Phase::Booted { .. } => {}
                Phase::Off { ended } => {
                    return Err(ReadyError::Off {
                        host: self.options.name.clone(),
                        ended,
                        console: self.console_tail(),
                    });
                }
                Phase::Starting | Phase::Booting { .. } => {
                    return Err(late("systemd has not finished booting"));
                }
            }
            if greets(self.ssh_address(), end) {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(late("sshd does not answer"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the host has rebooted itself `times` times since it was switched on, and says whether it has. It may still be booting then.
    pub fn wait_rebooted(&self, times: u32, deadline: Duration) -> bool {
        self.running.as_ref().is_some_and(|running| {
            let is_reached = |boots: u32, phase: &Phase| boots > times || matches!(phase, Phase::Off { .. });
            running.wait_boot(Instant::now() + deadline, is_reached).0 > times
        })
    }

    /// Waits until the host is off, for whatever reason, and says whether it is.
    pub fn wait_off(&self, deadline: Duration) -> bool {
        let is_off = |phase: &Phase| matches!(phase, Phase::Off { .. });
        self.running
            .as_ref()
            .is_none_or(|running| is_off(&running.wait(Instant::now() + deadline, is_off)))
    }

    /// Kills everything that runs on the host in one instant, as a power cut does. Its disk stays; unlike after a real cut, nothing that was written is lost with the page cache.
    ///
    /// # Errors
    /// When processes cannot be killed.
    pub fn power_cut(&mut self) -> Result<(), HostError> {
        match &mut self.running {
            Some(running) => running.cut().map_err(|source| HostError::Cut {
                host: self.options.name.clone(),
                source,
            }),
            None => Err(HostError::Off(self.options.name.clone())),
        }
    }

    /// Switches a host that is off on again, with the same disk, address and keys. Wait for it with [`ThrowawayHost::wait_ready`].
    ///
    /// # Errors
    /// When it is on, or cannot be booted.
    pub fn boot(&mut self) -> Result<(), HostError> {
        if !self.wait_off(Duration::ZERO) {
            return Err(HostError::On(self.options.name.clone()));
        }
        let running = machine(self.slot, &self.options)
            .start()
            .map_err(|source| HostError::Boot {
                host: self.options.name.clone(),
                source,
            })?;
        self.running = Some(running);
        Ok(())
    }

    /// Runs a program as the host's root, past sshd, and collects its output. It runs in the host's namespaces, but not in its control groups.
    ///
    /// # Errors
    /// When the host is off. How the program ended is in the output: one that is not found ends with 127.
    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, argv: &[S]) -> Result<Output, HostError> {
        let leader = self
            .leader_pid()
            .ok_or_else(|| HostError::Off(self.options.name.clone()))?;
        program::command("nsenter")
            .arg(format!("--target={leader}"))
            .args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"])
            .args(["--root", "--"])
            // A directory that is named to `nsenter` is the outer one, which does not exist for who runs inside.
            .args(["env", "-i", "--chdir=/", "HOME=/root", "LANG=C.UTF-8"])
            .arg("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .args(argv)
            .output()
            .map_err(|source| HostError::Enter {
                host: self.options.name.clone(),
                source,
            })
    }

    /// OpenSSH's client, ready to log in as root with the host's identity and its key pinned; the user's configuration is not read. Add the remote command.
    pub fn ssh(&self) -> Command {
        let mut command = program::command("ssh");
        command
            .args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"])
            .args(["-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=10"])
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", self.known_hosts().display()))
            .args(["-o", "GlobalKnownHostsFile=none"])
            .arg("-i")
            .arg(self.identity())
            .arg(format!("root@{}", self.address()));
        command
    }

    /// Lets the host live on after this value and this process, until [`crate::destroy_kept`]. A kept host that is switched off, or reboots, stays off.
    ///
    /// # Errors
    /// When the record cannot be changed; then the host is destroyed.
    pub fn keep(mut self) -> Result<crate::KeptHost, HostError> {
        let failed = |source| HostError::Keep {
            host: self.options.name.clone(),
            source,
        };
        let mut record = self.slot.record().map_err(failed)?;
        record.kept = true;
        self.slot.write_record(&record).map_err(failed)?;
        self.running = None;
        Ok(crate::kept::describe(self.slot, &record))
    }

    /// Removes the host and everything of it: processes, network, disk, keys.
    ///
    /// # Errors
    /// When something stayed; the next start of any host tries again.
    pub fn destroy(mut self) -> Result<(), TeardownError> {
        match self.running.take() {
            Some(running) => self.tear_down(running),
            None => Ok(()),
        }
    }

    fn tear_down(&self, mut running: Running) -> Result<(), TeardownError> {
        let slot = self.slot;
        running
            .cut()
            .map_err(|source| TeardownError::Processes {
                slot: slot.number,
                source,
            })
            .and_then(|()| slots::release(slot))
            .inspect_err(|_| abandon(slot))
    }

    fn console_tail(&self) -> String {
        let tail = fs::File::open(self.console()).and_then(|mut file| {
            let length = file.metadata()?.len();
            file.seek(io::SeekFrom::Start(length.saturating_sub(1500)))?;
            let mut bytes = Vec::new();
            file.take(1500).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        match tail {
            Ok(bytes) if !bytes.is_empty() => String::from_utf8_lossy(&bytes).escape_debug().to_string(),
            Ok(_) => "nothing".to_owned(),
            Err(error) => format!("nothing that can be read ({error})"),
        }
    }
}

impl Drop for ThrowawayHost {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            // What failed was left to the next sweep; there is nobody to tell.
            let _left = self.tear_down(running);
        }
    }
}

/// Gives a slot back after a failed start.
fn discard(slot: Slot) {
    if slots::release(slot).is_err() {
        abandon(slot);
    }
}

/// If even the record cannot be changed, the slot is swept once this process is gone.
fn abandon(slot: Slot) {
    let _marked = slots::abandon(slot);
}

fn machine(slot: Slot, options: &HostOptions) -> Machine {
    Machine {
        slot,
        hostname: options.name.clone(),
        binds: options.binds.clone(),
        containers: options.containers,
        swap: options.swap,
    }
}

/// Whether an SSH server's first bytes come, before `end` and within a second.
fn greets(address: SocketAddr, end: Instant) -> bool {
    let left = end.saturating_duration_since(Instant::now());
    let limit = left.clamp(Duration::from_millis(1), Duration::from_secs(1));
    let mut first = [0; 4];
    TcpStream::connect_timeout(&address, limit)
        .and_then(|mut stream| {
            stream.set_read_timeout(Some(limit))?;
            stream.read_exact(&mut first)
        })
        .is_ok_and(|()| &first == b"SSH-")
}

fn is_host_name(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        for good in ["a", "friday", "bot-1"] {
            assert!(is_host_name(good), "{good}");
        }
        let long = "a".repeat(64);
        for bad in ["", "1a", "-a", "a-", "A", "a.b", "a/b", "a\nb", &long] {
            assert!(!is_host_name(bad), "{bad}");
        }
    }

    #[test]
    fn a_path_inside_never_leads_out() {
        let host = ThrowawayHost {
            options: HostOptions::named("friday"),
            slot: Slot { number: 9 },
            host_key: String::new(),
            running: None,
        };
        let root = host.root();
        assert_eq!(host.path_outside("/etc/motd"), root.join("etc/motd"));
        assert_eq!(host.path_outside("/../../etc"), root.join("etc"));
        assert_eq!(host.path_outside("/"), root);
    }
}
