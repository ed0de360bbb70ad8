//! Whether a file's content is somebody's secret, by who may read it and by what it looks like. It errs on the side of
//! leaving a file where it is.

/// Words that a secret is called by.
const NAMES: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "api_key",
    "apikey",
    "api-key",
    "access_key",
    "private_key",
];

/// How keys of well-known services begin.
const MARKS: [&str; 9] = [
    "AKIA",
    "ghp_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "sk_live_",
    "AIza",
    "tskey-",
];

/// Why a content is to stay where it is.
pub(super) fn reason(text: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(text);
    if text.contains("PRIVATE KEY-----") || text.contains("PRIVATE KEY BLOCK-----") {
        return Some("it holds a private key");
    }
    if MARKS.iter().any(|mark| is_marked(&text, mark)) {
        return Some("it looks as if it held an access key");
    }
    let lines = text.lines().filter(|line| !is_comment(line));
    if lines.clone().any(has_login) {
        return Some("it has a URL with a password in it");
    }
    lines
        .clone()
        .any(is_assignment)
        .then_some("it looks as if it held a password or token")
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with(['#', ';'])
}

/// The mark at the start of a word, and long enough behind it.
fn is_marked(text: &str, mark: &str) -> bool {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')));
    words
        .into_iter()
        .any(|word| word.starts_with(mark) && word.len() >= mark.len() + 12)
}

/// `https://user:password@host`.
fn has_login(line: &str) -> bool {
    line.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', ' ', '"', '\'']).next().unwrap_or_default();
        authority.rsplit_once('@').is_some_and(|(login, _)| {
            login
                .split_once(':')
                .is_some_and(|(_, password)| !password.is_empty() && !password.starts_with('$'))
        })
    })
}

/// A secret's name, `=` or `:` or a blank, and a value that is no path, number, variable or switch.
fn is_assignment(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    NAMES.iter().any(|name| {
        lower.match_indices(name).any(|(at, _)| {
            let rest = line.get(at + name.len()..).unwrap_or_default();
            let rest =
                rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '"' | '\''));
            let Some(value) = rest.trim_start().strip_prefix(['=', ':']) else {
                return false;
            };
            let value = value.trim().trim_matches(['"', '\'', ',', ';']);
            let harmless = value.starts_with(['/', '$', '%', '<', '{'])
                || value.contains(' ')
                || matches!(
                    value.to_ascii_lowercase().as_str(),
                    "yes" | "no" | "true" | "false" | "none" | "ask"
                )
                || value.bytes().all(|b| b.is_ascii_digit());
            value.len() >= 4 && !harmless
        })
    })
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn what_looks_like_a_secret_stays() {
        for text in [
            "-----BEGIN OPENSSH PRIVATE KEY-----\n",
            "db_password = hunter22\n",
            "export API_TOKEN=\"abcdef0123\"\n",
            "secret: s3cr3tvalue\n",
            "deb https://user:pass@apt.example.org/ stable main\n",
            "key AKIAIOSFODNN7EXAMPLE\n",
            "TOKEN=ghp_0123456789abcdefghij\n",
        ] {
            assert!(reason(text.as_bytes()).is_some(), "{text}");
        }
        for text in [
            "PasswordAuthentication no\nPermitRootLogin prohibit-password\n",
            "# password = hunter22\n",
            "password_file = /run/secrets/db\n",
            "token=$TOKEN\n",
            "deb [signed-by=/etc/apt/keyrings/a.gpg] https://apt.example.org/ stable main\n",
            "net.ipv4.ip_forward = 1\n",
            "bob ALL=(ALL) NOPASSWD: ALL\n",
            "MaxAuthTries 3\nAuthorizedKeysFile .ssh/authorized_keys\n",
        ] {
            assert_eq!(reason(text.as_bytes()), None, "{text}");
        }
    }
}
