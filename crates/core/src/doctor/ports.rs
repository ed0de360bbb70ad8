//! Ports that the configuration says are taken, and somebody else listens on.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::count;
use super::finding::{Check, Diagnosis, Severity, Trouble};
use crate::model::{Examination, Fact, Listener, PortClaim, Process, UnitName};

/// Docker's process that listens for a container; which one, it does not say.
const DOCKER: &str = "docker-proxy";

pub(super) fn ports(claims: &[PortClaim], seen: &Examination, diagnosis: &mut Diagnosis) {
    let listeners = match &seen.listeners {
        Fact::Unknown(why) => return diagnosis.unknown(Check::Ports, why.untrusted()),
        Fact::Known(listeners) => listeners,
    };
    diagnosis.saw(
        Check::Ports,
        format!("{} claimed by the configuration", count(claims.len() as u64, "port")),
    );
    let mut told = BTreeSet::new();
    for claim in claims {
        for listener in listeners.iter().filter(|listener| is_at(listener, claim)) {
            if told.insert((claim.port, claim.tcp, listener.address)) {
                judge(claim, listener, diagnosis);
            }
        }
    }
}

/// Whether a listener is in a claim's way.
pub(crate) fn is_at(listener: &Listener, claim: &PortClaim) -> bool {
    if listener.port != claim.port || listener.tcp != claim.tcp {
        return false;
    }
    let claimed = match claim.address.as_deref() {
        None | Some("" | "*" | "[::]") => return true,
        Some("localhost") => return listener.address.is_unspecified() || listener.address.is_loopback(),
        Some(address) => address.parse::<IpAddr>(),
    };
    // An address that is a name could be any.
    claimed.map_or(true, |claimed| {
        claimed.is_unspecified() || listener.address.is_unspecified() || claimed.to_canonical() == listener.address
    })
}

fn judge(claim: &PortClaim, listener: &Listener, diagnosis: &mut Diagnosis) {
    let protocol = if claim.tcp { "tcp" } else { "udp" };
    let subject = format!("port {}/{protocol}", claim.port);
    if listener.processes.is_empty() {
        let why = format!("{subject}: somebody listens whose process is not visible on the host");
        return diagnosis.unknown(Check::Ports, why);
    }
    if listener.processes.iter().any(|process| is_of(process, listener, claim)) {
        return;
    }
    let Some(holder) = listener.processes.iter().max_by_key(|process| process.pid) else {
        return;
    };
    if holder.name.untrusted() == DOCKER && !claim.units.is_empty() {
        let why = format!("{subject}: a container of Docker listens, and which one is not looked at");
        return diagnosis.unknown(Check::Ports, why);
    }
    let unit = holder.user_unit.as_ref().or(holder.unit.as_ref());
    let of = unit.map(|unit| format!(" of {}", unit.untrusted())).unwrap_or_default();
    let words = format!(
        "{} claims it, and {} (pid {}){of} listens on {}",
        claim.by,
        holder.name.untrusted(),
        holder.pid,
        listener.address
    );
    let stop = match (unit, holder.user_unit.is_some()) {
        (Some(unit), false) if unit.untrusted().ends_with(".service") => format!(
            "stop it with `systemctl disable --now {}` on the host",
            unit.untrusted()
        ),
        _ => format!("end it (pid {}) on the host", holder.pid),
    };
    let fix = format!("{stop}, or give {} another port", claim.by);
    diagnosis.find(Trouble::PortTaken, Severity::Problem, subject, words, fix);
}

/// Whether a process is one that is to listen: of a unit that is declared beside the claim, or, where none is, of any service.
fn is_of(process: &Process, listener: &Listener, claim: &PortClaim) -> bool {
    let units = [&process.unit, &process.user_unit, &listener.socket_unit];
    let mut units = units.into_iter().flatten().map(|unit| unit.untrusted());
    if claim.units.is_empty() {
        return units.any(|unit| unit.ends_with(".service") || unit.ends_with(".socket"));
    }
    let of_user = process.user_unit.as_ref().map(|unit| unit.untrusted());
    let (of_users, own): (Vec<_>, Vec<_>) = claim.units.iter().partition(|own| own.user().is_some());
    units.any(|unit| own.iter().any(|own| is_one(unit, own)))
        || of_user.is_some_and(|unit| of_users.iter().any(|own| is_one(unit, &own.alone())))
}

/// Whether a unit is a declared one, an instance of it, or the socket of it.
fn is_one(unit: &str, own: &UnitName) -> bool {
    let of_template = UnitName::new(unit).is_ok_and(|unit| unit.template().as_deref() == Some(own.as_str()));
    let stem = unit.strip_suffix(".socket");
    unit == own.as_str() || of_template || (stem.is_some() && stem == own.as_str().strip_suffix(".service"))
}
