//! Kernel parameters: the declared value against the live one.

use super::difference::{Difference, Edit, changes};
use crate::model::{Action, HostText, Op, Reason, SysctlSpec, SysctlState};

pub(super) fn sysctl(spec: &SysctlSpec, state: &SysctlState) -> Difference {
    match state {
        SysctlState::NoSuchKey => Difference::Impossible {
            problem: HostText::from("this kernel has no such parameter"),
            fix: "check the spelling, or load the kernel module that brings it".into(),
        },
        SysctlState::Live(live) if fold(live.untrusted()) == fold(&spec.value) => {
            Difference::Same("the live value is as declared".into())
        }
        SysctlState::Live(live) => {
            let fields = vec![changes("live value", live.clone(), &spec.value)];
            let op = Op::SetSysctl(spec.clone());
            Difference::Edit(Edit::new(Action::Update, Reason::Differs, op).with_fields(fields))
        }
    }
}

/// The kernel separates numbers by tabs where people write blanks.
pub(super) fn fold(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}
