//! Switches: things of the system that are on or off and nothing else, known by a name. It turns none.

use serde::{Deserialize, Serialize};

use super::Kind;

/// Which sort of switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// A package that is kept at its version until somebody says otherwise.
    Hold,
    /// A user whose own services run without a login.
    Linger,
    /// A module of the kernel that is loaded.
    KernelModule,
}

impl Switch {
    /// The kind of its resources.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Hold => Kind::Hold,
            Self::Linger => Kind::Linger,
            Self::KernelModule => Kind::KernelModule,
        }
    }

    /// What is said of one that is on, and of one that is off.
    #[must_use]
    pub const fn word(self, on: bool) -> &'static str {
        match (self, on) {
            (Self::Hold, true) => "held",
            (Self::Hold, false) => "not held",
            (Self::Linger, true) => "lingers",
            (Self::Linger, false) => "does not linger",
            (Self::KernelModule, true) => "loaded",
            (Self::KernelModule, false) => "not loaded",
        }
    }
}

/// A switch as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchSpec {
    /// Which sort.
    pub switch: Switch,
    /// What it is of: a package, a user, a module.
    pub name: String,
    /// Whether it is on.
    pub on: bool,
}

/// A switch as the host has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchState {
    /// Whether it is on. What is not there at all is off.
    pub on: bool,
}
