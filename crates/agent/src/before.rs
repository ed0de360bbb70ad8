//! What was there before a step that is the first to change something: looked at right before it, kept for good, and
//! put into the receipt. It changes nothing but the agent's own store.

use std::collections::{BTreeMap, BTreeSet};

use provision_core::model::{
    AbsPath, Digest, Entry, Fact, Kind, Op, PathState, Plan, Receipt, ResourceId, Spec, State, Step, StepError,
    UnitName,
};

use crate::layout::Layout;
use crate::{disk, execute, generations, observe};

/// What a run stands on.
pub(crate) struct Ground<'a> {
    /// The agent's own files.
    pub(crate) layout: &'a Layout,
    /// The plan.
    pub(crate) plan: &'a Plan,
    /// The receipt that the plan was made on.
    pub(crate) previous: Option<&'a Receipt>,
    /// What the preconditions' check found.
    pub(crate) found: &'a BTreeMap<ResourceId, State>,
}

impl Ground<'_> {
    fn original(&self, id: &ResourceId) -> Option<&State> {
        self.previous?.entries.get(id)?.original.as_ref()
    }

    /// What takes the place of a path that leaves, under another kind; it has no original of its own yet.
    fn successor(&self, id: &ResourceId) -> Option<ResourceId> {
        if self.plan.entries.contains_key(id) {
            return None;
        }
        let mut others = id.others_at_path();
        others.find(|other| self.plan.entries.contains_key(other) && self.original(other).is_none())
    }
}

/// The state of what a step is the first to change and that is not in `looked` yet, right before it: an earlier step of the
/// same run (a package) may have brought it. Of a unit it is the state before the run: what brought it in the same run takes
/// it away again. The content of a file goes to the store.
///
/// # Errors
/// Where something cannot be seen, or not be kept: then it must not be replaced.
pub(crate) fn look(
    ground: &Ground<'_>,
    step: &Step,
    looked: &BTreeMap<ResourceId, State>,
) -> Result<BTreeMap<ResourceId, State>, StepError> {
    let mut states = BTreeMap::new();
    // Their content is in the store since they were first looked at.
    let mut inherited = BTreeMap::new();
    let mut specs = Vec::new();
    for id in touched(step) {
        // Whatever its kind, there was one thing at a path before us: whoever takes the path over inherits it.
        if let Some(heir) = ground.successor(&id)
            && !looked.contains_key(&heir)
        {
            let left = ground.previous.and_then(|previous| previous.entries.get(&id));
            match (ground.original(&id), left) {
                (Some(original), _) => _ = inherited.insert(heir, original.clone()),
                (None, Some(left)) => states.extend(
                    observe_known(std::slice::from_ref(&left.spec))?
                        .into_values()
                        .map(|state| (heir.clone(), state)),
                ),
                (None, None) => {}
            }
        }
        if matches!(step.op, Op::Record) {
            continue;
        }
        if ground.original(&id).is_some() || looked.contains_key(&id) {
            continue;
        }
        let Some(planned) = ground.plan.entries.get(&id) else {
            continue;
        };
        if is_kept(id.kind) && id.kind != Kind::Unit {
            specs.push(planned.spec.clone());
        } else {
            states.extend(ground.found.get(&id).map(|state| (id, state.clone())));
        }
    }
    states.extend(observe_known(&specs)?);
    for (id, state) in &mut states {
        keep_content(ground.layout, id, state)?;
    }
    states.extend(inherited);
    Ok(states)
}

/// What a step changes: what it covers, and the units that it gives orders, which only a later step may cover.
fn touched(step: &Step) -> BTreeSet<ResourceId> {
    let mut ids = step.covers.clone();
    let unit = |name: &UnitName| ResourceId::new(Kind::Unit, name.as_str());
    match &step.op {
        Op::AtBoot { enable, disable } => ids.extend(enable.union(disable).map(unit)),
        Op::Unit { name, .. } => _ = ids.insert(unit(name)),
        // Where a reconfiguration follows, that is the step that covers them.
        Op::Answer { answers } => ids.extend(answers.keys().map(|question| ResourceId::new(Kind::Debconf, question))),
        _ => {}
    }
    ids
}

/// Of what was there before a run that failed and is not covered by its finished steps, what is no longer so.
pub(crate) fn changed(ground: &Ground<'_>, mut before: BTreeMap<ResourceId, State>) -> BTreeMap<ResourceId, State> {
    let ids = before.keys().filter(|id| is_kept(id.kind));
    let specs: Vec<Spec> = ids
        .filter_map(|id| Some(ground.plan.entries.get(id)?.spec.clone()))
        .collect();
    let now = observe_all(&specs);
    before.retain(|id, before| match now.get(id) {
        Some(Fact::Known(now)) => now.fingerprint() != before.fingerprint(),
        Some(Fact::Unknown(_)) | None => false,
    });
    before
}

/// How the resources of a finished step stand in the receipt. What was there before them is taken out of `before`.
pub(crate) fn entries(
    ground: &Ground<'_>,
    step: &Step,
    before: &mut BTreeMap<ResourceId, State>,
) -> BTreeMap<ResourceId, Option<Entry>> {
    let mut entry = |id: &ResourceId| {
        let planned = ground.plan.entries.get(id)?;
        let original = ground.original(id).cloned().or_else(|| before.remove(id));
        Some(generations::entry(planned, original))
    };
    step.covers.iter().map(|id| (id.clone(), entry(id))).collect()
}

/// Whether there is anything of this kind that could be put back. To ask the others again takes time, and a guard's process.
const fn is_kept(kind: Kind) -> bool {
    match kind {
        Kind::Command | Kind::Probe => false,
        Kind::Group
        | Kind::User
        | Kind::Debconf
        | Kind::Package
        | Kind::Directory
        | Kind::File
        | Kind::Block
        | Kind::Swapfile
        | Kind::Archive
        | Kind::Npm
        | Kind::Git
        | Kind::Hold
        | Kind::Linger
        | Kind::KernelModule
        | Kind::Symlink
        | Kind::Sysctl
        | Kind::Firewall
        | Kind::Secret
        | Kind::Unit => true,
    }
}

/// The same, where nothing may be unknown.
fn observe_known(specs: &[Spec]) -> Result<BTreeMap<ResourceId, State>, StepError> {
    let mut states = BTreeMap::new();
    for (id, fact) in observe_all(specs) {
        match fact {
            Fact::Known(state) => _ = states.insert(id, state),
            Fact::Unknown(reason) => {
                let problem = format!("cannot see {id} before changing it: {}", reason.untrusted());
                return Err(execute::problem(problem));
            }
        }
    }
    Ok(states)
}

fn observe_all(specs: &[Spec]) -> BTreeMap<ResourceId, Fact<State>> {
    if specs.is_empty() {
        return BTreeMap::new();
    }
    observe::observe(specs)
}

/// Saves the content of a file that was there, and drops its text, which the content says already.
fn keep_content(layout: &Layout, id: &ResourceId, state: &mut State) -> Result<(), StepError> {
    let State::Path(PathState::File { content, text, .. }) = state else {
        return Ok(());
    };
    *text = None;
    let path = AbsPath::new(&*id.name).map_err(|error| execute::failure(&error))?;
    let bytes = disk::read_file(&path, generations::CONTENT_BYTES).map_err(|error| execute::failure(&error))?;
    match bytes {
        Some(bytes) if Digest::of(&bytes) == content.sha256 => {
            generations::keep(layout, &content.sha256, &bytes).map_err(|error| execute::failure(&error))
        }
        _ => Err(execute::problem(format!(
            "{path} changes while its content is being saved"
        ))),
    }
}
