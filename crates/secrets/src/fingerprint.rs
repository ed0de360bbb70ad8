//! The version of a value whose store numbers nothing: enough of a slow hash to see that it changed. It keeps no value.

use std::fmt::Write as _;

use scrypt::{Params, scrypt};

use crate::item::{Item, Version};

/// scrypt's cost, as a power of two: with blocks of 1 KiB it takes 32 MiB and about a tenth of a second for each guess.
const LOG_N: u8 = 15;
/// scrypt's block size, as RFC 7914 recommends it.
const R: u32 = 8;
/// scrypt's parallelism, as RFC 7914 recommends it.
const P: u32 = 1;

/// How much of the hash is shown, in bytes. A version is planned, logged and committed, so it must not give the value away. The whole hash would
/// prove a guess right, however slow it is; of a value with as many possibilities as a key has, 32 bits fit billions of billions.
/// They still tell an old value from a new one in all but one of four billion changes.
const SHOWN: usize = 4;

/// The version of a value of an item. The item is the salt: equal values in two places have versions that differ.
pub(crate) fn fingerprint(item: &Item, value: &[u8]) -> Version {
    let mut hash = [0; 32];
    // The parameters are constants that scrypt takes, and so is the length; were one not, every version would be unlike any other's.
    let done =
        Params::new(LOG_N, R, P, hash.len()).is_ok_and(|params| scrypt(value, &salt(item), &params, &mut hash).is_ok());
    debug_assert!(done, "scrypt takes these parameters");
    let mut name = "~".to_owned();
    for byte in hash.iter().take(SHOWN) {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    Version::new(name)
}

/// The item as bytes that no other item has.
fn salt(item: &Item) -> Vec<u8> {
    // `Debug` quotes and escapes every text, so that no two items look alike.
    format!("provision secret version 1 {item:?}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Source;

    #[test]
    fn it_tells_values_and_places_apart_and_shows_little() {
        let item = |variable: &str, key: Option<&str>| Item {
            source: Source::Environment {
                variable: variable.to_owned(),
            },
            key: key.map(str::to_owned),
        };
        let one = fingerprint(&item("A", None), b"hunter2");
        assert_eq!(one, fingerprint(&item("A", None), b"hunter2"));
        assert_eq!(one.as_str().len(), 9);
        for (other, value) in [
            (item("A", None), &b"hunter3"[..]),
            (item("B", None), b"hunter2"),
            (item("A", Some("k")), b"hunter2"),
        ] {
            assert_ne!(one, fingerprint(&other, value), "{other:?}");
        }
    }
}
