//! A host and its program as they usually go, and a host that does its best to leak.

use std::fs;
use std::process::{Command, Stdio};

use super::watch::{Watch, sshd};
use super::{Search, canary, forms};
use crate::lab::Lab;
use crate::secrets::{BOT, secrets};

#[test]
fn no_secret_is_anywhere_but_in_memory_whatever_happens() {
    let lab = Lab::new();
    let token = canary("token");
    let key = canary("key");
    let values = lab.root().join("values");
    lab.write("values/token", &token);
    lab.write("values/key", &key);
    // A program on the host that puts its secret where everybody looks: into a managed file, a probe's answer, its own failure.
    let leaky = r#"
[files."/etc/leak"]
text = "as declared\n"

[commands.tell]
run = ["/bin/sh", "-c", "cat /run/agenix/token /run/agenix/bot.env >&2; base64 -w0 /run/agenix/token; exit 3"]
creates = "/root/told"
"#;
    let body = secrets(&lab) + BOT;
    let search = Search::for_all(&[&token, &key]);

    // The searcher is shown a leak of each kind, and finds each.
    let planted = lab.outside("/var/lib/planted");
    fs::create_dir(&planted).unwrap();
    let all = [forms(&token), forms(&key)].concat();
    for (number, (_, form)) in all.iter().enumerate() {
        fs::write(
            planted.join(number.to_string()),
            [b"before ", form.as_slice(), b" after"].concat(),
        )
        .unwrap();
    }
    assert_eq!(
        search.below(&lab.host.root(), &[]).len(),
        all.len(),
        "the searcher misses planted leaks"
    );
    fs::remove_dir_all(&planted).unwrap();
    assert!(search.below(&lab.host.root(), &[]).is_empty());
    let traces = tempfile::tempdir().unwrap();
    let server = sshd(&lab);
    let watch = Watch::over(&server, traces.path().join("planted"));
    let told = lab
        .host
        .ssh()
        .arg("read -r line; exec env SEEN=\"$line\" true")
        .stdin(fs::File::open(values.join("token")).unwrap())
        .status();
    assert!(told.unwrap().success());
    let shown = watch.end();
    assert!(!search.in_bytes(&shown).is_empty(), "a planted argument is not seen");

    let watch = Watch::over(&server, traces.path().join("host"));
    let mut said = Vec::new();
    let mut run = |args: &[&str]| {
        let own = traces.path().join(format!("own-{}", said.len()));
        let output = Command::new("strace")
            .args(["-f", "-v", "-qq", "-s", "100000", "-e", "trace=execve", "-o"])
            .arg(&own)
            .arg(crate::lab::PROVISION)
            .args(args)
            .current_dir(lab.root())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", lab.root())
            .env("USER", "tester")
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        said.push((
            args.join(" "),
            [output.stdout, output.stderr, fs::read(&own).unwrap()].concat(),
        ));
        output.status.code()
    };
    lab.declare(&body);
    assert_eq!(run(&["plan", "--diff", "--verbose"]), Some(0));
    assert_eq!(run(&["apply", "--yes", "--json"]), Some(0));
    lab.declare(&format!("{body}{leaky}"));
    lab.on_host("cp /run/agenix/token /etc/leak; chmod 0644 /etc/leak");
    assert_eq!(run(&["plan", "--diff"]), Some(0));
    assert_eq!(run(&["plan", "--json", "--out", "saved.plan"]), Some(0));
    assert_eq!(run(&["drift", "--json"]), Some(0));
    assert_ne!(run(&["apply", "--yes", "--diff"]), Some(0));
    assert_ne!(run(&["apply", "--yes", "--json"]), Some(0));
    for args in [
        &["show", lab.name(), "--json"][..],
        &["show", lab.name(), "--toml"],
        &["status", "--json"],
        &["generations", lab.name(), "--json"],
        &["attach", lab.name()],
        &["why", lab.name(), "secret:token"],
    ] {
        run(args);
    }
    fs::write(values.join("token"), "").unwrap();
    run(&["apply", "--yes"]);
    fs::write(values.join("token"), &token).unwrap();
    lab.on_host("mkdir -p /run/systemd/system/x && mv /run/agenix /run/agenix.away && mkdir /run/agenix");
    run(&["apply", "--yes"]);
    lab.on_host("rmdir /run/agenix && mv /run/agenix.away /run/agenix");
    let traced = watch.end();

    assert!(
        search.in_bytes(&traced).is_empty(),
        "in what was started on the host: {:?}",
        search.in_bytes(&traced)
    );
    for (what, bytes) in &said {
        let found = search.in_bytes(bytes);
        assert!(
            found.is_empty(),
            "{what} tells it: {found:?}\n{}",
            String::from_utf8_lossy(bytes)
        );
    }
    // The bot itself writes down what it reads, and somebody copied a secret to /etc: all else is ours to answer for.
    let theirs = ["/var/lib/bot", "/etc/leak"].map(|path| lab.outside(path));
    let found = search.below(&lab.host.root(), &theirs);
    assert!(found.is_empty(), "on the host's disk: {found:?}");
    let found = search.below(lab.root(), &[values]);
    assert!(found.is_empty(), "in the project: {found:?}");
    // What else is in the host's memory: all of /run and /tmp but the secrets' own.
    let tmp = "tar -C / --one-file-system -cf - run tmp 2>/dev/null | cat > /root/memory.tar; true";
    lab.on_host(tmp);
    let memory = fs::read(lab.outside("/root/memory.tar")).unwrap();
    assert!(memory.len() > 10_000, "the host's /run is not in it");
    assert!(
        search.in_bytes(&memory).is_empty(),
        "in /run or /tmp: {:?}",
        search.in_bytes(&memory)
    );
}
