//! The project's own secrets, as a user keeps them.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::project::{Project, Ran, ran};

/// A value that is nowhere else.
pub(crate) const CANARY: &str = "canary-5f1e77";

/// A project of somebody with an SSH key.
pub(crate) fn project() -> Project {
    let project = Project::new();
    ssh_key(project.path(), ".ssh/id_ed25519", "");
    project
}

/// Makes an SSH key and gives its public half.
pub(crate) fn ssh_key(root: &Path, name: &str, passphrase: &str) -> String {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-C", "alice@desk", "-N", passphrase, "-f"])
        .arg(&path)
        .status();
    assert!(made.unwrap().success());
    fs::read_to_string(path.with_extension("pub"))
        .unwrap()
        .trim()
        .to_owned()
}

pub(crate) fn with_input(project: &Project, args: &[&str], input: &[u8]) -> Ran {
    let mut command = project.command(args);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses before it reads has closed its side.
    let _ = child.stdin.take().unwrap().write_all(input);
    ran(child.wait_with_output().unwrap())
}

fn edit(project: &Project, name: &str, script: &str) -> Ran {
    project.write("editor", &format!("#!/bin/sh\n{script}\n"));
    let editor = project.path().join("editor");
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
    // Words after the program are its arguments.
    let editor = format!("{} --wait", editor.display());
    ran(project
        .command(&["secrets", "edit", name])
        .env("EDITOR", editor)
        .output()
        .unwrap())
}

#[test]
fn the_first_secret() {
    let project = project();
    let made = project.run(&["secrets", "init"]).expect(0);
    assert!(
        made.stdout.contains("secrets/secrets.age.toml") && made.stdout.contains("secrets/stores.toml"),
        "{}",
        made.stdout
    );
    assert!(made.stderr.contains("alice@desk"), "{}", made.stderr);
    let stored = with_input(&project, &["secrets", "set", "discord-token"], CANARY.as_bytes()).expect(0);
    assert_eq!(stored.stdout, "discord-token  v1, under 16 bytes, one line\n");
    let listed = project.run(&["secrets", "list"]).expect(0);
    assert!(
        listed.stdout.starts_with("discord-token  v1\n1 recipient can decrypt"),
        "{}",
        listed.stdout
    );
    let told = project.run(&["secrets", "get", "discord-token"]).expect(0);
    assert_eq!(
        told.stdout,
        "discord-token  v1, under 16 bytes, one line; --reveal prints it\n"
    );
    assert_eq!(
        project
            .run(&["secrets", "get", "discord-token", "--reveal"])
            .expect(0)
            .stdout,
        CANARY
    );
    for file in ["secrets/secrets.age.toml", "secrets/stores.toml"] {
        assert!(!fs::read_to_string(project.path().join(file)).unwrap().contains(CANARY));
    }
    let _ = project.run(&["secrets", "remove", "discord-token"]).expect(0);
    assert!(
        project
            .run(&["secrets", "list"])
            .expect(0)
            .stdout
            .contains("no secrets yet")
    );
    let stored = with_input(&project, &["secrets", "set", "discord-token"], b"another one, longer\n").expect(0);
    assert_eq!(
        stored.stdout,
        "discord-token  v2, 16 to 31 bytes, one line, with a line feed at its end\n"
    );
    let again = project.run(&["secrets", "init"]).expect(1);
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
}

#[test]
fn programs_read_documents() {
    let project = project();
    let made = project.run(&["secrets", "init", "--json"]).expect(0).json();
    assert_eq!(made["command"], "secrets init");
    let stored = with_input(&project, &["secrets", "set", "a", "--json"], b"\xff\0")
        .expect(0)
        .json();
    assert_eq!(
        (&stored["name"], &stored["secret_version"]),
        (&"a".into(), &"v1".into())
    );
    let told = project.run(&["secrets", "get", "a", "--json"]).expect(0).json();
    assert_eq!(told["about"], "under 16 bytes, binary");
    assert!(told.get("value").is_none() && told.get("value_base64").is_none());
    let revealed = project
        .run(&["secrets", "get", "a", "--json", "--reveal"])
        .expect(0)
        .json();
    assert_eq!(
        (&revealed["value"], &revealed["value_base64"]),
        (&serde_json::Value::Null, &"/wA=".into())
    );
    let listed = project.run(&["secrets", "list", "--json"]).expect(0).json();
    assert_eq!(listed["secrets"], serde_json::json!([{ "name": "a", "version": "v1" }]));
    let rekeyed = project.run(&["secrets", "rekey", "--json"]).expect(0).json();
    assert_eq!(rekeyed["secrets"], 0);
    assert_eq!(
        project.run(&["secrets", "remove", "a", "--json"]).expect(0).json()["name"],
        "a"
    );
}

