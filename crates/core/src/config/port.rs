//! Claims of ports as they are written: which ports what is declared beside them listens on. Whether two of them clash is
//! known only once a host is resolved.

use super::code::Code;
use super::decode;
use super::diagnostic::Diagnostic;
use super::scalar::{Port, Problem, Scalar, is_template, one_of};
use super::source::{Span, Spanned};
use super::tree::{Node, Table, Value};

/// Which of the two kinds of port it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl Scalar for Protocol {
    const NOUN: &'static str = "\"tcp\" or \"udp\"";

    fn from_text(text: &str) -> Result<Self, Problem> {
        match text {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            other => Err(one_of(other, &["tcp", "udp"])),
        }
    }
}

/// `[ports.NAME]`: ports that are taken.
#[derive(Clone, Debug)]
pub struct PortClaim {
    /// What takes it, in a word.
    pub name: Spanned<String>,
    /// The port, and further ones that follow from it; each a number, or a template that renders to one.
    pub ports: Vec<Node>,
    /// How many ports from the first one on are taken, 1 where nothing is said.
    pub count: u32,
    /// The paths that tell over HTTP how what listens there is, maybe templates; none where nothing is said.
    pub health: Vec<Spanned<String>>,
    /// TCP where nothing is said.
    pub protocol: Protocol,
    /// The address that is listened on, maybe a template; all of them where nothing is said.
    pub address: Option<Spanned<String>>,
    /// An expression; where it does not hold, nothing is taken.
    pub when: Option<Spanned<String>>,
}

const KEYS: &[&str] = &["port", "count", "also", "health", "protocol", "address", "when"];

/// The most ports that one claim takes in a row.
const MOST: u32 = 1024;

/// Reads `[ports.…]`.
pub(super) fn ports(document: &Table, found: &mut Vec<Diagnostic>) -> Vec<PortClaim> {
    let Some(entry) = document.get("ports") else {
        return Vec::new();
    };
    let Some(table) = decode::table(&entry.node, "a table of ports by name", found) else {
        return Vec::new();
    };
    let mut claims = Vec::new();
    for entry in &table.entries {
        let name = entry.key.clone();
        // `http = 80` says as much as `[ports.http] port = 80`.
        if let Value::Integer(_) | Value::String(_) = &entry.node.value {
            check(&entry.node, found);
            claims.push(PortClaim {
                name,
                ports: vec![entry.node.clone()],
                count: 1,
                health: Vec::new(),
                protocol: Protocol::Tcp,
                address: None,
                when: None,
            });
            continue;
        }
        let Some(table) = decode::table(&entry.node, "a port, or a table about one", found) else {
            continue;
        };
        decode::only(table, KEYS, "a port", found);
        claims.extend(claim(name, table, found));
    }
    claims
}

fn claim(name: Spanned<String>, table: &Table, found: &mut Vec<Diagnostic>) -> Option<PortClaim> {
    let protocol = decode::optional::<Protocol>(table, "protocol", found);
    let address = decode::optional::<String>(table, "address", found);
    let when = decode::optional::<String>(table, "when", found);
    let count = decode::optional::<u32>(table, "count", found);
    if let Some(count) = count.as_ref().filter(|count| !(1..=MOST).contains(&count.value)) {
        let problem = Problem::invalid(format!("a claim is of 1 to {MOST} ports, and not of {}", count.value));
        found.push(decode::finding(problem, count.span));
    }
    let health = health(table, found);
    let Some(port) = table.get("port") else {
        found.push(decode::missing("port", "a port", Port::NOUN, name.span, table));
        return None;
    };
    let mut ports = vec![port.node.clone()];
    if let Some(also) = table.get("also") {
        match &also.node.value {
            Value::Array(items) => ports.extend(items.iter().cloned()),
            other => found.push(decode::finding(
                Problem::wrong_type("a list of ports", other),
                also.node.span,
            )),
        }
    }
    for port in &ports {
        check(port, found);
    }
    Some(PortClaim {
        name,
        ports,
        health,
        count: count.map_or(1, |count| count.value.clamp(1, MOST)),
        protocol: protocol.map_or(Protocol::Tcp, |protocol| protocol.value),
        address,
        when,
    })
}

fn health(table: &Table, found: &mut Vec<Diagnostic>) -> Vec<Spanned<String>> {
    let Some(entry) = table.get("health") else {
        return Vec::new();
    };
    let items = match &entry.node.value {
        Value::Array(items) => items.as_slice(),
        other => {
            let problem = Problem::wrong_type("a list of paths", other);
            found.push(decode::finding(problem, entry.node.span));
            return Vec::new();
        }
    };
    let mut paths = Vec::new();
    for item in items {
        match &item.value {
            Value::String(path) if path.starts_with('/') || is_template(path) => {
                paths.push(Spanned::new(path.clone(), item.span));
            }
            Value::String(path) => {
                let problem = Problem::invalid(format!("`{}` is no path of a URL", super::scalar::shown(path)));
                found.push(decode::finding(
                    problem.help("it begins with \"/\", such as \"/healthz\""),
                    item.span,
                ));
            }
            other => found.push(decode::finding(Problem::wrong_type("a path", other), item.span)),
        }
    }
    paths
}

fn check(port: &Node, found: &mut Vec<Diagnostic>) {
    match &port.value {
        Value::String(text) if is_template(text) => {}
        value => {
            if let Err(problem) = Port::from_value(value) {
                found.push(decode::finding(problem, port.span));
            }
        }
    }
}

/// Reads a port from what a template rendered to.
///
/// # Errors
/// [`Problem`] where it is none.
pub(crate) fn port_from_text(text: &str) -> Result<u16, Problem> {
    Port::from_text(text).map(|Port(port)| port)
}

/// The finding that one port is claimed twice.
pub(crate) fn port_twice(port: u16, protocol: Protocol, claims: [(&str, Span); 2]) -> Diagnostic {
    let [(first, before), (second, span)] = claims;
    let message = format!(
        "port {port}/{} is taken twice: by {first} and by {second}",
        protocol.name()
    );
    Diagnostic::error(Code::PortTwice, message, span, format!("{port} for {second}"))
        .also(before, format!("{port} for {first}"))
        .because("only one of them could listen on it; the other would fail when it starts")
        .help("give one of them another port")
}
