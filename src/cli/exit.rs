//! The exit codes: what each means, and which one several hosts give together. Nothing here ends the process.

/// How the program ends. The order is the order of importance: of several hosts' verdicts the greatest one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// There was nothing to do, or all of it was done.
    Done,
    /// Changes are pending, or a host drifted; only with `--detailed-exitcode`. Or `doctor` found nothing worse than warnings,
    /// or could not look at everything.
    Changes,
    /// Somebody else applies to a host; nothing was changed there.
    Locked,
    /// A plan was made for what a host no longer is; nothing was changed there.
    Stale,
    /// Refused before anything was touched: a mistake in the configuration, an empty selection, a blocker, a "no".
    Refused,
    /// A host could not be reached; or the connection was lost, and what became of its run is not known.
    Unreachable,
    /// Something failed on a host.
    Failed,
    /// The result could not be written to standard output.
    Output,
    /// The command line made no sense. Nothing was done.
    Usage,
    /// Stopped by Ctrl-C. Runs that had begun go on on their hosts.
    Interrupted,
}

impl Exit {
    /// Every way to end.
    pub const ALL: [Self; 10] = [
        Self::Done,
        Self::Refused,
        Self::Changes,
        Self::Failed,
        Self::Unreachable,
        Self::Stale,
        Self::Locked,
        Self::Usage,
        Self::Output,
        Self::Interrupted,
    ];

    /// The process's exit code. These numbers never change.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::Changes => 2,
            Self::Failed => 3,
            Self::Unreachable => 4,
            Self::Stale => 5,
            Self::Locked => 6,
            // EX_USAGE and EX_IOERR of sysexits.h; 128 + SIGINT as shells have it.
            Self::Usage => 64,
            Self::Output => 74,
            Self::Interrupted => 130,
        }
    }

    /// What it means, for `--help` and the manual.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "nothing to do, or all of it done",
            Self::Refused => "refused before anything was touched: bad files, no host selected, a blocker, your \"no\"",
            Self::Changes => {
                "changes are pending or a host drifted (only with --detailed-exitcode); doctor: only warnings, or not all was seen"
            }
            Self::Failed => "something failed on a host; what was done before it stays, and is recorded there",
            Self::Unreachable => "a host could not be reached, or how its run ended could not be learnt",
            Self::Stale => "a plan was made for what a host no longer is; nothing was changed there",
            Self::Locked => "somebody else is applying to a host; nothing was changed there",
            Self::Usage => "the command line makes no sense",
            Self::Output => "the result could not be written to standard output",
            Self::Interrupted => "stopped by Ctrl-C; runs that had begun go on on their hosts",
        }
    }
}

/// What the verdicts of several hosts come to: the most important one, whatever their order; nothing is [`Exit::Done`].
///
/// A failure outranks all else that a host can say, since something there is half done. A host that cannot be reached
/// outranks a refusal, since nothing is known of it. A refusal outranks a stale plan and a taken lock, which go away
/// by planning or trying again. Pending changes are no trouble at all.
pub fn combine(verdicts: impl IntoIterator<Item = Exit>) -> Exit {
    verdicts.into_iter().max().unwrap_or(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_what_they_always_were() {
        let codes: Vec<_> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 64, 74, 130]);
    }

    #[test]
    fn the_most_important_verdict_wins_in_any_order() {
        use Exit::{Changes, Done, Failed, Interrupted, Locked, Refused, Stale, Unreachable};
        let table: &[(&[Exit], Exit)] = &[
            (&[], Done),
            (&[Done, Done], Done),
            (&[Done, Changes], Changes),
            (&[Changes, Locked], Locked),
            (&[Locked, Stale], Stale),
            (&[Stale, Refused], Refused),
            (&[Refused, Unreachable], Unreachable),
            (&[Changes, Unreachable], Unreachable),
            (&[Unreachable, Failed], Failed),
            (&[Done, Changes, Locked, Stale, Refused, Unreachable, Failed], Failed),
            (&[Failed, Interrupted], Interrupted),
        ];
        for (verdicts, expected) in table {
            assert_eq!(combine(verdicts.iter().copied()), *expected, "{verdicts:?}");
            assert_eq!(
                combine(verdicts.iter().rev().copied()),
                *expected,
                "{verdicts:?} reversed"
            );
        }
    }
}
