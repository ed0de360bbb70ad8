//! Which hosts are believed: pins, known_hosts as OpenSSH reads it, and refusals before anything is
//! said about us.

use std::{fs, process::Command, time::Duration};

use provision_ssh::{ConnectError, ConnectErrorKind, Deadlines, Environment, Target, connect};

use crate::{
    proxy::{Fault, Proxy},
    sshd::{Sshd, keygen, path_str},
};

/// A target whose host key is to be found in known_hosts.
fn recorded(sshd: &Sshd) -> Target {
    Target {
        host_keys: Vec::new(),
        ..sshd.target()
    }
}

fn record(environment: &Environment, text: &str) {
    fs::write(&environment.user_known_hosts[0], text).unwrap();
}

fn fingerprint(sshd: &Sshd, name: &str) -> String {
    let output = keygen(&["-l", "-f", path_str(&sshd.path(name))]);
    String::from_utf8(output.stdout)
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .to_owned()
}

/// No key is recorded: the error has all that is needed to pin it, and the server never learns who
/// wanted in.
#[tokio::test]
async fn an_unknown_key_is_refused_before_authentication() {
    let sshd = Sshd::start();
    let proxy = Proxy::start(sshd.port, Duration::ZERO, Fault::None).await;
    let target = Target {
        port: Some(proxy.port),
        ..recorded(&sshd)
    };
    let environment = sshd.environment();
    let error = connect(&target, &environment, &Deadlines::default()).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::HostKey);
    let ConnectError::HostKeyUnknown { offered, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(offered.fingerprint, fingerprint(&sshd, "host_ed25519.pub"));
    assert!(sshd.host_key().starts_with(&offered.public_key));
    let before_refusal = proxy.client_bytes();
    assert!(
        !environment.user_known_hosts[0].exists(),
        "nothing may be recorded on first use"
    );

    // What the error says to pin is what works.
    let pinned = Target {
        host_keys: vec![offered.public_key],
        ..target
    };
    connect(&pinned, &environment, &Deadlines::default()).await.unwrap();
    // The same again and the login: what was sent before was not a login.
    let login = proxy.client_bytes() - 2 * before_refusal;
    assert!(login > 300, "{login} bytes more than the {before_refusal} of a refusal");
}

#[tokio::test]
async fn a_changed_key_shows_both_fingerprints() {
    let sshd = Sshd::start();
    let environment = sshd.environment();
    // Of the same algorithm, the user's own key stands in for the old host key.
    let old = fs::read_to_string(sshd.path("id.pub")).unwrap();
    let by_pin = Target {
        host_keys: vec![old.clone()],
        ..sshd.target()
    };
    let error = connect(&by_pin, &environment, &Deadlines::default()).await.unwrap_err();
    let ConnectError::HostKeyChanged { expected, offered, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(expected[0].fingerprint, fingerprint(&sshd, "id.pub"));
    assert_eq!(offered.fingerprint, fingerprint(&sshd, "host_ed25519.pub"));

    record(&environment, &format!("# a comment\n[127.0.0.1]:{} {old}", sshd.port));
    let error = connect(&recorded(&sshd), &environment, &Deadlines::default())
        .await
        .unwrap_err();
    let ConnectError::HostKeyChanged { expected, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(expected[0].place.as_ref().unwrap().line, 2);
}

/// The server has ed25519 and ecdsa. With the ecdsa key recorded it must use that; with only an rsa
/// key recorded it has changed, and is not "unknown".
#[tokio::test]
async fn the_recorded_algorithm_is_asked_for_and_another_is_a_change() {
    let sshd = Sshd::start();
    let environment = sshd.environment();
    let ecdsa = fs::read_to_string(sshd.path("host_ecdsa.pub")).unwrap();
    record(&environment, &format!("[127.0.0.1]:{} {ecdsa}", sshd.port));
    connect(&recorded(&sshd), &environment, &Deadlines::default())
        .await
        .unwrap();

    let rsa = sshd.path("rsa");
    keygen(&["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", path_str(&rsa)]);
    let rsa = fs::read_to_string(sshd.path("rsa.pub")).unwrap();
    record(&environment, &format!("[127.0.0.1]:{} {rsa}", sshd.port));
    let error = connect(&recorded(&sshd), &environment, &Deadlines::default())
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::HostKeyChanged { .. }), "{error:?}");
}

#[tokio::test]
async fn a_known_hosts_file_that_cannot_be_read_is_a_refusal() {
    let sshd = Sshd::start();
    let environment = sshd.environment();
    fs::create_dir(&environment.user_known_hosts[0]).unwrap();
    let error = connect(&sshd.target(), &environment, &Deadlines::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Local, "{error}");
}

