//! Masking in bytes that come in pieces. It holds back no more than what may be the beginning of a value.

use std::fmt;

use super::{Redactor, SHORTEST_BEGINNING};

/// Bytes that pass, without the values.
pub struct RedactedStream<'r> {
    redactor: &'r Redactor,
    /// What came and may be the beginning of a value.
    held: Vec<u8>,
    /// How many bytes of it lie in a value whose mask is out already.
    masked: usize,
}

impl<'r> RedactedStream<'r> {
    pub(super) const fn new(redactor: &'r Redactor) -> Self {
        Self {
            redactor,
            held: Vec::new(),
            masked: 0,
        }
    }

    /// Takes the next piece and gives what can go on.
    #[must_use]
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        let longest = self.redactor.longest;
        let from = (self.held.len() + 1).saturating_sub(longest.max(1));
        let begun = |at: &usize| {
            self.held
                .get(*at..)
                .is_some_and(|rest| self.redactor.begun(rest).is_some())
        };
        let end = (from..self.held.len()).find(begun).unwrap_or(self.held.len());
        self.pass(end)
    }

    /// Gives the rest, at the end of all pieces.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let from = self.held.len().saturating_sub(self.redactor.longest);
        let last = self.held.len().saturating_sub(SHORTEST_BEGINNING - 1);
        let cut = (from..last).find_map(|at| {
            let rest = self.held.get(at..)?;
            Some((at, self.redactor.cut_off(rest)?))
        });
        match cut {
            None => self.pass(self.held.len()),
            Some((at, name)) => {
                let mut out = self.pass(at);
                if self.masked == 0 {
                    out.extend(mask(name));
                }
                out
            }
        }
    }

    /// How many bytes are held back.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// Lets everything before `end` go, masked where a value begins before it.
    fn pass(&mut self, end: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(end);
        let mut masked = self.masked;
        for at in 0..end {
            let rest = self.held.get(at..).unwrap_or_default();
            if let Some((length, name)) = self.redactor.at(rest) {
                // Values that overlap have one mask together: between two, something of both would be left.
                if at >= masked {
                    out.extend(mask(name));
                }
                masked = masked.max(at + length);
            }
            if at >= masked {
                out.extend(rest.first());
            }
        }
        self.masked = masked.saturating_sub(end);
        self.held.drain(..end);
        out
    }
}

fn mask(name: &str) -> Vec<u8> {
    format!("[secret {name}]").into_bytes()
}

impl fmt::Debug for RedactedStream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedactedStream")
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}

impl Drop for RedactedStream<'_> {
    fn drop(&mut self) {
        super::wipe(std::mem::take(&mut self.held));
    }
}
