//! Health checks: a gate after an apply, and a finding in drift. They change nothing.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AbsPath, HostText, Millis, UnitName};

/// A health check. It passes after `threshold` successes in a row, tried every `interval`, before `timeout` is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeSpec {
    /// The name it has in the configuration.
    pub name: String,
    /// What is checked, from the host itself.
    pub check: Check,
    /// How long the gate waits in all.
    pub timeout: Millis,
    /// The pause between two tries.
    pub interval: Millis,
    /// How many successes in a row it takes, at least 1.
    pub threshold: u32,
}

/// What a probe checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Check {
    /// A plain HTTP GET answers with this status, and with this text in its body.
    Http {
        /// An `http://` URL.
        url: String,
        /// The expected status code.
        status: u16,
        /// Text that the first 64 KiB of the body must contain.
        body: Option<String>,
    },
    /// A TCP connection is accepted.
    Tcp {
        /// `host:port`.
        address: String,
    },
    /// A unit is active.
    Unit {
        /// The unit.
        unit: UnitName,
    },
    /// None of these names stands anywhere here, whoever wrote it there. What stands beside a name is told to nobody.
    NoNames {
        /// The names.
        names: BTreeSet<String>,
        /// Files to look into.
        files: BTreeSet<AbsPath>,
        /// Units to look into: their texts and drop-ins, the files of variables that those name, and the variables of their processes.
        units: BTreeSet<UnitName>,
    },
}

/// Whether a name stands in a text, and not as a part of a longer one.
#[must_use]
pub fn has_name(text: &[u8], name: &str) -> bool {
    let name = name.as_bytes();
    let Some(first) = name.first() else { return false };
    let goes_on = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let starts = text.iter().enumerate().filter(|(_, byte)| *byte == first);
    starts.map(|(at, _)| at).any(|at| {
        text.get(at..).is_some_and(|rest| rest.starts_with(name))
            && !goes_on(at.checked_sub(1).and_then(|before| text.get(before)))
            && !goes_on(text.get(at + name.len()))
    })
}

/// What one try of a probe found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeState {
    /// Whether it passed.
    pub passing: bool,
    /// What was seen, such as "200" or "connection refused".
    pub detail: HostText,
}

#[cfg(test)]
mod tests {
    use super::has_name;

    #[test]
    fn only_the_whole_name_counts() {
        for (text, is_in) in [
            ("OPENAI_API_KEY=x", true),
            ("export OPENAI_API_KEY", true),
            ("\"OPENAI_API_KEY\"", true),
            ("MY_OPENAI_API_KEY=x", false),
            ("MY_OPENAI_API_KEY=x OPENAI_API_KEY=y", true),
            ("OPENAI_API_KEYS", false),
            ("OPENAI_API", false),
            ("", false),
        ] {
            assert_eq!(has_name(text.as_bytes(), "OPENAI_API_KEY"), is_in, "{text}");
        }
        assert!(!has_name(b"anything", ""));
    }
}
