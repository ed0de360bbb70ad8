//! A run's journal: one JSON event per line, durable where a verdict rests on it. It does not say what the events mean
//! together; [`crate::generations`] does.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use provision_core::model::{RunEvent, RunPhase};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use serde::de::DeserializeOwned;

use crate::lock;
use crate::secrets::Mask;

/// What is kept free in a journal for its last words, in bytes: what failed and the verdict, on a disk that has nothing left.
const LAST_WORDS: u64 = 64 << 10;

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// It cannot be opened, read or written.
    #[error("cannot use the journal {}", path.display())]
    File {
        /// The journal.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A line in its middle is no event.
    #[error("line {line} of the journal {} is damaged", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        #[source]
        source: serde_json::Error,
    },
}

/// A journal that is being written. It is locked for as long as this value lives, which is how others know that the run lives.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    /// Up to where the disk has given it room.
    room: u64,
    mask: Option<Mask>,
}

impl Journal {
    /// Opens a journal, new or old, and gives the events it has. A torn last line is cut off.
    /// `None` where another process writes it.
    ///
    /// # Errors
    /// [`JournalError`].
    pub(crate) fn open(path: &Path) -> Result<Option<(Self, Vec<RunEvent>)>, JournalError> {
        let error = |source| JournalError::File {
            path: path.into(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(error)?;
        if !lock::exclusive(&file).map_err(error)? {
            return Ok(None);
        }
        if let Some(directory) = path.parent() {
            File::open(directory)
                .and_then(|directory| directory.sync_all())
                .map_err(error)?;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(error)?;
        let (events, length) = parse(path, &bytes)?;
        if length < bytes.len() {
            file.set_len(length as u64).map_err(error)?;
        }
        let journal = Self {
            path: path.into(),
            file,
            length: length as u64,
            room: 0,
            mask: None,
        };
        Ok(Some((journal, events)))
    }

    /// Empties it, for a run that changed nothing and is tried again.
    pub(crate) fn clear(&mut self) -> Result<(), JournalError> {
        self.file.set_len(0).map_err(|source| self.error(source))?;
        self.length = 0;
        self.room = 0;
        Ok(())
    }

    /// Whether there is room for last words behind what is written so far. Where the disk has none to give, only what a
    /// verdict rests on is written any more.
    fn has_room(&mut self) -> bool {
        if self.length + LAST_WORDS <= self.room {
            return true;
        }
        let ahead = 2 * LAST_WORDS;
        // Some file systems hold a claim against the process's limit as if it were written, and the kernel kills for that.
        let limit = getrlimit(Resource::Fsize).current;
        if limit.is_some_and(|limit| limit < self.length + ahead) {
            self.room = u64::MAX;
            return true;
        }
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.length, ahead) {
            Ok(()) => self.room = self.length + ahead,
            // Not every file system can. Then it is as it comes.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => self.room = u64::MAX,
            Err(_) => return false,
        }
        true
    }

    /// From here on, no secret that is in the host's memory now is written.
    pub(crate) fn mask_secrets(&mut self) {
        self.mask = Mask::of_memory();
    }

    /// Adds an event. When this returns, an event that a verdict rests on (a phase, the end of a step) is on the disk.
    ///
    /// # Errors
    /// [`JournalError`]; the journal is then as it was before.
    pub(crate) fn write(&mut self, event: &RunEvent) -> Result<(), JournalError> {
        let told_only = matches!(event, RunEvent::Waiting { .. } | RunEvent::Output { .. });
        if !self.has_room() && told_only {
            return Ok(());
        }
        let line = match &self.mask {
            Some(mask) => mask.json(event).and_then(|event| serde_json::to_vec(&event)),
            None => serde_json::to_vec(event),
        };
        let mut line = line.map_err(|source| self.error(source.into()))?;
        line.push(b'\n');
        let durable = match event {
            RunEvent::Phase(_)
            | RunEvent::Moved(_)
            | RunEvent::StaleGeneration { .. }
            | RunEvent::Locked(_)
            | RunEvent::Error(_)
            | RunEvent::Done { .. }
            | RunEvent::StepFailed { .. }
            | RunEvent::NotUndone(_) => true,
            RunEvent::Waiting { .. } | RunEvent::Started { .. } | RunEvent::Output { .. } => false,
        };
        let written = self
            .file
            .write_all(&line)
            .and_then(|()| if durable { self.file.sync_data() } else { Ok(()) });
        match written {
            Ok(()) => {
                self.length += line.len() as u64;
                if matches!(event, RunEvent::Phase(phase) if phase.is_final()) {
                    // Nothing follows: the room for it is given back.
                    let _ = self.file.set_len(self.length);
                }
                Ok(())
            }
            Err(source) => {
                // A full disk may have taken half a line; a later line must not be glued to it.
                let _ = self.file.set_len(self.length);
                Err(self.error(source))
            }
        }
    }

    fn error(&self, source: io::Error) -> JournalError {
        JournalError::File {
            path: self.path.clone(),
            source,
        }
    }
}

/// The events of a journal, without its torn last line; none where there is no journal.
///
/// # Errors
/// [`JournalError`].
pub(crate) fn read(path: &Path) -> Result<Vec<RunEvent>, JournalError> {
    match std::fs::read(path) {
        Ok(bytes) => parse(path, &bytes).map(|(events, _)| events),
        Err(missing) if missing.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(JournalError::File {
            path: path.into(),
            source,
        }),
    }
}

/// Whether a process writes this journal at this moment.
///
/// # Errors
/// [`JournalError`].
pub(crate) fn is_written(path: &Path) -> Result<bool, JournalError> {
    match File::open(path).and_then(|file| lock::is_locked(&file)) {
        Err(missing) if missing.kind() == ErrorKind::NotFound => Ok(false),
        result => result.map_err(|source| JournalError::File {
            path: path.into(),
            source,
        }),
    }
}

/// The last phase that was reached.
pub(crate) fn phase(events: &[RunEvent]) -> Option<RunPhase> {
    events.iter().rev().find_map(|event| match event {
        RunEvent::Phase(phase) => Some(*phase),
        _ => None,
    })
}

/// The values of the lines, and how many bytes they take. What a power cut leaves at the end (half a line, or a block of zeros) is not
/// counted: nothing in it was ever said to be durable. The same in the middle is damage.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<(Vec<T>, usize), JournalError> {
    let mut events = Vec::new();
    let mut length = 0;
    let mut torn = None;
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let whole = line.ends_with(b"\n");
        match (serde_json::from_slice::<T>(line), torn.take()) {
            (Ok(_), Some((line, source))) => {
                return Err(JournalError::Damaged {
                    path: path.into(),
                    line,
                    source,
                });
            }
            (Ok(event), None) if whole => {
                events.push(event);
                length += line.len();
            }
            (Ok(_), None) => {}
            (Err(_), Some(first)) => torn = Some(first),
            (Err(source), None) => torn = Some((number + 1, source)),
        }
    }
    Ok((events, length))
}

