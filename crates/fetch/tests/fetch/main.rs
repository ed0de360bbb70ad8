//! The program as the agent starts it, against a metadata service that speaks IMDSv2 alone and a Secrets Manager that checks
//! signatures. Values are only ever where they belong.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "it is shared with other packages' tests, which use all of it")]
#[path = "../../../secrets/tests/stores/stand_in.rs"]
mod stand_in;
mod tls;

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stand_in::{Control, StandIn};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_provision-fetch-secrets");
pub(crate) const REGION: &str = "eu-central-1";

/// Starts the program with an endpoint for both services, and gives it a list.
pub(crate) fn fetch_with(wanted: &Value, endpoint: &str, more: &[(&str, &str)]) -> Output {
    let mut child = Command::new(PROGRAM)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint)
        .env("AWS_ENDPOINT_URL", endpoint)
        .envs(more.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(wanted.to_string().as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

/// An instance with a role, and what the tests do to it.
struct Scene {
    aws: Control,
    _stand_in: StandIn,
}

impl Scene {
    fn new() -> Self {
        let stand_in = StandIn::start();
        let aws = stand_in.control.clone();
        aws.be_instance(Some("bots"));
        Self {
            aws,
            _stand_in: stand_in,
        }
    }

    fn fetch(&self, wanted: &Value) -> Output {
        fetch_with(wanted, &self.aws.endpoint(), &[])
    }

    fn called(&self, operation: &str) -> usize {
        self.aws.calls().iter().filter(|(name, _)| name == operation).count()
    }
}

pub(crate) fn item(id: &str) -> Value {
    json!({ "id": id, "stage": null, "region": REGION, "key": null })
}

/// The answer, with values as texts.
#[track_caller]
pub(crate) fn answer(output: &Output) -> Vec<Option<(String, Vec<u8>)>> {
    use base64::Engine as _;
    assert!(output.status.success(), "{}", said(output));
    let answer: Vec<Option<Value>> = serde_json::from_slice(&output.stdout).unwrap();
    let decoded = |value: Value| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(value["value"].as_str().unwrap());
        (value["version"].as_str().unwrap().to_owned(), bytes.unwrap())
    };
    answer.into_iter().map(|found| found.map(decoded)).collect()
}

/// What it said; a value is not in it, whatever happened.
#[track_caller]
pub(crate) fn said(output: &Output) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!said.contains("canary"), "{said}");
    said
}

/// It did not get them, wrote nothing, and said all of these.
#[track_caller]
fn refused(output: &Output, words: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty());
    for word in words {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
}

#[test]
fn texts_bytes_and_keys_come_with_their_versions_and_each_secret_is_asked_for_once() {
    let scene = Scene::new();
    let text = scene.aws.put(REGION, "bots/token", "SecretString", "canary\n");
    let bytes = scene.aws.put(REGION, "bots/bytes", "SecretBinary", "AP9j");
    let object = scene.aws.put(
        REGION,
        "bots/db",
        "SecretString",
        r#"{"user": "bot", "port": 5432, "password": "canary\u0031"}"#,
    );
    let mut wanted = vec![item("bots/token"), item("bots/bytes"), item("bots/none")];
    for key in ["password", "port"] {
        let mut item = item("bots/db");
        item["key"] = key.into();
        wanted.push(item);
    }
    let output = scene.fetch(&wanted.into());
    assert_eq!(
        answer(&output),
        [
            Some((text, b"canary\n".to_vec())),
            Some((bytes, b"\x00\xffc".to_vec())),
            None,
            Some((object.clone(), b"canary1".to_vec())),
            Some((object, b"5432".to_vec())),
        ]
    );
    assert_eq!(said(&output), "");
    assert_eq!(scene.called("GetSecretValue"), 4);
    assert_eq!((scene.called("Token"), scene.called("Credentials")), (1, 1));
}

#[test]
fn the_stand_in_refuses_what_aws_refuses() {
    use std::io::Read as _;
    use std::net::TcpStream;
    let scene = Scene::new();
    let status = |request: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", scene.aws.port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    let role = "/latest/meta-data/iam/security-credentials/";
    assert_eq!(status(&format!("GET {role} HTTP/1.0\r\n\r\n")), "401", "IMDSv1");
    assert_eq!(
        status(&format!(
            "GET {role} HTTP/1.0\r\nX-aws-ec2-metadata-token: wrong\r\n\r\n"
        )),
        "401"
    );
    let token = "PUT /latest/api/token HTTP/1.0\r\nContent-Length: 0\r\n";
    assert_eq!(status(&format!("{token}\r\n")), "400", "no time to live");
    let with_time = format!("{token}X-aws-ec2-metadata-token-ttl-seconds: 60\r\n");
    assert_eq!(status(&format!("{with_time}X-Forwarded-For: 192.0.2.1\r\n\r\n")), "403");
    assert_eq!(status(&format!("{with_time}\r\n")), "200");
}

#[test]
fn what_passes_is_waited_for_and_told_once() {
    let scene = Scene::new();
    scene.aws.put(REGION, "bots/token", "SecretString", "canary");
    scene.aws.fail("Token", None, "503 Service Unavailable", "", 2);
    scene
        .aws
        .fail("GetSecretValue", None, "ThrottlingException", "Rate exceeded", 2);
    scene
        .aws
        .fail("GetSecretValue", None, "InternalServiceError", "oops", 1);
    let output = scene.fetch(&json!([item("bots/token")]));
    assert_eq!(answer(&output).len(), 1);
    let said = said(&output);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(
        lines[0].contains("answers with status 503; trying again for up to"),
        "{said}"
    );
    assert!(lines[1].contains("ThrottlingException: Rate exceeded"), "{said}");
    assert!(lines[2].contains("InternalServiceError: oops"), "{said}");
    assert_eq!(scene.called("GetSecretValue"), 4);
}