/// Files of known_hosts lines, by name. `HOST` is the name with the port, `KEY` the right key.
fn corpus(sshd: &Sshd) -> Vec<(String, String)> {
    let key = sshd.host_key().split(' ').take(2).collect::<Vec<_>>().join(" ");
    let other = fs::read_to_string(sshd.path("id.pub")).unwrap();
    let other = other.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let ecdsa = fs::read_to_string(sshd.path("host_ecdsa.pub"))
        .unwrap()
        .trim()
        .to_owned();
    let blob = key.split(' ').nth(1).unwrap().to_owned();
    let host = format!("[localhost]:{}", sshd.port);
    let hashed = |name: &str| {
        let path = sshd.path("to_hash");
        fs::write(&path, format!("{name} {key}\n")).unwrap();
        keygen(&["-q", "-H", "-f", path_str(&path)]);
        fs::read_to_string(&path).unwrap()
    };
    let half = blob.len() / 2;
    let cases = [
        ("empty", String::new()),
        ("plain", format!("{host} {key}\n")),
        ("no newline", format!("{host} {key}")),
        (
            "comment after the key",
            format!("{host} {key} root@localhost and more\n"),
        ),
        ("tabs", format!("{host}\t{}\n", key.replace(' ', "\t"))),
        ("leading blanks", format!(" \t {host}  {key}\n")),
        ("carriage return", format!("{host} {key}\r\n")),
        ("carriage return after a comment", format!("{host} {key} c\r\n")),
        ("commented out", format!("#{host} {key}\n")),
        ("commented out after a blank", format!(" # {host} {key}\n")),
        ("without the port", format!("localhost {key}\n")),
        ("another port", format!("[localhost]:1 {key}\n")),
        ("another host", format!("example.com {key}\n")),
        ("the address", format!("[127.0.0.1]:{} {key}\n", sshd.port)),
        ("upper case", format!("[LOCALHOST]:{} {key}\n", sshd.port)),
        ("a list", format!("a,{host},b {key}\n")),
        ("a list with an empty name", format!(",{host} {key}\n")),
        ("a star", format!("* {key}\n")),
        ("a star in brackets", format!("[*]:{} {key}\n", sshd.port)),
        ("a question mark", format!("[localhos?]:{} {key}\n", sshd.port)),
        ("negated", format!("*,!{host} {key}\n")),
        ("negated first", format!("!{host},* {key}\n")),
        ("only negated", format!("!{host} {key}\n")),
        ("negated without the port", format!("!localhost,* {key}\n")),
        ("hashed", hashed(&host)),
        ("hashed without the port", hashed("localhost")),
        ("hashed of another host", hashed("example.com")),
        ("hashed and cut short", hashed(&host).replace("= ", " ")),
        ("changed", format!("{host} {other}\n")),
        ("changed and right", format!("{host} {other}\n{host} {key}\n")),
        ("right and changed", format!("{host} {key}\n{host} {other}\n")),
        (
            "changed with port and right without",
            format!("{host} {other}\nlocalhost {key}\n"),
        ),
        ("another algorithm", format!("{host} {ecdsa}\n")),
        ("another algorithm without the port", format!("localhost {ecdsa}\n")),
        ("revoked", format!("@revoked {host} {key}\n")),
        ("revoked and recorded", format!("@revoked {host} {key}\n{host} {key}\n")),
        ("recorded and revoked", format!("{host} {key}\n@revoked {host} {key}\n")),
        ("revoked for all", format!("{host} {key}\n@revoked * {key}\n")),
        (
            "revoked without the port",
            format!("{host} {key}\n@revoked localhost {key}\n"),
        ),
        (
            "revoked with a carriage return",
            format!("{host} {key}\r\n@revoked * {key}\r\n"),
        ),
        ("revoked with tabs", format!("{host} {key}\n@revoked\t*\t{key}\n")),
        ("revoked after a blank", format!("{host} {key}\n  @revoked * {key}\n")),
        (
            "another key revoked",
            format!("@revoked {host} {other}\n{host} {key}\n"),
        ),
        (
            "revoked for another host",
            format!("@revoked example.com {key}\n{host} {key}\n"),
        ),
        ("revoked in capitals", format!("@REVOKED {host} {key}\n{host} {key}\n")),
        ("authority", format!("@cert-authority {host} {key}\n")),
        (
            "authority and recorded",
            format!("@cert-authority {host} {other}\n{host} {key}\n"),
        ),
        ("an unknown marker", format!("@trusted {host} {key}\n")),
        ("bad base64", format!("{host} ssh-ed25519 !!!{blob}\n")),
        ("base64 cut short", format!("{host} ssh-ed25519 {}\n", &blob[..half])),
        (
            "base64 with a blank inside",
            format!("{host} ssh-ed25519 {} {}\n", &blob[..half], &blob[half..]),
        ),
        (
            "bad base64, then right",
            format!("{host} ssh-ed25519 AAAA\n{host} {key}\n"),
        ),
        ("the wrong key type", format!("{host} ssh-rsa {blob}\n")),
        ("an unknown key type", format!("{host} ssh-magic {blob}\n")),
        ("no key type", format!("{host} {blob}\n")),
        (
            "another algorithm and right without the port",
            format!("localhost {ecdsa}\nlocalhost {key}\n"),
        ),
        ("only a host", format!("{host}\n")),
        ("NUL before the key", format!("{host} \0{key}\n")),
        ("NUL after the key", format!("{host} {key}\0\n")),
        (
            "NUL after a revoked key",
            format!("{host} {key}\n@revoked {host} {key}\0\n"),
        ),
        ("a very long line", format!("{}{host} {key}\n", "a,".repeat(60_000))),
        (
            "many lines",
            format!("{}{host} {key}\n", format!("example.com {key}\n").repeat(5_000)),
        ),
        ("a form feed", format!("\x0c{host} {key}\n")),
        ("not UTF-8 in a comment", format!("{host} {key} \u{fffd}\n")),
    ];
    cases.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}

