//! File permissions as people write them. It changes none.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The twelve permission bits of a path, written in octal such as `0644`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mode(u32);

/// A text that is not a mode.
#[derive(Debug, thiserror::Error)]
#[error("a mode is three or four octal digits, such as \"0644\"")]
pub struct InvalidMode;

impl Mode {
    /// The permission bits of `st_mode`; the file type bits are dropped.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & 0o7777)
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether users other than the owner and the group may read.
    #[must_use]
    pub const fn others_read(self) -> bool {
        self.0 & 0o004 != 0
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mode({self})")
    }
}

impl FromStr for Mode {
    type Err = InvalidMode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let octal = text.bytes().all(|b| matches!(b, b'0'..=b'7'));
        if !octal || !(3..=4).contains(&text.len()) {
            return Err(InvalidMode);
        }
        u32::from_str_radix(text, 8).map(Self).map_err(|_| InvalidMode)
    }
}

impl TryFrom<String> for Mode {
    type Error = InvalidMode;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Mode> for String {
    fn from(mode: Mode) -> Self {
        mode.to_string()
    }
}
