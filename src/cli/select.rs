//! Which hosts a command is about: names, patterns, tags. Pure; it contacts none of them.

use std::collections::{BTreeMap, BTreeSet};

use provision_core::model::HostName;

use super::args::{Narrow, Selection};

/// Every host of the project with its tags.
pub type Inventory = BTreeMap<HostName, BTreeSet<String>>;

/// Why no host, or not the meant ones, are selected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// The project has no host.
    #[error("the project has no hosts")]
    NoHosts,
    /// A name, pattern or tag fits no host.
    #[error("{what} fits no host")]
    NoMatch {
        /// What was given, with what it is: `the name "web1"`.
        what: String,
        /// What may have been meant.
        close: Option<String>,
        /// Everything there is of that sort.
        exists: Vec<String>,
    },
    /// Everything was narrowed away.
    #[error("of {left} hosts none is left after {by}")]
    Nothing {
        /// How many hosts fitted before they were narrowed.
        left: usize,
        /// The options that narrowed.
        by: String,
    },
}

/// The selected hosts, in order.
///
/// Given hosts are united (none given is all of them); of those, each `--tags` list must share a tag with a host,
/// a host must match one `--limit` where there are any, and no `--exclude`.
///
/// # Errors
/// [`SelectError`]: a selection is never silently empty, and what is given must fit something.
pub fn select(inventory: &Inventory, selection: &Selection) -> Result<BTreeSet<HostName>, SelectError> {
    if inventory.is_empty() {
        return Err(SelectError::NoHosts);
    }
    let mut selected = BTreeSet::new();
    for pattern in &selection.hosts {
        selected.extend(fitting(inventory, pattern)?);
    }
    if selection.hosts.is_empty() {
        selected.extend(inventory.keys().cloned());
    }
    let fitted = selected.len();
    narrow(inventory, &selection.narrow, &mut selected)?;
    if selected.is_empty() {
        return Err(SelectError::Nothing {
            left: fitted,
            by: narrowing_words(&selection.narrow),
        });
    }
    Ok(selected)
}

fn narrow(inventory: &Inventory, narrow: &Narrow, selected: &mut BTreeSet<HostName>) -> Result<(), SelectError> {
    for list in &narrow.tags {
        let wanted: BTreeSet<_> = list.split(',').map(str::trim).filter(|tag| !tag.is_empty()).collect();
        for tag in &wanted {
            tagged(inventory, tag)?;
        }
        selected.retain(|host| inventory[host].iter().any(|tag| wanted.contains(tag.as_str())));
    }
    if !narrow.limit.is_empty() {
        let mut limit = BTreeSet::new();
        for pattern in &narrow.limit {
            limit.extend(fitting(inventory, pattern)?);
        }
        selected.retain(|host| limit.contains(host));
    }
    for pattern in &narrow.exclude {
        for host in fitting(inventory, pattern)? {
            selected.remove(&host);
        }
    }
    Ok(())
}

/// The hosts that one name, pattern or `@tag` stands for.
fn fitting(inventory: &Inventory, pattern: &str) -> Result<BTreeSet<HostName>, SelectError> {
    if let Some(tag) = pattern.strip_prefix('@') {
        return tagged(inventory, tag);
    }
    let hosts: BTreeSet<_> = inventory
        .keys()
        .filter(|host| matches(pattern, host.as_str()))
        .cloned()
        .collect();
    if hosts.is_empty() {
        let is = if is_pattern(pattern) { "pattern" } else { "name" };
        let names = inventory.keys().map(HostName::as_str);
        return Err(no_match(is, pattern, names));
    }
    Ok(hosts)
}

fn tagged(inventory: &Inventory, tag: &str) -> Result<BTreeSet<HostName>, SelectError> {
    let hosts: BTreeSet<_> = inventory
        .iter()
        .filter(|(_, tags)| tags.contains(tag))
        .map(|(host, _)| host.clone())
        .collect();
    if hosts.is_empty() {
        let tags: BTreeSet<_> = inventory.values().flatten().map(String::as_str).collect();
        return Err(no_match("tag", tag, tags.into_iter()));
    }
    Ok(hosts)
}

fn no_match<'a>(is: &str, given: &str, exists: impl Iterator<Item = &'a str>) -> SelectError {
    let exists: Vec<_> = exists.map(str::to_owned).collect();
    SelectError::NoMatch {
        what: format!("the {is} \"{}\"", given.escape_debug()),
        close: closest(given, &exists),
        exists,
    }
}

