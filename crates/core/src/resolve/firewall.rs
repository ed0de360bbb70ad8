//! The firewall of one host, put together from what its modules, groups and its own file say: the rules, the file that keeps them
//! over a reboot and the unit that loads it. Whether the kernel takes the rules is `nft`'s to say, on the host.

use std::collections::BTreeMap;

use crate::config::{Code, Diagnostic, Network, PortRange, Span, Spanned};
use crate::model::{
    AbsPath, Connection, DependencyReason, DirectorySpec, FIREWALL_TABLE, FileSpec, FirewallSpec, Kind, Millis, Mode,
    OnChange, PackageSpec, PackageWant, ResourceId, Spec, UnitName, UnitSpec,
};

use super::declared::{Declarations, Said, Whose, twice};
use super::local::made;

/// What keeps the rules. Debian's own nftables.service reads another file, which may be somebody else's.
const FILE: &str = "/etc/nftables-provision.nft";
const UNIT_FILE: &str = "/etc/systemd/system/provision-firewall.service";
const UNIT: &str = "provision-firewall.service";
/// Where `sshd` listens, where nothing else is said.
const SSH: u16 = 22;

/// Beside Debian's unit, whose file empties the kernel of all tables first, and whose end does: whatever is done with it, ours is
/// there again in the same moment. What that unit itself reads stays as it is.
const DROP_INS: &str = "/etc/systemd/system/nftables.service.d";
pub(super) const DROP_IN: &str = "/etc/systemd/system/nftables.service.d/provision-firewall.conf";
const DROP_IN_TEXT: &str = "\
# Written by provision; what is changed here by hand is changed back.
[Service]
ExecStartPost=-/usr/sbin/nft -f /etc/nftables-provision.nft
ExecReload=-/usr/sbin/nft -f /etc/nftables-provision.nft
ExecStopPost=-/usr/sbin/nft -f /etc/nftables-provision.nft
";

/// Before the network comes up.
const UNIT_TEXT: &str = "\
# Written by provision; what is changed here by hand is changed back.
[Unit]
Description=The firewall, as provision declares it
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target shutdown.target
After=nftables.service systemd-modules-load.service
Conflicts=shutdown.target
ConditionPathExists=/etc/nftables-provision.nft

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f /etc/nftables-provision.nft
ExecReload=/usr/sbin/nft -f /etc/nftables-provision.nft
ExecStop=-/usr/sbin/nft delete table inet provision

[Install]
WantedBy=sysinit.target
";

/// Loopback, answers to what the host itself has begun, and what IP does not work without: errors, echo, IPv6's neighbours,
/// and an IPv6 address from DHCP, whose answer comes from another address than was asked.
const ESSENTIAL: &str = "\
\t\tiifname \"lo\" accept
\t\tct state vmap { invalid : drop, established : accept, related : accept }
\t\ticmp type { destination-unreachable, echo-request, time-exceeded, parameter-problem } accept
\t\ticmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-request, mld-listener-query, nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept
\t\tip6 saddr fe80::/10 udp dport 546 accept
";

/// What happens to what nothing lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Otherwise {
    Drop,
    Reject,
    Accept,
}

/// Something that is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Allow {
    /// Empty where any port is meant.
    pub(super) ports: Vec<PortRange>,
    /// As nft names them.
    pub(super) protocols: Vec<&'static str>,
    pub(super) from: Vec<Network>,
    pub(super) interface: Option<String>,
    /// More that must hold.
    pub(super) condition: Option<String>,
}

/// What is said of the firewall, as far as it is read.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Where it is first said that there is one.
    pub(super) span: Option<Span>,
    otherwise: Option<(Spanned<Otherwise>, Whose)>,
    whole: Option<(Spanned<String>, Whose)>,
    pub(super) rules: Vec<String>,
    pub(super) without_ssh: bool,
    allow: BTreeMap<String, (Spanned<Allow>, Whose)>,
}

