//! Proving who we are: which keys are offered, in which order, and when to stop.
//! Public keys only: no passwords, no questions, no certificates, no agent forwarding.

use std::path::PathBuf;

use russh::{
    client::{AuthResult, Handle},
    keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKey},
};

use crate::{
    Untrusted,
    agent::{Agent, AgentError},
    client::{Client, Ended, Ending},
    error::{AuthRefused, SkipReason, SkippedKey, TriedKey},
    identity::{self, Identity},
    route::Route,
};

/// Keys offered in total. sshd hangs up after six by default, and each refusal counts towards its
/// penalty for our address.
const MAX_ATTEMPTS: usize = 3;

/// Where keys come from.
pub(crate) struct Keys<'a> {
    pub(crate) route: &'a Route,
    pub(crate) default_files: Vec<PathBuf>,
    pub(crate) agent_patience: std::time::Duration,
}

/// Why authentication ended without success.
pub(crate) enum AuthFailure {
    Refused(Box<AuthRefused>),
    Ended(Option<Ended>),
}

/// Offers keys until one is accepted: first those that files name, then whatever else the agent
/// holds, unless `IdentitiesOnly`. The agent is not disturbed if a file's key is accepted.
pub(crate) async fn authenticate(
    handle: &mut Handle<Client>,
    keys: &Keys<'_>,
    ending: &Ending,
) -> Result<(), AuthFailure> {
    let mut offer = Offer {
        handle,
        keys,
        ending,
        agent: AgentState::NotAsked,
        refused: AuthRefused {
            endpoint: keys.route.endpoint.clone(),
            tried: Vec::new(),
            skipped: Vec::new(),
            allowed: Vec::new(),
            partial: false,
            message: Untrusted::new(""),
        },
        offered: Vec::new(),
    };
    let named = !keys.route.identity_files.is_empty();
    let files = if named {
        &keys.route.identity_files
    } else {
        &keys.default_files
    };
    for path in files {
        let accepted = match identity::read(path) {
            Ok(Identity::Private { key, path }) => {
                offer
                    .private(PrivateKeyWithHashAlg::new(key, Some(HashAlg::Sha512)), path)
                    .await?
            }
            Ok(Identity::Public { key, path, missing }) => offer.public(key, path, missing).await?,
            Err(SkippedKey {
                reason: SkipReason::Absent,
                ..
            }) if !named => false,
            Err(skipped) => {
                offer.refused.skipped.push(skipped);
                false
            }
        };
        if accepted {
            return Ok(());
        }
    }
    if !keys.route.identities_only && offer.rest_of_agent().await? {
        return Ok(());
    }
    Err(AuthFailure::Refused(Box::new(offer.refused)))
}

enum AgentState {
    NotAsked,
    Useless,
    Ready(Agent, Vec<PublicKey>),
}

/// One series of offers on one connection. Its methods say whether a key was accepted.
struct Offer<'a> {
    handle: &'a mut Handle<Client>,
    keys: &'a Keys<'a>,
    ending: &'a Ending,
    agent: AgentState,
    refused: AuthRefused,
    /// Keys offered already: an agent often holds the key that a file names.
    offered: Vec<PublicKey>,
}

