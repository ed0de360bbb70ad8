//! The words of a rehearsal: what it is about to show, and what came of it. The plans, the progress and the drift in
//! between are worded where they always are.

use std::fmt::Write as _;

use provision_core::model::{HostName, ResourceId};
use provision_rehearse::{KeptHost, Missing, Progress};

use super::style::{Palette, paint};
use super::words;

/// The acts of a rehearsal, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The throwaway hosts are made.
    Make,
    /// The plan for bare Debian.
    Plan,
    /// It is applied.
    Apply,
    /// A second plan finds nothing to do.
    Again,
    /// Somebody changes something by hand, and drift finds it.
    Drift,
    /// It is applied again.
    Heal,
}

impl Act {
    const ALL: [Self; 6] = [
        Self::Make,
        Self::Plan,
        Self::Apply,
        Self::Again,
        Self::Drift,
        Self::Heal,
    ];

    const fn words(self) -> &'static str {
        match self {
            Self::Make => "a throwaway host: bare Debian with systemd and sshd",
            Self::Plan => "the plan: what it takes to get from bare Debian to the host file",
            Self::Apply => "the apply",
            Self::Again => "a second plan: nothing is left to do",
            Self::Drift => "a change by hand, and the drift that it makes",
            Self::Heal => "the heal: apply again, and a last plan that is empty",
        }
    }

    /// The title above what an act shows.
    #[must_use]
    pub fn title(self, palette: Palette) -> String {
        let number = Self::ALL.iter().position(|act| *act == self).map_or(0, |at| at + 1);
        let title = format!("── {number}/{}  {} ", Self::ALL.len(), self.words());
        let rule = "─".repeat(96_usize.saturating_sub(title.chars().count()));
        format!("\n{}\n", paint(palette.title(), format!("{title}{rule}")))
    }
}

/// A line about the making of a base image or the installing of packages; `None` for what only a verbose run shows.
#[must_use]
pub fn progress_text(progress: &Progress, verbose: bool) -> Option<String> {
    match progress {
        Progress::Waiting => Some("waiting for another process that makes the same base image\n".into()),
        Progress::Building(release) => Some(format!(
            "making a base image of {release}, once for all rehearsals (about half a minute)\n"
        )),
        Progress::Line(line) => verbose.then(|| format!("  {}\n", words::safe(line))),
        Progress::Installing(packages) => Some(format!(
            "installing what throwaway hosts need: {}\n",
            words::safe(&packages.join(" "))
        )),
        Progress::Built(time) => Some(format!("the base image is made, in {:.0} s\n", time.as_secs_f32())),
        // What a later version of the crate may tell is told by what it leads to.
        _ => None,
    }
}

/// What a throwaway host needs and this machine has not.
#[must_use]
pub fn missing_text(missing: &[Missing]) -> String {
    let mut text = String::from("this machine cannot make throwaway hosts; it lacks");
    for what in missing {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {what}");
    }
    text
}

/// That a host is up.
#[must_use]
pub fn ready_text(host: &HostName, address: &str, millis: u128) -> String {
    format!("{host}: up at {address} after {:.1} s\n", millis as f64 / 1000.0)
}

/// What was just changed by hand on a host.
#[must_use]
pub fn by_hand_text(host: &HostName, line: &str) -> String {
    format!("{host}: somebody runs  {}\n", words::safe(line))
}

/// That a host could not be shown a change by hand.
#[must_use]
pub fn nothing_by_hand_text(host: &HostName) -> String {
    format!("{host}: it declares neither a file nor a running unit, so there is nothing to change by hand\n")
}

/// What a rehearsal was to show and did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A plan right after an apply was not empty.
    NotEmpty,
    /// Drift did not find what was changed by hand.
    NotFound(ResourceId),
    /// It could not be carried through on this host.
    NotDone,
}

/// The verdict on one host.
#[must_use]
pub fn verdict_text(host: &HostName, flaws: &[Flaw], palette: Palette) -> String {
    if flaws.is_empty() {
        let good = paint(palette.create(), "rehearsed");
        return format!("{host}: {good}: converged, nothing left to do, drift found and healed\n");
    }
    let mut text = String::new();
    for flaw in flaws {
        let words = match flaw {
            Flaw::NotEmpty => {
                "a plan right after an apply still wants changes: the host file is not idempotent".to_owned()
            }
            Flaw::NotFound(id) => format!("drift did not find the change by hand of {}", words::id(id)),
            Flaw::NotDone => "the rehearsal ended early on this host".to_owned(),
        };
        let _ = writeln!(text, "{host}: {} {words}", paint(palette.error(), "failed:"));
    }
    text
}

/// How to enter a host that was kept, and how to be rid of it.
#[must_use]
pub fn kept_text(kept: &KeptHost) -> String {
    format!("{kept}\nTo destroy it:\n  provision rehearse --destroy {}\n", kept.name)
}
