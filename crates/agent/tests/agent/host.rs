//! A host in a private mount namespace, and sessions on it. Nothing that is written there is seen outside.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use provision_core::model::{Digest, Millis, Observed, Plan, RunEvent, RunPhase, Spec};
use provision_core::wire::{Decoder, FrameKind, Request, Response, encode, encode_message};

pub(crate) const AGENT: &str = env!("CARGO_BIN_EXE_provision-agent");
/// Where plans of these tests write: an empty file system of each host's own.
pub(crate) const SITE: &str = "/mnt";
const STATE: &str = "/var/lib/provision";

/// What nothing here may take longer than; it bounds a test that has failed, and paces none.
const PATIENCE: Duration = Duration::from_secs(60);

/// The request to apply a plan.
pub(crate) fn apply_request(plan: Plan) -> Request {
    Request::Apply {
        secrets: Default::default(),
        plan: Box::new(plan),
        confirm_within: Millis::seconds(60),
    }
}

/// One host; it goes when the value does.
pub(crate) struct Host {
    holder: Child,
}

impl Host {
    pub(crate) fn new() -> Self {
        // The machine's own systemd must not be asked to start anything: it would do so outside.
        let script = "set -e
            mount -t tmpfs -o mode=0755 tmpfs /mnt
            mkdir /mnt/upper /mnt/work
            mount -t overlay -o lowerdir=/var/lib,upperdir=/mnt/upper,workdir=/mnt/work overlay /var/lib
            mount -t tmpfs -o mode=0755 tmpfs /mnt
            if [ -d /run/systemd ]; then mount -t tmpfs tmpfs /run/systemd; fi
            echo ready
            read -r _";
        let mut unshare = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            unshare.args(["--user", "--map-root-user"]);
        }
        let mut holder = unshare
            .args(["--mount", "--propagation=private", "--", "/bin/sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare of util-linux makes a private mount namespace");
        let mut line = String::new();
        let mut output = BufReader::new(holder.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "a mount namespace, tmpfs and overlayfs are needed");
        Self { holder }
    }

    /// What tells it from every other host of these tests.
    pub(crate) fn id(&self) -> u32 {
        self.holder.id()
    }

