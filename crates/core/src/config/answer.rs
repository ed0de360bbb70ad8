//! Answers to debconf's questions as they are written: names of questions, their types, and the text of an answer. Which
//! questions a package asks, and what it lets choose from, is the package's own.

use super::code::Code;
use super::scalar::{Problem, Scalar, is_template, shown};
use super::tree::Value;
use crate::model::QuestionType;

/// The longest name and the longest answer, in bytes. debconf has no limit; its own names are below 100, and no answer is a file.
const NAME_BYTES: usize = 200;
/// See [`NAME_BYTES`].
pub(crate) const ANSWER_BYTES: usize = 16 << 10;

/// The name of a question.
pub(crate) struct Question;

impl Scalar for Question {
    const NOUN: &'static str = "a question's name";

    fn from_text(text: &str) -> Result<Self, Problem> {
        let parts = text
            .split_once('/')
            .filter(|(package, rest)| !package.is_empty() && !rest.is_empty());
        let Some((first, _)) = parts else {
            let problem = Problem::invalid(format!("`{}` is not a question's name", shown(text)));
            return Err(problem.help(
                "a question is named \"PACKAGE/NAME\", in quotes, as `debconf-show PACKAGE` shows those of an installed package",
            ));
        };
        let begins = first.starts_with(|c: char| c.is_ascii_alphanumeric());
        let allowed =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'+' | b'-' | b'.' | b'_' | b':' | b'@' | b'~');
        if !begins || !text.bytes().all(allowed) || text.len() > NAME_BYTES {
            let problem = Problem::invalid(format!("`{}` is not a question's name", shown(text)));
            return Err(problem.help("it is letters, digits and \"/+-._:@~\", without blanks"));
        }
        Ok(Self)
    }
}

impl Scalar for QuestionType {
    const NOUN: &'static str = "a type of question";

    fn from_text(text: &str) -> Result<Self, Problem> {
        if let Some(known) = Self::ALL.into_iter().find(|known| known.word() == text) {
            return Ok(known);
        }
        match text {
            "password" => Err(Problem {
                code: Code::PasswordAnswer,
                message: "a password is no answer for debconf to keep".to_owned(),
                help: Some(
                    "leave the question out, and give the program its password as a file: [secrets.NAME] owner = \"USER\"".to_owned(),
                ),
            }),
            "error" => {
                let problem = Problem::invalid("a question of type \"error\" cannot be answered");
                Err(problem.help("it is shown, and waits for nobody; debconf-set-selections takes no answer to it: leave it out"))
            }
            other => {
                let words: Vec<_> = Self::ALL.iter().map(|known| format!("\"{}\"", known.word())).collect();
                let problem = Problem::invalid(format!("`{}` is no type of debconf's questions", shown(other)));
                Err(problem.help(format!("the types are {}", words.join(", "))))
            }
        }
    }
}

/// An answer: a text, `true` or `false`, or a list for what takes several choices.
pub(crate) enum Answer {
    /// A text.
    Text(String),
    /// `true` or `false`.
    Truth(bool),
    /// Several choices.
    List(Vec<String>),
}

impl Scalar for Answer {
    const NOUN: &'static str = "a text, true or false, or a list of texts";

    fn from_text(text: &str) -> Result<Self, Problem> {
        Ok(Self::Text(text.to_owned()))
    }

    fn from_value(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::String(text) => Self::from_text(text),
            Value::Bool(truth) => Ok(Self::Truth(*truth)),
            Value::Array(items) => {
                let texts = items.iter().map(|item| match &item.value {
                    Value::String(text) if !is_template(text) => Ok(text.clone()),
                    Value::String(_) => {
                        let problem = Problem::invalid("a list of choices has no templates in it");
                        Err(problem.help("write the choices as one text, separated by \", \""))
                    }
                    other => Err(Problem::wrong_type("a text", other)),
                });
                Ok(Self::List(texts.collect::<Result<_, _>>()?))
            }
            other => Err(match other {
                Value::Integer(number) => {
                    Problem::wrong_type(Self::NOUN, other).help(format!("write it in quotes: \"{number}\""))
                }
                _ => Problem::wrong_type(Self::NOUN, other),
            }),
        }
    }
}

