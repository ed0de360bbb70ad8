//! Distribution packages: what should be installed, and what dpkg's status file says. It runs no apt.

use serde::{Deserialize, Serialize};

use super::HostText;

/// A package as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageSpec {
    /// The package's name, with `:arch` where it is foreign.
    pub name: String,
    /// What is wanted of it.
    pub want: PackageWant,
    /// Whether what it recommends comes along when it is installed, if apt's own configuration says so; otherwise it never does.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub recommends: bool,
}

impl PackageSpec {
    /// Whether the package is called like a user or a group, as `redis-server` and `redis` are: then it may well make it.
    #[must_use]
    pub fn may_make(&self, account: &str) -> bool {
        let stem = account.trim_start_matches(['_', '-']).trim_start_matches("Debian-");
        let short = stem.len().min(self.name.len());
        let is_alike = short >= 3 && (self.name.starts_with(stem) || stem.starts_with(&self.name));
        self.want != PackageWant::Absent && is_alike
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_yes(value: &bool) -> bool {
    *value
}

const fn yes() -> bool {
    true
}

/// What is wanted of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageWant {
    /// Installed, in any version.
    Present,
    /// Installed in exactly this version.
    Version(String),
    /// Not installed. Configuration files may stay.
    Absent,
}

/// A text that no Debian package can be named.
#[derive(Debug, thiserror::Error)]
#[error("a package name is two or more of a-z, 0-9, \"+\", \"-\" and \".\", and begins with a letter or digit")]
pub struct InvalidPackageName;

/// Checks a name against Debian policy 5.6.7, with an optional `:arch`. A name that passes can stand in an argument
/// vector without being taken for an option.
///
/// # Errors
/// [`InvalidPackageName`].
pub fn check_package_name(name: &str) -> Result<(), InvalidPackageName> {
    let (name, arch) = name.split_once(':').unwrap_or((name, "any"));
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let first = name.bytes().next().is_some_and(letter);
    let rest = name.bytes().all(|b| letter(b) || matches!(b, b'+' | b'-' | b'.'));
    let arch = !arch.is_empty() && arch.bytes().all(|b| letter(b) || b == b'-');
    if first && rest && arch && name.len() >= 2 {
        Ok(())
    } else {
        Err(InvalidPackageName)
    }
}

/// A package as dpkg's status file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum PackageState {
    /// Not installed; configuration files may be left.
    Absent,
    /// Unpacked and configured.
    Installed {
        /// The version.
        version: HostText,
    },
    /// Left half-way by an interrupted dpkg.
    Broken {
        /// dpkg's word for it, such as `half-configured`.
        status: HostText,
    },
}
