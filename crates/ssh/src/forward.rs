//! TCP streams from a host to where the host can reach: what is sent into one comes out there. It listens on nothing, and
//! opens only what it is told to open.

use std::pin::Pin;
use std::task::{Context, Poll};

use russh::{ChannelOpenFailure, ChannelStream, client};
use thiserror::Error;
use tokio::{
    io::{self, AsyncRead, AsyncWrite, ReadBuf},
    time::timeout,
};

use crate::{Connection, Endpoint, ProtocolError, Untrusted, client::Ended};

/// A TCP stream from a host to somewhere else. Dropping it closes it.
pub struct Forward(ChannelStream<client::Msg>);

/// Why a host opens no stream.
#[derive(Debug, Error)]
pub enum ForwardError {
    /// Its sshd does not allow it.
    #[error("{endpoint} does not allow forwarding")]
    Forbidden {
        /// The host.
        endpoint: Endpoint,
    },
    /// Nobody listens there, or the host cannot reach it.
    #[error("{endpoint} cannot connect to {to}")]
    Unreachable {
        /// The host.
        endpoint: Endpoint,
        /// Where to, as `address:port`.
        to: String,
    },
    /// It opens no further channel for another reason.
    #[error("{endpoint} opens no channel")]
    NoChannel {
        /// The host.
        endpoint: Endpoint,
    },
    /// It did not answer in time.
    #[error("{endpoint} did not answer within {seconds} s")]
    TimedOut {
        /// The host.
        endpoint: Endpoint,
        /// The deadline.
        seconds: f32,
    },
    /// The host closed the connection.
    #[error("{endpoint} closed the connection")]
    Closed {
        /// The host.
        endpoint: Endpoint,
        /// What it said.
        message: Untrusted,
    },
    /// The connection was lost.
    #[error("the connection to {endpoint} was lost")]
    Lost {
        /// The host.
        endpoint: Endpoint,
        /// How.
        #[source]
        source: ProtocolError,
    },
}

impl ForwardError {
    /// Whether the connection is gone, so that no later stream can be opened either.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Closed { .. } | Self::Lost { .. })
    }
}

impl Connection {
    /// Opens a TCP stream from the host to an address that the host can reach, such as its own loopback.
    ///
    /// # Errors
    ///
    /// The host does not allow it, nobody listens there, or the connection is lost.
    pub async fn forward(&self, address: &str, port: u16) -> Result<Forward, ForwardError> {
        let opening = self
            .handle
            .channel_open_direct_tcpip(address, port.into(), "127.0.0.1", 0);
        let endpoint = self.endpoint.clone();
        match timeout(self.deadlines.open, opening).await {
            Ok(Ok(channel)) => Ok(Forward(channel.into_stream())),
            Ok(Err(russh::Error::ChannelOpenFailure(reason))) => Err(match reason {
                ChannelOpenFailure::AdministrativelyProhibited => ForwardError::Forbidden { endpoint },
                ChannelOpenFailure::ConnectFailed => ForwardError::Unreachable {
                    endpoint,
                    to: format!("{address}:{port}"),
                },
                _ => ForwardError::NoChannel { endpoint },
            }),
            Ok(Err(error)) => Err(match self.ending.get() {
                Some(Ended::ByHost(message)) => ForwardError::Closed { endpoint, message },
                Some(Ended::Broken(source)) => ForwardError::Lost { endpoint, source },
                None => ForwardError::Lost {
                    endpoint,
                    source: (&error).into(),
                },
            }),
            Err(_) => Err(ForwardError::TimedOut {
                endpoint,
                seconds: self.deadlines.open.as_secs_f32(),
            }),
        }
    }
}

impl AsyncRead for Forward {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Forward {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl std::fmt::Debug for Forward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Forward")
    }
}
