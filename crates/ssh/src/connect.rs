//! Opening a connection: name, TCP or jump host, SSH handshake, host key, authentication, each
//! stage within its deadline. It tries once: whether to try again is the caller's decision.

use std::{io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use russh::{
    AlgorithmKind, ChannelOpenFailure, Preferred, SshId,
    client::{self, Handle},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::{Instant, timeout, timeout_at},
};

use crate::{
    ConnectError, Connection, Deadlines, Endpoint, Environment, Stage, Target, Untrusted, algorithms,
    auth::{self, AuthFailure, Keys},
    client::{Client, ClientError, Ended, Ending},
    error::ProtocolError,
    host_key::{Refusal, Trust},
    identity, known_hosts,
    link::{Lifeline, Link},
    route::{Route, route},
};

/// Jump hosts in a row. More than two are rare; a `ProxyJump` that leads back to itself is not.
const MAX_JUMPS: usize = 8;

/// What we say first. Some firewalls and servers drop clients they have never heard of; the
/// protocol version is all that matters to OpenSSH.
const CLIENT_ID: &str = concat!("SSH-2.0-provision_", env!("CARGO_PKG_VERSION"));

/// Connects to a target and logs in.
///
/// # Errors
///
/// See [`ConnectError`]. Nothing of ours is sent to the host before its key has been checked, other
/// than what every SSH client sends.
pub async fn connect(
    target: &Target,
    environment: &Environment,
    deadlines: &Deadlines,
) -> Result<Connection, ConnectError> {
    connect_through(target, environment, deadlines, MAX_JUMPS).await
}

/// Boxed, because a jump host is connected to by the same function.
type Connecting<'a> = Pin<Box<dyn Future<Output = Result<Connection, ConnectError>> + Send + 'a>>;

fn connect_through<'a>(
    target: &'a Target,
    environment: &'a Environment,
    deadlines: &'a Deadlines,
    jumps_left: usize,
) -> Connecting<'a> {
    Box::pin(async move {
        let alias = || target.alias.clone();
        let route = route(target, environment).map_err(|source| ConnectError::Route { alias: alias(), source })?;
        let endpoint = &route.endpoint;
        let records =
            known_hosts::lookup(&route.known_hosts, &route.host_key_name, route.host_key_port).map_err(|source| {
                ConnectError::KnownHosts {
                    endpoint: endpoint.clone(),
                    source,
                }
            })?;
        let trust = Trust::new(&target.host_keys, records).map_err(|pin| ConnectError::Pin { alias: alias(), pin })?;
        let keys = Keys {
            route: &route,
            default_files: identity::defaults(environment.home.as_deref()),
            agent_patience: deadlines.agent,
        };
        let tcp_limit = route.connect_timeout.unwrap_or(deadlines.tcp);
        match &route.jump {
            None => {
                let stream = open_tcp(endpoint, tcp_limit).await?;
                handshake(stream, &keys, trust, deadlines, None).await
            }
            Some(jump) => {
                let jumps_left = jumps_left.checked_sub(1).ok_or_else(|| ConnectError::TooManyJumps {
                    alias: alias(),
                    limit: MAX_JUMPS,
                })?;
                let through = connect_through(jump, environment, deadlines, jumps_left).await;
                let through = through.map_err(|source| ConnectError::Jump {
                    alias: alias(),
                    source: Box::new(source),
                })?;
                let stream = through.open_tcp(endpoint, tcp_limit).await?;
                handshake(stream, &keys, trust, deadlines, Some(Box::new(through))).await
            }
        }
    })
}

