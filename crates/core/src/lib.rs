//! The nouns of `provision` and its pure stages: configuration, resolving, planning, and the
//! wire protocol's types. Nothing here reads a clock, a disk, a network or the environment.

#[cfg(feature = "language")]
pub mod adopt;
#[cfg(feature = "language")]
pub mod config;
#[cfg(feature = "language")]
pub mod doctor;
pub mod model;
pub mod plan;
pub mod redact;
#[cfg(feature = "language")]
pub mod resolve;
pub mod wire;
