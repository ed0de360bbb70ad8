//! Files, directories and symbolic links: declared against found. It reads no path.

use super::difference::{Blobs, Difference, Edit, becomes, changes};
use crate::model::{
    Action, DirectorySpec, FieldChange, FileSpec, HostText, Mode, Op, Owner, PathState, Reason, SymlinkSpec, TextChange,
};
use crate::wire::limits::DIFF_TEXT_BYTES;

pub(super) fn file(spec: &FileSpec, state: &PathState, blobs: Option<&Blobs>) -> Difference {
    match state {
        // A link leads to where somebody keeps it.
        PathState::File { .. } | PathState::Symlink { .. } if spec.seed => {
            Difference::Same(format!("{} is there, and a seed never replaces one", state.noun()))
        }
        PathState::Absent => Difference::Edit(Edit {
            fields: new_file(spec),
            text: text(spec, Some(&HostText::from("")), blobs),
            ..Edit::new(Action::Create, Reason::Missing, Op::WriteFile(spec.clone()))
        }),
        PathState::File {
            content,
            owner,
            group,
            mode,
            text: found,
        } => {
            let mut fields = attributes(&spec.owner, &spec.group, spec.mode, owner, group, *mode);
            if *content == spec.content {
                if fields.is_empty() {
                    return Difference::Same("content, owner, group and mode are as declared".into());
                }
                let op = Op::SetAttributes {
                    path: spec.path.clone(),
                    owner: spec.owner.clone(),
                    group: spec.group.clone(),
                    mode: spec.mode,
                };
                return Difference::Edit(Edit::new(Action::Update, Reason::Differs, op).with_fields(fields));
            }
            let sizes = (
                format!("{} bytes", content.size),
                format!("{} bytes", spec.content.size),
            );
            fields.insert(0, changes("content", sizes.0.as_str(), sizes.1));
            Difference::Edit(Edit {
                fields,
                text: text(spec, found.as_ref(), blobs),
                ..Edit::new(Action::Update, Reason::Differs, Op::WriteFile(spec.clone()))
            })
        }
        PathState::Directory { .. } | PathState::Symlink { .. } | PathState::Other { .. } => {
            in_the_way(spec.path.as_str(), "a file", state)
        }
    }
}

pub(super) fn directory(spec: &DirectorySpec, state: &PathState) -> Difference {
    match state {
        PathState::Absent => {
            Difference::Edit(
                Edit::new(Action::Create, Reason::Missing, Op::MakeDirectory(spec.clone()))
                    .with_fields(new_attributes(&spec.owner, &spec.group, spec.mode)),
            )
        }
        PathState::Directory { owner, group, mode } => {
            let fields = attributes(&spec.owner, &spec.group, spec.mode, owner, group, *mode);
            if fields.is_empty() {
                return Difference::Same("owner, group and mode are as declared".into());
            }
            let op = Op::SetAttributes {
                path: spec.path.clone(),
                owner: spec.owner.clone(),
                group: spec.group.clone(),
                mode: spec.mode,
            };
            Difference::Edit(Edit::new(Action::Update, Reason::Differs, op).with_fields(fields))
        }
        PathState::File { .. } | PathState::Symlink { .. } | PathState::Other { .. } => {
            in_the_way(spec.path.as_str(), "a directory", state)
        }
    }
}

pub(super) fn symlink(spec: &SymlinkSpec, state: &PathState) -> Difference {
    let op = || Op::MakeSymlink(spec.clone());
    match state {
        PathState::Absent => Difference::Edit(
            Edit::new(Action::Create, Reason::Missing, op()).with_fields(vec![becomes("target", &spec.target)]),
        ),
        PathState::Symlink { target } if target.untrusted() == spec.target => {
            Difference::Same("the target is as declared".into())
        }
        PathState::Symlink { target } => {
            let fields = vec![changes("target", target.clone(), &spec.target)];
            Difference::Edit(Edit::new(Action::Update, Reason::Differs, op()).with_fields(fields))
        }
        PathState::File { .. } | PathState::Directory { .. } | PathState::Other { .. } => {
            in_the_way(spec.path.as_str(), "a symbolic link", state)
        }
    }
}

/// `provision` replaces a thing only by one of its kind: what lies there may be somebody's only copy.
fn in_the_way(path: &str, wanted: &str, state: &PathState) -> Difference {
    let found = match state {
        PathState::Symlink { target } => format!("a symbolic link to {}", target.untrusted()),
        PathState::Absent | PathState::File { .. } | PathState::Directory { .. } | PathState::Other { .. } => {
            state.noun().to_owned()
        }
    };
    let hint = match state {
        PathState::Symlink { .. } => ", or declare the place that it points to",
        PathState::Absent | PathState::File { .. } | PathState::Directory { .. } | PathState::Other { .. } => "",
    };
    Difference::Impossible {
        problem: HostText::new(format!("{wanted} is declared, and {found} is there")),
        fix: format!("move {path} out of the way on the host{hint}; then plan again"),
    }
}

fn new_file(spec: &FileSpec) -> Vec<FieldChange> {
    let mut fields = new_attributes(&spec.owner, &spec.group, spec.mode);
    if spec.seed {
        fields.push(becomes("seed", "made once, and never replaced"));
    }
    fields
}

pub(super) fn new_attributes(owner: &str, group: &str, mode: Mode) -> Vec<FieldChange> {
    vec![becomes("owner", owner), becomes("group", group), becomes("mode", mode)]
}

pub(super) fn attributes(
    owner: &str,
    group: &str,
    mode: Mode,
    found_owner: &Owner,
    found_group: &Owner,
    found_mode: Mode,
) -> Vec<FieldChange> {
    let mut fields = Vec::new();
    if !found_owner.is(owner) {
        fields.push(changes("owner", found_owner.label(), owner));
    }
    if !found_group.is(group) {
        fields.push(changes("group", found_group.label(), group));
    }
    if found_mode != mode {
        fields.push(changes("mode", found_mode.to_string().as_str(), mode));
    }
    fields
}

/// Why the content is not shown; `None` where it may be.
pub(super) const fn not_shown(spec: &FileSpec) -> Option<&'static str> {
    match (spec.sensitive, spec.private) {
        (true, _) => Some("sensitive"),
        (false, true) => Some("not for all to read"),
        (false, false) => None,
    }
}

/// The two sides of the diff; `found` is `None` where the agent did not send the text.
fn text(spec: &FileSpec, found: Option<&HostText>, blobs: Option<&Blobs>) -> Option<TextChange> {
    let blob = blobs?.get(&spec.content.sha256)?;
    if let Some(why) = not_shown(spec) {
        return Some(TextChange::Hidden(why.into()));
    }
    if spec.content.size > DIFF_TEXT_BYTES {
        return Some(TextChange::Hidden("too long".into()));
    }
    let hidden = |why: &str| Some(TextChange::Hidden(why.to_owned()));
    match (std::str::from_utf8(blob.bytes()), found) {
        (Err(_), _) => hidden("binary"),
        (Ok(_), None) => hidden("the host's text is binary, too long, or not for all to read"),
        (Ok(after), Some(before)) => Some(TextChange::Text {
            before: before.clone(),
            after: after.to_owned(),
        }),
    }
}
