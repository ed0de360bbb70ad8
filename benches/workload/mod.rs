//! The workload that everything here is measured with, said once: 100 resources that a host is brought to, as values.
//! It knows no tool; the files beside this one write it down in the words of each.

mod ansible;
mod digest;
mod project;
mod pyinfra;
mod script;

use std::fmt::Write as _;

pub(crate) use ansible::ansible;
pub(crate) use digest::DIGEST;
pub(crate) use project::{Settle, project};
pub(crate) use pyinfra::pyinfra;
pub(crate) use script::script;

/// Where the sysctls are kept over a reboot.
pub(crate) const SYSCTL_FILE: &str = "/etc/sysctl.d/60-bench.conf";

/// The directory that holds the others, and the links.
const TOP: &str = "/srv/bench";

/// Small packages that a bare Debian does not have, and that need nothing else that starts or listens.
const PACKAGES: [&str; 10] = [
    "bc", "dos2unix", "hello", "less", "ncdu", "psmisc", "pv", "tree", "unzip", "zip",
];

/// Settings of the network namespace, so that no other host and not the machine outside is changed; none is the kernel's default.
const SYSCTLS: [(&str, &str); 15] = [
    ("net.core.somaxconn", "2048"),
    ("net.ipv4.conf.all.accept_redirects", "0"),
    ("net.ipv4.conf.all.log_martians", "1"),
    ("net.ipv4.conf.all.secure_redirects", "0"),
    ("net.ipv4.conf.all.send_redirects", "0"),
    ("net.ipv4.conf.default.accept_redirects", "0"),
    ("net.ipv4.conf.default.log_martians", "1"),
    ("net.ipv4.conf.default.send_redirects", "0"),
    ("net.ipv4.tcp_fin_timeout", "30"),
    ("net.ipv4.tcp_keepalive_intvl", "20"),
    ("net.ipv4.tcp_keepalive_probes", "5"),
    ("net.ipv4.tcp_keepalive_time", "600"),
    ("net.ipv4.tcp_max_syn_backlog", "4096"),
    ("net.ipv4.tcp_syn_retries", "4"),
    ("net.ipv6.conf.all.accept_redirects", "0"),
];

const FILES: u32 = 40;
/// Besides [`TOP`].
const DIRECTORIES: u32 = 9;
const LINKS: u32 = 10;
const ACCOUNTS: u32 = 5;
const SERVICES: u32 = 5;

/// What the host is to be.
pub(crate) struct Workload {
    pub(crate) packages: Vec<&'static str>,
    pub(crate) groups: Vec<Group>,
    pub(crate) users: Vec<User>,
    /// Parents first.
    pub(crate) directories: Vec<Directory>,
    pub(crate) files: Vec<File>,
    pub(crate) links: Vec<Link>,
    pub(crate) sysctls: Vec<(&'static str, &'static str)>,
    pub(crate) services: Vec<Service>,
}

pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) gid: u32,
}

/// A user with a home directory below /home, who cannot log in.
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) group: String,
    pub(crate) home: String,
}

/// Where users' shells point.
pub(crate) const SHELL: &str = "/usr/sbin/nologin";

pub(crate) struct Directory {
    pub(crate) path: String,
    pub(crate) owner: String,
    pub(crate) group: String,
    pub(crate) mode: &'static str,
}

pub(crate) struct File {
    pub(crate) path: String,
    /// The name of the local file that holds its content, where a tool has one.
    pub(crate) local: String,
    pub(crate) text: String,
    pub(crate) owner: String,
    pub(crate) group: String,
    pub(crate) mode: &'static str,
}

pub(crate) struct Link {
    pub(crate) path: String,
    pub(crate) target: String,
}

/// A unit that is enabled and runs.
pub(crate) struct Service {
    pub(crate) unit: String,
    pub(crate) text: String,
}

impl Workload {
    /// The hundred.
    pub(crate) fn hundred() -> Self {
        let groups = (1..=ACCOUNTS).map(|n| Group {
            name: format!("benchers{n}"),
            gid: 4000 + n,
        });
        let users = (1..=ACCOUNTS).map(|n| User {
            name: format!("bench{n}"),
            uid: 3000 + n,
            group: format!("benchers{n}"),
            home: format!("/home/bench{n}"),
        });
        let top = Directory {
            path: TOP.to_owned(),
            owner: "root".to_owned(),
            group: "root".to_owned(),
            mode: "0755",
        };
        let directories = (1..=DIRECTORIES).map(|n| {
            let (owner, group) = owner(n);
            Directory {
                path: directory(n),
                owner,
                group,
                mode: if n.is_multiple_of(3) { "0750" } else { "0755" },
            }
        });
        let services = (1..=SERVICES).map(|n| Service {
            unit: format!("bench{n}.service"),
            text: format!(
                "[Unit]\nDescription=Workload, service {n}\n\n\
                 [Service]\nUser=bench{n}\nExecStart=/bin/sleep infinity\n\n\
                 [Install]\nWantedBy=multi-user.target\n"
            ),
        });
        Self {
            packages: PACKAGES.to_vec(),
            groups: groups.collect(),
            users: users.collect(),
            directories: std::iter::once(top).chain(directories).collect(),
            files: (1..=FILES).map(file).collect(),
            links: (1..=LINKS)
                .map(|n| Link {
                    path: format!("{TOP}/link-{n:02}"),
                    target: file(3 * n).path,
                })
                .collect(),
            sysctls: SYSCTLS.to_vec(),
            services: services.collect(),
        }
    }

    /// How many resources it has. A service counts once, though its unit file is one more file on the host, and so does a
    /// sysctl, though all of them are kept in one more.
    pub(crate) fn len(&self) -> usize {
        self.packages.len()
            + self.groups.len()
            + self.users.len()
            + self.directories.len()
            + self.files.len()
            + self.links.len()
            + self.sysctls.len()
            + self.services.len()
    }
}

fn directory(number: u32) -> String {
    format!("{TOP}/{number:02}")
}

/// Every third thing belongs to one of the users.
fn owner(number: u32) -> (String, String) {
    if number.is_multiple_of(3) {
        let account = number / 3 % ACCOUNTS + 1;
        (format!("bench{account}"), format!("benchers{account}"))
    } else {
        ("root".to_owned(), "root".to_owned())
    }
}

/// From a few lines to some 9 KB, as configuration files are.
fn file(number: u32) -> File {
    let (owner, group) = owner(number);
    let mut text = format!("# File {number} of the workload.\n");
    for line in 0..number * 8 {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "setting-{line:04} = {}",
            u64::from(number * 7919 + line) * 2_654_435_761 % 1_000_000_007
        );
    }
    File {
        path: format!("{}/file-{number:02}.conf", directory(number % DIRECTORIES + 1)),
        local: format!("file-{number:02}.conf"),
        text,
        owner,
        group,
        mode: ["0644", "0640", "0600", "0644"][(number % 4) as usize],
    }
}
