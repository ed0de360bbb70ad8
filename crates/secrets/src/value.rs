//! The bytes of a secret. It has no `Display`, no `Serialize`, no `Clone`, and its memory is wiped when it is dropped.

use std::fmt;
use std::io::{self, Read};

use zeroize::Zeroizing;

/// The largest value, in bytes: what Secrets Manager takes. The other stores take no more, so that every secret can move to any of them.
pub const MAX_VALUE_BYTES: usize = 65_536;

/// The bytes of one secret, wiped when dropped.
pub struct SecretValue(Zeroizing<Vec<u8>>);

impl SecretValue {
    /// Takes bytes over. What they were copied from before is the caller's to wipe.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads to the end, at most one byte more than [`MAX_VALUE_BYTES`], so that what is too large is seen to be.
    /// The memory is allocated once: growing would leave copies behind that nobody can wipe.
    ///
    /// # Errors
    /// What the reader says.
    pub fn read(reader: impl Read) -> io::Result<Self> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_VALUE_BYTES + 1 + READ_AHEAD));
        reader.take(MAX_VALUE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The bytes themselves. They belong into memory, an encrypted channel or a store, and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `read_to_end` looks for the end behind what it has read, and would grow a buffer that is exactly full.
const READ_AHEAD: usize = 64;

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_it_shows_and_reading_is_bounded() {
        let value = SecretValue::read(&b"hunter2"[..]).unwrap();
        assert_eq!(format!("{value:?} {value:#?}"), "SecretValue(..) SecretValue(..)");
        assert_eq!(value.expose(), b"hunter2");
        let large = SecretValue::read(io::repeat(b'x')).unwrap();
        assert_eq!(large.len(), MAX_VALUE_BYTES + 1);
        let exact = SecretValue::read(io::repeat(b'x').take(MAX_VALUE_BYTES as u64)).unwrap();
        assert_eq!(exact.len(), MAX_VALUE_BYTES);
        assert_eq!(exact.0.capacity(), MAX_VALUE_BYTES + 1 + READ_AHEAD, "it has grown");
    }
}
