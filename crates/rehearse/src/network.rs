//! A throwaway host's own network: a namespace, a pair of virtual cables, a /24, and the way out through the machine's own address.
//! It decides nothing about names; what must be put back on the machine outside is in `outer`.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::program::{self, ProgramError};

/// The first two bytes of every host's address. Private (RFC 1918), and an unusual choice, so that it seldom meets a network in use.
const PREFIX: [u8; 2] = [10, 213];

/// A host's network could not be built or taken away.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// `ip` or `iptables` failed.
    #[error("cannot change the network of slot {slot}")]
    Program {
        /// The host's slot.
        slot: u8,
        /// What failed.
        #[source]
        source: ProgramError,
    },
    /// The machine refuses to pass a host's packets on.
    #[error("cannot turn on forwarding with {}", path.display())]
    Forward {
        /// The kernel's setting.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// The addresses and names that follow from a slot's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    pub(crate) slot: u8,
}

/// A rule of the packet filter, in the words of iptables after `-A CHAIN`.
#[derive(Debug, PartialEq, Eq)]
struct Rule {
    table: &'static str,
    chain: &'static str,
    words: Vec<String>,
}

impl Network {
    /// The host's address.
    pub(crate) fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(PREFIX[0], PREFIX[1], self.slot, 2)
    }

    /// The machine's address in the host's network, which is the host's gateway.
    pub(crate) fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::new(PREFIX[0], PREFIX[1], self.slot, 1)
    }

    /// The network in CIDR form.
    pub(crate) fn subnet(self) -> String {
        format!("{}.{}.{}.0/24", PREFIX[0], PREFIX[1], self.slot)
    }

    /// The outer end of the cable. At most 15 bytes, as the kernel demands: `ve-rehearse-254`.
    pub(crate) fn outer_link(self) -> String {
        format!("ve-rehearse-{}", self.slot)
    }

    /// The network namespace, as `ip netns` names it.
    pub(crate) fn namespace(self) -> String {
        format!("provision-rehearse-{}", self.slot)
    }

    /// The namespace as a file.
    pub(crate) fn namespace_path(self) -> String {
        format!("/run/netns/{}", self.namespace())
    }

    /// What `ip -batch` does outside. `mtu` is that of the way out, so that no packet of the host is too big for it.
    fn outer_batch(self, mtu: u32) -> String {
        let (link, namespace) = (self.outer_link(), self.namespace());
        format!(
            "link add {link} mtu {mtu} type veth peer name eth0 mtu {mtu} netns {namespace}\n\
             addr add {}/24 dev {link}\n\
             link set {link} up\n",
            self.gateway()
        )
    }

    /// What `ip -batch` does inside the namespace.
    fn inner_batch(self) -> String {
        format!(
            "link set lo up\n\
             addr add {}/24 dev eth0\n\
             link set eth0 up\n\
             route add default via {}\n",
            self.address(),
            self.gateway()
        )
    }

    /// The way out and back. FORWARD is opened too because a Docker daemon outside closes it for all.
    fn rules(self) -> Vec<Rule> {
        let tag = ["-m", "comment", "--comment", &self.namespace()].map(str::to_owned);
        let rule = |table, chain, words: &[&str], target: &str| Rule {
            table,
            chain,
            words: words
                .iter()
                .map(|word| (*word).to_owned())
                .chain(tag.clone())
                .chain(["-j".to_owned(), target.to_owned()])
                .collect(),
        };
        let subnet = self.subnet();
        let ours = format!("{}.{}.0.0/16", PREFIX[0], PREFIX[1]);
        vec![
            // Hosts see each other under their own addresses.
            rule("nat", "POSTROUTING", &["-s", &subnet, "!", "-d", &ours], "MASQUERADE"),
            rule("filter", "FORWARD", &["-s", &subnet], "ACCEPT"),
            rule("filter", "FORWARD", &["-d", &subnet], "ACCEPT"),
        ]
    }

    /// Builds the network, or builds it again from nothing: addresses, routes and filters that the host changed are gone, as after a real reboot.
    pub(crate) fn up(self) -> Result<(), NetworkError> {
        self.cables_up().map_err(|source| self.failed(source))?;
        let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
        // Only on the links concerned: the machine's global switch stays as its owner set it.
        for link in routed_links(&routes).iter().chain([&self.outer_link()]) {
            let path = forwarding_of(link);
            fs::write(&path, "1").map_err(|source| NetworkError::Forward { path, source })?;
        }
        Ok(())
    }

    fn failed(self, source: ProgramError) -> NetworkError {
        NetworkError::Program {
            slot: self.slot,
            source,
        }
    }

    fn cables_up(self) -> Result<(), ProgramError> {
        self.cables_down()?;
        program::run("ip", &["netns", "add", &self.namespace()])?;
        let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
        program::run_with_input("ip", &["-batch", "-"], &self.outer_batch(way_out_mtu(&routes)))?;
        program::run_with_input("ip", &["-netns", &self.namespace(), "-batch", "-"], &self.inner_batch())?;
        for rule in self.rules() {
            if !rule.exists() {
                rule.apply("-I")?;
            }
        }
        Ok(())
    }

    /// Takes away all that [`Network::up`] made, as far as it is there.
    pub(crate) fn down(self) -> Result<(), NetworkError> {
        self.rules_down()
            .and_then(|()| self.cables_down())
            .map_err(|source| self.failed(source))
    }

    fn rules_down(self) -> Result<(), ProgramError> {
        for rule in self.rules() {
            // More than once, should an interrupted start have added one twice.
            while rule.exists() {
                rule.apply("-D")?;
            }
        }
        Ok(())
    }

    fn cables_down(self) -> Result<(), ProgramError> {
        // Explicitly, and first: a namespace is taken down by the kernel some time after it was deleted.
        let link = self.outer_link();
        if link_exists(&link) {
            let deleted = program::run("ip", &["link", "delete", &link]);
            // The namespace's end may have gone by itself in between.
            if link_exists(&link) {
                deleted?;
            }
        }
        if Path::new(&self.namespace_path()).exists() {
            program::run("ip", &["netns", "delete", &self.namespace()])?;
        }
        Ok(())
    }

    /// Whether a network that the machine already knows lies within or around this one, as closely as a /16.
    pub(crate) fn is_taken(self, routes: &str) -> bool {
        let ours = u32::from(self.address());
        parse_routes(routes).any(|route| {
            let shared = route.mask & 0xffff_ff00;
            route.mask.count_ones() >= 16
                && ours & shared == route.destination & shared
                && route.link != self.outer_link()
        })
    }
}

