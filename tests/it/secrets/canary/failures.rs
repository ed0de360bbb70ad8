//! Canaries through every failure of the table, each with all values on their way: none is told, written or started with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use provision_rehearse::{Direction, Effect, Fault, Link, LinkOptions};

use super::rows::{Break, Row, rows, telling};
use super::watch::{Watch, sshd};
use super::{Search, canary};
use crate::faults::until;
use crate::lab::{Lab, PROVISION};
use crate::stand_in::{Control, StandIn};

/// A service that takes its secrets and tells nobody.
pub(super) const BOT: &str = r#"
[users.bot]
system = true
[units."bot.service"]
enabled = true
active = true
settle = "100ms"
text = """
[Service]
User=bot
ExecStart=/bin/sh -c 'read -r token < /run/agenix/token; read -r more < /run/agenix/bot.env; read -r cloud < /run/agenix/cloud; exec sleep 99999'
[Install]
WantedBy=multi-user.target
"""
"#;

/// A command that waits in the middle of a run, with all values on the host.
pub(super) const GATE: &str = r#"
[commands.gate]
run = ["/bin/sh", "-c", "touch /root/came; until [ -e /root/go ]; do sleep 0.02; done"]
creates = "/root/never"
after = ["secret:token", "secret:bot.env"]
"#;

const REGION: &str = "eu-central-1";

/// A host with three secrets from two stores, and everything that is watched.
struct Scene {
    lab: Lab,
    aws: Control,
    _stand_in: StandIn,
    token: String,
    keys: String,
    cloud: String,
    search: Search,
    traces: tempfile::TempDir,
    runs: usize,
}

impl Scene {
    fn new() -> Self {
        let lab = Lab::new();
        let stand_in = StandIn::start();
        let (token, key, cloud) = (canary("token"), canary("key"), canary("cloud"));
        let keys = serde_json::json!({ "api": key }).to_string();
        let scene = Self {
            aws: stand_in.control.clone(),
            _stand_in: stand_in,
            search: Search::for_all(&[&token, &key, &cloud]),
            traces: tempfile::tempdir().unwrap(),
            runs: 0,
            lab,
            token,
            keys,
            cloud,
        };
        let endpoint = scene.aws.endpoint();
        scene.lab.write(
            "secrets/stores.toml",
            &format!("[aws]\nregion = \"{REGION}\"\nendpoint = \"{endpoint}\"\n"),
        );
        scene.right_values();
        scene
    }

    fn right_values(&self) {
        self.lab.write("values/token", &self.token);
        self.lab.write("values/keys", &self.keys);
        let _ = self.aws.put(REGION, "bots/cloud", "SecretString", &self.cloud);
    }

    fn body(&self) -> String {
        let value = |name: &str| self.lab.root().join("values").join(name).display().to_string();
        format!(
            "[secrets.token]\ncommand = [\"cat\", {:?}]\nowner = \"bot\"\n\
             [secrets.keys]\ncommand = [\"cat\", {:?}]\nkey = \"api\"\ndeliver = false\n\
             [secrets.cloud]\nowner = \"bot\"\naws = \"bots/cloud\"\n\
             [secrets.\"bot.env\"]\nowner = \"bot\"\ntext = \"KEY={{{{ secret(name='keys', as='shell') }}}}\\n\"\n{BOT}",
            value("token"),
            value("keys"),
        )
    }

    /// The program, with all that makes it talk, and in whatever is to see what it starts.
    fn command(&self, under: &[&str], args: &[&str]) -> Command {
        let mut words = under.iter().copied().chain([PROVISION]).chain(args.iter().copied());
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .current_dir(self.lab.root())
            .env_clear()
            .envs([
                ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
                ("USER", "tester"),
                ("RUST_LOG", "trace"),
                ("RUST_BACKTRACE", "full"),
                ("AWS_ACCESS_KEY_ID", "OPERATOR"),
                ("AWS_SECRET_ACCESS_KEY", "x"),
                ("AWS_EC2_METADATA_DISABLED", "true"),
            ])
            .env("HOME", self.lab.root())
            .stdin(Stdio::null());
        command
    }

    /// Runs it and gives what it said, and whether it succeeded. What it started is searched at once.
    fn run(&mut self, what: &str, args: &[&str]) -> (String, bool) {
        self.runs += 1;
        let log = self.traces.path().join(self.runs.to_string());
        let log = log.to_str().unwrap();
        let strace = [
            "strace",
            "-f",
            "-v",
            "-qq",
            "-s",
            "100000",
            "-e",
            "trace=execve",
            "-o",
            log,
        ];
        let output = self.command(&strace, args).output().unwrap();
        self.finds_nothing(what, "in what it started", &fs::read(log).unwrap());
        self.said(what, &output.stdout, &output.stderr);
        let told = [output.stdout, output.stderr].concat();
        (String::from_utf8_lossy(&told).into_owned(), output.status.success())
    }

