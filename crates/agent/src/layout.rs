//! Where the agent keeps what on a host: the names below `/var/lib/provision`. It opens none of them.

use std::path::{Path, PathBuf};

use provision_core::model::Digest;

/// The one directory that the agent writes to for itself, mode 0700, root's.
const ROOT: &str = "/var/lib/provision";

/// The names below one root directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The host's own.
    pub(crate) fn host() -> Self {
        Self { root: ROOT.into() }
    }

    /// One below another directory, for tests.
    #[cfg(test)]
    pub(crate) fn below(root: &Path) -> Self {
        Self { root: root.into() }
    }

    /// The directory of everything else.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The file that the runner locks; its content names the holder.
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The file that names a run which the host undoes unless it is confirmed; there is none at any other time.
    pub(crate) fn armed(&self) -> PathBuf {
        self.root.join("armed.json")
    }

    /// One directory per run.
    pub(crate) fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// The files of one run.
    pub(crate) fn run(&self, plan: &Digest) -> RunLayout {
        RunLayout {
            root: self.runs().join(plan.to_string()),
        }
    }

    /// One directory per generation.
    pub(crate) fn generations(&self) -> PathBuf {
        self.root.join("generations")
    }

    /// The directory of one generation.
    pub(crate) fn generation(&self, number: u64) -> PathBuf {
        self.generations().join(number.to_string())
    }

    /// The receipt of one generation.
    pub(crate) fn receipt(&self, number: u64) -> PathBuf {
        self.generation(number).join("receipt.json")
    }

    /// What one generation replaced.
    pub(crate) fn replaced(&self, number: u64) -> PathBuf {
        self.generation(number).join("replaced.json")
    }

    /// The symbolic link to the newest generation's directory.
    pub(crate) fn current(&self) -> PathBuf {
        self.root.join("current")
    }

    /// Contents of files, by digest: what generations left, and what was there before.
    pub(crate) fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// Copies of secrets that only this host can open.
    pub(crate) fn sealed(&self) -> PathBuf {
        self.root.join("sealed")
    }

    /// Where the host finds its secrets when it starts; there is none where it does not fetch them.
    pub(crate) fn to_fetch(&self) -> PathBuf {
        self.root.join("fetch.json")
    }

    /// The boot in which secrets could not be brought back at once, by its id.
    pub(crate) fn late(&self) -> PathBuf {
        self.root.join("secrets-late")
    }

    /// The link to the newest agent that the boot unit starts.
    pub(crate) fn program(&self) -> PathBuf {
        self.root.join("agent")
    }

    /// One content.
    pub(crate) fn stored(&self, content: &Digest) -> PathBuf {
        self.store().join(content.to_string())
    }
}

/// The files of one run.
#[derive(Clone, Debug)]
pub(crate) struct RunLayout {
    root: PathBuf,
}

impl RunLayout {
    /// The run's directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The plan, with the content that it writes.
    pub(crate) fn plan(&self) -> PathBuf {
        self.root.join("plan.json")
    }

    /// Who applies and when it was staged: what `status` tells without reading a plan of many megabytes.
    pub(crate) fn about(&self) -> PathBuf {
        self.root.join("about.json")
    }

    /// The journal, which is the verdict.
    pub(crate) fn journal(&self) -> PathBuf {
        self.root.join("journal.jsonl")
    }

    /// What was there before each step, so that a killed run forgets no original.
    pub(crate) fn originals(&self) -> PathBuf {
        self.root.join("originals.jsonl")
    }

    /// What was there before the run, of all that it is to change.
    pub(crate) fn replaced(&self) -> PathBuf {
        self.root.join("replaced.json")
    }

    /// What was decided of a run that touches the way in.
    pub(crate) fn decision(&self) -> PathBuf {
        self.root.join("decision.json")
    }

    /// What undoing the run takes and the store does not have, until it is decided.
    pub(crate) fn kept(&self) -> PathBuf {
        self.root.join("kept")
    }

    /// One content of them.
    pub(crate) fn kept_content(&self, content: &Digest) -> PathBuf {
        self.kept().join(content.to_string())
    }

    /// The passwords of users that the run deletes, as they are stored.
    pub(crate) fn kept_passwords(&self) -> PathBuf {
        self.kept().join("passwords.json")
    }

    /// The runner's own stdout and stderr.
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("runner.log")
    }
}
