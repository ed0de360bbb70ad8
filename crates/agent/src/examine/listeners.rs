//! Sockets that somebody listens on, from the kernel's tables, with the processes that hold them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use provision_core::model::{HostText, Listener, Process};

use super::processes::Walk;
use super::units::Unit;
use super::{LookError, text};

/// The tables, and the state in which a socket of each waits for others: TCP's LISTEN, and UDP's without a peer.
const TABLES: [(&str, bool, &str); 4] = [
    ("/proc/self/net/tcp", true, "0A"),
    ("/proc/self/net/tcp6", true, "0A"),
    ("/proc/self/net/udp", false, "07"),
    ("/proc/self/net/udp6", false, "07"),
];

/// How many are told of: a resolver may have thousands of UDP sockets for a moment.
const LISTENERS: usize = 2_000;

/// All of them. `units` tells which socket units systemd itself listens for.
pub(super) fn of(walk: &Walk, units: Option<&Vec<Unit>>) -> Result<Vec<Listener>, LookError> {
    walk.sound()?;
    let mut holders: BTreeMap<u64, Vec<&Process>> = BTreeMap::new();
    for seen in walk.processes.values() {
        for inode in &seen.sockets {
            holders.entry(*inode).or_default().push(&seen.process);
        }
    }
    let mut all = Vec::new();
    for (path, tcp, state) in TABLES {
        // A kernel without IPv6 has no such table.
        if path.ends_with('6') && !Path::new(path).exists() {
            continue;
        }
        for line in text(Path::new(path))?.lines().skip(1) {
            let Some((address, inode)) = row(line, state) else {
                continue;
            };
            let processes = holders
                .get(&inode)
                .into_iter()
                .flatten()
                .map(|&process| process.clone());
            let processes: Vec<_> = processes.collect();
            let of_systemd = processes.iter().any(|process| process.pid == 1);
            all.push(Listener {
                tcp,
                address: address.ip(),
                port: address.port(),
                socket_unit: units
                    .filter(|_| of_systemd)
                    .and_then(|units| socket_unit(units, address)),
                processes,
            });
        }
    }
    all.sort_by_key(|listener| (!listener.tcp, listener.port, listener.address));
    all.truncate(LISTENERS);
    Ok(all)
}

/// The local address and the socket's inode of one row, where it is in that state.
fn row(line: &str, state: &str) -> Option<(SocketAddr, u64)> {
    let fields: Vec<_> = line.split_whitespace().collect();
    if *fields.get(3)? != state {
        return None;
    }
    let (address, port) = fields.get(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let inode = fields.get(9)?.parse().ok()?;
    Some((SocketAddr::new(ip(address)?, port), inode))
}

/// Words of 32 bits as the processor has them, each of bytes in the network's order.
fn ip(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at * 8)?);
            }
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

fn socket_unit(units: &[Unit], address: SocketAddr) -> Option<HostText> {
    let listens = |said: &String| said.parse() == Ok(address) || *said == address.port().to_string();
    let unit = units
        .iter()
        .find(|unit| unit.name.ends_with(".socket") && unit.listens.iter().any(listens));
    unit.map(|unit| HostText::from(unit.name.as_str()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::super::processes;
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn rows_are_read() {
        let line =
            "   0: 0100007F:4965 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 31337 1 0";
        assert_eq!(row(line, "0A"), Some(("127.0.0.1:18789".parse().unwrap(), 31337)));
        assert_eq!(row(line, "07"), None);
        let line =
            "1: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 7 1";
        assert_eq!(row(line, "0A"), Some(("[::1]:22".parse().unwrap(), 7)));
        assert_eq!(
            ip("0000000000000000FFFF00000100007F"),
            Some("127.0.0.1".parse().unwrap())
        );
        assert_eq!(row("garbage", "0A"), None);
    }

    #[test]
    fn a_listener_is_found_with_who_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = of(&processes::walk(), None).unwrap();
        let ours = found.iter().find(|found| found.tcp && found.port == port).unwrap();
        assert!(
            ours.processes.iter().any(|process| process.pid == std::process::id()),
            "{ours:?}"
        );
        drop(listener);
        let found = of(&processes::walk(), None).unwrap();
        assert!(!found.iter().any(|found| found.tcp && found.port == port));
    }

    #[test]
    fn systemds_own_listeners_have_their_unit() {
        let unit = |name: &str, listens: &str| Unit {
            name: name.to_owned(),
            listens: vec![listens.to_owned()],
            ..Unit::default()
        };
        let units = [
            unit("ssh.service", "0.0.0.0:22"),
            unit("ssh.socket", "0.0.0.0:22"),
            unit("six.socket", "[::]:23"),
        ];
        let found =
            |address: &str| socket_unit(&units, address.parse().unwrap()).map(|unit| unit.untrusted().to_owned());
        assert_eq!(found("0.0.0.0:22").as_deref(), Some("ssh.socket"));
        assert_eq!(found("[::]:23").as_deref(), Some("six.socket"));
        assert_eq!(found("0.0.0.0:24"), None);
    }
}