impl Draft {
    pub(super) fn otherwise(&mut self, said: Spanned<Otherwise>, whose: Whose, found: &mut Vec<Diagnostic>) {
        join(&mut self.otherwise, said, whose, "`default`", found);
    }

    pub(super) fn whole(&mut self, said: Spanned<String>, whose: Whose, found: &mut Vec<Diagnostic>) {
        join(&mut self.whole, said, whose, "its text", found);
    }

    pub(super) fn allow(&mut self, name: String, said: Spanned<Allow>, whose: Whose, found: &mut Vec<Diagnostic>) {
        let what = format!("what `allow.{name}` lets in");
        let mut there = self.allow.remove(&name);
        join(&mut there, said, whose, &what, found);
        self.allow.extend(there.map(|there| (name, there)));
    }
}

/// The host's own word counts before its groups'; any other two have to agree.
fn join<T: PartialEq>(
    there: &mut Option<(Spanned<T>, Whose)>,
    said: Spanned<T>,
    whose: Whose,
    what: &str,
    found: &mut Vec<Diagnostic>,
) {
    match there {
        Some((first, _)) if first.value == said.value => {}
        Some((_, Whose::Group)) | None if whose == Whose::Host || there.is_none() => *there = Some((said, whose)),
        Some((first, _)) => found.push(twice("firewall", &format!("{what} differs"), first.span, said.span)),
        None => {}
    }
}

/// Notes down that the declaration being read has a say in all that a firewall becomes.
pub(super) fn note(declarations: &mut Declarations) {
    for (kind, name) in MADE {
        declarations.note(&ResourceId::new(kind, name));
    }
}

/// Whether a firewall makes this, out of what is said of it in several places.
pub(super) fn makes(id: &ResourceId) -> bool {
    MADE.iter().any(|(kind, name)| *kind == id.kind && *name == id.name)
}

const MADE: [(Kind, &str); 6] = [
    (Kind::Firewall, FIREWALL_TABLE[1]),
    (Kind::File, FILE),
    (Kind::File, UNIT_FILE),
    (Kind::Directory, DROP_INS),
    (Kind::File, DROP_IN),
    (Kind::Unit, UNIT),
];

/// Declares the firewall's resources, where there is one.
pub(super) fn finish(declarations: &mut Declarations, connection: &Connection, found: &mut Vec<Diagnostic>) {
    let draft = std::mem::take(&mut declarations.firewall);
    let Some(span) = draft.span else {
        let own = draft.allow.values().find(|(_, whose)| *whose == Whose::Host);
        if let Some((allow, _)) = own {
            let message = "this is let in by a firewall that the host does not have";
            let diagnostic = Diagnostic::error(Code::MissingKey, message, allow.span, "");
            found.push(diagnostic.help("write [firewall] default = \"drop\", or leave this out"));
        }
        return;
    };
    let rules = match (&draft.whole, &draft.otherwise) {
        (Some((whole, _)), None) => whole.value.clone(),
        (None, Some((otherwise, _))) => {
            reaches(&draft, otherwise, connection, found);
            rules(&draft, otherwise.value)
        }
        // Within one file it was found when that was read.
        (Some((whole, _)), Some((otherwise, _))) if whole.span.source == otherwise.span.source => return,
        (Some((whole, _)), Some((otherwise, _))) => {
            let message = "the firewall is written out in one place and put together in another";
            let diagnostic = Diagnostic::error(Code::ConflictingKeys, message, whole.span, "all of it");
            found.push(diagnostic.also(otherwise.span, "what nothing lets in"));
            return;
        }
        (None, None) => return,
    };
    declare(FirewallSpec::of(rules), span, declarations, found);
}

