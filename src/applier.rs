//! Who applies, and from which commit: what is recorded on a host with every generation. It asks git and the system,
//! and takes no answer for an answer.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use provision_core::model::Applier;
use tokio::process::Command;

/// After this long the plan goes without a commit: a checkout on a slow disk must not hold up an apply.
const GIT_DEADLINE: Duration = Duration::from_secs(5);

/// The person at this machine and the commit of the project at `root`.
pub async fn applier(root: &Path) -> Applier {
    Applier {
        who: format!("{}@{}", user(), machine()),
        commit: commit(root).await,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        rollback_to: None,
    }
}

fn user() -> String {
    // With sudo the person is the one who asked for it.
    ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
        .unwrap_or_else(|| {
            let id = rustix::process::getuid().as_raw();
            let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
            name_of(id, &accounts).map_or_else(|| format!("uid {id}"), str::to_owned)
        })
}

/// The first account with that id, in the form of passwd(5).
fn name_of(id: u32, accounts: &str) -> Option<&str> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then_some(name)
    })
}

fn machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The checkout's commit, with `+dirty` where files differ from it; `None` outside a checkout or without git.
async fn commit(root: &Path) -> Option<String> {
    let both = async {
        tokio::join!(
            git(root, &["rev-parse", "HEAD"]),
            git(root, &["status", "--porcelain", "--", "."])
        )
    };
    let (commit, status) = tokio::time::timeout(GIT_DEADLINE, both).await.ok()?;
    let commit = commit?.trim().to_owned();
    // A checkout whose state cannot be told is not clean.
    let dirty = status.is_none_or(|status| !status.trim().is_empty());
    Some(if dirty { commit + "+dirty" } else { commit })
}

async fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(arguments)
        // Looking must not write: `status` would refresh the index.
        .env("GIT_OPTIONAL_LOCKS", "0")
        // Inside a git hook these speak of the repository of the hook.
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(root: &Path, arguments: &[&str]) {
        let status = std::process::Command::new("git")
            .arg("-C")
            .arg(root)
            .args([
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@b",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(arguments)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{arguments:?}");
    }

    #[test]
    fn an_account_is_found_by_its_id() {
        let accounts = "root:x:0:0::/root:/bin/sh\n\n+broken\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(name_of(1000, accounts), Some("ada"));
        assert_eq!(name_of(100, accounts), None);
    }

    #[tokio::test]
    async fn the_commit_says_whether_the_checkout_differs_from_it() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(commit(root.path()).await, None);
        run(root.path(), &["init", "--quiet"]);
        assert_eq!(commit(root.path()).await, None, "a checkout without a commit");
        run(root.path(), &["commit", "--quiet", "--allow-empty", "-m", "one"]);
        let clean = commit(root.path()).await.unwrap();
        assert_eq!(clean.len(), 40, "{clean}");
        std::fs::write(root.path().join("new"), "").unwrap();
        assert_eq!(commit(root.path()).await, Some(clean + "+dirty"));
    }
}