    /// A path on the host, as this process can open it.
    pub(crate) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A path of the agent's own directory.
    pub(crate) fn state(&self, path: &str) -> PathBuf {
        self.at(STATE).join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::write(self.at(path), text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }

    /// A command in the host's namespace.
    pub(crate) fn command(&self, argv: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.holder.id())).arg("--mount");
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--").args(argv);
        command
    }

    /// Everything that lies in the agent's directory and where plans write, with what would change if it were touched.
    pub(crate) fn snapshot(&self) -> String {
        let find = ["find", "/var/lib", SITE, "-xdev", "-printf", "%p %y %m %s %T@ %C@ %l\n"];
        let output = self.command(&find).output().unwrap();
        let mut lines: Vec<_> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect();
        // Other programs of this machine write to /var/lib too, and what they write is seen here.
        let is_ours = |line: &String| {
            let path = line.split(' ').next().unwrap_or_default();
            Path::new(path).starts_with(STATE) || Path::new(path).starts_with(SITE)
        };
        lines.retain(is_ours);
        lines.sort();
        lines.join("\n")
    }

    pub(crate) fn session(&self) -> Session {
        Session::new(self.command(&[AGENT, "session"]))
    }

    pub(crate) fn observe(&self, specs: &[Spec]) -> Observed {
        let mut session = self.session();
        session.hello();
        session.send(&Request::Observe { specs: specs.to_vec() });
        match session.receive() {
            Some(Response::Observed(observed)) => {
                assert!(session.end().success());
                *observed
            }
            other => panic!("{other:?}"),
        }
    }

    /// Applies a plan and gives all that was answered.
    pub(crate) fn apply(&self, plan: &Plan) -> Vec<Response> {
        self.ask(&apply_request(plan.clone()))
    }

    /// Applies a plan that must be taken up, and gives its events.
    pub(crate) fn events(&self, plan: &Plan) -> Vec<RunEvent> {
        events(self.apply(plan), 0)
    }

    pub(crate) fn attach(&self, plan_id: Digest, from: u64) -> Vec<Response> {
        self.ask(&Request::Attach { plan_id, from })
    }

    /// Sends one request, and gives all that was answered.
    pub(crate) fn ask(&self, request: &Request) -> Vec<Response> {
        let mut session = self.session();
        session.hello();
        session.send(request);
        session.finish();
        let answers = std::iter::from_fn(|| session.receive()).collect();
        assert!(session.wait().success());
        answers
    }

    /// Puts a plan where a session would, for a runner that the test starts itself.
    pub(crate) fn stage(&self, plan: &Plan) -> Digest {
        let id = plan.id();
        let run = self.state("runs").join(id.to_string());
        fs::create_dir_all(&run).unwrap();
        fs::write(run.join("plan.json"), serde_json::to_vec(plan).unwrap()).unwrap();
        id
    }

    /// The journal's text; empty where a run was killed before it had one.
    pub(crate) fn journal(&self, plan_id: &Digest) -> String {
        fs::read_to_string(self.state("runs").join(plan_id.to_string()).join("journal.jsonl")).unwrap_or_default()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// The events of answers that must all be events, numbered from `from`.
pub(crate) fn events(answers: Vec<Response>, from: u64) -> Vec<RunEvent> {
    answers
        .into_iter()
        // A run that takes its time says so; how often is the machine's affair.
        .filter(|answer| *answer != Response::Beat)
        .enumerate()
        .map(|(at, answer)| match answer {
            Response::Event { number, event } => {
                assert_eq!(number, from + at as u64);
                event
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

/// The phase that a run ended with.
pub(crate) fn verdict(events: &[RunEvent]) -> RunPhase {
    match events.last() {
        Some(RunEvent::Phase(phase)) => *phase,
        other => panic!("a run ends with a phase, not with {other:?}"),
    }
}

/// One connection.
pub(crate) struct Session {
    child: Child,
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
    decoder: Decoder,
    sequence: u32,
}

impl Session {
    pub(crate) fn new(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        Self {
            input: child.stdin.take(),
            output: child.stdout.take(),
            child,
            decoder: Decoder::default(),
            sequence: 0,
        }
    }

    pub(crate) fn send(&mut self, request: &Request) {
        let bytes = encode_message(request, &mut self.sequence).unwrap();
        self.send_bytes(&bytes);
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub(crate) fn hello(&mut self) {
        self.send(&Request::Hello { nonce: 42 });
        match self.receive() {
            Some(Response::Hello { nonce: 42, version }) => assert_eq!(version, env!("CARGO_PKG_VERSION")),
            other => panic!("{other:?}"),
        }
    }

    /// The next answer; `None` after the end frame, or where the agent closed its side.
    pub(crate) fn receive(&mut self) -> Option<Response> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(response) = self.decoder.next_message().unwrap() {
                return Some(response);
            }
            if self.decoder.ended() {
                return None;
            }
            match self.output.as_mut()?.read(&mut buffer).unwrap() {
                0 => return None,
                count => self.decoder.feed(&buffer[..count]),
            }
        }
    }

    /// Says that nothing more comes.
    pub(crate) fn finish(&mut self) {
        let end = encode(FrameKind::End, self.sequence, &[]);
        self.send_bytes(&end);
        self.input = None;
    }

    /// Ends the stream in order; the agent must do the same.
    pub(crate) fn end(&mut self) -> ExitStatus {
        self.finish();
        assert_eq!(self.receive(), None);
        self.decoder.finish().unwrap();
        self.wait()
    }

    /// Closes both pipes without a word, as a dying link does.
    pub(crate) fn cut(&mut self) {
        self.input = None;
        self.output = None;
    }

    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    /// How it ended. It must end by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the session does not end");
            std::thread::yield_now();
        }
    }
}
