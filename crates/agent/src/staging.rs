//! A plan on the host's disk: checked before it is written, and checked again before it is executed. It starts nothing,
//! and changes nothing outside the run's own directory.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use provision_core::model::{
    Applier, Content, Digest, HostText, InvalidPackageName, Millis, Op, PLAN_FORMAT, Plan, ResourceId,
    check_package_name,
};
use serde::{Deserialize, Serialize};

use crate::layout::Layout;
use crate::own_files::{self, OwnFileError};
use crate::{disk, generations};

/// What stays free on the disk beyond twice the plan: room for journals, receipts and package lists.
const SPARE: u64 = 64 << 20;
/// How many files a run may make beside those of its plan: its own records, each with a temporary one, and a package's.
const SPARE_FILES: u64 = 256;

/// Why a plan cannot be staged, or a staged one not be executed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StageError {
    /// It was written by another version.
    #[error("the plan has format {found}, this agent knows format {PLAN_FORMAT}")]
    Format {
        /// The plan's format.
        found: u32,
    },
    /// It says itself that it cannot be applied.
    #[error("the plan is blocked by {id}")]
    Blocked {
        /// The first blocker.
        id: ResourceId,
    },
    /// Content is not what its digest says.
    #[error("the content {} of the plan is damaged", digest.short())]
    DamagedContent {
        /// The digest.
        digest: Digest,
    },
    /// Content that a step writes is missing.
    #[error("the plan lacks the content of {path}")]
    MissingContent {
        /// The file.
        path: String,
    },
    /// An original that a step puts back is not in the store.
    #[error("the original of {path} is not in this host's store")]
    MissingOriginal {
        /// The file.
        path: String,
    },
    /// A package cannot be called that.
    #[error("the plan has the package {name:?}")]
    PackageName {
        /// The name.
        name: String,
        #[source]
        source: InvalidPackageName,
    },
    /// A question cannot be called that.
    #[error("the plan has the question {name:?}, which none is called")]
    Question {
        /// The name.
        name: String,
    },
    /// A package cannot have that version.
    #[error("the plan has the version {version:?} for the package {name}, which is none")]
    PackageVersion {
        /// The package.
        name: String,
        /// The version.
        version: String,
    },
    /// The disk is too full.
    #[error(
        "{} has {free} MiB free, and the plan needs {needed} MiB (twice its size, and {} MiB to spare)",
        path.display(),
        SPARE >> 20
    )]
    Space {
        /// The agent's directory.
        path: PathBuf,
        /// What is free, in MiB.
        free: u64,
        /// What is needed, in MiB.
        needed: u64,
    },
    /// The disk has room for bytes, and for hardly any file.
    #[error("{} has only {free} inodes free, and an apply needs {SPARE_FILES}", path.display())]
    Inodes {
        /// The agent's directory.
        path: PathBuf,
        /// How many are free.
        free: u64,
    },
    /// The disk cannot be asked, or the staged plan not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The staged plan is not the one of that id.
    #[error("{} is not the plan of that id", path.display())]
    OtherPlan {
        /// The staged plan.
        path: PathBuf,
    },
    /// The staged plan is no plan.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The staged plan.
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    /// It cannot be written.
    #[error("cannot write the plan")]
    Own(#[source] OwnFileError),
}

/// What is told of a run without reading its plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    /// Who applies.
    pub(crate) by: BTreeMap<String, HostText>,
    /// When it was staged, in seconds since 1970.
    pub(crate) started: u64,
    /// How long a run that touches the way in waits for its confirmation.
    pub(crate) confirm_within: Millis,
}

impl About {
    fn new(by: &Applier, confirm_within: Millis) -> Self {
        Self {
            by: generations::applier(by),
            started: own_files::seconds(SystemTime::now()),
            confirm_within,
        }
    }
}

/// Checks a plan and writes it to its run's directory, durably. `id` is the plan's.
///
/// # Errors
/// [`StageError`].
pub(crate) fn stage(layout: &Layout, id: &Digest, plan: &Plan, confirm_within: Millis) -> Result<(), StageError> {
    check(layout, plan)?;
    let path = layout.run(id).plan();
    let text = serde_json::to_vec(plan).map_err(|source| StageError::Damaged {
        path: path.clone(),
        source,
    })?;
    own_files::make_directory(layout.root()).map_err(StageError::Own)?;
    check_space(layout.root(), text.len() as u64)?;
    own_files::make_directory(&layout.runs()).map_err(StageError::Own)?;
    own_files::make_directory(layout.run(id).root()).map_err(StageError::Own)?;
    own_files::write_json(&layout.run(id).about(), &About::new(&plan.by, confirm_within)).map_err(StageError::Own)?;
    disk::write_state(&path, &text).map_err(|error| StageError::Own(OwnFileError::Write(error)))
}

/// What is told of a run; `None` of one that was staged only in part.
pub(crate) fn about(layout: &Layout, id: &Digest) -> Option<About> {
    own_files::read_json(&layout.run(id).about()).ok()
}

/// Reads a staged plan and checks it again: nothing else than what was sent is ever executed.
///
/// # Errors
/// [`StageError`].
pub(crate) fn load(layout: &Layout, id: &Digest) -> Result<Plan, StageError> {
    let path = layout.run(id).plan();
    let bytes = fs::read(&path).map_err(|source| StageError::Read {
        path: path.clone(),
        source,
    })?;
    let plan: Plan = serde_json::from_slice(&bytes).map_err(|source| StageError::Damaged {
        path: path.clone(),
        source,
    })?;
    if plan.id() != *id {
        return Err(StageError::OtherPlan { path });
    }
    check_blobs(&plan)?;
    Ok(plan)
}

