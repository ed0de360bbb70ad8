//! What is started on the host and by the program: every process with all arguments and variables. It judges nothing.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::lab::Lab;

/// Notes down what every process that descends from another starts, with all arguments and variables.
pub(super) struct Watch {
    strace: Child,
    log: PathBuf,
}

impl Watch {
    pub(super) fn over(pid: &str, log: PathBuf) -> Self {
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

    pub(super) fn end(mut self) -> Vec<u8> {
        let pid = rustix::process::Pid::from_raw(self.strace.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        self.strace.wait().unwrap();
        fs::read(&self.log).unwrap()
    }
}

/// The process of sshd on the host, as this machine numbers it: the one that listens, which is the first of its service.
pub(super) fn sshd(lab: &Lab) -> String {
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
