//! The workload as an Ansible playbook, written as Ansible's documentation would have it and configured to be fast:
//! pipelining, ten forks, no facts gathered, packages in one task, one reload of systemd.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use super::{SHELL, SYSCTL_FILE, Workload};
use crate::lab::Reach;

const CONFIGURATION: &str = "[defaults]\nforks = 10\nnocows = true\nlocalhost_warning = false\n\
                             [ssh_connection]\npipelining = True\n";

/// Writes `ansible.cfg`, `inventory.ini`, `playbook.yml` and its files into `root`.
pub(crate) fn ansible(workload: &Workload, hosts: &[Reach], root: &Path) -> io::Result<()> {
    fs::create_dir_all(root.join("files"))?;
    fs::write(root.join("ansible.cfg"), CONFIGURATION)?;
    let inventory: String = hosts.iter().map(inventory_line).collect();
    fs::write(root.join("inventory.ini"), inventory)?;
    for file in &workload.files {
        fs::write(root.join("files").join(&file.local), &file.text)?;
    }
    for service in &workload.services {
        fs::write(root.join("files").join(&service.unit), &service.text)?;
    }
    fs::write(root.join("playbook.yml"), playbook(workload))
}

fn inventory_line(host: &Reach) -> String {
    format!(
        "{} ansible_host={} ansible_port={} ansible_user=root ansible_python_interpreter=/usr/bin/python3 \
         ansible_ssh_private_key_file={} \
         ansible_ssh_common_args='-F none -o StrictHostKeyChecking=yes -o UserKnownHostsFile={}'\n",
        host.name,
        host.address.ip(),
        host.address.port(),
        host.identity.display(),
        host.known_hosts.display(),
    )
}

fn playbook(workload: &Workload) -> String {
    let mut text = String::from("- hosts: all\n  gather_facts: false\n  tasks:\n");
    task(
        &mut text,
        "packages",
        "ansible.builtin.apt",
        &format!("name: [{}], state: present", workload.packages.join(", ")),
    );

    task(
        &mut text,
        "groups",
        "ansible.builtin.group",
        "name: '{{ item.name }}', gid: '{{ item.gid }}'",
    );
    let groups = workload
        .groups
        .iter()
        .map(|group| format!("name: {}, gid: {}", group.name, group.gid));
    each(&mut text, groups);

    let user = "name: '{{ item.name }}', uid: '{{ item.uid }}', group: '{{ item.group }}', home: '{{ item.home }}', \
                create_home: true";
    task(
        &mut text,
        "users",
        "ansible.builtin.user",
        &format!("{user}, shell: {SHELL}"),
    );
    let users = workload.users.iter().map(|user| {
        format!(
            "name: {}, uid: {}, group: {}, home: {}",
            user.name, user.uid, user.group, user.home
        )
    });
    each(&mut text, users);

    let owned = "owner: '{{ item.owner }}', group: '{{ item.group }}', mode: '{{ item.mode }}'";
    let directory = format!("path: '{{{{ item.path }}}}', state: directory, {owned}");
    task(&mut text, "directories", "ansible.builtin.file", &directory);
    let directories = workload.directories.iter().map(|directory| {
        let (path, owner, group, mode) = (&directory.path, &directory.owner, &directory.group, directory.mode);
        format!("path: {path}, owner: {owner}, group: {group}, mode: '{mode}'")
    });
    each(&mut text, directories);

    let file = format!("src: '{{{{ item.src }}}}', dest: '{{{{ item.path }}}}', {owned}");
    task(&mut text, "files", "ansible.builtin.copy", &file);
    let files = workload.files.iter().map(|file| {
        let (path, src, owner, group, mode) = (&file.path, &file.local, &file.owner, &file.group, file.mode);
        format!("path: {path}, src: {src}, owner: {owner}, group: {group}, mode: '{mode}'")
    });
    each(&mut text, files);

    let link = "path: '{{ item.path }}', src: '{{ item.target }}', state: link";
    task(&mut text, "links", "ansible.builtin.file", link);
    each(
        &mut text,
        workload
            .links
            .iter()
            .map(|link| format!("path: {}, target: {}", link.path, link.target)),
    );

    let sysctl = "name: '{{ item.name }}', value: '{{ item.value }}', sysctl_set: true, reload: false";
    task(
        &mut text,
        "sysctls",
        "ansible.posix.sysctl",
        &format!("{sysctl}, sysctl_file: {SYSCTL_FILE}"),
    );
    each(
        &mut text,
        workload
            .sysctls
            .iter()
            .map(|(key, value)| format!("name: {key}, value: '{value}'")),
    );

    let unit = "src: '{{ item.unit }}', dest: '/etc/systemd/system/{{ item.unit }}', mode: '0644'";
    let units = || {
        workload
            .services
            .iter()
            .map(|service| format!("unit: {}", service.unit))
    };
    task(&mut text, "unit files", "ansible.builtin.copy", unit);
    each(&mut text, units());
    text.push_str("      register: units\n");
    task(
        &mut text,
        "reload systemd",
        "ansible.builtin.systemd_service",
        "daemon_reload: true",
    );
    text.push_str("      when: units.changed\n");
    let service = "name: '{{ item.unit }}', enabled: true, state: started";
    task(&mut text, "services", "ansible.builtin.systemd_service", service);
    each(&mut text, units());
    text
}

fn task(text: &mut String, name: &str, module: &str, arguments: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "    - name: {name}\n      {module}: {{ {arguments} }}");
}

/// The task before, for each of these.
fn each(text: &mut String, items: impl Iterator<Item = String>) {
    text.push_str("      loop:\n");
    for item in items {
        let _ = writeln!(text, "        - {{ {item} }}");
    }
}
