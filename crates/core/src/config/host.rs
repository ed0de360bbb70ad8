//! Host files as they are written. What they mean together with the modules they import is not known here.

use std::collections::BTreeSet;

use base64::Engine as _;

use crate::model::{AbsPath, AfterReboot, Connection, HostName, Machine};

use super::code::Code;
use super::decode;
use super::diagnostic::Diagnostic;
use super::import::{Import, imports};
use super::port::{PortClaim, ports};
use super::resource::{Declaration, declarations};
use super::scalar::{Port, Problem, Scalar, one_of, shown};
use super::setting::{Setting, settings};
use super::source::Spanned;
use super::tree::{Entry, Table, Value};
use super::word::{UserName, check_tag};

/// A host as it is written.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name, which is its file's.
    pub name: HostName,
    /// Its file, relative to the project's root.
    pub file: String,
    /// How it is reached.
    pub connection: Connection,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// Where its secrets lie and what becomes of them.
    pub secrets: SecretSettings,
    /// The cloud server under it.
    pub machine: Option<Machine>,
    /// The modules it uses.
    pub imports: Vec<Import>,
    /// The values it gives to their options.
    pub settings: Vec<Setting>,
    /// Its own resources, in the order of the file.
    pub resources: Vec<Declaration>,
    /// Names of secrets that must not be on it.
    pub forbid: Vec<Spanned<String>>,
    /// The ports that it says are taken.
    pub ports: Vec<PortClaim>,
    /// Whether something is wrong with the file itself.
    pub broken: bool,
    /// Whether it is not even TOML, so that nothing can be said about what is missing in it.
    pub unreadable: bool,
}

/// The keys of a host file that are no table of resources.
const KEYS: [&str; 9] = [
    "imports", "forbid", "host", "hetzner", "aws", "set", "default", "force", "ports",
];
const HOST_KEYS: &[&str] = &[
    "address",
    "port",
    "user",
    "host_key",
    "identity_file",
    "jump",
    "tags",
    "connection",
    "secrets_directory",
    "secrets_after_reboot",
];
const SSH_KEYS: &[&str] = &["address", "port", "user", "host_key", "identity_file", "jump"];

/// What a host file says of the host's secrets in general.
#[derive(Clone, Debug)]
pub struct SecretSettings {
    /// The link to their files.
    pub directory: Option<AbsPath>,
    /// What happens when the host's memory is lost.
    pub after_reboot: Option<Spanned<AfterReboot>>,
}

impl Host {
    /// Reads a host file's document.
    pub fn read(name: HostName, file: String, document: &Table, found: &mut Vec<Diagnostic>) -> Self {
        let before = found.len();
        let tables = super::sort::tables();
        let known: Vec<_> = KEYS.into_iter().chain(tables).collect();
        decode::only(document, &known, "a host file", found);
        let empty = Table::default();
        let host = document
            .get("host")
            .and_then(|entry| decode::table(&entry.node, "a table about the host", found))
            .unwrap_or(&empty);
        decode::only(host, HOST_KEYS, "[host]", found);
        let mut read = Self {
            name,
            file,
            connection: connection(host, found),
            tags: tags(host, found),
            secrets: secrets(host, found),
            machine: machine(document, found),
            imports: imports(document, found),
            settings: settings(document, found),
            resources: declarations(document, found),
            forbid: decode::texts(document, "forbid", found),
            ports: ports(document, found),
            broken: false,
            unreadable: false,
        };
        read.broken = found.len() > before;
        read
    }

    /// The address that it is known by: what is declared, or its name.
    #[must_use]
    pub fn address(&self) -> &str {
        match &self.connection {
            Connection::Local => "127.0.0.1",
            Connection::Ssh { address, .. } => address.as_deref().unwrap_or(self.name.as_str()),
        }
    }
}

/// How a host is reached, in the words of the configuration.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Ssh,
    Local,
}

impl Scalar for Way {
    const NOUN: &'static str = "\"ssh\" or \"local\"";

    fn from_text(text: &str) -> Result<Self, Problem> {
        match text {
            "ssh" => Ok(Self::Ssh),
            "local" => Ok(Self::Local),
            other => Err(one_of(other, &["ssh", "local"])),
        }
    }
}

/// An address or DNS name. It becomes an argument, so it can neither be an option nor hold white space.
struct Address(String);

impl Scalar for Address {
    const NOUN: &'static str = "an address or DNS name";

    fn from_text(text: &str) -> Result<Self, Problem> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'-' | b'_' | b'%');
        if !text.is_empty() && text.len() <= 253 && !text.starts_with('-') && text.bytes().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        let problem = Problem::invalid(format!("`{}` is not an address or DNS name", shown(text)));
        Err(match text.split_once('@') {
            Some((user, address)) => problem.help(format!("write address = \"{address}\" and user = \"{user}\"")),
            None => problem,
        })
    }
}

