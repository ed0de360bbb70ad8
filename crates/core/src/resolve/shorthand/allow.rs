//! What a firewall lets in, said in one place. It becomes rules of the one table of [`super::super::firewall`].

use crate::config::{Code, Diagnostic, Interface, Network, PortRange, Reported, Spanned};

use super::super::firewall::Allow;
use super::super::reader::Reader;
use super::one_line;

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let port = reader.optional::<PortRange>("port");
    let ports = reader.list::<PortRange>("ports");
    let protocol = reader.optional::<String>("protocol");
    let from = reader.list::<Network>("from");
    let interface = reader.optional::<Interface>("interface");
    let condition = reader.optional::<String>("match");
    let (port, ports, protocol) = (port?, ports?, protocol?);
    let (from, interface, condition) = (from?, interface?, condition?);
    for (key, empty) in [("ports", ports.is_empty()), ("from", from.is_empty())] {
        if empty && reader.declaration.get(key).is_some() {
            let message = format!("`{key}` is empty, which would let in everything");
            let span = reader.key(key);
            let diagnostic = Diagnostic::error(Code::InvalidValue, message, span, "");
            return Err(reader.report(diagnostic.help("leave the whole rule out with `when` where the list is empty")));
        }
    }
    let ports: Vec<PortRange> = port.into_iter().chain(ports).map(|range| range.value).collect();
    if let Some(protocol) = protocol.as_ref().filter(|_| ports.is_empty()) {
        let message = "`protocol` means something only beside `port` or `ports`";
        let diagnostic = Diagnostic::error(Code::ConflictingKeys, message, protocol.span, "");
        return Err(reader.report(diagnostic.help("for a whole protocol write match = \"meta l4proto udp\"")));
    }
    if ports.is_empty() && from.is_empty() && interface.is_none() && condition.is_none() {
        let message = format!("`{}` lets in everything from everywhere", name.value);
        let diagnostic = Diagnostic::error(Code::MissingKey, message, name.span, "");
        return Err(reader.report(diagnostic.help("say a `port`, `from`, or an `interface`")));
    }
    let protocols = match protocol.as_ref().map(|protocol| protocol.value.as_str()) {
        None | Some("tcp") if ports.is_empty() => vec!["tcp", "udp"],
        None | Some("tcp") => vec!["tcp"],
        Some("udp") => vec!["udp"],
        Some("both") => vec!["tcp", "udp"],
        Some(_) => {
            let message = "ports are tcp's, udp's, or those of both";
            let span = protocol.map_or(name.span, |protocol| protocol.span);
            let diagnostic = Diagnostic::error(Code::InvalidValue, message, span, "");
            return Err(reader.report(diagnostic.help("write \"tcp\", \"udp\" or \"both\"")));
        }
    };
    let condition = condition.map(|condition| checked(reader, &condition)).transpose()?;
    let allow = Allow {
        ports,
        protocols,
        from: from.into_iter().map(|network| network.value).collect(),
        interface: interface.map(|interface| interface.value.0),
        condition,
    };
    let declarations = &mut *reader.declarations;
    super::super::firewall::note(declarations);
    let whose = declarations.whose;
    let said = Spanned::new(allow, name.span);
    declarations
        .firewall
        .allow(name.value, said, whose, reader.renderer.found);
    Ok(())
}

/// A condition within one rule.
fn checked(reader: &mut Reader<'_, '_, '_>, condition: &Spanned<String>) -> Result<String, Reported> {
    one_line(reader, condition)?;
    let text = condition.value.trim();
    if text.contains([';', '#']) {
        let message = "this is a condition within one rule: no \";\" ends it, and no \"#\" begins a comment";
        return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, condition.span, "")));
    }
    super::super::kind::encloses(reader, text, condition.span)?;
    Ok(text.to_owned())
}
