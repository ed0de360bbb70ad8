//! Health checks, tried once. Trying again, and how often, is the executor's work.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use provision_core::model::{Check, HostText, ProbeState, UnitState};

use super::{http, names, reason};
use crate::accounts::Accounts;
use crate::child::{self, Invocation};
use crate::systemd;

/// How long one try of a probe may take during observation.
pub(super) const OBSERVATION: Duration = Duration::from_secs(2);

/// Tries a check once, within `budget` (a unit's state: within systemd's own deadline).
///
/// # Errors
/// The reason, where the check cannot be made at all. That it does not pass is no error.
pub(crate) fn try_once(check: &Check, budget: Duration) -> Result<ProbeState, String> {
    let deadline = Instant::now() + budget;
    match check {
        Check::Http { url, status, body } => {
            let url = http::Url::parse(url).map_err(|error| format!("{url:?} cannot be asked: {error}"))?;
            Ok(match http::get(&url, body.as_deref(), deadline) {
                Ok(answer) => of_answer(&answer, *status, body.is_some()),
                Err(error) => state(false, reason(&error)),
            })
        }
        Check::Tcp { address } => {
            let (host, port) = host_and_port(address).ok_or_else(|| format!("{address:?} is not \"host:port\""))?;
            Ok(match connect(host, port, deadline) {
                Ok(_) => state(true, "connected"),
                Err(error) => state(false, reason(&error)),
            })
        }
        Check::Unit { unit } => {
            let silent = || format!("systemd says nothing of {unit}");
            let state = systemd::show(std::slice::from_ref(unit))
                .remove(unit)
                .ok_or_else(silent)?;
            state.map(|state| of_unit(&state)).map_err(|error| reason(&*error))
        }
        Check::NoNames { names, files, units } => {
            let accounts = Accounts::read().map_err(|error| reason(&error))?;
            let found = names::find(names, files, units, &accounts, Path::new("/")).map_err(|error| reason(&error))?;
            Ok(state(found.is_empty(), names::told(&found)))
        }
    }
}

/// What a unit's state means for a probe of it.
pub(super) fn of_unit(unit: &UnitState) -> ProbeState {
    let detail = match unit.load.untrusted() {
        "loaded" => unit.active.clone(),
        _ => unit.load.clone(),
    };
    ProbeState {
        passing: unit.active.untrusted() == "active",
        detail,
    }
}

fn of_answer(answer: &http::Answer, wanted: u16, text: bool) -> ProbeState {
    let found = answer.status;
    if found != wanted {
        state(false, format!("{found} where {wanted} is expected"))
    } else if text && !answer.has_text {
        state(false, format!("{found} without the expected text"))
    } else {
        state(true, found.to_string())
    }
}

fn state(passing: bool, detail: impl Into<String>) -> ProbeState {
    ProbeState {
        passing,
        detail: HostText::new(detail),
    }
}

/// Why no connection was made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// The name has no address.
    #[error("{host} has no address")]
    Resolve {
        /// The name.
        host: String,
    },
    /// Nobody takes the connection.
    #[error("cannot connect to {address}")]
    Refused {
        /// The last address tried.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The time is up.
    #[error("no answer in time")]
    Late,
}

/// Connects to the first of a host's addresses that takes the connection.
pub(super) fn connect(host: &str, port: u16, deadline: Instant) -> Result<TcpStream, ConnectError> {
    let addresses = resolve(host, deadline);
    let mut failed = ConnectError::Resolve { host: host.to_owned() };
    for (tried, address) in addresses.iter().enumerate() {
        // An address that answers nothing must leave time for the next.
        let share = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let patience = deadline.saturating_duration_since(Instant::now()) / share;
        if patience.is_zero() {
            return Err(ConnectError::Late);
        }
        let address = SocketAddr::new(*address, port);
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => return Ok(stream),
            Err(source) => failed = ConnectError::Refused { address, source },
        }
    }
    Err(failed)
}

