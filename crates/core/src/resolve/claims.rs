//! The ports that a host's modules, groups and own file say are taken: no two may be one. Who really listens is the
//! host's business.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{
    Node, PortClaim, Protocol, Reported, Span, Value, finding, is_template, port_from_text, port_twice,
};
use crate::model::{self, UnitName};

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

/// Evaluates all claims, each file's with its scope, and gives each with the units that its file declares; reports those
/// that clash.
pub(super) fn find<'a, S: std::ops::Deref<Target = Scope> + 'a>(
    files: impl Iterator<Item = (&'a [PortClaim], &'a S)>,
    units: &BTreeMap<usize, BTreeSet<UnitName>>,
    renderer: &mut Renderer<'_>,
) -> Result<Vec<model::PortClaim>, Reported> {
    let mut all = Vec::new();
    let mut taken: BTreeMap<(u16, Protocol), Vec<Claim>> = BTreeMap::new();
    let mut result = Ok(());
    for (number, (claims, scope)) in files.enumerate() {
        for claim in claims {
            match evaluate(claim, number, scope, renderer) {
                Ok(ports) => {
                    for (port, claim_of_port) in ports {
                        all.push(model::PortClaim {
                            port,
                            tcp: claim.protocol == Protocol::Tcp,
                            address: claim_of_port.address.clone(),
                            name: claim.name.value.clone(),
                            by: claim_of_port.who.clone(),
                            units: units.get(&number).cloned().unwrap_or_default(),
                        });
                        let claims = taken.entry((port, claim.protocol)).or_default();
                        claims.push(claim_of_port);
                    }
                }
                Err(Reported) => result = Err(Reported),
            }
        }
    }
    for ((port, protocol), claims) in &taken {
        for (index, second) in claims.iter().enumerate() {
            let earlier = claims.get(..index).unwrap_or(&[]);
            // One finding per claim is enough to be led to the others.
            if let Some(first) = earlier.iter().find(|first| clash(first, second)) {
                let claims = [(first.who.as_str(), first.span), (second.who.as_str(), second.span)];
                renderer.found.push(port_twice(*port, *protocol, claims));
                result = Err(Reported);
            }
        }
    }
    all.sort_by(|a, b| (a.port, &a.by, &a.address).cmp(&(b.port, &b.by, &b.address)));
    result.map(|()| all)
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
    for node in &claim.ports {
        ports.push((
            port(node, scope, renderer)?,
            Claim {
                who: who.clone(),
                address: address.clone(),
                span: node.span,
                from: (claim.name.span, number),
                own: own.clone(),
            },
        ));
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
