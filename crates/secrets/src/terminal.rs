//! A text from a person that must not show: asked for on the terminal itself, whatever standard input and output are.
//! It knows nothing of what the text is for.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::value::MAX_VALUE_BYTES;

/// How long a person is waited for: nothing waits for ever.
const PATIENCE: Duration = Duration::from_secs(300);

/// How soon after a line's end the next line of a pasted text comes.
const PASTED: Duration = Duration::from_millis(50);

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// There is no terminal.
    #[error("there is no terminal to ask on")]
    NoTerminal(#[source] io::Error),
    /// The person pressed Ctrl-C or Ctrl-D, or did not answer.
    #[error("nothing was given")]
    Cancelled,
    /// More than one line came at once, as of a pasted file. None of it was used, and none is left for the shell to run.
    #[error("more than one line was pasted, and only one can be asked for")]
    SeveralLines,
    /// The text is longer than any value.
    #[error("the text is longer than {MAX_VALUE_BYTES} bytes")]
    TooLong,
    /// The terminal does not work.
    #[error("cannot ask on the terminal")]
    Broken(#[source] io::Error),
}

/// Asks for one line, which does not show.
///
/// # Errors
/// [`NoAnswer`].
pub fn ask_hidden(prompt: &str) -> Result<Zeroizing<Vec<u8>>, NoAnswer> {
    let terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .map_err(NoAnswer::NoTerminal)?;
    ask_on(&terminal, prompt)
}

fn ask_on(terminal: &File, prompt: &str) -> Result<Zeroizing<Vec<u8>>, NoAnswer> {
    // Dropped last, whatever happens: a terminal that stays silent is of no use to anybody.
    let _silence = Silence::begin(terminal).map_err(NoAnswer::Broken)?;
    let mut terminal = terminal;
    terminal.write_all(prompt.as_bytes()).map_err(NoAnswer::Broken)?;
    let line = line(terminal);
    let _ = terminal.write_all(b"\n");
    line
}

/// A terminal that shows nothing of what is typed and makes no signals of it.
struct Silence<'t> {
    terminal: &'t File,
    before: Termios,
}

impl<'t> Silence<'t> {
    fn begin(terminal: &'t File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        // Without signals, so that Ctrl-C comes as a byte and the terminal is put back before anything ends.
        silent.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN;
        silent.special_codes[SpecialCodeIndex::VMIN] = 1;
        silent.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(terminal, OptionalActions::Drain, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // What was typed beyond the line is thrown away: it is more of a secret, and the shell would take it for a command.
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

fn line(mut terminal: &File) -> Result<Zeroizing<Vec<u8>>, NoAnswer> {
    // At its final size from the start: growing would leave copies behind.
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_VALUE_BYTES + 1));
    loop {
        if !comes(terminal, PATIENCE)? {
            return Err(NoAnswer::Cancelled);
        }
        let mut byte = Zeroizing::new([0_u8]);
        if terminal.read(byte.as_mut_slice()).map_err(NoAnswer::Broken)? == 0 {
            return Err(NoAnswer::Cancelled);
        }
        match byte[0] {
            b'\n' | b'\r' => break,
            // Ctrl-C, and Ctrl-D.
            3 | 4 => return Err(NoAnswer::Cancelled),
            // Backspace, as terminals send it either way: a whole character goes.
            8 | 127 => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            // Ctrl-U: all of it.
            21 => line.clear(),
            byte => line.push(byte),
        }
        if line.len() > MAX_VALUE_BYTES {
            return Err(NoAnswer::TooLong);
        }
    }
    if comes(terminal, PASTED)? {
        return Err(NoAnswer::SeveralLines);
    }
    Ok(line)
}

/// Whether something is typed before the time is over.
fn comes(terminal: &File, wait: Duration) -> Result<bool, NoAnswer> {
    let wait = Timespec::try_from(wait).map_err(|_| NoAnswer::Broken(io::Error::from(io::ErrorKind::InvalidInput)))?;
    loop {
        let mut fds = [PollFd::new(terminal, PollFlags::IN)];
        match poll(&mut fds, Some(&wait)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(NoAnswer::Broken(error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    /// A terminal, and the side of it at which a person sits.
    fn terminal() -> (File, File) {
        let person: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap().into_string().unwrap();
        let terminal = OpenOptions::new().read(true).write(true).open(name).unwrap();
        (terminal, File::from(person))
    }

    /// What is answered when a person types, and everything that the person sees.
    fn typed(keys: &'static [u8]) -> (Result<Vec<u8>, NoAnswer>, String) {
        let (terminal, mut person) = terminal();
        let modes = tcgetattr(&terminal).unwrap().local_modes;
        let mut hands = person.try_clone().unwrap();
        let typing = std::thread::spawn(move || {
            let mut seen = vec![0; 100];
            // Only after the question: what is typed before it is thrown away by whoever silences a terminal with care.
            let length = hands.read(&mut seen).unwrap();
            hands.write_all(keys).unwrap();
            seen.truncate(length);
            seen
        });
        let answer = ask_on(&terminal, "Secret: ");
        let mut seen = typing.join().unwrap();
        assert_eq!(
            tcgetattr(&terminal).unwrap().local_modes,
            modes,
            "the terminal stays silent"
        );
        let mut more = [0; 200];
        let length = person.read(&mut more).unwrap();
        seen.extend(&more[..length]);
        (answer.map(|line| line.to_vec()), String::from_utf8(seen).unwrap())
    }

    #[test]
    fn what_is_typed_does_not_show() {
        for (keys, line) in [
            (&b"hunter2\r"[..], "hunter2"),
            (b"hunter3\x7f2\n", "hunter2"),
            (b"wrong\x15hunter2\r", "hunter2"),
            ("zwö\x7fö\r".as_bytes(), "zwö"),
            (b"\x7f\r", ""),
        ] {
            let (answer, seen) = typed(keys);
            assert_eq!(String::from_utf8(answer.unwrap()).unwrap(), line);
            assert_eq!(seen, "Secret: \r\n");
        }
    }

    #[test]
    fn a_person_can_change_their_mind() {
        for keys in [&b"hunter2\x03"[..], b"\x04"] {
            let (answer, seen) = typed(keys);
            assert!(matches!(answer, Err(NoAnswer::Cancelled)), "{answer:?}");
            assert_eq!(seen, "Secret: \r\n");
        }
    }

    #[test]
    fn a_pasted_file_is_refused_and_not_left_to_the_shell() {
        let (answer, seen) = typed(b"-----BEGIN KEY-----\rrm -rf x\r");
        assert!(matches!(answer, Err(NoAnswer::SeveralLines)), "{answer:?}");
        assert_eq!(seen, "Secret: \r\n");
    }
}
