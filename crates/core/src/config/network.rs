//! What a firewall's rules are made of: networks, ports and interfaces. It knows no rule.

use std::net::IpAddr;

use super::scalar::{Port, Problem, Scalar, shown};
use super::tree::Value;
use super::word::Cidr;

/// An address, or a network with the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Network {
    pub(crate) address: IpAddr,
    pub(crate) length: u8,
}

impl Network {
    /// Whether all of another network is in this one.
    pub(crate) fn has(&self, other: &Self) -> bool {
        let bits = |address: IpAddr, width: u8, length: u8| -> u128 {
            let bits = match address {
                IpAddr::V4(address) => u32::from(address).into(),
                IpAddr::V6(address) => u128::from(address),
            };
            bits.checked_shr((width - length).into()).unwrap_or(0)
        };
        let width = self.width();
        width == other.width()
            && self.length <= other.length
            && bits(self.address, width, self.length) == bits(other.address, width, self.length)
    }

    const fn width(&self) -> u8 {
        match self.address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        }
    }

    /// As nft writes it: one address alone has no prefix.
    pub(crate) fn text(&self) -> String {
        if self.length == self.width() {
            self.address.to_string()
        } else {
            format!("{}/{}", self.address, self.length)
        }
    }
}

impl Scalar for Network {
    const NOUN: &'static str = "an address or network such as \"10.0.0.0/8\"";

    fn from_text(text: &str) -> Result<Self, Problem> {
        if let Ok(address) = text.parse::<IpAddr>() {
            let length = if address.is_ipv4() { 32 } else { 128 };
            return Ok(Self { address, length });
        }
        Cidr::from_text(text)?;
        let parts = text.split_once('/');
        parts
            .and_then(|(address, length)| {
                let (address, length) = (address.parse().ok()?, length.parse().ok()?);
                Some(Self { address, length })
            })
            .ok_or_else(|| Problem::invalid(format!("`{}` is not a network", shown(text))))
    }
}

/// A port, or all ports from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PortRange {
    pub(crate) first: u16,
    pub(crate) last: u16,
}

impl PortRange {
    pub(crate) const fn has(&self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    /// As nft writes it.
    pub(crate) fn text(&self) -> String {
        if self.first == self.last {
            self.first.to_string()
        } else {
            format!("{}-{}", self.first, self.last)
        }
    }
}

impl Scalar for PortRange {
    const NOUN: &'static str = "a port from 1 to 65535, or a range such as \"6000-6100\"";

    fn from_text(text: &str) -> Result<Self, Problem> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (Port(first), Port(last)) = (Port::from_text(first.trim())?, Port::from_text(last.trim())?);
        if first > last {
            let problem = Problem::invalid(format!("the range `{}` ends before it begins", shown(text)));
            return Err(problem.help(format!("write \"{last}-{first}\"")));
        }
        Ok(Self { first, last })
    }

    fn from_value(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Integer(_) => Port::from_value(value).map(|Port(port)| Self {
                first: port,
                last: port,
            }),
            Value::String(text) => Self::from_text(text),
            other => Err(Problem::wrong_type(Self::NOUN, other)),
        }
    }
}

/// A network interface's name; one `*` at its end stands for any rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface(pub(crate) String);

impl Scalar for Interface {
    const NOUN: &'static str = "an interface such as \"eth0\"";

    fn from_text(text: &str) -> Result<Self, Problem> {
        let stem = text.strip_suffix('*').unwrap_or(text);
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'@');
        // IFNAMSIZ of Linux is 16, with the zero at its end.
        if !stem.is_empty() && text.len() <= 15 && stem.bytes().all(plain) {
            return Ok(Self(text.to_owned()));
        }
        let problem = Problem::invalid(format!("`{}` is not an interface's name", shown(text)));
        Err(problem.help("write it as `ip link` shows it: \"eth0\", \"tailscale0\"; \"veth*\" is all that begin so"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_what_lies_in_it_and_nothing_of_the_other_family() {
        let network = |text| Network::from_text(text).unwrap();
        assert!(network("10.0.0.0/8").has(&network("10.1.0.0/16")));
        assert!(network("0.0.0.0/0").has(&network("192.0.2.1")));
        assert!(network("::/0").has(&network("2001:db8::/32")));
        assert!(!network("10.1.0.0/16").has(&network("10.0.0.0/8")));
        assert!(!network("10.0.0.0/8").has(&network("11.0.0.0/8")));
        assert!(!network("::/0").has(&network("192.0.2.1")));
        assert_eq!(network("192.0.2.1/32").text(), "192.0.2.1");
        assert!(Network::from_text("10.0.0.1/8").is_err() && Network::from_text("office").is_err());
    }

    #[test]
    fn ranges_and_interfaces_are_read_as_they_are_written() {
        assert!(PortRange::from_text("6000-6100").unwrap().has(6100));
        assert!(!PortRange::from_text("22").unwrap().has(23));
        for wrong in ["0", "70000", "20-10", "a-b", ""] {
            assert!(PortRange::from_text(wrong).is_err(), "{wrong}");
        }
        assert!(Interface::from_text("veth*").is_ok());
        for wrong in ["", "*", "eth0\"", "a b", "sixteen-letters-"] {
            assert!(Interface::from_text(wrong).is_err(), "{wrong}");
        }
    }
}
