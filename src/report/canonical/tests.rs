//! The layout held to its promises: the same meaning, every comment, and nothing left to change the second time. What
//! files it is applied to is another matter.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// Every file of the project that is TOML, with those that the language's tests have.
fn corpus() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open = ["hosts", "modules", "crates/core/tests/cases"]
        .map(|part| root.join(part))
        .to_vec();
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                files.push(path);
            }
        }
    }
    files
}

#[test]
fn layouts() {
    for (written, expected) in [
        ("", ""),
        ("\n\n", ""),
        ("a=1", "a = 1\n"),
        ("  a   =  1   \r\n", "a = 1\n"),
        ("a . \"b c\" . d = 1\n", "a.\"b c\".d = 1\n"),
        ("a = 1\n\n\n\nb = 2\n\n", "a = 1\n\nb = 2\n"),
        (
            "a = 1\n[ b ]\n\nc = 2\n[[ d . e ]]\n",
            "a = 1\n\n[b]\nc = 2\n\n[[d.e]]\n",
        ),
        ("# top\n[a]\n", "# top\n[a]\n"),
        ("#:schema x.json\n\n[a]\n", "#:schema x.json\n\n[a]\n"),
        ("a = 1\n   # of b   \n[b]#x\n", "a = 1\n\n# of b\n[b]  #x\n"),
        ("a = 1\n# end of a\n\n[b]\n", "a = 1\n# end of a\n\n[b]\n"),
        // Comments behind neighbouring lines are in one column.
        (
            "a = 1 # one\nlong = 2 # two\nb = 3\nc = 4 # four\n",
            "a = 1     # one\nlong = 2  # two\nb = 3\nc = 4  # four\n",
        ),
        // Values are copied as they are.
        ("a = 0x1F\nb = 1_000.0\nc = 'it''\n", ""),
        (
            "a = 0x1F\nb = 1_000.50\nc = 'it'\nd = 1979-05-27 07:32:00\n",
            "a = 0x1F\nb = 1_000.50\nc = 'it'\nd = 1979-05-27 07:32:00\n",
        ),
        (
            "a = \"\"\"\n  x \\\n  y  \n\"\"\"\n",
            "a = \"\"\"\n  x \\\n  y  \n\"\"\"\n",
        ),
        // Lists.
        ("a=[1,2 , 3]\n", "a = [1, 2, 3]\n"),
        ("a = [ ]\n", "a = []\n"),
        ("a = [\n\n]\n", "a = []\n"),
        ("a = [\n  1,\n  2\n]\n", "a = [1, 2]\n"),
        ("a = [1, 2,]\n", "a = [\n    1,\n    2,\n]\n"),
        (
            "a = [ # why\n1, # one\n\n\n22 # two\n, # comma\n# end\n]\n",
            "a = [\n    # why\n    1,  # one\n\n    22,  # two\n    # comma\n    # end\n]\n",
        ),
        (
            "a = [[1,2,],[3]]\n",
            "a = [\n    [\n        1,\n        2,\n    ],\n    [3],\n]\n",
        ),
        // Inline tables.
        ("a={b=1,c.d=[2],}\n", "a = { b = 1, c.d = [2] }\n"),
        ("a = {}\n", "a = {}\n"),
        ("a = {\n  b = 1,\n  c = 2\n}\n", "a = { b = 1, c = 2 }\n"),
        ("a = {\n  b = 1, # one\n}\n", "a = {\n    b = 1,  # one\n}\n"),
    ] {
        match canonical(written) {
            Ok(text) => assert_eq!(text, expected, "of {written:?}"),
            Err(LayoutError::Syntax(_)) => assert_eq!(expected, "", "{written:?} was not read"),
            Err(LayoutError::Meaning) => panic!("{written:?} became {:?}", layout(written)),
        }
    }
}

#[test]
fn long_lists_are_broken_and_long_inline_tables_are_not() {
    let items = ["\"0123456789\""; 9].join(", ");
    let list = canonical(&format!("a = [{items}]\n")).unwrap();
    assert_eq!(list.lines().count(), 11, "{list}");
    let shorter = ["\"0123456789\""; 6].join(", ");
    assert_eq!(canonical(&format!("a = [{shorter}]\n")).unwrap().lines().count(), 1);
    let text = "0".repeat(120);
    assert_eq!(
        canonical(&format!("a = {{ b = \"{text}\", c = 1 }}\n"))
            .unwrap()
            .lines()
            .count(),
        1
    );
}

