//! Blocks in files of others: declared against found, and what takes one away again. It reads no file.

use super::difference::{Difference, Edit, becomes, changes};
use crate::model::{
    Action, BlockSpec, BlockState, Entry, FieldChange, HostText, Mode, Op, Owner, Reason, State, TextChange,
};

pub(super) fn block(spec: &BlockSpec, state: &BlockState) -> Difference {
    let wanted = spec.lines();
    let put = |action, reason| Edit::new(action, reason, Op::PutBlock(spec.clone()));
    match state {
        BlockState::NoFile => Difference::Edit(Edit {
            fields: new_file(spec),
            text: text("", &wanted),
            ..put(Action::Create, Reason::Missing)
        }),
        BlockState::File {
            lines,
            ragged: _,
            owner,
            group,
            mode,
        } => {
            let fields = attributes(spec, owner, group, *mode);
            match lines {
                None => Difference::Edit(Edit {
                    fields,
                    text: text("", &wanted),
                    ..put(Action::Create, Reason::Missing)
                }),
                Some(lines) if lines.untrusted() == wanted && fields.is_empty() => {
                    Difference::Same("the block is as declared".into())
                }
                Some(lines) => Difference::Edit(Edit {
                    fields,
                    text: (lines.untrusted() != wanted)
                        .then(|| text(lines.untrusted(), &wanted))
                        .flatten(),
                    ..put(Action::Update, Reason::Differs)
                }),
            }
        }
        BlockState::Broken { problem } => Difference::Impossible {
            problem: HostText::new(format!(
                "{problem}, so nobody can tell which lines of {} are ours",
                spec.path
            )),
            fix: format!(
                "remove the markers \"begin provision {0}\" and \"end provision {0}\" from {1} with what belongs to them, then plan again",
                spec.name, spec.path
            ),
        },
        BlockState::Other { what } => Difference::Impossible {
            problem: HostText::new(format!("a block is declared in a file, and {what} is there")),
            fix: format!(
                "declare the file that {} leads to, or move it out of the way; then plan again",
                spec.path
            ),
        },
    }
}

/// Takes the block out again; what it stood in place of comes back. `None` where there is nothing of ours.
pub(super) fn removal(spec: &BlockSpec, entry: &Entry, state: &BlockState) -> Option<Edit> {
    let BlockState::File { lines: Some(lines), .. } = state else {
        return None;
    };
    let Some(State::Block(original)) = &entry.original else {
        return None;
    };
    let (ragged, made_file, attributes) = match original {
        BlockState::NoFile => (false, true, None),
        // It was there before, with whatever in it: perhaps an older record of this host is lost.
        BlockState::File { lines: Some(_), .. } | BlockState::Broken { .. } | BlockState::Other { .. } => return None,
        BlockState::File {
            lines: None,
            ragged,
            owner,
            group,
            mode,
        } => {
            let was = (owner.id, group.id, *mode);
            let declared = spec.owner.is_some() || spec.group.is_some() || spec.mode.is_some();
            (*ragged, false, declared.then_some(was))
        }
    };
    let op = Op::RemoveBlock {
        path: spec.path.clone(),
        name: spec.name.clone(),
        ragged,
        made_file,
        attributes,
    };
    let mut edit = Edit::new(Action::Remove, Reason::LeftConfiguration, op);
    edit.text = text(lines.untrusted(), "");
    Some(edit)
}

fn text(before: &str, after: &str) -> Option<TextChange> {
    Some(TextChange::Text {
        before: HostText::new(before),
        after: after.to_owned(),
    })
}

fn new_file(spec: &BlockSpec) -> Vec<FieldChange> {
    let root = "root".to_owned();
    vec![
        becomes("owner", spec.owner.as_ref().unwrap_or(&root)),
        becomes("group", spec.group.as_ref().unwrap_or(&root)),
        becomes("mode", spec.mode.unwrap_or(BlockSpec::NEW_FILE)),
    ]
}

fn attributes(spec: &BlockSpec, owner: &Owner, group: &Owner, mode: Mode) -> Vec<FieldChange> {
    let mut fields = Vec::new();
    if let Some(wanted) = spec.owner.as_ref().filter(|wanted| !owner.is(wanted)) {
        fields.push(changes("owner", owner.label(), wanted));
    }
    if let Some(wanted) = spec.group.as_ref().filter(|wanted| !group.is(wanted)) {
        fields.push(changes("group", group.label(), wanted));
    }
    if let Some(wanted) = spec.mode.filter(|wanted| *wanted != mode) {
        fields.push(changes("mode", mode.to_string().as_str(), wanted));
    }
    fields
}