fn declare(spec: FirewallSpec, span: Span, declarations: &mut Declarations, found: &mut Vec<Diagnostic>) {
    let package = ResourceId::new(Kind::Package, "nftables");
    match declarations
        .resources
        .get(&package)
        .map(|declared| (&declared.spec, declared.span))
    {
        Some((
            Spec::Package(PackageSpec {
                want: PackageWant::Absent,
                ..
            }),
            absent,
        )) => {
            let message = "the firewall is nftables', and the package `nftables` is declared absent";
            let diagnostic = Diagnostic::error(Code::InvalidValue, message, absent, "absent");
            found.push(diagnostic.also(span, "the firewall").help("declare one of the two"));
            return;
        }
        Some(_) => {}
        None => {
            let spec = PackageSpec {
                name: package.name.clone(),
                want: PackageWant::Present,
                recommends: true,
            };
            declarations.declare(Spec::Package(spec), span, Vec::new(), found);
        }
    }
    let (Ok(kept), Ok(unit_file), Ok(directory), Ok(drop_in), Ok(unit)) = (
        AbsPath::new(FILE),
        AbsPath::new(UNIT_FILE),
        AbsPath::new(DROP_INS),
        AbsPath::new(DROP_IN),
        UnitName::new(UNIT),
    ) else {
        return;
    };
    let nft = ["nft", "-c", "-f", "{}"].map(str::to_owned);
    let kept = file(kept, spec.script(), Some(nft.into()), declarations);
    let unit_file = file(unit_file, UNIT_TEXT.to_owned(), None, declarations);
    let directory = Spec::Directory(DirectorySpec {
        path: directory,
        owner: "root".to_owned(),
        group: "root".to_owned(),
        mode: Mode::from_bits(0o755),
    });
    let drop_in = file(drop_in, DROP_IN_TEXT.to_owned(), None, declarations);
    let unit = Spec::Unit(UnitSpec {
        name: unit,
        enabled: Some(true),
        active: Some(true),
        // Taken away and loaded again, the host would be open in between.
        on_change: OnChange::Reload,
        // It has ended when it has started.
        settle: Millis::seconds(0),
    });
    // As with kernel parameters: the kernel has what is to be kept before it is kept.
    let table = Spec::Firewall(spec);
    let after_table = || {
        let on = Spanned::new(table.id(), span);
        let reason = DependencyReason::After;
        vec![Said { on, reason }]
    };
    let said = [
        Vec::new(),
        after_table(),
        Vec::new(),
        Vec::new(),
        Vec::new(),
        after_table(),
    ];
    for (spec, said) in [table, kept, unit_file, directory, drop_in, unit].into_iter().zip(said) {
        declarations.declare(spec, span, said, found);
    }
}

fn file(path: AbsPath, text: String, validate: Option<Vec<String>>, declarations: &mut Declarations) -> Spec {
    let (blob, content) = made(text);
    declarations.keep(&blob, content);
    Spec::File(FileSpec {
        path,
        content,
        owner: "root".to_owned(),
        group: "root".to_owned(),
        mode: Mode::from_bits(0o644),
        validate,
        sensitive: false,
        private: false,
        seed: false,
    })
}

/// Reports a firewall that shuts out the port by which the host is reached. From where is not known here, nor what a
/// condition of nft's comes to.
fn reaches(draft: &Draft, otherwise: &Spanned<Otherwise>, connection: &Connection, found: &mut Vec<Diagnostic>) {
    let Connection::Ssh { port, .. } = connection else {
        return;
    };
    if draft.without_ssh || otherwise.value == Otherwise::Accept {
        return;
    }
    let port = port.unwrap_or(SSH);
    let lets_in = |allow: &Allow| {
        let ports = allow.ports.iter().any(|range| range.has(port));
        let any = allow.ports.is_empty() && allow.condition.is_none();
        allow.protocols.contains(&"tcp") && (ports || any)
    };
    if draft.allow.values().any(|(allow, _)| lets_in(&allow.value)) {
        return;
    }
    let message = format!("this firewall shuts out port {port}, by which the host is reached");
    let diagnostic = Diagnostic::error(Code::LocksOut, message, otherwise.span, "nothing lets it in");
    let why = "applied, it would cut the host off, and the host would undo it";
    let help = format!(
        "write [firewall.allow.ssh] port = {port}; or without_ssh = true in [firewall], where the way in is another"
    );
    found.push(diagnostic.because(why).help(help));
}

