//! Git checkouts: what is there against what is declared. What somebody works in is left alone, and nothing is replaced that is not
//! a checkout of the same repository.

use super::difference::{Difference, Edit, becomes, changes};
use crate::model::{
    Action, Entry, Fact, FieldChange, GitSpec, GitState, GitUpdate, HostText, Op, Reason, Revision, Standing, State,
};

pub(super) fn git(spec: &GitSpec, state: &GitState) -> Difference {
    match state {
        GitState::Absent { .. } => {
            let revision = match &spec.revision {
                Revision::Commit(commit) => becomes("commit", commit),
                Revision::Branch(branch) => becomes("branch", branch),
            };
            let fields = vec![becomes("url", &spec.url), revision, becomes("owner", &spec.owner)];
            let edit = Edit::new(Action::Create, Reason::Missing, Op::CloneGit(spec.clone()));
            Difference::Edit(edit.with_fields(fields))
        }
        GitState::Other { what } => Difference::Impossible {
            problem: HostText::new(format!(
                "{} is there, and is not replaced by a checkout",
                what.untrusted()
            )),
            fix: format!("move {} out of the way on the host; then plan again", spec.path),
        },
        GitState::Checkout { url, .. } if url.untrusted() != spec.url => Difference::Impossible {
            problem: HostText::new(format!(
                "a checkout of {} is there, and this one is of {}",
                url.untrusted(),
                spec.url
            )),
            fix: format!(
                "move {} out of the way on the host, or run `git remote set-url origin {}` in it; then plan again",
                spec.path, spec.url
            ),
        },
        GitState::Checkout { mirror, .. } => match (spec.update, mirror) {
            (GitUpdate::Clone, _) => {
                Difference::Same("a checkout of that repository is there, and is left to whoever works in it".into())
            }
            (GitUpdate::Mirror, Some(standing)) => mirrored(spec, standing),
            (GitUpdate::Mirror, None) => Difference::Impossible {
                problem: HostText::from("it was not seen which commit is checked out"),
                fix: "plan again".into(),
            },
        },
    }
}

fn mirrored(spec: &GitSpec, standing: &Standing) -> Difference {
    let wanted = match (&spec.revision, &standing.tip) {
        (Revision::Commit(commit), _) | (Revision::Branch(_), Some(Fact::Known(commit))) => commit,
        (Revision::Branch(branch), tip) => {
            let why = match tip {
                Some(Fact::Unknown(reason)) => reason.untrusted(),
                Some(Fact::Known(_)) | None => "nobody asked",
            };
            return Difference::Impossible {
                problem: HostText::new(format!("the commit that the branch {branch} is at is unknown: {why}")),
                fix: format!("let the host reach {}, or pin a `commit`; then plan again", spec.url),
            };
        }
    };
    let mut fields = Vec::new();
    match &standing.commit {
        Some(commit) if commit == wanted => {}
        Some(commit) => fields.push(changes("commit", commit.as_str(), wanted)),
        None => fields.push(becomes("commit", wanted)),
    }
    if standing.changed > 0 {
        let files = if standing.changed == 1 { "file" } else { "files" };
        let found = format!("{} {files} changed by hand", standing.changed);
        fields.push(changes(
            "files",
            HostText::new(found),
            "as the commit has them; those changes are lost",
        ));
    }
    if fields.is_empty() {
        return Difference::Same("the commit is the wanted one, and each of its files is as it has it".into());
    }
    let op = Op::MirrorGit {
        spec: spec.clone(),
        commit: wanted.clone(),
    };
    Difference::Edit(Edit::new(Action::Update, Reason::Differs, op).with_fields(fields))
}

/// What is in the way of cloning on a host that has no git, and gets none.
pub(super) fn without_program(state: &GitState, installed: bool) -> Option<Difference> {
    (matches!(state, GitState::Absent { git: false }) && !installed).then(|| Difference::Impossible {
        problem: HostText::from("git is not installed on this host, so nothing can be cloned"),
        fix: "declare it: write `git = \"present\"` below [packages]".into(),
    })
}

/// It goes where there was nothing before; that nobody's work goes with it is seen right before.
pub(super) fn removal(spec: &GitSpec, entry: &Entry, state: &GitState) -> Option<Edit> {
    let (GitState::Checkout { url, .. }, Some(State::Git(GitState::Absent { .. }))) = (state, &entry.original) else {
        return None;
    };
    if url.untrusted() != spec.url {
        return None;
    }
    let field = FieldChange {
        field: "url".into(),
        before: Some(url.clone()),
        after: None,
    };
    let op = Op::RemoveGit(spec.clone());
    Some(Edit::new(Action::Remove, Reason::LeftConfiguration, op).with_fields(vec![field]))
}

/// The checkout as it was before a run that moved it.
pub(super) fn as_it_was(spec: &GitSpec, was: &GitState) -> Option<GitSpec> {
    let GitState::Checkout {
        mirror: Some(Standing {
            commit: Some(commit), ..
        }),
        ..
    } = was
    else {
        return None;
    };
    Some(GitSpec {
        revision: Revision::Commit(commit.clone()),
        ..spec.clone()
    })
}
