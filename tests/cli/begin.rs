//! Beginning: a project, a host, a module.

use std::fs;

use crate::project::{Project, ran};

#[test]
fn a_new_project_is_right_complete_and_in_layout() {
    let place = Project::new();
    let made = place.run(&["init", "fleet"]).expect(0);
    assert!(made.stderr.contains("provision rehearse example"), "{}", made.stderr);
    let root = place.path().join("fleet");
    for line in made.stdout.lines() {
        let path = line.strip_prefix("made  ").unwrap();
        assert!(place.path().join(path).is_file(), "{path}");
    }
    let checked = place.run(&["check", "-C", "fleet"]).expect(0);
    assert_eq!(checked.stdout, "1 host with 8 resources: no errors\n");
    let laid_out = place.run(&["fmt", "--check", "-C", "fleet"]).expect(0);
    assert_eq!(laid_out.stdout, "", "the skeleton is not in its canonical layout");
    // Everything that it teaches is there: a module with documented options, a file, a user, a unit, a probe.
    let shown = place.run(&["show", "example", "-C", "fleet"]).expect(0).stdout;
    for kind in ["users", "directories", "files", "units", "probes"] {
        assert!(shown.contains(kind), "{kind} is not in {shown}");
    }
    let options = place.run(&["options", "heartbeat", "-C", "fleet"]).expect(0).stdout;
    assert!(
        options.contains("seconds  integer, at least 1, 30 by default"),
        "{options}"
    );
    let script = root.join("files/heartbeat.sh");
    assert!(
        std::process::Command::new("sh")
            .arg("-n")
            .arg(script)
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn nothing_is_overwritten() {
    let place = Project::new();
    place.write("README.md", "mine\n");
    let refused = place.run(&["init"]).expect(1);
    assert!(
        refused.stderr.contains("README.md is there already"),
        "{}",
        refused.stderr
    );
    assert!(!place.path().join("hosts/example.toml").exists());
    assert_eq!(fs::read_to_string(place.path().join("README.md")).unwrap(), "mine\n");
    // Not even through a link that leads nowhere.
    let place = Project::new();
    std::os::unix::fs::symlink("/nonexistent/x", place.path().join(".gitignore")).unwrap();
    let _ = place.run(&["init", "."]).expect(1);

    let project = Project::with_host("web-1", 22);
    let before = fs::read_to_string(project.path().join("hosts/web-1.toml")).unwrap();
    let refused = project.run(&["new", "host", "web-1"]).expect(1);
    assert!(
        refused.stderr.contains("hosts/web-1.toml is there already"),
        "{}",
        refused.stderr
    );
    assert_eq!(
        fs::read_to_string(project.path().join("hosts/web-1.toml")).unwrap(),
        before
    );
}

#[test]
fn a_new_host_and_a_new_module_are_right_and_in_layout() {
    let project = Project::new();
    let _ = project.run(&["new", "module", "web"]).expect(0);
    let _ = project.run(&["new", "module", "net/dns"]).expect(0);
    let made = project
        .run(&["new", "host", "web-1", "--address", "192.0.2.7"])
        .expect(0);
    assert!(made.stdout.ends_with("hosts/web-1.toml\n"), "{}", made.stdout);
    let _ = project.run(&["new", "host", "web-2"]).expect(0);
    let _ = project.run(&["check"]).expect(0);
    let _ = project.run(&["fmt", "--check"]).expect(0);
    let text = fs::read_to_string(project.path().join("hosts/web-1.toml")).unwrap();
    assert!(text.contains("There are: net/dns, web."), "{text}");
    let json = project.run(&["show", "web-1", "--json"]).expect(0).json();
    assert_eq!(json["connection"]["ssh"]["address"], "192.0.2.7");
    // The modules are usable as they are.
    let uses = text.replace("imports = []", "imports = [\"web\", \"net/dns\"]");
    project.write("hosts/web-1.toml", &uses);
    let _ = project.run(&["check"]).expect(0);
    let below = project
        .command(&["new", "module", "mail"])
        .current_dir(project.path().join("hosts"))
        .output();
    let _ = ran(below.unwrap()).expect(0);
    assert!(project.path().join("modules/mail.toml").is_file());
}

#[test]
fn a_name_or_address_that_is_none_is_refused_and_nothing_is_made() {
    let project = Project::new();
    for (args, says) in [
        (&["new", "host", "Web_1"][..], "a host name is"),
        (&["new", "host", "../x"], "cannot be a host"),
        (&["new", "module", "Web"], "cannot be a module"),
        (&["new", "module", "../x"], "cannot be a module"),
        (&["new", "module", "/etc/x"], "cannot be a module"),
        (&["new", "host", "a", "--address", "root@192.0.2.1"], "user = \"root\""),
        (&["new", "host", "a", "--address", "x\"\ny = 1"], "is not an address"),
    ] {
        let ran = project.run(args).expect(1);
        assert!(ran.stderr.contains(says), "{args:?}: {}", ran.stderr);
    }
    assert_eq!(fs::read_dir(project.path().join("hosts")).unwrap().count(), 0);
    assert!(!project.path().join("modules").exists());
    let nowhere = project
        .command(&["new", "host", "a"])
        .current_dir("/")
        .output()
        .unwrap();
    let nowhere = ran(nowhere).expect(1);
    assert!(nowhere.stderr.contains("provision init"), "{}", nowhere.stderr);
}
