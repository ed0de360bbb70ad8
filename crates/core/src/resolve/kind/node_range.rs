//! Ranges of versions as npm packages say which Node.js they need: `>=24.16.0 <25 || >=26.1.0`. Pre-releases are not
//! understood, and a range with what is not understood says nothing.
//!
//! The grammar is <https://github.com/npm/node-semver#ranges>.

/// Major, minor and patch.
pub(super) type Version = (u64, u64, u64);

/// A whole version, such as `24.21.0`.
pub(super) fn version(text: &str) -> Option<Version> {
    match parts(text)? {
        (Some(major), Some(minor), Some(patch)) => Some((major, minor, patch)),
        _ => None,
    }
}

/// Whether a range has a version in it; `None` where the range cannot be read.
pub(super) fn has(range: &str, version: Version) -> Option<bool> {
    let mut any = false;
    for alternative in range.split("||") {
        any |= all(alternative, version)?;
    }
    Some(any)
}

/// Versions from the first on, up to but without the second.
type Between = (Version, Option<Version>);

fn all(alternative: &str, version: Version) -> Option<bool> {
    let inside = |(from, to): Between| version >= from && to.is_none_or(|to| version < to);
    if let Some((from, to)) = alternative.split_once(" - ") {
        return Some(inside(comparator(">=", from.trim())?) && inside(comparator("<=", to.trim())?));
    }
    let mut holds = true;
    let mut words = alternative.split_whitespace();
    while let Some(word) = words.next() {
        let bare = word.trim_start_matches(['<', '>', '=', '^', '~']);
        let operator = word.get(..word.len() - bare.len())?;
        // `>= 18` is written with a blank by some.
        let bare = if bare.is_empty() { words.next()? } else { bare };
        holds &= inside(comparator(operator, bare)?);
    }
    Some(holds)
}

fn comparator(operator: &str, text: &str) -> Option<Between> {
    let (major, minor, patch) = parts(text)?;
    let from = (major.unwrap_or(0), minor.unwrap_or(0), patch.unwrap_or(0));
    // The first version that is no longer covered by what was written, as far as it was written.
    let after = match (major, minor, patch) {
        (None, _, _) => None,
        (Some(major), None, _) => Some((major + 1, 0, 0)),
        (Some(major), Some(minor), None) => Some((major, minor + 1, 0)),
        (Some(major), Some(minor), Some(patch)) => Some((major, minor, patch + 1)),
    };
    let least = (0, 0, 0);
    Some(match operator {
        "" | "=" => (from, after),
        ">=" => (from, None),
        ">" => (after?, None),
        "<" => (least, Some(from)),
        "<=" => (least, after),
        "~" => (
            from,
            major.map(|major| minor.map_or((major + 1, 0, 0), |minor| (major, minor + 1, 0))),
        ),
        "^" => {
            let to = match (major?, minor, patch) {
                (0, Some(0), Some(patch)) => (0, 0, patch + 1),
                (0, Some(minor), _) => (0, minor + 1, 0),
                (major, _, _) => (major + 1, 0, 0),
            };
            (from, Some(to))
        }
        _ => return None,
    })
}

type Parts = (Option<u64>, Option<u64>, Option<u64>);

/// The parts of a version that are said; `x` and `*` stand for any.
fn parts(text: &str) -> Option<Parts> {
    let mut numbers = [None; 3];
    let mut open = false;
    let words: Vec<_> = text.trim_start_matches('v').split('.').collect();
    if words.len() > numbers.len() {
        return None;
    }
    for (number, word) in numbers.iter_mut().zip(words) {
        match word {
            "x" | "X" | "*" | "" => open = true,
            // Far above any version, and far below what a sum would overflow at.
            _ if open || word.len() > 9 => return None,
            word => *number = Some(word.parse().ok()?),
        }
    }
    Some((numbers[0], numbers[1], numbers[2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_npm_says_they_hold() {
        for (range, inside, outside) in [
            (
                ">=24.16.0 <25 || >=26.1.0",
                vec!["24.16.0", "24.99.1", "26.1.0", "30.0.0"],
                vec!["24.15.9", "25.0.0", "26.0.9"],
            ),
            (">=22.12.0", vec!["22.12.0", "24.21.0"], vec!["22.11.9", "20.20.2"]),
            (
                "^20.17.0 || >=22.9.0",
                vec!["20.17.0", "20.99.0", "22.9.0", "25.0.0"],
                vec!["20.16.9", "21.0.0", "22.8.0"],
            ),
            (">= 18", vec!["18.0.0", "24.0.0"], vec!["17.9.9"]),
            (
                "18 || 20 || >=22",
                vec!["18.5.0", "20.0.1", "23.0.0"],
                vec!["19.0.0", "21.9.9"],
            ),
            ("*", vec!["0.0.1", "24.0.0"], vec![]),
            ("", vec!["24.0.0"], vec![]),
            ("18.x", vec!["18.0.0", "18.99.0"], vec!["19.0.0"]),
            ("~18.2", vec!["18.2.0", "18.2.9"], vec!["18.3.0"]),
            ("~18", vec!["18.0.0", "18.9.9"], vec!["19.0.0"]),
            (">18", vec!["19.0.0"], vec!["18.9.9"]),
            ("<=18.2", vec!["18.2.9", "1.0.0"], vec!["18.3.0"]),
            ("16 - 18.2", vec!["16.0.0", "18.2.5"], vec!["15.9.9", "18.3.0"]),
            ("^0.2.3", vec!["0.2.3", "0.2.9"], vec!["0.3.0", "0.2.2"]),
            ("^0.0.3", vec!["0.0.3"], vec!["0.0.4"]),
            ("v20.1.0", vec!["20.1.0"], vec!["20.1.1"]),
        ] {
            for text in inside {
                assert_eq!(has(range, version(text).unwrap()), Some(true), "{range} {text}");
            }
            for text in outside {
                assert_eq!(has(range, version(text).unwrap()), Some(false), "{range} {text}");
            }
        }
    }

    #[test]
    fn what_is_not_understood_says_nothing() {
        let node = (24, 0, 0);
        for range in [
            ">=1.0.0-beta.2",
            "latest",
            ">=",
            "1.2.3.4",
            "x.1",
            "!1",
            ">*",
            "99999999999999999999",
        ] {
            assert_eq!(has(range, node), None, "{range}");
        }
        assert_eq!(version("24"), None);
    }
}
