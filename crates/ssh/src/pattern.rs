//! OpenSSH's host patterns: `*`, `?`, and lists with `!` negation.
//! It does not fold case or resolve names: callers do, because known_hosts and ssh_config differ.

/// True if `text` matches `pattern`, where `*` is any run of characters and `?` any one.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    // Greedy with one remembered star: linear memory, and no exponential time on hostile files.
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || Some(&c) == text.get(t) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((star_p, star_t)) => {
                    star = Some((star_p, star_t + 1));
                    p = star_p + 1;
                    t = star_t + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == b'*')
}

/// True if one pattern of the list matches and no negated one does.
pub(crate) fn list_matches<'a>(patterns: impl IntoIterator<Item = &'a str>, text: &str) -> bool {
    let mut matched = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(negated) if matches(negated, text) => return false,
            Some(_) => {}
            None => matched |= matches(pattern, text),
        }
    }
    matched
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("?", "", false),
            ("a*c", "abbbc", true),
            ("a*c", "abbb", false),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("a?c*", "abc", true),
            ("**a**", "bab", true),
            ("*ab", "aab", true),
            ("[a]", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_negated_match_wins_wherever_it_stands() {
        assert!(list_matches(["*.lan", "!db.lan"], "web.lan"));
        assert!(!list_matches(["*.lan", "!db.lan"], "db.lan"));
        assert!(!list_matches(["!db.lan", "*.lan"], "db.lan"));
        assert!(!list_matches(["!db.lan"], "web.lan"));
    }

    #[test]
    fn many_stars_cost_no_time() {
        assert!(!matches(&"*a".repeat(200), &"a".repeat(190)));
        assert!(!matches(&format!("{}b", "*a".repeat(50)), &"a".repeat(5000)));
    }
}