#[test]
fn a_value_is_edited_in_memory_and_nothing_of_it_is_left() {
    let project = project();
    let _ = project.run(&["secrets", "init"]).expect(0);
    let place = project.path().join("place");
    // What the editor is given, and that it is in memory and ours alone; and a copy beside it, as editors make them.
    let look = format!(
        "test \"$1\" = --wait || exit 9\nstat -f -c %T \"$2\" > {0}\nstat -c '%a %n' \"$2\" \"$(dirname \"$2\")\" >> {0}\ncp \"$2\" \"$2.swp\"\n",
        place.display()
    );
    let made = edit(&project, "tls/web.key", &format!("{look}echo {CANARY} > \"$2\"")).expect(0);
    assert_eq!(made.stdout, "tls/web.key  v1, under 16 bytes, one line\n");
    let seen = fs::read_to_string(&place).unwrap();
    let lines: Vec<_> = seen.lines().collect();
    assert_eq!(lines[0], "tmpfs");
    assert!(lines[1].starts_with("600 ") && lines[1].ends_with("/web.key"), "{seen}");
    assert!(lines[2].starts_with("700 "), "{seen}");
    assert!(!Path::new(lines[2].trim_start_matches("700 ")).exists(), "{seen}");
    assert_eq!(
        project
            .run(&["secrets", "get", "tls/web.key", "--reveal"])
            .expect(0)
            .stdout,
        CANARY
    );

    let same = edit(&project, "tls/web.key", "exec true").expect(0);
    assert!(same.stderr.contains("nothing was stored"), "{}", same.stderr);
    let failed = edit(&project, "tls/web.key", "echo x > \"$2\"; exit 1").expect(1);
    assert!(failed.stderr.contains("ended with an error"), "{}", failed.stderr);
    let emptied = edit(&project, "tls/web.key", ": > \"$2\"").expect(1);
    assert!(emptied.stderr.contains("the value is empty"), "{}", emptied.stderr);
    // Somebody else sets it meanwhile.
    let program = env!("CARGO_BIN_EXE_provision");
    let raced = edit(
        &project,
        "tls/web.key",
        &format!("printf other | {program} secrets set tls/web.key; echo mine > \"$2\""),
    )
    .expect(1);
    assert!(raced.stderr.contains("it has moved"), "{}", raced.stderr);
    assert_eq!(
        project
            .run(&["secrets", "get", "tls/web.key", "--reveal"])
            .expect(0)
            .stdout,
        "other"
    );
}

#[test]
fn recipients_come_and_go() {
    let project = project();
    let bob = ssh_key(project.path(), "keys/bob", "");
    let _ = project
        .run(&["secrets", "init", "--recipient", ".ssh/id_ed25519.pub"])
        .expect(0);
    let _ = with_input(&project, &["secrets", "set", "a"], CANARY.as_bytes()).expect(0);
    let as_bob = |args: &[&str]| {
        let output = project
            .command(args)
            .env("PROVISION_AGE_IDENTITY", project.path().join("keys/bob"))
            .output();
        ran(output.unwrap())
    };
    let refused = as_bob(&["secrets", "get", "a"]).expect(1);
    assert!(
        refused.stderr.contains("none of your keys can decrypt it") && refused.stderr.contains("rekey"),
        "{}",
        refused.stderr
    );
    let config = fs::read_to_string(project.path().join("secrets/stores.toml")).unwrap();
    project.write(
        "secrets/stores.toml",
        &config.replace("recipients = [\n", &format!("recipients = [\n  \"{bob}\",\n")),
    );
    let refused = with_input(&project, &["secrets", "set", "b"], b"x").expect(1);
    assert!(refused.stderr.contains("provision secrets rekey"), "{}", refused.stderr);
    let done = project.run(&["secrets", "rekey"]).expect(0);
    assert!(
        done.stdout.starts_with("1 secret encrypted anew") && done.stdout.contains("+ ssh-ed25519"),
        "{}",
        done.stdout
    );
    assert_eq!(as_bob(&["secrets", "get", "a", "--reveal"]).expect(0).stdout, CANARY);
    project.write("secrets/stores.toml", &config);
    let done = as_bob(&["secrets", "rekey"]).expect(0);
    assert!(done.stdout.contains("git's history"), "{}", done.stdout);
    let _ = as_bob(&["secrets", "get", "a"]).expect(1);
}

#[test]
fn what_age_has_encrypted_is_taken_over() {
    let project = project();
    let _ = project.run(&["secrets", "init"]).expect(0);
    let public = project.path().join(".ssh/id_ed25519.pub");
    let mut age = Command::new("age")
        .arg("-R")
        .arg(public)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    age.stdin.take().unwrap().write_all(CANARY.as_bytes()).unwrap();
    let file = age.wait_with_output().unwrap().stdout;
    let _ = with_input(&project, &["secrets", "set", "a", "--age"], &file).expect(0);
    assert_eq!(
        project.run(&["secrets", "get", "a", "--reveal"]).expect(0).stdout,
        CANARY
    );
    let refused = with_input(&project, &["secrets", "set", "a", "--age"], CANARY.as_bytes()).expect(1);
    assert!(
        refused.stderr.contains("not a file of age's") && !refused.stderr.contains(CANARY),
        "{}",
        refused.stderr
    );
}

