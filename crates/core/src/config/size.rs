//! Sizes in bytes, as systemd and the configuration write them. What they limit is not known here.

use std::fmt;

use super::scalar::{Problem, Scalar, shown};
use super::tree::Value;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// The units, each 1024 of the one before; what systemd (systemd.resource-control(5)) and the kernel mean by them.
const UNITS: [(&str, u64); 4] = [("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)];

impl fmt::Display for Size {
    /// In the largest unit that leaves no rest: `500M`, `2G`, `1025`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS
            .iter()
            .find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor));
        match unit {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => self.0.fmt(f),
        }
    }
}

impl Scalar for Size {
    const NOUN: &'static str = "a size such as \"500M\"";

    fn from_text(text: &str) -> Result<Self, Problem> {
        let text = text.trim();
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let unit = unit.trim();
        let binary = unit.strip_suffix("iB").unwrap_or(unit);
        let factor = match binary {
            "" if unit.is_empty() => Some(1),
            letter => UNITS
                .iter()
                .find(|(name, _)| *name == letter)
                .map(|(_, factor)| *factor),
        };
        let count = digits.parse::<u64>().ok();
        let size = count.zip(factor).and_then(|(count, factor)| count.checked_mul(factor));
        size.map(Self).ok_or_else(|| {
            let problem = Problem::invalid(format!("`{}` is not a size", shown(text)));
            let upper = unit.to_uppercase();
            let meant = upper.chars().next().filter(|letter| "KMGT".contains(*letter));
            match meant {
                Some(letter) if !digits.is_empty() => problem.help(format!(
                    "write \"{digits}{letter}\": the units K, M, G and T are 1024 of each other"
                )),
                _ => problem.help("write bytes, or a whole number with K, M, G or T: \"500M\""),
            }
        })
    }

    fn from_value(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::String(text) => Self::from_text(text),
            Value::Integer(number) => u64::try_from(*number)
                .map(Self)
                .map_err(|_| Problem::invalid(format!("{number} is not a size"))),
            other => Err(Problem::wrong_type(Self::NOUN, other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_and_written_as_systemd_does() {
        for (text, size, shown) in [
            ("500M", 500 << 20, "500M"),
            ("2048M", 2 << 30, "2G"),
            ("64KiB", 64 << 10, "64K"),
            ("1025", 1025, "1025"),
            ("0", 0, "0"),
        ] {
            assert_eq!(Size::from_text(text), Ok(Size(size)), "{text}");
            assert_eq!(Size(size).to_string(), shown);
        }
        for text in ["", "M", "1.5G", "-1", "99999999T", "5 apples"] {
            assert!(Size::from_text(text).is_err(), "{text}");
        }
        let help = Size::from_text("10MB").unwrap_err().help.unwrap();
        assert!(help.contains("\"10M\""), "{help}");
    }
}
