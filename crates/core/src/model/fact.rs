//! What was observed, or why it was not. A failed observation is never "equal" and never "absent".

use serde::{Deserialize, Serialize};

use super::HostText;

/// One observation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact<T> {
    /// It was seen, and this is what was there (absence included).
    Known(T),
    /// It could not be seen; the reason is a fragment such as "permission denied".
    Unknown(HostText),
}

impl<T> Fact<T> {
    /// An observation that failed, with the reason.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown(HostText::new(reason))
    }

    /// The value, where one was seen.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }
}
