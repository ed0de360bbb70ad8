//! The host's clock: whether anything keeps it right, and by how much it differs from this machine's, as far as the time
//! that the look itself took allows to say.

use super::finding::{Check, Diagnosis, Severity, Trouble};
use crate::model::{Examination, Fact, HostText};

/// When this machine asked and had the answer, in milliseconds since 1970 by its own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trip {
    /// Just before the question was sent.
    pub sent: u64,
    /// Just after the answer was read.
    pub received: u64,
}

/// From these on, in milliseconds, a difference is worth a word, or breaks things: Kerberos allows five minutes, one-time
/// passwords thirty seconds.
const OFF: u64 = 2_000;
const FAR_OFF: u64 = 30_000;

pub(super) fn clock(seen: &Examination, trip: Trip, diagnosis: &mut Diagnosis) {
    let mut words = offset(seen, trip, diagnosis);
    match &seen.time {
        // A container has its host's clock, and nothing in it could put it right.
        _ if seen.container.is_some() => words += ", kept by the machine that this container runs on",
        Fact::Unknown(why) => {
            diagnosis.unknown(Check::Clock, format!("whether it is synchronised: {}", why.untrusted()));
        }
        Fact::Known(time) => {
            let keeper = time.service.as_ref().map(HostText::untrusted);
            match (time.synchronised, keeper) {
                (true, Some(keeper)) => words += &format!(", synchronised by {keeper}"),
                (true, None) => words += ", synchronised",
                (false, Some(keeper)) => {
                    let seen = format!("{keeper} runs, and the clock is not synchronised");
                    let fix = format!(
                        "see `journalctl -u {keeper}` on the host: time servers may be out of reach (UDP port 123)"
                    );
                    diagnosis.find(Trouble::ClockUnsynchronised, Severity::Warning, "clock", seen, fix);
                }
                (false, None) => {
                    let seen = "the clock is not synchronised, and no service that would do so runs";
                    let fix = "declare [packages] systemd-timesyncd = \"present\" (or chrony) in the host's file";
                    diagnosis.find(Trouble::ClockUnsynchronised, Severity::Warning, "clock", seen, fix);
                }
            }
        }
    }
    diagnosis.saw(Check::Clock, words);
}

/// The host read its clock twice between our question and its answer, so the first reading is at most too early by nothing
/// and the last at most too late by nothing: that bounds the difference on both sides.
fn offset(seen: &Examination, trip: Trip, diagnosis: &mut Diagnosis) -> String {
    let at_least = signed(seen.ended) - signed(trip.received);
    let at_most = signed(seen.began) - signed(trip.sent);
    if at_least > at_most {
        diagnosis.unknown(
            Check::Clock,
            "its difference: one of the two clocks was set while it was looked at",
        );
        return "set meanwhile".to_owned();
    }
    let words = format!("between {} and {} of this machine's", side(at_least), side(at_most));
    let surely = if at_least > 0 {
        at_least.unsigned_abs()
    } else if at_most < 0 {
        at_most.unsigned_abs()
    } else {
        0
    };
    let severity = match surely {
        0..OFF => None,
        OFF..FAR_OFF => Some(Severity::Warning),
        _ => Some(Severity::Problem),
    };
    if let Some(severity) = severity {
        let fix = "see which of the two is wrong (`timedatectl` on both), and let it be synchronised";
        diagnosis.find(Trouble::ClockOff, severity, "clock", words.clone(), fix);
    }
    words
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

/// A difference in words.
fn side(millis: i64) -> String {
    let (seconds, rest) = (millis.unsigned_abs() / 1000, millis.unsigned_abs() % 1000);
    let side = if millis < 0 { "behind" } else { "ahead" };
    format!("{seconds}.{rest:03}s {side}")
}