/// A host's addresses. Names other than localhost are looked up by the host's own `getent`: a statically linked
/// program cannot load the host's name services itself.
fn resolve(host: &str, deadline: Instant) -> Vec<IpAddr> {
    if let Ok(address) = host.parse() {
        return vec![address];
    }
    if host.eq_ignore_ascii_case("localhost") {
        return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    let plain = host
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if !plain || host.starts_with('-') {
        return Vec::new();
    }
    let budget = deadline.saturating_duration_since(Instant::now());
    let mut addresses = Vec::new();
    // Each address comes once per socket type. Should it fail, what it printed is no address.
    let _ = child::run(&Invocation::new("getent", budget).args(["ahosts", host]), |line| {
        let address = line.split_whitespace().next().and_then(|word| word.parse().ok());
        if let Some(address) = address
            && !addresses.contains(&address)
        {
            addresses.push(address);
        }
    });
    addresses
}

/// The two halves of `host:port`, where an IPv6 address is in brackets.
pub(super) fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let port = port
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| port.parse().ok())
        .flatten()?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    (!host.is_empty()).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    fn look(check: &Check) -> (bool, String) {
        let state = try_once(check, Duration::from_secs(30)).unwrap();
        (state.passing, state.detail.untrusted().to_owned())
    }

    fn tcp(address: impl ToString) -> Check {
        Check::Tcp {
            address: address.to_string(),
        }
    }

    #[test]
    fn addresses_are_a_host_and_a_port() {
        assert_eq!(host_and_port("a.example:80"), Some(("a.example", 80)));
        assert_eq!(host_and_port("[::1]:80"), Some(("::1", 80)));
        for bad in [
            "",
            "a",
            ":80",
            "a:",
            "a:x",
            "a:+80",
            "a:65536",
            "::1:80",
            "[::1:80",
            "[]:80",
            "[::1]x:80",
        ] {
            assert_eq!(host_and_port(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_port_is_open_or_it_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(look(&tcp(address)), (true, "connected".to_owned()));
        assert!(look(&tcp(format!("LocalHost:{}", address.port()))).0);
        drop(listener);
        let (passing, detail) = look(&tcp(address));
        assert!(
            !passing && detail.starts_with(&format!("cannot connect to {address}: Connection refused")),
            "{detail}"
        );
    }

    #[test]
    fn names_come_from_the_hosts_own_resolver() {
        let soon = || Instant::now() + Duration::from_secs(30);
        let own = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
        let mut entries = own
            .lines()
            .map(|line| line.split('#').next().unwrap_or("").split_whitespace());
        let entry = entries.find_map(|mut words| Some((words.next()?.parse::<IpAddr>().ok()?, words.next()?)));
        if let Some((address, name)) = entry {
            assert!(
                resolve(name, soon()).contains(&address) || name == "localhost",
                "{name}"
            );
        }
        assert!(resolve("localhost", soon()).contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)));
        for bad in ["--help", "a b", "$(reboot)", ""] {
            assert_eq!(resolve(bad, soon()), Vec::<IpAddr>::new(), "{bad:?}");
        }
        assert_eq!(
            look(&tcp("no-such-host.invalid:80")),
            (false, "no-such-host.invalid has no address".to_owned())
        );
    }

    #[test]
    fn status_and_text_are_both_looked_at() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let http = |status, body: Option<&str>| Check::Http {
            url: url.clone(),
            status,
            body: body.map(str::to_owned),
        };
        let server = std::thread::spawn(move || {
            for _ in 0..4 {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 4096]).unwrap();
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready");
            }
        });
        assert_eq!(look(&http(200, None)), (true, "200".to_owned()));
        assert_eq!(look(&http(200, Some("ready"))), (true, "200".to_owned()));
        assert_eq!(
            look(&http(200, Some("busy"))),
            (false, "200 without the expected text".to_owned())
        );
        assert_eq!(look(&http(204, None)), (false, "200 where 204 is expected".to_owned()));
        server.join().unwrap();
        assert!(!look(&http(200, None)).0, "nobody listens any more");
    }

    #[test]
    fn what_cannot_be_tried_is_an_error_and_no_failure() {
        let second = Duration::from_secs(1);
        let error = try_once(&tcp("nowhere"), second).unwrap_err();
        assert_eq!(error, "\"nowhere\" is not \"host:port\"");
        let url = "ftp://a/".to_owned();
        let check = Check::Http {
            url,
            status: 200,
            body: None,
        };
        let error = try_once(&check, second).unwrap_err();
        assert_eq!(
            error,
            "\"ftp://a/\" cannot be asked: it does not begin with \"http://\""
        );
    }

    #[test]
    fn a_unit_passes_while_it_is_active() {
        let unit = |load: &str, active: &str| UnitState {
            load: HostText::from(load),
            enabled: HostText::from("enabled"),
            active: HostText::from(active),
            needs_reload: false,
        };
        assert_eq!(of_unit(&unit("loaded", "active")), state(true, "active"));
        assert_eq!(of_unit(&unit("loaded", "activating")), state(false, "activating"));
        assert_eq!(of_unit(&unit("not-found", "inactive")), state(false, "not-found"));
    }
}
