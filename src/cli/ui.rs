//! The terminal: results go to standard output, talk to standard error, and questions are asked only where somebody
//! can answer. It words nothing; the report does.

use std::backtrace::Backtrace;
use std::borrow::Cow;
use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, RwLock};

use provision_core::redact::Redactor;

use super::args::{Color, Global};
use crate::report::Palette;

/// What the environment says about the terminal.
#[derive(Clone, Debug, Default)]
pub struct Terminal {
    /// Standard input is a terminal.
    pub stdin: bool,
    /// Standard output is a terminal.
    pub stdout: bool,
    /// Standard error is a terminal.
    pub stderr: bool,
    /// `NO_COLOR`, as no-color.org has it: set to anything but the empty text.
    pub no_color: bool,
    /// `CLICOLOR_FORCE`, as bixense.com/clicolors has it: set to anything but `0`.
    pub clicolor_force: bool,
    /// `CLICOLOR=0`.
    pub clicolor_off: bool,
    /// `TERM=dumb`: no cursor can be moved.
    pub dumb: bool,
    /// `CI` is set: nobody watches live.
    pub ci: bool,
}

impl Terminal {
    /// Asks the environment of this process.
    #[must_use]
    pub fn detect() -> Self {
        let var = |name: &str| std::env::var(name).unwrap_or_default();
        let force = var("CLICOLOR_FORCE");
        Self {
            stdin: io::stdin().is_terminal(),
            stdout: io::stdout().is_terminal(),
            stderr: io::stderr().is_terminal(),
            no_color: !var("NO_COLOR").is_empty(),
            clicolor_force: !force.is_empty() && force != "0",
            clicolor_off: var("CLICOLOR") == "0",
            dumb: var("TERM") == "dumb",
            ci: !matches!(var("CI").as_str(), "" | "0" | "false"),
        }
    }

    /// Whether a stream is coloured. What is said on the command line beats the environment.
    const fn coloured(&self, choice: Color, is_terminal: bool) -> bool {
        match choice {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if self.no_color => false,
            Color::Auto if self.clicolor_force => true,
            Color::Auto => is_terminal && !self.dumb && !self.clicolor_off,
        }
    }
}

/// A question could not be asked, since nobody is there to answer.
#[derive(Debug, thiserror::Error)]
#[error("there is no terminal to ask on")]
pub struct NobodyToAsk;

/// The way to the user.
#[derive(Debug)]
pub struct Ui {
    terminal: Terminal,
    color: Color,
    quiet: bool,
    verbose: u8,
    json: bool,
    /// The first failure to write a result. After it, nothing more is written.
    stdout_failure: Mutex<Option<io::ErrorKind>>,
    /// Masks the secrets that are in use, in whatever is written.
    redactor: Arc<RwLock<Option<Redactor>>>,
}

impl Ui {
    /// The way to the user that the command line and the environment describe.
    #[must_use]
    pub fn new(global: &Global, terminal: Terminal) -> Self {
        Self {
            terminal,
            color: global.color,
            quiet: global.quiet,
            verbose: global.verbose,
            json: global.json,
            stdout_failure: Mutex::new(None),
            redactor: Arc::default(),
        }
    }

