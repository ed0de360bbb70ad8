//! A real OpenSSH server on loopback, with its own keys and configuration, and what is needed to
//! connect to it. It does not touch the machine's sshd or the user's `~/.ssh`.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use provision_ssh::{Deadlines, Environment, Target};
use tempfile::TempDir;

const SSHD: &str = "/usr/sbin/sshd";

pub(crate) struct Sshd {
    pub(crate) dir: TempDir,
    pub(crate) port: u16,
    child: Child,
}

impl Sshd {
    /// Starts a server that lets the key `id` in.
    pub(crate) fn start() -> Self {
        Self::with_config("")
    }

    pub(crate) fn with_config(extra: &str) -> Self {
        assert!(
            Path::new(SSHD).exists(),
            "{SSHD} is missing: install the package openssh-server (apt-get install openssh-server)"
        );
        // sshd as root insists on its privilege separation directory.
        let _ = fs::DirBuilder::new().mode(0o755).create("/run/sshd");
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        for (name, kind) in [("host_ed25519", "ed25519"), ("host_ecdsa", "ecdsa"), ("id", "ed25519")] {
            keygen(&[
                "-q",
                "-t",
                kind,
                "-N",
                "",
                "-C",
                name,
                "-f",
                path_str(&dir.path().join(name)),
            ]);
        }
        fs::copy(dir.path().join("id.pub"), dir.path().join("authorized_keys")).unwrap();
        let at = dir.path().display();
        let port = free_port();
        let config = format!(
            "{extra}\nListenAddress 127.0.0.1:{port}\nHostKey {at}/host_ed25519\nHostKey {at}/host_ecdsa\n\
             AuthorizedKeysFile {at}/authorized_keys\nPidFile none\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nLogLevel VERBOSE\n\
             PrintMotd no\nUseDNS no\nMaxStartups 100\n"
        );
        let config_path = dir.path().join("sshd_config");
        fs::write(&config_path, config).unwrap();
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let mut child = Command::new(SSHD)
            .args(["-D", "-e", "-f", path_str(&config_path)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = child.try_wait().unwrap();
            let log = fs::read_to_string(dir.path().join("log")).unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "sshd does not start: {log}"
            );
            std::thread::yield_now();
        }
        Self { dir, port, child }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The host's public key as a pin.
    pub(crate) fn host_key(&self) -> String {
        fs::read_to_string(self.path("host_ed25519.pub")).unwrap()
    }

    /// The server, pinned, with the right key.
    pub(crate) fn target(&self) -> Target {
        Target {
            alias: "loopback".to_owned(),
            address: Some("127.0.0.1".to_owned()),
            port: Some(self.port),
            host_keys: vec![self.host_key()],
            identity_files: vec![self.path("id")],
            ..Target::default()
        }
    }

    /// This user, whose home is an empty directory.
    pub(crate) fn environment(&self) -> Environment {
        let home = self.path("home");
        fs::create_dir_all(home.join(".ssh")).unwrap();
        environment(&home)
    }

    /// The OpenSSH client, made to connect to `port` of loopback with nothing of the user's.
    pub(crate) fn ssh(&self, port: u16) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"])
            .args(["-o", "GlobalKnownHostsFile=none", "-p", &port.to_string()])
            .arg("-i")
            .arg(self.path("id"))
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null());
        ssh
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Surroundings with this home and nothing else.
pub(crate) fn environment(home: &Path) -> Environment {
    Environment {
        home: Some(home.to_owned()),
        local_user: Environment::from_process().local_user,
        agent_socket: None,
        ssh_config: Some(home.join(".ssh/config")),
        system_ssh_config: None,
        user_known_hosts: vec![home.join(".ssh/known_hosts")],
        global_known_hosts: Vec::new(),
    }
}

/// Deadlines that a test can wait for.
pub(crate) fn short() -> Deadlines {
    let short = Duration::from_millis(700);
    Deadlines {
        tcp: short,
        handshake: short,
        agent: short,
        open: short,
        ..Deadlines::default()
    }
}

pub(crate) fn keygen(arguments: &[&str]) -> Output {
    let output = Command::new("ssh-keygen").args(arguments).stdin(Stdio::null()).output();
    let output = output.expect("ssh-keygen runs: install the package openssh-client");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

pub(crate) fn path_str(path: &Path) -> &str {
    path.to_str().unwrap()
}
