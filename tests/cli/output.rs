//! Where output goes, and what becomes of it when it goes nowhere.

use std::fs::OpenOptions;
use std::process::Stdio;

use crate::project::{Project, ran};

#[test]
fn colour_is_asked_for_on_the_command_line_and_in_the_environment() {
    let project = Project::new();
    project.write("hosts/web-1.toml", "[host\n");
    let coloured = |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = project.command(args);
        command.envs(variables.iter().copied());
        ran(command.output().unwrap()).expect(1).stderr.contains('\u{1b}')
    };
    assert!(!coloured(&["check"], &[]));
    assert!(coloured(&["check", "--color", "always"], &[]));
    assert!(coloured(&["check", "--color", "always"], &[("NO_COLOR", "1")]));
    assert!(coloured(&["check"], &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&["check"], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(!coloured(&["check", "--color", "never"], &[("CLICOLOR_FORCE", "1")]));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let project = Project::with_host("web-1", 22);
    for args in [&["show", "web-1"][..], &["completions", "zsh"], &["--help"]] {
        let mut child = project
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ended = ran(child.wait_with_output().unwrap()).expect(0);
        assert_eq!(ended.stderr, "", "{args:?}");
    }
}

#[test]
fn a_result_that_cannot_be_written_is_no_success() {
    let project = Project::with_host("web-1", 22);
    for args in [&["show", "web-1"][..], &["completions", "zsh"], &["--help"]] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ended = ran(project
            .command(args)
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap());
        let ended = ended.expect(74);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
}

#[test]
fn quiet_says_nothing_where_all_is_well() {
    let project = Project::with_host("web-1", 22);
    let ran = project.run(&["-q", "check"]).expect(0);
    assert_eq!(ran.stderr, "");
}