#[test]
fn a_layout_is_its_own_layout_means_the_same_and_keeps_every_comment() {
    let corpus = corpus();
    assert!(corpus.len() > 40, "only {} files", corpus.len());
    let mut laid_out = 0;
    for path in corpus {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        // As people type, and as it comes from elsewhere.
        let squeezed = text.replace(" = ", "=").replace("\n\n", "\n");
        let stretched = text.replace(" = ", " \t=   ").replace('\n', "  \n\n\n");
        let windows = text.replace('\n', "\r\n");
        for text in [text, squeezed, stretched, windows] {
            let canonical_text = match canonical(&text) {
                Ok(text) => text,
                // Some of the cases are broken on purpose.
                Err(LayoutError::Syntax(_)) => continue,
                Err(LayoutError::Meaning) => panic!("{}: {text}", path.display()),
            };
            assert_eq!(
                canonical(&canonical_text).unwrap(),
                canonical_text,
                "{}",
                path.display()
            );
            laid_out += 1;
        }
    }
    assert!(laid_out > 100, "only {laid_out} texts");
}

/// A small generator: the same numbers on every machine and every day.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        // Knuth's MMIX multiplier; the upper bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn gap(&mut self, inside: bool) -> String {
        let gaps: &[&str] = if inside {
            &["", "", " ", "\n", "\n\n\n", " # c\n", "\n  # d\n", "\t"]
        } else {
            &["", " ", "  ", "\t"]
        };
        self.pick(gaps).to_owned()
    }

    fn value(&mut self, depth: usize) -> String {
        let single = [
            "1",
            "-17",
            "0x1f",
            "3.5",
            "true",
            "\"a # b\"",
            "'c,]}'",
            "\"\"\"\nd\n  e\"\"\"",
            "1979-05-27",
            "\"\"",
        ];
        match self.below(if depth == 0 { 1 } else { 3 }) {
            0 => self.pick(&single).to_owned(),
            1 => {
                let mut text = "[".to_owned();
                let count = self.below(5);
                for item in 0..count {
                    text += &(self.gap(true) + &self.value(depth - 1) + &self.gap(true));
                    text += if item + 1 < count || self.below(3) == 0 {
                        ","
                    } else {
                        ""
                    };
                }
                text + &self.gap(true) + "]"
            }
            _ => {
                let count = self.below(4);
                let items: Vec<_> = (0..count)
                    .map(|item| {
                        let (before, after) = (self.gap(true), self.gap(true));
                        format!(
                            "{before}k{item}{}={}{}{after}",
                            self.gap(false),
                            self.gap(false),
                            self.value(depth - 1)
                        )
                    })
                    .collect();
                format!("{{{}{}}}", items.join(","), self.gap(true))
            }
        }
    }

    fn document(&mut self) -> String {
        let mut text = String::new();
        for line in 0..self.below(12) {
            let line = match self.below(6) {
                0 => format!(
                    "{}[t{line}{}]{}",
                    self.gap(false),
                    self.gap(false),
                    self.pick(&["", " # h", "#h"])
                ),
                1 => format!("{}# comment {line}  ", self.gap(false)),
                2 => String::new(),
                _ => format!(
                    "{}k{line} ={}{}{}",
                    self.gap(false),
                    self.gap(false),
                    self.value(3),
                    self.pick(&["", " # v"])
                ),
            };
            text += &line;
            text += self.pick(&["\n", "\n", "\r\n", "\n\n\n"]);
        }
        text
    }
}

#[test]
fn whatever_is_generated_keeps_its_meaning_and_settles_at_once() {
    let mut random = Random(7);
    let mut laid_out = 0;
    for _ in 0..3_000 {
        let text = random.document();
        match canonical(&text) {
            Ok(once) => {
                assert_eq!(canonical(&once).unwrap(), once, "of\n{text}");
                assert!(
                    once.lines()
                        .all(|line| once.contains("\"\"\"") || line.trim_end() == line),
                    "{once}"
                );
                laid_out += 1;
            }
            Err(LayoutError::Syntax(_)) => {}
            Err(LayoutError::Meaning) => panic!("{text:?}\nbecame\n{}", layout(&text)),
        }
    }
    assert!(laid_out > 1_500, "only {laid_out} of the texts were TOML");
}

#[test]
fn a_change_of_meaning_would_be_noticed() {
    assert_ne!(
        format!("{:?}", read("a = 1").unwrap()),
        format!("{:?}", read("a = 2").unwrap())
    );
    assert_ne!(comments("a = 1 # b"), comments("a = 1"));
    assert!(matches!(canonical("a = "), Err(LayoutError::Syntax(_))));
}
