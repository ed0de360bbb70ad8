//! What one place says of a secret, and how what several places say is put together. It knows no other secret.

use std::collections::BTreeMap;

use crate::config::{Code, Diagnostic, Span, Spanned};
use crate::model::{AbsPath, Kind, Mode, ResourceId, SecretItem, SecretSource, UnitName};

use super::super::declared::{Declarations, Whose};
use super::super::template::mark::Piece;

/// What one place says of a field.
#[derive(Debug)]
pub(in crate::resolve) struct Given<T> {
    pub(in crate::resolve) value: T,
    pub(in crate::resolve) span: Span,
    whose: Whose,
}

impl<T> Given<T> {
    pub(in crate::resolve) fn new(value: Spanned<T>, whose: Whose) -> Self {
        Self {
            value: value.value,
            span: value.span,
            whose,
        }
    }

    /// What follows from what others say.
    pub(super) const fn implied(value: T, span: Span) -> Self {
        Self {
            value,
            span,
            whose: Whose::Host,
        }
    }

    pub(in crate::resolve) fn of(value: Option<Spanned<T>>, whose: Whose) -> Option<Self> {
        value.map(|value| Self::new(value, whose))
    }
}

/// What a file holds, before it is known where each secret is from.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::resolve) enum DraftContent {
    Kept(SecretSource),
    Text(Vec<Piece>),
}

/// A secret as far as it is said.
#[derive(Debug)]
pub(in crate::resolve) struct Draft {
    /// Where it is first declared.
    pub(in crate::resolve) span: Span,
    pub(in crate::resolve) content: Option<Given<DraftContent>>,
    pub(in crate::resolve) key: Option<Given<String>>,
    pub(in crate::resolve) owner: Option<Given<String>>,
    pub(in crate::resolve) group: Option<Given<String>>,
    pub(in crate::resolve) mode: Option<Given<Mode>>,
    pub(in crate::resolve) path: Option<Given<AbsPath>>,
    pub(in crate::resolve) required: Option<Given<bool>>,
    pub(in crate::resolve) trim: Option<Given<bool>>,
    pub(in crate::resolve) shared: Option<Given<bool>>,
    pub(in crate::resolve) deliver: Option<Given<bool>>,
    pub(in crate::resolve) units: BTreeMap<UnitName, Span>,
}

impl Draft {
    pub(super) fn has_file(&self) -> bool {
        self.deliver.as_ref().is_none_or(|deliver| deliver.value)
    }

    pub(super) fn is_trimmed(&self) -> bool {
        self.trim.as_ref().is_some_and(|trim| trim.value)
    }

    /// The store's item that it is; `None` of a text.
    pub(super) fn item(&self, name: &str) -> Option<SecretItem> {
        let source = match &self.content {
            None => SecretSource::Project { name: name.to_owned() },
            Some(Given {
                value: DraftContent::Kept(source),
                ..
            }) => source.clone(),
            Some(_) => return None,
        };
        Some(SecretItem {
            source,
            key: self.key.as_ref().map(|key| key.value.clone()),
        })
    }
}

impl Declarations {
    /// Takes in what a place says of a secret.
    pub(in crate::resolve) fn declare_secret(&mut self, name: String, draft: Draft, found: &mut Vec<Diagnostic>) {
        self.note(&ResourceId::new(Kind::Secret, name.as_str()));
        let Some(there) = self.secrets.get_mut(&name) else {
            self.secrets.insert(name, draft);
            return;
        };
        let mut clash = Clash { name: &name, found };
        clash.merge("content", &mut there.content, draft.content);
        clash.merge("key", &mut there.key, draft.key);
        clash.merge("owner", &mut there.owner, draft.owner);
        clash.merge("group", &mut there.group, draft.group);
        clash.merge("mode", &mut there.mode, draft.mode);
        clash.merge("path", &mut there.path, draft.path);
        clash.merge("required", &mut there.required, draft.required);
        clash.merge("trim", &mut there.trim, draft.trim);
        clash.merge("shared", &mut there.shared, draft.shared);
        clash.merge("deliver", &mut there.deliver, draft.deliver);
        there.units.extend(draft.units);
    }
}

struct Clash<'a> {
    name: &'a str,
    found: &'a mut Vec<Diagnostic>,
}

impl Clash<'_> {
    /// One place may say what another leaves open; the host's own word counts before its groups'.
    fn merge<T: PartialEq>(&mut self, field: &str, there: &mut Option<Given<T>>, new: Option<Given<T>>) {
        let Some(new) = new else { return };
        match there {
            None => *there = Some(new),
            Some(old) if old.value == new.value => {}
            Some(old) if old.whose == Whose::Group && new.whose == Whose::Host => *there = Some(new),
            Some(old) => {
                let message = format!("two places say differently what `{field}` of `secret:{}` is", self.name);
                let diagnostic = Diagnostic::error(Code::DeclaredTwice, message, new.span, "and this");
                self.found.push(
                    diagnostic
                        .also(old.span, "this")
                        .because("what several places say of one secret is put together, so they have to agree")
                        .help("remove one of the two"),
                );
            }
        }
    }
}
