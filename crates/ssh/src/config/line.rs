//! One line of ssh_config, split into a keyword and its arguments as OpenSSH splits it.
//! It does not know any keyword.

/// A keyword, lowercase, and at least one argument.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) keyword: String,
    pub(super) arguments: Vec<String>,
}

/// Splits a line. `Ok(None)` is an empty line or a comment.
pub(super) fn split(line: &str) -> Result<Option<Line>, String> {
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    // A form feed is tolerated at the end of a line, and nowhere else.
    let line = line
        .trim_end_matches(|c| is_space(c) || c == '\x0c')
        .trim_start_matches(is_space);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (keyword, rest) = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').ok_or("a quoted keyword has no end")?,
        None => line.split_at(line.find(|c| is_space(c) || c == '=').unwrap_or(line.len())),
    };
    if keyword.is_empty() {
        return Err("no keyword before the value".to_owned());
    }
    // One `=` may stand between keyword and arguments.
    let rest = rest.trim_start_matches(is_space);
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start_matches(is_space);
    let arguments = arguments(rest)?;
    if arguments.is_empty() {
        return Err(format!("no argument after keyword {keyword}"));
    }
    Ok(Some(Line {
        keyword: keyword.to_ascii_lowercase(),
        arguments,
    }))
}

/// Splits arguments at blanks. Both kinds of quotes group; `\` protects quotes, itself, and outside
/// quotes a space; an unquoted `#` at the start of an argument ends the line.
fn arguments(text: &str) -> Result<Vec<String>, String> {
    let mut arguments = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        match chars.peek() {
            None | Some('#') => return Ok(arguments),
            Some(_) => {}
        }
        let mut argument = String::new();
        let mut quote = None;
        while let Some(c) = chars.next() {
            match (c, quote) {
                ('\\', _) => {
                    let protected =
                        chars.next_if(|next| matches!(next, '\'' | '"' | '\\') || (quote.is_none() && *next == ' '));
                    argument.push(protected.unwrap_or('\\'));
                }
                (' ' | '\t', None) => break,
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                _ => argument.push(c),
            }
        }
        if quote.is_some() {
            return Err("a quote has no end".to_owned());
        }
        arguments.push(argument);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> (String, Vec<String>) {
        let line = split(line).unwrap().unwrap();
        (line.keyword, line.arguments)
    }

    #[test]
    fn separators_quotes_and_comments() {
        for (line, keyword, arguments) in [
            ("Port 22", "port", vec!["22"]),
            ("\tPort=22\r", "port", vec!["22"]),
            ("Port = 22", "port", vec!["22"]),
            ("User a=b", "user", vec!["a=b"]),
            ("Host a \"b c\" 'd'e # note", "host", vec!["a", "b c", "de"]),
            ("Host a#b", "host", vec!["a#b"]),
            (r"IdentityFile a\ b\\c\d", "identityfile", vec![r"a b\c\d"]),
            ("Host \"\"", "host", vec![""]),
        ] {
            let expected: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
            assert_eq!(parsed(line), (keyword.to_owned(), expected), "{line}");
        }
    }

    #[test]
    fn nothing_to_parse() {
        for line in ["", "   ", "# Port 22", "\t#x", "\r"] {
            assert_eq!(split(line), Ok(None), "{line:?}");
        }
    }

    #[test]
    fn broken_lines() {
        for line in ["Port", "Port =", "Host \"a", "Port # 22", "= 22"] {
            assert!(split(line).is_err(), "{line:?}");
        }
    }
}
