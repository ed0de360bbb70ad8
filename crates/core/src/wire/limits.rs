//! Every bound of the protocol in one place. Each has a test that hits it.

use std::time::Duration;

/// The longest payload of one frame, in bytes. Checked before anything is allocated.
pub const FRAME_BYTES: usize = 1 << 20;

/// The longest message over all its frames, in bytes: a plan with its files, or an observation of some ten thousand resources.
pub const MESSAGE_BYTES: usize = 64 << 20;

/// How many bytes of files' contents one answer may hold: they take a third more as text, and must fit in a message.
pub const CONTENTS_BYTES: u64 = 40 << 20;

/// How much a login shell may print before the agent's first frame, in bytes.
pub const NOISE_BYTES: usize = 64 << 10;

/// The longest text of a file that travels for a diff, in bytes.
pub const DIFF_TEXT_BYTES: u64 = 256 << 10;

/// The longest line of a step's output, in bytes; the rest of the line is cut.
pub const OUTPUT_LINE_BYTES: usize = 4 << 10;

/// The longest entry of a journal, in bytes; the rest of it is cut.
pub const ENTRY_BYTES: usize = 16 << 10;

/// How many entries of a journal may be asked for at once.
pub const ENTRIES: u32 = 100_000;

/// How many lines of output a failure keeps.
pub const ERROR_LINES: usize = 20;

/// How often the agent says that a run goes on of which there is nothing else to tell: a step may be silent for many minutes,
/// and an agent that hangs must not be taken for one.
pub const BEAT: Duration = Duration::from_secs(2);
