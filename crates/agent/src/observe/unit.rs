//! Units, as systemd and users' managers have them: the answer to one question to each. The question itself is
//! [`crate::systemd`]'s.

use std::collections::{BTreeMap, BTreeSet};

use provision_core::model::{UnitName, UnitState};

use super::reason;
use crate::systemd;

/// What is said of each unit asked for, or why nothing is.
pub(super) struct Units(BTreeMap<UnitName, Result<UnitState, String>>);

impl Units {
    /// Asks, unless no unit is named.
    pub(super) fn ask<'a>(names: impl Iterator<Item = &'a UnitName>) -> Self {
        let names: BTreeSet<UnitName> = names.cloned().collect();
        let names: Vec<UnitName> = names.into_iter().collect();
        let found = systemd::show(&names).into_iter();
        Self(
            found
                .map(|(name, state)| (name, state.map_err(|error| reason(&*error))))
                .collect(),
        )
    }

    /// What is said of one of them.
    pub(super) fn state(&self, name: &UnitName) -> Result<UnitState, String> {
        let silent = || Err(format!("systemd was not asked about {name}"));
        self.0.get(name).cloned().unwrap_or_else(silent)
    }
}
