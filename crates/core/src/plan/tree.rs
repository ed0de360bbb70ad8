//! Trees: the version that is there against the declared one. It looks at no file of them.

use super::difference::{Difference, Edit, becomes, changes};
use crate::model::{Action, Entry, FieldChange, HostText, Op, Reason, Source, State, TreeSpec, TreeState};

pub(super) fn tree(spec: &TreeSpec, state: &TreeState) -> Difference {
    let build = |action, reason| Edit::new(action, reason, Op::MakeTree(spec.clone()));
    match state {
        TreeState::Absent => {
            Difference::Edit(build(Action::Create, Reason::Missing).with_fields(vec![becomes("source", source(spec))]))
        }
        TreeState::Version { directory, intact } if directory.untrusted() == spec.directory() => {
            if *intact {
                return Difference::Same("the version is the declared one, and each file is as it was unpacked".into());
            }
            let fields = vec![changes(
                "files",
                "changed since they were unpacked",
                "as they were unpacked",
            )];
            Difference::Edit(build(Action::Update, Reason::Differs).with_fields(fields))
        }
        TreeState::Version { directory, .. } => {
            let fields = vec![
                changes("version", directory.clone(), spec.directory()),
                becomes("source", source(spec)),
            ];
            Difference::Edit(build(Action::Update, Reason::Differs).with_fields(fields))
        }
        TreeState::Other { what } => Difference::Impossible {
            problem: HostText::new(format!("{what} is there, and is not one that provision has made")),
            fix: format!("move {} out of the way on the host; then plan again", spec.path),
        },
    }
}

fn source(spec: &TreeSpec) -> String {
    match &spec.source {
        Source::Archive { url, sha256, .. } => format!("{url}, sha256 {}", sha256.short()),
        Source::Npm { holds, lock, .. } => format!("npm: {holds}, lock file sha256 {}", lock.sha256.short()),
    }
}

/// All versions go, where there was none before.
pub(super) fn removal(spec: &TreeSpec, entry: &Entry, state: &TreeState) -> Option<Edit> {
    let (TreeState::Version { directory, .. }, Some(State::Tree(TreeState::Absent))) = (state, &entry.original) else {
        return None;
    };
    let op = Op::RemoveTree {
        path: spec.path.clone(),
    };
    let field = FieldChange {
        field: "version".into(),
        before: Some(directory.clone()),
        after: None,
    };
    Some(Edit::new(Action::Remove, Reason::LeftConfiguration, op).with_fields(vec![field]))
}
