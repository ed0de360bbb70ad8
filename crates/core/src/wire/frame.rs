//! Frames: magic, version, kind, sequence number, length, payload, checksum. The decoder takes bytes in any pieces
//! and never allocates more than the limits allow; it knows nothing of what a message means.
//!
//! ```text
//! 4 bytes  magic "PRVN"
//! 1 byte   version, 1
//! 1 byte   kind: 1 part of a message, 2 last part of a message, 3 end of the stream
//! 4 bytes  sequence number, little endian, from 0 without gaps
//! 4 bytes  length of the payload, little endian, at most 1 MiB
//! n bytes  payload
//! 8 bytes  the first 8 bytes of SHA-256 over everything before
//! ```
//!
//! The channel under it (SSH) already authenticates bytes; the checksum finds noise that a login shell mixed in, and bugs.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::limits::{FRAME_BYTES, MESSAGE_BYTES, NOISE_BYTES};
use crate::model::Digest;

const MAGIC: [u8; 4] = *b"PRVN";
const VERSION: u8 = 1;
const HEADER: usize = 14;
const CHECKSUM: usize = 8;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// A part of a message; more follow.
    Part,
    /// The last part of a message.
    Last,
    /// Nothing more comes. A stream that closes without it was cut.
    End,
}

impl FrameKind {
    const fn byte(self) -> u8 {
        match self {
            Self::Part => 1,
            Self::Last => 2,
            Self::End => 3,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Part),
            2 => Some(Self::Last),
            3 => Some(Self::End),
            _ => None,
        }
    }
}

/// Why a stream of frames is not one. Nothing decoded before it may be taken for complete.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// More noise than a login shell is allowed.
    #[error("no frame within the first {NOISE_BYTES} bytes")]
    Noise,
    /// Bytes that are not a frame where one must begin.
    #[error("frame {frame}: no magic number")]
    Magic {
        /// The frame's number.
        frame: u32,
    },
    /// The other side speaks another version.
    #[error("frame {frame}: protocol version {found} where {VERSION} is spoken")]
    Version {
        /// The frame's number.
        frame: u32,
        /// Its version.
        found: u8,
    },
    /// A kind that does not exist.
    #[error("frame {frame}: kind {found} does not exist")]
    Kind {
        /// The frame's number.
        frame: u32,
        /// Its kind.
        found: u8,
    },
    /// A frame is missing, doubled or out of order.
    #[error("frame {frame}: it says it is number {found}")]
    Sequence {
        /// The expected number.
        frame: u32,
        /// The number found.
        found: u32,
    },
    /// Longer than allowed.
    #[error("frame {frame}: {length} bytes where {FRAME_BYTES} are allowed")]
    FrameTooLong {
        /// The frame's number.
        frame: u32,
        /// Its length.
        length: u32,
    },
    /// All parts together are longer than allowed.
    #[error("frame {frame}: the message is longer than {MESSAGE_BYTES} bytes")]
    MessageTooLong {
        /// The frame's number.
        frame: u32,
    },
    /// The checksum is wrong.
    #[error("frame {frame}: the checksum is wrong")]
    Checksum {
        /// The frame's number.
        frame: u32,
    },
    /// The message is not what was expected.
    #[error("frame {frame}: not a message that is known here")]
    Message {
        /// The number of its last frame.
        frame: u32,
        /// Where it stops making sense.
        #[source]
        source: serde_json::Error,
    },
    /// The stream closed before its end.
    #[error("the stream ended after {frames} frames without saying so")]
    Cut {
        /// How many frames were read.
        frames: u32,
    },
    /// Bytes after the end.
    #[error("bytes after the end of the stream")]
    AfterEnd,
}

/// Takes bytes in any pieces and gives messages. After an error, or after the end, it takes no more.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    message: Vec<u8>,
    frames: u32,
    noise: usize,
    ended: bool,
}

