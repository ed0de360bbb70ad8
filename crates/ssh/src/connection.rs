//! An open connection: where it leads, commands on it, and closing it.
//! It does not reconnect.

use russh::{Disconnect, client::Handle};
use tokio::time::timeout;

use crate::{
    ConfigWarning, Deadlines, Endpoint, Exec, ExecError,
    client::{Client, Ending},
    link::Lifeline,
};

/// A connection to a host that has proved its identity and let us in.
///
/// Dropping it ends it at once; [`Connection::close`] says goodbye first.
pub struct Connection {
    pub(crate) handle: Handle<Client>,
    pub(crate) ending: Ending,
    pub(crate) endpoint: Endpoint,
    pub(crate) warnings: Vec<ConfigWarning>,
    pub(crate) deadlines: Deadlines,
    pub(crate) _lifeline: Lifeline,
    /// The jump host, which must live as long.
    pub(crate) through: Option<Box<Connection>>,
}

impl Connection {
    /// Where the connection leads.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What ssh_config asks for and did not get.
    pub fn warnings(&self) -> &[ConfigWarning] {
        &self.warnings
    }

    /// True if the connection has ended; it cannot be used again.
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Starts a command. `command` is a line for the user's login shell on the host: keep it
    /// constant, and send data on stdin.
    ///
    /// This takes one round trip. The command may be written to at once, before the host has
    /// answered that it runs; if it does not run, reading says so.
    ///
    /// # Errors
    ///
    /// The host does not open a channel, or not in time, or the connection is lost.
    pub async fn exec(&self, command: &str) -> Result<Exec, ExecError> {
        Exec::start(self, command).await
    }

    /// Says goodbye and ends the connection. Takes no longer than [`Deadlines::close`].
    pub async fn close(self) {
        let Self {
            handle,
            deadlines,
            through,
            _lifeline: lifeline,
            ..
        } = self;
        let goodbye = async {
            if handle.disconnect(Disconnect::ByApplication, "", "").await.is_ok() {
                // The task sends it and ends. Why it ended no longer matters.
                let _ = handle.await;
            }
        };
        let _ = timeout(deadlines.close, goodbye).await;
        drop(lifeline);
        if let Some(through) = through {
            Box::pin(through.close()).await;
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connection({})", self.endpoint)
    }
}
