//! What is wrong with a configuration, as a value: code, message, places, why, and what to write instead.
//! It is shown by [`super::render`], never here.

use crate::model::HostName;

use super::code::Code;
use super::source::Span;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The hosts it concerns cannot be resolved.
    Error,
    /// Worth knowing; nothing is refused for it.
    Warning,
}

impl Severity {
    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A place with a few words on what is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// The words; may be empty.
    pub text: String,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of finding it is; [`Code::id`] is stable.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// The place that is wrong; `None` for what is wrong with the project as a whole.
    pub primary: Option<Label>,
    /// The other places that play a part.
    pub secondary: Vec<Label>,
    /// Why it matters, where more is known than [`Code::why`] says.
    pub why: Option<String>,
    /// What to do, or the text to write instead.
    pub help: Option<String>,
    /// The hosts that were resolved when it was found; empty for what is wrong whatever the host.
    pub hosts: Vec<HostName>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(code: Code, message: impl Into<String>, span: Span, text: impl Into<String>) -> Self {
        Self {
            primary: Some(Label {
                span,
                text: text.into(),
            }),
            ..Self::unplaced(code, message)
        }
    }

    /// An error of the project as a whole.
    pub fn unplaced(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            primary: None,
            secondary: Vec::new(),
            why: None,
            help: None,
            hosts: Vec::new(),
        }
    }

    /// The same as a warning.
    #[must_use]
    pub fn warning(self) -> Self {
        Self {
            severity: Severity::Warning,
            ..self
        }
    }

    /// Adds another place.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        let text = text.into();
        self.secondary.push(Label { span, text });
        self
    }

    /// Says why it matters.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// Says what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// As [`Self::help`], where there is something to say.
    #[must_use]
    pub fn help_if(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }
}

/// The one of `names` that was most likely meant by `typed`, as a sentence to paste: "did you mean `x`?".
pub fn did_you_mean<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(typed, names).map(|name| format!("did you mean `{name}`?"))
}

/// The one of `names` that was most likely meant by `typed`. Equal distances are decided by the alphabet, so that the
/// answer does not depend on any order.
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A typing error changes few letters, and leaves most of a short word alone.
    let limit = (typed.chars().count() / 3).clamp(1, 3);
    let folded = |text: &str| text.to_lowercase().replace('-', "_");
    let typed_folded = folded(typed);
    names
        .into_iter()
        .filter(|name| name.len().abs_diff(typed.len()) <= limit + 2)
        .map(|name| (strsim::osa_distance(&typed_folded, &folded(name)), name))
        .filter(|(distance, name)| *distance <= limit && !name.is_empty())
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        let names = ["max_user_watches", "max_user_instances", "mode"];
        assert_eq!(nearest("max_usr_watches", names), Some("max_user_watches"));
        assert_eq!(nearest("max-user-watches", names), Some("max_user_watches"));
        assert_eq!(nearest("Mode", names), Some("mode"));
        assert_eq!(nearest("colour", names), None);
    }
}