/// A jump host, or several with commas, as ssh's `ProxyJump` has them.
struct Jump(String);

impl Scalar for Jump {
    const NOUN: &'static str = "a jump host such as \"user@gate:22\"";

    fn from_text(text: &str) -> Result<Self, Problem> {
        let hop = |hop: &str| {
            let (user, rest) = hop
                .split_once('@')
                .map_or((None, hop), |(user, rest)| (Some(user), rest));
            let user = user.is_none_or(|user| UserName::from_text(user).is_ok());
            let bracketed = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            let (address, port) = match bracketed {
                Some((address, port)) => (address, port.strip_prefix(':')),
                None => rest
                    .rsplit_once(':')
                    .map_or((rest, None), |(address, port)| (address, Some(port))),
            };
            user && Address::from_text(address).is_ok() && port.is_none_or(|port| Port::from_text(port).is_ok())
        };
        if text.split(',').all(hop) {
            Ok(Self(text.to_owned()))
        } else {
            let problem = Problem::invalid(format!("`{}` is not a jump host", shown(text)));
            Err(problem.help("write \"gate.example.org\", or \"user@gate.example.org:22\", or several with commas"))
        }
    }
}

/// A public key as OpenSSH writes it: type, base64, maybe a comment.
struct HostKey(String);

impl Scalar for HostKey {
    const NOUN: &'static str = "a public key such as \"ssh-ed25519 AAAA…\"";

    fn from_text(text: &str) -> Result<Self, Problem> {
        let mut words = text.split_whitespace();
        let (kind, blob) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(blob)
            .unwrap_or_default();
        // The blob begins with the length and the name of its type (RFC 4253, section 6.6).
        let named = bytes
            .get(4..4 + kind.len())
            .is_some_and(|inner| inner == kind.as_bytes());
        let length = bytes
            .first_chunk::<4>()
            .map(|length| u32::from_be_bytes(*length) as usize);
        if !kind.is_empty() && named && length == Some(kind.len()) && bytes.len() > 4 + kind.len() {
            return Ok(Self(format!("{kind} {blob}")));
        }
        let problem = Problem::invalid(format!("`{}` is not a public key in OpenSSH's format", shown(text)));
        let help = if text.starts_with("SHA256:") {
            "this is a fingerprint; the key itself is what /etc/ssh/ssh_host_ed25519_key.pub on the host holds: \"ssh-ed25519 AAAA…\""
        } else {
            "copy the line in /etc/ssh/ssh_host_ed25519_key.pub on the host: \"ssh-ed25519 AAAA…\""
        };
        Err(problem.help(help))
    }
}

/// A private key's path on the controller, absolute, below `~`, or relative to the project.
struct KeyFile(String);

impl Scalar for KeyFile {
    const NOUN: &'static str = "the path of a private key";

    fn from_text(text: &str) -> Result<Self, Problem> {
        if text.starts_with("-----BEGIN") || text.contains('\n') {
            let problem = Problem::invalid("this is a key itself, and a path is wanted");
            return Err(
                problem.help("keep private keys out of the configuration; name the file: \"~/.ssh/id_ed25519\"")
            );
        }
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(Problem::invalid(format!("`{}` is not a path", shown(text))));
        }
        Ok(Self(text.to_owned()))
    }
}

fn connection(host: &Table, found: &mut Vec<Diagnostic>) -> Connection {
    let way = decode::optional::<Way>(host, "connection", found);
    if let Some(way) = &way
        && way.value == Way::Local
    {
        for entry in host
            .entries
            .iter()
            .filter(|entry| SSH_KEYS.contains(&entry.key.value.as_str()))
        {
            let message = format!("`{}` means nothing for the machine itself", entry.key.value);
            let diagnostic = Diagnostic::error(Code::ConflictingKeys, message, entry.key.span, "for SSH");
            found.push(
                diagnostic
                    .also(way.span, "not reached over SSH")
                    .because("it is reached without a network, so the key would be read and do nothing")
                    .help("remove one of the two"),
            );
        }
        return Connection::Local;
    }
    Connection::Ssh {
        address: decode::optional::<Address>(host, "address", found).map(|address| address.value.0),
        port: decode::optional::<Port>(host, "port", found).map(|port| port.value.0),
        user: decode::optional::<UserName>(host, "user", found).map(|user| user.value.0),
        host_keys: one_or_more::<HostKey>(host, "host_key", found)
            .into_iter()
            .map(|key| key.0)
            .collect(),
        identity_files: one_or_more::<KeyFile>(host, "identity_file", found)
            .into_iter()
            .map(|file| file.0)
            .collect(),
        jump: decode::optional::<Jump>(host, "jump", found).map(|jump| jump.value.0),
    }
}

