//! Bad projects: an error that points at the place, and nobody is contacted.

use std::net::TcpListener;
use std::process::Command;

use super::running::Running;
use crate::lab::{PROVISION, Ran};

/// A project with one good host, whose address is a listener that nobody may come to, and one file that is bad.
fn refused(bad: &str) -> Ran {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let project = tempfile::tempdir().unwrap();
    let hosts = project.path().join("hosts");
    std::fs::create_dir(&hosts).unwrap();
    let reach = format!("[host]\naddress = \"127.0.0.1\"\nport = {port}\n");
    std::fs::write(
        hosts.join("good.toml"),
        format!("{reach}[files.\"/srv/good\"]\ntext = \"good\"\n"),
    )
    .unwrap();
    std::fs::write(hosts.join("bad.toml"), format!("{reach}{bad}")).unwrap();
    let mut last = None;
    for args in [
        &["plan"][..],
        &["apply", "--yes"],
        &["drift"],
        &["status"],
        &["exec", "*", "--", "true"],
    ] {
        let mut command = Command::new(PROVISION);
        command
            .current_dir(project.path())
            .env_clear()
            .env("HOME", project.path())
            .args(args);
        let ran = Running::start(command).ends().expect(1);
        assert!(ran.stderr.contains("hosts/bad.toml:"), "{args:?}: {}", ran.told());
        assert_eq!(ran.stdout, "", "{args:?}");
        last = Some(ran);
    }
    let came = listener.accept();
    assert!(
        came.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
        "somebody was contacted"
    );
    last.unwrap()
}

#[test]
fn a_bad_project_contacts_nobody() {
    for (bad, words) in [
        ("[files.\"/srv/x\"\ntext = 1\n", &["hosts/bad.toml:4"][..]),
        ("[files.\"/srv/x\"]\ntekst = \"x\"\n", &["tekst", "text"]),
        ("[files.\"/srv/x\"]\ntext = 3\n", &["text"]),
        ("[flies.\"/srv/x\"]\ntext = \"x\"\n", &["flies", "files"]),
        (
            "[files.\"/srv/x\"]\ntext = \"x\"\n[directories.\"/srv/x\"]\n",
            &["/srv/x"],
        ),
        ("[files.\"/srv/x\"]\nfile = \"missing\"\n", &["missing"]),
        ("[files.\"/srv/x\"]\ntext = \"{{ nobody }}\"\n", &["nobody"]),
        (
            "[files.\"/srv/x\"]\ntext = \"x\"\nafter = [\"file:/srv/y\"]\n[files.\"/srv/y\"]\ntext = \"y\"\nafter = [\"file:/srv/x\"]\n",
            &["/srv/x", "/srv/y"],
        ),
    ] {
        let ran = refused(bad);
        for word in words {
            assert!(ran.stderr.contains(word), "no {word:?} for {bad:?} in {}", ran.told());
        }
    }
}
