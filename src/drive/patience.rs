//! How long each part of a conversation with a host may take. All of it follows from one number that people choose
//! (`--timeout`); it enforces nothing.

use std::time::Duration;

use provision_core::wire::limits::BEAT;

/// The time that one word may take: `--timeout`, by default 30 s.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience(pub(super) Duration);

impl Patience {
    /// Until the agent's first word, or that of a short command.
    pub(super) const fn word(self) -> Duration {
        self.0
    }

    /// Until the host has been looked at: guards of commands run meanwhile, each with a deadline of 30 s.
    pub(super) const fn look(self) -> Duration {
        self.0.saturating_mul(4)
    }

    /// Until a run that was handed over has told its first event: its plan is staged, and systemd starts it.
    pub(super) const fn begin(self) -> Duration {
        self.0.saturating_mul(4)
    }

    /// Between two words of a run that is followed. The agent says every [`BEAT`] that it is there, so a few that are
    /// missing mean that it is not, however long the step takes.
    pub(super) fn silence(self) -> Duration {
        self.0.max(BEAT * 3)
    }

    /// Until the host has told of its records, with contents of files over a slow line.
    pub(super) const fn records(self) -> Duration {
        self.0.saturating_mul(10)
    }

    /// Until the agent is on the host: a megabyte or two over a slow line.
    pub(super) const fn upload(self) -> Duration {
        self.0.saturating_mul(10)
    }

    /// How long coming back to a run is tried: by default two minutes and a half, which covers a reboot.
    pub(super) const fn back(self) -> Duration {
        self.0.saturating_mul(5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impatient_person_still_hears_a_run_that_goes_on() {
        for millis in [1, 500, 5_000, 30_000] {
            let patience = Patience(Duration::from_millis(millis));
            assert!(patience.silence() > BEAT * 2, "{millis}");
            assert!(patience.silence() >= patience.word(), "{millis}");
        }
        assert_eq!(Patience(Duration::MAX).look(), Duration::MAX);
    }
}
