//! Canaries: secrets that nobody else could have written, looked for in every place and encoding that a leak takes. Before each
//! search the searcher is shown a leak of each kind, and has to find it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::BOT;
use crate::lab::Lab;

/// A secret with letters that every encoding writes otherwise.
fn canary(what: &str) -> String {
    let mut random = [0; 12];
    let mut source = fs::File::open("/dev/urandom").unwrap();
    std::io::Read::read_exact(&mut source, &mut random).unwrap();
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{what}?{hex}/'\"&+~")
}

/// The forms in which a leak shows it.
fn forms(canary: &str) -> Vec<(&'static str, Vec<u8>)> {
    let run = |script: &str| {
        let output = Command::new("sh")
            .args(["-c", script])
            .env("CANARY", canary)
            .output()
            .unwrap();
        assert!(output.status.success(), "{script}");
        String::from_utf8(output.stdout).unwrap().trim_end().as_bytes().to_vec()
    };
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent = canary.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    });
    let base64 = run("printf %s \"$CANARY\" | base64 -w0");
    // What stands before it in the same text shifts its letters: the middle is the same in each of three ways.
    let shifted = |by: usize| {
        let script = format!("printf %s%s {} \"$CANARY\" | base64 -w0", "x".repeat(by));
        let whole = run(&script);
        whole[4..whole.len() - 6].to_vec()
    };
    let url_safe = String::from_utf8(base64.clone())
        .unwrap()
        .replace('+', "-")
        .replace('/', "_");
    let json = serde_json::to_string(canary).unwrap();
    vec![
        ("raw", canary.as_bytes().to_vec()),
        ("base64", base64),
        ("base64, one letter on", shifted(1)),
        ("base64, two letters on", shifted(2)),
        ("base64 for URLs", url_safe.into_bytes()),
        ("hex", hex.clone().into_bytes()),
        ("HEX", hex.to_uppercase().into_bytes()),
        ("percent", percent.into_bytes()),
        ("JSON", json.as_bytes()[1..json.len() - 1].to_vec()),
        ("shell", canary.replace('\'', "'\\''").into_bytes()),
    ]
}

/// What is looked for, and where it was found.
struct Search {
    forms: Vec<(&'static str, Vec<u8>)>,
}

impl Search {
    fn for_all(canaries: &[&str]) -> Self {
        Self {
            forms: canaries.iter().flat_map(|canary| forms(canary)).collect(),
        }
    }

    fn in_bytes(&self, bytes: &[u8]) -> Vec<&'static str> {
        let is_in = |form: &[u8]| bytes.windows(form.len()).any(|window| window == form);
        let mut found: Vec<_> = self
            .forms
            .iter()
            .filter(|(_, form)| is_in(form))
            .map(|(name, _)| *name)
            .collect();
        found.dedup();
        found
    }

    /// The files below a directory that have one in them. Only what can hold one by length and first bytes is read twice.
    fn below(&self, root: &Path, except: &[PathBuf]) -> Vec<(PathBuf, Vec<&'static str>)> {
        let patterns = tempfile::NamedTempFile::new().unwrap();
        let lines: Vec<_> = self.forms.iter().map(|(_, form)| form.clone()).collect();
        fs::write(patterns.path(), lines.join(&b'\n')).unwrap();
        let output = Command::new("grep")
            .args(["-rlaF", "-D", "skip", "-f"])
            .arg(patterns.path())
            .arg(root)
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        let files = listed.lines().map(PathBuf::from);
        files
            .filter(|file| !except.iter().any(|except| file.starts_with(except)))
            .map(|file| {
                let found = self.in_bytes(&fs::read(&file).unwrap_or_default());
                (file, found)
            })
            .collect()
    }
}

/// Notes down what every process that descends from another starts, with all arguments and variables.
struct Watch {
    strace: Child,
    log: PathBuf,
}

impl Watch {
    fn over(pid: &str, log: PathBuf) -> Self {
        let strace = Command::new("strace")
            .args(["-f", "-v", "-qq", "-s", "100000", "-e", "trace=execve", "-p", pid, "-o"])
            .arg(&log)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let tracer = strace.id().to_string();
        let status = format!("/proc/{pid}/status");
        loop {
            let status = fs::read_to_string(&status).unwrap();
            if status.lines().any(|line| line == format!("TracerPid:\t{tracer}")) {
                break;
            }
            std::thread::yield_now();
        }
        Self { strace, log }
    }

