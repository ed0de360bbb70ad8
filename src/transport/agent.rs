//! The agent's programs, and the constant command lines that start and install them. It does not talk to a running one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use provision_core::model::Digest;

/// The agent for the controller's own architecture, built by `build.rs`.
static EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/provision-agent"));

/// A directory with agents for other architectures (`provision-agent-aarch64`), or of another build.
const DIRECTORY: &str = "PROVISION_AGENT_DIR";

/// What their names begin with there; the rest is the architecture.
const PREFIX: &str = "provision-agent-";

/// Where agents are on hosts, each in a directory that its digest names.
const AGENTS: &str = "/var/lib/provision/agents";

/// The agents that there are, by the architecture that `uname -m` says.
#[derive(Debug)]
pub struct Agents(BTreeMap<String, Agent>);

/// The agent for one architecture.
#[derive(Clone, Debug)]
pub struct Agent {
    digest: Digest,
    /// `None` is the embedded one.
    file: Option<PathBuf>,
}

/// Why there is no agent for a host.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The file or its directory is there and cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No agent for that architecture.
    #[error("there is no agent for {arch}")]
    Architecture {
        /// As `uname -m` says it.
        arch: String,
    },
}

impl Agents {
    /// Those of `PROVISION_AGENT_DIR`, and the embedded one. They are looked for once per process: they are the same for
    /// every host.
    ///
    /// # Errors
    /// [`AgentError::Read`].
    pub fn here() -> Result<&'static Self, &'static AgentError> {
        static HERE: OnceLock<Result<Agents, AgentError>> = OnceLock::new();
        HERE.get_or_init(|| Self::with(std::env::var_os(DIRECTORY).map(PathBuf::from).as_deref()))
            .as_ref()
    }

    fn with(directory: Option<&Path>) -> Result<Self, AgentError> {
        let mut agents = match directory {
            Some(directory) => in_directory(directory)?,
            None => BTreeMap::new(),
        };
        agents
            .entry(std::env::consts::ARCH.to_owned())
            .or_insert_with(|| Agent {
                digest: Digest::of(EMBEDDED),
                file: None,
            });
        Ok(Self(agents))
    }

    /// The agent for a host of this architecture.
    ///
    /// # Errors
    /// [`AgentError::Architecture`].
    pub fn of(&self, arch: &str) -> Result<&Agent, AgentError> {
        self.0
            .get(arch)
            .ok_or_else(|| AgentError::Architecture { arch: arch.to_owned() })
    }

    /// Starts a session with whichever of the agents the host has. Only the right one can be there, for the others are never
    /// brought, so it takes no question and no round trip. The line is constant: no user data is ever in it.
    #[must_use]
    pub fn session_command(&self, privilege: &str) -> String {
        let digests: Vec<String> = self.0.values().map(|agent| agent.digest.to_string()).collect();
        match &digests[..] {
            [only] => format!("exec {privilege}{AGENTS}/{only}/provision-agent session"),
            several => {
                let script = format!(
                    "for one in {}; do one={AGENTS}/$one/provision-agent; [ -x $one ] && exec $one session; done; exit 127",
                    several.join(" ")
                );
                format!("exec {privilege}sh -c {}", super::quote(&[script]))
            }
        }
    }

    /// Takes the program of one of the agents on standard input and puts it in place once length and SHA-256 are right: a
    /// connection that is cut on the way leaves nothing that could be started. Agents for other architectures go (a disk may
    /// have moved), and so do those of other builds, but for the newest few and the one that the boot unit of secrets starts.
    #[must_use]
    pub fn install_command(&self, agent: &Agent, length: usize, privilege: &str) -> String {
        let sha256 = agent.digest;
        let others: String = self
            .0
            .values()
            .filter(|other| other.digest != sha256)
            .map(|other| format!("rm -rf $all/{}; ", other.digest))
            .collect();
        let script = format!(
            "set -e; umask 077; all={AGENTS}; dir=$all/{sha256}; mkdir -p $dir; \
             new=$(mktemp $dir/.upload.XXXXXXXX); trap \"rm -f $new\" EXIT; head -c {length} > $new; \
             [ \"$(wc -c < $new)\" -eq {length} ] || {{ echo \"the agent was cut on the way\" >&2; exit 74; }}; \
             [ \"$(sha256sum < $new)\" = \"{sha256}  -\" ] || {{ echo \"the agent was changed on the way\" >&2; exit 74; }}; \
             chmod 0755 $new; sync $new; mv -f $new $dir/provision-agent; trap - EXIT; {others}\
             keep=$(readlink /var/lib/provision/agent || true); \
             ls -1t $all | tail -n +6 | while read -r old; do case \"$keep\" in \"$all/$old/\"*) ;; *) rm -rf \"$all/$old\";; esac; done"
        );
        format!("exec {privilege}sh -c {}", super::quote(&[script]))
    }
}

