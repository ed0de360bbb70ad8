//! Running text broken into lines. It measures characters and changes no word.

/// The lines of a text, each at most `width` characters long where its words allow. Lines that begin with a blank or a
/// list's sign are left as they are, empty lines part paragraphs, and other line ends are blanks.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for written in text.trim_end().lines() {
        let own = written.starts_with([' ', '\t', '-', '*']);
        if written.trim().is_empty() || own {
            flush(&mut lines, &mut line);
        }
        if written.trim().is_empty() {
            lines.push(String::new());
        } else if own {
            lines.push(written.trim_end().to_owned());
        } else {
            for word in written.split_whitespace() {
                if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                    flush(&mut lines, &mut line);
                }
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
        }
    }
    flush(&mut lines, &mut line);
    lines
}

fn flush(lines: &mut Vec<String>, line: &mut String) {
    if !line.is_empty() {
        lines.push(std::mem::take(line));
    }
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn words_are_kept_and_lines_are_short() {
        let text = "one two three\nfour\n\n- a list stays as it is\nfive averyveryverylongword six\n";
        let lines = wrap(text, 10);
        assert_eq!(
            lines,
            [
                "one two",
                "three four",
                "",
                "- a list stays as it is",
                "five",
                "averyveryverylongword",
                "six"
            ]
        );
        assert_eq!(wrap("", 10), Vec::<String>::new());
    }
}
