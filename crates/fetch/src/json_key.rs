//! One key of a JSON object, taken out as the controller takes it, so that a host fetches what an apply delivers. It keeps no
//! copy of what it passes over.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// Why there is no such value. No text here has any of it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoValue {
    #[error("key {0:?} is asked for, and the value is no JSON object")]
    NotJson(String),
    #[error("the JSON object in it has no key {0:?}")]
    NoKey(String),
    #[error("key {0:?} of the JSON object in it is null")]
    Null(String),
}

/// The value of a key: of a text its content, of anything else its JSON.
pub(crate) fn value_of(key: &str, document: &[u8]) -> Result<Zeroizing<Vec<u8>>, NoValue> {
    let not_json = || NoValue::NotJson(key.to_owned());
    let text = std::str::from_utf8(document).map_err(|_| not_json())?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let found = Key(key).deserialize(&mut reader).map_err(|_| not_json())?;
    reader.end().map_err(|_| not_json())?;
    let raw = found.ok_or_else(|| NoValue::NoKey(key.to_owned()))?;
    match raw.get() {
        "null" => Err(NoValue::Null(key.to_owned())),
        text if text.starts_with('"') => {
            let text: String = serde_json::from_str(text).map_err(|_| not_json())?;
            Ok(Zeroizing::new(text.into_bytes()))
        }
        json => Ok(Zeroizing::new(json.as_bytes().to_vec())),
    }
}

struct Key<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<String>()? {
            if name == self.0 {
                // Of a key that is there twice the last one counts, as for every reader of JSON.
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(key: &str, json: &str) -> Result<String, NoValue> {
        value_of(key, json.as_bytes()).map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    #[test]
    fn a_key_is_its_text_or_its_json() {
        let json = r#" {"a": "x\n\u00e9\"", "n": 5432, "o": {"b": [1, null]}, "t": true, "": "empty name", "a2": "1", "a2": "2"} "#;
        for (key, value) in [
            ("a", "x\né\""),
            ("n", "5432"),
            ("o", r#"{"b": [1, null]}"#),
            ("t", "true"),
            ("", "empty name"),
            ("a2", "2"),
        ] {
            assert_eq!(of(key, json).unwrap(), value, "{key}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused_without_showing_anything() {
        assert_eq!(
            of("tokem", r#"{"token": "canary"}"#),
            Err(NoValue::NoKey("tokem".to_owned()))
        );
        assert_eq!(of("a", r#"{"a": null}"#), Err(NoValue::Null("a".to_owned())));
        for json in [
            "canary",
            "\"canary\"",
            "[1]",
            "{\"a\": \"canary\"",
            "{\"a\": 1} canary",
            "",
            "{\"a\": \"\\ud800\"}",
        ] {
            let problem = of("a", json).unwrap_err();
            assert_eq!(problem, NoValue::NotJson("a".to_owned()), "{json}");
            assert!(!format!("{problem:?} {problem}").contains("canary"));
        }
    }
}
