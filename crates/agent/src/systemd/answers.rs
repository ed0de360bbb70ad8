//! The properties of several units, as systemctl prints them. It asks nobody.

use std::collections::BTreeMap;

use provision_core::model::HostText;

use super::SystemdError;

/// What systemctl says of several units.
#[derive(Debug, Default)]
pub(super) struct Answers {
    blocks: Vec<Block>,
}

/// What it says of one: values by property.
#[derive(Debug, Default)]
pub(super) struct Block {
    values: BTreeMap<String, String>,
}

impl Block {
    pub(super) fn get(&self, property: &str) -> &str {
        self.values.get(property).map_or("", String::as_str)
    }

    pub(super) fn text(&self, property: &str) -> HostText {
        HostText::new(self.get(property))
    }

    fn is_of(&self, unit: &str) -> bool {
        self.get("Id") == unit || self.get("Names").split_whitespace().any(|name| unquoted(name) == unit)
    }
}

impl Answers {
    /// An empty line ends a unit's properties, which come in an order of systemd's own: a service's `MainPID` is before
    /// its `Id`. Lines that are no property are messages.
    pub(super) fn parse(answer: &str) -> Self {
        let blocks = answer.split("\n\n").map(|block| Block {
            values: block
                .lines()
                .filter_map(|line| line.split_once('='))
                .map(|(property, value)| (property.to_owned(), value.to_owned()))
                .collect(),
        });
        Self {
            blocks: blocks.collect(),
        }
    }

    pub(super) fn of(&self, unit: &str) -> Result<&Block, SystemdError> {
        let silent = || SystemdError::Silent { unit: unit.to_owned() };
        self.blocks.iter().find(|block| block.is_of(unit)).ok_or_else(silent)
    }
}

/// In a list, systemctl quotes a name that a shell would not take as it is, such as one with `\x2d` in it.
fn unquoted(name: &str) -> String {
    let bare = name
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .or_else(|| name.strip_prefix("$'").and_then(|rest| rest.strip_suffix('\'')));
    bare.map_or_else(|| name.to_owned(), |bare| bare.replace(r"\\", r"\"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_found_by_id_by_alias_and_through_quotes() {
        let answers = Answers::parse(
            "Warning: something about a unit\n\
             Id=ssh.service\nNames=sshd.service ssh.service\nLoadState=loaded\nActiveState=active\n\n\
             Id=getty@tty1.service\nNames=getty@tty1.service\nLoadState=loaded\nActiveState=inactive\n\n\
             Id=no.service\nNames=no.service\nLoadState=not-found\nActiveState=inactive\n\n\
             Id=a\\x2db.mount\nNames=\"odd\\\\x2dname.mount\" a\\x2db.mount\nActiveState=failed\n",
        );
        for (unit, property, value) in [
            ("sshd.service", "ActiveState", "active"),
            ("ssh.service", "Id", "ssh.service"),
            ("getty@tty1.service", "ActiveState", "inactive"),
            ("no.service", "LoadState", "not-found"),
            (r"a\x2db.mount", "ActiveState", "failed"),
            (r"odd\x2dname.mount", "ActiveState", "failed"),
        ] {
            assert_eq!(answers.of(unit).unwrap().get(property), value, "{unit}");
        }
        assert!(matches!(answers.of("other.service"), Err(SystemdError::Silent { unit }) if unit == "other.service"));
    }
}