impl Rule {
    fn exists(&self) -> bool {
        self.apply("-C").is_ok()
    }

    fn apply(&self, verb: &str) -> Result<(), ProgramError> {
        // Waits for another user of the filter, but not for ever.
        let mut args = vec!["-w", "10", "-t", self.table, verb, self.chain];
        args.extend(self.words.iter().map(String::as_str));
        program::run("iptables", &args).map(drop)
    }
}

/// Whether this process's network has a link of that name. Asks /proc, which always shows the caller's own network; /sys shows that of whoever mounted it.
fn link_exists(name: &str) -> bool {
    fs::read_to_string("/proc/net/dev").is_ok_and(|text| {
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .any(|(link, _)| link.trim() == name)
    })
}

/// A line of /proc/net/route, in host byte order.
struct Route<'a> {
    link: &'a str,
    destination: u32,
    mask: u32,
}

fn parse_routes(text: &str) -> impl Iterator<Item = Route<'_>> {
    text.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let hex = |text: &str| u32::from_str_radix(text, 16).ok().map(u32::from_be);
        Some(Route {
            link: fields.first()?,
            destination: hex(fields.get(1)?)?,
            mask: hex(fields.get(7)?)?,
        })
    })
}

/// The links that the machine's own traffic takes: answers for a host come in by them.
pub(crate) fn routed_links(routes: &str) -> Vec<String> {
    let mut links: Vec<String> = parse_routes(routes)
        .map(|route| route.link.to_owned())
        .filter(|link| !link.starts_with("ve-rehearse-"))
        .collect();
    links.sort();
    links.dedup();
    links
}