    /// Masks these values in everything that is written from here on: the second net, should one ever get into a text.
    pub fn mask<'a>(&self, secrets: impl IntoIterator<Item = (&'a str, &'a [u8])>) {
        if let Ok(mut redactor) = self.redactor.write() {
            *redactor = Some(Redactor::new(secrets));
        }
    }

    /// Masks them in what a panic says as well, wherever it comes from.
    pub fn mask_panics(&self) {
        let redactor = Arc::clone(&self.redactor);
        std::panic::set_hook(Box::new(move |panic| {
            let at = std::thread::current();
            let place = at.name().unwrap_or("a worker");
            let text = format!(
                "provision has a fault in itself ({place}): {panic}\n{}\n",
                Backtrace::capture()
            );
            let _ = io::stderr().lock().write_all(masked(&redactor, &text).as_bytes());
        }));
    }

    fn masked<'t>(&self, text: &'t str) -> Cow<'t, str> {
        masked(&self.redactor, text)
    }

    /// Whether results are JSON.
    #[must_use]
    pub const fn json(&self) -> bool {
        self.json
    }

    /// Whether more is to be said.
    #[must_use]
    pub const fn verbose(&self) -> bool {
        self.verbose > 0
    }

    /// Whether nothing but results and errors is to be said.
    #[must_use]
    pub const fn quiet(&self) -> bool {
        self.quiet
    }

    /// How many columns a line on standard error may have.
    #[must_use]
    pub fn width(&self) -> usize {
        const READABLE: usize = 120;
        let size = rustix::termios::tcgetwinsize(io::stderr());
        let columns = size.map_or(0, |size| usize::from(size.ws_col));
        if columns == 0 { READABLE } else { columns.min(READABLE) }
    }

    /// Whether lines on standard error may be redrawn.
    #[must_use]
    pub const fn live(&self) -> bool {
        self.terminal.stderr && !self.terminal.dumb && !self.terminal.ci && !self.quiet
    }

    /// The colours of standard output.
    #[must_use]
    pub const fn results(&self) -> Palette {
        Palette::new(self.terminal.coloured(self.color, self.terminal.stdout) && !self.json)
    }

    /// The colours of standard error.
    #[must_use]
    pub const fn talk(&self) -> Palette {
        Palette::new(self.terminal.coloured(self.color, self.terminal.stderr))
    }

    /// Writes a result to standard output. A reader that has gone away (`| head`) ends the output, not the work;
    /// any other failure is kept for [`Ui::lost_output`].
    pub fn result(&self, text: &str) {
        self.write(self.masked(text).as_bytes());
    }

    /// Writes a value that somebody has asked to see, byte for byte: the one result that is never masked.
    pub fn reveal(&self, bytes: &[u8]) {
        self.write(bytes);
    }

    fn write(&self, bytes: &[u8]) {
        let Ok(mut failure) = self.stdout_failure.lock() else {
            return;
        };
        if failure.is_none() {
            let mut stdout = io::stdout().lock();
            let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
            *failure = written.err().map(|error| error.kind());
        }
    }

    /// Whether a person sees results at once.
    #[must_use]
    pub const fn shows_results(&self) -> bool {
        self.terminal.stdout
    }

    /// Whether a person sits at standard input.
    #[must_use]
    pub const fn can_be_asked(&self) -> bool {
        self.terminal.stdin
    }

    /// Says something that is no result; `text` is whole lines.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            self.warn(text);
        }
    }

    /// Says something that must be heard even with `--quiet`.
    pub fn warn(&self, text: &str) {
        // Where even standard error is closed there is nobody left to tell.
        let _ = io::stderr().lock().write_all(self.masked(text).as_bytes());
    }

    /// Why results were lost, other than by a reader that had enough.
    #[must_use]
    pub fn lost_output(&self) -> Option<io::ErrorKind> {
        let failure = self.stdout_failure.lock().ok()?;
        failure.filter(|kind| *kind != io::ErrorKind::BrokenPipe)
    }

    /// Asks, and waits for a line. Only "y" and "yes" are a yes; the end of input is a no.
    ///
    /// # Errors
    /// [`NobodyToAsk`] where standard input or standard error is no terminal.
    pub async fn ask(&self, question: &str) -> Result<bool, NobodyToAsk> {
        if !self.terminal.stdin || !self.terminal.stderr {
            return Err(NobodyToAsk);
        }
        self.warn(&format!("{question} [y/N] "));
        let answer = tokio::task::spawn_blocking(|| {
            let mut answer = String::new();
            io::stdin().lock().read_line(&mut answer).map(|_| answer)
        });
        let answer = answer.await.ok().and_then(Result::ok).unwrap_or_default();
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }
}

/// A text without the secrets that are in use. Whoever panics while they are being told has no words at all.
fn masked<'t>(redactor: &RwLock<Option<Redactor>>, text: &'t str) -> Cow<'t, str> {
    match redactor.try_read() {
        Ok(redactor) => match &*redactor {
            Some(redactor) => Cow::Owned(redactor.text(text).into_owned()),
            None => Cow::Borrowed(text),
        },
        Err(_) => Cow::Borrowed("(not shown: it cannot be masked)\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_output_is_coloured() {
        let terminal = |set: fn(&mut Terminal)| {
            let mut terminal = Terminal::default();
            set(&mut terminal);
            terminal
        };
        let plain = terminal(|_| ());
        let no_color = terminal(|t| t.no_color = true);
        let force = terminal(|t| t.clicolor_force = true);
        let both = terminal(|t| (t.no_color, t.clicolor_force) = (true, true));
        let off = terminal(|t| t.clicolor_off = true);
        let dumb = terminal(|t| t.dumb = true);
        for (terminal, choice, tty, expected) in [
            (&plain, Color::Auto, true, true),
            (&plain, Color::Auto, false, false),
            (&plain, Color::Always, false, true),
            (&plain, Color::Never, true, false),
            (&no_color, Color::Auto, true, false),
            (&no_color, Color::Always, true, true),
            (&force, Color::Auto, false, true),
            (&force, Color::Never, true, false),
            (&both, Color::Auto, true, false),
            (&off, Color::Auto, true, false),
            (&dumb, Color::Auto, true, false),
        ] {
            assert_eq!(
                terminal.coloured(choice, tty),
                expected,
                "{terminal:?} {choice:?} tty={tty}"
            );
        }
    }
}
