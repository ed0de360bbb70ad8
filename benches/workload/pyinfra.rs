//! The workload as a pyinfra deploy, written as its documentation would have it.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use super::{SHELL, SYSCTL_FILE, Workload};
use crate::lab::Reach;

/// Writes `inventory.py`, `deploy.py` and its files into `root`.
pub(crate) fn pyinfra(workload: &Workload, hosts: &[Reach], root: &Path) -> io::Result<()> {
    fs::create_dir_all(root.join("files"))?;
    let inventory: String = hosts.iter().map(inventory_line).collect();
    fs::write(root.join("inventory.py"), format!("hosts = [\n{inventory}]\n"))?;
    for file in &workload.files {
        fs::write(root.join("files").join(&file.local), &file.text)?;
    }
    for service in &workload.services {
        fs::write(root.join("files").join(&service.unit), &service.text)?;
    }
    fs::write(root.join("deploy.py"), deploy(workload))
}

fn inventory_line(host: &Reach) -> String {
    let mut data = String::new();
    let data_of = [
        ("ssh_hostname", host.address.ip().to_string()),
        ("ssh_user", "root".to_owned()),
        ("ssh_key", host.identity.display().to_string()),
        ("ssh_known_hosts_file", host.known_hosts.display().to_string()),
        ("ssh_strict_host_key_checking", "yes".to_owned()),
    ];
    for (key, value) in data_of {
        // Writing to a String cannot fail.
        let _ = write!(data, "{key:?}: {value:?}, ");
    }
    format!(
        "    ({:?}, {{{data}\"ssh_port\": {}}}),\n",
        host.name,
        host.address.port()
    )
}

fn deploy(workload: &Workload) -> String {
    let mut text = String::from("from pyinfra.operations import apt, files, server, systemd\n\n");
    // Writing to a String cannot fail.
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        let _ = text.write_fmt(arguments);
        text.push('\n');
    };
    line(format_args!("apt.packages(packages={:?})", workload.packages));
    for group in &workload.groups {
        line(format_args!("server.group(group={:?}, gid={})", group.name, group.gid));
    }
    for user in &workload.users {
        let (name, uid, group, home) = (&user.name, user.uid, &user.group, &user.home);
        line(format_args!(
            "server.user(user={name:?}, uid={uid}, group={group:?}, home={home:?}, shell={SHELL:?}, create_home=True)"
        ));
    }
    for directory in &workload.directories {
        let (path, owner, group, mode) = (&directory.path, &directory.owner, &directory.group, directory.mode);
        line(format_args!(
            "files.directory(path={path:?}, user={owner:?}, group={group:?}, mode={mode:?})"
        ));
    }
    for file in &workload.files {
        let (path, owner, group, mode) = (&file.path, &file.owner, &file.group, file.mode);
        let local = format!("files/{}", file.local);
        line(format_args!(
            "files.put(src={local:?}, dest={path:?}, user={owner:?}, group={group:?}, mode={mode:?})"
        ));
    }
    for link in &workload.links {
        line(format_args!(
            "files.link(path={:?}, target={:?})",
            link.path, link.target
        ));
    }
    for (key, value) in &workload.sysctls {
        line(format_args!(
            "server.sysctl(key={key:?}, value={value:?}, persist=True, persist_file={SYSCTL_FILE:?})"
        ));
    }
    line(format_args!("units = []"));
    for service in &workload.services {
        let local = format!("files/{}", service.unit);
        let path = format!("/etc/systemd/system/{}", service.unit);
        line(format_args!(
            "units.append(files.put(src={local:?}, dest={path:?}, user=\"root\", group=\"root\", mode=\"0644\"))"
        ));
    }
    line(format_args!(
        "systemd.daemon_reload(_if=lambda: any(unit.did_change() for unit in units))"
    ));
    for service in &workload.services {
        line(format_args!(
            "systemd.service(service={:?}, running=True, enabled=True)",
            service.unit
        ));
    }
    text
}
