//! A directory with stand-ins for the programs that a script calls, and what they said was asked of them. It judges nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A script below `files/`, where this repository has it.
pub(crate) fn script(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("files").join(path)
}

/// A world to run scripts in.
pub(crate) struct World {
    directory: TempDir,
}

impl World {
    /// One in which these programs, each with a shell script for what it does, come before the machine's own.
    /// `$WORLD` is its directory, and what they append to `$WORLD/calls` is what was asked of them.
    pub(crate) fn with(programs: &[(&str, &str)]) -> Self {
        let world = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        for (name, body) in programs {
            let path = format!("bin/{name}");
            world.write(&path, &format!("#!/bin/sh\n{body}\n"));
            fs::set_permissions(world.path(&path), fs::Permissions::from_mode(0o755)).unwrap();
        }
        world
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    /// What was asked of the programs since the last time.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = self.read("calls").lines().map(str::to_owned).collect();
        self.write("calls", "");
        calls
    }

    /// Runs a script to its end.
    pub(crate) fn run(&self, script: &Path, args: &[&str], env: &[(&str, PathBuf)]) -> Output {
        let own = self.path("bin");
        let mut command = Command::new("/bin/sh");
        command
            .arg(script)
            .args(args)
            .env_clear()
            .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", own.display()))
            .env("WORLD", self.path(""))
            .envs(env.iter().map(|(name, value)| (name, value)));
        command.output().unwrap()
    }
}

/// Standard error of a run, for what it told.
pub(crate) fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