#[test]
fn each_mistake_is_told_with_a_way_out() {
    let project = project();
    let nothing = project.run(&["secrets", "list"]).expect(1);
    assert!(nothing.stderr.contains("provision secrets init"), "{}", nothing.stderr);
    let _ = project
        .run(&["secrets", "init", "--recipient", "ssh-dss AAAA"])
        .expect(1);
    let _ = project.run(&["secrets", "init"]).expect(0);
    for (args, input, says) in [
        (&["secrets", "set", "a"][..], &b""[..], "the value is empty"),
        (&["secrets", "set", "a"], &[b'x'; 65_537], "larger than 65536 bytes"),
        (&["secrets", "set", "a b"], b"x", "cannot be a secret's name"),
        (&["secrets", "get", "none"], b"", "there is no such secret"),
    ] {
        let refused = with_input(&project, args, input).expect(1);
        assert!(
            refused.stderr.contains(says) && refused.stderr.contains("hint: "),
            "{}",
            refused.stderr
        );
    }
    let _ = with_input(&project, &["secrets", "set", "a"], CANARY.as_bytes()).expect(0);
    let near = project.run(&["secrets", "get", "b"]).expect(1);
    assert!(near.stderr.contains("did you mean \"a\"?"), "{}", near.stderr);
    fs::set_permissions(
        project.path().join(".ssh/id_ed25519"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let exposed = project.run(&["secrets", "get", "a"]).expect(1);
    assert!(exposed.stderr.contains("chmod 600"), "{}", exposed.stderr);
    project.write(
        "secrets/stores.toml",
        "[aws]\nregoin = \"eu-central-1\"\n[age]\nidentities = \"~/key\"\n",
    );
    let wrong = project.run(&["secrets", "list"]).expect(1);
    insta::assert_snapshot!(wrong.stderr);
}

#[test]
fn a_person_is_asked_and_nothing_shows() {
    let project = project();
    let _ = project.run(&["secrets", "init"]).expect(0);
    let ask = |command: &str, keys: &str| {
        // `script` gives the program a terminal and types what it reads.
        let mut script = Command::new("script");
        script
            .args(["-qec", command, "/dev/null"])
            .current_dir(project.path())
            .env("HOME", project.path());
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        let mut seen = Vec::new();
        let mut byte = [0];
        // The question comes first: keys pressed before it would show.
        while !seen.ends_with(b": ") && std::io::Read::read(&mut out, &mut byte).unwrap() > 0 {
            seen.extend(byte);
        }
        // Held open: `script` types Ctrl-D when its own input ends.
        let mut hands = child.stdin.take().unwrap();
        hands.write_all(keys.as_bytes()).unwrap();
        std::io::Read::read_to_end(&mut out, &mut seen).unwrap();
        drop(hands);
        (child.wait().unwrap().success(), String::from_utf8(seen).unwrap())
    };
    let program = env!("CARGO_BIN_EXE_provision");
    let (done, seen) = ask(&format!("{program} secrets set token"), &format!("{CANARY}\r"));
    assert!(done && seen.contains("token  v1") && !seen.contains(CANARY), "{seen}");
    assert_eq!(
        project.run(&["secrets", "get", "token", "--reveal"]).expect(0).stdout,
        CANARY
    );
    let (done, seen) = ask(&format!("{program} secrets set token"), "wrong\x03");
    assert!(!done && seen.contains("stopped; nothing was touched"), "{seen}");

    // A key with a passphrase: asked for on a terminal, refused with a way out without one.
    let locked = ssh_key(project.path(), "keys/locked", "open sesame");
    let config = fs::read_to_string(project.path().join("secrets/stores.toml")).unwrap();
    project.write(
        "secrets/stores.toml",
        &config.replace("recipients = [\n", &format!("recipients = [\n  \"{locked}\",\n")),
    );
    let _ = project.run(&["secrets", "rekey"]).expect(0);
    let command = format!("PROVISION_AGE_IDENTITY=keys/locked {program} secrets get token");
    let (done, seen) = ask(&command, "open sesame\r");
    assert!(
        done && seen.contains("Passphrase of keys/locked: ")
            && seen.contains("--reveal prints it")
            && !seen.contains("sesame"),
        "{seen}"
    );
    let (done, seen) = ask(&command, "wrong\r");
    assert!(!done && seen.contains("not the passphrase"), "{seen}");
    let mut alone = Command::new("setsid");
    alone
        .args(["sh", "-c", &command])
        .current_dir(project.path())
        .stdin(Stdio::null());
    let refused = ran(alone.output().unwrap());
    assert!(
        refused.stderr.contains("protected by a passphrase"),
        "{}",
        refused.stderr
    );
}
