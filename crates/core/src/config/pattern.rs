//! Patterns that texts have to fit. Matching takes time linear in the text, whatever the pattern.

use std::fmt;

use regex_lite::{Regex, RegexBuilder};

use super::scalar::{Problem, Scalar, shown};

/// The largest pattern, in bytes of its compiled form: it bounds how long one byte of text can take.
const MAX_COMPILED: usize = 64 * 1024;

/// The longest text that a pattern is tried on, in bytes. What is longer fits none.
const MAX_TEXT: usize = 4096;

/// A regular expression that a whole text has to fit.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    whole: Regex,
}

impl Pattern {
    /// Whether the whole text fits.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        text.len() <= MAX_TEXT && self.whole.is_match(text)
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Scalar for Pattern {
    const NOUN: &'static str = "a regular expression";

    fn from_text(text: &str) -> Result<Self, Problem> {
        let compile = |pattern: &str| RegexBuilder::new(pattern).size_limit(MAX_COMPILED).build();
        // Alone first: only then does the message speak of what was written.
        let whole = compile(text).and_then(|_| compile(&format!("^(?:{text})$")));
        match whole {
            Ok(whole) => Ok(Self {
                text: text.to_owned(),
                whole,
            }),
            Err(error) => Err(Problem::invalid(format!(
                "`{}` is not a regular expression: {error}",
                shown(text)
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_whole_texts_only_and_is_bounded() {
        let pattern = Pattern::from_text("[a-z]+|x1").unwrap();
        assert!(pattern.matches("abc") && pattern.matches("x1"));
        assert!(!pattern.matches("abc1") && !pattern.matches(" abc") && !pattern.matches(""));
        for wrong in ["(", "a)|(b", "(?x)a # swallowed", "((a{1000}){1000}){1000}"] {
            assert!(Pattern::from_text(wrong).is_err(), "{wrong}");
        }
        assert!(!Pattern::from_text(".*").unwrap().matches(&"x".repeat(MAX_TEXT + 1)));
    }
}
