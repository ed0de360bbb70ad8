//! AWS Secrets Manager as a host uses it: `GetSecretValue`, one secret at a time, since a batch would need a second right. It
//! writes nothing there, and lists nothing.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::http::{Answer, Client, NoAnswer, Request};
use crate::instance::Instance;
use crate::json_key;
use crate::patience::{Failure, Patience};
use crate::sign::{self, Credentials, sign};
use crate::wire::{Found, Wanted};

/// The service's name in signatures and in its host names.
const SERVICE: &str = "secretsmanager";

/// Where it is, as every AWS tool is told of another place: this service's, or else any service's.
const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"];

const OPERATION: &str = "secretsmanager.GetSecretValue";
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// What is asked for once, however many of its keys are wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place<'a> {
    id: &'a str,
    stage: Option<&'a str>,
    region: Option<&'a str>,
}

/// A secret as the service has it.
struct Kept {
    version: String,
    value: Zeroizing<Vec<u8>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Question<'a> {
    secret_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_stage: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Value {
    version_id: String,
    secret_string: Option<Zeroizing<String>>,
    secret_binary: Option<Zeroizing<String>>,
}

#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(rename = "__type")]
    code: Option<String>,
    message: Option<String>,
    /// Some of its errors write it so.
    #[serde(rename = "Message")]
    capital: Option<String>,
}

/// The store, asked in the name of the instance's role.
pub(crate) struct Store<'a> {
    client: &'a Client,
    instance: &'a Instance,
    patience: &'a Patience,
    credentials: RefCell<Option<Credentials>>,
    region: RefCell<Option<String>>,
    /// How far the service's clock is ahead of this host's, in seconds. A host that has just started may not know the time.
    ahead: Cell<i64>,
}

impl<'a> Store<'a> {
    pub(crate) const fn new(client: &'a Client, instance: &'a Instance, patience: &'a Patience) -> Self {
        Self {
            client,
            instance,
            patience,
            credentials: RefCell::new(None),
            region: RefCell::new(None),
            ahead: Cell::new(0),
        }
    }

