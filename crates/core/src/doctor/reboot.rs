//! What waits for a restart, of the host or of a unit.

use std::cmp::Ordering;

use super::finding::{Check, Diagnosis, Severity, Trouble};
use super::{count, span};
use crate::model::{Examination, Fact, HostText};

pub(super) fn reboot(seen: &Examination, diagnosis: &mut Diagnosis) {
    diagnosis.saw(Check::Reboot, format!("up {}", span(seen.uptime)));
    required(seen, diagnosis);
    // A container boots no kernel.
    if seen.container.is_none() {
        kernel(seen, diagnosis);
    }
    outdated(seen, diagnosis);
}

fn required(seen: &Examination, diagnosis: &mut Diagnosis) {
    match &seen.reboot_required {
        Fact::Unknown(why) => diagnosis.unknown(Check::Reboot, why.untrusted()),
        Fact::Known(None) => {}
        Fact::Known(Some(packages)) => {
            let names: Vec<_> = packages.iter().map(HostText::untrusted).collect();
            let words = if names.is_empty() {
                "a package asks for it".to_owned()
            } else {
                format!("asked for by {}", names.join(", "))
            };
            let fix = "reboot at a time that suits: `systemctl reboot` on the host";
            diagnosis.find(Trouble::RebootRequired, Severity::Warning, "reboot", words, fix);
        }
    }
}

fn kernel(seen: &Examination, diagnosis: &mut Diagnosis) {
    let kernels = match &seen.kernels {
        Fact::Unknown(why) => {
            return diagnosis.unknown(Check::Reboot, format!("installed kernels: {}", why.untrusted()));
        }
        Fact::Known(kernels) => kernels,
    };
    let running = seen.facts.kernel.untrusted();
    let newer = kernels
        .iter()
        .map(HostText::untrusted)
        .filter(|release| flavour(release) == flavour(running) && compare(release, running) == Ordering::Greater)
        .max_by(|a, b| compare(a, b));
    if let Some(newer) = newer {
        let words = format!("{running} runs, and {newer} is installed");
        let fix = "reboot at a time that suits: `systemctl reboot` on the host";
        diagnosis.find(Trouble::KernelOutdated, Severity::Warning, "kernel", words, fix);
    }
}

/// What follows the numbers: `amd64` of `6.1.0-18-amd64`, `cloud-amd64` of `6.1.0-18-cloud-amd64`.
fn flavour(release: &str) -> String {
    let letters = release
        .split('-')
        .filter(|part| part.starts_with(|c: char| c.is_ascii_alphabetic()));
    letters.collect::<Vec<_>>().join("-")
}

/// Runs of digits by their number, all else as text, and `~` before anything.
fn compare(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one, other);
    loop {
        let (text, rest) = split(one, |c| !c.is_ascii_digit());
        let (other_text, other_rest) = split(other, |c| !c.is_ascii_digit());
        let rank = |text: &str| {
            text.chars()
                .map(|c| if c == '~' { 0 } else { u32::from(c) + 1 })
                .collect::<Vec<_>>()
        };
        let by_text = rank(text).cmp(&rank(other_text));
        let (digits, rest) = split(rest, |c| c.is_ascii_digit());
        let (other_digits, other_rest) = split(other_rest, |c| c.is_ascii_digit());
        let number = |digits: &str| {
            let digits = digits.trim_start_matches('0');
            (digits.len(), digits.to_owned())
        };
        let order = by_text.then_with(|| number(digits).cmp(&number(other_digits)));
        if order != Ordering::Equal || (rest.is_empty() && other_rest.is_empty()) {
            return order;
        }
        (one, other) = (rest, other_rest);
    }
}

fn split(text: &str, is: fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !is(c)).unwrap_or(text.len()))
}

fn outdated(seen: &Examination, diagnosis: &mut Diagnosis) {
    let units = match &seen.outdated {
        Fact::Unknown(why) => return diagnosis.unknown(Check::Reboot, format!("replaced code: {}", why.untrusted())),
        Fact::Known(units) => units,
    };
    if units.is_empty() {
        return;
    }
    let words = format!(
        "{} still run what was replaced on the disk",
        count(units.len() as u64, "unit")
    );
    // What cannot be restarted by itself: init, and what would take everybody's session along.
    let whole = units
        .keys()
        .any(|unit| matches!(unit.as_str(), "init.scope" | "dbus.service" | "systemd"));
    let fix = if whole {
        "reboot at a time that suits: some of them cannot be restarted alone".to_owned()
    } else {
        let services: Vec<_> = units
            .keys()
            .filter(|unit| unit.ends_with(".service"))
            .map(String::as_str)
            .collect();
        if services.is_empty() {
            "let their users log in anew".to_owned()
        } else {
            format!("`systemctl restart {}` on the host", services.join(" "))
        }
    };
    let lines = diagnosis.find(Trouble::CodeOutdated, Severity::Warning, "processes", words, fix);
    for (unit, outdated) in units {
        let files: Vec<_> = outdated.files.iter().take(3).map(String::as_str).collect();
        let more = outdated.files.len().saturating_sub(files.len());
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        lines.push(HostText::new(format!("{unit}: {}{more}", files.join(", "))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_compared_by_their_numbers() {
        for (older, newer) in [
            ("6.1.0-9-amd64", "6.1.0-18-amd64"),
            ("5.15.0-105-generic", "6.2.0-1-generic"),
            ("6.1.0~rc1-1-amd64", "6.1.0-1-amd64"),
            ("6.1.0-18", "6.1.0-18.1"),
        ] {
            assert_eq!(compare(older, newer), Ordering::Less, "{older} {newer}");
            assert_eq!(compare(newer, older), Ordering::Greater, "{newer} {older}");
            assert_eq!(compare(newer, newer), Ordering::Equal);
        }
        assert_eq!(flavour("6.1.0-18-cloud-amd64"), "cloud-amd64");
        assert_ne!(flavour("6.1.0-18-rt-amd64"), flavour("6.1.0-18-amd64"));
    }
}
