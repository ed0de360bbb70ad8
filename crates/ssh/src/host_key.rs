//! Whether the key a host presents is the one expected. There is no trust on first use.
//! It does not read files: `known_hosts` does.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use russh::keys::{Algorithm, HashAlg, PublicKey};

use crate::{
    algorithms,
    known_hosts::{Place, Records},
};

/// RSA keys below this are within reach of a well-funded attacker. ssh-keygen has made no smaller
/// ones by default since 2006.
const MIN_RSA_BITS: usize = 2048;

/// A key that was expected, and where that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedKey {
    /// The key type, such as `ssh-ed25519`.
    pub algorithm: String,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// The known_hosts line; `None` for a pin of the target.
    pub place: Option<Place>,
}

impl fmt::Display for ExpectedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, self.fingerprint)?;
        match &self.place {
            Some(place) => write!(f, " ({place})"),
            None => f.write_str(" (pinned for this host)"),
        }
    }
}

/// The key a host presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedKey {
    /// The key type, such as `ssh-ed25519`.
    pub algorithm: String,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// `ssh-ed25519 AAAA…`: what to pin, once it is known to be right.
    pub public_key: String,
}

/// What to expect of a host.
#[derive(Debug)]
pub(crate) struct Trust {
    expected: Vec<(Vec<u8>, ExpectedKey)>,
    /// Keys recorded for another port of the host. They will do if nothing is expected, and another
    /// key is no change: it may well be another server.
    tolerated: Vec<Vec<u8>>,
    revoked: Vec<(Vec<u8>, Place)>,
}

/// Why a key is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Unknown(OfferedKey),
    Changed {
        expected: Vec<ExpectedKey>,
        offered: OfferedKey,
    },
    Revoked {
        offered: OfferedKey,
        place: Place,
    },
    Weak {
        offered: OfferedKey,
        bits: usize,
    },
}

impl Trust {
    /// Pins, if there are any, otherwise the recorded keys. The error is the pin that is not a key.
    pub(crate) fn new(pins: &[String], records: Records) -> Result<Self, String> {
        let revoked = records
            .revoked
            .into_iter()
            .map(|entry| (entry.blob, entry.place))
            .collect();
        let mut tolerated = Vec::new();
        let expected = if pins.is_empty() {
            tolerated.extend(records.without_port.into_iter().map(|entry| entry.blob));
            let keys = records.keys.into_iter();
            keys.map(|entry| {
                let expected = ExpectedKey {
                    algorithm: entry.kind,
                    fingerprint: fingerprint(&entry.blob),
                    place: Some(entry.place),
                };
                (entry.blob, expected)
            })
            .collect()
        } else {
            pins.iter()
                .map(|pin| pinned(pin).ok_or_else(|| pin.clone()))
                .collect::<Result<_, _>>()?
        };
        Ok(Self {
            expected,
            tolerated,
            revoked,
        })
    }

    /// The algorithms to offer. Those of expected keys come first, so that a host which has an
    /// expected key uses it. If it has none, we want to see what it has instead: the refusal shows
    /// that key's fingerprint. `check` alone decides; no algorithm offered here weakens it.
    pub(crate) fn algorithms(&self) -> Vec<Algorithm> {
        let expected = |algorithm: &Algorithm| {
            let kind = key_kind(algorithm);
            self.expected.iter().any(|(_, key)| key.algorithm == kind)
        };
        let (mut first, rest): (Vec<_>, Vec<_>) = algorithms::HOST_KEYS.iter().cloned().partition(expected);
        first.extend(rest);
        first
    }

    /// Checks a presented key by its data alone: comments do not count.
    pub(crate) fn check(&self, key: &PublicKey) -> Result<(), Refusal> {
        let blob = key.to_bytes().unwrap_or_default();
        let offered = || OfferedKey {
            algorithm: key.algorithm().to_string(),
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
            public_key: format!("{} {}", key.algorithm(), STANDARD.encode(&blob)),
        };
        if let Some((_, place)) = self.revoked.iter().find(|(revoked, _)| *revoked == blob) {
            return Err(Refusal::Revoked {
                offered: offered(),
                place: place.clone(),
            });
        }
        if let Some(bits) = rsa_bits(key).filter(|bits| *bits < MIN_RSA_BITS) {
            return Err(Refusal::Weak {
                offered: offered(),
                bits,
            });
        }
        if self.expected.is_empty() {
            return if self.tolerated.contains(&blob) {
                Ok(())
            } else {
                Err(Refusal::Unknown(offered()))
            };
        }
        // An empty blob is a key that cannot be encoded; nothing recorded is empty.
        if self.expected.iter().any(|(expected, _)| *expected == blob) {
            return Ok(());
        }
        let expected = self.expected.iter().map(|(_, expected)| expected.clone()).collect();
        Err(Refusal::Changed {
            expected,
            offered: offered(),
        })
    }
}

