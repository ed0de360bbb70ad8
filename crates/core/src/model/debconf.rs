//! Answers to the questions that packages ask through debconf. It asks nothing, and never holds a password.

use serde::{Deserialize, Serialize};

use super::HostText;

/// What sort of answer a question takes: debconf's own types (debconf-devel(7)), but for those that cannot be answered
/// beforehand or must not be kept in its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuestionType {
    /// Any text.
    String,
    /// `true` or `false`.
    Boolean,
    /// One of the question's choices.
    Select,
    /// Any number of the question's choices, separated by commas.
    Multiselect,
    /// Something to be read, and not to be shown.
    Note,
    /// Something to be read, and not to be shown.
    Text,
    /// A title.
    Title,
}

impl QuestionType {
    /// Every type.
    pub const ALL: [Self; 7] = [
        Self::String,
        Self::Boolean,
        Self::Select,
        Self::Multiselect,
        Self::Note,
        Self::Text,
        Self::Title,
    ];

    /// debconf's word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::Select => "select",
            Self::Multiselect => "multiselect",
            Self::Note => "note",
            Self::Text => "text",
            Self::Title => "title",
        }
    }

    /// Whether there is a value to answer with, and not only something to be read.
    #[must_use]
    pub const fn has_value(self) -> bool {
        match self {
            Self::String | Self::Boolean | Self::Select | Self::Multiselect => true,
            Self::Note | Self::Text | Self::Title => false,
        }
    }
}

/// An answer as it should be in debconf's database, where the question counts as seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebconfSpec {
    /// The question, such as `postfix/main_mailer_type`.
    pub question: String,
    /// The package that asks it.
    pub package: String,
    /// What sort of answer it takes.
    #[serde(rename = "type")]
    pub answer_type: QuestionType,
    /// The answer; empty where there is only something to be read.
    pub value: String,
    /// Whether a change reconfigures the package where it is installed already.
    pub reconfigure: bool,
}

/// A question as debconf's database has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebconfState {
    /// The answer.
    pub answer: DebconfAnswer,
    /// Whether the package that asks is installed, so that a changed answer no longer changes it by itself.
    pub installed: bool,
}

/// What the database has of a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DebconfAnswer {
    /// Nothing: nobody has asked or answered it.
    None,
    /// It asks for a password; what that is was not read.
    Password,
    /// It is known.
    Known {
        /// The answer; `None` where the package's own default counts.
        value: Option<HostText>,
        /// Whether it counts as shown to somebody, so that it is not asked again.
        seen: bool,
    },
}

/// What an answer goes back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DebconfEarlier {
    /// This answer.
    Value {
        /// The answer.
        value: String,
        /// Whether it counts as shown.
        seen: bool,
    },
    /// The package's own default, not shown to anybody.
    Default,
    /// Nothing: the package no longer has the question.
    Nothing,
}
