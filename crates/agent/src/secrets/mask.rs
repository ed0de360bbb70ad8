//! The second net: values that are in this host's memory are masked in everything that is journaled or told. It is no reason
//! to let one near a text.

use std::fs;

use provision_core::model::AbsPath;
use provision_core::redact::{Redactor, words};
use serde::Serialize;
use serde_json::Value;

use super::memory::Memory;
use super::set::look;

/// What the mask is called for a value that has no name yet: it waits to be put in place.
const WAITING: &str = "that is being delivered";

/// Masks the secrets that were in memory when it was made. Its `Debug` tells none.
#[derive(Debug)]
pub(crate) struct Mask(Redactor);

impl Mask {
    /// `None` where there is nothing to mask, or nothing that can be read: then nothing of it can be told either.
    pub(crate) fn of_memory() -> Option<Self> {
        let mut values: Vec<(String, Vec<u8>)> = Vec::new();
        for memory in memories() {
            for (name, found) in look(&memory).unwrap_or_default() {
                if let Some(value) = found.value {
                    values.extend(words(value.expose()).map(|part| (name.clone(), part.to_vec())));
                    values.push((name, value.expose().to_vec()));
                }
            }
            for value in super::incoming::all(&memory) {
                values.extend(words(&value).map(|part| (WAITING.to_owned(), part.to_vec())));
                values.push((WAITING.to_owned(), value));
            }
        }
        let mask = (!values.is_empty()).then(|| {
            let named = values.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
            Self(Redactor::new(named))
        });
        for (_, mut value) in values {
            zeroize::Zeroize::zeroize(&mut value);
        }
        mask
    }

    /// Whether any of them is in these bytes.
    pub(crate) fn has(&self, bytes: &[u8]) -> bool {
        matches!(self.0.bytes(bytes), std::borrow::Cow::Owned(_))
    }

    /// A value with every text in it masked.
    ///
    /// # Errors
    /// It has no form in JSON.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<Value, serde_json::Error> {
        let mut value = serde_json::to_value(value)?;
        self.walk(&mut value);
        Ok(value)
    }

    fn walk(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let std::borrow::Cow::Owned(masked) = self.0.text(text) {
                    *text = masked;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.walk(item)),
            Value::Object(entries) => entries.values_mut().for_each(|entry| self.walk(entry)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// The memory that secrets lie in, wherever it is mounted.
fn memories() -> Vec<Memory> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let places = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4)?.strip_suffix(".d"));
    let memories = places.filter_map(|place| Memory::of(&AbsPath::new(place).ok()?).ok());
    memories.filter(|memory| memory.is_mounted().unwrap_or(false)).collect()
}
