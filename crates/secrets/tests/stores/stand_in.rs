//! AWS for tests: moto behind a strict door (`stand_in/server.py`), in a process of its own on the loopback.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// A running server, which ends when this is dropped.
pub(crate) struct StandIn {
    child: Child,
    pub(crate) control: Control,
}

impl StandIn {
    pub(crate) fn start() -> Self {
        Self::start_at("127.0.0.1")
    }

    /// On a free port of an address of this machine.
    pub(crate) fn start_at(address: &str) -> Self {
        let mut child = Command::new(python())
            .arg(here().join("server.py"))
            .arg(address)
            .env("AWS_DEFAULT_REGION", "eu-central-1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("the stand-in for AWS does not start: {line:?}"));
        Self {
            child,
            control: Control {
                address: address.to_owned(),
                port,
            },
        }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // It ends of it: its standard input is at its end.
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

/// The way to the server that `scene` has started.
#[derive(Clone)]
pub(crate) struct Control {
    pub(crate) address: String,
    pub(crate) port: u16,
}

impl Control {
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}:{}", self.address, self.port)
    }

    /// Lets the next calls of an operation fail; with an id, only those for that secret.
    pub(crate) fn fail(&self, operation: &str, id: Option<&str>, code: &str, message: &str, times: u32) {
        let what = json!({ "operation": operation, "id": id, "code": code, "message": message, "times": times });
        self.ask("POST", "/_test/fail", &what.to_string());
    }

    /// The operations called since the last time this was asked, with how many secrets each was about.
    pub(crate) fn calls(&self) -> Vec<(String, usize)> {
        let call = |call: &Value| {
            (
                call["operation"].as_str().unwrap().to_owned(),
                call["ids"].as_array().unwrap().len(),
            )
        };
        self.called().iter().map(call).collect()
    }

    /// The same, with the access key that each was asked with; and of `AssumeRole` the one that it gave.
    pub(crate) fn keys(&self) -> Vec<(String, String, Option<String>)> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let call = |call: &Value| {
            let (operation, key) = (text(&call["operation"]), text(&call["key"]));
            (operation.unwrap(), key.unwrap_or_default(), text(&call["gave"]))
        };
        self.called().iter().map(call).collect()
    }

    fn called(&self) -> Vec<Value> {
        let calls = self.ask("GET", "/_test/calls", "");
        calls.as_array().unwrap().clone()
    }

    /// Forgets calls, failures and all secrets.
    pub(crate) fn reset(&self) {
        self.ask("POST", "/_test/reset", "");
    }

    /// Makes the service's host an instance of EC2 with this role; without one, it has none.
    pub(crate) fn be_instance(&self, role: Option<&str>) {
        self.ask(
            "POST",
            "/_test/instance",
            &json!({ "role": role, "ahead": 0 }).to_string(),
        );
    }

    /// Lets the service's clock be ahead of this machine's, in seconds.
    pub(crate) fn be_ahead(&self, seconds: i64) {
        self.ask("POST", "/_test/instance", &json!({ "ahead": seconds }).to_string());
    }

    /// Ends the session of the instance's role; it has new credentials.
    pub(crate) fn renew(&self) {
        self.ask("POST", "/_test/renew", "");
    }

    /// Lets a secret have this value, and gives its version: `SecretString` or, in base64, `SecretBinary`.
    pub(crate) fn put(&self, region: &str, name: &str, kind: &str, value: &str) -> String {
        let mut answer = self.operation(region, "PutSecretValue", &json!({ "SecretId": name, kind: value }));
        if answer["VersionId"].is_null() {
            answer = self.operation(region, "CreateSecret", &json!({ "Name": name, kind: value }));
        }
        answer["VersionId"].as_str().unwrap().to_owned()
    }

    fn operation(&self, region: &str, operation: &str, request: &Value) -> Value {
        let headers = format!(
            "X-Amz-Target: secretsmanager.{operation}\r\nContent-Type: application/x-amz-json-1.1\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=OPERATOR/20260101/{region}/secretsmanager/aws4_request, \
             SignedHeaders=host, Signature=0\r\n"
        );
        self.send("POST", "/", &headers, &request.to_string())
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        self.send(method, path, "", body)
    }

    fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect((self.address.as_str(), self.port)).unwrap();
        let length = body.len();
        let request = format!("{method} {path} HTTP/1.0\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }
}

/// Where it is, seen from whichever package's tests use it.
fn here() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = [
        "tests/stores/stand_in",
        "../secrets/tests/stores/stand_in",
        "crates/secrets/tests/stores/stand_in",
    ];
    let found = places
        .iter()
        .map(|place| package.join(place))
        .find(|place| place.is_dir());
    found.unwrap_or_else(|| panic!("the stand-in for AWS is in crates/secrets/tests/stores"))
}

/// Python with moto: made once for each list of requirements, below the target directory.
fn python() -> PathBuf {
    let requirements = here().join("requirements.txt");
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stand-in");
    fs::create_dir_all(&place).unwrap();
    // Tests run at once, each in a process of its own.
    let lock = File::create(place.join("lock")).unwrap();
    lock.lock().unwrap();
    let stamp = place.join("requirements.txt");
    let wanted = fs::read(&requirements).unwrap();
    let python = place.join("venv/bin/python");
    if !fs::read(&stamp).is_ok_and(|made| made == wanted) {
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(place.join("venv")));
        run(Command::new(&python)
            .args(["-m", "pip", "-q", "--disable-pip-version-check", "install", "-r"])
            .arg(&requirements));
        fs::write(&stamp, wanted).unwrap();
    }
    python
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs it"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
