//! What a command wrote to stderr: the beginning and the end, in bounded memory.
//! It is a host's text: it prints only escaped.

use std::{collections::VecDeque, fmt};

use crate::untrusted::escape;

/// Half of the 64 KiB kept: the first half says what began to go wrong, the second how it ended.
const HALF: usize = 32 << 10;

/// The first and last 32 KiB of a command's stderr.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Stderr {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    dropped: u64,
}

impl Stderr {
    /// Takes what comes next.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(HALF - self.head.len()));
        self.head.extend_from_slice(head);
        // Of a long piece only the end can stay.
        let skipped = rest.len().saturating_sub(HALF);
        let rest = rest.get(skipped..).unwrap_or_default();
        let excess = (self.tail.len() + rest.len()).saturating_sub(HALF);
        self.tail.drain(..excess);
        self.tail.extend(rest);
        self.dropped = self.dropped.saturating_add((skipped + excess) as u64);
    }

    /// True if the command wrote nothing to stderr.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    /// Bytes between the kept beginning and the kept end.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The kept bytes as the host sent them, without a mark where some are missing.
    pub fn bytes(&self) -> Vec<u8> {
        self.head.iter().chain(&self.tail).copied().collect()
    }

    /// The text for a terminal: line ends stay, every other control character is escaped.
    pub fn escaped(&self) -> String {
        let lines = |bytes: &[u8]| {
            let lines: Vec<String> = bytes.split(|b| *b == b'\n').map(escape).collect();
            lines.join("\n")
        };
        if self.dropped == 0 {
            return lines(&self.bytes());
        }
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        format!(
            "{}\n… {} bytes left out …\n{}",
            lines(&self.head),
            self.dropped,
            lines(&tail)
        )
    }
}

impl fmt::Debug for Stderr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stderr({:?})", self.escaped())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_tail_stay_whatever_the_pieces() {
        let all: Vec<u8> = (0..200_000_u32).map(|n| b'a' + (n % 23) as u8).collect();
        for piece in [1, 1000, 32 << 10, 100_000, 200_000] {
            let mut stderr = Stderr::default();
            all.chunks(piece).for_each(|piece| stderr.push(piece));
            let mut expected = all[..HALF].to_vec();
            expected.extend_from_slice(&all[all.len() - HALF..]);
            assert!(stderr.bytes() == expected, "pieces of {piece}");
            assert_eq!(stderr.dropped() as usize, all.len() - 2 * HALF, "pieces of {piece}");
        }
    }

    #[test]
    fn short_text_is_whole_and_harmless() {
        let mut stderr = Stderr::default();
        stderr.push(b"line 1\n\x1b[31mred");
        assert_eq!(stderr.escaped(), "line 1\n\\u{1b}[31mred");
    }
}
