//! Groups, as `/etc/group` has them. Groups that only a name service knows are absent here.

use provision_core::model::GroupState;

use crate::accounts::Accounts;

/// The group of that name.
pub(super) fn observe(name: &str, accounts: &Accounts) -> GroupState {
    accounts
        .group(name)
        .map_or(GroupState::Absent, |group| GroupState::Present { gid: group.gid })
}
