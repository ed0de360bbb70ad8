//! Laying files out: what is written, what is left alone, and what is said.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::process::Stdio;

use crate::project::{Project, ran};

const UNTIDY: &str = "[host]\naddress=\"192.0.2.1\" # here\n[files.'/etc/motd']\n  text   = \"hi\\n\"\n";
const TIDY: &str = "[host]\naddress = \"192.0.2.1\"  # here\n\n[files.'/etc/motd']\ntext = \"hi\\n\"\n";

#[test]
fn files_are_laid_out_once_and_the_others_are_not_written() {
    let project = Project::with_host("tidy", 22);
    project.write("hosts/untidy.toml", UNTIDY);
    let untidy = project.path().join("hosts/untidy.toml");
    fs::set_permissions(&untidy, fs::Permissions::from_mode(0o640)).unwrap();
    let inode = fs::metadata(project.path().join("hosts/tidy.toml")).unwrap().ino();

    let checked = project.run(&["fmt", "--check"]).expect(1);
    assert_eq!(checked.stdout, "differs  hosts/untidy.toml\n");
    assert_eq!(fs::read_to_string(&untidy).unwrap(), UNTIDY);

    let changed = project.run(&["fmt"]).expect(0);
    assert_eq!(changed.stdout, "changed  hosts/untidy.toml\n");
    assert_eq!(changed.stderr, "1 file in layout, 1 changed\n");
    assert_eq!(fs::read_to_string(&untidy).unwrap(), TIDY);
    assert_eq!(fs::metadata(&untidy).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(
        fs::metadata(project.path().join("hosts/tidy.toml")).unwrap().ino(),
        inode
    );

    let again = project.run(&["fmt", "--check", "--json"]).expect(0).json();
    assert_eq!(again["files"][1]["layout"], "same");
    // Nothing is left beside the files.
    assert_eq!(fs::read_dir(project.path().join("hosts")).unwrap().count(), 2);
}

#[test]
fn a_broken_file_is_told_of_left_alone_and_keeps_no_other_from_its_layout() {
    let project = Project::new();
    project.write("hosts/broken.toml", "[host\naddress = 1\n");
    project.write("hosts/untidy.toml", UNTIDY);
    fs::write(project.path().join("hosts/latin.toml"), b"a = \"\xe9\"\n").unwrap();
    let ran = project.run(&["fmt"]).expect(1);
    for told in [
        "hosts/broken.toml is left as it is: it is not TOML",
        "line 1",
        "hosts/latin.toml is left as it is: it is not UTF-8 text",
    ] {
        assert!(ran.stderr.contains(told), "{told} is not in {}", ran.stderr);
    }
    assert_eq!(
        fs::read_to_string(project.path().join("hosts/broken.toml")).unwrap(),
        "[host\naddress = 1\n"
    );
    assert_eq!(
        fs::read_to_string(project.path().join("hosts/untidy.toml")).unwrap(),
        TIDY
    );
}

#[test]
fn named_files_and_only_they() {
    let project = Project::new();
    project.write("hosts/a.toml", UNTIDY);
    project.write("hosts/b.toml", UNTIDY);
    symlink("b.toml", project.path().join("hosts/link.toml")).unwrap();
    let _ = project.run(&["fmt", "hosts/link.toml"]).expect(0);
    assert_eq!(fs::read_to_string(project.path().join("hosts/a.toml")).unwrap(), UNTIDY);
    assert_eq!(fs::read_to_string(project.path().join("hosts/b.toml")).unwrap(), TIDY);
    assert!(
        fs::symlink_metadata(project.path().join("hosts/link.toml"))
            .unwrap()
            .is_symlink()
    );
    let missing = project.run(&["fmt", "hosts/none.toml"]).expect(1);
    assert!(
        missing
            .stderr
            .contains("hosts/none.toml is left as it is: it cannot be read"),
        "{}",
        missing.stderr
    );
    // A directory without a project is no hindrance where files are named.
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("x.toml"), UNTIDY).unwrap();
    let alone = project
        .command(&["fmt", "x.toml"])
        .current_dir(elsewhere.path())
        .output()
        .unwrap();
    let _ = ran(alone).expect(0);
    assert_eq!(fs::read_to_string(elsewhere.path().join("x.toml")).unwrap(), TIDY);
}

#[test]
fn standard_input_goes_to_standard_output() {
    let project = Project::new();
    let through = |text: &str| {
        let mut child = project
            .command(&["fmt", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        ran(child.wait_with_output().unwrap())
    };
    assert_eq!(through(UNTIDY).expect(0).stdout, TIDY);
    let broken = through("a = \n").expect(1);
    assert_eq!(broken.stdout, "");
    assert!(broken.stderr.contains("it is not TOML"), "{}", broken.stderr);
}
