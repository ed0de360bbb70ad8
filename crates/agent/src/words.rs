//! Errors and states as words for the controller: one line that names the thing and every cause. It prints nothing.

use std::error::Error;

use provision_core::model::{
    BlockState, CommandState, DebconfAnswer, FirewallState, GitState, GroupState, HostText, PackageState, PathState,
    ProbeState, SecretState, State, SwapfileState, SwitchState, SysctlState, TreeState, UnitState, UserState, mib,
};

/// An error and all its causes in one line.
pub(crate) fn chain(error: &dyn Error) -> HostText {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    HostText::new(words)
}

/// What was found, where it is not what a plan was made from.
pub(crate) fn found(state: &State) -> HostText {
    let words = match state {
        State::Group(GroupState::Absent) | State::User(UserState::Absent) | State::Package(PackageState::Absent) => {
            "it is absent".to_owned()
        }
        State::Group(GroupState::Present { gid }) => format!("it has id {gid}"),
        State::User(UserState::Present {
            uid,
            group,
            groups,
            home,
            shell,
            comment,
        }) => {
            let groups: Vec<_> = groups.iter().map(HostText::untrusted).collect();
            format!(
                "it has id {uid}, group {}, groups [{}], home {}, shell {}, comment {:?}",
                group.label().untrusted(),
                groups.join(", "),
                home.untrusted(),
                shell.untrusted(),
                comment.untrusted()
            )
        }
        State::Package(PackageState::Installed { version }) => format!("version {} is installed", version.untrusted()),
        State::Package(PackageState::Broken { status }) => format!("it is {}", status.untrusted()),
        State::Path(path) => path_words(path),
        State::Block(BlockState::NoFile) => "there is no such file".to_owned(),
        State::Block(BlockState::File { lines: None, .. }) => "the file has no such block".to_owned(),
        State::Block(BlockState::File { lines: Some(_), .. }) => "the block, or whose its file is, differs".to_owned(),
        State::Block(BlockState::Broken { problem }) => problem.clone(),
        State::Block(BlockState::Other { what }) => what.clone(),
        State::Tree(TreeState::Absent) => "nothing is there".to_owned(),
        State::Tree(TreeState::Version { directory, intact }) => {
            let changed = if *intact { "" } else { ", changed since it was unpacked" };
            format!("it is version {}{changed}", directory.untrusted())
        }
        State::Tree(TreeState::Other { what }) => what.clone(),
        State::Git(GitState::Absent { .. }) => "nothing is there".to_owned(),
        State::Git(GitState::Other { what }) => what.untrusted().to_owned(),
        State::Git(GitState::Checkout { url, mirror }) => match mirror {
            None => format!("it is a checkout of {}", url.untrusted()),
            Some(standing) => format!(
                "it is at commit {}, with {} files changed by hand",
                standing.commit.as_deref().unwrap_or("(none)"),
                standing.changed
            ),
        },
        State::Swapfile(SwapfileState::Absent { .. }) => "nothing is there".to_owned(),
        State::Swapfile(SwapfileState::Other { what }) => format!("it is {what}"),
        State::Swapfile(SwapfileState::File(found)) if found.formatted.is_none() => {
            "a file is there that is no swap space".to_owned()
        }
        State::Swapfile(SwapfileState::File(found)) => format!(
            "it is {} long, {}, {}",
            mib(found.size),
            found.mode,
            found
                .active
                .as_ref()
                .map_or("and not in use".to_owned(), |active| format!(
                    "and in use with priority {}",
                    active.priority
                ))
        ),
        State::Switch(SwitchState { on }) => format!("it is {}", if *on { "on" } else { "off" }),
        State::Debconf(state) => match &state.answer {
            DebconfAnswer::None => "it has no answer".to_owned(),
            DebconfAnswer::Password => "it asks for a password".to_owned(),
            DebconfAnswer::Known { value: None, .. } => "its answer is the package's default".to_owned(),
            DebconfAnswer::Known {
                value: Some(value),
                seen,
            } => format!(
                "its answer is {:?}{}",
                value.untrusted(),
                if *seen { "" } else { ", which was shown to nobody" }
            ),
        },
        State::Sysctl(SysctlState::NoSuchKey) => "this kernel has no such key".to_owned(),
        State::Sysctl(SysctlState::Live(value)) => format!("it is {:?}", value.untrusted()),
        State::Firewall(FirewallState::NoTool) => "the host has no nft to ask with".to_owned(),
        State::Firewall(FirewallState::Absent) => "the kernel has no such table".to_owned(),
        State::Firewall(FirewallState::Table { comment, .. }) => format!(
            "the kernel has the table{}, with other rules",
            comment
                .as_ref()
                .map_or(String::new(), |comment| format!(" {:?}", comment.untrusted()))
        ),
        State::Secret(SecretState::Absent { .. }) => "it is not in memory".to_owned(),
        State::Secret(SecretState::Delivered {
            version,
            intact,
            owner,
            group,
            mode,
            sealed: _,
            fetch: _,
            at_boot: _,
        }) => format!(
            "version {} is there, {}:{} {mode}{}",
            version.untrusted(),
            owner.label().untrusted(),
            group.label().untrusted(),
            if *intact {
                ""
            } else {
                ", changed since it was delivered"
            }
        ),
        State::Secret(SecretState::Other { what }) => what.clone(),
        State::Command(CommandState { satisfied, detail }) => {
            let guard = if *satisfied { "holds" } else { "does not hold" };
            format!("its guard {guard}: {}", detail.untrusted())
        }
        State::Unit(UnitState {
            load,
            enabled,
            active,
            needs_reload,
        }) => {
            let enabled = if enabled.untrusted().is_empty() {
                "not enabled"
            } else {
                enabled.untrusted()
            };
            let reload = if *needs_reload {
                ", its file is newer than what systemd has read"
            } else {
                ""
            };
            format!("it is {}, {enabled}, {}{reload}", load.untrusted(), active.untrusted())
        }
        State::Probe(ProbeState { passing, detail }) => {
            let verdict = if *passing { "passes" } else { "fails" };
            format!("it {verdict}: {}", detail.untrusted())
        }
    };
    HostText::new(words)
}

fn path_words(path: &PathState) -> String {
    match path {
        PathState::Absent => "nothing is there".to_owned(),
        PathState::File {
            content,
            owner,
            group,
            mode,
            text: _,
        } => format!(
            "a file of {} bytes with digest {}, {}:{} {mode}",
            content.size,
            content.sha256.short(),
            owner.label().untrusted(),
            group.label().untrusted()
        ),
        PathState::Directory { owner, group, mode } => format!(
            "a directory, {}:{} {mode}",
            owner.label().untrusted(),
            group.label().untrusted()
        ),
        PathState::Symlink { target } => format!("a symbolic link to {}", target.untrusted()),
        PathState::Other { what } => what.clone(),
    }
}
