//! What is asked of this program and what it answers. It holds values no longer than it takes to hand them over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// One value that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// The secret's name or ARN.
    pub(crate) id: String,
    /// The staging label; `None` is `AWSCURRENT`.
    pub(crate) stage: Option<String>,
    /// The region; `None` is that of the ARN, or else the instance's.
    pub(crate) region: Option<String>,
    /// One key of a secret that is a JSON object.
    pub(crate) key: Option<String>,
}

/// A value with the version that it is of.
pub(crate) struct Found {
    pub(crate) version: String,
    pub(crate) value: Zeroizing<Vec<u8>>,
}

/// The answers in the order of the questions; `None` is a secret that does not exist.
pub(crate) struct Answer(Vec<Option<Found>>);

#[derive(Serialize)]
struct Text<'a> {
    version: &'a str,
    /// In base64.
    value: &'a str,
}

impl Answer {
    pub(crate) const fn new(found: Vec<Option<Found>>) -> Self {
        Self(found)
    }

    /// A JSON list.
    pub(crate) fn text(&self) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
        let values: Vec<_> = self
            .0
            .iter()
            .map(|found| {
                found
                    .as_ref()
                    .map(|found| Zeroizing::new(STANDARD.encode(&found.value)))
            })
            .collect();
        let texts: Vec<_> = self
            .0
            .iter()
            .zip(&values)
            .map(|(found, value)| {
                let (found, value) = (found.as_ref()?, value.as_ref()?);
                Some(Text {
                    version: &found.version,
                    value,
                })
            })
            .collect();
        // Allocated once: growing would leave copies behind that nobody can wipe. A version is a UUID, and never has to be escaped
        // into more than six times its length.
        let room: usize = texts
            .iter()
            .flatten()
            .map(|text| text.version.len() * 6 + text.value.len() + 32)
            .sum();
        let mut text = Zeroizing::new(Vec::with_capacity(room + texts.len() * 5 + 2));
        serde_json::to_writer(&mut *text, &texts)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_in_order_and_written_in_one_piece() {
        let found = |version: &str, value: &[u8]| {
            Some(Found {
                version: version.to_owned(),
                value: Zeroizing::new(value.to_vec()),
            })
        };
        let answer = Answer::new(vec![found("v1", b"one\n\xff"), None, found("\u{1}", b"")]);
        let text = answer.text().unwrap();
        assert_eq!(
            String::from_utf8(text.to_vec()).unwrap(),
            r#"[{"version":"v1","value":"b25lCv8="},null,{"version":"\u0001","value":""}]"#
        );
    }

    #[test]
    fn a_list_with_something_unknown_in_it_is_refused() {
        assert!(
            serde_json::from_str::<Vec<Wanted>>(r#"[{"id": "a", "stage": null, "region": null, "key": null}]"#).is_ok()
        );
        assert!(serde_json::from_str::<Vec<Wanted>>(r#"[{"id": "a", "colour": "red"}]"#).is_err());
    }
}
