//! The difference between what a resource should be and what it is, for the kinds that need no more than the two to
//! tell. It neither orders nor executes.

use std::collections::BTreeMap;

use super::{account, block, check, debconf, firewall, git, package, path, secret, swapfile, switch, sysctl, tree};
use crate::model::{
    Action, Blob, Digest, FieldChange, HostText, Millis, Op, Reason, Spec, State, TextChange, UnitName,
};

/// The content of the configuration's files, where it is at hand.
pub(super) type Blobs = BTreeMap<Digest, Blob>;

/// What a comparison found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// Nothing to do, and why.
    Same(String),
    /// Something to do.
    Edit(Edit),
    /// Something that cannot be done.
    Impossible {
        /// What is in the way.
        problem: HostText,
        /// What to do about it.
        fix: String,
    },
}

/// A change of one resource and the operations that make it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) action: Action,
    pub(super) fields: Vec<FieldChange>,
    pub(super) text: Option<TextChange>,
    pub(super) reasons: Vec<Reason>,
    pub(super) ops: Vec<Op>,
    /// A started unit, and how long it must stay healthy.
    pub(super) settle: Option<(UnitName, Millis)>,
}

impl Edit {
    pub(super) fn new(action: Action, reason: Reason, op: Op) -> Self {
        Self {
            action,
            fields: Vec::new(),
            text: None,
            reasons: vec![reason],
            ops: vec![op],
            settle: None,
        }
    }

    pub(super) fn with_fields(mut self, fields: Vec<FieldChange>) -> Self {
        self.fields = fields;
        self
    }
}

/// A field that the host has and that changes.
pub(super) fn changes(field: &str, before: impl Into<HostText>, after: impl ToString) -> FieldChange {
    FieldChange {
        field: field.to_owned(),
        before: Some(before.into()),
        after: Some(after.to_string()),
    }
}

/// A field of something new.
pub(super) fn becomes(field: &str, after: impl ToString) -> FieldChange {
    FieldChange {
        field: field.to_owned(),
        before: None,
        after: Some(after.to_string()),
    }
}

/// Compares. `blobs` are for the diff's text alone; without them the answer is the same, without text.
pub(super) fn difference(spec: &Spec, state: &State, blobs: Option<&Blobs>) -> Difference {
    match (spec, state) {
        (Spec::Group(spec), State::Group(state)) => account::group(spec, state),
        (Spec::User(spec), State::User(state)) => account::user(spec, state),
        (Spec::Debconf(spec), State::Debconf(state)) => debconf::answer(spec, state),
        (Spec::Package(spec), State::Package(state)) => package::package(spec, state),
        (Spec::Directory(spec), State::Path(state)) => path::directory(spec, state),
        (Spec::File(spec), State::Path(state)) => path::file(spec, state, blobs),
        (Spec::Block(spec), State::Block(state)) => block::block(spec, state),
        (Spec::Symlink(spec), State::Path(state)) => path::symlink(spec, state),
        (Spec::Swapfile(spec), State::Swapfile(state)) => swapfile::swapfile(spec, state),
        (Spec::Tree(spec), State::Tree(state)) => tree::tree(spec, state),
        (Spec::Git(spec), State::Git(state)) => git::git(spec, state),
        (Spec::Switch(spec), State::Switch(state)) => switch::switch(spec, *state),
        (Spec::Sysctl(spec), State::Sysctl(state)) => sysctl::sysctl(spec, state),
        (Spec::Firewall(spec), State::Firewall(state)) => firewall::firewall(spec, state),
        (Spec::Secret(spec), State::Secret(state)) => secret::secret(spec, state),
        (Spec::Command(spec), State::Command(state)) => check::command(spec, state),
        (Spec::Unit(spec), State::Unit(state)) => super::unit::difference(spec, state, &super::unit::Due::default()),
        (Spec::Probe(spec), State::Probe(state)) => check::probe(spec, state, false),
        _ => Difference::Impossible {
            problem: HostText::from("the agent reported a state of another kind"),
            fix: "plan again; if it stays, the host's agent is not the one that was sent".into(),
        },
    }
}
