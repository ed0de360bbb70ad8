//! TLS: whoever has no certificate that is trusted gets nothing to read.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::stand_in::StandIn;
use crate::{REGION, answer, fetch_with, item, said};

/// Passes TLS connections on to a port as they are inside. Ends when its standard input does.
const DOOR: &str = r#"
import socket, ssl, sys, threading
inner = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
inner.load_cert_chain(sys.argv[1])
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
def copy(one, other):
    try:
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass
def serve():
    while True:
        try:
            client = inner.wrap_socket(listener.accept()[0], server_side=True)
        except OSError:
            continue
        server = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
        for ends in (client, server), (server, client):
            threading.Thread(target=copy, args=ends, daemon=True).start()
threading.Thread(target=serve, daemon=True).start()
sys.stdin.read()
"#;

struct Door(Child);

impl Drop for Door {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

fn certificate(directory: &Path, name: &str) -> String {
    let path = directory.join(format!("{name}.pem")).display().to_string();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ])
        .args([
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            &path,
            "-out",
            &format!("{path}.crt"),
        ])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (key, crt) = (
        fs::read_to_string(&path).unwrap(),
        fs::read_to_string(format!("{path}.crt")).unwrap(),
    );
    fs::write(&path, key + &crt).unwrap();
    path
}

#[test]
fn a_service_that_is_not_trusted_is_not_told_anything() {
    let directory = tempfile::tempdir().unwrap();
    let (served, other) = (
        certificate(directory.path(), "served"),
        certificate(directory.path(), "other"),
    );
    let stand_in = StandIn::start();
    let aws = stand_in.control.clone();
    aws.be_instance(Some("bots"));
    aws.put(REGION, "bots/token", "SecretString", "canary");
    let mut door = Command::new("python3")
        .args(["-c", DOOR, &served, &aws.port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(door.stdout.take().unwrap())
        .read_line(&mut port)
        .unwrap();
    let _door = Door(door);
    // By name: it is looked up as the host does, and checked against the certificate.
    let endpoint = format!("https://localhost:{}", port.trim());
    let wanted = serde_json::json!([item("bots/token")]);
    let with = |roots: &str| {
        let more = [
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", endpoint.as_str()),
            ("AWS_CA_BUNDLE", roots),
        ];
        fetch_with(&wanted, &aws.endpoint(), &more)
    };
    let found = answer(&with(&served));
    assert_eq!(
        found.into_iter().flatten().map(|(_, value)| value).collect::<Vec<_>>(),
        [b"canary"]
    );

    for roots in ["", other.as_str()] {
        let before = aws.calls();
        let refused = with(roots);
        assert_eq!(refused.status.code(), Some(1));
        assert!(said(&refused).contains("TLS: "), "{}", said(&refused));
        let read = |calls: &[(String, usize)]| calls.iter().filter(|(name, _)| name == "GetSecretValue").count();
        assert_eq!(read(&aws.calls()), read(&before));
    }
    let unusable = with("/no/such/file");
    assert!(
        said(&unusable).contains("cannot read AWS_CA_BUNDLE /no/such/file"),
        "{}",
        said(&unusable)
    );
}
