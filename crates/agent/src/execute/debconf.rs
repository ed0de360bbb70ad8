//! Answers given and taken back by debconf's own tools, which get them on standard input, and packages that configure
//! themselves again. What was done is looked at: these tools pass over what they do not understand. It edits no database.

use std::collections::BTreeMap;
use std::time::Duration;

use provision_core::model::{
    DebconfAnswer, DebconfEarlier, DebconfSpec, DebconfState, Fact, HostText, QuestionType, Spec, State, StepError,
};

use super::{Progress, debconf_lock, dpkg_lock, problem};
use crate::child::Invocation;
use crate::observe;

/// How long one of the tools may take over its database: well below a second on any host.
const DEADLINE: Duration = Duration::from_secs(120);
/// How long a package may take to configure itself, as for apt.
const RECONFIGURE: Duration = Duration::from_secs(30 * 60);

/// Gives answers, all in one go.
pub(super) fn answer(answers: &BTreeMap<String, DebconfSpec>, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let tool = "debconf-set-selections";
    let invocation = debconf(tool, DEADLINE).input(selections(answers.values()).into_bytes());
    must_run(&invocation, tool, progress)?;
    let specs: Vec<Spec> = answers.values().cloned().map(Spec::Debconf).collect();
    let found = observe::observe(&specs);
    for spec in answers.values() {
        let wanted = DebconfAnswer::Known {
            value: Some(HostText::from(spec.value.as_str())),
            seen: true,
        };
        let now = now(tool, &spec.question, found.get(&Spec::Debconf(spec.clone()).id()))?;
        if now.answer != wanted {
            return Err(problem(format!(
                "{tool} ended well, and {} is not answered so",
                spec.question
            )));
        }
    }
    Ok(())
}

/// The lines that debconf-set-selections(1) takes.
fn selections<'a>(answers: impl Iterator<Item = &'a DebconfSpec>) -> String {
    let line = |spec: &DebconfSpec| {
        let value = spec.value.replace('\n', "\\n");
        format!(
            "{} {} {} {value}\n",
            spec.package,
            spec.question,
            spec.answer_type.word()
        )
    };
    answers.map(line).collect()
}

/// Takes an answer back.
pub(super) fn take_back(
    question: &str,
    package: &str,
    to: &DebconfEarlier,
    progress: &mut Progress<'_>,
) -> Result<(), StepError> {
    let tool = "debconf-communicate";
    let invocation = debconf(tool, DEADLINE)
        .args(["-fnoninteractive", "--", package])
        .input(commands(question, to).into_bytes());
    let ran = debconf_lock::run(&invocation, progress)?;
    let spec = Spec::Debconf(DebconfSpec {
        question: question.to_owned(),
        package: package.to_owned(),
        answer_type: QuestionType::String,
        value: String::new(),
        reconfigure: false,
    });
    let found = observe::observe(std::slice::from_ref(&spec));
    let now = now(tool, question, found.get(&spec.id()))?.answer;
    // A package may have taken its questions along.
    if (to, &now) == (&DebconfEarlier::Nothing, &DebconfAnswer::None) {
        return Ok(());
    }
    // It answers each command by a number, and its own status is that of the last one.
    let refused = ran.tail.iter().find(|line| {
        let number = line.untrusted().split(' ').next().unwrap_or_default();
        number.parse::<u32>().is_ok_and(|number| number > 1)
    });
    if let Some(refused) = refused {
        return Err(problem(format!(
            "{tool} does not take {question} back: {}",
            refused.untrusted()
        )));
    }
    if !ran.status.success() {
        return Err(ran.failure(tool));
    }
    let is_back = match (to, &now) {
        (
            DebconfEarlier::Value { value, seen },
            DebconfAnswer::Known {
                value: found,
                seen: is_seen,
            },
        ) => found.as_ref().map_or("", HostText::untrusted) == value && seen == is_seen,
        // Another package may have the question, too; then it has its default.
        (DebconfEarlier::Default | DebconfEarlier::Nothing, DebconfAnswer::Known { seen, .. }) => !seen,
        _ => false,
    };
    if is_back {
        Ok(())
    } else {
        Err(problem(format!(
            "{tool} ended well, and {question} is not back to what it was"
        )))
    }
}

/// The commands of debconf's protocol (debconf-devel(7)).
fn commands(question: &str, to: &DebconfEarlier) -> String {
    match to {
        DebconfEarlier::Value { value, seen } => {
            format!(
                "CAPB escape\nSET {question} {}\nFSET {question} seen {seen}\n",
                escaped(value)
            )
        }
        DebconfEarlier::Default => format!("RESET {question}\n"),
        // The reset is for whoever else has the question.
        DebconfEarlier::Nothing => format!("RESET {question}\nUNREGISTER {question}\n"),
    }
}

/// A value as one word of the protocol, for whoever has said that it escapes.
fn escaped(value: &str) -> String {
    let mut word = String::with_capacity(value.len());
    for letter in value.chars() {
        match letter {
            '\n' => word.push_str("\\n"),
            '\\' => word.push_str("\\\\"),
            letter if letter.is_whitespace() => word.extend(['\\', letter]),
            letter => word.push(letter),
        }
    }
    word
}

/// Lets a package configure itself by the answers that there are.
pub(super) fn reconfigure(package: &str, progress: &mut Progress<'_>) -> Result<(), StepError> {
    dpkg_lock::wait(progress)?;
    let invocation = debconf("dpkg-reconfigure", RECONFIGURE).args(["-fnoninteractive", "--", package]);
    must_run(&invocation, &format!("dpkg-reconfigure {package}"), progress)
}

fn must_run(invocation: &Invocation, tried: &str, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let ran = debconf_lock::run(invocation, progress)?;
    if ran.status.success() {
        Ok(())
    } else {
        Err(ran.failure(tried))
    }
}

/// What is there after a tool has ended well.
fn now(tool: &str, question: &str, found: Option<&Fact<State>>) -> Result<DebconfState, StepError> {
    match found {
        Some(Fact::Known(State::Debconf(state))) => Ok(state.clone()),
        Some(Fact::Unknown(reason)) => Err(problem(format!(
            "{tool} ended well, and {question} cannot be seen: {}",
            reason.untrusted()
        ))),
        Some(Fact::Known(_)) | None => Err(problem(format!("{tool} ended well, and {question} was not looked at"))),
    }
}

/// One of debconf's tools, which asks nobody.
fn debconf(program: &str, deadline: Duration) -> Invocation {
    Invocation::new(program, deadline)
        .env("LC_ALL", "C.UTF-8")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("NEEDRESTART_SUSPEND", "1")
        .env("UCF_FORCE_CONFFOLD", "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_lines_of_their_own() {
        let spec = |value: &str| DebconfSpec {
            question: "a/b".to_owned(),
            package: "a".to_owned(),
            answer_type: QuestionType::Multiselect,
            value: value.to_owned(),
            reconfigure: false,
        };
        let specs = [spec("x, y"), spec(" two\nlines"), spec("")];
        assert_eq!(
            selections(specs.iter()),
            "a a/b multiselect x, y\na a/b multiselect  two\\nlines\na a/b multiselect \n"
        );
    }

    #[test]
    fn what_was_there_before_is_one_word_of_the_protocol() {
        assert_eq!(escaped("a b\tc\\n\nd"), "a\\ b\\\tc\\\\n\\nd");
        let to = DebconfEarlier::Value {
            value: "Local only".to_owned(),
            seen: false,
        };
        assert_eq!(
            commands("a/b", &to),
            "CAPB escape\nSET a/b Local\\ only\nFSET a/b seen false\n"
        );
    }
}
