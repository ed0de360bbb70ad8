//! Keys: in files, in a real ssh-agent, and in agents that answer nonsense.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use provision_ssh::{AuthRefused, ConnectError, Deadlines, Environment, SkipReason, Target, connect};

use crate::sshd::{Sshd, keygen, path_str, short};

struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    fn start(dir: &Path) -> Self {
        let socket = dir.join("agent");
        let child = Command::new("ssh-agent")
            .args(["-D", "-a", path_str(&socket)])
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh-agent runs: install the package openssh-client");
        let deadline = Instant::now() + Duration::from_secs(5);
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < deadline, "ssh-agent does not start");
            std::thread::yield_now();
        }
        Self { child, socket }
    }

    fn add(&self, key: &Path) {
        let status = Command::new("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn refused(target: &Target, environment: &Environment) -> AuthRefused {
    refused_within(target, environment, &Deadlines::default()).await
}

async fn refused_within(target: &Target, environment: &Environment, deadlines: &Deadlines) -> AuthRefused {
    match connect(target, environment, deadlines).await {
        Err(ConnectError::AuthRefused(refused)) => *refused,
        other => panic!("{other:?}"),
    }
}

/// A short wait for agents, and time enough for a real login.
fn short_agent() -> Deadlines {
    Deadlines {
        agent: short().agent,
        ..Deadlines::default()
    }
}

#[tokio::test]
async fn the_agent_s_keys_log_in() {
    let sshd = Sshd::start();
    let agent = Agent::start(sshd.dir.path());
    let environment = Environment {
        agent_socket: Some(agent.socket.clone()),
        ..sshd.environment()
    };
    let by_agent = Target {
        identity_files: Vec::new(),
        ..sshd.target()
    };
    assert!(refused(&by_agent, &environment).await.tried.is_empty());
    agent.add(&sshd.path("id"));
    connect(&by_agent, &environment, &Deadlines::default()).await.unwrap();

    // RSA keys sign with SHA-2, and an ECDSA key works, too.
    for (name, kind) in [("rsa", "rsa"), ("ecdsa", "ecdsa")] {
        let path = sshd.path(name);
        keygen(&["-q", "-t", kind, "-N", "", "-f", path_str(&path)]);
        fs::copy(sshd.path(&format!("{name}.pub")), sshd.path("authorized_keys")).unwrap();
        let in_file = Target {
            identity_files: vec![path.clone()],
            ..sshd.target()
        };
        connect(&in_file, &sshd.environment(), &Deadlines::default())
            .await
            .unwrap();
        agent.add(&path);
        let in_agent = Target {
            identity_files: vec![sshd.path(&format!("{name}.pub"))],
            ..sshd.target()
        };
        connect(&in_agent, &environment, &Deadlines::default()).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_with_a_passphrase_needs_the_agent() {
    let sshd = Sshd::start();
    let agent = Agent::start(sshd.dir.path());
    let plain = sshd.path("id");
    agent.add(&plain);
    let locked = sshd.path("locked");
    fs::copy(&plain, &locked).unwrap();
    keygen(&["-q", "-p", "-N", "secret", "-f", path_str(&locked)]);
    let target = Target {
        identity_files: vec![locked],
        ..sshd.target()
    };

    let refusal = refused(&target, &sshd.environment()).await;
    assert_eq!(refusal.skipped[0].reason, SkipReason::Encrypted);
    assert!(refusal.to_string().contains("ssh-add"), "{refusal}");
    let environment = Environment {
        agent_socket: Some(agent.socket.clone()),
        ..sshd.environment()
    };
    connect(&target, &environment, &Deadlines::default()).await.unwrap();
}

#[tokio::test]
async fn three_keys_are_offered_and_no_more() {
    let sshd = Sshd::start();
    let agent = Agent::start(sshd.dir.path());
    let environment = Environment {
        agent_socket: Some(agent.socket.clone()),
        ..sshd.environment()
    };
    for index in 0..8 {
        let path = sshd.path(&format!("wrong{index}"));
        keygen(&["-q", "-t", "ed25519", "-N", "", "-f", path_str(&path)]);
        agent.add(&path);
    }
    let target = Target {
        identity_files: vec![sshd.path("wrong7"), sshd.path("no such file")],
        ..sshd.target()
    };
    let refusal = refused(&target, &environment).await;
    assert_eq!(refusal.tried.len(), 3);
    assert!(refusal.tried[0].origin.ends_with("wrong7"), "{refusal}");
    assert_eq!(refusal.allowed, ["publickey"]);
    let reasons: Vec<_> = refusal.skipped.iter().map(|skipped| skipped.reason.clone()).collect();
    assert_eq!(reasons, [SkipReason::Absent, SkipReason::Enough]);

    // With IdentitiesOnly the agent's other keys stay home.
    let home = environment.home.clone().unwrap();
    fs::write(home.join(".ssh/config"), "IdentitiesOnly yes\n").unwrap();
    assert_eq!(refused(&target, &environment).await.tried.len(), 1);
}

#[tokio::test]
async fn a_private_key_that_others_can_read_is_not_used() {
    let sshd = Sshd::start();
    fs::set_permissions(sshd.path("id"), fs::Permissions::from_mode(0o644)).unwrap();
    let refusal = refused(&sshd.target(), &sshd.environment()).await;
    assert_eq!(refusal.skipped[0].reason, SkipReason::Exposed);
}

#[tokio::test]
async fn a_second_factor_is_named() {
    let sshd = Sshd::with_config("PasswordAuthentication yes\nAuthenticationMethods publickey,password");
    let refusal = refused(&sshd.target(), &sshd.environment()).await;
    assert!(refusal.partial, "{refusal:?}");
    assert_eq!(refusal.allowed, ["password"]);
    assert!(refusal.to_string().contains("second factor"), "{refusal}");
}

/// An agent that answers each request with these bytes, and then waits.
fn fake_agent(path: &Path, answer: Vec<u8>) {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let answer = answer.clone();
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                while let Ok(1..) = stream.read(&mut request) {
                    if stream.write_all(&answer).is_err() {
                        break;
                    }
                }
            });
        }
    });
}