fn check_package(name: &str) -> Result<(), StageError> {
    check_package_name(name).map_err(|source| StageError::PackageName {
        name: name.to_owned(),
        source,
    })
}

/// Both are words of lines that debconf's tools read.
fn check_question(question: &str, package: &str) -> Result<(), StageError> {
    check_package(package)?;
    let is_word = question.bytes().all(|byte| byte.is_ascii_graphic()) && question.contains('/');
    if is_word {
        Ok(())
    } else {
        Err(StageError::Question {
            name: question.to_owned(),
        })
    }
}

/// Everything that can be told of a plan without looking at the host's resources.
fn check(layout: &Layout, plan: &Plan) -> Result<(), StageError> {
    if plan.format != PLAN_FORMAT {
        return Err(StageError::Format { found: plan.format });
    }
    if let Some(blocker) = plan.blockers.first() {
        return Err(StageError::Blocked { id: blocker.id.clone() });
    }
    check_blobs(plan)?;
    for step in &plan.steps {
        match &step.op {
            Op::WriteFile(spec) => {
                let fits = |content: &Content| {
                    let blob = plan.blobs.get(&content.sha256);
                    blob.is_some_and(|blob| blob.bytes().len() as u64 == content.size)
                };
                if !fits(&spec.content) {
                    return Err(StageError::MissingContent {
                        path: spec.path.to_string(),
                    });
                }
            }
            Op::MakeTree(spec) => {
                if !spec
                    .source
                    .contents()
                    .iter()
                    .all(|content| plan.blobs.contains_key(&content.sha256))
                {
                    return Err(StageError::MissingContent {
                        path: spec.path.to_string(),
                    });
                }
            }
            Op::RestoreFile { path, content, .. } => {
                let stored = fs::metadata(layout.stored(&content.sha256));
                if !stored.is_ok_and(|meta| meta.len() == content.size) {
                    return Err(StageError::MissingOriginal { path: path.to_string() });
                }
            }
            Op::Packages { install, bare, remove } => {
                for name in install.keys().chain(bare).chain(remove) {
                    check_package(name)?;
                }
                for (name, version) in install {
                    if let Some(version) = version.as_ref().filter(|version| !is_version(version)) {
                        return Err(StageError::PackageVersion {
                            name: name.clone(),
                            version: version.clone(),
                        });
                    }
                }
            }
            Op::Answer { answers } => {
                for answer in answers.values() {
                    check_question(&answer.question, &answer.package)?;
                }
            }
            Op::TakeBackAnswer {
                question,
                package,
                to: _,
            } => check_question(question, package)?,
            Op::Reconfigure { package } => check_package(package)?,
            Op::SetAttributes { .. }
            | Op::MakeDirectory(_)
            | Op::MakeSymlink(_)
            | Op::RemovePath { .. }
            | Op::PutBlock(_)
            | Op::RemoveBlock { .. }
            | Op::RemoveTree { .. }
            | Op::CloneGit(_)
            | Op::MirrorGit { .. }
            | Op::RemoveGit(_)
            | Op::PutSwapfile { .. }
            | Op::RemoveSwapfile { .. }
            | Op::Turn(_)
            | Op::SetSysctl(_)
            | Op::LoadFirewall(_)
            | Op::RemoveFirewall
            | Op::Secrets { .. }
            | Op::DaemonReload
            | Op::ReloadOfUser { .. }
            | Op::AtBoot { .. }
            | Op::Unit { .. }
            | Op::Settle(_)
            | Op::CreateGroup(_)
            | Op::SetGroupId { .. }
            | Op::DeleteGroup { .. }
            | Op::CreateUser(_)
            | Op::ModifyUser { .. }
            | Op::DeleteUser { .. }
            | Op::Run(_)
            | Op::Probe(_)
            | Op::Record => {}
        }
    }
    Ok(())
}

fn check_blobs(plan: &Plan) -> Result<(), StageError> {
    let damaged = plan
        .blobs
        .iter()
        .find(|(digest, blob)| Digest::of(blob.bytes()) != **digest);
    match damaged {
        Some((digest, _)) => Err(StageError::DamagedContent { digest: *digest }),
        None => Ok(()),
    }
}

/// Debian policy 5.6.12: a version begins with a digit, and is of letters, digits and `.+-:~`.
fn is_version(version: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-' | b':' | b'~');
    version.starts_with(|first: char| first.is_ascii_digit()) && version.bytes().all(allowed)
}

fn check_space(root: &Path, payload: u64) -> Result<(), StageError> {
    let disk = rustix::fs::statvfs(root).map_err(|error| StageError::Read {
        path: root.into(),
        source: error.into(),
    })?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let needed = payload.saturating_mul(2).saturating_add(SPARE);
    if free < needed {
        return Err(StageError::Space {
            path: root.into(),
            free: free >> 20,
            needed: needed.div_ceil(1 << 20),
        });
    }
    // Where they are made as they are needed, there is no number of them.
    if disk.f_files > 0 && disk.f_favail < SPARE_FILES {
        return Err(StageError::Inodes {
            path: root.into(),
            free: disk.f_favail,
        });
    }
    Ok(())
}
