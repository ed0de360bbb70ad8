//! AWS Signature Version 4 of one JSON request: the headers that prove who asks. It sends nothing.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::fmt::Write as _;
use std::time::SystemTime;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::clock;

/// Credentials of a session, as an instance's role gives them. No part but the key's id may be shown.
pub(crate) struct Credentials {
    pub(crate) key_id: String,
    pub(crate) secret_key: Zeroizing<String>,
    pub(crate) token: Zeroizing<String>,
}

/// What is signed of a request.
pub(crate) struct Request<'a> {
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    /// Name and, where it is not the scheme's own, port.
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    /// Headers besides those that signing adds: lower case, sorted, `host` among them.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
}

/// The headers to add.
pub(crate) struct Signed {
    pub(crate) date: String,
    pub(crate) authorization: String,
}

pub(crate) fn sign(request: &Request<'_>, credentials: &Credentials, now: SystemTime) -> Signed {
    let date = clock::basic(now);
    let mut headers: Vec<(&str, &str)> = request.headers.to_vec();
    headers.push(("host", request.host));
    headers.push(("x-amz-date", &date));
    if !credentials.token.is_empty() {
        headers.push(("x-amz-security-token", &credentials.token));
    }
    headers.sort_unstable();
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let mut canonical = Zeroizing::new(format!("POST\n{}\n\n", request.path));
    for (name, value) in &headers {
        let _ = writeln!(canonical, "{name}:{}", value.trim());
    }
    let _ = write!(canonical, "\n{names}\n{}", hex(&Sha256::digest(request.body)));
    let day = &date[..8];
    let scope = format!("{day}/{}/{}/aws4_request", request.region, request.service);
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        hex(&Sha256::digest(canonical.as_bytes()))
    );
    let first = Zeroizing::new(format!("AWS4{}", *credentials.secret_key).into_bytes());
    let key = [day, request.region, request.service, "aws4_request"]
        .iter()
        .fold(first, |key, word| code(&key, word.as_bytes()));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
        credentials.key_id,
        hex(&code(&key, text.as_bytes()))
    );
    Signed { date, authorization }
}

/// HMAC-SHA256.
fn code(key: &[u8], text: &[u8]) -> Zeroizing<Vec<u8>> {
    // A key may have any length, so there is no error to handle.
    let Ok(mut code) = Hmac::<Sha256>::new_from_slice(key) else {
        return Zeroizing::default();
    };
    code.update(text);
    Zeroizing::new(code.finalize().into_bytes().to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn credentials(token: &str) -> Credentials {
        Credentials {
            key_id: "AKIDEXAMPLE".to_owned(),
            secret_key: Zeroizing::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
            token: Zeroizing::new(token.to_owned()),
        }
    }

    /// 2015-08-30 12:36:00 UTC, the time of AWS's own test suite.
    fn then() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_440_938_160)
    }

    #[test]
    fn signatures_are_those_of_the_test_suite_of_aws() {
        let mut request = Request {
            region: "us-east-1",
            service: "service",
            host: "example.amazonaws.com",
            path: "/",
            headers: &[],
            body: b"",
        };
        // `post-vanilla`.
        let signed = sign(&request, &credentials(""), then());
        assert_eq!(signed.date, "20150830T123600Z");
        assert_eq!(
            signed.authorization,
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, \
             Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        );
        // `post-x-www-form-urlencoded`.
        request.headers = &[("content-type", "application/x-www-form-urlencoded")];
        request.body = b"Param1=value1";
        let signed = sign(&request, &credentials(""), then());
        assert!(
            signed
                .authorization
                .ends_with("Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
            "{}",
            signed.authorization
        );
    }

    #[test]
    fn a_session_is_signed_for_as_well() {
        let request = Request {
            region: "us-east-1",
            service: "service",
            host: "example.amazonaws.com",
            path: "/",
            headers: &[],
            body: b"",
        };
        let signed = sign(&request, &credentials("session"), then());
        assert!(
            signed
                .authorization
                .contains("SignedHeaders=host;x-amz-date;x-amz-security-token,")
        );
    }
}
