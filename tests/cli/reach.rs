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
        &["logs", "web-1", "ssh"],
        &["adopt", "web-1", "--force"],
        &["tunnel", "web-1", "80"],
        &["tunnel", "web-1", "ssh"],
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

#[test]
fn what_makes_no_sense_is_told_before_anybody_is_contacted() {
    let project = Project::with_host("web-1", closed_port());
    for (args, code, words) in [
        (
            &["logs", "web-1", "no/such/unit"][..],
            1,
            &["\"no/such/unit\" is no unit", "letters, digits"][..],
        ),
        (
            &["logs", "web-1", "ann/bot", "--user", "bob"],
            1,
            &["ann/bot.service is a unit of ann, and not of bob"],
        ),
        (&["logs", "web-2", "ssh"], 1, &["fits no host", "did you mean web-1?"]),
        (
            &["logs", "web-1", "ssh", "--since", "yesterday"],
            64,
            &["--since", "30m, 2h or 7d"],
        ),
        (&["logs", "web-1", "ssh", "--lines", "0"], 64, &["--lines"]),
        (&["tunnel", "web-2", "80"], 1, &["fits no host", "did you mean web-1?"]),
        (&["tunnel", "web-1", "0"], 1, &["there is no port 0", "1 to 65535"]),
        (&["tunnel", "web-1", "70000/x"], 1, &["is no unit"]),
        (&["tunnel", "web-1", "80", "--local", "0"], 64, &["--local"]),
        (&["adopt", "web-1"], 1, &["is there already", "--force"]),
        (&["adopt", "Web_1"], 1, &["a host name is"]),
    ] {
        let ran = project.run(args).expect(code);
        for word in words {
            assert!(ran.stderr.contains(word), "{args:?}: no {word:?} in {}", ran.stderr);
        }
    }
    // A port here that is taken: the host, which cannot be reached, is not asked.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ran = project.run(&["tunnel", "web-1", "80", "--local", &port]).expect(1);
    assert!(
        ran.stderr.contains("cannot listen on 127.0.0.1") && ran.stderr.contains("--local PORT"),
        "{}",
        ran.stderr
    );
}

#[test]
fn this_machine_needs_no_tunnel() {
    let project = Project::new();
    project.write("hosts/here.toml", "[host]\nconnection = \"local\"\n");
    let ran = project.run(&["tunnel", "here", "80"]).expect(1);
    assert!(ran.stderr.contains("needs no tunnel"), "{}", ran.stderr);
}

#[test]
fn what_cannot_be_reached_by_its_very_words_is_refused_before_anybody_is_asked() {
    let project = Project::with_host("web-1", closed_port());
    for (args, said, instead) in [
        (
            &["tunnel", "web-1", "99999"][..],
            "there is no port 99999",
            "1 to 65535",
        ),
        (&["tunnel", "web-1", "0"], "there is no port 0", "1 to 65535"),
        (
            &["adopt", "web-2", "--address", "192.0.2.1:22"],
            "--address 192.0.2.1:22 has a port in it",
            "write --address 192.0.2.1 --port 22",
        ),
    ] {
        let told = project.run(args).expect(1).stderr;
        assert!(told.contains(said) && told.contains(instead), "{args:?}: {told}");
    }
}
