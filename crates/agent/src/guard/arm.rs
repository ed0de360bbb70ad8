//! Making a host ready to undo a run by itself, before the run's first change: what undoing takes is kept, a unit waits for the
//! next boot, and a process waits for the runner's end. It undoes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use provision_core::model::{AbsPath, Content, Digest, Op, PathState, Plan, ResourceId, State};

use crate::armed::armed;
use crate::disk::{self, Attributes};
use crate::generations;
use crate::layout::Layout;
use crate::own_files::{self, OwnFileError};
use crate::start::{self, StartError};

/// The unit that undoes at boot what was not confirmed before it.
const BOOT_UNIT: &str = "/etc/systemd/system/provision-recover.service";
const BOOT_LINK: &str = "/etc/systemd/system/sysinit.target.wants/provision-recover.service";

/// Where users' passwords are.
const SHADOW: &str = "/etc/shadow";

/// Why a run that touches the way in cannot begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArmError {
    /// A file cannot be kept.
    #[error("cannot keep {path} for the way back")]
    Keep {
        /// The file.
        path: String,
        #[source]
        source: io::Error,
    },
    /// The agent's own files cannot be written.
    #[error("cannot keep what the way back takes")]
    Own(#[source] OwnFileError),
    /// The unit for the next boot cannot be made.
    #[error("cannot make {path}")]
    Unit {
        /// The unit's file, or the link to it.
        path: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It is not known which program this is.
    #[error("cannot find the agent's own program")]
    Program(#[source] io::Error),
    /// Nobody watches.
    #[error("cannot start what watches the run")]
    Watch(#[source] StartError),
}

/// Makes the host ready. When this returns, whatever happens to the run or the host ends in the old state or in a confirmed
/// new one.
///
/// # Errors
/// [`ArmError`]; nothing has been changed, and [`disarm`] removes what was made.
pub(crate) fn arm(
    layout: &Layout,
    plan_id: &Digest,
    plan: &Plan,
    found: &BTreeMap<ResourceId, State>,
) -> Result<(), ArmError> {
    let run = layout.run(plan_id);
    // What an earlier try of the same plan decided, which changed nothing, is history.
    remove(&run.decision()).map_err(ArmError::Own)?;
    own_files::make_directory(&run.kept()).map_err(ArmError::Own)?;
    for (id, state) in found {
        if let State::Path(PathState::File { content, .. }) = state {
            keep(layout, plan_id, &id.name, content)?;
        }
    }
    keep_passwords(layout, plan_id, plan)?;
    let program = fs::read_link("/proc/self/exe").map_err(ArmError::Program)?;
    boot_unit(&program)?;
    // From here on no other run begins before this one is decided.
    own_files::write_json(&layout.armed(), plan_id).map_err(ArmError::Own)?;
    start::watch(layout, plan_id, program).map_err(ArmError::Watch)
}

/// Takes back what [`arm`] made for a run; for another one, or none, it is not there. What a power cut leaves of it is removed
/// by the next one.
///
/// # Errors
/// [`OwnFileError`].
pub(crate) fn disarm(layout: &Layout, plan_id: &Digest) -> Result<(), OwnFileError> {
    if armed(layout)?.is_some_and(|armed| armed != *plan_id) {
        return Ok(());
    }
    remove(Path::new(BOOT_LINK))?;
    remove(Path::new(BOOT_UNIT))?;
    let kept = layout.run(plan_id).kept();
    if kept.exists() {
        own_files::remove_tree(&kept)?;
    }
    remove(&layout.armed())
}

fn remove(path: &Path) -> Result<(), OwnFileError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(OwnFileError::Remove {
            path: path.into(),
            source,
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Keeps a file's content beside the run, for root alone, where the store does not have it.
fn keep(layout: &Layout, plan_id: &Digest, path: &str, content: &Content) -> Result<(), ArmError> {
    let failed = |source| ArmError::Keep {
        path: path.to_owned(),
        source,
    };
    if layout.stored(&content.sha256).exists() {
        return Ok(());
    }
    let name = AbsPath::new(path).map_err(|error| failed(io::Error::other(error)))?;
    let bytes = disk::read_file(&name, generations::CONTENT_BYTES).map_err(|error| failed(io::Error::other(error)))?;
    let bytes = bytes
        .filter(|bytes| Content::of(bytes) == *content)
        .ok_or_else(|| failed(io::Error::other("it changes, or is too large to be kept")))?;
    disk::write_state(&layout.run(plan_id).kept_content(&content.sha256), &bytes)
        .map_err(|error| ArmError::Own(OwnFileError::Write(error)))
}

/// Keeps the passwords of users that the plan deletes: nothing else on the host has them then.
fn keep_passwords(layout: &Layout, plan_id: &Digest, plan: &Plan) -> Result<(), ArmError> {
    let deleted: BTreeSet<&str> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.op {
            Op::DeleteUser { name, .. } => Some(name.as_str()),
            _ => None,
        })
        .collect();
    if deleted.is_empty() {
        return Ok(());
    }
    let text = fs::read_to_string(SHADOW).map_err(|source| ArmError::Keep {
        path: SHADOW.to_owned(),
        source,
    })?;
    let passwords: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.split_once(':')?;
            let password = rest.split(':').next()?;
            deleted.contains(name).then_some((name, password))
        })
        .collect();
    own_files::write_json(&layout.run(plan_id).kept_passwords(), &passwords).map_err(ArmError::Own)
}

fn boot_unit(program: &Path) -> Result<(), ArmError> {
    // Before anything that lets people in, and before the network. It orders nothing that waits for it.
    let text = format!(
        "# Made by provision, for as long as an apply that touches the way in is not confirmed.\n\
         [Unit]\n\
         Description=provision: undo an apply that was not confirmed\n\
         DefaultDependencies=no\n\
         RequiresMountsFor=/var/lib/provision\n\
         After=local-fs.target systemd-remount-fs.service\n\
         Before=sysinit.target network-pre.target systemd-sysctl.service systemd-networkd.service networking.service \
         nftables.service provision-firewall.service netfilter-persistent.service ufw.service ssh.service ssh.socket sshd.service shutdown.target\n\
         Conflicts=shutdown.target\n\
         [Service]\n\
         Type=oneshot\n\
         ExecStart={} recover\n\
         TimeoutStartSec=5min\n\
         UMask=0022\n\
         LimitCORE=0\n",
        program.display()
    );
    let failed = |path, source: Box<dyn std::error::Error + Send + Sync>| ArmError::Unit { path, source };
    let abs = |path: &'static str| AbsPath::new(path).map_err(|error| failed(path, Box::new(error)));
    let root = |mode| Attributes {
        uid: 0,
        gid: 0,
        mode: provision_core::model::Mode::from_bits(mode),
    };
    disk::write_file(&abs(BOOT_UNIT)?, text.as_bytes(), &root(0o644), None)
        .map_err(|error| failed(BOOT_UNIT, Box::new(error)))?;
    let wants = PathBuf::from(BOOT_LINK);
    if let Some(directory) = wants.parent().filter(|directory| !directory.exists()) {
        let directory =
            AbsPath::new(directory.to_string_lossy()).map_err(|error| failed(BOOT_LINK, Box::new(error)))?;
        disk::make_directory(&directory, &root(0o755)).map_err(|error| failed(BOOT_LINK, Box::new(error)))?;
    }
    disk::make_symlink(&abs(BOOT_LINK)?, "../provision-recover.service")
        .map_err(|error| failed(BOOT_LINK, Box::new(error)))
}
