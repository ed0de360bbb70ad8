//! Values and events in, text out: everything that `provision` says is worded here. It contacts nothing, decides
//! nothing, and leaves the writing itself to [`crate::cli::ui`].

pub mod adopt;
pub mod canonical;
pub mod comparison;
pub mod diff;
pub mod doctor;
pub mod drift;
pub mod error;
pub mod event_json;
pub mod exec;
pub mod explain;
pub mod findings;
pub mod flat;
pub mod fmt;
pub mod forget;
pub mod graph;
pub mod history;
pub mod json;
pub mod logs;
pub mod looking;
pub mod made;
pub mod options;
pub mod outcome;
pub mod plan;
pub mod plan_json;
pub mod progress;
pub mod recap;
pub mod rehearse;
pub mod rollback;
pub mod schema;
pub mod secrets;
pub mod show;
pub mod status;
pub mod tunnel;
pub mod why;
pub mod words;

mod columns;
mod counts;
mod escape;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod sample;
mod style;
mod wrap;

pub use counts::Counts;
pub use style::{Palette, paint};
