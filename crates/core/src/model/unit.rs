//! systemd units: whether they are enabled and active. A unit's text is a file resource like any other.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{HostText, Millis};

/// A unit's full name: `nginx.service` or `getty@tty1.service` is the system's, `bot/gateway.service` is the one that bot's
/// own manager has. So units of one name that two users have are two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnitName(String);

/// A text that no systemd unit can be named.
#[derive(Debug, thiserror::Error)]
#[error(
    "a unit name is letters, digits and \":-_.\\@\", and ends in a type such as \".service\"; a user's has the user's name and \"/\" before it"
)]
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
        let (user, unit) = match name.split_once('/') {
            Some((user, unit)) => (Some(user), unit),
            None => (None, name.as_str()),
        };
        let (stem, kind) = unit.rsplit_once('.').ok_or(InvalidUnitName)?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'_' | b'.' | b'\\' | b'@');
        let plain = !stem.is_empty() && !stem.starts_with('-') && stem.bytes().all(allowed);
        if plain && TYPES.contains(&kind) && unit.len() <= 255 && user.is_none_or(is_user) {
            Ok(Self(name))
        } else {
            Err(InvalidUnitName)
        }
    }

    /// The name as text, with the user's before it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The user whose manager has it; `None` is the system's.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.0.split_once('/').map(|(user, _)| user)
    }

    /// The name as its manager knows it: `gateway.service` of `bot/gateway.service`.
    #[must_use]
    pub fn unit(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(_, unit)| unit)
    }

    /// The name without its user's.
    #[must_use]
    pub fn alone(&self) -> Self {
        Self(self.unit().to_owned())
    }

    /// Another unit of the same manager.
    ///
    /// # Errors
    /// [`InvalidUnitName`].
    pub fn beside(&self, unit: &str) -> Result<Self, InvalidUnitName> {
        match self.user() {
            Some(user) => Self::new(format!("{user}/{unit}")),
            None => Self::new(unit),
        }
    }

    /// What root types to give its manager an order about it.
    #[must_use]
    pub fn command(&self, order: &str) -> String {
        let unit = self.unit();
        match self.user() {
            Some(user) => {
                format!("sudo -u {user} XDG_RUNTIME_DIR=/run/user/$(id -u {user}) systemctl --user {order} {unit}")
            }
            None => format!("systemctl {order} {unit}"),
        }
    }

    /// Whether it is a template, such as `getty@.service`: it can be enabled, and never runs itself.
    #[must_use]
    pub fn is_template(&self) -> bool {
        matches!(self.instance(), Some((_, "", _)))
    }

    /// The template that it is an instance of, without a user: `getty@.service` of `getty@tty1.service`.
    #[must_use]
    pub fn template(&self) -> Option<String> {
        match self.instance()? {
            (_, "", _) => None,
            (stem, _, kind) => Some(format!("{stem}@.{kind}")),
        }
    }

    /// Stem, instance and type of a name with an `@`.
    fn instance(&self) -> Option<(&str, &str, &str)> {
        let (stem, rest) = self.unit().split_once('@')?;
        let (instance, kind) = rest.rsplit_once('.')?;
        Some((stem, instance, kind))
    }
}

/// What useradd takes for a name (NAME_REGEX of adduser.conf(5)).
fn is_user(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let first = |b: &u8| b.is_ascii_alphabetic() || *b == b'_';
    name.len() <= 32 && name.as_bytes().first().is_some_and(first) && name.bytes().all(allowed)
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
    fn a_users_unit_says_whose_it_is() {
        let unit = UnitName::new("bot/gate@a.service").unwrap();
        assert_eq!((unit.user(), unit.unit()), (Some("bot"), "gate@a.service"));
        assert_eq!(unit.template().as_deref(), Some("gate@.service"));
        assert_eq!(unit.beside("b.timer").unwrap().as_str(), "bot/b.timer");
        assert_eq!(UnitName::new("b.timer").unwrap().user(), None);
        for wrong in [
            "/a.service",
            "bot/",
            "bot/a",
            "a/b/c.service",
            "-u/a.service",
            "0/a.service",
            "../a.service",
            "bot/../a.service",
            "b t/a.service",
        ] {
            assert!(UnitName::new(wrong).is_err(), "{wrong}");
        }
    }

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