/// Where OpenSSH with `StrictHostKeyChecking=yes` refuses, so do we; and we accept what it accepts,
/// but for revocations that it overlooks.
#[tokio::test(flavor = "multi_thread")]
async fn known_hosts_files_mean_what_they_mean_to_openssh() {
    let sshd = Sshd::start();
    let mut accepted = 0;
    let mut differences = Vec::new();
    let mut running = tokio::task::JoinSet::new();
    for (index, (name, text)) in corpus(&sshd).into_iter().enumerate() {
        let file = sshd.path(&format!("known_hosts_{index}"));
        fs::write(&file, &text).unwrap();
        // Neither side logs in: the question is whether they get as far as being refused.
        let mut ssh: Command = sshd.ssh(sshd.port);
        ssh.args([
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "PreferredAuthentications=none",
            "-o",
        ])
        .arg(format!("UserKnownHostsFile={}", file.display()))
        .args(["localhost", "true"]);
        let target = Target {
            address: Some("localhost".to_owned()),
            identity_files: vec![sshd.path("no such key")],
            ..recorded(&sshd)
        };
        let environment = Environment {
            user_known_hosts: vec![file],
            ..sshd.environment()
        };
        running.spawn(async move {
            let output = tokio::task::spawn_blocking(move || ssh.output())
                .await
                .unwrap()
                .unwrap();
            let talk = String::from_utf8_lossy(&output.stderr).into_owned();
            let openssh = talk.contains("Permission denied");
            assert!(
                openssh || talk.contains("Host key verification failed"),
                "{name}: {talk}"
            );
            let error = connect(&target, &environment, &Deadlines::default()).await.unwrap_err();
            let ours = match error.kind() {
                ConnectErrorKind::Auth => true,
                ConnectErrorKind::HostKey => false,
                other => panic!("{name}: {other:?} {error}"),
            };
            (name, openssh, ours)
        });
        if running.len() >= 4 {
            tally(
                running.join_next().await.unwrap().unwrap(),
                &mut accepted,
                &mut differences,
            );
        }
    }
    while let Some(done) = running.join_next().await {
        tally(done.unwrap(), &mut accepted, &mut differences);
    }
    differences.sort();
    assert_eq!(
        differences,
        [
            // OpenSSH wants a space after the marker, and skips the line.
            "revoked with tabs: OpenSSH accepts: true, we accept: false",
            // OpenSSH looks at names without the port only if there is none with it.
            "revoked without the port: OpenSSH accepts: true, we accept: false",
        ]
    );
    assert!(
        (15..40).contains(&accepted),
        "the corpus has {accepted} files that OpenSSH accepts"
    );
}

fn tally((name, openssh, ours): (String, bool, bool), accepted: &mut usize, differences: &mut Vec<String>) {
    *accepted += usize::from(openssh);
    if openssh != ours {
        differences.push(format!("{name}: OpenSSH accepts: {openssh}, we accept: {ours}"));
    }
}
