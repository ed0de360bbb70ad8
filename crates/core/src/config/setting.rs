//! Values given to modules' options: `[set.…]`, `[default.…]` and `[force.…]`. It does not know which options there are.

use serde::Serialize;

use super::decode;
use super::diagnostic::Diagnostic;
use super::source::Spanned;
use super::tree::{Node, Table};

/// How strong a definition is. A stronger one hides all weaker ones of the same option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// The module's own default.
    Declared,
    /// `[default.…]`.
    Default,
    /// `[set.…]`.
    Set,
    /// `[force.…]`.
    Force,
}

impl Priority {
    /// The priorities that files can give, each with the name of its table.
    pub const TABLES: [(Self, &'static str); 3] =
        [(Self::Default, "default"), (Self::Set, "set"), (Self::Force, "force")];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Default => "default",
            Self::Set => "set",
            Self::Force => "force",
        }
    }
}

/// The values that one table gives to one module's options.
#[derive(Clone, Debug)]
pub struct Setting {
    /// How strong they are.
    pub priority: Priority,
    /// The module, as written.
    pub module: Spanned<String>,
    /// The options and their values, as written.
    pub values: Vec<(Spanned<String>, Node)>,
}

/// Reads every table that gives values to options.
pub(super) fn settings(document: &Table, found: &mut Vec<Diagnostic>) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (priority, name) in Priority::TABLES {
        let Some(entry) = document.get(name) else { continue };
        let Some(modules) = decode::table(&entry.node, "a table of modules by name", found) else {
            continue;
        };
        for entry in &modules.entries {
            let Some(values) = decode::table(&entry.node, "a table of a module's options", found) else {
                continue;
            };
            settings.push(Setting {
                priority,
                module: entry.key.clone(),
                values: values
                    .entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.node.clone()))
                    .collect(),
            });
        }
    }
    settings
}