    /// All that the host's journal has, every field of it.
    fn journal(&self) -> Vec<u8> {
        let output = self
            .lab
            .host
            .run(&["journalctl", "-q", "-o", "export", "--all"])
            .unwrap();
        assert!(output.status.success() && !output.stdout.is_empty());
        output.stdout
    }

    fn said(&self, what: &str, stdout: &[u8], stderr: &[u8]) {
        self.finds_nothing(what, "in its results", stdout);
        self.finds_nothing(what, "in its talk", stderr);
    }

    #[track_caller]
    fn finds_nothing(&self, what: &str, place: &str, bytes: &[u8]) {
        let found = self.search.in_bytes(bytes);
        assert!(
            found.is_empty(),
            "{what}: {found:?} {place}:\n{}",
            String::from_utf8_lossy(bytes)
        );
    }

    /// All values are on their way with the next apply.
    fn nothing_is_delivered(&self) {
        self.lab
            .on_host("rm -f /run/agenix/token /run/agenix/bot.env /run/agenix/cloud");
    }

    /// Lets it fail, and gives what was said and whether it succeeded all the same.
    fn fail(&mut self, what: &str, how: &Break, number: usize) -> (String, bool) {
        let body = self.body();
        let json = number.is_multiple_of(2);
        let apply: &[&str] = if json {
            &["apply", "--yes", "--json"]
        } else {
            &["apply", "--yes", "--diff"]
        };
        self.lab.declare(&body);
        match how {
            Break::Says(right, wrong) => {
                assert!(body.contains(right), "{what}: nothing is changed in\n{body}");
                self.lab.declare(&body.replacen(right, wrong, 1));
                self.run(what, apply)
            }
            Break::Adds(more) => {
                self.lab.declare(&format!("{body}{}", telling(more)));
                self.run(what, apply)
            }
            Break::Loud(more) => {
                self.finds_nothing(what, "in the journal", &self.journal());
                self.lab.declare(&format!("{body}{more}"));
                let ran = self.run(what, apply);
                // Its words are there, which shows that such are seen; then they go, and nobody else's are left.
                assert!(!self.search.in_bytes(&self.journal()).is_empty(), "{what}: {}", ran.0);
                self.lab
                    .on_host("journalctl -q --sync --rotate; journalctl -q --vacuum-size=1");
                ran
            }
            Break::Value(name, line) => {
                let right = self.lab.root().join("right");
                fs::rename(self.lab.root().join("values").join(name), &right).unwrap();
                let made = Command::new("sh")
                    .args(["-c", line, "sh"])
                    .arg(&right)
                    .output()
                    .unwrap();
                fs::remove_file(&right).unwrap();
                if made.status.success() {
                    fs::write(self.lab.root().join("values").join(name), made.stdout).unwrap();
                }
                self.run(what, apply)
            }
            Break::Aws(operation, id, code) => {
                self.aws.fail(operation, *id, code, "as the test wants it", 40);
                let ran = self.run(what, apply);
                self.aws.reset();
                ran
            }
            Break::Stale(name) => {
                let _ = self.run(what, &["plan", "--out", "./saved.plan"]);
                match *name {
                    "cloud" => _ = self.aws.put(REGION, "bots/cloud", "SecretString", &self.keys),
                    name => self.lab.write(&format!("values/{name}"), &self.keys),
                }
                self.run(what, &["apply", "--yes", "./saved.plan"])
            }
            Break::Host(line, back) => {
                self.lab.on_host(line);
                let ran = self.run(what, apply);
                self.lab.on_host(back);
                ran
            }
            Break::Cut(at) => {
                let link = Link::start(self.lab.host.ssh_address(), LinkOptions::default()).unwrap();
                let text = self.lab.host_file_at("127.0.0.1", link.address().port(), &body);
                self.lab.write(&format!("hosts/{}.toml", self.lab.name()), &text);
                let _ = self.run(what, &["plan", "--out", "./saved.plan"]);
                link.arm(Fault {
                    direction: Direction::ToHost,
                    at: *at,
                    effect: Effect::Reset,
                });
                let ran = self.run(what, &["apply", "--yes", "./saved.plan"]);
                assert!(link.pending_faults().is_empty(), "{what}: the link held:\n{}", ran.0);
                ran
            }
            Break::Midway(line) => self.midway(what, &format!("{body}{GATE}"), line, apply),
            Break::Output(sink) => {
                let mut command = self.command(&[], apply);
                command.stdout(fs::OpenOptions::new().write(true).open(sink).unwrap());
                let output = command.output().unwrap();
                self.said(what, b"", &output.stderr);
                (
                    String::from_utf8_lossy(&output.stderr).into_owned(),
                    output.status.success(),
                )
            }
        }
    }

