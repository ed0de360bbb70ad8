//! A port of this machine that leads to one that a host can reach, for as long as the user wants. What goes through it is
//! theirs; nothing but this machine can use it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use provision_core::model::{Fact, Listener};
use provision_core::wire::{Request, Response};
use provision_ssh::{Connection, ForwardError};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::look::{reads, talk, unexpected};
use super::{Channel, Events, Options, ReachError, ReachStage, Target, each, stopped};
use crate::events::Progress;
use crate::stop::Stop;
use crate::transport::{self, Transport};

/// How often it is seen whether the connection is still there, where nobody uses the tunnel.
const LOOK: Duration = Duration::from_secs(1);

/// How long a host may take to say who listens.
const ANSWER: Duration = Duration::from_secs(60);

/// Where a tunnel leads.
#[derive(Clone, Debug)]
pub struct Way {
    /// The address, as the host knows it.
    pub address: String,
    /// The port there.
    pub port: u16,
    /// The port here; where none is given, the same one, or any that is free.
    pub local: Option<u16>,
}

/// Why there is no tunnel, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The host could not be reached.
    #[error(transparent)]
    Reach(ReachError),
    /// The host is this machine.
    #[error("the host is this machine, and needs no tunnel")]
    ThisMachine,
    /// The port here is taken, or may not be used.
    #[error("cannot listen on 127.0.0.1:{port}")]
    Listen {
        /// The port.
        port: u16,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The host's sshd does not allow it.
    #[error("the host's sshd does not allow it")]
    Forbidden(#[source] ForwardError),
    /// The connection is gone.
    #[error("the tunnel broke")]
    Broken(#[source] ForwardError),
    /// The connection is gone, and nobody says why.
    #[error("the connection was lost")]
    Lost,
}

/// Opens a tunnel and keeps it until `stop`. That it is open is told as [`Progress::TunnelOpen`], and a connection through
/// it that fails as [`Progress::TunnelFailed`].
#[must_use]
pub fn tunnel(target: Target, way: Way, options: &Options, stop: &Stop) -> Events<Result<(), TunnelError>> {
    each(
        vec![(target, way)],
        options,
        stop,
        |(target, _)| target.host.clone(),
        |(target, way), channel| async move { keep(&target, &way, &channel).await },
    )
}

/// Who listens on a host's ports.
#[must_use]
pub fn listening(target: Target, options: &Options, stop: &Stop) -> Events<Result<Vec<Listener>, ReachError>> {
    each(
        vec![target],
        options,
        stop,
        |target| target.host.clone(),
        |target, channel| async move {
            tokio::select! {
                found = listeners(&target, &channel) => found,
                () = channel.stop.wait() => Err(stopped()),
            }
        },
    )
}

async fn listeners<T>(target: &Target, channel: &Channel<T>) -> Result<Vec<Listener>, ReachError> {
    let requests = [Request::Listening];
    let (mut session, transport) = talk(&target.host, &target.connection, &requests, &reads(), channel).await?;
    let found = match session.answer_within(ANSWER).await? {
        Response::Listening(Fact::Known(found)) => found,
        Response::Listening(Fact::Unknown(why)) => {
            let text = format!("the host cannot tell who listens: {}", why.escaped());
            return Err(ReachError::new(ReachStage::Session, text));
        }
        other => return Err(unexpected(&other)),
    };
    drop(session);
    transport.close().await;
    Ok(found)
}

async fn keep<T>(target: &Target, way: &Way, channel: &Channel<T>) -> Result<(), TunnelError> {
    // A port that is taken is told before anybody is connected to.
    let listener = listen(way).await?;
    let local = listener
        .local_addr()
        .map_err(|source| TunnelError::Listen { port: way.port, source })?;
    channel.progress(Progress::Connecting).await;
    let opening = transport::open(&target.host, &target.connection, channel.options.timeout);
    let transport = tokio::select! {
        opened = opening => opened.map_err(TunnelError::Reach)?,
        () = channel.stop.wait() => return Ok(()),
    };
    let connection = match transport {
        Transport::Ssh(connection) => Arc::new(*connection),
        Transport::Local => return Err(TunnelError::ThisMachine),
    };
    // One try at once: what is forbidden is told now, and not to whoever comes first.
    match connection.forward(&way.address, way.port).await {
        Ok(_) => {}
        Err(error @ ForwardError::Forbidden { .. }) => return Err(TunnelError::Forbidden(error)),
        Err(error) if error.is_final() => return Err(TunnelError::Broken(error)),
        // Whoever is to listen there may come later.
        Err(error) => failed(&error, channel).await,
    }
    channel.progress(Progress::TunnelOpen { local }).await;
    let mut streams = JoinSet::new();
    let mut pulse = tokio::time::interval(LOOK);
    let ended = loop {
        tokio::select! {
            () = channel.stop.wait() => break Ok(()),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => _ = streams.spawn(pass(Arc::clone(&connection), way.clone(), stream)),
                Err(source) => break Err(TunnelError::Listen { port: local.port(), source }),
            },
            Some(passed) = streams.join_next() => match passed {
                Ok(Err(error)) if error.is_final() => break Err(TunnelError::Broken(error)),
                Ok(Err(error)) => failed(&error, channel).await,
                Ok(Ok(())) | Err(_) => {}
            },
            _ = pulse.tick() => if connection.is_closed() {
                break Err(TunnelError::Lost);
            },
        }
    };
    drop(listener);
    streams.shutdown().await;
    if let Some(connection) = Arc::into_inner(connection) {
        connection.close().await;
    }
    ended
}

async fn failed<T>(error: &ForwardError, channel: &Channel<T>) {
    let problem = error.to_string();
    channel.progress(Progress::TunnelFailed { problem }).await;
}

/// Only this machine can connect to its loopback.
async fn listen(way: &Way) -> Result<TcpListener, TunnelError> {
    let at = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let port = way.local.unwrap_or(way.port);
    match at(port).await {
        Ok(listener) => Ok(listener),
        Err(_) if way.local.is_none() => at(0).await.map_err(|source| TunnelError::Listen { port: 0, source }),
        Err(source) => Err(TunnelError::Listen { port, source }),
    }
}

/// Passes bytes both ways until both sides have ended. That one of them breaks off is between the two.
async fn pass(connection: Arc<Connection>, way: Way, mut stream: TcpStream) -> Result<(), ForwardError> {
    let mut there = connection.forward(&way.address, way.port).await?;
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut there).await;
    Ok(())
}