/// The modulus's size, if it is an RSA key.
fn rsa_bits(key: &PublicKey) -> Option<usize> {
    let modulus = key.key_data().rsa()?.n().as_positive_bytes()?;
    let leading = modulus.first()?.leading_zeros() as usize;
    Some(modulus.len() * 8 - leading)
}

/// The key type that an algorithm uses: RSA has one type and several algorithms.
fn key_kind(algorithm: &Algorithm) -> String {
    match algorithm {
        Algorithm::Rsa { .. } => "ssh-rsa".to_owned(),
        other => other.to_string(),
    }
}

/// Parses a pin.
fn pinned(line: &str) -> Option<(Vec<u8>, ExpectedKey)> {
    let key = PublicKey::from_openssh(line.trim()).ok()?;
    let blob = key.to_bytes().ok()?;
    let expected = ExpectedKey {
        algorithm: key.algorithm().to_string(),
        fingerprint: fingerprint(&blob),
        place: None,
    };
    Some((blob, expected))
}

/// `SHA256:…` of a wire-encoded key, as ssh-keygen prints it.
fn fingerprint(blob: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, blob);
    format!("SHA256:{}", STANDARD.encode(digest).trim_end_matches('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::known_hosts::Entry;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPK+wDbYt5TTpmG0Hb6oBPb0HtSVaPJ9bOXW8XrTWBCV";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH5jDlrZg9gq8pWzOaYkT6mfmIRnhIyyfzDRlwXqZ5xj";

    fn key(line: &str) -> PublicKey {
        PublicKey::from_openssh(line).unwrap()
    }

    fn entry(kind: &str, blob: Vec<u8>) -> Entry {
        Entry {
            kind: kind.to_owned(),
            blob,
            place: Place {
                path: "known_hosts".into(),
                line: 7,
            },
        }
    }

    #[test]
    fn a_comment_does_not_change_a_key() {
        let trust = Trust::new(&[format!("{KEY} root@web")], Records::default()).unwrap();
        assert_eq!(trust.check(&key(&format!("{KEY} other comment"))), Ok(()));
    }

    #[test]
    fn pins_silence_known_hosts_but_not_its_revocations() {
        let blob = key(KEY).to_bytes().unwrap();
        let records = || Records {
            keys: vec![entry("ssh-ed25519", blob.clone())],
            ..Records::default()
        };
        let trust = Trust::new(&[OTHER.to_owned()], records()).unwrap();
        assert!(matches!(trust.check(&key(KEY)), Err(Refusal::Changed { .. })));
        let records = Records {
            revoked: vec![entry("ssh-ed25519", blob)],
            ..Records::default()
        };
        let trust = Trust::new(&[KEY.to_owned()], records).unwrap();
        assert!(matches!(trust.check(&key(KEY)), Err(Refusal::Revoked { .. })));
    }

    #[test]
    fn another_algorithm_is_changed_and_not_unknown() {
        let records = Records {
            keys: vec![entry("ssh-rsa", vec![1])],
            ..Records::default()
        };
        let trust = Trust::new(&[], records).unwrap();
        assert!(matches!(trust.check(&key(KEY)), Err(Refusal::Changed { .. })));
        let first = trust.algorithms();
        assert_eq!(
            first[0],
            Algorithm::Rsa {
                hash: Some(HashAlg::Sha512)
            }
        );
        assert_eq!(first.len(), algorithms::HOST_KEYS.len());
    }

    #[test]
    fn fingerprints_are_those_of_ssh_keygen() {
        let blob = key(KEY).to_bytes().unwrap();
        assert_eq!(fingerprint(&blob), key(KEY).fingerprint(HashAlg::Sha256).to_string());
    }

    #[test]
    fn a_pin_that_is_no_key_is_an_error() {
        assert_eq!(
            Trust::new(&["SHA256:abc".to_owned()], Records::default()).unwrap_err(),
            "SHA256:abc"
        );
    }
}
