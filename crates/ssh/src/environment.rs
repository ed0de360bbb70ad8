//! What the surroundings of this process contribute to a connection: home, user, agent, files.
//! Nothing else in this crate reads environment variables, and tests pass their own.

use std::{fs, path::PathBuf};

/// The process's surroundings, as values.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Home directory: what `~` and `%d` mean.
    pub home: Option<PathBuf>,
    /// The local user's name: the default remote user, and `%u`.
    pub local_user: String,
    /// The ssh-agent's socket.
    pub agent_socket: Option<PathBuf>,
    /// The user's ssh_config; read first. An absent file is an empty one.
    pub ssh_config: Option<PathBuf>,
    /// The system's ssh_config; read second.
    pub system_ssh_config: Option<PathBuf>,
    /// known_hosts files used where ssh_config has no `UserKnownHostsFile`.
    pub user_known_hosts: Vec<PathBuf>,
    /// known_hosts files used where ssh_config has no `GlobalKnownHostsFile`.
    pub global_known_hosts: Vec<PathBuf>,
}

impl Environment {
    /// Reads the surroundings of this process, with OpenSSH's file names.
    ///
    /// The home directory is `$HOME`, otherwise the password file's. The user is the password file's
    /// entry of the real user id, otherwise `$USER` or `$LOGNAME`.
    pub fn from_process() -> Self {
        let account = password_entry(rustix::process::getuid().as_raw());
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let text = |name| variable(name).and_then(|value| value.into_string().ok());
        let home = variable("HOME")
            .map(PathBuf::from)
            .or_else(|| account.as_ref().map(|(_, home)| PathBuf::from(home)));
        let dot_ssh = home.as_ref().map(|home| home.join(".ssh"));
        let local_user = account
            .map(|(user, _)| user)
            .or_else(|| text("USER"))
            .or_else(|| text("LOGNAME"))
            .unwrap_or_default();
        Self {
            local_user,
            agent_socket: variable("SSH_AUTH_SOCK").map(PathBuf::from),
            ssh_config: dot_ssh.as_ref().map(|dir| dir.join("config")),
            system_ssh_config: Some(PathBuf::from("/etc/ssh/ssh_config")),
            user_known_hosts: dot_ssh
                .iter()
                .flat_map(|dir| [dir.join("known_hosts"), dir.join("known_hosts2")])
                .collect(),
            global_known_hosts: ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"]
                .map(PathBuf::from)
                .to_vec(),
            home,
        }
    }
}

/// Name and home of a user id in the password file. Directory services are not asked: their
/// lookups may block for minutes.
fn password_entry(uid: u32) -> Option<(String, String)> {
    let file = fs::read_to_string("/etc/passwd").ok()?;
    file.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id = fields.nth(1)?;
        let home = fields.nth(2)?;
        (id.parse() == Ok(uid)).then(|| (name.to_owned(), home.to_owned()))
    })
}
