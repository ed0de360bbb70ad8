//! The project as values: its files read and resolved to what each host should be. It contacts no host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use provision_core::model::{Desired, HostName};

use crate::cli::args::{Connect, Selection};
use crate::cli::select::{Inventory, SelectError, select};
use crate::cli::ui::Ui;
use crate::drive::{Options, Target};
use crate::load;
use crate::report::error::CommandError;

/// Every host of a project, as it should be.
pub(super) struct Fleet {
    /// The project's root.
    pub root: PathBuf,
    /// The hosts.
    pub hosts: BTreeMap<HostName, Arc<Desired>>,
}

impl Fleet {
    /// Reads and resolves the project; errors of its files end the command with all of them shown.
    pub(super) fn load(root: Option<&Path>, ui: &Ui) -> Result<Self, CommandError> {
        let root = load::root(root)?;
        let hosts = resolve(&root, ui)?;
        Ok(Self { root, hosts })
    }

    /// The selected hosts, in order.
    pub(super) fn select(&self, selection: &Selection) -> Result<Vec<Arc<Desired>>, SelectError> {
        let selected = select(&self.inventory(), selection)?;
        Ok(selected
            .iter()
            .filter_map(|host| self.hosts.get(host).cloned())
            .collect())
    }

    /// The one host of that name.
    pub(super) fn host(&self, name: &str) -> Result<Arc<Desired>, CommandError> {
        let selection = Selection {
            hosts: vec![name.to_owned()],
            ..Selection::default()
        };
        let mut hosts = self.select(&selection)?;
        match (hosts.pop(), hosts.is_empty()) {
            (Some(host), true) => Ok(host),
            _ => Err(CommandError::refused(format!(
                "{name:?} fits several hosts, and this takes one"
            ))),
        }
    }

    /// How hosts are driven.
    pub(super) fn options(&self, connect: &Connect) -> Options {
        Options {
            parallel: connect.parallel,
            timeout: connect.timeout,
            root: self.root.clone(),
        }
    }

    fn inventory(&self) -> Inventory {
        let tags = |desired: &Arc<Desired>| desired.tags.iter().cloned().collect::<BTreeSet<_>>();
        self.hosts
            .iter()
            .map(|(host, desired)| (host.clone(), tags(desired)))
            .collect()
    }
}

/// A host to talk to.
pub(super) fn target(desired: &Desired) -> Target {
    Target {
        host: desired.host.clone(),
        connection: desired.connection.clone(),
    }
}

fn resolve(root: &Path, _ui: &Ui) -> Result<BTreeMap<HostName, Arc<Desired>>, CommandError> {
    let _config = load::config(root)?;
    Err(CommandError::refused("this build cannot resolve host files"))
}
