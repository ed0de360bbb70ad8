//! Everything the agent does to paths: resolving them safely, looking at them, and changing them atomically.
//! It decides nothing about what should be there, and no other module of the agent writes a file.

mod change;
mod inspect;
mod resolve;
mod write;

pub(crate) use change::{ChangeError, Removed, make_directory, make_symlink, remove, set_attributes, sweep_temps};
pub(crate) use inspect::{inspect, read_file};
pub(crate) use write::{Attributes, ValidateError, WriteError, write_file, write_state};
