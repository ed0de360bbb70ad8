//! A project in a directory of its own, and the program run in it, in an environment of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A project.
pub(crate) struct Project {
    directory: TempDir,
}

/// How a run ended.
#[must_use]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Fails the test unless it ended with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        let Self { stdout, stderr, .. } = &self;
        assert_eq!(self.code, Some(code), "\n--- stdout\n{stdout}\n--- stderr\n{stderr}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {}", self.stdout))
    }

    /// Each line of standard output as JSON.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let lines = self.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}")))
            .collect()
    }
}

impl Project {
    /// A project without hosts.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("hosts")).unwrap();
        Self { directory }
    }

    /// A project with one host, at a port of this machine, with one file.
    pub(crate) fn with_host(name: &str, port: u16) -> Self {
        let project = Self::new();
        project.host(name, port);
        project
    }

    /// Adds a host, at a port of this machine, with one file.
    pub(crate) fn host(&self, name: &str, port: u16) {
        let text = format!(
            "[host]\naddress = \"127.0.0.1\"\nport = {port}\ntags = [\"{name}-tag\"]\n\n[files.\"/etc/motd\"]\ntext = \"hi\\n\"\n"
        );
        self.write(&format!("hosts/{name}.toml"), &text);
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Copies the texts below a directory of another project.
    pub(crate) fn copy(&self, from: &Path, directory: &str) {
        for entry in fs::read_dir(from.join(directory)).unwrap() {
            let path = format!("{directory}/{}", entry.unwrap().file_name().to_str().unwrap());
            if from.join(&path).is_dir() {
                self.copy(from, &path);
            } else {
                self.write(&path, &fs::read_to_string(from.join(&path)).unwrap());
            }
        }
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The program, in the project.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_provision"));
        command
            .current_dir(self.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path())
            .env("USER", "tester")
            .stdin(Stdio::null())
            .args(args);
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        ran(self.command(args).output().unwrap())
    }
}

/// How a process ended.
pub(crate) fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A port of this machine on which nobody listens.
pub(crate) fn closed_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
