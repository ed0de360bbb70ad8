//! What keeps a bot's gateway alive on a real host, and the real gateways themselves. The modules as such are held to
//! their promises elsewhere.

mod clawdbot;
mod moltbot;
mod openclaw;
mod upgrade;
mod watchdog;

use std::path::Path;

use crate::lab::{Lab, Ran};
use crate::modules::copy;

/// Gives a lab's project the standard modules and their files.
fn library(lab: &Lab) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    copy(root, "files", lab.root());
    copy(root, "modules", lab.root());
}

/// Prints where the time of an apply went, the longest first: `cargo test … -- --nocapture` shows it.
#[expect(clippy::print_stdout, reason = "it is for who reads the test's output")]
fn times(what: &str, ran: &Ran) {
    let mut steps: Vec<(f64, &str)> = ran
        .stderr
        .lines()
        .filter_map(|line| {
            let (step, time) = line.rsplit_once("  done ")?;
            Some((seconds(time)?, step))
        })
        .collect();
    steps.sort_by(|a, b| b.0.total_cmp(&a.0));
    let total: f64 = steps.iter().map(|(time, _)| time).sum();
    println!("{what}: {total:.1} s in {} steps", steps.len());
    for (time, step) in steps.iter().take(6) {
        println!("  {time:6.1} s  {step}");
    }
}

/// A time as `provision` shows it: `8ms`, `40.2s`, `1m 16s`.
fn seconds(text: &str) -> Option<f64> {
    let mut sum = 0.0;
    for part in text.split_whitespace() {
        let number = part.trim_end_matches(char::is_alphabetic);
        let unit = match part.get(number.len()..)? {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * unit;
    }
    Some(sum)
}
