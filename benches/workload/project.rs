//! The workload as a project of `provision`: one module, and a host file for each host.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use super::{SHELL, SYSCTL_FILE, Workload};
use crate::lab::Reach;

/// How long a started service is watched before it counts as up. No other way to apply the workload watches at all.
#[derive(Clone, Copy)]
pub(crate) enum Settle {
    /// As long as `provision` does of its own accord.
    Default,
    /// Not at all.
    No,
}

/// Writes the project into `root`. The hosts are named as in `hosts`.
pub(crate) fn project(workload: &Workload, hosts: &[Reach], settle: Settle, root: &Path) -> io::Result<()> {
    for directory in ["hosts", "modules", "files"] {
        fs::create_dir_all(root.join(directory))?;
    }
    fs::write(root.join("modules/workload.toml"), module(workload, settle))?;
    for file in &workload.files {
        fs::write(root.join("files").join(&file.local), &file.text)?;
    }
    for host in hosts {
        fs::write(root.join(format!("hosts/{}.toml", host.name)), host_file(host))?;
    }
    Ok(())
}

fn host_file(host: &Reach) -> String {
    format!(
        "imports = [\"workload\"]\n\n[host]\naddress = \"{}\"\nport = {}\nuser = \"root\"\nhost_key = \"{}\"\nidentity_file = \"{}\"\n",
        host.address.ip(),
        host.address.port(),
        host.host_key,
        host.identity.display(),
    )
}

fn module(workload: &Workload, settle: Settle) -> String {
    let mut text = format!("description = \"{} resources to measure with.\"\n", workload.len());
    // Writing to a String cannot fail.
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        let _ = text.write_fmt(arguments);
        text.push('\n');
    };
    line(format_args!("\n[packages]"));
    for package in &workload.packages {
        line(format_args!("{package} = \"present\""));
    }
    for group in &workload.groups {
        line(format_args!("\n[groups.{}]\ngid = {}", group.name, group.gid));
    }
    for user in &workload.users {
        line(format_args!(
            "\n[users.{}]\nuid = {}\ngroup = \"{}\"",
            user.name, user.uid, user.group
        ));
        line(format_args!("home = \"{}\"\nshell = \"{SHELL}\"", user.home));
    }
    for directory in &workload.directories {
        line(format_args!(
            "\n[directories.\"{}\"]\nowner = \"{}\"",
            directory.path, directory.owner
        ));
        line(format_args!(
            "group = \"{}\"\nmode = \"{}\"",
            directory.group, directory.mode
        ));
    }
    for file in &workload.files {
        line(format_args!("\n[files.\"{}\"]\nfile = \"{}\"", file.path, file.local));
        line(format_args!(
            "owner = \"{}\"\ngroup = \"{}\"\nmode = \"{}\"",
            file.owner, file.group, file.mode
        ));
    }
    for link in &workload.links {
        line(format_args!(
            "\n[symlinks.\"{}\"]\ntarget = \"{}\"",
            link.path, link.target
        ));
    }
    for (key, value) in &workload.sysctls {
        line(format_args!(
            "\n[sysctl.\"{key}\"]\nvalue = \"{value}\"\nfile = \"{SYSCTL_FILE}\""
        ));
    }
    for service in &workload.services {
        line(format_args!(
            "\n[units.\"{}\"]\nenabled = true\nactive = true",
            service.unit
        ));
        if let Settle::No = settle {
            line(format_args!("settle = \"0s\""));
        }
        line(format_args!("text = \"\"\"\n{}\"\"\"", service.text));
    }
    text
}
