//! The ports that a host's modules, groups and own file say are taken: no two may be one. Who really listens is the
//! host's business.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{
    Code, Diagnostic, Node, PortClaim, Protocol, Reported, Span, Value, finding, is_template, port_from_text,
    port_twice, shown,
};
use crate::model::{self, Check, Spec, UnitName};

use super::declared::Declarations;
use super::render::{Renderer, Scope, Written};
use super::trace::By;

/// A port that is taken.
struct Claim {
    /// Who takes it, in words.
    who: String,
    address: Option<String>,
    span: Span,
    /// The declaration it is in, and on whose behalf: one claim does not clash with itself.
    from: (Span, usize),
    /// The name it has, where it is of a group or the host: of those, claims of one name are one.
    own: Option<String>,
}

/// A port whose health is told over HTTP.
pub(super) struct Health {
    pub(super) port: u16,
    /// Who listens there, in words.
    pub(super) who: String,
    /// The paths that tell.
    pub(super) paths: Vec<String>,
    pub(super) span: Span,
}

/// What the claims of a host come to.
pub(super) struct Claimed {
    /// Each port, with the units that its file declares.
    pub(super) ports: Vec<model::PortClaim>,
    /// Those that have paths that tell their health.
    pub(super) healths: Vec<Health>,
}

/// Evaluates all claims, each file's with its scope; reports those that clash.
pub(super) fn find<'a, S: std::ops::Deref<Target = Scope> + 'a>(
    files: impl Iterator<Item = (&'a [PortClaim], &'a S)>,
    units: &BTreeMap<usize, BTreeSet<UnitName>>,
    renderer: &mut Renderer<'_>,
) -> Result<Claimed, Reported> {
    let (mut all, mut healths) = (Vec::new(), Vec::new());
    let mut taken: BTreeMap<(u16, Protocol), Vec<Claim>> = BTreeMap::new();
    let mut failed = false;
    for (number, (claims, scope)) in files.enumerate() {
        for claim in claims {
            match evaluate(claim, number, scope, renderer) {
                Ok(ports) => {
                    healths.extend(health(claim, &ports, scope, renderer));
                    for (place, (port, claim_of_port)) in ports.into_iter().enumerate() {
                        all.push(model::PortClaim {
                            port,
                            tcp: claim.protocol == Protocol::Tcp,
                            address: claim_of_port.address.clone(),
                            name: claim.name.value.clone(),
                            by: claim_of_port.who.clone(),
                            derived: place > 0,
                            units: units.get(&number).cloned().unwrap_or_default(),
                        });
                        let claims = taken.entry((port, claim.protocol)).or_default();
                        claims.push(claim_of_port);
                    }
                }
                Err(Reported) => failed = true,
            }
        }
    }
    // Ranges that overlap do so in many ports: one finding is enough.
    let mut told = BTreeSet::new();
    for ((port, protocol), claims) in &taken {
        for (index, second) in claims.iter().enumerate() {
            let earlier = claims.get(..index).unwrap_or(&[]);
            // One finding per claim is enough to be led to the others.
            if let Some(first) = earlier.iter().find(|first| clash(first, second)) {
                failed = true;
                if !told.insert((first.from, first.span, second.from, second.span)) {
                    continue;
                }
                let claims = [(first.who.as_str(), first.span), (second.who.as_str(), second.span)];
                renderer.found.push(port_twice(*port, *protocol, claims));
            }
        }
    }
    all.sort_by(|a, b| (a.port, &a.by, &a.address).cmp(&(b.port, &b.by, &b.address)));
    let claimed = Claimed { ports: all, healths };
    if failed { Err(Reported) } else { Ok(claimed) }
}

fn health(claim: &PortClaim, ports: &[(u16, Claim)], scope: &Scope, renderer: &mut Renderer<'_>) -> Option<Health> {
    let (port, first) = ports.first().filter(|_| !claim.health.is_empty())?;
    let paths = claim
        .health
        .iter()
        .filter_map(|path| text(&path.value, path.span, scope, renderer).ok());
    Some(Health {
        port: *port,
        who: first.who.clone(),
        paths: paths.collect(),
        span: claim.health.first()?.span,
    })
}

