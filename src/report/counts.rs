//! How many changes of each sort a plan has, and the sentence that sums them up. It looks at no change's detail.

use provision_core::model::{Action, Plan};
use serde::Serialize;

use super::words;

/// How many changes there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are the actions, which are documented")]
pub struct Counts {
    pub create: usize,
    pub update: usize,
    pub remove: usize,
    pub restore: usize,
    pub forget: usize,
    pub run: usize,
    pub restart: usize,
    pub verify: usize,
    pub record: usize,
    /// Resources that stay as they are.
    pub unchanged: usize,
    /// What keeps plans from being applied.
    pub blockers: usize,
}

impl Counts {
    /// The counts of one plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let mut counts = Self {
            unchanged: plan.unchanged.len(),
            blockers: plan.blockers.len(),
            ..Self::default()
        };
        for change in &plan.changes {
            *counts.slot(change.action) += 1;
        }
        counts
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            create: self.create + other.create,
            update: self.update + other.update,
            remove: self.remove + other.remove,
            restore: self.restore + other.restore,
            forget: self.forget + other.forget,
            run: self.run + other.run,
            restart: self.restart + other.restart,
            verify: self.verify + other.verify,
            record: self.record + other.record,
            unchanged: self.unchanged + other.unchanged,
            blockers: self.blockers + other.blockers,
        }
    }

    /// How many changes there are in all.
    #[must_use]
    pub const fn changes(self) -> usize {
        self.create
            + self.update
            + self.remove
            + self.restore
            + self.forget
            + self.run
            + self.restart
            + self.verify
            + self.record
    }

    const fn slot(&mut self, action: Action) -> &mut usize {
        match action {
            Action::Create => &mut self.create,
            Action::Update => &mut self.update,
            Action::Remove => &mut self.remove,
            Action::Restore => &mut self.restore,
            Action::Forget => &mut self.forget,
            Action::Run => &mut self.run,
            Action::Restart => &mut self.restart,
            Action::Verify => &mut self.verify,
            Action::Record => &mut self.record,
        }
    }

    /// Such as "3 to create, 1 to change, 0 to remove, 1 restart; 95 unchanged".
    #[must_use]
    pub fn words(self) -> String {
        let mut parts = vec![
            format!("{} to create", self.create),
            format!("{} to change", self.update),
            format!("{} to remove", self.remove),
        ];
        let rest = [
            (self.restore, "to restore"),
            (self.forget, "to forget"),
            (self.run, "to run"),
            (self.verify, "to verify"),
            (self.record, "to record"),
        ];
        if self.restart > 0 {
            parts.push(words::count(self.restart, "restart"));
        }
        for (number, what) in rest {
            if number > 0 {
                parts.push(format!("{number} {what}"));
            }
        }
        if self.blockers > 0 {
            parts.push(format!("{} in the way", self.blockers));
        }
        format!("{}; {} unchanged", parts.join(", "), self.unchanged)
    }
}
