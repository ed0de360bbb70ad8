//! Swap files: how large one should be and how it is used, what the host has of it, and the figures that say whether it can
//! be had. It makes none and asks no kernel.

use serde::{Deserialize, Serialize};

use super::{AbsPath, Digest, Mode};

/// How much memory must stay available beside the pages that come back from swap, in bytes: what is left may not be so little
/// that the kernel begins to kill.
const MEMORY_RESERVE: u64 = 64 << 20;
/// How much of a disk must stay free beside a new swap file, at most, in bytes; of small ones a twentieth.
const DISK_RESERVE: u64 = 1 << 30;

/// A swap file as it should be. It is root's, and nobody else may read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwapfileSpec {
    /// Where it lies.
    pub path: AbsPath,
    /// Its length, in bytes.
    pub size: u64,
    /// Which is used first: the one with the highest, from 0 to 32767. `None` leaves that to the kernel, which then uses it
    /// after all that have one.
    pub priority: Option<u16>,
    /// Whether the kernel uses it. No configuration says otherwise; one that was there before may have lain unused.
    pub active: bool,
}

impl SwapfileSpec {
    /// Whether the kernel uses it, or leaves it alone, as declared.
    #[must_use]
    pub fn is_used_as_declared(&self, active: Option<&ActiveSwap>) -> bool {
        match (self.active, active) {
            (false, active) => active.is_none(),
            (true, None) => false,
            (true, Some(active)) => self.priority == active.declared(),
        }
    }
}

/// A swap file as the host has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SwapfileState {
    /// Nothing is there.
    Absent {
        /// What the file system below has; `None` where its directory is not there yet.
        room: Option<Room>,
    },
    /// Something that is no regular file.
    Other {
        /// What, with its article.
        what: String,
    },
    /// A regular file.
    File(SwapfileFound),
}

/// A regular file at the path of a swap file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwapfileFound {
    /// Its length, in bytes.
    pub size: u64,
    /// How many bytes its header says are swap space; `None` is a file without such a header.
    pub formatted: Option<u64>,
    /// The owner's numeric id.
    pub owner: u32,
    /// Permissions.
    pub mode: Mode,
    /// How the kernel uses it; `None`: it does not.
    pub active: Option<ActiveSwap>,
    /// What the file system below has.
    pub room: Option<Room>,
    /// How much memory is available for what comes back from it, in bytes.
    pub memory: u64,
}

/// Swap space that the kernel uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActiveSwap {
    /// Its priority; those that the kernel chose are below 0.
    pub priority: i32,
    /// How much is in it, in bytes.
    pub used: u64,
}

impl ActiveSwap {
    /// The priority that somebody must have said.
    #[must_use]
    pub fn declared(&self) -> Option<u16> {
        u16::try_from(self.priority).ok()
    }
}

/// What a file system has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Room {
    /// Bytes that are free for programs.
    pub free: u64,
    /// All its bytes.
    pub total: u64,
    /// Why no swap file can lie there, as a sentence about the file system.
    pub unfit: Option<String>,
}

/// Why something cannot be done, with the figures, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is in the way.
    pub problem: String,
    /// What to do.
    pub fix: String,
}

impl Room {
    /// Why no swap file of this many bytes can be made here, beside whatever is there now.
    #[must_use]
    pub fn refuses(&self, size: u64) -> Option<Refusal> {
        if let Some(unfit) = &self.unfit {
            return Some(Refusal {
                problem: unfit.clone(),
                fix: "let it lie on an ext4 or xfs file system of the host's own disk".to_owned(),
            });
        }
        let reserve = (self.total / 20).min(DISK_RESERVE);
        let needed = size.saturating_add(reserve);
        (self.free < needed).then(|| Refusal {
            problem: format!(
                "there is no room for it: {} are free on that file system, and it takes {} of which {} must stay free",
                mib(self.free),
                mib_up(needed),
                mib_up(reserve)
            ),
            fix: "free some space there (df), declare a smaller one, or let it lie on another disk".to_owned(),
        })
    }
}

