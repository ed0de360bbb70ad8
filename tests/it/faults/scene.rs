//! What the tests here have in common: host files with a gate in the middle of the apply, and what is seen of a host's
//! runs from outside.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use provision_core::model::{RunEvent, RunPhase};
use tempfile::TempDir;

use super::running::{Running, until};
use crate::lab::Lab;

/// A directory, a file, a command that waits for [`open`], and another file. Both files say `text`.
pub(super) fn gated(text: &str) -> String {
    format!(
        r#"
[directories."/srv/app"]
[files."/srv/app/one"]
text = "{text}\n"
[commands.gate]
run = ["/bin/sh", "-c", "until [ -e /srv/open ]; do sleep 0.02; done; touch /srv/passed-{text}"]
creates = "/srv/passed-{text}"
after = ["file:/srv/app/one"]
[files."/srv/app/two"]
text = "{text}\n"
after = ["command:gate"]
"#
    )
}

/// Lets the gate's command end, and every later one.
pub(super) fn open(lab: &Lab) {
    fs::write(lab.outside("/srv/open"), "").unwrap();
}

/// Starts the program.
pub(crate) fn start(lab: &Lab, args: &[&str]) -> Running {
    Running::start(lab.command(args))
}

/// The ids of the plans that the host has runs of.
pub(super) fn runs(lab: &Lab) -> Vec<String> {
    let Ok(entries) = fs::read_dir(lab.outside("/var/lib/provision/runs")) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// The journal of the host's only unfinished or newest run.
pub(super) fn journal(lab: &Lab) -> Vec<RunEvent> {
    let journals = runs(lab).into_iter().map(|run| journal_path(lab, &run));
    let newest = journals
        .filter_map(|path| Some((path.metadata().ok()?.modified().unwrap(), path)))
        .max();
    let text = newest
        .and_then(|(_, path)| fs::read_to_string(path).ok())
        .unwrap_or_default();
    // The line that is being written is not there yet.
    text.split_inclusive('\n')
        .filter_map(|line| serde_json::from_str(line.strip_suffix('\n')?).ok())
        .collect()
}

/// Where the journal of one run is seen from outside.
pub(super) fn journal_path(lab: &Lab, run: &str) -> PathBuf {
    lab.outside("/var/lib/provision/runs").join(run).join("journal.jsonl")
}

/// Whether the newest run is at the gate: a directory and a file are done, the command has begun.
pub(super) fn is_at_gate(lab: &Lab) -> bool {
    lab.outside("/srv/app/one").exists() && matches!(journal(lab).last(), Some(RunEvent::Started { step: 1.. }))
}

/// Waits until the newest run waits at the gate.
#[track_caller]
pub(super) fn comes_to_gate(lab: &Lab) {
    until("a run at the gate", || is_at_gate(lab));
}

/// The phase that the newest run's journal has reached.
pub(super) fn phase(lab: &Lab) -> Option<RunPhase> {
    journal(lab).iter().rev().find_map(|event| match event {
        RunEvent::Phase(phase) => Some(*phase),
        _ => None,
    })
}

/// What [`gated`] leaves on a host.
#[track_caller]
pub(super) fn assert_is(lab: &Lab, text: &str) {
    assert_eq!(lab.on_host("cat /srv/app/one /srv/app/two"), format!("{text}\n{text}"));
    assert_no_leftovers(lab);
    lab.assert_converged();
}

/// No temporary file of ours lies anywhere.
#[track_caller]
pub(super) fn assert_no_leftovers(lab: &Lab) {
    let left = lab.on_host("find / -xdev -name '.provision-*' -o -xdev -path '*/agents/*/.upload.*'");
    assert_eq!(left, "", "left behind");
}

/// Every escape that could steer a terminal, and bytes that are no text at all.
pub(super) const ESCAPES: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\rgone\u{202e}\u{200b}";

/// Whether text is fit for a terminal: lines, and nothing that steers it or hides.
pub(super) fn is_plain(text: &str) -> bool {
    let steers = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    !text.contains(steers)
}

/// Another project that declares the same host: somebody else's checkout.
pub(super) struct Elsewhere<'a> {
    lab: &'a Lab,
    project: TempDir,
}

impl<'a> Elsewhere<'a> {
    /// One that declares `body`.
    pub(super) fn of(lab: &'a Lab, body: &str) -> Self {
        let project = tempfile::tempdir().unwrap();
        let hosts = project.path().join("hosts");
        fs::create_dir(&hosts).unwrap();
        let text = lab.host_file(lab.host.ssh_address().port(), body);
        fs::write(hosts.join(format!("{}.toml", lab.name())), text).unwrap();
        Self { lab, project }
    }

    /// The program in that project.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.lab.command(args);
        command.current_dir(self.project.path());
        command
    }
}
