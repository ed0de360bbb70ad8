//! Trees: directories whose whole content comes from one source, an archive or a set of npm packages. It unpacks nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AbsPath, Content, Digest, HostText, Kind};

/// Where the content of a tree comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Source {
    /// A tar archive.
    Archive {
        /// Where it is.
        url: String,
        /// The digest of its bytes: whatever that place serves, nothing else is unpacked.
        sha256: Digest,
        /// How many leading parts of its paths are left out.
        strip: u32,
    },
    /// npm packages, exactly those of a lockfile.
    Npm {
        /// `package.json`.
        manifest: Content,
        /// `package-lock.json`.
        lock: Content,
        /// The packages that are asked for, in words, such as "openclaw 2026.9.6".
        holds: String,
        /// The directory of the `node` and `npm` that install them; `None` takes those of the search path.
        programs: Option<AbsPath>,
        /// Whether the packages' own scripts run.
        scripts: bool,
        /// A program and its arguments that are run once in what was installed, before it is in use; may be empty.
        prepare: Vec<String>,
        /// Variables for npm, such as one that names further certificate authorities.
        env: BTreeMap<String, String>,
    },
}

impl Source {
    /// The content that travels with the plan.
    #[must_use]
    pub fn contents(&self) -> Vec<Content> {
        self.files().into_iter().map(|(_, content)| content).collect()
    }

    /// The same, each with the name that it has in the tree.
    #[must_use]
    pub fn files(&self) -> Vec<(&'static str, Content)> {
        match self {
            Self::Archive { .. } => Vec::new(),
            Self::Npm { manifest, lock, .. } => vec![("package.json", *manifest), ("package-lock.json", *lock)],
        }
    }
}

/// A tree as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeSpec {
    /// Where it appears: a symbolic link to the directory of its version, so that it changes in one step.
    pub path: AbsPath,
    /// Its source.
    pub source: Source,
}

impl TreeSpec {
    /// The kind of its resource.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.source {
            Source::Archive { .. } => Kind::Archive,
            Source::Npm { .. } => Kind::Npm,
        }
    }

    /// The name, beside the link, of the directory of this version: all that the source says is in its digest.
    #[must_use]
    pub fn directory(&self) -> String {
        let digest = Digest::of_json(&self.source).to_string();
        format!("{}{}", version_prefix(&self.path), digest.get(..16).unwrap_or(&digest))
    }
}

/// What the names of all versions of a tree begin with. The leading dot keeps them out of listings.
#[must_use]
pub fn version_prefix(path: &AbsPath) -> String {
    format!(".{}-", path.file_name())
}

/// A tree as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TreeState {
    /// Nothing is at its path.
    Absent,
    /// The link to a version.
    Version {
        /// The directory that it leads to.
        directory: HostText,
        /// Whether each file there still has the size, owner, permissions and time of when it was unpacked.
        intact: bool,
    },
    /// Something else is at its path.
    Other {
        /// Such as "a directory".
        what: String,
    },
}
