//! A throwaway host, a project with a host file for it, and the program run on it as a user would run it.
//! It asserts nothing about what `provision` does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use provision_rehearse::{BaseImage, BaseOptions, HostOptions, Release, ThrowawayHost, base};
use serde_json::Value;
use tempfile::TempDir;

/// The program under test.
pub(crate) const PROVISION: &str = env!("CARGO_BIN_EXE_provision");

/// One real host and a project that declares it.
pub(crate) struct Lab {
    /// The host, under the name that its file in `hosts/` has.
    pub(crate) host: ThrowawayHost,
    project: TempDir,
}

/// How a run of the program ended.
pub(crate) struct Ran {
    /// Its exit status.
    pub(crate) status: ExitStatus,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Ran {
    /// The exit code; a signal is none.
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("killed: {}", self.told()))
    }

    /// Fails the test unless it ended with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{}", self.told());
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {}", self.told()))
    }

    /// Both streams, for a failed assertion.
    pub(crate) fn told(&self) -> String {
        format!(
            "{}\n--- stdout\n{}\n--- stderr\n{}",
            self.status, self.stdout, self.stderr
        )
    }
}

fn image() -> &'static BaseImage {
    static IMAGE: OnceLock<BaseImage> = OnceLock::new();
    IMAGE.get_or_init(|| {
        base(&BaseOptions::new(Release::Debian12), &mut |_| {}).unwrap_or_else(|error| panic!("no base image: {error}"))
    })
}

impl Lab {
    /// A new host, ready for its first connection, and a project that declares nothing for it yet.
    pub(crate) fn new() -> Self {
        Self::on(image(), HostOptions::default())
    }

    /// The same, on a host that has these packages.
    pub(crate) fn with(packages: &[&str]) -> Self {
        let options = BaseOptions {
            packages: packages.iter().map(|&name| name.to_owned()).collect(),
            ..BaseOptions::new(Release::Debian12)
        };
        let image = base(&options, &mut |_| {}).unwrap_or_else(|error| panic!("no base image: {error}"));
        Self::on(&image, HostOptions::default())
    }

    /// The same, where more is said of the host; its name is ours to give.
    pub(crate) fn of(options: HostOptions) -> Self {
        Self::on(image(), options)
    }

    fn on(image: &BaseImage, options: HostOptions) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("it-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let host = ThrowawayHost::start(image, &HostOptions { name, ..options }).unwrap();
        host.wait_ready(Duration::from_secs(60)).unwrap();
        let lab = Self {
            host,
            project: tempfile::tempdir().unwrap(),
        };
        lab.declare("");
        lab
    }

    /// The host's name.
    pub(crate) fn name(&self) -> &str {
        self.host.name()
    }

    /// The project's root.
    pub(crate) fn root(&self) -> &Path {
        self.project.path()
    }

    /// Writes the host's file: how to reach it, and then `body`.
    pub(crate) fn declare(&self, body: &str) {
        self.write(
            &format!("hosts/{}.toml", self.name()),
            &self.host_file(self.host.ssh_address().port(), body),
        );
    }

    /// A host file for this host, reached through another port (a proxy on loopback has another address, too).
    pub(crate) fn host_file(&self, port: u16, body: &str) -> String {
        let address = self.host.address().to_string();
        self.host_file_at(&address, port, body)
    }

