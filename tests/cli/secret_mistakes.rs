//! Every mistake that one can make with secrets, each with the whole text that it is answered with; no host is contacted for
//! any of them. Some begin with a store: AWS is a stand-in on the loopback.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::project::{Project, Ran, ran};
use crate::secrets::{CANARY, project, ssh_key, with_input};
use crate::stand_in::StandIn;

/// A service that uses each secret of these tests.
const UNIT: &str = "[units.\"bot.service\"]\nactive = true\ntext = \"[Service]\\nExecStart=/bin/sleep infinity\\n\"\n";

/// What is prepared beside the host's file.
type Prepare = fn(&Project, &StandIn);

/// A mistake.
struct Row {
    name: &'static str,
    /// The host's secrets.
    secrets: &'static str,
    prepare: Prepare,
    variables: &'static [(&'static str, &'static str)],
    args: &'static [&'static str],
    code: i32,
}

const CHECK: &[&str] = &["check"];
const STORES: &[&str] = &["secrets", "check"];
const GET: &[&str] = &["secrets", "get", "token"];
const KEYS: &[(&str, &str)] = &[("AWS_ACCESS_KEY_ID", "OPERATOR"), ("AWS_SECRET_ACCESS_KEY", "x")];
const IN_AWS: &str = "[secrets.token]\naws = \"bots/token\"\nunits = [\"bot.service\"]\n";
const IN_AGE: &str = "[secrets.token]\nunits = [\"bot.service\"]\n";

fn nothing(_: &Project, _: &StandIn) {}

fn stored(project: &Project) {
    let _ = project.run(&["secrets", "init"]).expect(0);
    let _ = with_input(project, &["secrets", "set", "token"], CANARY.as_bytes()).expect(0);
}

fn mode(project: &Project, path: &str, bits: u32) {
    fs::set_permissions(project.path().join(path), fs::Permissions::from_mode(bits)).unwrap();
}

const fn offline(name: &'static str, secrets: &'static str, code: i32) -> Row {
    Row {
        name,
        secrets,
        prepare: nothing,
        variables: &[],
        args: CHECK,
        code,
    }
}

const fn asked(
    name: &'static str,
    secrets: &'static str,
    prepare: Prepare,
    variables: &'static [(&'static str, &'static str)],
) -> Row {
    Row {
        name,
        secrets,
        prepare,
        variables,
        args: STORES,
        code: 1,
    }
}