    /// All that is wanted, in its order; `None` is a secret that does not exist.
    ///
    /// # Errors
    /// A line for each secret that cannot be had. Where that is because of something that may pass, the rest is not tried: the
    /// time is over.
    pub(crate) fn fetch(&self, wanted: &[Wanted]) -> Result<Vec<Option<Found>>, Vec<String>> {
        let mut kept: BTreeMap<Place<'_>, Option<Kept>> = BTreeMap::new();
        let mut problems = Vec::new();
        for wanted in wanted {
            let place = place(wanted);
            if kept.contains_key(&place) {
                continue;
            }
            match self.patience.with(|| self.get(&place)) {
                Ok(found) => _ = kept.insert(place, found),
                Err(Failure::Lasting(reason)) => {
                    problems.push(format!("{}: {reason}", place.id));
                    kept.insert(place, None);
                }
                Err(Failure::Passing(reason)) => {
                    problems.push(format!("{}: {reason}", place.id));
                    return Err(problems);
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut all = Vec::new();
        for wanted in wanted {
            match kept
                .get(&place(wanted))
                .and_then(Option::as_ref)
                .map(|kept| part(wanted, kept))
            {
                None => all.push(None),
                Some(Ok(found)) => all.push(Some(found)),
                Some(Err(problem)) => problems.push(format!("{}: {problem}", wanted.id)),
            }
        }
        if problems.is_empty() { Ok(all) } else { Err(problems) }
    }

    /// Asks once.
    fn get(&self, place: &Place<'_>) -> Result<Option<Kept>, Failure> {
        let region = self.region(place)?;
        let endpoint = endpoint(&region);
        let question = Question {
            secret_id: place.id,
            version_stage: place.stage,
        };
        let body = serde_json::to_vec(&question).map_err(|error| Failure::Lasting(error.to_string()))?;
        let (host, path) = parts(&endpoint)?;
        if self.credentials.borrow().is_none() {
            let fresh = self.instance.credentials()?;
            self.credentials.replace(Some(fresh));
        }
        let held = self.credentials.borrow();
        let Some(credentials) = held.as_ref() else {
            return Err(Failure::Passing("there are no credentials".to_owned()));
        };
        let signed = sign(
            &sign::Request {
                region: &region,
                service: SERVICE,
                host: &host,
                path: &path,
                headers: &[("content-type", CONTENT_TYPE), ("x-amz-target", OPERATION)],
                body: &body,
            },
            credentials,
            self.now(),
        );
        let request = Request {
            method: "POST",
            url: &endpoint,
            headers: &[
                ("content-type", CONTENT_TYPE),
                ("x-amz-target", OPERATION),
                ("x-amz-date", &signed.date),
                ("x-amz-security-token", &credentials.token),
                ("authorization", &signed.authorization),
            ],
            body: &body,
        };
        let unreachable = |error| match error {
            NoAnswer::Broken(problem) => {
                Failure::Passing(format!("Secrets Manager at {endpoint} cannot be reached: {problem}"))
            }
            NoAnswer::NotTrusted(problem) => {
                Failure::Lasting(format!("what answers at {endpoint} is not trusted: {problem}"))
            }
        };
        let answer = self.client.send(&request).map_err(unreachable)?;
        drop(held);
        match answer.status {
            200 => kept(&answer).map(Some),
            _ => self.refused(&answer),
        }
    }

    /// The region that is said, or that of the ARN, or the instance's.
    fn region(&self, place: &Place<'_>) -> Result<String, Failure> {
        let of_arn = match place.id.split(':').collect::<Vec<_>>()[..] {
            ["arn", _, SERVICE, region, ..] => Some(region),
            _ => None,
        };
        if let Some(region) = place.region.or(of_arn) {
            return Ok(region.to_owned());
        }
        if self.region.borrow().is_none() {
            let region = self.instance.region()?;
            self.region.replace(Some(region));
        }
        Ok(self.region.borrow().clone().unwrap_or_default())
    }

    fn now(&self) -> SystemTime {
        let now = SystemTime::now();
        let ahead = Duration::from_secs(self.ahead.get().unsigned_abs());
        let there = if self.ahead.get() < 0 {
            now.checked_sub(ahead)
        } else {
            now.checked_add(ahead)
        };
        there.unwrap_or(now)
    }

    /// What a refusal means. `Ok(None)`: there is no such secret.
    fn refused(&self, answer: &Answer) -> Result<Option<Kept>, Failure> {
        let refusal: Refusal = serde_json::from_slice(&answer.body).unwrap_or_default();
        let code = refusal.code.unwrap_or_default();
        // Some services write the name of a namespace before it.
        let code = code.rsplit('#').next().unwrap_or_default();
        let message = refusal.message.or(refusal.capital).unwrap_or_default();
        let words = match (code, message.as_str()) {
            ("", _) => format!("Secrets Manager answers with status {}", answer.status),
            (code, "") => format!("Secrets Manager says {code}"),
            (code, message) => format!("Secrets Manager says {code}: {message}"),
        };
        match code {
            "ResourceNotFoundException" => Ok(None),
            "AccessDeniedException" => Err(Failure::Lasting(format!(
                "{words}; give the instance's role the right secretsmanager:GetSecretValue on it"
            ))),
            // A role's credentials are renewed before they end, so the next ones are good.
            "ExpiredTokenException" | "ExpiredToken" => {
                self.credentials.replace(None);
                Err(Failure::Passing(words))
            }
            "InvalidSignatureException" | "RequestExpired" | "RequestTimeTooSkewed" | "SignatureDoesNotMatch"
                if self.learns_the_time(answer) =>
            {
                Err(Failure::Passing(format!("{words} (this host's clock is wrong)")))
            }
            "ThrottlingException"
            | "Throttling"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "SlowDown"
            | "InternalServiceError"
            | "InternalFailure"
            | "ServiceUnavailable" => Err(Failure::Passing(words)),
            _ if answer.status >= 500 || answer.status == 429 => Err(Failure::Passing(words)),
            _ => Err(Failure::Lasting(words)),
        }
    }

    /// Whether the service's clock is another by more than signatures bear (15 minutes; AWS tools correct from 4 on), and was not
    /// known to be.
    fn learns_the_time(&self, answer: &Answer) -> bool {
        const BEARABLE: i64 = 4 * 60;
        let Some(there) = answer.date else { return false };
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let off = |from: SystemTime| match there.duration_since(from) {
            Ok(ahead) => seconds(ahead),
            Err(behind) => -seconds(behind.duration()),
        };
        if off(self.now()).abs() <= BEARABLE {
            return false;
        }
        self.ahead.set(off(SystemTime::now()));
        true
    }
}

fn place(wanted: &Wanted) -> Place<'_> {
    Place {
        id: &wanted.id,
        stage: wanted.stage.as_deref(),
        region: wanted.region.as_deref(),
    }
}

/// The service's address in a region.
fn endpoint(region: &str) -> String {
    let said = ENDPOINTS
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    said.unwrap_or_else(|| {
        // The partitions of AWS: https://docs.aws.amazon.com/general/latest/gr/asm.html
        let suffix = match region.split('-').next() {
            Some("cn") => "amazonaws.com.cn",
            Some("eusc") => "amazonaws.eu",
            _ => "amazonaws.com",
        };
        format!("https://{SERVICE}.{region}.{suffix}")
    })
}

/// The host with its port, and the path, as they are signed.
fn parts(endpoint: &str) -> Result<(String, String), Failure> {
    let wrong = || Failure::Lasting(format!("{endpoint:?} is no address of a service"));
    let uri: ureq::http::Uri = endpoint.parse().map_err(|_| wrong())?;
    let host = uri.authority().ok_or_else(wrong)?.as_str().to_owned();
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.query().is_some() || host.contains('@') {
        return Err(wrong());
    }
    Ok((host, uri.path().to_owned()))
}

fn kept(answer: &Answer) -> Result<Kept, Failure> {
    // Where its form is wrong, nothing of it is shown: it has the value in it.
    let unreadable = || Failure::Passing("Secrets Manager's answer cannot be read".to_owned());
    let value: Value = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
    let bytes = match (value.secret_string, value.secret_binary) {
        (Some(mut text), _) => Zeroizing::new(std::mem::take(&mut *text).into_bytes()),
        (None, Some(binary)) => Zeroizing::new(STANDARD.decode(binary.as_bytes()).map_err(|_| unreadable())?),
        (None, None) => return Err(unreadable()),
    };
    Ok(Kept {
        version: value.version_id,
        value: bytes,
    })
}

/// What is wanted of a secret.
fn part(wanted: &Wanted, kept: &Kept) -> Result<Found, String> {
    let value = match &wanted.key {
        None => Zeroizing::new(kept.value.to_vec()),
        Some(key) => json_key::value_of(key, &kept.value).map_err(|error| error.to_string())?,
    };
    if value.is_empty() {
        return Err("the value is empty".to_owned());
    }
    Ok(Found {
        version: kept.version.clone(),
        value,
    })
}