/// A reader that follows a journal as it grows.
#[derive(Debug)]
pub(crate) struct Follower {
    path: PathBuf,
    file: Option<File>,
    offset: u64,
    number: u64,
}

impl Follower {
    /// Starts at the beginning of a journal that need not exist yet.
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.into(),
            file: None,
            offset: 0,
            number: 0,
        }
    }

    /// How many events were read.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// What was added since the last call: each event with its number from 0.
    ///
    /// # Errors
    /// [`JournalError`]; also where the journal was emptied under the reader.
    pub(crate) fn read(&mut self) -> Result<Vec<(u64, RunEvent)>, JournalError> {
        let path = self.path.clone();
        let error = |source| JournalError::File {
            path: path.clone(),
            source,
        };
        let file = match &mut self.file {
            Some(file) => file,
            none => match File::open(&self.path) {
                Ok(file) => none.insert(file),
                Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
                Err(source) => return Err(error(source)),
            },
        };
        if file.metadata().map_err(error)?.len() < self.offset {
            return Err(error(io::Error::other("the run was begun again by another connection")));
        }
        file.seek(SeekFrom::Start(self.offset)).map_err(error)?;
        let mut lines = Vec::new();
        file.read_to_end(&mut lines).map_err(error)?;
        // An unfinished line is read again: should its writer be dead, another one cuts it off and writes its own.
        lines.truncate(lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1));
        self.offset += lines.len() as u64;
        let mut events = Vec::new();
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let event = serde_json::from_slice(line).map_err(|source| JournalError::Damaged {
                path: self.path.clone(),
                line: usize::try_from(self.number + 1).unwrap_or(usize::MAX),
                source,
            })?;
            events.push((self.number, event));
            self.number += 1;
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use provision_core::model::HostText;

    use super::*;
    use crate::testing::Scratch;

    fn some_events() -> Vec<RunEvent> {
        vec![
            RunEvent::Phase(RunPhase::Staged),
            RunEvent::Started { step: 0 },
            RunEvent::Output {
                step: 0,
                line: HostText::from("a\nline with \u{1b} in it"),
            },
            RunEvent::Phase(RunPhase::Refused),
        ]
    }

    fn write(path: &Path, events: &[RunEvent]) {
        let (mut journal, _) = Journal::open(path).unwrap().unwrap();
        events.iter().for_each(|event| journal.write(event).unwrap());
    }

    #[test]
    fn a_journal_torn_at_any_byte_keeps_its_whole_lines_and_can_be_continued() {
        let scratch = Scratch::new();
        let path = scratch.path().join("journal.jsonl");
        write(&path, &some_events());
        let bytes = std::fs::read(&path).unwrap();
        for cut in 0..=bytes.len() {
            let whole = bytes[..cut].iter().filter(|byte| **byte == b'\n').count();
            let torn = scratch.path().join("torn.jsonl");
            std::fs::write(&torn, &bytes[..cut]).unwrap();
            assert_eq!(read(&torn).unwrap(), some_events()[..whole], "cut at {cut}");
            write(&torn, &some_events()[whole..]);
            assert_eq!(read(&torn).unwrap(), some_events(), "continued after a cut at {cut}");
        }
    }

    #[test]
    fn a_tail_of_zeros_is_torn_but_a_damaged_middle_is_an_error() {
        let scratch = Scratch::new();
        let path = scratch.path().join("journal.jsonl");
        write(&path, &some_events());
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend([0; 512]);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(read(&path).unwrap(), some_events());

        bytes[3] = 0;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(read(&path), Err(JournalError::Damaged { line: 1, .. })));
    }

    #[test]
    fn only_one_writes_and_that_shows() {
        let scratch = Scratch::new();
        let path = scratch.path().join("journal.jsonl");
        assert!(!is_written(&path).unwrap());
        let first = Journal::open(&path).unwrap().unwrap();
        assert!(is_written(&path).unwrap());
        assert!(Journal::open(&path).unwrap().is_none());
        drop(first);
        assert!(!is_written(&path).unwrap());
    }

    #[test]
    fn a_follower_sees_each_event_once_with_its_line_number() {
        let scratch = Scratch::new();
        let path = scratch.path().join("journal.jsonl");
        let mut follower = Follower::new(&path);
        assert!(follower.read().unwrap().is_empty(), "there is no journal yet");
        let whole = scratch.path().join("whole.jsonl");
        write(&whole, &some_events());
        let bytes = std::fs::read(&whole).unwrap();
        let mut seen = Vec::new();
        let mut file = File::create(&path).unwrap();
        for byte in bytes {
            file.write_all(&[byte]).unwrap();
            seen.extend(follower.read().unwrap());
        }
        let expected: Vec<_> = (0..).zip(some_events()).collect();
        assert_eq!(seen, expected);

        file.set_len(0).unwrap();
        assert!(follower.read().is_err(), "an emptied journal is another run's");
    }

    #[test]
    fn a_write_that_fails_leaves_whole_lines() {
        let full = Path::new("/dev/full");
        let file = OpenOptions::new().append(true).open(full).unwrap();
        let mut journal = Journal {
            path: full.into(),
            file,
            length: 0,
            room: 0,
            mask: None,
        };
        let error = journal.write(&RunEvent::Started { step: 0 }).unwrap_err();
        assert_eq!(error.to_string(), "cannot use the journal /dev/full");
    }
}
