//! Runs one systemd-nspawn container and tells in which phase its machine is; boots it again when the machine itself reboots.
//! It does not prepare the disk, and it does not clean up.

use std::fs::{self, File};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::cgroup::{self, CgroupError};
use crate::host::Bind;
use crate::network::NetworkError;
use crate::program;
use crate::slots::Slot;

/// What systemd-nspawn says with `--keep-unit` when the machine inside asked for a reboot (EXIT_FORCE_RESTART).
const REBOOT: i32 = 133;

/// Joins the control group given first, then becomes the rest of its arguments. What comes before `exec` must happen in the process that nspawn will be.
const JOIN_GROUP: &str = r#"echo 0 > "$1/cgroup.procs" && shift && exec "$@""#;

/// What is booted, the same at every boot.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) slot: Slot,
    pub(crate) hostname: String,
    pub(crate) binds: Vec<Bind>,
    /// Allow what Docker and Tailscale need.
    pub(crate) containers: bool,
    /// Allow what swap files need.
    pub(crate) swap: bool,
}

/// A machine could not be switched on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootError {
    /// Its network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Its control group.
    #[error("cannot prepare the machine's control group")]
    Cgroup(#[source] CgroupError),
    /// systemd-nspawn itself, or what it needs to be watched.
    #[error("cannot {verb}")]
    Start {
        /// What was tried.
        verb: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// What a machine is doing, as far as can be seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// PID 1 is not known yet.
    Starting,
    /// PID 1 runs, and is not through with booting.
    Booting { leader: u32 },
    /// PID 1 said that all it was to start has started, or failed.
    Booted { leader: u32 },
    /// Nothing runs. Holds how it ended.
    Off { ended: String },
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// No further boot is wanted.
    halted: bool,
    /// How often the machine was booted since it was switched on.
    boots: u32,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A machine that was switched on. Dropping it lets it run.
#[derive(Debug)]
pub(crate) struct Running {
    shared: Arc<Shared>,
    slot: Slot,
    watcher: Option<JoinHandle<()>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding it, and its values are whole at every moment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, phase: Phase) {
        self.state().phase = phase;
        self.changed.notify_all();
    }
}

impl Machine {
    /// The arguments of systemd-nspawn.
    fn arguments(&self) -> Vec<String> {
        let root = self.slot.file("root");
        let mut arguments: Vec<String> = [
            "--quiet",
            "--boot",
            // No systemd is asked for leave: none may be running outside.
            "--register=no",
            "--keep-unit",
            "--settings=no",
            "--notify-ready=yes",
            "--console=read-only",
            // The disk is prepared before; nothing of the machine outside is to show through.
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
        ]
        .map(str::to_owned)
        .to_vec();
        arguments.push(format!("--directory={}", root.display()));
        arguments.push(format!("--machine={}", self.slot.machine()));
        arguments.push(format!("--hostname={}", self.hostname));
        arguments.push("--capability=CAP_NET_ADMIN".to_owned());
        // A host's root may keep memory out of swap.
        arguments.push("--capability=CAP_IPC_LOCK".to_owned());
        if self.containers {
            arguments.push("--capability=CAP_SYS_ADMIN".to_owned());
            arguments.push("--system-call-filter=add_key keyctl bpf".to_owned());
            // An overlay cannot lie on an overlay, so Docker's files lie on the disk outside.
            let docker = self.slot.file("docker");
            arguments.push(format!("--bind={}:/var/lib/docker", docker.display()));
            if Path::new("/dev/net/tun").exists() {
                arguments.push("--bind=/dev/net/tun".to_owned());
            }
        }
        if self.swap {
            arguments.push("--capability=CAP_SYS_ADMIN".to_owned());
            arguments.push("--system-call-filter=swapon swapoff".to_owned());
        }
        for bind in &self.binds {
            let option = if bind.read_only { "--bind-ro" } else { "--bind" };
            arguments.push(format!(
                "{option}={}:{}",
                escape_colons(&bind.outside),
                escape_colons(&bind.inside)
            ));
        }
        arguments
    }

    fn command(&self, group: &Path, notify: &Path) -> io::Result<Command> {
        let console = File::options()
            .create(true)
            .append(true)
            .open(self.slot.file("console.log"))?;
        let mut command = program::command("sh");
        command
            .args(["-c", JOIN_GROUP, "sh"])
            .arg(group)
            // nspawn's own option for this enters the namespace only after it has mounted /sys, which then shows the links of the machine outside.
            .arg("nsenter")
            .arg(format!("--net={}", self.slot.network().namespace_path()))
            .arg("systemd-nspawn")
            .args(self.arguments())
            .env("NOTIFY_SOCKET", notify)
            .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
            // Kernel settings can be written inside, as on a server.
            .env("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "yes")
            // /tmp is what the release makes of it.
            .env("SYSTEMD_NSPAWN_TMPFS_TMP", "0")
            .stdout(console.try_clone()?)
            .stderr(console)
            .stdin(Stdio::null())
            // A Ctrl-C at the owner's terminal is the owner's to act on.
            .process_group(0);
        Ok(command)
    }

    /// Builds the network anew and starts nspawn, with the thread that listens to it.
    fn launch(&self, shared: &Arc<Shared>) -> Result<(Child, Listener), BootError> {
        let start = |verb| move |source| BootError::Start { verb, source };
        self.slot.network().up()?;
        let group = cgroup::create(&self.slot.machine()).map_err(BootError::Cgroup)?;
        let listener = Listener::start(self.slot.file("notify"), Arc::clone(shared))
            .map_err(start("listen to the machine's systemd"))?;
        let child = self
            .command(&group, &listener.path)
            .and_then(|mut command| command.spawn());
        match child {
            Ok(child) => Ok((child, listener)),
            Err(source) => {
                listener.stop();
                Err(start("start systemd-nspawn")(source))
            }
        }
    }

    /// Switches the machine on, and returns as soon as its container is starting.
    pub(crate) fn start(self) -> Result<Running, BootError> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                phase: Phase::Starting,
                halted: false,
                boots: 1,
            }),
            changed: Condvar::new(),
        });
        let slot = self.slot;
        let (child, listener) = self.launch(&shared)?;
        let watched = Arc::clone(&shared);
        let watcher = std::thread::Builder::new()
            .name(format!("watch-{}", slot.machine()))
            .spawn(move || self.watch(child, listener, &watched));
        let mut running = Running {
            shared,
            slot,
            watcher: None,
        };
        match watcher {
            Ok(thread) => {
                running.watcher = Some(thread);
                Ok(running)
            }
            Err(source) => {
                // The child runs unwatched; its slot is cleared by whoever sees this error.
                Err(BootError::Start {
                    verb: "watch the machine",
                    source,
                })
            }
        }
    }

    /// Waits for the container's end, again and again while the machine inside reboots itself.
    fn watch(self, mut child: Child, mut listener: Listener, shared: &Arc<Shared>) {
        loop {
            let ended = child.wait();
            // Everything this boot still had to say is heard before its end is told.
            listener.stop();
            let reboot = ended.as_ref().is_ok_and(|status| status.code() == Some(REBOOT));
            if !reboot || shared.state().halted {
                let ended = match ended {
                    Ok(status) => status.to_string(),
                    Err(error) => format!("its end could not be seen: {error}"),
                };
                shared.set(Phase::Off { ended });
                return;
            }
            shared.state().boots += 1;
            shared.set(Phase::Starting);
            match self.launch(shared) {
                Ok(next) => (child, listener) = next,
                Err(error) => {
                    let ended = format!("it could not reboot: {error}");
                    shared.set(Phase::Off { ended });
                    return;
                }
            }
        }
    }
}