impl Answer {
    /// The answer as debconf keeps it.
    ///
    /// # Errors
    /// [`Problem`] where a question of the type takes no such answer, or debconf's files could not hold it.
    pub(crate) fn of_type(self, answer_type: QuestionType) -> Result<String, Problem> {
        let text = match (self, answer_type) {
            (Self::Text(text), _) => text,
            (Self::Truth(truth), QuestionType::Boolean) => truth.to_string(),
            (Self::Truth(truth), _) => {
                let problem = Problem::invalid(format!(
                    "a question of type \"{}\" is not answered by {truth}",
                    answer_type.word()
                ));
                return Err(problem.help(format!("write \"{truth}\" in quotes, or type = \"boolean\"")));
            }
            (Self::List(items), QuestionType::Multiselect) => {
                if let Some(item) = items
                    .iter()
                    .find(|item| item.contains([',', '\\']) || item.trim() != *item)
                {
                    let problem = Problem::invalid(format!(
                        "`{}` cannot be one of several choices as it stands",
                        shown(item)
                    ));
                    return Err(problem.help("write all choices as one text, as debconf does: separated by \", \", with \"\\\\,\" for a comma"));
                }
                items.join(", ")
            }
            (Self::List(_), _) => {
                let problem = Problem::invalid(format!("a question of type \"{}\" has one answer", answer_type.word()));
                return Err(problem.help("write a text, or type = \"multiselect\""));
            }
        };
        if answer_type == QuestionType::Boolean && !matches!(text.as_str(), "true" | "false") {
            let problem = Problem::invalid(format!("`{}` is neither true nor false", shown(&text)));
            return Err(problem.help("write value = true, or value = false"));
        }
        holds(&text)?;
        Ok(text)
    }
}

/// Whether debconf's files hold a text as it is. In them "\n" is a line feed, and nothing can be put before it to mean itself.
fn holds(text: &str) -> Result<(), Problem> {
    if text.len() > ANSWER_BYTES {
        return Err(Problem::invalid(format!(
            "an answer is at most {} KiB",
            ANSWER_BYTES >> 10
        )));
    }
    if text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(Problem::invalid("an answer has no control characters but line feeds"));
    }
    if text.contains("\\n") || text.ends_with('\\') || text.contains("\\\n") {
        let problem = Problem::invalid("debconf could not keep this answer as it is");
        return Err(problem.help("in debconf's files a backslash and an \"n\" are a line feed, and a backslash at the end joins lines; write a line feed as one"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_debconf_could_not_keep_is_refused() {
        let text = |text: &str| Answer::Text(text.to_owned()).of_type(QuestionType::String);
        for kept in [
            "",
            "Local only",
            " padded ",
            "two\nlines",
            "a\\b",
            "ünïcode",
            "# no comment",
        ] {
            assert_eq!(text(kept).unwrap(), kept);
        }
        for lost in ["a\\nb", "ends\\", "a\\\nb", "bell\u{7}", "cr\r"] {
            assert!(text(lost).is_err(), "{lost:?}");
        }
        assert!(text(&"x".repeat(ANSWER_BYTES)).is_ok());
        assert!(text(&"x".repeat(ANSWER_BYTES + 1)).is_err());
    }

    #[test]
    fn an_answer_is_one_that_its_type_takes() {
        let list = || Answer::List(vec!["a b".to_owned(), "c".to_owned()]);
        assert_eq!(list().of_type(QuestionType::Multiselect).unwrap(), "a b, c");
        assert!(list().of_type(QuestionType::Select).is_err());
        let comma = Answer::List(vec!["a, b".to_owned()]);
        assert!(comma.of_type(QuestionType::Multiselect).is_err());
        assert_eq!(Answer::Truth(true).of_type(QuestionType::Boolean).unwrap(), "true");
        assert!(Answer::Truth(true).of_type(QuestionType::String).is_err());
        assert!(Answer::Text("yes".to_owned()).of_type(QuestionType::Boolean).is_err());
    }

    #[test]
    fn questions_are_named_as_debconf_can_be_told() {
        for name in [
            "postfix/main_mailer_type",
            "tzdata/Zones/Etc",
            "shared/news",
            "libc6:amd64/x",
        ] {
            assert!(Question::from_text(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "postfix",
            "/x",
            "x/",
            "a b/c",
            "#a/b",
            "-a/b",
            "a/b\nc d e f",
            "a/ü",
        ] {
            assert!(Question::from_text(name).is_err(), "{name}");
        }
    }
}
