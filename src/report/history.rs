//! The generations of a host, for people and programs: when, by whom, from which commit, and what they take. It compares none.

use provision_core::model::{Generation, GenerationCounts, History, HostName, HostText};
use serde_json::json;

use super::columns::{columns, indented};
use super::json::{FORMAT_VERSION, document};
use super::style::{Palette, paint};
use super::words;
use crate::cli::exit::Exit;

/// All generations, the newest first.
#[must_use]
pub fn history_text(host: &HostName, history: &History, palette: Palette) -> String {
    let head = paint(palette.title(), host);
    let Some(newest) = history.generations.first() else {
        return format!("{head}  has no generations: nothing was applied to it yet\n");
    };
    let rows: Vec<_> = history.generations.iter().map(row).collect();
    let disk = history.disk;
    format!(
        "{head}  generation {} is in force\n{}  on its disk: {} of records, {} of files' contents, {} of runs\n",
        newest.number,
        indented("  ", &columns(&rows).join("\n")),
        words::bytes(disk.generations),
        words::bytes(disk.contents),
        words::bytes(disk.runs),
    )
}

fn row(generation: &Generation) -> Vec<String> {
    let by = |field: &str| generation.by.get(field).map(HostText::escaped);
    let mut what = counts(generation.counts);
    if let Some(to) = by("rollback_to") {
        what = format!("{what}; back to generation {to}");
    }
    vec![
        generation.number.to_string(),
        words::time(generation.at),
        by("who").unwrap_or_default(),
        by("commit").map_or_else(|| "no commit".to_owned(), |commit| short(&commit)),
        words::outcome(generation.outcome).to_owned(),
        what,
    ]
}

/// A commit as git shortens it, with what follows its digits.
fn short(commit: &str) -> String {
    let (digits, rest) = commit.split_once('+').unwrap_or((commit, ""));
    let digits: String = digits.chars().take(12).collect();
    if rest.is_empty() {
        digits
    } else {
        format!("{digits}+{rest}")
    }
}

fn counts(counts: GenerationCounts) -> String {
    let GenerationCounts {
        created,
        changed,
        removed,
    } = counts;
    format!("{created} created, {changed} changed, {removed} removed")
}

/// The same, for programs.
#[must_use]
pub fn history_json(host: &HostName, history: &History) -> String {
    let generations: Vec<_> = history
        .generations
        .iter()
        .enumerate()
        .map(|(place, generation)| {
            json!({
                "number": generation.number,
                "current": place == 0,
                "at": generation.at,
                "by": generation.by,
                "outcome": words::outcome(generation.outcome),
                "plan_id": generation.plan_id,
                "resources": generation.resources,
                "counts": generation.counts,
            })
        })
        .collect();
    document(&json!({
        "format_version": FORMAT_VERSION,
        "command": "generations",
        "version": env!("CARGO_PKG_VERSION"),
        "host": host,
        "generations": generations,
        "disk": history.disk,
        "exit_code": Exit::Done.code(),
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use provision_core::model::{Digest, DiskUse, Outcome};

    use super::*;

    #[test]
    fn each_generation_is_a_line_and_the_newest_is_in_force() {
        let generation = |number, commit: Option<&str>, to: Option<&str>, outcome| {
            let fields = [("who", Some("ada@desk")), ("commit", commit), ("rollback_to", to)];
            let by = fields
                .into_iter()
                .filter_map(|(field, value)| Some((field.to_owned(), HostText::from(value?))));
            Generation {
                number,
                plan_id: Digest::of(b""),
                at: 1_700_000_000 + number,
                by: by.collect::<BTreeMap<_, _>>(),
                outcome,
                resources: 9,
                counts: GenerationCounts {
                    created: number,
                    changed: 2,
                    removed: 0,
                },
            }
        };
        let commit = format!("{}+dirty", "0123456789".repeat(4));
        let history = History {
            generations: vec![
                generation(12, Some(&commit), Some("9"), Outcome::Confirmed),
                generation(11, None, None, Outcome::Interrupted),
            ],
            disk: DiskUse {
                generations: 4096,
                contents: 3 << 20,
                runs: 999,
            },
        };
        let host = HostName::new("web-1").unwrap();
        insta::assert_snapshot!(history_text(&host, &history, Palette::PLAIN));
        let none = History {
            generations: Vec::new(),
            ..history
        };
        assert!(history_text(&host, &none, Palette::PLAIN).contains("nothing was applied to it yet"));
    }
}
