//! Groups of users, as they should be and as `/etc/group` has them.

use serde::{Deserialize, Serialize};

/// A group as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSpec {
    /// The name.
    pub name: String,
    /// The numeric id; `None` takes the one it has, or the next free one.
    pub gid: Option<u32>,
    /// Whether it is created in the range of system groups.
    pub system: bool,
}

/// A group as `/etc/group` has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum GroupState {
    /// There is none of that name.
    Absent,
    /// It is there.
    Present {
        /// The numeric id.
        gid: u32,
    },
}
