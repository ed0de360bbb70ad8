//! The host's clock, and what keeps it right. It sets nothing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use provision_core::model::{Fact, HostText, TimeKeeping};

use super::units::Unit;
use crate::child::{self, Invocation, status_words};
use crate::words::chain;

/// How long timedated may take to start and answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Services that keep a clock right.
const KEEPERS: [&str; 7] = [
    "systemd-timesyncd.service",
    "chrony.service",
    "chronyd.service",
    "ntpsec.service",
    "ntp.service",
    "ntpd.service",
    "openntpd.service",
];

/// Milliseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Whether the clock follows a reference.
pub(super) fn keeping(units: Option<&Vec<Unit>>) -> Fact<TimeKeeping> {
    let invocation = Invocation::new("timedatectl", DEADLINE).args(["show", "--property=NTPSynchronized", "--value"]);
    let mut answer = String::new();
    let status = match child::run(&invocation, |line| line.clone_into(&mut answer)) {
        Ok(status) => status,
        Err(error) => return Fact::Unknown(chain(&error)),
    };
    let synchronised = match answer.as_str() {
        "yes" if status.success() => true,
        "no" if status.success() => false,
        _ => return Fact::unknown(format!("timedatectl ended with {}: {answer}", status_words(status))),
    };
    let active = |unit: &&Unit| unit.active == "active" && KEEPERS.contains(&unit.name.as_str());
    let service = units.and_then(|units| units.iter().find(active));
    Fact::Known(TimeKeeping {
        synchronised,
        service: service.map(|unit| HostText::from(unit.name.as_str())),
    })
}