/// What exists and is within a third of its length of what was given.
fn closest(given: &str, exists: &[String]) -> Option<String> {
    exists
        .iter()
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, name)| distance * 3 <= name.chars().count().max(3))
        .min()
        .map(|(_, name)| name.clone())
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Whether a name matches a pattern in which `*` stands for any text and `?` for any one character.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where to go on when a text that a `*` stands for turns out too short: linear in practice, never exponential.
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                n = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

fn narrowing_words(narrow: &Narrow) -> String {
    let named =
        |option: &str, values: &[String]| (!values.is_empty()).then(|| format!("{option} {}", values.join(" ")));
    [
        named("--tags", &narrow.tags),
        named("--limit", &narrow.limit),
        named("--exclude", &narrow.exclude),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory() -> Inventory {
        [
            ("db-1", &["prod", "db"][..]),
            ("friday", &["bot"]),
            ("web-1", &["prod", "web"]),
            ("web-2", &["prod", "web", "canary"]),
            ("web-10", &["web"]),
        ]
        .into_iter()
        .map(|(host, tags)| {
            let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
            (HostName::new(host).unwrap(), tags)
        })
        .collect()
    }

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn selected(hosts: &str, tags: &str, limit: &str, exclude: &str) -> Result<String, SelectError> {
        let selection = Selection {
            hosts: words(hosts),
            narrow: Narrow {
                tags: words(tags),
                limit: words(limit),
                exclude: words(exclude),
            },
        };
        let hosts = select(&inventory(), &selection)?;
        Ok(hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn selections() {
        // hosts, --tags, --limit, --exclude → selected
        for (hosts, tags, limit, exclude, expected) in [
            ("", "", "", "", "db-1 friday web-1 web-10 web-2"),
            ("friday", "", "", "", "friday"),
            ("friday friday", "", "", "", "friday"),
            ("web-?", "", "", "", "web-1 web-2"),
            ("web-* db-1", "", "", "", "db-1 web-1 web-10 web-2"),
            ("*-1", "", "", "", "db-1 web-1"),
            ("@bot web-1", "", "", "", "friday web-1"),
            ("", "bot,db", "", "", "db-1 friday"),
            ("", "prod web", "", "", "web-1 web-2"),
            ("web-*", "prod", "", "", "web-1 web-2"),
            ("", "", "web-*", "@canary", "web-1 web-10"),
            ("", "", "web-1 friday", "", "friday web-1"),
            ("", "prod", "", "web-*", "db-1"),
        ] {
            let case = format!("{hosts} --tags {tags} --limit {limit} --exclude {exclude}");
            assert_eq!(selected(hosts, tags, limit, exclude).as_deref(), Ok(expected), "{case}");
        }
    }

    #[test]
    fn what_fits_nothing_is_an_error_that_helps() {
        let Err(SelectError::NoMatch { what, close, exists }) = selected("web1 friday", "", "", "") else {
            panic!("web1 is no host");
        };
        assert_eq!(what, "the name \"web1\"");
        assert_eq!(close.as_deref(), Some("web-1"));
        assert_eq!(exists, ["db-1", "friday", "web-1", "web-10", "web-2"]);

        for (hosts, tags, limit, exclude, expected) in [
            ("mail-*", "", "", "", "the pattern \"mail-*\" fits no host"),
            ("@prodd", "", "", "", "the tag \"prodd\" fits no host"),
            ("", "bot,prodd", "", "", "the tag \"prodd\" fits no host"),
            ("", "", "x", "", "the name \"x\" fits no host"),
            ("", "", "", "x*", "the pattern \"x*\" fits no host"),
            ("friday", "web", "", "", "of 1 hosts none is left after --tags web"),
            (
                "",
                "bot",
                "",
                "friday",
                "of 5 hosts none is left after --tags bot and --exclude friday",
            ),
        ] {
            let error = selected(hosts, tags, limit, exclude).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        let none = select(&Inventory::new(), &Selection::default());
        assert_eq!(none, Err(SelectError::NoHosts));
    }

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
            ("?", "", false),
            ("**", "x", true),
            ("web", "web-1", false),
            ("", "web", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        let started = std::time::Instant::now();
        assert!(!matches(&"*a".repeat(30), &"a".repeat(29)));
        assert!(!matches(&format!("{}b", "*a".repeat(20)), &"a".repeat(63)));
        assert!(started.elapsed().as_secs() < 1, "patterns must not be exponential");
    }
}