/// Connects over TCP, to one address after another, all within `limit`.
async fn open_tcp(endpoint: &Endpoint, limit: Duration) -> Result<TcpStream, ConnectError> {
    let deadline = Instant::now() + limit;
    let timed_out = |stage| ConnectError::TimedOut {
        endpoint: endpoint.clone(),
        stage,
        limit,
    };
    let resolving = timeout_at(deadline, lookup_host((endpoint.host.as_str(), endpoint.port))).await;
    let addresses: Vec<SocketAddr> = resolving
        .map_err(|_| timed_out(Stage::Resolve))?
        .map_err(|source| ConnectError::Resolve {
            endpoint: endpoint.clone(),
            source: Some(source),
        })?
        .collect();
    let mut failure = None;
    for (index, address) in addresses.iter().enumerate() {
        // An address that swallows packets gets its share of the time, not all of it.
        let addresses_left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(Instant::now()) / addresses_left;
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Without it Nagle's algorithm holds the exec request back for a delayed ACK.
                stream.set_nodelay(true).map_err(|source| refused(endpoint, source))?;
                return Ok(stream);
            }
            Ok(Err(error)) => failure = Some(error),
            Err(_) => {}
        }
    }
    match failure {
        Some(source) => Err(refused(endpoint, source)),
        None if addresses.is_empty() => Err(ConnectError::Resolve {
            endpoint: endpoint.clone(),
            source: None,
        }),
        None => Err(timed_out(Stage::Tcp)),
    }
}

fn refused(endpoint: &Endpoint, source: io::Error) -> ConnectError {
    ConnectError::Refused {
        endpoint: endpoint.clone(),
        source,
    }
}

/// Everything between the first byte and being logged in.
async fn handshake<S>(
    stream: S,
    keys: &Keys<'_>,
    trust: Trust,
    deadlines: &Deadlines,
    through: Option<Box<Connection>>,
) -> Result<Connection, ConnectError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Route { endpoint, warnings, .. } = keys.route;
    let limit = deadlines.handshake;
    let deadline = Instant::now() + limit;
    let timed_out = |stage| ConnectError::TimedOut {
        endpoint: endpoint.clone(),
        stage,
        limit,
    };
    let config = Arc::new(config(deadlines, algorithms::preferred(trust.algorithms())));
    let ending = Ending::default();
    let client = Client {
        trust,
        ending: ending.clone(),
    };
    let (link, lifeline) = Link::new(stream, deadlines.write);
    let exchange = client::connect_stream(config, link, client);
    let mut handle: Handle<Client> = match timeout_at(deadline, exchange).await {
        Ok(Ok(handle)) => handle,
        Ok(Err(error)) => return Err(exchange_failed(endpoint, &lifeline, &ending, error)),
        Err(_) => return Err(timed_out(exchange_stage(&lifeline))),
    };
    let signature = handle.agent_session_binding().map(|binding| binding.signature());
    if signature.is_none_or(algorithms::is_sha1) {
        let source = ProtocolError::new("the host signed with SHA-1 after agreeing on SHA-2");
        return Err(ConnectError::Protocol {
            endpoint: endpoint.clone(),
            stage: Stage::KeyExchange,
            source,
        });
    }
    match timeout_at(deadline, auth::authenticate(&mut handle, keys, &ending)).await {
        Ok(Ok(())) => {}
        Ok(Err(AuthFailure::Refused(refused))) => return Err(ConnectError::AuthRefused(refused)),
        Ok(Err(AuthFailure::Ended(ended))) => {
            return Err(ended_early(endpoint, Stage::Authentication, ended));
        }
        Err(_) => return Err(timed_out(Stage::Authentication)),
    }
    Ok(Connection {
        handle,
        ending,
        endpoint: endpoint.clone(),
        warnings: warnings.clone(),
        deadlines: deadlines.clone(),
        _lifeline: lifeline,
        through,
    })
}

fn config(deadlines: &Deadlines, preferred: Preferred) -> client::Config {
    client::Config {
        client_id: SshId::Standard(CLIENT_ID.into()),
        // Up to 2 MiB in flight per channel: 100 Mbit/s at 160 ms. Messages beyond the buffer stop
        // us reading from TCP, so this bounds memory, too.
        window_size: 2 << 20,
        maximum_packet_size: 32 << 10,
        channel_buffer_size: 64,
        preferred,
        keepalive_interval: Some(deadlines.keepalive),
        keepalive_max: deadlines.keepalives,
        // A command may be silent for hours; keepalives tell whether its host is there.
        inactivity_timeout: None,
        nodelay: true,
        ..client::Config::default()
    }
}