/// The kernel's switch that lets packets which came in by `link` go on to another.
pub(crate) fn forwarding_of(link: &str) -> PathBuf {
    Path::new("/proc/sys/net/ipv4/conf").join(link).join("forwarding")
}

/// The size of packet that the default route takes, in bytes; Ethernet's 1500 where there is none.
fn way_out_mtu(routes: &str) -> u32 {
    parse_routes(routes)
        .find(|route| route.mask == 0)
        .and_then(|route| fs::read_to_string(format!("/sys/class/net/{}/mtu", route.link)).ok())
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1500)
}

/// The resolver configuration that a host gets: the machine's own, unless that only points at a resolver on the machine's loopback.
pub(crate) fn resolv_conf() -> String {
    ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .find(|text| names_a_reachable_server(text))
        // Only a resolver on the loopback, and nothing behind it that can be seen: ask public ones (Quad9, Cloudflare).
        .unwrap_or_else(|| "nameserver 9.9.9.9\nnameserver 1.1.1.1\n".to_owned())
}

fn names_a_reachable_server(text: &str) -> bool {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .any(|server| {
            let server = server.trim();
            !server.is_empty() && !server.starts_with("127.") && server != "::1"
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
        eth9\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        eth9\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
        tun0\t0007D50A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
        ve-rehearse-8\t0008D50A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
        tun1\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n";

    #[test]
    fn names_fit_the_kernel() {
        let network = Network { slot: 254 };
        assert!(network.outer_link().len() <= 15);
        assert_eq!(network.address(), Ipv4Addr::new(10, 213, 254, 2));
        assert_eq!(network.subnet(), "10.213.254.0/24");
    }

    #[test]
    fn a_network_in_use_is_left_alone() {
        assert!(Network { slot: 7 }.is_taken(ROUTES), "tun0 has 10.213.7.0/24");
        assert!(!Network { slot: 8 }.is_taken(ROUTES), "that one is ours");
        assert!(
            !Network { slot: 9 }.is_taken(ROUTES),
            "10.0.0.0/8 is wide enough to share"
        );
    }

    #[test]
    fn a_smaller_network_within_ours_and_a_16_around_it_count() {
        let head = "head\n";
        let within = format!("{head}br0\t8007D50A\t0\t0\t0\t0\t0\t80FFFFFF\t0\t0\t0\n");
        assert!(Network { slot: 7 }.is_taken(&within));
        assert!(!Network { slot: 6 }.is_taken(&within));
        let around = format!("{head}br0\t0000D50A\t0\t0\t0\t0\t0\t0000FFFF\t0\t0\t0\n");
        assert!(Network { slot: 6 }.is_taken(&around));
    }

    #[test]
    fn every_rule_carries_the_tag_it_is_removed_by() {
        for rule in (Network { slot: 3 }).rules() {
            assert!(rule.words.contains(&"provision-rehearse-3".to_owned()), "{rule:?}");
        }
    }

    #[test]
    fn links_of_the_machine_are_found_without_our_own() {
        assert_eq!(routed_links(ROUTES), ["eth9", "tun0", "tun1"]);
    }

    #[test]
    fn links_are_found_by_their_whole_name() {
        assert!(link_exists("lo"));
        assert!(!link_exists("l"));
        assert!(!link_exists(""));
    }

    #[test]
    fn a_resolver_on_the_loopback_is_not_reachable() {
        assert!(!names_a_reachable_server("nameserver 127.0.0.53\noptions edns0\n"));
        assert!(!names_a_reachable_server("search example.org\n"));
        assert!(names_a_reachable_server(
            "nameserver 127.0.0.1\n nameserver 192.0.2.1\n"
        ));
    }
}
