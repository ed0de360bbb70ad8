//! The one place that quotes arguments for a shell. SSH knows no argument vectors: a command is one line of text that the
//! login shell reads.

/// The arguments as a line that every POSIX shell (and fish) reads back as the same arguments.
#[must_use]
pub fn quote<S: AsRef<str>>(argv: &[S]) -> String {
    argv.iter()
        .map(|argument| quote_one(argument.as_ref()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quote_one(argument: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_' | b'=' | b':' | b',' | b'+');
    if !argument.is_empty() && argument.bytes().all(plain) {
        return argument.to_owned();
    }
    // Backslashes are outside the quotes, since fish reads them inside.
    let mut quoted = String::from("'");
    for c in argument.chars() {
        match c {
            '\'' => quoted.push_str("'\\''"),
            '\\' => quoted.push_str("'\\\\'"),
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::quote;

    #[test]
    fn a_shell_reads_the_same_arguments_back() {
        let hostile = [
            "", "plain", "a b", "it's", "$(id)", "`id`", "a\\b", "\\'", "\"", "a\nb", "*", "~", "!x", "-n", "é", "#",
        ];
        let line = format!("printf '%s\\0' {}", quote(&hostile));
        let output = Command::new("sh").args(["-c", &line]).output().unwrap();
        let read: Vec<_> = output.stdout.split(|b| *b == 0).collect();
        assert_eq!(read.len(), hostile.len() + 1);
        for (read, wrote) in read.iter().zip(hostile) {
            assert_eq!(*read, wrote.as_bytes());
        }
    }
}
