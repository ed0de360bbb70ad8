//! A secret's value on its way to a host. It is in no plan and in no record: it travels beside a plan, and is wiped from
//! memory when nobody holds it any more.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::{Zeroize as _, Zeroizing};

/// The bytes of a secret. It has no `Display`, and its `Debug` tells nothing, not even how long it is.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretBytes(Arc<Zeroizing<Vec<u8>>>);

impl SecretBytes {
    /// Takes a value. Where it was copied from is the caller's to wipe.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// The value, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(…)")
    }
}

/// For the encrypted channel alone: base64, in JSON.
impl Serialize for SecretBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = Zeroizing::new(STANDARD.encode(self.expose()));
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for SecretBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut text = String::deserialize(deserializer)?;
        let decoded = STANDARD.decode(&text);
        text.zeroize();
        // What is wrong with it must not quote it.
        decoded
            .map(Self::new)
            .map_err(|_| serde::de::Error::custom("a secret's value is not base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_survives_the_way_and_no_error_or_debug_text_has_it() {
        let value = SecretBytes::new(b"canary\n\x00\xff".to_vec());
        let json = serde_json::to_string(&value).unwrap();
        assert_eq!(serde_json::from_str::<SecretBytes>(&json).unwrap(), value);
        assert_eq!(format!("{value:?}"), "SecretBytes(…)");
        let error = serde_json::from_str::<SecretBytes>("\"canary!\"").unwrap_err();
        assert!(!format!("{error:?} {error}").contains("canary"), "{error}");
    }
}