/// Reports probes of such ports that ask for something else.
pub(super) fn probes(healths: &[Health], declarations: &Declarations, found: &mut Vec<Diagnostic>) {
    for declared in declarations.resources.values() {
        let Spec::Probe(probe) = &declared.spec else { continue };
        let (address, path) = match &probe.check {
            Check::Tcp { address } => (address.as_str(), None),
            Check::Http { url, .. } => {
                let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
                let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
                (
                    address,
                    Some(format!("/{}", path.split(['?', '#']).next().unwrap_or(""))),
                )
            }
            Check::Unit { .. } | Check::NoNames { .. } => continue,
        };
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "80"));
        let here = host == "localhost" || host == "[::1]" || host.starts_with("127.");
        let health = healths.iter().find(|health| port.parse() == Ok(health.port) && here);
        let Some(health) = health.filter(|health| path.as_ref().is_none_or(|path| !health.paths.contains(path))) else {
            continue;
        };
        let (what, why) = match &path {
            None => (
                "whether its port is open".to_owned(),
                "the kernel takes connections for a process that hangs, too, so this passes where nothing answers",
            ),
            Some(path) => (
                format!("for {}", shown(path)),
                "it answers paths that it does not know with its own page, or with an error, whatever its state",
            ),
        };
        let message = format!(
            "the probe `{}` asks {} {what}, which is no sign of life",
            shown(&probe.name),
            health.who
        );
        let listed = health.paths.join(", ");
        found.push(
            Diagnostic::error(Code::NoSignOfLife, message, declared.span, "")
                .also(health.span, "what tells its health")
                .because(why)
                .help(format!("ask over HTTP for one of {listed}")),
        );
    }
}

fn clash(first: &Claim, second: &Claim) -> bool {
    let same = first.from == second.from || (first.own.is_some() && first.own == second.own);
    let everywhere = |claim: &Claim| {
        let address = claim.address.as_deref();
        matches!(address, None | Some("" | "*" | "0.0.0.0" | "::" | "[::]"))
    };
    !same && (everywhere(first) || everywhere(second) || first.address == second.address)
}

fn evaluate(
    claim: &PortClaim,
    number: usize,
    scope: &Scope,
    renderer: &mut Renderer<'_>,
) -> Result<Vec<(u16, Claim)>, Reported> {
    if let Some(when) = &claim.when
        && !renderer.holds(when, scope)?
    {
        return Ok(Vec::new());
    }
    let address = match &claim.address {
        Some(address) => Some(text(&address.value, address.span, scope, renderer)?),
        None => None,
    };
    let name = &claim.name.value;
    let (who, own) = match &scope.by {
        By::Host => (format!("`{name}` of the host file"), Some(name.clone())),
        By::Group(tag) => (format!("`{name}` of the group `{tag}`"), Some(name.clone())),
        By::Module { name: module, instance } => {
            let instance = instance.as_ref().map(|name| format!(".{name}")).unwrap_or_default();
            (format!("`{name}` of `{module}{instance}`"), None)
        }
    };
    let mut ports = Vec::new();
    for (index, node) in claim.ports.iter().enumerate() {
        let first = port(node, scope, renderer)?;
        let count = if index == 0 { claim.count } else { 1 };
        let Ok(last) = u16::try_from(u32::from(first) + count - 1) else {
            let message = format!("there are no {count} ports from {first} on: the last is 65535");
            let diagnostic = Diagnostic::error(Code::InvalidValue, message, node.span, "");
            renderer.found.push(diagnostic);
            return Err(Reported);
        };
        for port in first..=last {
            let who = if count > 1 {
                format!("{who} ({first} to {last})")
            } else {
                who.clone()
            };
            let claim = Claim {
                who,
                address: address.clone(),
                span: node.span,
                from: (claim.name.span, number),
                own: own.clone(),
            };
            ports.push((port, claim));
        }
    }
    Ok(ports)
}

fn port(node: &Node, scope: &Scope, renderer: &mut Renderer<'_>) -> Result<u16, Reported> {
    let rendered = match &node.value {
        Value::String(written) => text(written, node.span, scope, renderer)?,
        Value::Integer(number) => number.to_string(),
        // It was found when the file was read.
        Value::Float(_) | Value::Bool(_) | Value::Array(_) | Value::Table(_) => return Err(Reported),
    };
    port_from_text(&rendered).map_err(|problem| {
        renderer.found.push(finding(problem, node.span));
        Reported
    })
}

fn text(written: &str, span: Span, scope: &Scope, renderer: &mut Renderer<'_>) -> Result<String, Reported> {
    if !is_template(written) {
        return Ok(written.to_owned());
    }
    let written = Written {
        text: written,
        span,
        offset: 0,
        quoted: true,
    };
    renderer.text(written, scope)
}