impl Decoder {
    /// Adds bytes as they come. Feed at most some 64 KiB at a time, and drain [`Self::next_message`] in between:
    /// the decoder holds what it is fed.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, `None` where more bytes are needed or the stream has ended.
    ///
    /// # Errors
    /// [`FrameError`] where the bytes are no frames, break a limit, or are no message of this type.
    pub fn next_message<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        while let Some((kind, payload)) = self.next_frame()? {
            match kind {
                FrameKind::End => {
                    self.ended = true;
                    if !self.message.is_empty() || !self.buffer.is_empty() {
                        return Err(FrameError::AfterEnd);
                    }
                    return Ok(None);
                }
                FrameKind::Part | FrameKind::Last => {
                    let frame = self.frames - 1;
                    if self.message.len() + payload.len() > MESSAGE_BYTES {
                        return Err(FrameError::MessageTooLong { frame });
                    }
                    self.message.extend_from_slice(&payload);
                    if kind == FrameKind::Last {
                        let message = std::mem::take(&mut self.message);
                        return serde_json::from_slice(&message)
                            .map(Some)
                            .map_err(|source| FrameError::Message { frame, source });
                    }
                }
            }
        }
        Ok(None)
    }

    /// Whether the other side said that nothing more comes.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Whether no frame has come yet: whatever was fed is noise so far.
    #[must_use]
    pub fn silent(&self) -> bool {
        self.frames == 0
    }

    /// To be called when the channel closes.
    ///
    /// # Errors
    /// [`FrameError::Cut`] unless the stream had said its end.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.ended {
            Ok(())
        } else {
            Err(FrameError::Cut { frames: self.frames })
        }
    }

    fn next_frame(&mut self) -> Result<Option<(FrameKind, Vec<u8>)>, FrameError> {
        if self.ended {
            return if self.buffer.is_empty() {
                Ok(None)
            } else {
                Err(FrameError::AfterEnd)
            };
        }
        if self.frames == 0 {
            self.skip_noise()?;
        }
        let frame = self.frames;
        let Some(header) = self.buffer.get(..HEADER) else {
            return Ok(None);
        };
        let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if header[..4] != MAGIC {
            return Err(FrameError::Magic { frame });
        }
        if header[4] != VERSION {
            return Err(FrameError::Version {
                frame,
                found: header[4],
            });
        }
        let kind = FrameKind::from_byte(header[5]).ok_or(FrameError::Kind {
            frame,
            found: header[5],
        })?;
        let (sequence, length) = (number(6), number(10));
        if sequence != frame {
            return Err(FrameError::Sequence { frame, found: sequence });
        }
        if length as usize > FRAME_BYTES {
            return Err(FrameError::FrameTooLong { frame, length });
        }
        let end = HEADER + length as usize;
        let Some(rest) = self.buffer.get(end..end + CHECKSUM) else {
            return Ok(None);
        };
        if Digest::of(&self.buffer[..end]).as_bytes()[..CHECKSUM] != *rest {
            return Err(FrameError::Checksum { frame });
        }
        let payload = self.buffer[HEADER..end].to_vec();
        self.buffer.drain(..end + CHECKSUM);
        self.frames += 1;
        Ok(Some((kind, payload)))
    }

    /// Drops what a login shell prints before the agent speaks, up to a limit.
    fn skip_noise(&mut self) -> Result<(), FrameError> {
        let start = self.buffer.windows(MAGIC.len()).position(|window| window == MAGIC);
        let noise = start.unwrap_or_else(|| self.buffer.len().saturating_sub(MAGIC.len() - 1));
        self.noise += noise;
        if self.noise > NOISE_BYTES {
            return Err(FrameError::Noise);
        }
        self.buffer.drain(..noise);
        Ok(())
    }
}

/// One frame; `sequence` counts the sender's frames from 0. The payload must be within [`FRAME_BYTES`].
#[must_use]
pub fn encode(kind: FrameKind, sequence: u32, payload: &[u8]) -> Vec<u8> {
    debug_assert!(payload.len() <= FRAME_BYTES);
    let mut frame = Vec::with_capacity(HEADER + payload.len() + CHECKSUM);
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(&[VERSION, kind.byte()]);
    frame.extend_from_slice(&sequence.to_le_bytes());
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(payload);
    let checksum = Digest::of(&frame);
    frame.extend_from_slice(&checksum.as_bytes()[..CHECKSUM]);
    frame
}

