//! The firewall: the one table of nftables that is ours, as it should be and as the kernel has it. It knows no other table, and
//! does not say what the rules in it mean.

use serde::{Deserialize, Serialize};

use super::{Digest, HostText};

/// The family and name of the table.
pub const FIREWALL_TABLE: [&str; 2] = ["inet", "provision"];

/// The table as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirewallSpec {
    /// The table's comment: it names the rules that were loaded, so that those of another apply are known from those that
    /// somebody changed by hand.
    pub comment: Option<String>,
    /// What is between the table's braces, but for the comment.
    pub rules: String,
}

impl FirewallSpec {
    /// A table with these rules, and the comment that names them.
    #[must_use]
    pub fn of(rules: String) -> Self {
        Self {
            comment: Some(format!("provision {}", Digest::of(rules.as_bytes()).short())),
            rules,
        }
    }

    /// What `nft -f` reads to put this table in place of the one that may be there, in one transaction.
    #[must_use]
    pub fn script(&self) -> String {
        let name = FIREWALL_TABLE.join(" ");
        let comment = self.comment.as_ref();
        let comment = comment.map_or(String::new(), |comment| format!("\tcomment \"{comment}\"\n"));
        // The first line makes it where it is not there: what is not there cannot be deleted.
        format!(
            "table {name}\ndelete table {name}\ntable {name} {{\n{comment}{}}}\n",
            self.rules
        )
    }
}

/// The table as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FirewallState {
    /// The host has no `nft` to ask with.
    NoTool,
    /// There is no such table.
    Absent,
    /// A table.
    Table {
        /// Its comment.
        comment: Option<HostText>,
        /// What is between its braces, as `nft` lists it, without counters' values and without what its rules put into sets
        /// by themselves.
        rules: HostText,
        /// Whether that is what the wanted rules are listed as.
        as_wanted: bool,
    },
}

impl FirewallState {
    /// What `nft list table` says, with what it says of the wanted rules; `None` where that is no list of a table.
    #[must_use]
    pub fn listed(table: &str, wanted: &str) -> Option<Self> {
        let (comment, rules) = parts(table)?;
        let (_, wanted) = parts(wanted)?;
        Some(Self::Table {
            comment: comment.map(HostText::new),
            as_wanted: rules == wanted,
            rules: HostText::new(rules),
        })
    }
}

/// The comment of a listed table, and the rest of what is between its braces.
fn parts(listed: &str) -> Option<(Option<String>, String)> {
    let (_, inside) = listed.trim().split_once("{\n")?;
    let inside = inside.strip_suffix('}')?;
    let comment = inside
        .lines()
        .find_map(|line| line.strip_prefix("\tcomment \"")?.strip_suffix('"'));
    let rest = inside.lines().filter(|line| !line.starts_with("\tcomment \""));
    Some((comment.map(str::to_owned), settled(rest)))
}

/// Without what the rules themselves put into sets: it comes and goes with the traffic.
fn settled<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let (mut text, mut moves, mut skipping) = (String::new(), false, false);
    for line in lines {
        let inner = line.trim_start();
        if line.starts_with("\tset ") || line.starts_with("\tmap ") || line.starts_with("\tmeter ") {
            moves = false;
        } else if let Some(flags) = inner.strip_prefix("flags ") {
            moves = flags
                .split(',')
                .any(|flag| matches!(flag.trim(), "dynamic" | "timeout"));
        }
        skipping |= moves && inner.starts_with("elements = {");
        if !skipping {
            text.push_str(line);
            text.push('\n');
        }
        if skipping && inner.ends_with('}') {
            skipping = false;
        }
        if line == "\t}" {
            moves = false;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "table inet provision {\n\tcomment \"provision abc\"\n\tset seen {\n\t\ttype ipv4_addr\n\t\t\
        flags dynamic,timeout\n\t\telements = { 192.0.2.1 expires 5s,\n\t\t\t     192.0.2.2 expires 9s }\n\t}\n\n\tset known {\n\t\t\
        type ipv4_addr\n\t\telements = { 192.0.2.1 }\n\t}\n\n\tchain input {\n\t\tiifname \"lo\" accept\n\t}\n}\n";

    #[test]
    fn a_listed_table_is_its_comment_and_what_no_traffic_changes() {
        let Some(FirewallState::Table {
            comment,
            rules,
            as_wanted,
        }) = FirewallState::listed(LISTED, LISTED)
        else {
            panic!("no table");
        };
        assert_eq!(comment.unwrap().untrusted(), "provision abc");
        assert!(as_wanted);
        let rules = rules.untrusted();
        assert!(!rules.contains("expires") && !rules.contains("comment"), "{rules}");
        assert!(
            rules.contains("elements = { 192.0.2.1 }") && rules.contains("iifname \"lo\" accept"),
            "{rules}"
        );
        // What it is put back from is what it was.
        let again = FirewallSpec {
            comment: None,
            rules: rules.to_owned(),
        }
        .script();
        assert!(
            again.ends_with(&format!("table inet provision {{\n{rules}}}\n")),
            "{again}"
        );
    }

    #[test]
    fn a_rule_more_or_less_is_seen_and_a_list_of_something_else_is_none() {
        let more = LISTED.replace("\t\tiifname", "\t\ttcp dport 23 accept\n\t\tiifname");
        let state = FirewallState::listed(&more, LISTED);
        assert!(
            matches!(state, Some(FirewallState::Table { as_wanted: false, .. })),
            "{state:?}"
        );
        assert_eq!(FirewallState::listed("Error: no\n", LISTED), None);
        assert_eq!(FirewallState::listed(LISTED, ""), None);
    }

    #[test]
    fn the_comment_names_the_rules() {
        let (one, two) = (FirewallSpec::of("a\n".into()), FirewallSpec::of("b\n".into()));
        assert_ne!(one.comment, two.comment);
        assert!(one.script().contains(one.comment.as_deref().unwrap()));
    }
}
