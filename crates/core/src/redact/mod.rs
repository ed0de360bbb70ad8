//! The second net under secrets: known values are masked in any text, in the encodings in which they leak.
//! It is no reason to let one near a text; the first net is that `SecretValue` cannot be shown at all.

mod encodings;
mod stream;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use self::stream::RedactedStream;

/// The shortest value, in bytes, that is masked: "a" or "8080" occurs in every text, and masking it would make texts unreadable and
/// tell the value by where the masks are.
pub const SHORTEST: usize = 6;

/// The shortest beginning of a value that is masked where a text ends in it: one that was cut off, as long texts in errors are.
const SHORTEST_BEGINNING: usize = 12;

/// How many bytes choose the patterns that can begin at a place.
const PREFIX: usize = 4;

/// The shortest part of a text with secrets in it that is taken for one of them, in bytes.
const SHORTEST_WORD: usize = 16;

/// The longer words of a text that was made of secrets: it is seldom printed whole, and each of them by itself.
pub fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"\"'=,;:{}[]()".contains(byte);
    text.split(ends).filter(|word| word.len() >= SHORTEST_WORD)
}

/// What knows the values that are in use. They are overwritten when it is dropped.
pub struct Redactor {
    names: Vec<String>,
    patterns: Vec<Pattern>,
    /// The patterns by their first bytes, longest first.
    by_prefix: BTreeMap<[u8; PREFIX], Vec<usize>>,
    /// Which pairs of bytes begin a pattern: most places of a text need no more than this to be passed over.
    begins: Vec<bool>,
    longest: usize,
    unmasked: Vec<String>,
}

struct Pattern {
    bytes: Vec<u8>,
    /// The shortest beginning of it that tells anything.
    telling: usize,
    /// Index into `names`.
    name: usize,
}

impl Redactor {
    /// Masks these values, each as `[secret NAME]`.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut redactor = Self {
            names: Vec::new(),
            patterns: Vec::new(),
            by_prefix: BTreeMap::new(),
            begins: vec![false; 1 << 16],
            longest: 0,
            unmasked: Vec::new(),
        };
        let mut known = BTreeSet::new();
        for (name, value) in secrets {
            if value.trim_ascii().len() < SHORTEST {
                redactor.unmasked.push(name.to_owned());
                continue;
            }
            redactor.names.push(name.to_owned());
            for bytes in encodings::of(value) {
                if bytes.len() >= SHORTEST && known.insert(bytes.clone()) {
                    redactor.add(bytes);
                }
            }
        }
        // The set held copies.
        for bytes in known {
            wipe(bytes);
        }
        let patterns = &redactor.patterns;
        for places in redactor.by_prefix.values_mut() {
            places
                .sort_by_key(|place| std::cmp::Reverse(patterns.get(*place).map_or(0, |pattern| pattern.bytes.len())));
        }
        redactor
    }

    fn add(&mut self, bytes: Vec<u8>) {
        let Some(prefix) = bytes.first_chunk::<PREFIX>() else {
            return;
        };
        if let Some(begins) = self.begins.get_mut(pair(prefix[0], prefix[1])) {
            *begins = true;
        }
        self.by_prefix.entry(*prefix).or_default().push(self.patterns.len());
        self.longest = self.longest.max(bytes.len());
        let name = self.names.len().saturating_sub(1);
        let telling = frame(&bytes) + SHORTEST_BEGINNING;
        self.patterns.push(Pattern { bytes, telling, name });
    }

    /// The names of the secrets that are too short to be masked.
    #[must_use]
    pub fn unmasked(&self) -> &[String] {
        &self.unmasked
    }

    /// The bytes without any value. A value that is cut off at the end is masked as well, unless that leaves next to nothing of it.
    #[must_use]
    pub fn bytes<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        if self.patterns.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let mut stream = self.stream();
        let mut out = stream.push(bytes);
        out.extend(stream.finish());
        if out == bytes {
            Cow::Borrowed(bytes)
        } else {
            Cow::Owned(out)
        }
    }

    /// The text without any value.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // A value that is no text can end within a character; what is left of that is no character.
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// The same for bytes that come in pieces, wherever these are cut.
    #[must_use]
    pub fn stream(&self) -> RedactedStream<'_> {
        RedactedStream::new(self)
    }

    /// The longest pattern that is at the beginning of `rest`: its length and its secret's name.
    fn at(&self, rest: &[u8]) -> Option<(usize, &str)> {
        let found = self
            .candidates(rest)?
            .find(|pattern| rest.starts_with(&pattern.bytes))?;
        Some((found.bytes.len(), self.names.get(found.name)?))
    }

    /// A pattern of which `rest` is a beginning and not the whole.
    fn begun(&self, rest: &[u8]) -> Option<&Pattern> {
        if rest.len() >= self.longest || rest.is_empty() {
            return None;
        }
        let begun = |pattern: &&Pattern| pattern.bytes.len() > rest.len() && pattern.bytes.starts_with(rest);
        if rest.len() >= PREFIX {
            self.candidates(rest)?.find(begun)
        } else {
            let mut from = [0; PREFIX];
            for (to, byte) in from.iter_mut().zip(rest) {
                *to = *byte;
            }
            let (_, places) = self.by_prefix.range(from..).next()?;
            let mut each = places.iter().filter_map(|place| self.patterns.get(*place));
            each.find(begun)
        }
    }

    /// The secret whose value is cut off in `rest`, if that tells anything of it.
    fn cut_off(&self, rest: &[u8]) -> Option<&str> {
        let pattern = self.begun(rest).filter(|pattern| rest.len() >= pattern.telling)?;
        self.names.get(pattern.name).map(String::as_str)
    }

    fn candidates(&self, rest: &[u8]) -> Option<impl Iterator<Item = &Pattern>> {
        let prefix = rest.first_chunk::<PREFIX>()?;
        if !self
            .begins
            .get(pair(prefix[0], prefix[1]))
            .is_some_and(|begins| *begins)
        {
            return None;
        }
        let places = self.by_prefix.get(prefix)?;
        Some(places.iter().filter_map(|place| self.patterns.get(*place)))
    }
}

/// How long the first line of a PEM file is, where these bytes begin with one: it is the same in every such file.
fn frame(bytes: &[u8]) -> usize {
    const DASHES: &[u8] = b"-----";
    if !bytes.starts_with(b"-----BEGIN ") {
        return 0;
    }
    let rest = bytes.get(DASHES.len()..).unwrap_or_default();
    let end = rest.windows(DASHES.len()).position(|window| window == DASHES);
    end.map_or(0, |end| end + 2 * DASHES.len())
}

fn pair(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

/// Overwrites bytes that are no longer needed, as well as that can be without unsafe code.
fn wipe(mut bytes: Vec<u8>) {
    bytes.fill(0);
    std::hint::black_box(&bytes);
}

impl Drop for Redactor {
    fn drop(&mut self) {
        for pattern in self.patterns.drain(..) {
            wipe(pattern.bytes);
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}
