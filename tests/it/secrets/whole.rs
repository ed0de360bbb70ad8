//! Secrets as a whole: all of a host's or none, each byte of them, and each unit that uses them once.

use std::fs;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use provision_core::model::Digest;

use crate::faults::until;
use crate::lab::{Lab, Ran};
use crate::stand_in::StandIn;

const REGION: &str = "eu-central-1";

/// A bot that says when it starts.
const COUNTED: &str = "[units.\"bot.service\"]\nactive = true\nsettle = \"100ms\"\ntext = \"\"\"\n[Service]\n\
                       ExecStart=/bin/sh -c 'echo started >> /root/starts; exec sleep 99999'\n\"\"\"\n";

/// AWS, which the project knows from now on.
fn aws(lab: &Lab) -> StandIn {
    let stand_in = StandIn::start();
    let path = "secrets/stores.toml";
    let before = fs::read_to_string(lab.root().join(path)).unwrap_or_default();
    let endpoint = stand_in.control.endpoint();
    lab.write(
        path,
        &format!("{before}[aws]\nregion = \"{REGION}\"\nendpoint = \"{endpoint}\"\n"),
    );
    stand_in
}

/// Runs the program as somebody with credentials, with something to read.
fn with_input(lab: &Lab, args: &[&str], input: &[u8]) -> Ran {
    let variables = [
        ("AWS_ACCESS_KEY_ID", "OPERATOR"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    lab.provision_reading(args, &variables, input)
}

#[test]
fn a_secret_for_somebody_whom_the_host_does_not_have_is_refused_before_anything_changes() {
    let lab = Lab::new();
    lab.write("values/token", "canary-one\n");
    let value = lab.root().join("values/token").display().to_string();
    let body = format!(
        "[secrets.token]\ncommand = [\"cat\", {value:?}]\nowner = \"bto\"\nunits = [\"bot.service\"]\n\
         [users.bot]\nsystem = true\n[files.\"/etc/marker\"]\ntext = \"one\\n\"\n{COUNTED}"
    );
    lab.declare(&body);
    let plan = lab.plan().expect(1);
    let refused = lab.provision(&["apply", "--yes"]).expect(1);
    for ran in [&plan, &refused] {
        let told = ran.told();
        for words in [
            "secret:token",
            "the user `bto`, which the host does not have",
            "[users.bto]",
        ] {
            assert!(told.contains(words), "no {words:?} in {told}");
        }
        assert!(!told.contains("canary"), "{told}");
    }
    let untouched = "test ! -e /etc/marker -a ! -e /run/agenix -a ! -e /run/agenix.d -a ! -e /var/lib/provision/current; \
                     ! getent passwd bot";
    lab.on_host(untouched);

    // Whoever is there without being declared is as good as anybody.
    lab.on_host("useradd --system bto");
    lab.converge(&body);
    assert_eq!(
        lab.on_host("stat -L -c '%U %G' /run/agenix/token; cat /root/starts"),
        "bto bto\nstarted"
    );

    // One who has gone since is missed in the same way, and what is there stays.
    lab.on_host("userdel bto");
    lab.write("values/token", "canary-two\n");
    let refused = lab.provision(&["apply", "--yes"]).expect(1);
    assert!(refused.told().contains("the user `bto`"), "{}", refused.told());
    assert_eq!(lab.on_host("cat /run/agenix/token /root/starts"), "canary-one\nstarted");
}

#[test]
fn of_ten_secrets_one_that_its_store_refuses_lets_none_be_put_in_place() {
    let lab = &Lab::new();
    let stand_in = aws(lab);
    let aws = &stand_in.control;
    let run = |args: &[&str]| with_input(lab, args, b"");
    let put = |round: &str| {
        for number in 0..10 {
            aws.put(
                REGION,
                &format!("bots/s{number}"),
                "SecretString",
                &format!("canary-{round}-{number}"),
            );
        }
    };
    let secrets: String = (0..10)
        .map(|number| format!("[secrets.s{number}]\naws = \"bots/s{number}\"\nunits = [\"bot.service\"]\n"))
        .collect();
    let declare = |marker: &str| {
        lab.declare(&format!(
            "{secrets}[files.\"/etc/marker\"]\ntext = \"{marker}\\n\"\n{COUNTED}"
        ));
    };
    // The plan needs no value, so it is the apply that learns of it.
    let refuse = || {
        let words =
            "User: arn:aws:iam::123456789012:user/ci is not authorized to perform: secretsmanager:GetSecretValue";
        aws.fail("GetSecretValue", Some("bots/s7"), "AccessDeniedException", words, 1);
        let plan = run(&["plan", "--detailed-exitcode"]).expect(2);
        let refused = run(&["apply", "--yes"]).expect(1);
        assert!(plan.stdout.contains("secret:s7"), "{}", plan.told());
        let told = refused.told();
        for words in ["`s7`", "is not authorized to perform: secretsmanager:GetSecretValue"] {
            assert!(refused.stderr.contains(words), "no {words:?} in {told}");
        }
        for number in (0..10).filter(|number| *number != 7) {
            assert!(!refused.stderr.contains(&format!("`s{number}`")), "{told}");
        }
        assert!(!told.contains("canary"), "{told}");
    };

    put("one");
    declare("one");
    refuse();
    lab.on_host("test ! -e /etc/marker -a ! -e /run/agenix -a ! -e /run/agenix.d -a ! -e /var/lib/provision/current");
    let _ = run(&["apply", "--yes"]).expect(0);
    let look = "cat /etc/marker /root/starts; for n in 0 1 2 3 4 5 6 7 8 9; do cat /run/agenix/s$n; echo; done";
    let expected = |round: &str| {
        let values: Vec<_> = (0..10).map(|number| format!("canary-{round}-{number}")).collect();
        format!("{round}\nstarted\n{}", values.join("\n"))
    };
    assert_eq!(lab.on_host(look), expected("one"));

    // A rotation of all ten with one that is refused: the old set is there, whole, and nothing was restarted.
    put("two");
    declare("two");
    refuse();
    assert_eq!(lab.on_host(look), expected("one"));
    let _ = run(&["apply", "--yes"]).expect(0);
    assert_eq!(
        lab.on_host(look),
        expected("two").replace("started\n", "started\nstarted\n")
    );
}

#[test]
fn units_that_use_one_secret_are_restarted_once_each_and_in_the_order_of_their_dependencies() {
    let lab = Lab::new();
    lab.write("values/token", "canary-one\n");
    let value = lab.root().join("values/token").display().to_string();
    // By name they would go the other way round. It counts as started once it has said so.
    let unit = |name: &str, after: &str| {
        format!(
            "[units.\"{name}.service\"]\nactive = true\nsettle = \"100ms\"\ntext = \"\"\"\n[Unit]\n{after}\n[Service]\n\
             ExecStartPre=/bin/sh -c 'read -r token < /run/agenix/token; echo {name} $$token >> /root/starts'\nExecStart=/bin/sleep infinity\n\"\"\"\n"
        )
    };
    let body = format!(
        "[secrets.token]\ncommand = [\"cat\", {value:?}]\n{}{}{}",
        unit("c", ""),
        unit("b", "After=c.service"),
        unit("a", "After=b.service"),
    );
    lab.converge(&body);
    lab.on_host("truncate -s 0 /root/starts");
    lab.write("values/token", "canary-two\n");
    let applied = lab.converge(&body);
    assert!(!applied.told().contains("canary"), "{}", applied.told());
    assert_eq!(
        lab.on_host("cat /root/starts"),
        "c canary-two\nb canary-two\na canary-two"
    );

    // Where systemd itself would take the later ones along with the first, each is still started once.
    let bound = body
        .replace("After=c.service", "After=c.service\\nRequires=c.service")
        .replace("After=b.service", "After=b.service\\nRequires=b.service");
    lab.converge(&bound);
    lab.on_host("truncate -s 0 /root/starts");
    lab.write("values/token", "canary-three\n");
    lab.converge(&bound);
    assert_eq!(
        lab.on_host("cat /root/starts"),
        "c canary-three\nb canary-three\na canary-three"
    );
}

#[test]
fn a_key_of_many_lines_and_every_byte_there_is_arrive_exactly() {
    let lab = &Lab::new();
    fs::create_dir(lab.root().join(".ssh")).unwrap();
    let key = lab.root().join(".ssh/id_ed25519");
    for (path, kind) in [
        (&key, &["-t", "ed25519"][..]),
        (&lab.root().join("web"), &["-t", "rsa", "-m", "PEM"]),
    ] {
        let made = Command::new("ssh-keygen")
            .args(["-qN", ""])
            .args(kind)
            .arg("-f")
            .arg(path)
            .status();
        assert!(made.unwrap().success());
    }
    let pem = fs::read(lab.root().join("web")).unwrap();
    assert!(pem.starts_with(b"-----BEGIN RSA PRIVATE KEY-----\n") && pem.ends_with(b"-----\n"));
    let all: Vec<u8> = (0..=255).collect();
    // Without a line feed at the end, with one, and with more than one.
    let ragged = [&all[..], b"\n\n"].concat();
    let values = [("pem", &pem), ("all", &all), ("ragged", &ragged)];
    let _ = with_input(lab, &["secrets", "init"], b"").expect(0);
    let stand_in = aws(lab);
    let aws = &stand_in.control;
    let mut body = String::new();
    for (name, bytes) in values {
        let _ = with_input(lab, &["secrets", "set", &format!("in-age-{name}")], bytes).expect(0);
        match std::str::from_utf8(bytes) {
            Ok(text) => aws.put(REGION, &format!("bots/in-aws-{name}"), "SecretString", text),
            Err(_) => aws.put(
                REGION,
                &format!("bots/in-aws-{name}"),
                "SecretBinary",
                &STANDARD.encode(bytes),
            ),
        };
        body += &format!("[secrets.in-age-{name}]\nage = \"in-age-{name}\"\nunits = [\"bot.service\"]\n");
        body += &format!("[secrets.in-aws-{name}]\naws = \"bots/in-aws-{name}\"\nunits = [\"bot.service\"]\n");
    }
    lab.declare(&(body + COUNTED));
    let _ = with_input(lab, &["apply", "--yes"], b"").expect(0);
    let sums = lab.on_host("cd /run/agenix && sha256sum *");
    let mut expected: Vec<_> = values
        .iter()
        .flat_map(|(name, bytes)| ["age", "aws"].map(|store| (format!("in-{store}-{name}"), Digest::of(bytes))))
        .map(|(name, digest)| (name.clone(), format!("{digest}  {name}")))
        .collect();
    expected.sort();
    let expected: Vec<_> = expected.into_iter().map(|(_, line)| line).collect();
    assert_eq!(sums.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn hosts_of_one_run_get_one_version_though_the_store_moves_between_them() {
    let (one, other) = (Lab::new(), Lab::new());
    // In the order in which hosts are applied to, one after the other.
    let (first, second) = if one.name() < other.name() {
        (one, other)
    } else {
        (other, one)
    };
    first.write("values/token", "canary-one\n");
    let value = first.root().join("values/token").display().to_string();
    let secret =
        format!("[secrets.token]\ncommand = [\"cat\", {value:?}]\nshared = true\nunits = [\"bot.service\"]\n{COUNTED}");
    // The first waits in the middle of its run, when it has the secret; the second is told nothing before that has ended.
    let gate = "[commands.gate]\nrun = [\"/bin/sh\", \"-c\", \"touch /root/came; until [ -e /root/go ]; do sleep 0.02; done\"]\n\
                creates = \"/root/go\"\nafter = [\"secret:token\"]\n";
    first.declare(&format!("{secret}{gate}"));
    let text = second.host_file(second.host.ssh_address().port(), &secret);
    first.write(&format!("hosts/{}.toml", second.name()), &text);
    let run = first
        .command(&["apply", "--yes", "--parallel", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let came = first.outside("/root/came");
    until("a run in its middle", || came.exists());
    assert_eq!(first.on_host("cat /run/agenix/token"), "canary-one");
    second.on_host("test ! -e /run/agenix");
    first.write("values/token", "canary-two\n");
    first.on_host("touch /root/go");
    let output = run.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    for lab in [&first, &second] {
        assert_eq!(lab.on_host("cat /run/agenix/token"), "canary-one");
    }
    // The next run has the next one, for both.
    let _ = first.provision(&["apply", "--yes"]).expect(0);
    for lab in [&first, &second] {
        assert_eq!(lab.on_host("cat /run/agenix/token"), "canary-two");
    }

    // One that moves between the plan and the run is for no host.
    first.write("values/token", "canary-three\n");
    let _ = first.provision(&["plan", "--out", "both.plan"]).expect(0);
    first.write("values/token", "canary-four\n");
    let stale = first.provision(&["apply", "--yes", "./both.plan"]).expect(5);
    assert!(stale.stderr.contains("moved since the plan"), "{}", stale.told());
    for lab in [&first, &second] {
        assert_eq!(lab.on_host("cat /run/agenix/token"), "canary-two");
    }
}
