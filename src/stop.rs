//! The user's wish to stop, as a value that every stage may look at or wait for. It ends nothing by itself: each
//! stage stops where it leaves hosts consistent.

use tokio::sync::watch;

/// The wish to stop. Clones share it.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// What expresses the wish. While it is kept and [`StopSwitch::request`] is not called, nobody wants to stop.
#[derive(Debug)]
pub struct StopSwitch(watch::Sender<bool>);

/// A switch and what it switches.
#[must_use]
pub fn switch() -> (StopSwitch, Stop) {
    let (sender, receiver) = watch::channel(false);
    (StopSwitch(sender), Stop(receiver))
}

impl StopSwitch {
    /// Asks everything to stop where hosts are consistent.
    pub fn request(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether the user wants to stop.
    #[must_use]
    pub fn requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the user wants to stop; for ever where the switch is gone without having been used.
    pub async fn wait(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|wanted| *wanted).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::switch;

    #[tokio::test]
    async fn every_clone_hears_of_it_also_when_it_came_before_the_waiting() {
        let (handle, stop) = switch();
        let clone = stop.clone();
        assert!(!clone.requested());
        handle.request();
        assert!(stop.requested() && clone.requested());
        clone.wait().await;
    }

    #[tokio::test]
    async fn a_dropped_switch_is_no_wish() {
        let (handle, stop) = switch();
        drop(handle);
        assert!(!stop.requested());
        let waited = tokio::time::timeout(std::time::Duration::from_millis(1), stop.wait()).await;
        assert!(waited.is_err());
    }
}
