//! Our side of the SSH protocol's questions: is this host key right, is this agreement fit for use,
//! may the server open a channel (never). It does not start anything by itself.

use std::sync::{Arc, Mutex, PoisonError};

use russh::{
    Channel, ChannelId, ChannelOpenFailure, Names,
    client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session},
    keys::PublicKeyOrCertificate,
};

use crate::{
    Untrusted, algorithms,
    error::ProtocolError,
    host_key::{Refusal, Trust},
};

/// Why a connection ended, told by its task to those who use it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ending(Arc<Mutex<Option<Ended>>>);

/// Why a connection ended.
#[derive(Clone, Debug)]
pub(crate) enum Ended {
    /// The host said goodbye.
    ByHost(Untrusted),
    /// The connection or the protocol broke.
    Broken(ProtocolError),
}

impl Ending {
    pub(crate) fn get(&self) -> Option<Ended> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, ended: Ended) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
    }
}

/// What our side ends a handshake with.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// The host key is refused.
    HostKey(Box<Refusal>),
    /// An attacker could cut packets out.
    Truncatable,
    /// russh's own errors.
    Russh(russh::Error),
}

impl From<russh::Error> for ClientError {
    fn from(error: russh::Error) -> Self {
        Self::Russh(error)
    }
}

/// Answers the server's questions on one connection.
pub(crate) struct Client {
    pub(crate) trust: Trust,
    pub(crate) ending: Ending,
}

async fn refuse(reply: ChannelOpenHandle) -> Result<(), ClientError> {
    reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
    Ok(())
}

impl Handler for Client {
    type Error = ClientError;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, ClientError> {
        // A certificate never arrives, as we offer no certificate algorithm; if one did, its inner key
        // proves nothing.
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else {
            return Ok(false);
        };
        self.trust
            .check(key)
            .map_err(|refusal| ClientError::HostKey(Box::new(refusal)))?;
        Ok(true)
    }

    async fn kex_done(
        &mut self,
        _shared_secret: Option<&[u8]>,
        names: &Names,
        _session: &mut Session,
    ) -> Result<(), ClientError> {
        if algorithms::resists_truncation(names) {
            Ok(())
        } else {
            Err(ClientError::Truncatable)
        }
    }

    async fn disconnected(&mut self, reason: DisconnectReason<ClientError>) -> Result<(), ClientError> {
        self.ending.set(match reason {
            DisconnectReason::ReceivedDisconnect(info) => Ended::ByHost(Untrusted::new(info.message)),
            DisconnectReason::Error(ClientError::Russh(error)) => Ended::Broken((&error).into()),
            DisconnectReason::Error(ClientError::Truncatable) => {
                Ended::Broken(ProtocolError::new("new keys without protection against truncation"))
            }
            DisconnectReason::Error(ClientError::HostKey(_)) => {
                Ended::Broken(ProtocolError::new("another host key than before"))
            }
        });
        Ok(())
    }

    // russh accepts whatever a server opens unless each of these is overridden.

    async fn should_accept_unknown_server_channel(&mut self, _: ChannelId, _: &str) -> bool {
        false
    }

    async fn server_channel_open_unknown(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        refuse(reply).await
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        refuse(reply).await
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        refuse(reply).await
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        refuse(reply).await
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        refuse(reply).await
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        refuse(reply).await
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        refuse(reply).await
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        refuse(reply).await
    }
}
