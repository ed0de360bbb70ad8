//! What an EC2 instance says of itself (IMDSv2): the credentials of its role, and its region. It never asks without a token, so an
//! instance that refuses IMDSv1 is as good as any.
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html>

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::http::{Answer, Client, NoAnswer, Request};
use crate::patience::Failure;
use crate::sign::Credentials;

/// Where the service is, as every AWS tool is told of another place.
const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";

/// Whether it is asked by IPv4 or IPv6.
const MODE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";

/// How long a token is good for, in seconds: one is made for each question, and nobody needs it after that.
const TTL: &str = "60";

/// The metadata service of this instance.
pub(crate) struct Instance {
    client: Client,
    endpoint: String,
}

/// The role's credentials as the service writes them. `Code` is there where they could not be had as well.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    code: Option<String>,
    message: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<Zeroizing<String>>,
    token: Option<Zeroizing<String>>,
}

impl Instance {
    /// The service where the environment says, else where it is on every instance.
    ///
    /// # Errors
    /// The environment says something else.
    pub(crate) fn new() -> Result<Self, String> {
        let of = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let endpoint = match (of(ENDPOINT), of(MODE).map(|mode| mode.to_ascii_lowercase()).as_deref()) {
            (Some(endpoint), _) => endpoint,
            (None, None | Some("ipv4")) => "http://169.254.169.254".to_owned(),
            (None, Some("ipv6")) => "http://[fd00:ec2::254]".to_owned(),
            (None, Some(mode)) => return Err(format!("{MODE} is IPv4 or IPv6, and not {mode:?}")),
        };
        Ok(Self {
            client: Client::of_instance(),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
        })
    }

    /// The credentials of the instance's role.
    ///
    /// # Errors
    /// [`Failure`]. An instance that has just started may not know its role yet.
    pub(crate) fn credentials(&self) -> Result<Credentials, Failure> {
        let no_role = || Failure::Passing("this instance has no role".to_owned());
        let path = "/latest/meta-data/iam/security-credentials/";
        let token = self.token()?;
        let roles = self.get(path, &token)?.ok_or_else(no_role)?;
        let role = roles.lines().next().map(str::trim).unwrap_or_default();
        let of_a_name = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
        if role.is_empty() {
            return Err(no_role());
        }
        if role.len() > 64 || !role.bytes().all(of_a_name) {
            return Err(Failure::Lasting(
                "the metadata service says something that is no role's name".to_owned(),
            ));
        }
        let text = self.get(&format!("{path}{role}"), &token)?.ok_or_else(no_role)?;
        // Where its form is wrong, nothing of it is shown: it has the key in it.
        let unreadable = || Failure::Passing(format!("the credentials of the role {role} cannot be read"));
        let written: Written = serde_json::from_str(&text).map_err(|_| unreadable())?;
        match written {
            Written {
                code: None | Some(_),
                access_key_id: Some(key_id),
                secret_access_key: Some(secret_key),
                token: Some(token),
                ..
            } if written.code.as_deref().is_none_or(|code| code == "Success")
                && fits_a_header(&key_id)
                && fits_a_header(&token) =>
            {
                Ok(Credentials {
                    key_id,
                    secret_key,
                    token,
                })
            }
            Written {
                code: Some(code),
                message,
                ..
            } if code != "Success" => {
                let message = message.unwrap_or_default();
                Err(Failure::Passing(format!(
                    "the role {role} has no credentials: {code} {message}"
                )))
            }
            _ => Err(unreadable()),
        }
    }

    /// The region that the instance is in.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn region(&self) -> Result<String, Failure> {
        let token = self.token()?;
        let region = self.get("/latest/meta-data/placement/region", &token)?;
        let region = region.as_deref().map(|region| region.trim().to_owned());
        let of_a_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        match region.filter(|region| !region.is_empty() && region.bytes().all(of_a_name)) {
            Some(region) => Ok(region),
            None => Err(Failure::Lasting(
                "the metadata service does not say this instance's region".to_owned(),
            )),
        }
    }

    fn token(&self) -> Result<Zeroizing<String>, Failure> {
        let answer = self.send(&Request {
            method: "PUT",
            url: &format!("{}/latest/api/token", self.endpoint),
            headers: &[("x-aws-ec2-metadata-token-ttl-seconds", TTL)],
            body: b"",
        })?;
        match answer.status {
            200 => {}
            403 => {
                return Err(Failure::Lasting(format!(
                    "the metadata service at {} is turned off for this instance",
                    self.endpoint
                )));
            }
            status => return Err(self.unexpected(status)),
        }
        let token = text(&answer).map(|token| token.trim().to_owned()).unwrap_or_default();
        if token.is_empty() || !fits_a_header(&token) {
            return Err(Failure::Passing(
                "the metadata service's token cannot be read".to_owned(),
            ));
        }
        Ok(Zeroizing::new(token))
    }

    /// `None` where there is no such thing.
    fn get(&self, path: &str, token: &str) -> Result<Option<Zeroizing<String>>, Failure> {
        let answer = self.send(&Request {
            method: "GET",
            url: &format!("{}{path}", self.endpoint),
            headers: &[("x-aws-ec2-metadata-token", token)],
            body: b"",
        })?;
        match answer.status {
            200 => text(&answer)
                .map(|text| Some(Zeroizing::new(text.to_owned())))
                .ok_or_else(|| Failure::Passing("the metadata service's answer is not text".to_owned())),
            404 => Ok(None),
            status => Err(self.unexpected(status)),
        }
    }

    fn send(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let unreachable = |(NoAnswer::NotTrusted(problem) | NoAnswer::Broken(problem))| {
            let endpoint = &self.endpoint;
            Failure::Passing(format!(
                "the instance's metadata service at {endpoint} cannot be reached: {problem}"
            ))
        };
        self.client.send(request).map_err(unreachable)
    }

    fn unexpected(&self, status: u16) -> Failure {
        Failure::Passing(format!(
            "the metadata service at {} answers with status {status}",
            self.endpoint
        ))
    }
}

fn text(answer: &Answer) -> Option<&str> {
    std::str::from_utf8(&answer.body).ok()
}

fn fits_a_header(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}
