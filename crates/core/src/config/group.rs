//! Groups as they are written: what all hosts of a tag have in common. Which hosts those are is not known here.

use super::decode;
use super::diagnostic::Diagnostic;
use super::import::{Import, imports};
use super::port::{PortClaim, ports};
use super::resource::{Declaration, declarations};
use super::setting::{Setting, settings};
use super::source::{SourceId, Spanned};
use super::tree::Table;

/// A group as it is written: `groups/TAG.toml`.
#[derive(Clone, Debug)]
pub struct HostGroup {
    /// The tag whose hosts it is for; its file's name.
    pub tag: String,
    /// Its file, relative to the project's root.
    pub file: String,
    /// Its text.
    pub source: SourceId,
    /// What it is for.
    pub description: Option<String>,
    /// The modules that the hosts use.
    pub imports: Vec<Import>,
    /// The values that it gives to their options.
    pub settings: Vec<Setting>,
    /// The resources that the hosts have, in the order of the file.
    pub resources: Vec<Declaration>,
    /// Names of secrets that must not be on the hosts.
    pub forbid: Vec<Spanned<String>>,
    /// The ports that it says are taken.
    pub ports: Vec<PortClaim>,
    /// Whether something is wrong with the file itself.
    pub broken: bool,
    /// Whether it is not even TOML.
    pub unreadable: bool,
}

/// The keys of a group that are no table of resources.
const KEYS: [&str; 7] = ["description", "imports", "forbid", "set", "default", "force", "ports"];

impl HostGroup {
    /// Reads a group's document.
    pub fn read(tag: String, file: String, source: SourceId, document: &Table, found: &mut Vec<Diagnostic>) -> Self {
        let before = found.len();
        let tables = super::sort::tables();
        let known: Vec<_> = KEYS.into_iter().chain(tables).collect();
        decode::only(document, &known, "a group", found);
        let mut group = Self {
            tag,
            file,
            source,
            description: decode::optional::<String>(document, "description", found).map(|text| text.value),
            imports: imports(document, found),
            settings: settings(document, found),
            resources: declarations(document, found),
            forbid: decode::texts(document, "forbid", found),
            ports: ports(document, found),
            broken: false,
            unreadable: false,
        };
        group.broken = found.len() > before;
        group
    }
}