/// A directory of secrets. Below /run, so that nothing of it outlives a reboot, and itself one that nobody else makes.
struct SecretsDirectory(AbsPath);

impl Scalar for SecretsDirectory {
    const NOUN: &'static str = "a directory in /run";

    fn from_text(text: &str) -> Result<Self, Problem> {
        let path = AbsPath::from_text(text)?;
        let name = path.as_str().strip_prefix("/run/").unwrap_or("");
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        // What systemd and others make there themselves.
        let taken = [
            "systemd",
            "lock",
            "user",
            "udev",
            "dbus",
            "sshd",
            "provision",
            "mount",
            "credentials",
        ];
        if !name.is_empty() && name.bytes().all(plain) && !taken.contains(&name) {
            return Ok(Self(path));
        }
        let problem = Problem::invalid(format!("`{}` cannot be the directory of secrets", shown(text)));
        Err(problem.help(
            "it is a name of its own in /run, such as \"/run/agenix\" or \"/run/secrets\": what is there is gone after a reboot",
        ))
    }
}

impl Scalar for AfterReboot {
    const NOUN: &'static str = "\"push\", \"sealed\" or \"fetch\"";

    fn from_text(text: &str) -> Result<Self, Problem> {
        let choice = Self::ALL.into_iter().find(|choice| choice.word() == text);
        choice.ok_or_else(|| one_of(text, &Self::ALL.map(Self::word)))
    }
}

fn secrets(host: &Table, found: &mut Vec<Diagnostic>) -> SecretSettings {
    SecretSettings {
        directory: decode::optional::<SecretsDirectory>(host, "secrets_directory", found)
            .map(|directory| directory.value.0),
        after_reboot: decode::optional::<AfterReboot>(host, "secrets_after_reboot", found),
    }
}

/// A text, or a list of them.
fn one_or_more<T: Scalar>(host: &Table, key: &str, found: &mut Vec<Diagnostic>) -> Vec<T> {
    let Some(Entry { node, .. }) = host.get(key) else {
        return Vec::new();
    };
    let nodes = match &node.value {
        Value::Array(items) => items.iter().collect(),
        _ => vec![node],
    };
    let values = nodes.into_iter().filter_map(|node| decode::literal::<T>(node, found));
    values.map(|value| value.value).collect()
}

fn tags(host: &Table, found: &mut Vec<Diagnostic>) -> BTreeSet<String> {
    let tags = decode::texts(host, "tags", found);
    for tag in &tags {
        if let Err(problem) = check_tag(&tag.value) {
            found.push(decode::finding(problem, tag.span));
        }
    }
    tags.into_iter().map(|tag| tag.value).collect()
}

fn machine(document: &Table, found: &mut Vec<Diagnostic>) -> Option<Machine> {
    let (hetzner, aws) = (document.get("hetzner"), document.get("aws"));
    if let (Some(hetzner), Some(aws)) = (hetzner, aws) {
        let message = "this host would run on two cloud servers";
        let diagnostic = Diagnostic::error(Code::TwoMachines, message, aws.key.span, "and on AWS");
        found.push(
            diagnostic
                .also(hetzner.key.span, "on Hetzner")
                .help("remove one of the two tables"),
        );
    }
    let mut text = |entry: &Entry, of: &str, keys: &[&str], key: &str| {
        let table = decode::table(&entry.node, "a table about the cloud server", found)?;
        // The keys are checked once, with the first of them.
        if keys.first() == Some(&key) {
            decode::only(table, keys, of, found);
        }
        decode::required::<Word>(table, key, of, entry.key.span, found).map(|word| word.value.0)
    };
    if let Some(entry) = hetzner {
        let mut text = |key| text(entry, "[hetzner]", &["type", "location", "image"], key);
        let (server_type, location, image) = (text("type"), text("location"), text("image"));
        return Some(Machine::Hetzner {
            server_type: server_type?,
            location: location?,
            image: image?,
        });
    }
    let mut text = |key| text(aws?, "[aws]", &["type", "region", "image"], key);
    let (instance_type, region, image) = (text("type"), text("region"), text("image"));
    Some(Machine::Aws {
        instance_type: instance_type?,
        region: region?,
        image: image?,
    })
}

/// A word as clouds name things.
struct Word(String);

impl Scalar for Word {
    const NOUN: &'static str = "a name";

    fn from_text(text: &str) -> Result<Self, Problem> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b':');
        if !text.is_empty() && text.len() <= 128 && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Problem::invalid(format!(
                "`{}` is not a name that a cloud gives",
                shown(text)
            )))
        }
    }
}
