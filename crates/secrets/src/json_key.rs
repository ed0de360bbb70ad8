//! One key of a JSON object, taken out without building the rest. It keeps no copy of what it passes over.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroize as _;

use crate::document::nearest;
use crate::error::Problem;
use crate::value::SecretValue;

/// The value of a key: of a text its content, of anything else its JSON.
pub(crate) fn value_of(key: &str, document: &SecretValue) -> Result<SecretValue, Problem> {
    let not_json = || Problem::NotJson { key: key.to_owned() };
    let text = std::str::from_utf8(document.expose()).map_err(|_| not_json())?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let found = Key(key).deserialize(&mut reader).map_err(|_| not_json())?;
    reader.end().map_err(|_| not_json())?;
    let raw = found.value.ok_or_else(|| Problem::NoKey {
        key: key.to_owned(),
        near: nearest(key, found.names.iter().map(String::as_str)).map(str::to_owned),
    })?;
    match raw.get() {
        "null" => Err(Problem::NullKey { key: key.to_owned() }),
        text if text.starts_with('"') => {
            let text: String = serde_json::from_str(text).map_err(|_| not_json())?;
            Ok(SecretValue::new(text.into_bytes()))
        }
        json => Ok(SecretValue::new(json.as_bytes().to_vec())),
    }
}

struct Found<'a> {
    value: Option<&'a RawValue>,
    /// The names of the keys; they are no secret.
    names: Vec<String>,
}

struct Key<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Found<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found<'de>, A::Error> {
        let mut found = Found {
            value: None,
            names: Vec::new(),
        };
        while let Some(mut name) = map.next_key::<String>()? {
            if name == self.0 {
                // Of a key that is there twice the last one counts, as for every reader of JSON.
                found.value = Some(map.next_value()?);
                name.zeroize();
            } else {
                map.next_value::<IgnoredAny>()?;
                found.names.push(name);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(key: &str, json: &str) -> Result<String, Problem> {
        let value = value_of(key, &SecretValue::new(json.as_bytes().to_vec()))?;
        Ok(String::from_utf8(value.expose().to_vec()).unwrap())
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
        let problem = of("tokem", r#"{"token": "canary"}"#).unwrap_err();
        assert!(matches!(&problem, Problem::NoKey { near: Some(near), .. } if near == "token"));
        assert!(!format!("{problem:?} {problem}").contains("canary"));
        assert!(matches!(of("a", r#"{"a": null}"#), Err(Problem::NullKey { .. })));
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
            assert!(matches!(problem, Problem::NotJson { .. }), "{json}: {problem:?}");
            assert!(!format!("{problem:?} {problem}").contains("canary"));
        }
    }
}
