//! Everything the agent does to paths: resolving them safely, looking at them, and changing them atomically.
//! It decides nothing about what should be there, and no other module of the agent writes a file.

mod batch;
mod change;
mod inspect;
mod resolve;
mod seal;
mod swapfile;
mod write;

pub(crate) use batch::write_states;
pub(crate) use change::{ChangeError, Removed, make_directory, make_symlink, remove, set_attributes, sweep_temps};
/// The longest file that holds a block, in bytes: it is rewritten whole, in memory.
pub(crate) const BLOCK_FILE_BYTES: u64 = 16 << 20;

pub(crate) use inspect::{inspect, read_file};
pub(crate) use resolve::open_parent;
pub(crate) use seal::seal_of;
pub(crate) use swapfile::{
    ATTRIBUTES as SWAPFILE_ATTRIBUTES, Found as SwapFound, Header as SwapHeader, Look as SwapLook, NewSwapfile,
    look as look_at_swapfile,
};
pub(crate) use write::{Attributes, ValidateError, WriteError, create_file, is_temp_name, write_file, write_state};
