//! The sorts of declarations: one table of resources for each kind, and shorthands, which say in fewer words what resources
//! of these kinds would. It knows their names; their fields are in [`super::schema`] and [`super::shorthand`].

use crate::model::Kind;

use super::shorthand::Shorthand;

/// What a table of a host file or module declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Resources of a kind.
    Kind(Kind),
    /// What becomes resources of other names and kinds.
    Shorthand(Shorthand),
}

/// The tables of resources that stand at the top of a file; one stands in another's.
pub(super) fn tables() -> impl Iterator<Item = &'static str> {
    Sort::all().map(Sort::table).filter(|table| !table.contains('.'))
}

impl Sort {
    /// Every sort.
    pub fn all() -> impl Iterator<Item = Self> {
        let shorthands = Shorthand::ALL.into_iter().map(Self::Shorthand);
        Kind::ALL.into_iter().map(Self::Kind).chain(shorthands)
    }

    /// The name of the TOML table.
    #[must_use]
    pub const fn table(self) -> &'static str {
        match self {
            Self::Kind(kind) => kind.table(),
            Self::Shorthand(shorthand) => shorthand.table(),
        }
    }

    /// Its name where one is meant.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kind(kind) => kind.name(),
            Self::Shorthand(shorthand) => shorthand.name(),
        }
    }
}