#[test]
fn a_network_and_a_role_that_come_late_are_waited_for() {
    // Nobody listens there yet.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let scene = Scene::new();
    scene.aws.put(REGION, "bots/token", "SecretString", "canary");
    scene.aws.be_instance(None);
    let wanted = json!([item("bots/token")]);
    std::thread::scope(|scope| {
        let fetching = scope.spawn(|| scene.fetch(&wanted));
        // The role comes once the program has seen that there is none.
        while scene.called("Role") < 2 {
            assert!(!fetching.is_finished(), "it did not wait");
            std::thread::yield_now();
        }
        scene.aws.be_instance(Some("bots"));
        let output = fetching.join().unwrap();
        assert_eq!(answer(&output).len(), 1);
        assert!(
            said(&output).contains("this instance has no role; trying again"),
            "{}",
            said(&output)
        );
    });
    // Where the service cannot be reached, that is what is said, and for how long it is tried.
    let mut child = Command::new(PROGRAM)
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &dead)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(wanted.to_string().as_bytes())
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stderr.take().unwrap()), &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        line.contains(&format!("metadata service at {dead} cannot be reached: ")),
        "{line}"
    );
    assert!(line.contains("trying again for up to 29"), "{line}");
}

#[test]
fn what_lasts_is_said_at_once_for_every_secret_and_nothing_is_handed_over() {
    let scene = Scene::new();
    for name in ["bots/a", "bots/b", "bots/c"] {
        scene.aws.put(REGION, name, "SecretString", "{\"user\": \"canary\"}");
    }
    let denied =
        "User: arn:aws:sts::123456789012:assumed-role/bots is not authorized to perform: secretsmanager:GetSecretValue";
    scene
        .aws
        .fail("GetSecretValue", Some("bots/a"), "AccessDeniedException", denied, 99);
    scene
        .aws
        .fail("GetSecretValue", Some("bots/c"), "DecryptionFailure", "no key", 99);
    let began = Instant::now();
    let wanted = json!([item("bots/a"), item("bots/b"), item("bots/c")]);
    refused(
        &scene.fetch(&wanted),
        &[
            "bots/a: Secrets Manager says AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/bots",
            "give the instance's role the right secretsmanager:GetSecretValue",
            "bots/c: Secrets Manager says DecryptionFailure: no key",
        ],
    );
    assert_eq!(scene.called("GetSecretValue"), 3, "none is tried again");
    assert!(began.elapsed() < Duration::from_secs(60));

    let mut key = item("bots/b");
    key["key"] = "pasword".into();
    refused(
        &scene.fetch(&json!([key])),
        &["bots/b: the JSON object in it has no key \"pasword\""],
    );
    let region = json!({ "id": "bots/b", "stage": "NEXT", "region": REGION, "key": null });
    let output = scene.fetch(&json!([region]));
    assert_eq!(answer(&output), [None], "no version has the label");
}

#[test]
fn a_session_that_ends_meanwhile_is_renewed_and_a_wrong_clock_is_put_right() {
    let scene = Scene::new();
    scene.aws.put(REGION, "bots/token", "SecretString", "canary");
    scene.aws.fail(
        "GetSecretValue",
        None,
        "ExpiredTokenException",
        "The security token included in the request is expired",
        1,
    );
    let output = scene.fetch(&json!([item("bots/token")]));
    assert_eq!(answer(&output).len(), 1);
    assert_eq!(scene.called("Credentials"), 2);

    for seconds in [3 * 3600, -3 * 3600] {
        scene.aws.be_ahead(seconds);
        let output = scene.fetch(&json!([item("bots/token")]));
        assert_eq!(answer(&output).len(), 1);
        assert!(
            said(&output).contains("this host's clock is wrong"),
            "{}",
            said(&output)
        );
    }
}

#[test]
fn the_region_is_the_one_that_is_said_or_the_arns_or_the_instances() {
    let scene = Scene::new();
    scene.aws.put(REGION, "bots/token", "SecretString", "canary here");
    scene.aws.put("us-east-1", "bots/token", "SecretString", "canary there");
    let wanted = json!([
        { "id": "bots/token", "stage": null, "region": null, "key": null },
        { "id": "bots/token", "stage": "AWSCURRENT", "region": "us-east-1", "key": null },
    ]);
    let found = answer(&scene.fetch(&wanted));
    let values: Vec<_> = found.iter().flatten().map(|(_, value)| value.as_slice()).collect();
    assert_eq!(values, [b"canary here".as_slice(), b"canary there"]);
    assert_eq!(scene.called("Region"), 1);
    let arn = "arn:aws:secretsmanager:ap-south-1:123456789012:secret:x-Ab12cd";
    let output = scene.fetch(&json!([{ "id": arn, "stage": null, "region": null, "key": null }]));
    assert_eq!(answer(&output), [None]);
}

#[test]
fn nonsense_is_refused_before_anybody_is_asked() {
    let scene = Scene::new();
    refused(
        &scene.fetch(&json!({ "id": "a" })),
        &["the list of what is wanted makes no sense"],
    );
    let output = Command::new(PROGRAM).arg("bots/token").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(said(&output).contains("usage: provision-fetch-secrets"));
    assert_eq!(scene.aws.calls(), []);
}
