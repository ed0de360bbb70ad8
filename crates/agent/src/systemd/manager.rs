//! Whose units: the manager of the system, or that of a user, which is asked as that user. It knows no unit.

use std::collections::BTreeMap;
use std::time::Duration;

use provision_core::model::UnitName;

use super::{SystemdError, systemctl};
use crate::accounts::{Accounts, User};
use crate::child::Invocation;

/// A manager of units.
#[derive(Clone, Debug)]
pub(crate) enum Manager {
    /// The system's.
    System,
    /// That of a user. Whatever it answers is the user's word.
    Of(User),
}

impl Manager {
    /// The manager of a unit.
    ///
    /// # Errors
    /// [`SystemdError::NoUser`], [`SystemdError::Accounts`].
    pub(crate) fn of(unit: &UnitName) -> Result<Self, SystemdError> {
        unit.user().map_or(Ok(Self::System), Self::of_user)
    }

    /// The manager of a user.
    ///
    /// # Errors
    /// [`SystemdError::NoUser`], [`SystemdError::Accounts`].
    pub(crate) fn of_user(user: &str) -> Result<Self, SystemdError> {
        let accounts = Accounts::read().map_err(SystemdError::Accounts)?;
        let found = accounts.user(user).cloned();
        found
            .map(Self::Of)
            .ok_or_else(|| SystemdError::NoUser { user: user.to_owned() })
    }

    /// A run of systemctl that speaks to it. A user's manager answers its own user, through a socket in the user's runtime
    /// directory: so this needs neither a session, nor D-Bus, nor `systemd-container`, as `--machine=USER@` would.
    pub(crate) fn systemctl(&self, deadline: Duration) -> Invocation {
        let invocation = Invocation::new("systemctl", deadline).args(["--no-pager", "--no-ask-password"]);
        match self {
            Self::System => invocation,
            Self::Of(user) => invocation
                .args(["--user"])
                .env("HOME", &user.home)
                .env("XDG_RUNTIME_DIR", format!("/run/user/{}", user.uid))
                .user(user.uid, user.gid),
        }
    }

    /// The same for what is a matter of files only, such as enabling: there a user's manager need not run.
    pub(crate) fn offline(&self, deadline: Duration) -> Invocation {
        match self {
            Self::System => self.systemctl(deadline),
            Self::Of(_) => self.systemctl(deadline).env("SYSTEMD_OFFLINE", "1"),
        }
    }

    /// Whether it runs. What the system's manager says of a user's is not the user's word.
    ///
    /// # Errors
    /// [`SystemdError`].
    pub(crate) fn is_up(&self) -> Result<bool, SystemdError> {
        match (self.standing()?, self) {
            (Standing::Up, _) | (_, Self::System) => Ok(true),
            (Standing::Down, _) => Ok(false),
            (standing, Self::Of(user)) => Err(SystemdError::Between {
                user: user.name.clone(),
                standing: standing.words(),
            }),
        }
    }

    /// How it stands at this moment.
    ///
    /// # Errors
    /// [`SystemdError`].
    pub(crate) fn standing(&self) -> Result<Standing, SystemdError> {
        let Self::Of(user) = self else {
            return Ok(Standing::Up);
        };
        let unit = format!("user@{}.service", user.uid);
        let answer = systemctl(
            &Self::System,
            ["show", "--property=ActiveState", "--value", "--", &unit],
        )?;
        Ok(match answer.trim() {
            "active" | "reloading" | "refreshing" => Standing::Up,
            "activating" => Standing::Starting,
            "deactivating" => Standing::Ending,
            _ => Standing::Down,
        })
    }

    /// The arguments that find in the journal what one of its units wrote, and what it wrote of that. Lines of a user's
    /// process name its unit, and any process may claim any unit, so they are the user's only with the user's number.
    pub(super) fn journal(&self, unit: &str) -> Vec<String> {
        let Self::Of(user) = self else {
            return vec![format!("--unit={unit}")];
        };
        let of = |field: &str| [format!("{field}={unit}"), format!("_UID={}", user.uid)];
        let [own, about] = ["_SYSTEMD_USER_UNIT", "USER_UNIT"].map(of);
        own.into_iter().chain(["+".to_owned()]).chain(about).collect()
    }
}

/// How a user's manager stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It answers.
    Up,
    /// It will answer soon.
    Starting,
    /// It ends, and what it runs with it.
    Ending,
    /// It does not run.
    Down,
}

impl Standing {
    const fn words(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Starting => "starting",
            Self::Ending => "ending",
            Self::Down => "down",
        }
    }
}

/// Units by whose they are.
pub(crate) fn by_user<'a>(
    units: impl IntoIterator<Item = &'a UnitName>,
) -> BTreeMap<Option<&'a str>, Vec<&'a UnitName>> {
    let mut by_user: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for unit in units {
        by_user.entry(unit.user()).or_default().push(unit);
    }
    by_user
}
