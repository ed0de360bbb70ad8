//! Values that several hosts have. It asks no store whether two values are the same, only where they are kept.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Code, Diagnostic, Span};
use crate::model::{HostName, SecretItem};

/// A value in a store that a host has.
#[derive(Debug)]
pub(in crate::resolve) struct Kept {
    /// What the host calls it.
    pub(in crate::resolve) name: String,
    /// Whether anything on the host uses it, as far as that is known: where something is wrong, it is taken to be used.
    pub(in crate::resolve) used: bool,
    pub(in crate::resolve) item: SecretItem,
    /// Where it is declared.
    pub(in crate::resolve) span: Span,
    /// Whether other hosts may have it, too.
    pub(in crate::resolve) shared: bool,
}

/// Reports values that several hosts have and that none says are shared.
pub(in crate::resolve) fn shared_by_mistake(hosts: &[(HostName, Vec<Kept>)], found: &mut Vec<Diagnostic>) {
    let mut first: BTreeMap<&SecretItem, (&HostName, &Kept)> = BTreeMap::new();
    let mut told = BTreeSet::new();
    for (host, kept) in hosts {
        for kept in kept {
            let Some((other, before)) = first.get(&kept.item) else {
                first.insert(&kept.item, (host, kept));
                continue;
            };
            if *other == host || (kept.shared && before.shared) || !told.insert(&kept.item) {
                continue;
            }
            let message = format!("`{other}` and `{host}` have one secret: {}", kept.item);
            let diagnostic = Diagnostic::error(Code::SecretShared, message, kept.span, format!("on `{host}`"));
            let diagnostic = match kept.span == before.span {
                true => diagnostic,
                false => diagnostic.also(before.span, format!("on `{other}`")),
            };
            found.push(
                diagnostic
                    .because("two bots with one token disconnect each other, and one host that is broken into gives away both")
                    .help("give each its own, as in aws = \"bots/{{ host.name }}/token\"; where it is meant, write shared = true"),
            );
        }
    }
}
