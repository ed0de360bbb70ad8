//! That hosts are being looked at: one line on a terminal, nothing elsewhere. It stays away from the first moments,
//! in which most looks are over.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use provision_core::model::HostName;

use super::words;
use crate::cli::ui::Ui;
use crate::events::Progress;

/// No line is shown before this much time has passed: a line that only flickers tells nobody anything.
const SILENCE: Duration = Duration::from_millis(300);

/// The line.
pub struct LookingView {
    bar: ProgressBar,
    live: bool,
    since: Instant,
    all: usize,
    done: usize,
}

impl LookingView {
    /// A line for looking at so many hosts.
    #[must_use]
    pub fn new(ui: &Ui, hosts: usize) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        Self {
            bar,
            live: ui.live(),
            since: Instant::now(),
            all: hosts,
            done: 0,
        }
    }

    /// Tells of one event.
    pub fn progress(&mut self, host: &HostName, progress: &Progress) {
        let doing = match progress {
            Progress::Connecting => "connecting".to_owned(),
            Progress::Connected { .. } => "connected".to_owned(),
            Progress::UploadingAgent { bytes } => format!("uploading the agent ({})", words::bytes(*bytes)),
            Progress::Observed { .. } => "seen".to_owned(),
            Progress::ConnectionLost { .. } | Progress::Reattaching { .. } => "connecting again".to_owned(),
            Progress::Run { .. }
            | Progress::Output { .. }
            | Progress::Confirming
            | Progress::NotConfirmed { .. }
            | Progress::Logged(_)
            | Progress::TunnelOpen { .. }
            | Progress::TunnelFailed { .. } => return,
        };
        self.show(&format!("{host}: {doing}"));
    }

    /// Tells that a host is done with.
    pub fn finished(&mut self, host: &HostName) {
        self.done += 1;
        self.show(&format!("{host}: seen"));
    }

    fn show(&mut self, last: &str) {
        if !self.live || self.since.elapsed() < SILENCE {
            return;
        }
        if self.bar.is_hidden() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        let hosts = words::count(self.all, "host");
        self.bar
            .set_message(format!("looking: {} of {hosts}  {last}", self.done));
        self.bar.tick();
    }
}

impl Drop for LookingView {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