/// nspawn splits a bind at its colons.
fn escape_colons(path: &Path) -> String {
    path.display().to_string().replace('\\', "\\\\").replace(':', "\\:")
}

/// Hears what nspawn says by sd_notify(3) during one boot.
struct Listener {
    path: PathBuf,
    thread: JoinHandle<()>,
}

/// What ends a listener; nspawn never says it.
const HANG_UP: &[u8] = b"X_REHEARSE_HANG_UP";

impl Listener {
    fn start(path: PathBuf, shared: Arc<Shared>) -> io::Result<Self> {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixDatagram::bind(&path)?;
        let thread = std::thread::Builder::new().name("listen".to_owned()).spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                let message = &buffer[..length];
                if message == HANG_UP {
                    return;
                }
                let mut state = shared.state();
                state.phase = heard(&state.phase, &String::from_utf8_lossy(message));
                drop(state);
                shared.changed.notify_all();
            }
        })?;
        Ok(Self { path, thread })
    }

    fn stop(self) {
        let sent = UnixDatagram::unbound().and_then(|socket| socket.send_to(HANG_UP, &self.path));
        // Without that message the thread would not end; then it is left alone.
        if sent.is_ok() {
            let _ended = self.thread.join();
        }
    }
}

/// The phase after a message.
fn heard(phase: &Phase, message: &str) -> Phase {
    let mut leader = match phase {
        Phase::Booting { leader } | Phase::Booted { leader } => Some(*leader),
        Phase::Starting => None,
        Phase::Off { .. } => return phase.clone(),
    };
    let mut booted = matches!(phase, Phase::Booted { .. });
    for line in message.lines() {
        if let Some(pid) = line.strip_prefix("X_NSPAWN_LEADER_PID=") {
            leader = pid.parse().ok().or(leader);
        }
        booted |= line == "READY=1";
    }
    match leader {
        Some(leader) if booted => Phase::Booted { leader },
        Some(leader) => Phase::Booting { leader },
        None => Phase::Starting,
    }
}