fn exchange_stage(lifeline: &Lifeline) -> Stage {
    if lifeline.peer_spoke() {
        Stage::KeyExchange
    } else {
        Stage::Banner
    }
}

/// Says what went wrong before the keys were agreed.
fn exchange_failed(endpoint: &Endpoint, lifeline: &Lifeline, ending: &Ending, error: ClientError) -> ConnectError {
    let endpoint = endpoint.clone();
    match error {
        ClientError::HostKey(refusal) => match *refusal {
            Refusal::Unknown(offered) => ConnectError::HostKeyUnknown { endpoint, offered },
            Refusal::Changed { expected, offered } => ConnectError::HostKeyChanged {
                endpoint,
                expected,
                offered,
            },
            Refusal::Revoked { offered, place } => ConnectError::HostKeyRevoked {
                endpoint,
                offered,
                place,
            },
            Refusal::Weak { offered, bits } => ConnectError::HostKeyWeak {
                endpoint,
                offered,
                bits,
            },
        },
        ClientError::Truncatable => ConnectError::Truncatable { endpoint },
        ClientError::Russh(russh::Error::NoCommonAlgo { kind, theirs, .. }) => {
            let what = match kind {
                AlgorithmKind::Kex => "key exchange",
                AlgorithmKind::Key => "host key",
                AlgorithmKind::Cipher => "cipher",
                AlgorithmKind::Compression => "compression",
                AlgorithmKind::Mac => "MAC",
            };
            ConnectError::NoCommonAlgorithm {
                endpoint,
                what,
                offered: Untrusted::new(theirs.join(",")),
            }
        }
        ClientError::Russh(error) => {
            if let Some(said) = lifeline.turned_away() {
                let said = Untrusted::new(said.trim_ascii());
                return ConnectError::Ungreeted { endpoint, said };
            }
            let ended = ending.get().unwrap_or_else(|| match error {
                russh::Error::HUP | russh::Error::Disconnect => Ended::ByHost(Untrusted::new("")),
                other => Ended::Broken((&other).into()),
            });
            ended_early(&endpoint, exchange_stage(lifeline), Some(ended))
        }
    }
}

/// Says how a connection ended that was not ready yet.
fn ended_early(endpoint: &Endpoint, stage: Stage, ended: Option<Ended>) -> ConnectError {
    let endpoint = endpoint.clone();
    match ended {
        Some(Ended::Broken(source)) => ConnectError::Protocol {
            endpoint,
            stage,
            source,
        },
        Some(Ended::ByHost(message)) => ConnectError::Closed {
            endpoint,
            stage,
            message,
        },
        None => {
            let source = ProtocolError::new("the connection was lost");
            ConnectError::Protocol {
                endpoint,
                stage,
                source,
            }
        }
    }
}

impl Connection {
    /// Opens a TCP stream from this host to another.
    async fn open_tcp(
        &self,
        endpoint: &Endpoint,
        limit: Duration,
    ) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static, ConnectError> {
        let opening = self
            .handle
            .channel_open_direct_tcpip(&endpoint.host, endpoint.port.into(), "127.0.0.1", 0);
        let stage = Stage::Tcp;
        match timeout(limit, opening).await {
            Ok(Ok(channel)) => Ok(channel.into_stream()),
            Ok(Err(russh::Error::ChannelOpenFailure(reason))) => Err(ConnectError::JumpRefused {
                endpoint: endpoint.clone(),
                via: self.endpoint.clone(),
                reason: match reason {
                    ChannelOpenFailure::AdministrativelyProhibited => "it does not allow forwarding",
                    ChannelOpenFailure::ConnectFailed => "it cannot connect",
                    _ => "it will not open a channel",
                },
            }),
            Ok(Err(_)) => Err(ended_early(&self.endpoint, stage, self.ending.get())),
            Err(_) => Err(ConnectError::TimedOut {
                endpoint: endpoint.clone(),
                stage,
                limit,
            }),
        }
    }
}
