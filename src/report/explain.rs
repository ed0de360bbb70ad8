//! What the codes of findings mean: each with its paragraph and with an example, wrong and right. It looks at no
//! project; a finding itself is shown by [`super::findings`].

mod examples;

use std::fmt::Write as _;

use provision_core::config::{Code, nearest};
use serde_json::json;

use self::examples::{Example, Part, example};
use super::columns::columns;
use super::error::CommandError;
use super::json::{FORMAT_VERSION, document};
use super::style::{Palette, paint};
use super::words;
use super::wrap::wrap;

/// The longest line of running text that reads well.
const READABLE: usize = 90;

/// Finds a code as it is written, in either case.
///
/// # Errors
/// [`CommandError`] where there is none, with the code that was meant, maybe.
pub fn code(given: &str) -> Result<Code, CommandError> {
    given.parse().map_err(|()| {
        let error = CommandError::refused(format!("there is no code {}", words::safe(given)));
        let given = given.to_uppercase();
        let meant = nearest(&given, Code::ALL.iter().map(|code| code.id()));
        let error = match meant {
            Some(meant) => error.hint(format!("did you mean {meant}?")),
            None => error,
        };
        error.hint("`provision explain` lists all codes")
    })
}

/// One code as people read it.
#[must_use]
pub fn code_text(code: Code, width: usize, palette: Palette) -> String {
    let title = paint(palette.title(), format!("{code}: {}", code.title()));
    let explanation = wrap(code.explanation(), width.min(READABLE)).join("\n");
    let mut text = format!("{title}\n\n{explanation}\n");
    if let Some(Example { wrong, right }) = example(code) {
        for (word, style, parts) in [("Wrong", palette.remove(), wrong), ("Right", palette.create(), right)] {
            for (number, part) in parts.iter().enumerate() {
                let word = if number == 0 { word } else { "     " };
                // Writing to a string cannot fail.
                let _ = writeln!(
                    text,
                    "\n{} {}\n",
                    paint(style, word),
                    paint(palette.faint(), format!("# {}", part.0))
                );
                text += &part_text(part);
            }
        }
    }
    text
}

fn part_text(part: &Part) -> String {
    String::from_utf8_lossy(part.1)
        .lines()
        .map(|line| {
            if line.is_empty() {
                "\n".to_owned()
            } else {
                format!("    {line}\n")
            }
        })
        .collect()
}

/// All codes, a line each.
#[must_use]
pub fn list_text(palette: Palette) -> String {
    let rows: Vec<_> = Code::ALL
        .iter()
        .map(|code| vec![code.id().to_owned(), code.title().to_owned()])
        .collect();
    let mut text = columns(&rows).join("\n");
    text += "\n\n";
    text += &paint(palette.faint(), "`provision explain CODE` tells more, with an example.");
    text + "\n"
}

/// One code, or all of them, for programs.
#[must_use]
pub fn codes_json(codes: &[Code]) -> String {
    let codes: Vec<_> = codes
        .iter()
        .map(|code| {
            let files = |parts: &[Part]| {
                let files = parts
                    .iter()
                    .map(|(path, text)| json!({ "file": path, "text": String::from_utf8_lossy(text) }));
                files.collect::<Vec<_>>()
            };
            let example = example(*code);
            json!({
                "code": code.id(),
                "title": code.title(),
                "explanation": code.explanation(),
                "wrong": example.map(|example| files(example.wrong)),
                "right": example.map(|example| files(example.right)),
            })
        })
        .collect();
    document(&json!({
        "format_version": FORMAT_VERSION,
        "command": "explain",
        "version": env!("CARGO_PKG_VERSION"),
        "codes": codes,
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use provision_core::config::{Diagnostic, Sources};
    use provision_core::resolve::resolve_all;

    use super::*;

    fn findings(parts: &[Part]) -> Vec<Diagnostic> {
        let (mut config, mut files) = (BTreeMap::new(), BTreeMap::new());
        for (path, bytes) in parts {
            match path.strip_prefix("files/") {
                Some(path) => files.insert(path.to_owned(), bytes.to_vec()),
                None => config.insert((*path).to_owned(), bytes.to_vec()),
            };
        }
        resolve_all(&Sources { config, files: &files }).diagnostics
    }

    #[test]
    fn every_wrong_example_is_refused_with_its_code_alone_and_every_right_one_is_accepted() {
        for code in Code::ALL {
            let Some(Example { wrong, right }) = example(*code) else {
                panic!("{code} has no example");
            };
            let found: Vec<_> = findings(wrong).iter().map(|finding| finding.code).collect();
            assert!(
                !found.is_empty() && found.iter().all(|found| found == code),
                "{code}: the wrong example gives {found:?}"
            );
            let found: Vec<_> = findings(right).into_iter().map(|finding| finding.message).collect();
            assert!(found.is_empty(), "{code}: the right example gives {found:?}");
        }
    }

    #[test]
    fn a_code_is_found_in_either_case_and_a_near_one_is_suggested() {
        assert_eq!(code("e0103").unwrap(), Code::UnknownKey);
        let error = code("E0193").unwrap_err();
        assert!(error.hints[0].starts_with("did you mean E0"), "{:?}", error.hints);
        assert_eq!(code("\u{1b}[2J").unwrap_err().hints.len(), 1);
    }

    #[test]
    fn running_text_fits_the_width() {
        for code in Code::ALL {
            let text = code_text(*code, 60, Palette::PLAIN);
            let (paragraph, _) = text.split_once("\nWrong").unwrap();
            let long = paragraph
                .lines()
                .skip(1)
                .find(|line| line.chars().count() > 60 && line.contains(' '));
            assert_eq!(long, None, "{code}");
        }
    }
}
