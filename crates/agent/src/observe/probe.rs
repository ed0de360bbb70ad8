//! Health checks, tried once. Trying again, and how often, is the executor's work.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use provision_core::model::{Check, HostText, ProbeState, UnitState};

use super::{http, reason};
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
            let mut states = systemd::show(std::slice::from_ref(unit)).map_err(|error| reason(&error))?;
            let silent = || format!("systemd says nothing of {unit}");
            states.remove(unit).map(|state| of_unit(&state)).ok_or_else(silent)
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
