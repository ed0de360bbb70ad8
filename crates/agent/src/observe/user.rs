//! Users, as `/etc/passwd` and `/etc/group` have them. Users that only a name service knows are absent here.

use provision_core::model::{HostText, UserState};

use crate::accounts::Accounts;

/// The user of that name.
pub(super) fn observe(name: &str, accounts: &Accounts) -> UserState {
    let Some(user) = accounts.user(name) else {
        return UserState::Absent;
    };
    let others = accounts.groups_of(name).filter(|group| group.gid != user.gid);
    UserState::Present {
        uid: user.uid,
        group: accounts.owning_group(user.gid),
        groups: others.map(|group| HostText::new(&*group.name)).collect(),
        home: HostText::new(&*user.home),
        shell: HostText::new(&*user.shell),
        comment: HostText::new(&*user.comment),
    }
}
