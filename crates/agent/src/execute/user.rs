//! Users: created, changed and deleted by the system's own tools. Home directories are never moved or removed, and
//! passwords are not handled: a new user has none and cannot log in with one.

use std::collections::BTreeSet;

use provision_core::model::{StepError, UserSpec};

use super::account_tools::account_tool;
use super::{Progress, failure};
use crate::accounts::Accounts;

pub(super) fn create(spec: &UserSpec, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let mut options = attributes(spec);
    options.push(
        if spec.create_home {
            "--create-home"
        } else {
            "--no-create-home"
        }
        .to_owned(),
    );
    if spec.system {
        options.push("--system".to_owned());
    }
    let accounts = Accounts::read().map_err(|error| failure(&error))?;
    match &spec.group {
        Some(group) => options.extend(["--no-user-group".to_owned(), format!("--gid={group}")]),
        // A group of the user's own name is the user's, also where it was made before.
        None if accounts.group(&spec.name).is_some() => {
            options.extend(["--no-user-group".to_owned(), format!("--gid={}", spec.name)]);
        }
        None => options.push("--user-group".to_owned()),
    }
    if !spec.groups.is_empty() {
        options.push(format!("--groups={}", list(&spec.groups)));
    }
    account_tool("useradd", &options, &spec.name, progress)
}

pub(super) fn modify(
    change: &UserSpec,
    leave: &BTreeSet<String>,
    progress: &mut Progress<'_>,
) -> Result<(), StepError> {
    let mut options = attributes(change);
    options.extend(change.group.iter().map(|group| format!("--gid={group}")));
    if !change.groups.is_empty() {
        options.extend(["--append".to_owned(), format!("--groups={}", list(&change.groups))]);
    }
    if !options.is_empty() {
        account_tool("usermod", &options, &change.name, progress)?;
    }
    for group in leave {
        let options = [format!("--delete={}", change.name)];
        account_tool("gpasswd", &options, group, progress)?;
    }
    Ok(())
}

pub(super) fn delete(name: &str, keep_group: bool, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let accounts = Accounts::read().map_err(|error| failure(&error))?;
    account_tool("userdel", &[], name, progress)?;
    // userdel takes the group of the user's name along, if it was the user's and is nobody else's, and cannot be told
    // otherwise. What it took is made again as it was; it had no members.
    let Some(group) = accounts.group(name).filter(|_| keep_group) else {
        return Ok(());
    };
    let left = Accounts::read().map_err(|error| failure(&error))?;
    if left.group(name).is_some() {
        return Ok(());
    }
    account_tool("groupadd", &[format!("--gid={}", group.gid)], name, progress)
}

/// The options that creating and changing share.
fn attributes(spec: &UserSpec) -> Vec<String> {
    let mut options = Vec::new();
    options.extend(spec.uid.map(|uid| format!("--uid={uid}")));
    options.extend(spec.home.iter().map(|home| format!("--home={home}")));
    options.extend(spec.shell.iter().map(|shell| format!("--shell={shell}")));
    options.extend(spec.comment.iter().map(|comment| format!("--comment={comment}")));
    options
}

fn list(groups: &BTreeSet<String>) -> String {
    groups.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}
