//! Units that systemd restarts along with one that they need (`Requires=`, `PartOf=`): each is restarted once, not once more by
//! its own step. It gives no order; it says which one is left to give.

use std::borrow::Cow;
use std::collections::BTreeMap;

use provision_core::model::{HostText, Op, Step, UnitName, UnitVerb};

use crate::systemd;

/// The units of restarts that follow each other, with what each was started as before the first of them.
#[derive(Default)]
pub(crate) struct Along {
    started_as: Option<BTreeMap<UnitName, HostText>>,
}

impl Along {
    /// What is left of the next step. All that units are restarted for was done before the first of the restarts that follow each other, so
    /// one that runs anew since then, or is down, need only be started: that waits for what systemd has begun, and
    /// does nothing to one that is up.
    pub(crate) fn left<'s>(&mut self, step: &'s Step, following: &[Step]) -> Cow<'s, Op> {
        let Some(name) = restarted(step) else {
            self.started_as = None;
            return Cow::Borrowed(&step.op);
        };
        let Some(started_as) = &self.started_as else {
            let names = std::iter::once(step).chain(following).map_while(restarted);
            let names: Vec<_> = names.cloned().collect();
            // A single one has nobody to go along with.
            let health = if names.len() > 1 {
                systemd::show_health(&names).ok()
            } else {
                None
            };
            let health = health.unwrap_or_default().into_iter();
            self.started_as = Some(health.map(|(name, health)| (name, health.invocation)).collect());
            return Cow::Borrowed(&step.op);
        };
        let now = systemd::show_health(std::slice::from_ref(name)).ok();
        let now = now.and_then(|mut health| health.remove(name));
        match (started_as.get(name), now) {
            (Some(before), Some(now)) if *before != now.invocation || now.active.untrusted() != "active" => {
                Cow::Owned(Op::Unit {
                    name: name.clone(),
                    verb: UnitVerb::Start,
                })
            }
            _ => Cow::Borrowed(&step.op),
        }
    }
}

fn restarted(step: &Step) -> Option<&UnitName> {
    match &step.op {
        Op::Unit {
            name,
            verb: UnitVerb::Restart,
        } => Some(name),
        _ => None,
    }
}
