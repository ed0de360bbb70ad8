//! Values and events in, text out: everything that `provision` says is worded here. It contacts nothing, decides
//! nothing, and leaves the writing itself to [`crate::cli::ui`].

pub mod diff;
pub mod drift;
pub mod error;
pub mod event_json;
pub mod exec;
pub mod findings;
pub mod json;
pub mod looking;
pub mod outcome;
pub mod plan;
pub mod plan_json;
pub mod progress;
pub mod recap;
pub mod rehearse;
pub mod show;
pub mod status;
pub mod words;

mod columns;
mod counts;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod sample;
mod style;

pub use counts::Counts;
pub use style::{Palette, paint};
