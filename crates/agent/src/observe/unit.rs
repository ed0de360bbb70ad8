//! Units, as systemd has them: the answer to one question about all. The question itself is [`crate::systemd`]'s.

use std::collections::{BTreeMap, BTreeSet};

use provision_core::model::{UnitName, UnitState};

use super::reason;
use crate::systemd;

/// What systemd says of the units asked for, or why it says nothing.
pub(super) struct Units(Result<BTreeMap<UnitName, UnitState>, String>);

impl Units {
    /// Asks, unless no unit is named.
    pub(super) fn ask<'a>(names: impl Iterator<Item = &'a UnitName>) -> Self {
        let names: BTreeSet<UnitName> = names.cloned().collect();
        let names: Vec<UnitName> = names.into_iter().collect();
        if names.is_empty() {
            return Self(Ok(BTreeMap::new()));
        }
        Self(systemd::show(&names).map_err(|error| reason(&error)))
    }

    /// What it says of one of them.
    pub(super) fn state(&self, name: &UnitName) -> Result<UnitState, String> {
        let states = self.0.as_ref().map_err(Clone::clone)?;
        let silent = || format!("systemd was not asked about {name}");
        states.get(name).cloned().ok_or_else(silent)
    }
}