fn rows() -> Vec<Row> {
    vec![
        offline(
            "used and not declared",
            "[secrets.token]\n[secrets.\"bot.env\"]\ntext = \"A={{ secret(name='tokn') }}\"\nunits = [\"bot.service\"]\n",
            1,
        ),
        offline("declared and not used", "[secrets.token]\n", 0),
        offline(
            "two owners of one path",
            "[secrets.token]\nunits = [\"bot.service\"]\n[secrets.other]\npath = \"/run/agenix/token\"\nunits = [\"bot.service\"]\n",
            1,
        ),
        offline(
            "a path outside the directory",
            "[secrets.token]\npath = \"/etc/token\"\nunits = [\"bot.service\"]\n",
            1,
        ),
        offline(
            "an unknown user",
            "[secrets.token]\nowner = \"bto\"\nunits = [\"bot.service\"]\n[users.bot]\nsystem = true\n",
            // It may be the host's own: only a look at the host can say, and a plan that has looked is refused.
            0,
        ),
        asked(
            "an empty value",
            "[secrets.token]\nenv = \"CI_TOKEN\"\nunits = [\"bot.service\"]\n",
            nothing,
            &[("CI_TOKEN", "")],
        ),
        asked(
            "a value above the limit",
            "[secrets.token]\ncommand = [\"head\", \"-c\", \"65537\", \"/dev/zero\"]\nunits = [\"bot.service\"]\n",
            nothing,
            &[],
        ),
        asked(
            "a JSON key that is not there",
            "[secrets.token]\ncommand = [\"cat\", \"value.json\"]\nkey = \"token\"\nunits = [\"bot.service\"]\n",
            |project, _| project.write("value.json", "{ \"tokne\": \"canary-5f1e77\" }"),
            &[],
        ),
        asked(
            "the wrong region",
            "[secrets.token]\naws = \"arn:aws:secretsmanager:eu-central-1:123456789012:secret:bots/token-Ab12cd\"\nregion = \"us-east-1\"\nunits = [\"bot.service\"]\n",
            nothing,
            KEYS,
        ),
        asked("no such secret in that region", IN_AWS, nothing, KEYS),
        asked("no credentials", IN_AWS, nothing, &[]),
        asked(
            "access denied",
            IN_AWS,
            |_, stand_in| {
                let words = "User: arn:aws:iam::123456789012:user/ci is not authorized to perform: secretsmanager:DescribeSecret";
                stand_in
                    .control
                    .fail("DescribeSecret", None, "AccessDeniedException", words, 1);
            },
            KEYS,
        ),
        asked(
            "a session that has ended",
            IN_AWS,
            nothing,
            &[
                ("AWS_ACCESS_KEY_ID", "OPERATOR"),
                ("AWS_SECRET_ACCESS_KEY", "x"),
                ("AWS_SESSION_TOKEN", "ended"),
            ],
        ),
        Row {
            args: GET,
            ..asked(
                "a wrong age key",
                IN_AGE,
                |project, _| {
                    stored(project);
                    fs::remove_dir_all(project.path().join(".ssh")).unwrap();
                    ssh_key(project.path(), ".ssh/id_ed25519", "");
                },
                &[],
            )
        },
        Row {
            args: GET,
            ..asked(
                "an identity that others can read",
                IN_AGE,
                |project, _| {
                    stored(project);
                    mode(project, ".ssh/id_ed25519", 0o644);
                },
                &[],
            )
        },
        Row {
            args: GET,
            ..asked(
                "a store that others can write",
                IN_AGE,
                |project, _| {
                    stored(project);
                    mode(project, "secrets/secrets.age.toml", 0o666);
                },
                &[],
            )
        },
    ]
}

fn run(row: &Row, stand_in: &StandIn, port: u16) -> Ran {
    let project = project();
    project.write(
        "hosts/friday.toml",
        &format!("[host]\naddress = \"127.0.0.1\"\nport = {port}\n{}{UNIT}", row.secrets),
    );
    if row.secrets.contains("aws = ") {
        let stores = format!(
            "[aws]\nregion = \"eu-central-1\"\nendpoint = \"{}\"\n",
            stand_in.control.endpoint()
        );
        project.write("secrets/stores.toml", &stores);
    }
    (row.prepare)(&project, stand_in);
    let mut command = project.command(row.args);
    command
        .envs(row.variables.iter().copied())
        .env("AWS_EC2_METADATA_DISABLED", "true");
    let ran = ran(command.output().unwrap()).expect(row.code);
    let told = |text: &str| text.replace(&path(project.path()), "PROJECT");
    Ran {
        stdout: told(&ran.stdout),
        stderr: told(&ran.stderr),
        ..ran
    }
}

fn path(path: &Path) -> String {
    fs::canonicalize(path).unwrap().display().to_string()
}

#[test]
fn each_mistake_with_secrets_has_an_error_of_its_own_before_any_host_is_contacted() {
    let stand_in = StandIn::start();
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    host.set_nonblocking(true).unwrap();
    let port = host.local_addr().unwrap().port();
    let mut all = String::new();
    for row in rows() {
        let ran = run(&row, &stand_in, port);
        let text = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!text.contains("canary"), "{}: {text}", row.name);
        assert!(host.accept().is_err(), "{}: the host was contacted", row.name);
        let text = text.replace(&stand_in.control.port.to_string(), "PORT");
        let _ = writeln!(all, "== {}: provision {}\n{text}", row.name, row.args.join(" "));
    }
    insta::assert_snapshot!(all);
}
