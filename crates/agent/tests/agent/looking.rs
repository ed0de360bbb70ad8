//! Observing and asking for the status, and what comes in over a bad line.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use provision_core::model::{Examine, Fact, PathState, State};
use provision_core::wire::{FrameKind, Refusal, Request, Response, encode, encode_message};

use crate::host::{AGENT, Host, Session, apply_request};
use crate::plans::{self, command, directory, file, symlink};

#[test]
fn looking_writes_nothing_on_a_host_that_was_never_provisioned() {
    let host = Host::new();
    host.write("/mnt/there", "text\n");
    let before = host.snapshot();
    let specs = [
        file("/mnt/there", "text\n"),
        file("/mnt/missing", ""),
        directory("/mnt"),
        symlink("/mnt/link", "there"),
        command("guarded", "true", "/mnt/there"),
    ];
    let observed = host.observe(&specs);
    assert_eq!(observed.resources.len(), specs.len());
    assert_eq!(observed.receipt, Fact::Known(None));
    assert_eq!((observed.last_run, observed.lock), (None, None));
    assert_eq!(
        observed.resources[&specs[1].id()],
        Fact::Known(State::Path(PathState::Absent))
    );

    let mut session = host.session();
    session.hello();
    session.send(&Request::Status {
        units: BTreeSet::new(),
        run: None,
    });
    assert!(matches!(session.receive(), Some(Response::Status(_))));
    session.send(&Request::Examine(Examine::default()));
    match session.receive() {
        Some(Response::Examined(examination)) => {
            // There is no systemd here that could be asked: that is not known, and not "nothing failed".
            assert!(matches!(examination.units, Fact::Unknown(_)), "{:?}", examination.units);
            assert!(examination.memory.known().is_some() && examination.began <= examination.ended);
        }
        other => panic!("{other:?}"),
    }
    session.send(&Request::Listening);
    assert!(matches!(session.receive(), Some(Response::Listening(Fact::Known(_)))));
    assert!(session.end().success());
    assert_eq!(host.snapshot(), before);
    assert!(!host.state("").exists());
}

#[test]
fn a_converged_host_is_looked_at_and_attached_to_without_a_write() {
    let host = Host::new();
    let wanted = vec![(file("/mnt/motd", "hello\n"), "hello\n")];
    let plan = plans::plan(&host, &wanted);
    host.events(&plan);
    let before = host.snapshot();
    // Nothing is asked for: the receipt's own resources come all the same.
    let observed = host.observe(&[]);
    assert!(observed.resources.contains_key(&wanted[0].0.id()));
    assert_eq!(observed.last_run.unwrap().generation, Some(1));
    host.attach(plan.id(), 0);
    assert_eq!(host.snapshot(), before);
}

#[test]
fn requests_may_be_sent_all_at_once() {
    let host = Host::new();
    let mut sequence = 0;
    let mut bytes = Vec::new();
    for request in [
        Request::Hello { nonce: 7 },
        Request::Observe { specs: Vec::new() },
        Request::Status {
            units: BTreeSet::new(),
            run: None,
        },
    ] {
        bytes.extend(encode_message(&request, &mut sequence).unwrap());
    }
    bytes.extend(encode(FrameKind::End, sequence, &[]));
    let mut session = host.session();
    session.send_bytes(&bytes);
    session.close_input();
    assert!(matches!(session.receive(), Some(Response::Hello { nonce: 7, .. })));
    assert!(matches!(session.receive(), Some(Response::Observed(_))));
    assert!(matches!(session.receive(), Some(Response::Status(_))));
    assert_eq!(session.receive(), None);
    assert!(session.wait().success());
}

#[test]
fn a_plan_that_is_cut_anywhere_is_not_applied() {
    let host = Host::new();
    let plan = plans::plan(&host, &vec![(file("/mnt/motd", "hello\n"), "hello\n")]);
    let before = host.snapshot();
    let mut sequence = 0;
    let mut bytes = encode_message(&Request::Hello { nonce: 1 }, &mut sequence).unwrap();
    let hello = bytes.len();
    bytes.extend(encode_message(&apply_request(plan), &mut sequence).unwrap());
    let step = (bytes.len() - hello) / 20;
    for cut in (0..bytes.len())
        .step_by(step)
        .chain([hello - 1, hello, hello + 1, bytes.len() - 1])
    {
        let mut session = host.session();
        session.send_bytes(&bytes[..cut]);
        session.close_input();
        assert!(session.wait().success(), "a stream cut at {cut} ends quietly");
        assert_eq!(host.snapshot(), before, "cut at {cut}");
    }
}

#[test]
fn noise_instead_of_frames_is_an_error_that_says_so() {
    let host = Host::new();
    for bytes in [
        vec![b'x'; 100_000],
        encode(FrameKind::Last, 0, br#"{"observe":{"specs":[]}}"#),
    ] {
        let mut session = host.session();
        session.send_bytes(&bytes);
        assert!(matches!(session.receive(), Some(Response::Error(_))));
        assert_eq!(session.wait().code(), Some(1));
    }
}

#[test]
fn a_user_who_is_not_root_is_told_so() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let directory = std::env::temp_dir().join(format!("provision-agent-nonroot-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let agent = directory.join("provision-agent");
    std::fs::copy(AGENT, &agent).unwrap();
    for path in [&directory, &agent] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
    command.arg(&agent).arg("session");
    let mut session = Session::new(command);
    session.hello();
    session.send(&Request::Observe { specs: Vec::new() });
    let answer = session.receive();
    std::fs::remove_dir_all(&directory).unwrap();
    match answer {
        Some(Response::Error(words)) => assert!(words.untrusted().contains("must run as root"), "{words:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_run_that_never_was_is_not_attached_to() {
    let host = Host::new();
    let answers = host.attach(provision_core::model::Digest::of(b"no plan"), 0);
    assert_eq!(answers, [Response::Refused(Refusal::NoSuchRun)]);
}

#[test]
fn the_program_tells_its_version_and_its_usage() {
    let version = Command::new(AGENT).arg("--version").output().unwrap();
    let expected = format!("provision-agent {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(&version.stdout), expected);
    for args in [&["run"][..], &["run", "not-an-id"], &["sessions"], &[]] {
        let status = Command::new(AGENT).args(args).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(64), "{args:?}");
    }
}
