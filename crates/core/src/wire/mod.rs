//! What controller and agent say to each other, and how it is framed. It opens no channel: bytes in, values out.

mod content;
mod frame;
pub mod limits;
mod message;
mod secret;

pub use content::{NoContent, secret_content};
pub use frame::{Decoder, FrameError, FrameKind, encode, encode_message};
pub use message::{Refusal, Request, Response, StatusReport, UnitReport};
pub use secret::SecretBytes;
