//! What an existing machine has that its installation did not bring: what can be adopted into a configuration, and what can
//! only be told of.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AbsPath, Blob, Fact, HostFacts, HostText, Mode, UnitName};

/// What was found on a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// The host itself.
    pub facts: HostFacts,
    /// Packages that were asked for, rather than brought by others, and are not part of every Debian.
    pub packages: Fact<Vec<AskedPackage>>,
    /// Groups that are not the system's.
    pub groups: Vec<FoundGroup>,
    /// Users that are not the system's.
    pub users: Vec<FoundUser>,
    /// Files that no package owns, or that are not as their packages brought them.
    pub files: Vec<FoundFile>,
    /// Units whose state is not as their packages left it, and units of the machine's own.
    pub units: Fact<Vec<FoundUnit>>,
    /// Jobs of cron.
    pub cron: Vec<HostText>,
    /// Containers: name and image.
    pub containers: Vec<(HostText, HostText)>,
    /// What could not be looked at, and why.
    pub unseen: Vec<HostText>,
}

/// A package that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedPackage {
    /// Its name.
    pub name: String,
    /// Whether it was there before the machine's first boot, so that its image or installer brought it.
    pub from_image: bool,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoundGroup {
    /// Its name.
    pub name: String,
    /// Its number.
    pub gid: u32,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoundUser {
    /// The name.
    pub name: String,
    /// The number.
    pub uid: u32,
    /// The primary group's name; `None` where it has none.
    pub group: Option<String>,
    /// The other groups.
    pub groups: BTreeSet<String>,
    /// The home directory.
    pub home: String,
    /// The login shell.
    pub shell: String,
    /// The comment field.
    pub comment: String,
}

/// A file, link or directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoundFile {
    /// Where.
    pub path: AbsPath,
    /// Its owner: the name, or the number in digits.
    pub owner: String,
    /// Its group, likewise.
    pub group: String,
    /// Its permissions.
    pub mode: Mode,
    /// The package whose file it was, where it is a changed one.
    pub changed: Option<HostText>,
    /// What it is.
    pub body: FoundBody,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FoundBody {
    /// A directory.
    Directory,
    /// A symbolic link, with its text.
    Link(HostText),
    /// A file's content.
    Content(Blob),
    /// A file whose content stays on the host, and why.
    Private(HostText),
}

/// A unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoundUnit {
    /// The unit.
    pub name: UnitName,
    /// Whether it starts at boot; `None` where it can be neither enabled nor disabled.
    pub enabled: Option<bool>,
    /// That it runs; `None` where it does not, or ends by itself.
    pub active: Option<bool>,
}
