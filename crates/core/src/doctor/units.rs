//! Units that failed, with their last words.

use super::count;
use super::finding::{Check, Diagnosis, Severity, Trouble};
use crate::model::{Examination, Fact, FailedUnit, HostText};

pub(super) fn units(host: &str, seen: &Examination, diagnosis: &mut Diagnosis) {
    match &seen.units {
        Fact::Unknown(why) => diagnosis.unknown(Check::Units, why.untrusted()),
        Fact::Known(failed) => {
            diagnosis.saw(Check::Units, format!("{} failed", count(failed.len() as u64, "unit")));
            for unit in failed {
                one(host, unit, diagnosis);
            }
        }
    }
    for (user, why) in &seen.deaf_managers {
        diagnosis.unknown(Check::Units, format!("the units of {user}: {}", why.untrusted()));
    }
}

fn one(host: &str, unit: &FailedUnit, diagnosis: &mut Diagnosis) {
    let name = unit.name.untrusted();
    let mut words = format!("failed: {}", unit.result.untrusted());
    if unit.status != 0 {
        words += &format!(", status {}", unit.status);
    }
    if unit.restarts > 0 {
        words += &format!(", restarted {} by itself", count(u64::from(unit.restarts), "time"));
    }
    let of_user = unit.user.as_ref().map(HostText::untrusted);
    let manager = of_user
        .map(|user| format!(" --user --machine={user}@"))
        .unwrap_or_default();
    let user = of_user.map(|user| format!(" --user {user}")).unwrap_or_default();
    let fix = format!(
        "see `provision logs {host} {name}{user}`; then `systemctl{manager} restart {name}` on the host, or \
         `systemctl{manager} reset-failed {name}` where it is needed no longer"
    );
    let subject = of_user.map_or_else(|| name.to_owned(), |user| format!("{name} of {user}"));
    let lines = diagnosis.find(Trouble::UnitFailed, Severity::Problem, subject, words, fix);
    match &unit.lines {
        Fact::Known(known) => lines.extend(known.iter().cloned()),
        Fact::Unknown(why) => {
            let why = format!("the last lines of {name}: {}", why.untrusted());
            diagnosis.unknown(Check::Units, why);
        }
    }
}