/// Why this many bytes cannot be taken back into memory, of which so many are available.
#[must_use]
pub fn cannot_take_back(used: u64, memory: u64) -> Option<Refusal> {
    (used > 0 && memory < used.saturating_add(MEMORY_RESERVE)).then(|| Refusal {
        problem: format!(
            "memory cannot take back what is in it: {} are in use there, {} of memory are available, and {} of them must stay so",
            mib_up(used),
            mib(memory),
            mib(MEMORY_RESERVE)
        ),
        fix: "stop what uses so much memory, or wait until less is in it; then plan again".to_owned(),
    })
}

impl SwapfileState {
    /// A digest of what a plan may rest on: how full memory, swap and disk are changes from moment to moment, and is looked at
    /// again by the step.
    #[must_use]
    pub(super) fn fingerprint(&self) -> Digest {
        match self {
            Self::Absent { room: _ } => Digest::of_json(&"no swap file"),
            Self::Other { what } => Digest::of_json(&("swap file", what)),
            Self::File(SwapfileFound {
                size,
                formatted,
                owner,
                mode,
                active,
                room: _,
                memory: _,
            }) => Digest::of_json(&(
                "swap file",
                size,
                formatted,
                owner,
                mode,
                active.as_ref().map(|active| active.priority),
            )),
        }
    }
}

/// Bytes in words, rounded down: what there is.
#[must_use]
pub fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// Bytes in words, rounded up: what is needed.
fn mib_up(bytes: u64) -> String {
    mib(bytes.saturating_add((1 << 20) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_file_needs_its_length_and_the_reserve_and_not_a_byte_more() {
        let room = |free| Room {
            free,
            total: 1000 * MIB,
            unfit: None,
        };
        assert_eq!(room(150 * MIB).refuses(100 * MIB), None);
        let refusal = room(150 * MIB - 1).refuses(100 * MIB).unwrap();
        assert!(
            refusal
                .problem
                .contains("149 MiB are free on that file system, and it takes 150 MiB of which 50 MiB must stay free"),
            "{refusal:?}"
        );
        // Of a large disk no more than 1 GiB.
        let large = Room {
            free: 1026 * MIB,
            total: 1 << 40,
            unfit: None,
        };
        assert_eq!(large.refuses(2 * MIB), None);
        assert!(large.refuses(3 * MIB).is_some());
        let unfit = Room {
            unfit: Some("it is a tmpfs".to_owned()),
            ..large
        };
        assert_eq!(unfit.refuses(MIB).unwrap().problem, "it is a tmpfs");
    }

    #[test]
    fn what_is_in_it_must_fit_into_memory_with_a_reserve() {
        assert_eq!(cannot_take_back(0, 0), None);
        assert_eq!(cannot_take_back(100 * MIB, 164 * MIB), None);
        let refusal = cannot_take_back(100 * MIB, 164 * MIB - 1).unwrap();
        assert!(
            refusal
                .problem
                .contains("100 MiB are in use there, 163 MiB of memory are available, and 64 MiB of them must stay so"),
            "{refusal:?}"
        );
    }

    #[test]
    fn a_priority_that_nobody_said_is_the_kernels() {
        let spec = |priority| SwapfileSpec {
            path: AbsPath::new("/swapfile").unwrap(),
            size: MIB,
            priority,
            active: true,
        };
        let active = |priority| ActiveSwap { priority, used: 0 };
        assert!(spec(None).is_used_as_declared(Some(&active(-2))));
        assert!(!spec(None).is_used_as_declared(Some(&active(0))));
        assert!(spec(Some(0)).is_used_as_declared(Some(&active(0))));
        assert!(!spec(Some(10)).is_used_as_declared(Some(&active(-2))));
        assert!(!spec(Some(10)).is_used_as_declared(None));
    }

    #[test]
    fn a_plan_rests_on_the_file_and_not_on_how_full_everything_is() {
        let state = |used, memory, free| {
            SwapfileState::File(SwapfileFound {
                size: MIB,
                formatted: Some(MIB),
                owner: 0,
                mode: Mode::from_bits(0o600),
                active: Some(ActiveSwap { priority: 1, used }),
                room: Some(Room {
                    free,
                    total: MIB,
                    unfit: None,
                }),
                memory,
            })
        };
        assert_eq!(state(0, 1, 2).fingerprint(), state(3, 4, 5).fingerprint());
        let mut off = state(0, 1, 2);
        if let SwapfileState::File(found) = &mut off {
            found.active = None;
        }
        assert_ne!(off.fingerprint(), state(0, 1, 2).fingerprint());
    }
}
