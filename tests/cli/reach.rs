//! Hosts that cannot be reached: told for each, one code for all.

use crate::project::{Project, closed_port};

#[test]
fn an_unreachable_host_is_4_and_says_why() {
    let project = Project::with_host("web-1", closed_port());
    for args in [
        &["plan"][..],
        &["drift"],
        &["status"],
        &["doctor"],
        &["apply", "--yes"],
        &["exec", "web-1", "--", "true"],
    ] {
        let ran = project.run(args).expect(4);
        let told = ran.stdout + &ran.stderr;
        assert!(told.contains("web-1") && told.contains("refused"), "{args:?}: {told}");
    }
}

#[test]
fn for_programs_every_host_has_its_error() {
    let project = Project::with_host("web-1", closed_port());
    project.host("web-2", closed_port());
    let json = project.run(&["plan", "--json"]).expect(4).json();
    assert_eq!(json["format_version"], 1);
    assert_eq!(json["exit_code"], 4);
    let hosts = json["hosts"].as_array().unwrap();
    assert_eq!(hosts.len(), 2);
    for host in hosts {
        assert_eq!(host["status"], "unreachable");
        assert_eq!(host["error"]["stage"], "connect");
        assert!(host["plan"].is_null());
    }
    let json = project.run(&["doctor", "--json"]).expect(4).json();
    assert_eq!((&json["format_version"], &json["exit_code"]), (&1.into(), &4.into()));
    for host in json["hosts"].as_array().unwrap() {
        assert_eq!(host["error"]["stage"], "connect");
        assert!(
            host["findings"].is_null() && host["unknown"].is_null(),
            "nothing is known of it"
        );
    }
    let lines = project.run(&["apply", "--yes", "--json"]).expect(4).json_lines();
    let outcomes: Vec<_> = lines.iter().filter(|line| line["type"] == "outcome").collect();
    assert_eq!(outcomes.len(), 2);
    assert!(
        outcomes
            .iter()
            .all(|line| line["outcome"] == "unreachable" && line["exit_code"] == 4)
    );
    let last = lines.last().unwrap();
    assert_eq!((&last["type"], &last["exit_code"]), (&"summary".into(), &4.into()));
}
