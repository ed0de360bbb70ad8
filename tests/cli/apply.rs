//! Saved plans, and being asked.

use std::net::TcpListener;

use provision::saved::{SavedPlan, write};

use crate::project::{Project, closed_port};

/// A project with a saved plan, for a host at this port, that makes one file.
fn saved(port: u16) -> Project {
    let project = Project::new();
    let plan = serde_json::json!({
        "format": provision_core::model::PLAN_FORMAT, "host": "web-1", "machine_id": "0123", "base_generation": 0,
        "by": { "who": "ada@desk", "commit": null, "version": "0.1.0" },
        "changes": [{
            "id": "directory:/srv/x", "action": "create", "fields": [], "text": null, "reasons": ["missing"],
            "moved": "new", "origin": null, "access": false,
        }],
        "unchanged": [], "blockers": [], "steps": [], "preconditions": {}, "entries": {}, "pending": [], "blobs": {},
    });
    let connection = serde_json::json!({ "ssh": {
        "address": "127.0.0.1", "port": port, "user": null, "host_keys": [], "identity_files": [], "jump": null,
    } });
    let saved = SavedPlan {
        connection: serde_json::from_value(connection).unwrap(),
        plan: serde_json::from_value(plan).unwrap(),
    };
    write(&project.path().join("a.plan"), &[saved]).unwrap();
    project
}

#[test]
fn nothing_is_applied_where_nobody_can_be_asked() {
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    host.set_nonblocking(true).unwrap();
    let project = saved(host.local_addr().unwrap().port());
    let ran = project.run(&["apply", "a.plan"]).expect(1);
    assert!(ran.stdout.contains("+ create   directory:/srv/x"), "{}", ran.stdout);
    assert!(
        ran.stderr
            .contains("no terminal to ask on\nhint: --yes applies without asking"),
        "{}",
        ran.stderr
    );
    assert_eq!(host.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_saved_plan_needs_nothing_but_itself() {
    let project = saved(closed_port());
    std::fs::remove_dir(project.path().join("hosts")).unwrap();
    let ran = project.run(&["apply", "a.plan", "--yes"]).expect(4);
    assert!(ran.stdout.contains("web-1  unreachable"), "{}", ran.stdout);
}

#[test]
fn a_plan_that_was_edited_cut_or_mixed_is_refused() {
    let project = saved(closed_port());
    let path = project.path().join("a.plan");
    let text = std::fs::read_to_string(&path).unwrap();
    for (changed, says) in [
        (text.replace("/srv/x", "/srv/y"), "was changed after it was written"),
        (text[..text.len() / 2].to_owned(), "is no saved plan, or was cut"),
        (String::new(), "is no saved plan, or was cut"),
        (
            text.replacen("\"format\":1", "\"format\":7", 1),
            "in format 7; this version reads format 1",
        ),
    ] {
        std::fs::write(&path, changed).unwrap();
        let ran = project.run(&["apply", "a.plan", "--yes"]).expect(1);
        assert!(ran.stderr.contains(says), "{says} is not in {}", ran.stderr);
    }
    std::fs::write(&path, text).unwrap();
    let mixed = project.run(&["apply", "a.plan", "web-2", "--yes"]).expect(1);
    assert!(
        mixed.stderr.contains("a saved plan is applied alone"),
        "{}",
        mixed.stderr
    );
    let narrowed = project.run(&["apply", "a.plan", "--limit", "web-1", "--yes"]).expect(1);
    assert!(narrowed.stderr.contains("applied as it is"), "{}", narrowed.stderr);
    let missing = project.run(&["apply", "b.plan", "--yes"]).expect(1);
    assert!(
        missing
            .stderr
            .contains("cannot read the plan b.plan\n  because: No such file"),
        "{}",
        missing.stderr
    );
}