#[tokio::test]
async fn an_agent_that_answers_nonsense_is_passed_over() {
    let sshd = Sshd::start();
    let huge = [&u32::MAX.to_be_bytes()[..], &[12; 64]].concat();
    let many_keys = [&5_u32.to_be_bytes()[..], &[12, 255, 255, 255, 255]].concat();
    let long_key = [&9_u32.to_be_bytes()[..], &[12, 0, 0, 0, 1, 127, 255, 255, 255]].concat();
    let garbage = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let empty = vec![0; 4];
    for (index, answer) in [huge, many_keys, long_key, garbage, empty, Vec::new()]
        .into_iter()
        .enumerate()
    {
        let socket = sshd.path(&format!("fake{index}"));
        fake_agent(&socket, answer);
        let environment = Environment {
            agent_socket: Some(socket),
            ..sshd.environment()
        };
        let started = Instant::now();
        let by_agent = Target {
            identity_files: Vec::new(),
            ..sshd.target()
        };
        let refusal = refused_within(&by_agent, &environment, &short_agent()).await;
        assert!(
            matches!(refusal.skipped[0].reason, SkipReason::Agent(_)),
            "{index}: {refusal:?}"
        );
        assert!(started.elapsed() < Duration::from_secs(3), "{index}");
        // Refused for its length, before anything is allocated for it.
        assert!(index != 0 || refusal.to_string().contains("out of bounds"), "{refusal}");
        // And it does not get in the way of a key in a file.
        let target = Target {
            identity_files: vec![sshd.path("no"), sshd.path("id")],
            ..sshd.target()
        };
        connect(&target, &environment, &short_agent()).await.unwrap();
    }
}
