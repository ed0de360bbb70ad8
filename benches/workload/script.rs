//! The workload as the shell script that somebody in a hurry would write: the same commands one after the other, for one ssh.
//! It is right for a fresh host only.

use std::fmt::Write as _;

use super::{SHELL, SYSCTL_FILE, Workload};

/// Ends the files inside the script; no file has this line.
const END: &str = "END-OF-FILE";

/// For `ssh HOST bash -s`, on its standard input.
pub(crate) fn script(workload: &Workload) -> String {
    let mut text = String::from("set -eu\nexport DEBIAN_FRONTEND=noninteractive\n");
    // Writing to a String cannot fail.
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        let _ = text.write_fmt(arguments);
        text.push('\n');
    };
    line(format_args!(
        "apt-get install --yes --quiet {}",
        workload.packages.join(" ")
    ));
    for group in &workload.groups {
        line(format_args!("groupadd --gid {} {}", group.gid, group.name));
    }
    for user in &workload.users {
        let (uid, group, home, name) = (user.uid, &user.group, &user.home, &user.name);
        line(format_args!(
            "useradd --uid {uid} --gid {group} --home-dir {home} --create-home --shell {SHELL} {name}"
        ));
    }
    for directory in &workload.directories {
        let (owner, group, mode, path) = (&directory.owner, &directory.group, directory.mode, &directory.path);
        line(format_args!(
            "install --directory --owner={owner} --group={group} --mode={mode} {path}"
        ));
    }
    for file in &workload.files {
        let (owner, group, mode, path) = (&file.owner, &file.group, file.mode, &file.path);
        line(format_args!(
            "install --owner={owner} --group={group} --mode={mode} /dev/stdin {path} <<'{END}'\n{}{END}",
            file.text
        ));
    }
    for link in &workload.links {
        line(format_args!("ln --symbolic {} {}", link.target, link.path));
    }
    let sysctls: String = workload
        .sysctls
        .iter()
        .map(|(key, value)| format!("{key} = {value}\n"))
        .collect();
    line(format_args!(
        "install --mode=0644 /dev/stdin {SYSCTL_FILE} <<'{END}'\n{sysctls}{END}"
    ));
    line(format_args!("sysctl --quiet --load={SYSCTL_FILE}"));
    for service in &workload.services {
        let (unit, text) = (&service.unit, &service.text);
        line(format_args!(
            "install --mode=0644 /dev/stdin /etc/systemd/system/{unit} <<'{END}'\n{text}{END}"
        ));
    }
    let units: Vec<_> = workload.services.iter().map(|service| service.unit.as_str()).collect();
    line(format_args!("systemctl daemon-reload"));
    line(format_args!("systemctl enable --quiet --now {}", units.join(" ")));
    text
}
