//! What somebody meets who has never seen the program.

use std::process::Command;

use clap::Parser as _;
use provision::cli::args::Cli;

use crate::project::Project;

const COMMANDS: [&str; 28] = [
    "check",
    "plan",
    "apply",
    "drift",
    "show",
    "why",
    "status",
    "doctor",
    "logs",
    "tunnel",
    "exec",
    "attach",
    "generations",
    "diff",
    "rollback",
    "forget",
    "rehearse",
    "adopt",
    "secrets",
    "init",
    "new",
    "options",
    "explain",
    "fmt",
    "graph",
    "schema",
    "completions",
    "man",
];

#[test]
fn the_long_help() {
    let help = Project::new().run(&["--help"]).expect(0);
    assert_eq!(help.stderr, "");
    insta::assert_snapshot!(help.stdout);
}

#[test]
fn every_command_has_help_with_an_example() {
    let project = Project::new();
    let mut all = String::new();
    for command in COMMANDS {
        let help = project.run(&[command, "-h"]).expect(0).stdout;
        assert!(help.contains("Example"), "{command}: {help}");
        // What every command has is told by the long help's snapshot.
        let (own, examples) = help.split_once("Global options:").unwrap();
        let examples = examples.split_once("\n\n").map_or("", |(_, examples)| examples);
        all += &format!("=== {command}\n{own}{examples}\n");
    }
    insta::assert_snapshot!(all);
}

#[test]
fn the_examples_in_the_help_are_command_lines_that_parse() {
    let project = Project::new();
    let mut tried = 0;
    let mut below = vec![vec!["new", "host", "--help"], vec!["new", "module", "--help"]];
    for command in ["init", "list", "set", "edit", "get", "remove", "rekey"] {
        below.push(vec!["secrets", command, "--help"]);
    }
    let all = COMMANDS.map(|command| vec![command, "--help"]).into_iter().chain(below);
    for args in std::iter::once(vec!["--help"]).chain(all) {
        let help = project.run(&args).expect(0).stdout;
        for example in help.lines().filter(|line| line.starts_with("  provision ")) {
            let parsed = Cli::try_parse_from(words(example));
            assert!(parsed.is_ok(), "{example}: {:?}", parsed.err());
            tried += 1;
        }
    }
    assert!(tried > 20, "only {tried} examples were found");
}

/// The words of a shell's command, up to a redirection, a list, or three blanks and a comment.
fn words(line: &str) -> Vec<String> {
    let line = line.trim();
    let mut words = vec![String::new()];
    let (mut quoted, mut blanks) = (false, 0);
    for c in line.chars() {
        blanks = if c == ' ' && !quoted { blanks + 1 } else { 0 };
        match c {
            '\'' => quoted = !quoted,
            '|' | '>' | '<' | '&' if !quoted => break,
            ' ' if blanks == 3 => break,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn a_wrong_command_line_is_64_and_suggests() {
    let project = Project::new();
    for (args, says) in [
        (&["plam"][..], "'plan'"),
        (&["plan", "--tag", "a"], "'--tags'"),
        (&["exec", "web-1"], "COMMAND"),
        (&["plan", "--parallel", "0"], "--parallel"),
        (&["plan", "--timeout", "1d"], "30s or 2m"),
        (
            &["attach", "web-1", "--plan", "xyz"],
            "64 lower-case hexadecimal digits",
        ),
        (&["-q", "-v", "check"], "cannot be used with"),
        (&["options", "--html", "--json"], "cannot be used with"),
        (
            &["graph", "web-1", "--format", "png"],
            "possible values: dot, mermaid, svg",
        ),
        (&["new", "hots", "x"], "'host'"),
        (&[], "Usage: provision"),
    ] {
        let ran = project.run(args).expect(64);
        assert!(ran.stderr.contains(says), "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{args:?}");
    }
}

#[test]
fn completions_are_scripts_that_their_shell_reads() {
    let project = Project::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = project.run(&["completions", shell]).expect(0).stdout;
        assert!(
            script.contains("rehearse") && script.contains("detailed-exitcode"),
            "{shell}"
        );
    }
    let script = project.run(&["completions", "bash"]).expect(0).stdout;
    project.write("completion.bash", &script);
    let read = Command::new("bash")
        .arg("-n")
        .arg(project.path().join("completion.bash"))
        .status()
        .unwrap();
    assert!(read.success());
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let project = Project::new();
    let page = project.run(&["man"]).expect(0).stdout;
    assert!(
        page.contains(".TH provision 1") && page.contains("Exit codes"),
        "{page}"
    );
    let _ = project.run(&["man", "."]).expect(0);
    for command in COMMANDS {
        let page = std::fs::read_to_string(project.path().join(format!("provision-{command}.1"))).unwrap();
        assert!(page.contains(&format!(".TH provision-{command} 1")), "{command}");
    }
    let page = std::fs::read_to_string(project.path().join("provision-new-host.1")).unwrap();
    assert!(page.contains("--address") || page.contains("\\-\\-address"), "{page}");
    let none = project.run(&["man", "./none"]).expect(1);
    assert!(
        none.stderr.contains("cannot write the manual page ./none/provision.1"),
        "{}",
        none.stderr
    );
}

#[test]
fn what_is_no_generation_is_told_in_words_of_its_own() {
    let project = Project::new();
    for command in [["rollback", "web-1", "two"], ["diff", "web-1", "-"]] {
        let ran = project.run(&command).expect(64);
        assert!(
            ran.stderr.contains("`provision generations HOST` lists them"),
            "{}",
            ran.stderr
        );
    }
}
