//! Users, as they should be and as `/etc/passwd` and `/etc/group` have them. Passwords are not handled.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AbsPath, HostText};

/// A user as it should be. `None` leaves an existing user's attribute as it is, and takes the system's default for a new one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSpec {
    /// The name.
    pub name: String,
    /// The numeric id.
    pub uid: Option<u32>,
    /// The primary group's name; `None` makes a group of the user's own name.
    pub group: Option<String>,
    /// Groups it must be a member of; other memberships stay.
    pub groups: BTreeSet<String>,
    /// The home directory.
    pub home: Option<AbsPath>,
    /// Whether a missing home directory is made when the user is created.
    pub create_home: bool,
    /// The login shell.
    pub shell: Option<AbsPath>,
    /// The comment (GECOS) field.
    pub comment: Option<String>,
    /// Whether it is created in the range of system users.
    pub system: bool,
}

/// A user as the host has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum UserState {
    /// There is none of that name.
    Absent,
    /// It is there.
    Present {
        /// The numeric id.
        uid: u32,
        /// The primary group.
        group: super::Owner,
        /// The other groups that name it as a member.
        groups: BTreeSet<HostText>,
        /// The home directory.
        home: HostText,
        /// The login shell.
        shell: HostText,
        /// The comment (GECOS) field.
        comment: HostText,
    },
}
