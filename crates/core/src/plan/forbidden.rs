//! Texts of a host that have a forbidden name in them: what stands beside it is shown to nobody. It finds no name; the host does.

use crate::model::{Check, Desired, Spec, TextChange, has_name};

/// A text without what the host has of it, where a name is in that which must not be there.
pub(super) fn hide(text: TextChange, desired: &Desired) -> TextChange {
    let TextChange::Text { before, .. } = &text else {
        return text;
    };
    let mut names = desired.resources.values().filter_map(|resource| match &resource.spec {
        Spec::Probe(probe) => match &probe.check {
            Check::NoNames { names, .. } => Some(names),
            Check::Http { .. } | Check::Tcp { .. } | Check::Unit { .. } => None,
        },
        _ => None,
    });
    let is_in = names.any(|names| names.iter().any(|name| has_name(before.untrusted().as_bytes(), name)));
    if is_in {
        TextChange::Hidden("the host's text has a forbidden name in it".to_owned())
    } else {
        text
    }
}