/// The agents of a directory; none where there is no such directory.
fn in_directory(directory: &Path) -> Result<BTreeMap<String, Agent>, AgentError> {
    let failed = |path: &Path, source| AgentError::Read {
        path: path.to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(source) => return Err(failed(directory, source)),
    };
    let mut agents = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(|source| failed(directory, source))?;
        let name = entry.file_name();
        let Some(arch) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
            continue;
        };
        // Checksums and signatures lie beside them.
        if arch.is_empty() || !arch.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            continue;
        }
        let path = entry.path();
        let bytes = std::fs::read(&path).map_err(|source| failed(&path, source))?;
        let agent = Agent {
            digest: Digest::of(&bytes),
            file: Some(path),
        };
        agents.insert(arch.to_owned(), agent);
    }
    Ok(agents)
}

impl Agent {
    /// The program.
    ///
    /// # Errors
    /// [`AgentError::Read`].
    pub fn bytes(&self) -> Result<Cow<'static, [u8]>, AgentError> {
        let Some(path) = &self.file else {
            return Ok(Cow::Borrowed(EMBEDDED));
        };
        let bytes = std::fs::read(path).map_err(|source| AgentError::Read {
            path: path.clone(),
            source,
        })?;
        Ok(Cow::Owned(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn the_embedded_agent_is_started_without_a_shell_in_between() {
        let agents = Agents::with(None).unwrap();
        let digest = Digest::of(EMBEDDED);
        assert_eq!(
            agents.session_command("sudo -n -- "),
            format!("exec sudo -n -- {AGENTS}/{digest}/provision-agent session")
        );
        assert_eq!(agents.of(std::env::consts::ARCH).unwrap().bytes().unwrap(), EMBEDDED);
        assert!(agents.of("z80").is_err());
    }

    #[test]
    fn of_several_agents_one_line_starts_the_one_that_is_there() {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("aarch64", "arm"),
            ("x86_64", "amd"),
            ("x86_64.sha256", "no agent"),
            ("", "nor this"),
        ] {
            fs::write(directory.path().join(format!("{PREFIX}{name}")), text).unwrap();
        }
        let agents = Agents::with(Some(directory.path())).unwrap();
        assert_eq!(agents.of("aarch64").unwrap().digest, Digest::of(b"arm"));
        assert_eq!(*agents.of("x86_64").unwrap().bytes().unwrap(), *b"amd");

        // The line as every host's login shell gets it, on a host whose agents are in a directory of this test's.
        let host = tempfile::tempdir().unwrap();
        let line = agents
            .session_command("")
            .replace(AGENTS, host.path().to_str().unwrap());
        let start = || Command::new("sh").args(["-c", &line]).output().unwrap();
        assert_eq!(start().status.code(), Some(127), "none is there");
        for text in ["arm", "amd"] {
            let digest = Digest::of(text.as_bytes());
            let place = host.path().join(digest.to_string());
            fs::create_dir(&place).unwrap();
            let program = place.join("provision-agent");
            fs::write(&program, format!("#!/bin/sh\necho {text} $1\n")).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
            assert_eq!(String::from_utf8(start().stdout).unwrap(), format!("{text} session\n"));
            fs::remove_dir_all(&place).unwrap();
        }
    }

    #[test]
    fn a_directory_that_is_not_there_has_no_agents() {
        let agents = Agents::with(Some(Path::new("/no/such/directory"))).unwrap();
        assert_eq!(agents.0.len(), 1);
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(Agents::with(Some(file.path())), Err(AgentError::Read { .. })));
    }
}
