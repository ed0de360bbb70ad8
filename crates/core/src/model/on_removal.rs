//! What happens to a resource when it leaves the configuration: the choice that its declaration makes. What that comes
//! to on a host is the planner's.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What happens to a resource when it leaves the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnRemoval {
    /// What was there before `provision` came comes back; where nothing was, it goes.
    #[default]
    Restore,
    /// It goes, whatever was there before.
    Remove,
    /// It stays as it is.
    Keep,
}

impl OnRemoval {
    /// Every choice, in the order in which they are told.
    pub const ALL: [Self; 3] = [Self::Restore, Self::Remove, Self::Keep];

    /// Its word in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Remove => "remove",
            Self::Keep => "keep",
        }
    }

    /// Whether it is what counts where nothing is said; that is not written down.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for OnRemoval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
