//! The project as values: its files read and resolved to what each host should be. It contacts no host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use provision_core::config::{LocalFileError, LocalFiles, Project, Severity, Sources, load as parse};
use provision_core::model::{Desired, HostName, SecretItem};
use provision_core::resolve::{Resolution, resolve};

use crate::cli::args::{Confirm, Connect, Selection};
use crate::cli::select::{Inventory, SelectError, select};
use crate::cli::ui::Ui;
use crate::drive::{CONFIRM_WITHIN, Options, Target};
use crate::load::{self, LocalDirectory, LocalError};
use crate::report::error::CommandError;
use crate::report::findings;
use crate::secrets;

/// Hosts of a project, as they should be.
pub(super) struct Fleet {
    /// The project's root.
    pub root: PathBuf,
    /// The hosts.
    pub hosts: BTreeMap<HostName, Arc<Desired>>,
    /// The secrets that each declares and nothing on it uses, by name.
    pub unused_secrets: BTreeMap<HostName, BTreeMap<String, SecretItem>>,
}

impl Fleet {
    /// All hosts of the project. Any error in any of its files ends the command, with all errors shown: what is wrong
    /// with one file may change what another one means.
    pub(super) fn load(root: Option<&Path>, ui: &Ui) -> Result<Self, CommandError> {
        let root = load::root(root)?;
        let resolution = resolve_those(&root, all)?;
        Self::of(root, resolution, ui)
    }

    /// The selected hosts of the project; the others are read, and not worked out.
    pub(super) fn load_selected(root: Option<&Path>, selection: &Selection, ui: &Ui) -> Result<Self, CommandError> {
        let root = load::root(root)?;
        let resolution = resolve_those(&root, |project| {
            let hosts = project.hosts.values();
            let inventory = hosts.map(|host| (host.name.clone(), host.tags.clone())).collect();
            select(&inventory, selection)
        })?;
        Self::of(root, resolution, ui)
    }

    /// Errors end the command; warnings are said.
    fn of(root: PathBuf, resolution: Resolution, ui: &Ui) -> Result<Self, CommandError> {
        if resolution.has_errors() {
            return Err(findings::error(&resolution, ui));
        }
        if !resolution.diagnostics.is_empty() {
            ui.say(&findings::text(&resolution, ui));
        }
        let hosts = resolution
            .hosts
            .into_iter()
            .map(|(host, desired)| (host, Arc::new(desired)));
        Ok(Self {
            root,
            hosts: hosts.collect(),
            unused_secrets: resolution.unused_secrets,
        })
    }

    /// The selected ones of these hosts, in order.
    pub(super) fn select(&self, selection: &Selection) -> Result<Vec<Arc<Desired>>, SelectError> {
        let inventory: Inventory = self
            .hosts
            .iter()
            .map(|(host, desired)| (host.clone(), desired.tags.clone()))
            .collect();
        let selected = select(&inventory, selection)?;
        Ok(selected
            .iter()
            .filter_map(|host| self.hosts.get(host).cloned())
            .collect())
    }

    /// The one host of that name.
    pub(super) fn load_one(root: Option<&Path>, name: &str, ui: &Ui) -> Result<Arc<Desired>, CommandError> {
        let selection = Selection {
            hosts: vec![name.to_owned()],
            ..Selection::default()
        };
        let fleet = Self::load_selected(root, &selection, ui)?;
        match fleet.hosts.values().collect::<Vec<_>>().as_slice() {
            [host] => Ok(Arc::clone(host)),
            hosts => {
                let error = format!("{name:?} fits {} hosts, and this command takes one", hosts.len());
                Err(CommandError::refused(error))
            }
        }
    }
}

/// How hosts are driven.
pub(super) const fn options(connect: &Connect) -> Options {
    Options {
        parallel: connect.parallel,
        timeout: connect.timeout,
        confirm_within: CONFIRM_WITHIN,
        confirm_at: None,
    }
}

/// How hosts are driven that are changed.
pub(super) fn confirmed_options(connect: &Connect, confirm: &Confirm) -> Options {
    Options {
        confirm_within: confirm.confirm_within,
        confirm_at: confirm.confirm_at.clone(),
        ..options(connect)
    }
}

/// A host to talk to.
pub(super) fn target(desired: &Desired) -> Target {
    Target {
        host: desired.host.clone(),
        connection: desired.connection.clone(),
    }
}

/// All hosts of the project, and all that is wrong with it.
pub(super) fn resolution(root: Option<&Path>) -> Result<Resolution, CommandError> {
    resolve_those(&load::root(root)?, all)
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it is one of two ways to choose, and the other one can fail"
)]
fn all(project: &Project) -> Result<BTreeSet<HostName>, SelectError> {
    Ok(project.hosts.keys().cloned().collect())
}

fn resolve_those(
    root: &Path,
    wanted: impl FnOnce(&Project) -> Result<BTreeSet<HostName>, SelectError>,
) -> Result<Resolution, CommandError> {
    project(root, |project, sources| {
        let broken = project
            .diagnostics
            .iter()
            .any(|found| found.severity == Severity::Error);
        // A broken file may hide the very host or tag that is selected, so its errors come first, with all others.
        let wanted = if broken { all(&project) } else { wanted(&project) }?;
        Ok(resolve(project, sources, |host| wanted.contains(host)))
    })?
}

/// What is made of the project as it is written, and of the sources it was read from.
pub(super) fn project<T>(root: &Path, make: impl FnOnce(Project, &Sources<'_>) -> T) -> Result<T, CommandError> {
    let files = Local(LocalDirectory::of(root));
    let sources = Sources {
        config: load::config(root)?,
        files: &files,
    };
    let mut project = parse(&sources.config);
    project.stores = secrets::project_stores(root)?;
    Ok(make(project, &sources))
}

/// The local files, as the language asks for them.
struct Local(LocalDirectory);

impl LocalFiles for Local {
    fn read(&self, path: &str) -> Result<Vec<u8>, LocalFileError> {
        self.0.bytes(path).map_err(|error| match error {
            LocalError::Missing => LocalFileError::Missing,
            LocalError::Read(cause) => LocalFileError::Unreadable(cause.to_string()),
            LocalError::Outside | LocalError::NotAFile | LocalError::TooLarge => {
                LocalFileError::Unreadable(error.to_string())
            }
        })
    }

    fn paths(&self) -> Vec<String> {
        self.0.list()
    }
}
