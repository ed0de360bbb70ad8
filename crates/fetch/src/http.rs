//! One HTTP request and its answer, bounded in time and size, following nobody elsewhere. It knows neither AWS nor what to try
//! again.

use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body, Error};
use zeroize::Zeroizing;

use crate::clock;

/// The longest answer that is taken, in bytes: a secret of 64 KiB, each byte of which JSON may write as six, and some words.
const MAX_ANSWER: usize = 512 << 10;

/// How many addresses of a name are tried.
const MAX_ADDRESSES: usize = 4;

/// How long looking up a name may take, in seconds.
const LOOKUP: &str = "10";

/// A file with certificates to trust instead of Mozilla's, as every AWS tool reads it.
const CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// How requests are sent.
pub(crate) struct Client(Agent);

/// A request.
pub(crate) struct Request<'a> {
    pub(crate) method: &'static str,
    pub(crate) url: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The server's own time, where it says one.
    pub(crate) date: Option<SystemTime>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// Why there is no answer, in words.
pub(crate) enum NoAnswer {
    /// Whoever answers cannot prove to be who was asked.
    NotTrusted(String),
    /// The network, or what answers, is not as it should be.
    Broken(String),
}

impl Client {
    /// For a service of AWS: through the proxy that the environment names, if any.
    ///
    /// # Errors
    /// `AWS_CA_BUNDLE` names a file that cannot be used.
    pub(crate) fn of_service() -> Result<Self, String> {
        let mut config = base(Duration::from_secs(30), Duration::from_secs(5));
        if let Some(path) = std::env::var_os(CA_BUNDLE).filter(|path| !path.is_empty()) {
            let shown = path.to_string_lossy().into_owned();
            let pem = std::fs::read(&path).map_err(|error| format!("cannot read {CA_BUNDLE} {shown}: {error}"))?;
            let mut roots = Vec::new();
            for item in parse_pem(&pem) {
                match item {
                    Ok(PemItem::Certificate(root)) => roots.push(root),
                    Ok(_) => {}
                    Err(error) => return Err(format!("{CA_BUNDLE} {shown} is no list of certificates: {error}")),
                }
            }
            if roots.is_empty() {
                return Err(format!("{CA_BUNDLE} {shown} has no certificate in it"));
            }
            config = config.tls_config(TlsConfig::builder().root_certs(RootCerts::from(roots)).build());
        }
        Ok(Self::with(config.build()))
    }

    /// For the instance's own metadata service, which is one hop away: never through a proxy.
    pub(crate) fn of_instance() -> Self {
        Self::with(base(Duration::from_secs(5), Duration::from_secs(2)).proxy(None).build())
    }

    fn with(config: Config) -> Self {
        Self(Agent::with_parts(config, DefaultConnector::default(), HostsOwn))
    }

    /// Sends a request.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub(crate) fn send(&self, request: &Request<'_>) -> Result<Answer, NoAnswer> {
        let mut builder = ureq::http::Request::builder().method(request.method).uri(request.url);
        for (name, value) in request.headers {
            builder = builder.header(*name, *value);
        }
        // No error of a header says what is in it.
        let built = builder
            .body(request.body)
            .map_err(|error| NoAnswer::Broken(error.to_string()))?;
        let mut response = self.0.run(built).map_err(|error| no_answer(&error))?;
        let date = response.headers().get("date").and_then(|date| date.to_str().ok());
        let date = date.and_then(clock::of_header);
        let body = body(response.body_mut()).map_err(NoAnswer::Broken)?;
        Ok(Answer {
            status: response.status().as_u16(),
            date,
            body,
        })
    }
}

fn base(whole: Duration, connect: Duration) -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(whole))
        .timeout_connect(Some(connect))
        .user_agent(concat!("provision/", env!("CARGO_PKG_VERSION")))
}

/// Reads it into memory that is allocated once: growing would leave copies behind that nobody can wipe.
fn body(body: &mut Body) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_ANSWER + 64));
    let mut reader = body.with_config().limit(u64::MAX).reader().take(MAX_ANSWER as u64 + 1);
    reader
        .read_to_end(&mut bytes)
        .map_err(|error| format!("the answer broke off: {error}"))?;
    if bytes.len() > MAX_ANSWER {
        return Err(format!("the answer is longer than {MAX_ANSWER} bytes"));
    }
    Ok(bytes)
}

/// What went wrong, without what this program's libraries call it.
fn no_answer(error: &Error) -> NoAnswer {
    let tls = match error {
        Error::Rustls(error) => Some(error),
        Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()),
        _ => None,
    };
    match (tls, error) {
        (Some(tls @ rustls::Error::InvalidCertificate(why)), _) if !is_of_time(why) => {
            NoAnswer::NotTrusted(format!("TLS: {tls}"))
        }
        (Some(tls), _) => NoAnswer::Broken(format!("TLS: {tls}")),
        (None, Error::Io(error)) => NoAnswer::Broken(error.to_string()),
        (None, Error::HostNotFound) => NoAnswer::Broken("its name has no address".to_owned()),
        (None, Error::Timeout(which)) => NoAnswer::Broken(format!("no answer in time ({which})")),
        (None, error) => NoAnswer::Broken(error.to_string()),
    }
}

/// Whether a certificate may be good once this host knows the time.
fn is_of_time(why: &rustls::CertificateError) -> bool {
    use rustls::CertificateError as Why;
    matches!(
        why,
        Why::Expired | Why::ExpiredContext { .. } | Why::NotValidYet | Why::NotValidYetContext { .. }
    )
}

/// Looks names up as everything on the host does. A static program cannot: the modules that the host's `nsswitch.conf` names, such
/// as that of systemd-resolved, are of the host's own C library. `getent` is on every Debian.
#[derive(Debug)]
struct HostsOwn;

impl Resolver for HostsOwn {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().ok_or(Error::HostNotFound)?;
        let port = uri
            .port_u16()
            .unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => look_up(host)?,
        };
        let mut found = self.empty();
        for address in addresses.into_iter().take(MAX_ADDRESSES) {
            found.push(SocketAddr::new(address, port));
        }
        if found.is_empty() {
            Err(Error::HostNotFound)
        } else {
            Ok(found)
        }
    }
}

fn look_up(host: &str) -> Result<Vec<IpAddr>, Error> {
    let output = Command::new("timeout")
        .args([LOOKUP, "getent", "ahosts", "--", host])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    let mut addresses = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let address = line.split_whitespace().next().and_then(|word| word.parse().ok());
        if let Some(address) = address.filter(|address| !addresses.contains(address)) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_looked_up_as_the_host_does() {
        let addresses = look_up("localhost").unwrap();
        assert!(
            addresses.iter().all(IpAddr::is_loopback) && !addresses.is_empty(),
            "{addresses:?}"
        );
        assert!(look_up("no-such-name.invalid").unwrap().is_empty());
        assert!(look_up("-s").unwrap().is_empty(), "a name is no option");
    }
}
