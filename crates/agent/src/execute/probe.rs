//! Probes as gates: tried until they pass often enough in a row, or their time is over. They change nothing.

use std::time::{Duration, Instant};

use provision_core::model::{Check, HostText, ProbeSpec, StepError};
use provision_core::wire::limits::ERROR_LINES;

use super::{Progress, problem};
use crate::{observe, systemd};

/// How long one try may take. A server that takes longer to answer a health check is not healthy.
const TRY: Duration = Duration::from_secs(10);

pub(super) fn wait(spec: &ProbeSpec, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let until = Instant::now() + spec.timeout.duration();
    let mut passed = 0;
    let mut told = String::new();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let (passing, detail) = match observe::try_once(&spec.check, left.min(TRY)) {
            Ok(state) => (state.passing, state.detail),
            Err(reason) => (false, HostText::new(reason)),
        };
        passed = if passing { passed + 1 } else { 0 };
        if passed >= spec.threshold.max(1) {
            return Ok(());
        }
        if !passing && detail.untrusted() != told {
            told = detail.untrusted().to_owned();
            progress.output(&told);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left <= spec.interval.duration() {
            return Err(over(spec, passed, &detail));
        }
        std::thread::sleep(spec.interval.duration());
    }
}

fn over(spec: &ProbeSpec, passed: u32, detail: &HostText) -> StepError {
    let words = match passed {
        0 => format!("it did not pass within {}: {}", spec.timeout, detail.untrusted()),
        passed => format!(
            "it passed {passed} of the {} times in a row that it must within {}",
            spec.threshold, spec.timeout
        ),
    };
    let output = match &spec.check {
        Check::Unit { unit } => systemd::journal_tail(unit, ERROR_LINES),
        Check::Http { .. } | Check::Tcp { .. } | Check::NoNames { .. } => Vec::new(),
    };
    let fix = match &spec.check {
        Check::NoNames { .. } => Some("take it out there on the host, and restart what runs with it".to_owned()),
        Check::Http { .. } | Check::Tcp { .. } | Check::Unit { .. } => None,
    };
    StepError {
        output,
        fix,
        ..problem(words)
    }
}