    /// A host file for this host at an address.
    pub(crate) fn host_file_at(&self, address: &str, port: u16, body: &str) -> String {
        // `imports` must stand before the first table.
        let (top, rest) = match body.strip_prefix("imports") {
            Some(rest) => {
                let (line, rest) = rest.split_once('\n').unwrap_or((rest, ""));
                (format!("imports{line}\n"), rest)
            }
            None => (String::new(), body),
        };
        let mut text = top;
        let identity = self.host.identity();
        let _ = write!(
            text,
            "[host]\naddress = \"{address}\"\nport = {port}\nuser = \"root\"\nhost_key = \"{}\"\nidentity_file = {:?}\n\n{rest}",
            self.host.host_key().trim(),
            identity.display().to_string(),
        );
        text
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.project.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The program with these arguments, in the project, in an environment of its own.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROVISION);
        command
            .current_dir(self.project.path())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.project.path())
            .env("USER", "tester")
            .stdin(Stdio::null())
            .args(args);
        command
    }

    /// Runs the program to its end.
    pub(crate) fn provision(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().unwrap();
        Ran {
            status: output.status,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs the program with something to read, and variables of its own.
    pub(crate) fn provision_reading(&self, args: &[&str], variables: &[(&str, &str)], input: &[u8]) -> Ran {
        let mut command = self.command(args);
        command.envs(variables.iter().copied()).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // One that reads nothing has closed its side.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        Ran {
            status: output.status,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Declares, applies, and fails the test unless that succeeded and a plan then finds nothing to do.
    #[track_caller]
    pub(crate) fn converge(&self, body: &str) -> Ran {
        self.declare(body);
        let ran = self.provision(&["apply", "--yes"]).expect(0);
        self.assert_converged();
        ran
    }

    /// Fails the test unless there is nothing left to do.
    #[track_caller]
    pub(crate) fn assert_converged(&self) {
        let _ = self.provision(&["plan", "--detailed-exitcode"]).expect(0);
    }

    /// The plan as people read it, whatever its exit code.
    pub(crate) fn plan(&self) -> Ran {
        self.provision(&["plan", "--detailed-exitcode"])
    }

    /// Runs a shell line on the host, not through `provision`; fails the test unless it exits with 0.
    #[track_caller]
    pub(crate) fn on_host(&self, line: &str) -> String {
        let output = self.host.run(&["/bin/sh", "-c", line]).unwrap();
        let (stdout, stderr) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{line}: {}\n{stdout}\n{stderr}", output.status);
        stdout.trim_end().to_owned()
    }

    /// Where a path of the host is seen from outside.
    pub(crate) fn outside(&self, path: &str) -> PathBuf {
        self.host.path_outside(path)
    }

    /// Declares and applies.
    pub(crate) fn apply(&self, body: &str) -> Ran {
        self.declare(body);
        self.provision(&["apply", "--yes"])
    }

    /// What `drift` finds, by resource, with who moved: `new`, `configuration`, `host`, `both` or `neither`. What it says to
    /// people and to programs must be the same.
    #[track_caller]
    pub(crate) fn drift(&self) -> BTreeMap<String, String> {
        let json = self.provision(&["drift", "--json", "--detailed-exitcode"]);
        let mut found = BTreeMap::new();
        for change in changes(&json) {
            let only_follows = change["reasons"]
                .as_array()
                .unwrap()
                .iter()
                .all(|reason| matches!(reason["code"].as_str(), Some("triggered" | "verifies-changes")));
            if !only_follows {
                let text = |field: &str| change[field].as_str().unwrap().to_owned();
                found.insert(text("id"), text("moved"));
            }
        }
        let text = self.provision(&["drift", "--detailed-exitcode"]);
        assert_eq!(drift_in_words(&text.stdout), found, "{}\n{}", text.told(), json.told());
        for ran in [json, text] {
            let _ = ran.expect(if found.is_empty() { 0 } else { 2 });
        }
        found
    }

    /// What the plan says of one resource, as JSON.
    #[track_caller]
    pub(crate) fn planned(&self, id: &str) -> Value {
        let ran = self.provision(&["plan", "--json"]);
        let found = changes(&ran).into_iter().find(|change| change["id"] == id);
        found.unwrap_or_else(|| panic!("{id} does not change: {}", ran.told()))
    }

    /// The ids of all that the plan changes, in its order.
    #[track_caller]
    pub(crate) fn plan_ids(&self) -> Vec<String> {
        let ran = self.provision(&["plan", "--json"]);
        let id = |change: Value| change["id"].as_str().unwrap().to_owned();
        changes(&ran).into_iter().map(id).collect()
    }
}

/// The changes in a document of `plan` or `drift` about one host.
#[track_caller]
fn changes(ran: &Ran) -> Vec<Value> {
    match &ran.json()["hosts"][0]["plan"]["changes"] {
        Value::Array(changes) => changes.clone(),
        _ => panic!("no plan: {}", ran.told()),
    }
}

/// Resources and who moved, read from what `drift` tells people.
fn drift_in_words(text: &str) -> BTreeMap<String, String> {
    let titles = [
        ("  the host moved: ", "host"),
        ("  both moved: ", "both"),
        ("  the configuration moved: ", "configuration"),
        ("  never applied to this host", "new"),
        ("  left over from an apply", "neither"),
    ];
    let mut moved = "";
    let mut found = BTreeMap::new();
    for line in text.lines() {
        if let Some((_, title)) = titles.iter().find(|(title, _)| line.starts_with(title)) {
            moved = title;
        } else if let Some(entry) = line.strip_prefix("    ").filter(|entry| !entry.starts_with(' ')) {
            let id = entry.split_whitespace().nth(1).unwrap_or_default();
            found.insert(id.to_owned(), moved.to_owned());
        }
    }
    found
}

/// What [`Lab::drift`] gives: ids of resources, each with who moved.
pub(crate) fn moved(expected: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(id, who): &(&str, &str)| ((*id).to_owned(), (*who).to_owned());
    expected.iter().map(owned).collect()
}