impl Running {
    pub(crate) fn phase(&self) -> Phase {
        self.shared.state().phase.clone()
    }

    /// Waits until `reached`, or until `deadline`, and returns the phase then.
    pub(crate) fn wait(&self, deadline: Instant, reached: impl Fn(&Phase) -> bool) -> Phase {
        self.wait_boot(deadline, |_, phase| reached(phase)).1
    }

    /// As [`Running::wait`], with the number of the boot.
    pub(crate) fn wait_boot(&self, deadline: Instant, reached: impl Fn(u32, &Phase) -> bool) -> (u32, Phase) {
        let mut state = self.shared.state();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if reached(state.boots, &state.phase) || left.is_zero() {
                return (state.boots, state.phase.clone());
            }
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Kills every process of the machine at once, and returns when it is off.
    pub(crate) fn cut(&mut self) -> Result<(), CgroupError> {
        self.shared.state().halted = true;
        // Once is enough unless the machine was just rebooting itself: its new nspawn may not have joined the group yet.
        let deadline = Instant::now() + cgroup::BURIAL;
        loop {
            cgroup::kill(&self.slot.machine())?;
            let soon = Instant::now() + Duration::from_millis(200);
            let phase = self.wait(soon, |phase| matches!(phase, Phase::Off { .. }));
            if matches!(phase, Phase::Off { .. }) {
                break;
            }
            if Instant::now() > deadline {
                return Err(CgroupError::Immortal(self.slot.machine().into()));
            }
        }
        if let Some(watcher) = self.watcher.take() {
            let _ended = watcher.join();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            slot: Slot { number: 9 },
            hostname: "friday".to_owned(),
            binds: vec![Bind {
                outside: "/a:b".into(),
                inside: "/c".into(),
                read_only: true,
            }],
            containers: false,
            swap: false,
        }
    }

    #[test]
    fn a_bind_with_a_colon_stays_one_path() {
        assert!(machine().arguments().contains(&"--bind-ro=/a\\:b:/c".to_owned()));
    }

    #[test]
    fn only_a_host_for_containers_gets_more_rights() {
        let has = |machine: &Machine, part: &str| machine.arguments().iter().any(|argument| argument.contains(part));
        assert!(!has(&machine(), "--system-call-filter"));
        let containers = Machine {
            containers: true,
            ..machine()
        };
        assert!(has(&containers, "--system-call-filter=add_key keyctl bpf"));
        assert!(has(&containers, ":/var/lib/docker"));
    }

    #[test]
    fn phases_follow_what_nspawn_says() {
        let up = heard(&Phase::Starting, "STATUS=Container running.\nX_NSPAWN_LEADER_PID=77\n");
        assert_eq!(up, Phase::Booting { leader: 77 });
        assert_eq!(heard(&up, "READY=1\n"), Phase::Booted { leader: 77 });
        assert_eq!(heard(&up, "STATUS=more"), up);
        assert_eq!(
            heard(&Phase::Starting, "READY=1\nX_NSPAWN_LEADER_PID=5"),
            Phase::Booted { leader: 5 }
        );
        let off = Phase::Off { ended: "x".to_owned() };
        assert_eq!(heard(&off, "READY=1"), off, "the dead say nothing");
    }
}