fn rules(draft: &Draft, otherwise: Otherwise) -> String {
    let policy = match otherwise {
        Otherwise::Drop | Otherwise::Reject => "drop",
        Otherwise::Accept => "accept",
    };
    let mut text = String::new();
    for rules in &draft.rules {
        for line in rules.trim_matches('\n').lines() {
            text += line.trim_end();
            text.push('\n');
        }
        text.push('\n');
    }
    text += &format!("\tchain input {{\n\t\ttype filter hook input priority filter; policy {policy};\n");
    if otherwise != Otherwise::Accept {
        text += ESSENTIAL;
    }
    for (name, (allow, _)) in &draft.allow {
        for rule in lets_in(&allow.value) {
            text += &format!("\t\t{rule}accept comment \"{name}\"\n");
        }
    }
    if otherwise == Otherwise::Reject {
        text += "\t\treject with icmpx admin-prohibited\n";
    }
    text + "\t}\n"
}

/// The conditions of each rule that something takes to be let in.
fn lets_in(allow: &Allow) -> Vec<String> {
    let interface = allow.interface.as_ref();
    let interface = interface.map_or(String::new(), |name| format!("iifname \"{name}\" "));
    let more = allow.condition.as_ref();
    let more = more.map_or(String::new(), |more| format!("{more} "));
    let sources: Vec<String> = if allow.from.is_empty() {
        vec![String::new()]
    } else {
        let (v4, v6): (Vec<_>, Vec<_>) = outermost(&allow.from)
            .into_iter()
            .partition(|from| from.address.is_ipv4());
        let families = [("ip", v4), ("ip6", v6)]
            .into_iter()
            .filter(|(_, from)| !from.is_empty());
        families
            .map(|(family, from)| format!("{family} saddr {} ", set(from.iter().map(Network::text))))
            .collect()
    };
    let ports: Vec<String> = if allow.ports.is_empty() {
        vec![String::new()]
    } else {
        let ports = set(joined(&allow.ports).iter().map(PortRange::text));
        allow
            .protocols
            .iter()
            .map(|protocol| format!("{protocol} dport {ports} "))
            .collect()
    };
    let each = |source: &String| {
        ports
            .iter()
            .map(|port| format!("{interface}{source}{port}{more}"))
            .collect::<Vec<_>>()
    };
    sources.iter().flat_map(each).collect()
}

/// One value, or a set.
fn set(values: impl Iterator<Item = String>) -> String {
    let values: Vec<_> = values.collect();
    match &values[..] {
        [one] => one.clone(),
        _ => format!("{{ {} }}", values.join(", ")),
    }
}

/// Without networks that lie in others, which nft does not take in one set.
fn outermost(from: &[Network]) -> Vec<Network> {
    let mut all = from.to_vec();
    all.sort();
    all.dedup();
    let within = |network: &Network| all.iter().any(|other| other != network && other.has(network));
    all.iter().filter(|network| !within(network)).copied().collect()
}

/// Ranges that overlap or touch as one.
fn joined(ports: &[PortRange]) -> Vec<PortRange> {
    let mut all = ports.to_vec();
    all.sort();
    let mut joined: Vec<PortRange> = Vec::new();
    for range in all {
        match joined.last_mut() {
            Some(last) if u32::from(range.first) <= u32::from(last.last) + 1 && last.last > last.first => {
                last.last = last.last.max(range.last);
            }
            Some(last) if range.first <= last.last => last.last = last.last.max(range.last),
            _ => joined.push(range),
        }
    }
    joined
}