impl Offer<'_> {
    async fn private(&mut self, key: PrivateKeyWithHashAlg, path: PathBuf) -> Result<bool, AuthFailure> {
        let public = key.public_key().clone();
        if !self.admits(&public, &path.display().to_string()) {
            return Ok(false);
        }
        let user = self.keys.route.endpoint.user.clone();
        match self.handle.authenticate_publickey(user, key).await {
            Ok(result) => self.judge(result, &public, path.display().to_string()),
            Err(_) => Err(AuthFailure::Ended(self.ending.get())),
        }
    }

    async fn public(&mut self, key: PublicKey, path: PathBuf, missing: SkipReason) -> Result<bool, AuthFailure> {
        self.ask_agent().await;
        let held =
            matches!(&self.agent, AgentState::Ready(_, held) if held.iter().any(|k| k.key_data() == key.key_data()));
        if held {
            return self.by_agent(key, format!("{} (ssh-agent)", path.display())).await;
        }
        self.refused.skipped.push(SkippedKey {
            origin: path.display().to_string(),
            reason: missing,
        });
        Ok(false)
    }

    async fn rest_of_agent(&mut self) -> Result<bool, AuthFailure> {
        self.ask_agent().await;
        let AgentState::Ready(_, held) = &self.agent else {
            return Ok(false);
        };
        for key in held.clone() {
            if self.by_agent(key, "ssh-agent".to_owned()).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn by_agent(&mut self, key: PublicKey, origin: String) -> Result<bool, AuthFailure> {
        if !self.admits(&key, &origin) {
            return Ok(false);
        }
        let AgentState::Ready(agent, _) = &mut self.agent else {
            return Ok(false);
        };
        let hash = matches!(key.algorithm(), Algorithm::Rsa { .. }).then_some(HashAlg::Sha512);
        let user = self.keys.route.endpoint.user.clone();
        match self
            .handle
            .authenticate_publickey_with(user, key.clone(), hash, agent)
            .await
        {
            Ok(result) => self.judge(result, &key, origin),
            Err(AgentError::Closed) => Err(AuthFailure::Ended(self.ending.get())),
            Err(error) => {
                let reason = SkipReason::Agent(error.to_string());
                self.refused.skipped.push(SkippedKey { origin, reason });
                Ok(false)
            }
        }
    }

    /// Connects to the agent, once.
    async fn ask_agent(&mut self) {
        if !matches!(self.agent, AgentState::NotAsked) {
            return;
        }
        self.agent = AgentState::Useless;
        let Some(path) = &self.keys.route.agent_socket else {
            return;
        };
        let listed = async {
            let patience = self.keys.agent_patience;
            let mut agent = Agent::connect(path, patience, self.handle.agent_session_binding()).await?;
            let held = agent.keys().await?;
            Ok::<_, AgentError>((agent, held))
        };
        match listed.await {
            Ok((agent, held)) => self.agent = AgentState::Ready(agent, held),
            Err(error) => self.refused.skipped.push(SkippedKey {
                origin: "ssh-agent".to_owned(),
                reason: SkipReason::Agent(error.to_string()),
            }),
        }
    }

    /// False for a key that was offered before, and once enough keys were.
    fn admits(&mut self, key: &PublicKey, origin: &str) -> bool {
        if self.offered.iter().any(|offered| offered.key_data() == key.key_data()) {
            return false;
        }
        if self.offered.len() >= MAX_ATTEMPTS {
            let skipped = SkippedKey {
                origin: origin.to_owned(),
                reason: SkipReason::Enough,
            };
            if !self.refused.skipped.contains(&skipped) {
                self.refused.skipped.push(skipped);
            }
            return false;
        }
        self.offered.push(key.clone());
        true
    }

    fn judge(&mut self, result: AuthResult, key: &PublicKey, origin: String) -> Result<bool, AuthFailure> {
        let (methods, partial) = match result {
            AuthResult::Success => return Ok(true),
            AuthResult::Failure {
                remaining_methods,
                partial_success,
            } => (remaining_methods, partial_success),
        };
        self.refused.allowed = methods.iter().map(Into::into).collect();
        self.refused.partial |= partial;
        if !partial {
            let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
            self.refused.tried.push(TriedKey { fingerprint, origin });
        }
        // russh reports a lost connection as a failure without methods.
        match self.ending.get() {
            Some(Ended::ByHost(message)) => {
                self.refused.message = message;
                Err(AuthFailure::Refused(Box::new(self.refused.clone())))
            }
            Some(broken) if methods.is_empty() => Err(AuthFailure::Ended(Some(broken))),
            _ if partial || !self.refused.allowed.contains(&"publickey") => {
                Err(AuthFailure::Refused(Box::new(self.refused.clone())))
            }
            _ => Ok(false),
        }
    }
}