    fn end(mut self) -> Vec<u8> {
        let pid = rustix::process::Pid::from_raw(self.strace.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        self.strace.wait().unwrap();
        fs::read(&self.log).unwrap()
    }
}

/// The process of sshd on the host, as this machine numbers it: the one that listens, which is the first of its service.
fn sshd(lab: &Lab) -> String {
    let group = lab.host.control_group();
    let group = group.trim_matches('/');
    // The hierarchy is mounted in one of two places, and the host's own processes are a group below the host's.
    let services: Vec<_> = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .iter()
        .flat_map(|mount| {
            ["/payload", ""].map(|own| format!("{mount}/{group}{own}/system.slice/ssh.service/cgroup.procs"))
        })
        .collect();
    let list = services.iter().find_map(|path| fs::read_to_string(path).ok());
    let list = list.unwrap_or_else(|| panic!("none of {services:?} is there"));
    list.lines().next().unwrap().to_owned()
}

#[test]
fn no_secret_is_anywhere_but_in_memory_whatever_happens() {
    let lab = Lab::new();
    let token = canary("token");
    let key = canary("key");
    let values = lab.root().join("values");
    lab.write("values/token", &token);
    lab.write("values/key", &key);
    // A program on the host that puts its secret where everybody looks: into a managed file, a probe's answer, its own failure.
    let leaky = r#"
[files."/etc/leak"]
text = "as declared\n"

[commands.tell]
run = ["/bin/sh", "-c", "cat /run/agenix/token /run/agenix/bot.env >&2; base64 -w0 /run/agenix/token; exit 3"]
creates = "/root/told"
"#;
    let body = super::secrets(&lab) + BOT;
    let search = Search::for_all(&[&token, &key]);

    // The searcher is shown a leak of each kind, and finds each.
    let planted = lab.outside("/var/lib/planted");
    fs::create_dir(&planted).unwrap();
    let all = [forms(&token), forms(&key)].concat();
    for (number, (_, form)) in all.iter().enumerate() {
        fs::write(
            planted.join(number.to_string()),
            [b"before ", form.as_slice(), b" after"].concat(),
        )
        .unwrap();
    }
    assert_eq!(
        search.below(&lab.host.root(), &[]).len(),
        all.len(),
        "the searcher misses planted leaks"
    );
    fs::remove_dir_all(&planted).unwrap();
    assert!(search.below(&lab.host.root(), &[]).is_empty());
    let traces = tempfile::tempdir().unwrap();
    let server = sshd(&lab);
    let watch = Watch::over(&server, traces.path().join("planted"));
    let told = lab
        .host
        .ssh()
        .arg("read -r line; exec env SEEN=\"$line\" true")
        .stdin(fs::File::open(values.join("token")).unwrap())
        .status();
    assert!(told.unwrap().success());
    let shown = watch.end();
    assert!(!search.in_bytes(&shown).is_empty(), "a planted argument is not seen");

    let watch = Watch::over(&server, traces.path().join("host"));
    let mut said = Vec::new();
    let mut run = |args: &[&str]| {
        let own = traces.path().join(format!("own-{}", said.len()));
        let output = Command::new("strace")
            .args(["-f", "-v", "-qq", "-s", "100000", "-e", "trace=execve", "-o"])
            .arg(&own)
            .arg(crate::lab::PROVISION)
            .args(args)
            .current_dir(lab.root())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", lab.root())
            .env("USER", "tester")
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        said.push((
            args.join(" "),
            [output.stdout, output.stderr, fs::read(&own).unwrap()].concat(),
        ));
        output.status.code()
    };
    lab.declare(&body);
    assert_eq!(run(&["plan", "--diff", "--verbose"]), Some(0));
    assert_eq!(run(&["apply", "--yes", "--json"]), Some(0));
    lab.declare(&format!("{body}{leaky}"));
    lab.on_host("cp /run/agenix/token /etc/leak; chmod 0644 /etc/leak");
    assert_eq!(run(&["plan", "--diff"]), Some(0));
    assert_eq!(run(&["plan", "--json", "--out", "saved.plan"]), Some(0));
    assert_eq!(run(&["drift", "--json"]), Some(0));
    assert_ne!(run(&["apply", "--yes", "--diff"]), Some(0));
    assert_ne!(run(&["apply", "--yes", "--json"]), Some(0));
    for args in [
        &["show", lab.name(), "--json"][..],
        &["show", lab.name(), "--toml"],
        &["status", "--json"],
        &["generations", lab.name(), "--json"],
        &["attach", lab.name()],
        &["why", lab.name(), "secret:token"],
    ] {
        run(args);
    }
    fs::write(values.join("token"), "").unwrap();
    run(&["apply", "--yes"]);
    fs::write(values.join("token"), &token).unwrap();
    lab.on_host("mkdir -p /run/systemd/system/x && mv /run/agenix /run/agenix.away && mkdir /run/agenix");
    run(&["apply", "--yes"]);
    lab.on_host("rmdir /run/agenix && mv /run/agenix.away /run/agenix");
    let traced = watch.end();

    assert!(
        search.in_bytes(&traced).is_empty(),
        "in what was started on the host: {:?}",
        search.in_bytes(&traced)
    );
    for (what, bytes) in &said {
        let found = search.in_bytes(bytes);
        assert!(
            found.is_empty(),
            "{what} tells it: {found:?}\n{}",
            String::from_utf8_lossy(bytes)
        );
    }
    // The bot itself writes down what it reads, and somebody copied a secret to /etc: all else is ours to answer for.
    let theirs = ["/var/lib/bot", "/etc/leak"].map(|path| lab.outside(path));
    let found = search.below(&lab.host.root(), &theirs);
    assert!(found.is_empty(), "on the host's disk: {found:?}");
    let found = search.below(lab.root(), &[values]);
    assert!(found.is_empty(), "in the project: {found:?}");
    // What else is in the host's memory: all of /run and /tmp but the secrets' own.
    let tmp = "tar -C / --one-file-system -cf - run tmp 2>/dev/null | cat > /root/memory.tar; true";
    lab.on_host(tmp);
    let memory = fs::read(lab.outside("/root/memory.tar")).unwrap();
    assert!(memory.len() > 10_000, "the host's /run is not in it");
    assert!(
        search.in_bytes(&memory).is_empty(),
        "in /run or /tmp: {:?}",
        search.in_bytes(&memory)
    );
}
