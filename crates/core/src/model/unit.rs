//! systemd units: whether they are enabled and active. A unit's text is a file resource like any other.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{HostText, Millis};

/// A unit's full name, such as `nginx.service` or `getty@tty1.service`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnitName(String);

/// A text that no systemd unit can be named.
#[derive(Debug, thiserror::Error)]
#[error("a unit name is letters, digits and \":-_.\\@\", and ends in a type such as \".service\"")]
pub struct InvalidUnitName;

/// The unit types of systemd.unit(5).
const TYPES: [&str; 11] = [
    "service",
    "socket",
    "device",
    "mount",
    "automount",
    "swap",
    "target",
    "path",
    "timer",
    "slice",
    "scope",
];

impl UnitName {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// [`InvalidUnitName`] where systemd would not take it either.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidUnitName> {
        let name = name.into();
        let (stem, kind) = name.rsplit_once('.').ok_or(InvalidUnitName)?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'_' | b'.' | b'\\' | b'@');
        let plain = !stem.is_empty() && !stem.starts_with('-') && stem.bytes().all(allowed);
        if plain && TYPES.contains(&kind) && name.len() <= 255 {
            Ok(Self(name))
        } else {
            Err(InvalidUnitName)
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a template, such as `getty@.service`: it can be enabled, and never runs itself.
    #[must_use]
    pub fn is_template(&self) -> bool {
        matches!(self.instance(), Some((_, "", _)))
    }

    /// The template that it is an instance of: `getty@.service` of `getty@tty1.service`.
    #[must_use]
    pub fn template(&self) -> Option<String> {
        match self.instance()? {
            (_, "", _) => None,
            (stem, _, kind) => Some(format!("{stem}@.{kind}")),
        }
    }

    /// Stem, instance and type of a name with an `@`.
    fn instance(&self) -> Option<(&str, &str, &str)> {
        let (stem, rest) = self.0.split_once('@')?;
        let (instance, kind) = rest.rsplit_once('.')?;
        Some((stem, instance, kind))
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for UnitName {
    type Error = InvalidUnitName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(name)
    }
}

impl From<UnitName> for String {
    fn from(name: UnitName) -> Self {
        name.0
    }
}

/// What happens to an active unit when something it uses changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnChange {
    /// It is restarted.
    Restart,
    /// It is reloaded.
    Reload,
    /// Nothing; the new content counts from its next start.
    Nothing,
}

/// A unit as it should be. What it uses (its own file, files it names) are its dependencies with
/// [`super::DependencyReason::triggers`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitSpec {
    /// The unit.
    pub name: UnitName,
    /// Whether it starts at boot; `None` leaves that as it is.
    pub enabled: Option<bool>,
    /// Whether it runs now; `None` leaves that as it is.
    pub active: Option<bool>,
    /// What a change of something it uses does.
    pub on_change: OnChange,
    /// How long it must stay active, without a restart, before it counts as healthy.
    pub settle: Millis,
}

/// A unit as systemd has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitState {
    /// `LoadState`: `loaded`, `not-found`, `masked`, `bad-setting`, `error`.
    pub load: HostText,
    /// `UnitFileState`: `enabled`, `disabled`, `static`, `masked`, … or empty.
    pub enabled: HostText,
    /// `ActiveState`: `active`, `inactive`, `failed`, `activating`, `deactivating`, `reloading`.
    pub active: HostText,
    /// `NeedDaemonReload`: the file on disk is newer than what systemd has read.
    pub needs_reload: bool,
}

impl UnitState {
    /// Whether it is up, or on its way up or down: what a restart applies to. A unit that systemd restarts again and again
    /// is at one moment in one of these states and at the next in another.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(
            self.active.untrusted(),
            "active" | "reloading" | "refreshing" | "activating" | "deactivating"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_know_their_template() {
        for (name, template, is_template) in [
            ("getty@tty1.service", Some("getty@.service"), false),
            ("a@b@c.d.timer", Some("a@.timer"), false),
            ("getty@.service", None, true),
            ("ssh.service", None, false),
        ] {
            let name = UnitName::new(name).unwrap();
            assert_eq!(name.template().as_deref(), template, "{name}");
            assert_eq!(name.is_template(), is_template, "{name}");
        }
    }
}
