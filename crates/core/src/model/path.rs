//! Files, directories and symbolic links: what they should be, and what is found at a path.
//! It opens nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Digest, HostText, Mode};

/// An absolute, normalised path on a host: no empty, `.` or `..` component, no NUL, no line feed, no trailing slash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AbsPath(String);

/// Why a text is not an [`AbsPath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// It does not start at the root.
    #[error("the path is not absolute")]
    NotAbsolute,
    /// It has an empty, `.` or `..` component, or ends in a slash.
    #[error("the path is not normal: it has an empty, \".\" or \"..\" part, or ends in \"/\"")]
    NotNormal,
    /// It has a byte that no managed path may have.
    #[error("the path has a control character")]
    ControlCharacter,
    /// It is longer than Linux takes.
    #[error("the path is longer than 4095 bytes, or a part of it longer than 255")]
    TooLong,
}

impl AbsPath {
    /// Checks and takes a path.
    ///
    /// # Errors
    /// [`InvalidPath`] says which rule it breaks.
    pub fn new(path: impl Into<String>) -> Result<Self, InvalidPath> {
        let path = path.into();
        let Some(rest) = path.strip_prefix('/') else {
            return Err(InvalidPath::NotAbsolute);
        };
        if path.chars().any(char::is_control) {
            return Err(InvalidPath::ControlCharacter);
        }
        // PATH_MAX counts the final NUL; NAME_MAX does not (linux/limits.h).
        if path.len() > 4095 || rest.split('/').any(|part| part.len() > 255) {
            return Err(InvalidPath::TooLong);
        }
        if rest.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(InvalidPath::NotNormal);
        }
        Ok(Self(path))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directory it lies in; `None` directly below the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        match self.0.rsplit_once('/') {
            None | Some(("", _)) => None,
            Some((parent, _)) => Some(Self(parent.to_owned())),
        }
    }

    /// All directories above it, nearest first, without the root.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.parent(), Self::parent)
    }

    /// The last component.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(_, name)| name)
    }
}

impl fmt::Display for AbsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for AbsPath {
    type Error = InvalidPath;

    fn try_from(path: String) -> Result<Self, Self::Error> {
        Self::new(path)
    }
}

impl From<AbsPath> for String {
    fn from(path: AbsPath) -> Self {
        path.0
    }
}

/// A file's content by digest; the bytes travel beside the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// SHA-256 of the bytes.
    pub sha256: Digest,
    /// Length in bytes.
    pub size: u64,
}

impl Content {
    /// The content that `bytes` are.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            sha256: Digest::of(bytes),
            size: bytes.len() as u64,
        }
    }
}

/// A regular file as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSpec {
    /// Where it lies.
    pub path: AbsPath,
    /// What is in it.
    pub content: Content,
    /// Owner: a user's name, or a numeric id in digits.
    pub owner: String,
    /// Group: a name, or a numeric id in digits.
    pub group: String,
    /// Permissions.
    pub mode: Mode,
    /// A command run on the staged copy before it replaces the old file. The argument `{}` is the staged copy's path;
    /// without one the path is added at the end.
    pub validate: Option<Vec<String>>,
    /// Whether the content is a secret: never shown, and never kept on the host for going back.
    pub sensitive: bool,
    /// Whether diffs and reports do not show the content, because others may not read it on the host. Left out of the JSON
    /// where it does not hold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private: bool,
    /// Whether it is only made where nothing is: what lies there belongs to a person or a program from then on. Left out of
    /// the JSON where it does not hold, so that digests of specifications stay what they were.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub seed: bool,
}

impl FileSpec {
    /// Whether diffs and reports may show the content.
    #[must_use]
    pub const fn is_shown(&self) -> bool {
        !self.sensitive && !self.private
    }
}

/// A directory as it should be. Entries that are not managed stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectorySpec {
    /// Where it lies.
    pub path: AbsPath,
    /// Owner: a user's name, or a numeric id in digits.
    pub owner: String,
    /// Group: a name, or a numeric id in digits.
    pub group: String,
    /// Permissions.
    pub mode: Mode,
}

/// A symbolic link as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SymlinkSpec {
    /// Where it lies.
    pub path: AbsPath,
    /// Its text, absolute or relative, not resolved.
    pub target: String,
}

/// A user or group found on a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// The numeric id.
    pub id: u32,
    /// Its name in `/etc/passwd` or `/etc/group`, where it has one.
    pub name: Option<HostText>,
}

impl Owner {
    /// Whether a configured owner (a name, or an id in digits) is this one.
    #[must_use]
    pub fn is(&self, configured: &str) -> bool {
        match configured.parse::<u32>() {
            Ok(id) => self.id == id,
            Err(_) => self.name.as_ref().is_some_and(|name| name.untrusted() == configured),
        }
    }

    /// The name, or the id in digits where it has none.
    #[must_use]
    pub fn label(&self) -> HostText {
        self.name.clone().unwrap_or_else(|| HostText::new(self.id.to_string()))
    }
}

/// What is found at a path. The last component is not followed when it is a symbolic link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum PathState {
    /// Nothing.
    Absent,
    /// A regular file.
    File {
        /// What is in it.
        content: Content,
        /// Its owner.
        owner: Owner,
        /// Its group.
        group: Owner,
        /// Its permissions.
        mode: Mode,
        /// The text, where it differs from the expected content, is UTF-8, may be read by everybody and is short enough.
        text: Option<HostText>,
    },
    /// A directory.
    Directory {
        /// Its owner.
        owner: Owner,
        /// Its group.
        group: Owner,
        /// Its permissions.
        mode: Mode,
    },
    /// A symbolic link.
    Symlink {
        /// Its text.
        target: HostText,
    },
    /// A device, socket or pipe; the word says which.
    Other {
        /// Such as "socket".
        what: String,
    },
}

impl PathState {
    /// What it is, as a noun with its article.
    #[must_use]
    pub fn noun(&self) -> &str {
        match self {
            Self::Absent => "nothing",
            Self::File { .. } => "a file",
            Self::Directory { .. } => "a directory",
            Self::Symlink { .. } => "a symbolic link",
            Self::Other { what } => what,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_normal_absolute_paths_are_taken() {
        assert!(AbsPath::new("/etc/motd").is_ok());
        for (path, why) in [
            ("", InvalidPath::NotAbsolute),
            ("etc", InvalidPath::NotAbsolute),
            ("/", InvalidPath::NotNormal),
            ("/etc/", InvalidPath::NotNormal),
            ("/etc/../root", InvalidPath::NotNormal),
            ("/etc/./motd", InvalidPath::NotNormal),
            ("/etc//motd", InvalidPath::NotNormal),
            ("/etc/a\nb", InvalidPath::ControlCharacter),
            ("/etc/a\0b", InvalidPath::ControlCharacter),
        ] {
            assert_eq!(AbsPath::new(path).unwrap_err(), why, "{path:?}");
        }
        assert_eq!(
            AbsPath::new(format!("/{}", "a".repeat(256))).unwrap_err(),
            InvalidPath::TooLong
        );
    }

    #[test]
    fn ancestors_come_nearest_first() {
        let path = AbsPath::new("/a/b/c").unwrap();
        let above: Vec<_> = path.ancestors().map(String::from).collect();
        assert_eq!(above, ["/a/b", "/a"]);
    }
}