    /// Does something to a run that waits in its middle. Everybody's arguments and variables are looked at there.
    fn midway(&mut self, what: &str, body: &str, line: &str, args: &[&str]) -> (String, bool) {
        let (came, go) = (self.lab.outside("/root/came"), self.lab.outside("/root/go"));
        self.lab.declare(body);
        // As somebody would run it who wants cores: it may write one as large as it likes, where it stands.
        let any = ["sh", "-c", "ulimit -c unlimited; exec \"$@\"", "sh"];
        let mut command = self.command(&any, args);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let pid = child.id().to_string();
        until("a run in its middle", || came.exists());
        for (place, bytes) in everybody() {
            self.finds_nothing(what, &place.display().to_string(), &bytes);
        }
        // `$1` is the program here; an agent is looked for among the host's own processes, and not among those of all hosts.
        let on_host = line.contains("pgrep");
        if on_host {
            self.lab.on_host(line);
        } else {
            let done = Command::new("sh").args(["-c", line, "sh", &pid]).status().unwrap();
            assert!(done.success(), "{what}: {line}");
        }
        fs::write(&go, "").unwrap();
        let output = child.wait_with_output().unwrap();
        self.said(what, &output.stdout, &output.stderr);
        self.lab.on_host(
            "until [ -z \"$(systemctl list-units --no-legend --state=active,activating,deactivating 'provision-apply-*')\" ]; \
             do sleep 0.05; done; rm /root/came /root/go",
        );
        let told = [output.stdout, output.stderr].concat();
        (String::from_utf8_lossy(&told).into_owned(), output.status.success())
    }
}

/// The arguments and variables of all processes, on this machine and the hosts that it holds.
fn everybody() -> Vec<(PathBuf, Vec<u8>)> {
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let numbered = processes.filter(|path| path.file_name().unwrap().to_str().unwrap().parse::<u32>().is_ok());
    let files = numbered.flat_map(|process| ["cmdline", "environ"].map(|file| process.join(file)));
    // One that has just ended has neither.
    files
        .filter_map(|file| Some((file.clone(), fs::read(&file).ok()?)))
        .collect()
}

#[test]
fn no_failure_tells_a_secret() {
    let mut scene = Scene::new();
    let body = scene.body();
    scene.lab.declare(&body);
    let (told, done) = scene.run("the first apply", &["apply", "--yes"]);
    assert!(done, "{told}");

    // A core of a process that has one is found, so that none is found below says something.
    let root = scene.lab.host.root();
    scene.lab.on_host(
        "cd /var/tmp; sh -c 'ulimit -c unlimited; read -r value < /run/agenix/token; kill -ABRT $$' || ls /var/tmp/core*",
    );
    assert_eq!(scene.search.below(&root, &[]).len(), 1, "a planted core is not found");
    scene.lab.on_host("rm /var/tmp/core*");
    // So is one's variable, of a process on the host.
    let mut planted = scene
        .lab
        .host
        .ssh()
        .arg("SEEN=\"$(cat /run/agenix/cloud)\" exec cat")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    until("a planted variable is seen", || {
        everybody()
            .iter()
            .any(|(_, bytes)| !scene.search.in_bytes(bytes).is_empty())
    });
    planted.kill().unwrap();
    planted.wait().unwrap();
    until("no variable is left", || {
        everybody()
            .iter()
            .all(|(_, bytes)| scene.search.in_bytes(bytes).is_empty())
    });

    let server = sshd(&scene.lab);
    let watch = Watch::over(&server, scene.traces.path().join("host"));
    let rows = rows();
    assert!(rows.len() >= 30);
    let mut otherwise = Vec::new();
    for (number, Row { name, how, says }) in rows.iter().enumerate() {
        scene.nothing_is_delivered();
        let (told, done) = scene.fail(name, how, number);
        // What fails otherwise than it should shows nothing of the row.
        if (done && !says.is_empty()) || !told.contains(says) {
            otherwise.push(format!("{name}: no {says:?} in:\n{told}"));
        }
        scene.right_values();
        holds_nothing(&scene, name, &root.join("var/lib/provision"));
        holds_nothing(&scene, name, scene.lab.root());
        scene.finds_nothing(name, "in the journal", &scene.journal());
    }
    assert!(otherwise.is_empty(), "{}", otherwise.join("\n\n"));
    let started = watch.end();
    scene.finds_nothing("all rows", "in what was started on the host", &started);

    // After all of it, all is well.
    scene.lab.declare(&body);
    let (told, done) = scene.run("the last apply", &["apply", "--yes"]);
    assert!(done, "{told}");
    holds_nothing(&scene, "all rows", &root);
    scene
        .lab
        .on_host("tar -C / --one-file-system -cf - run tmp 2>/dev/null | cat > /root/memory.tar; true");
    let memory = fs::read(scene.lab.outside("/root/memory.tar")).unwrap();
    assert!(memory.len() > 10_000, "the host's /run is not in it");
    scene.finds_nothing("all rows", "in /run or /tmp", &memory);
}

/// No file below has one; the right values of the project are theirs who keep them there.
fn holds_nothing(scene: &Scene, what: &str, root: &Path) {
    let found = scene.search.below(root, &[scene.lab.root().join("values")]);
    assert!(found.is_empty(), "{what}: on the disk: {found:?}");
}
