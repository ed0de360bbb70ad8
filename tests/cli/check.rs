//! Projects without errors and with them.

use std::net::TcpListener;

use crate::project::Project;

#[test]
fn a_good_project() {
    let project = Project::with_host("web-1", 22);
    let ran = project.run(&["check"]).expect(0);
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("1 host with 1 resource: no errors\n", "")
    );
    let json = project.run(&["check", "--json"]).expect(0).json();
    assert_eq!(json["diagnostics"], serde_json::json!([]));
}

#[test]
fn the_root_is_found_from_below_and_taken_as_given() {
    let project = Project::with_host("web-1", 22);
    project.write("modules/deep/down.toml", "description = \"x\"\n");
    let mut below = project.command(&["check"]);
    assert!(
        below
            .current_dir(project.path().join("modules/deep"))
            .status()
            .unwrap()
            .success()
    );
    let root = project.path().to_str().unwrap();
    for args in [&["check", "-C", root][..], &["--root", root, "check"]] {
        assert!(
            project
                .command(args)
                .current_dir("/")
                .output()
                .unwrap()
                .status
                .success(),
            "{args:?}"
        );
    }
    let ran = project.run(&["check", "-C", "modules"]).expect(1);
    assert!(
        ran.stderr.starts_with("error: there is no project at or above modules"),
        "{}",
        ran.stderr
    );
}

#[test]
fn every_error_of_every_file_is_told_and_nobody_is_contacted() {
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    host.set_nonblocking(true).unwrap();
    let project = Project::with_host("web-1", host.local_addr().unwrap().port());
    project.write("hosts/web-2.toml", "[host]\nadress = \"x\"\n");
    project.write("hosts/web-3.toml", "[host\n");
    for command in ["plan", "apply", "drift", "status", "check"] {
        let ran = project.run(&[command]).expect(1);
        for told in [
            "hosts/web-2.toml:2:1",
            "adress",
            "`address`",
            "hosts/web-3.toml:1",
            "2 errors; no host was contacted",
            "`provision explain E0103` tells more",
        ] {
            assert!(ran.stderr.contains(told), "{command}: {told} is not in {}", ran.stderr);
        }
        assert_eq!(ran.stdout, "", "{command}");
    }
    // Not even where the selected host itself is right.
    let _ = project.run(&["plan", "web-1"]).expect(1);
    let json = project.run(&["check", "--json"]).expect(1).json();
    assert_eq!(json["diagnostics"].as_array().unwrap().len(), 2);
    assert_eq!(json["exit_code"], 1);
    assert_eq!(host.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_selection_that_fits_nothing_is_an_error_that_helps() {
    let project = Project::with_host("web-1", 22);
    for (args, says) in [
        (
            &["plan", "web1"][..],
            "the name \"web1\" fits no host\nhint: did you mean web-1?\nhint: there are: web-1\n",
        ),
        (
            &["plan", "--tags", "bot"],
            "the tag \"bot\" fits no host\nhint: there are: web-1-tag\n",
        ),
        (
            &["plan", "--exclude", "web-*"],
            "of 1 hosts none is left after --exclude web-*\n",
        ),
        (&["show", "x\u{1b}[2J"], "the name \"x\\u{1b}[2J\" fits no host\n"),
        (&["exec", "db-*", "--", "true"], "the pattern \"db-*\" fits no host\n"),
    ] {
        let ran = project.run(args).expect(1);
        assert!(ran.stderr.contains(says), "{args:?}: {}", ran.stderr);
    }
    let ran = Project::new().run(&["plan"]).expect(1);
    assert!(
        ran.stderr.starts_with("error: the project has no hosts\n"),
        "{}",
        ran.stderr
    );
}

#[test]
fn show_tells_what_a_host_should_be() {
    let project = Project::with_host("web-1", 22);
    let text = project.run(&["show", "web-1", "-v"]).expect(0).stdout;
    for told in [
        "ssh 127.0.0.1:22",
        "/etc/motd  hosts/web-1.toml:6",
        "mode     0644",
        "| hi",
    ] {
        assert!(text.contains(told), "{told} is not in {text}");
    }
    let json = project.run(&["show", "web-1", "--json"]).expect(0).json();
    assert_eq!(json["resources"]["file:/etc/motd"]["spec"]["file"]["mode"], "0644");
    project.host("web-2", 22);
    let several = project.run(&["show", "web-*"]).expect(1);
    assert!(
        several.stderr.contains("fits 2 hosts, and this command takes one"),
        "{}",
        several.stderr
    );
}