/// A message as frames; `sequence` is moved on by as many as it takes.
///
/// # Errors
/// Where the message has no JSON form; none of the protocol's types lacks one.
pub fn encode_message<T: Serialize>(message: &T, sequence: &mut u32) -> Result<Vec<u8>, serde_json::Error> {
    let json = serde_json::to_vec(message)?;
    let mut bytes = Vec::with_capacity(json.len() + HEADER + CHECKSUM);
    let mut parts = json.chunks(FRAME_BYTES).peekable();
    while let Some(part) = parts.next() {
        let kind = if parts.peek().is_some() {
            FrameKind::Part
        } else {
            FrameKind::Last
        };
        bytes.extend(encode(kind, *sequence, part));
        *sequence += 1;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Vec<u8> {
        let mut sequence = 0;
        let mut bytes = encode_message(&"first", &mut sequence).unwrap();
        bytes.extend(encode_message(&vec!["x".repeat(FRAME_BYTES / 2); 3], &mut sequence).unwrap());
        bytes.extend(encode_message(&7, &mut sequence).unwrap());
        bytes.extend(encode(FrameKind::End, sequence, &[]));
        bytes
    }

    fn short_stream() -> Vec<u8> {
        let mut sequence = 0;
        let mut bytes = encode_message(&"first", &mut sequence).unwrap();
        bytes.extend(encode_message(&["a", "b"], &mut sequence).unwrap());
        bytes.extend(encode(FrameKind::End, sequence, &[]));
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<serde_json::Value>, FrameError> {
        let mut decoder = Decoder::default();
        let mut messages = Vec::new();
        for piece in bytes.chunks(1000) {
            decoder.feed(piece);
            while let Some(message) = decoder.next_message()? {
                messages.push(message);
            }
        }
        decoder.finish().map(|()| messages)
    }

    #[test]
    fn a_stream_in_any_pieces_gives_its_messages() {
        let messages = read(&stream()).unwrap();
        assert_eq!(messages.len(), 3);
        assert_eq!(messages[0], "first");
        assert_eq!(messages[2], 7);
    }

    #[test]
    fn noise_before_the_first_frame_is_skipped_up_to_the_limit() {
        let noisy = |bytes: usize| [vec![b'P'; bytes], short_stream()].concat();
        assert_eq!(read(&noisy(NOISE_BYTES)).unwrap().len(), 2);
        assert!(matches!(read(&noisy(NOISE_BYTES + 1)), Err(FrameError::Noise)));
    }

    #[test]
    fn no_prefix_is_taken_for_the_whole() {
        let bytes = short_stream();
        for end in 0..bytes.len() {
            assert!(
                matches!(read(&bytes[..end]), Err(FrameError::Cut { .. })),
                "prefix of {end}"
            );
        }
    }

    #[test]
    fn no_flipped_byte_is_taken_for_the_original() {
        let bytes = short_stream();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert!(read(&flipped).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn doubled_swapped_and_missing_frames_are_found() {
        let frames: Vec<_> = (0..3).map(|n| encode(FrameKind::Last, n, b"1")).collect();
        let end = encode(FrameKind::End, 3, &[]);
        let with = |order: &[usize]| {
            let mut bytes = order.iter().flat_map(|&n| frames[n].clone()).collect::<Vec<_>>();
            bytes.extend(&end);
            read(&bytes)
        };
        assert!(with(&[0, 1, 2]).is_ok());
        for order in [&[0, 0, 1, 2][..], &[0, 2, 1], &[0, 2], &[1, 2]] {
            assert!(matches!(with(order), Err(FrameError::Sequence { .. })), "{order:?}");
        }
    }

    #[test]
    fn lengths_are_checked_before_anything_is_held() {
        let mut long = encode(FrameKind::Last, 0, b"1");
        long[10..14].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(
            read(&long),
            Err(FrameError::FrameTooLong { length: u32::MAX, .. })
        ));

        let part = vec![b' '; FRAME_BYTES];
        let mut decoder = Decoder::default();
        let error = (0..).find_map(|n| {
            decoder.feed(&encode(FrameKind::Part, n, &part));
            decoder.next_message::<serde_json::Value>().err()
        });
        assert!(
            matches!(error, Some(FrameError::MessageTooLong { frame: 64 })),
            "{error:?}"
        );
    }

    #[test]
    fn bytes_after_the_end_are_an_error() {
        let bytes = [short_stream(), b"x".to_vec()].concat();
        assert!(matches!(read(&bytes), Err(FrameError::AfterEnd)));
    }
}
