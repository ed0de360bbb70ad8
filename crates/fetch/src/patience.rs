//! How what may pass is tried again: ever more slowly, not for ever, and with each new reason said once. It does not decide what
//! may pass.

use std::cell::RefCell;
use std::time::{Duration, Instant};

/// The first pause.
const FIRST: Duration = Duration::from_millis(200);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(15);

/// Why something did not succeed. No text here has any of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It may, later.
    Passing(String),
    /// It will not until somebody changes something.
    Lasting(String),
}

/// The time that is left for all of it.
pub(crate) struct Patience {
    until: Instant,
    whole: Duration,
    say: fn(&str),
    said: RefCell<Option<String>>,
}

impl Patience {
    pub(crate) fn new(whole: Duration, say: fn(&str)) -> Self {
        Self {
            until: Instant::now() + whole,
            whole,
            say,
            said: RefCell::new(None),
        }
    }

    /// Tries until it succeeds, cannot succeed, or the time is over.
    ///
    /// # Errors
    /// The last reason, as [`Failure::Passing`] where the time is over.
    pub(crate) fn with<T>(&self, mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
        let mut pause = FIRST;
        loop {
            let reason = match attempt() {
                Err(Failure::Passing(reason)) => reason,
                ended => return ended,
            };
            let now = Instant::now();
            if now + pause >= self.until {
                let seconds = self.whole.as_secs();
                return Err(Failure::Passing(format!("{reason} (tried for {seconds} s)")));
            }
            if self.said.borrow().as_ref() != Some(&reason) {
                let left = self.until.saturating_duration_since(now).as_secs();
                (self.say)(&format!("{reason}; trying again for up to {left} s"));
                self.said.replace(Some(reason));
            }
            std::thread::sleep(pause.mul_f64(share()));
            pause = (pause * 2).min(LONGEST);
        }
    }
}

/// Between a half and the whole, so that hosts that start together do not ask together.
fn share() -> f64 {
    let mut byte = [0];
    // Without randomness, all wait alike.
    let _ = rustix::rand::getrandom(&mut byte, rustix::rand::GetRandomFlags::NONBLOCK);
    1.0 - f64::from(byte[0]) / 512.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_again_and_what_lasts_is_not() {
        let patience = Patience::new(Duration::from_secs(60), |_| {});
        let mut count = 0;
        let ended = patience.with(|| {
            count += 1;
            if count < 3 {
                return Err(Failure::Passing("not yet".to_owned()));
            }
            Ok(count)
        });
        assert_eq!(ended, Ok(3));
        let mut count = 0;
        let ended: Result<(), _> = patience.with(|| {
            count += 1;
            Err(Failure::Lasting("denied".to_owned()))
        });
        assert_eq!((ended, count), (Err(Failure::Lasting("denied".to_owned())), 1));
    }

    #[test]
    fn patience_ends_with_the_last_reason() {
        let patience = Patience::new(Duration::from_millis(300), |_| {});
        let mut count = 0;
        let ended: Result<(), _> = patience.with(|| {
            count += 1;
            Err(Failure::Passing(format!("down {count}")))
        });
        assert!(count > 1);
        assert_eq!(ended, Err(Failure::Passing(format!("down {count} (tried for 0 s)"))));
    }
}
