//! The agent's programs, and the constant command lines that start and install them. It does not talk to a running one.

use std::path::PathBuf;
use std::sync::OnceLock;

use provision_core::model::Digest;

/// The agent for the controller's own architecture, built by `build.rs`.
static EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/provision-agent"));

/// A directory with agents for other architectures (`provision-agent-aarch64`), or of another build.
const DIRECTORY: &str = "PROVISION_AGENT_DIR";

/// The agent for one architecture.
#[derive(Clone)]
pub struct Agent {
    bytes: std::borrow::Cow<'static, [u8]>,
    digest: Digest,
}

/// Why there is no agent for a host.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The file is there and cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No agent for that architecture.
    #[error("there is no agent for {arch}")]
    Architecture {
        /// As `uname -m` says it.
        arch: String,
    },
}

impl Agent {
    /// The agent for a host of this architecture: from `PROVISION_AGENT_DIR`, otherwise the embedded one.
    ///
    /// # Errors
    /// [`AgentError`] where there is none.
    pub fn for_arch(arch: &str) -> Result<Self, AgentError> {
        if let Some(directory) = std::env::var_os(DIRECTORY) {
            let path = PathBuf::from(directory).join(format!("provision-agent-{arch}"));
            match std::fs::read(&path) {
                Ok(bytes) => {
                    let digest = Digest::of(&bytes);
                    return Ok(Self {
                        bytes: bytes.into(),
                        digest,
                    });
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(AgentError::Read { path, source }),
            }
        }
        if arch == std::env::consts::ARCH {
            // Hashed once per process: it is the same for every host.
            static DIGEST: OnceLock<Digest> = OnceLock::new();
            let digest = *DIGEST.get_or_init(|| Digest::of(EMBEDDED));
            return Ok(Self {
                bytes: EMBEDDED.into(),
                digest,
            });
        }
        Err(AgentError::Architecture { arch: arch.to_owned() })
    }

    /// The program.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Starts a session with it. The line is constant for a build: no user data is ever in it.
    #[must_use]
    pub fn session_command(&self, privilege: &str) -> String {
        format!(
            "exec {privilege}/var/lib/provision/agents/{}/provision-agent session",
            self.digest
        )
    }

    /// Takes the program on standard input and puts it in place once length and SHA-256 are right: a connection that is
    /// cut on the way leaves nothing that could be started. Agents of other builds go, but for the newest few.
    #[must_use]
    pub fn install_command(&self, privilege: &str) -> String {
        let (sha256, length) = (self.digest, self.bytes.len());
        let script = format!(
            "set -e; umask 077; all=/var/lib/provision/agents; dir=$all/{sha256}; mkdir -p $dir; \
             new=$(mktemp $dir/.upload.XXXXXXXX); trap \"rm -f $new\" EXIT; head -c {length} > $new; \
             [ \"$(wc -c < $new)\" -eq {length} ] || {{ echo \"the agent was cut on the way\" >&2; exit 74; }}; \
             [ \"$(sha256sum < $new)\" = \"{sha256}  -\" ] || {{ echo \"the agent was changed on the way\" >&2; exit 74; }}; \
             chmod 0755 $new; sync $new; mv -f $new $dir/provision-agent; trap - EXIT; \
             ls -1t $all | tail -n +6 | while read -r old; do rm -rf \"$all/$old\"; done"
        );
        format!("exec {privilege}sh -c {}", super::quote(&[script]))
    }
}
