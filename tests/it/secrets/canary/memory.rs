//! Canaries in memory: what is swapped out of a host and of the program while they hold secrets has none of them in it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::mm::MlockAllFlags;

use super::failures::{BOT, GATE};
use super::{Search, canary};
use crate::faults::until;
use crate::lab::{Lab, PROVISION};

/// Enough for all that a small host has in memory.
const SWAP_MIB: &str = "128";

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
}

/// Swap of this machine, for as long as this value is there.
struct Swap {
    directory: tempfile::TempDir,
}

impl Swap {
    fn new() -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let swap = Self { directory };
        let file = swap.file();
        let name = file.to_str().unwrap();
        run(
            "dd",
            &[
                "if=/dev/zero",
                &format!("of={name}"),
                "bs=1M",
                &format!("count={SWAP_MIB}"),
                "status=none",
            ],
        );
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        run("mkswap", &[name]);
        run("swapon", &[name]);
        swap
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("swap")
    }

    /// What is on the disk of it at this moment, as a directory with one file.
    fn written(&self) -> tempfile::TempDir {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (from, to) = (self.file(), directory.path().join("copy"));
        // Swap goes past what the kernel caches of a file.
        run(
            "dd",
            &[
                &format!("if={}", from.display()),
                &format!("of={}", to.display()),
                "bs=1M",
                "iflag=direct",
                "status=none",
            ],
        );
        directory
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        let _ = Command::new("swapoff").arg(self.file()).status();
    }
}

/// A control group for memory, whose processes' memory is swapped out on demand.
struct Group(PathBuf);

impl Group {
    fn new() -> Self {
        let path = Path::new("/sys/fs/cgroup/memory").join(format!("canary-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn take(&self, pid: &str) {
        // One that has just ended is in no group.
        let _ = fs::write(self.0.join("cgroup.procs"), pid);
    }

    fn swap_out(&self) {
        // It gives up where pages are locked.
        let _ = fs::write(self.0.join("memory.force_empty"), "0");
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// All processes of the host.
fn processes(lab: &Lab) -> Vec<String> {
    let space = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = space(&lab.host.leader_pid().unwrap().to_string()).unwrap();
    let entries = fs::read_dir("/proc").unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| space(name).as_ref() == Some(&own)).collect()
}

#[test]
fn what_is_swapped_out_has_no_secret_in_it() {
    // This process has every form of the canary, and the machine's swap is everybody's.
    let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    rustix::mm::mlockall(all).unwrap();
    let group = Group::new();
    let swap = Swap::new();
    let lab = Lab::new();
    let (token, planted) = (canary("token"), canary("planted"));
    let (search, searched) = (Search::for_all(&[&token]), Search::for_all(&[&planted]));
    lab.write("values/token", &token);
    lab.write("values/planted", &planted);
    let value = lab.root().join("values/token").display().to_string();
    let secret = |name: &str| format!("[secrets.{name}]\ncommand = [\"cat\", {value:?}]\nowner = \"bot\"\n");
    let env = "[secrets.\"bot.env\"]\nowner = \"bot\"\ntext = \"A={{ secret(name='token') }}\\n\"\n";
    lab.declare(&format!("{}{}{env}{BOT}{GATE}", secret("token"), secret("cloud")));
    for pid in processes(&lab) {
        group.take(&pid);
    }
    // What is swapped out like anything else: a file in ordinary memory, and a variable of a process.
    let mut holder = lab
        .host
        .ssh()
        .arg("read -r line; printf %s \"$line\" > /run/planted; SEEN=\"$line\" exec cat")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let line = format!("{planted}\n");
    std::io::Write::write_all(holder.stdin.as_mut().unwrap(), line.as_bytes()).unwrap();

    let join = format!("echo $$ > {}/cgroup.procs; exec \"$@\"", group.0.display());
    let mut command = Command::new("sh");
    command
        .args(["-c", &join, "sh", PROVISION, "apply", "--yes"])
        .current_dir(lab.root())
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", lab.root())
        .env("USER", "tester")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut program = command.spawn().unwrap();
    let (came, go) = (lab.outside("/root/came"), lab.outside("/root/go"));
    until("a run in its middle", || came.exists());
    until("a planted canary in swap", || {
        group.swap_out();
        !searched.below(swap.written().path(), &[]).is_empty()
    });
    // The program, the session and the runner hold the value now.
    let found = search.below(swap.written().path(), &[]);
    fs::write(go, "").unwrap();
    program.wait().unwrap();
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(found.is_empty(), "in swap: {found:?}");
    assert_eq!(lab.on_host("stat -f -c %T /run/agenix/"), "ramfs");
}
