//! Git checkouts: whose they are, where from, and how a mirror stands. Git is asked as the owner, never as root in somebody else's
//! tree: what a tree configures runs with no more rights than its owner has. Nothing is fetched.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use provision_core::model::{Fact, GitSpec, GitState, GitUpdate, HostText, Revision, Standing};

use super::reason;
use crate::accounts::{Accounts, NoSuchAccount, User};
use crate::child::{self, Invocation, status_words};

/// How long git may look at a tree: a large one on a slow disk takes some seconds.
const LOOK: Duration = Duration::from_secs(60);
/// How long the other side may take to say where a branch is.
const ASK: Duration = Duration::from_secs(20);
/// How much of git's answer is kept, in bytes.
const ANSWER: usize = 64 << 10;

/// What no tree and no user may change of how git runs: nothing is asked, no hook, watcher or other program of a tree's is
/// started, and no cleaning up goes on behind our back.
const SETTINGS: [&str; 14] = [
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "protocol.ext.allow=never",
    "-c",
    "submodule.recurse=false",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    "advice.detachedHead=false",
];

/// The state of a checkout.
///
/// # Errors
/// Why it cannot be seen.
pub(super) fn observe(spec: &GitSpec, accounts: &Accounts) -> Result<GitState, String> {
    let path = Path::new(spec.path.as_str());
    let other = |what: String| {
        Ok(GitState::Other {
            what: HostText::new(what),
        })
    };
    let Some(found) = seen(path)? else {
        return Ok(GitState::Absent { git: is_installed() });
    };
    if !found.is_dir() {
        return other("something that is no directory".to_owned());
    }
    let owner = accounts.user(&spec.owner);
    let owned = |uid: u32| owner.is_some_and(|owner| owner.uid == uid);
    let Some(inner) = seen(&path.join(".git"))? else {
        return other("a directory that is no checkout".to_owned());
    };
    if !inner.is_dir() {
        return other("a checkout whose .git is no directory".to_owned());
    }
    if let Some(uid) = [found.uid(), inner.uid()].into_iter().find(|uid| !owned(*uid)) {
        let whose = accounts.owner(uid);
        return other(format!("a checkout of the user {}", whose.label().untrusted()));
    }
    let who = owner.ok_or_else(|| format!("there is no user {}", spec.owner))?;
    let (status, url) = ask(git(spec, who, LOOK)
        .cwd(path)
        .args(["config", "--get", "remote.origin.url"]))?;
    if !status {
        return other("a checkout that comes from nowhere (it has no remote `origin`)".to_owned());
    }
    let mirror = match spec.update {
        GitUpdate::Clone => None,
        GitUpdate::Mirror => Some(standing(spec, who, path)?),
    };
    Ok(GitState::Checkout {
        url: HostText::new(without_password(url.trim())),
        mirror,
    })
}

fn seen(path: &Path) -> Result<Option<fs::Metadata>, String> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(format!("cannot look at {}: {error}", path.display())),
    }
}

fn is_installed() -> bool {
    child::PATH
        .split(':')
        .any(|directory| Path::new(directory).join("git").exists())
}

fn standing(spec: &GitSpec, who: &User, path: &Path) -> Result<Standing, String> {
    let git = |deadline| git(spec, who, deadline).cwd(path);
    let (born, said) = ask(git(LOOK).args(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]))?;
    let commit = born.then(|| name_in(&said)).flatten();
    let status = [
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--ignore-submodules=all",
    ];
    let mut changed = 0;
    let ended = child::run(&git(LOOK).args(["--no-optional-locks"]).args(status), |line| {
        // "XY PATH"; what git warns of has no such beginning.
        changed += u32::from(line.as_bytes().get(2) == Some(&b' '));
    });
    match ended {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(format!("git status failed with {}", status_words(status))),
        Err(error) => return Err(reason(&error)),
    }
    let tip = match &spec.revision {
        Revision::Commit(_) => None,
        Revision::Branch(branch) => Some(tip(spec, who, branch)),
    };
    Ok(Standing { commit, changed, tip })
}

/// Where a branch is on the other side.
fn tip(spec: &GitSpec, who: &User, branch: &str) -> Fact<String> {
    let asked = git(spec, who, ASK).args(["ls-remote", "--", &spec.url, &format!("refs/heads/{branch}")]);
    match ask(asked) {
        Ok((true, said)) => match name_in(&said) {
            Some(commit) => Fact::Known(commit),
            None => Fact::unknown(format!("{} has no branch {branch}", spec.url)),
        },
        Ok((false, said)) => Fact::unknown(format!("git ls-remote failed: {}", said.trim().replace('\n', "; "))),
        Err(error) => Fact::unknown(error),
    }
}

/// The first name of a commit that begins a line.
fn name_in(said: &str) -> Option<String> {
    let name = |line: &str| {
        let word = line.split_ascii_whitespace().next()?;
        (matches!(word.len(), 40 | 64) && word.bytes().all(|b| b.is_ascii_hexdigit())).then(|| word.to_owned())
    };
    said.lines().find_map(name)
}

/// A URL that somebody else wrote down may hold what opens its door.
fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) if !matches!(scheme, "ssh" | "file") => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            match host.rsplit_once('@') {
                Some((_, host)) => format!("{scheme}://…@{host}/{path}"),
                None => url.to_owned(),
            }
        }
        Some(("ssh", rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            match host.rsplit_once('@').map(|(user, host)| (user.split_once(':'), host)) {
                Some((Some((user, _)), host)) => format!("ssh://{user}:…@{host}/{path}"),
                _ => url.to_owned(),
            }
        }
        _ => url.to_owned(),
    }
}

/// The user as whom git runs.
///
/// # Errors
/// Where there is none of that name.
pub(crate) fn who<'a>(spec: &GitSpec, accounts: &'a Accounts) -> Result<&'a User, NoSuchAccount> {
    accounts.user(&spec.owner).ok_or_else(|| NoSuchAccount::User {
        name: spec.owner.clone(),
    })
}

/// Git as the owner, with no configuration but the tree's own, and with nothing that could ask or be asked for a password.
pub(crate) fn git(spec: &GitSpec, who: &User, deadline: Duration) -> Invocation {
    let mut git = as_user(who, "git", deadline)
        .args(SETTINGS)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", "https:ssh:file");
    if let Some(above) = spec.path.parent() {
        // Where the tree's .git is broken, one further up is not taken for it.
        git = git.env("GIT_CEILING_DIRECTORIES", above.as_str());
    }
    if spec.is_over_ssh() {
        git = git.env("GIT_SSH_COMMAND", ssh(spec));
    }
    git
}

/// The words that git gives to a shell. Paths in them were held to plain letters when they were declared.
fn ssh(spec: &GitSpec) -> String {
    let mut words = vec![
        "ssh -F /dev/null -oBatchMode=yes -oStrictHostKeyChecking=yes -oConnectTimeout=15 -oClearAllForwardings=yes"
            .to_owned(),
    ];
    if let Some(known_hosts) = &spec.known_hosts {
        words.push(format!(
            "-oUserKnownHostsFile={known_hosts} -oGlobalKnownHostsFile=/dev/null"
        ));
    }
    if let Some(key) = &spec.key {
        words.push(format!("-oIdentitiesOnly=yes -i {key}"));
    }
    words.join(" ")
}

/// A program as a user, in all groups of that user.
pub(crate) fn as_user(who: &User, program: &str, deadline: Duration) -> Invocation {
    let started = if who.uid == rustix::process::geteuid().as_raw() {
        Invocation::new(program, deadline)
    } else {
        Invocation::new("setpriv", deadline)
            .args([format!("--reuid={}", who.uid), format!("--regid={}", who.gid)])
            .args(["--init-groups", "--", program])
    };
    started
        .env("HOME", &who.home)
        .env("USER", &who.name)
        .env("LOGNAME", &who.name)
}

/// Whether git ended well, and what it said.
pub(crate) fn ask(invocation: Invocation) -> Result<(bool, String), String> {
    let mut said = String::new();
    let status = child::run(&invocation, |line| {
        if said.len() + line.len() < ANSWER {
            said.push_str(line);
            said.push('\n');
        }
    });
    match status {
        Ok(status) => Ok((status.success(), said)),
        Err(error) => Err(reason(&error)),
    }
}

/// What of a checkout is nobody else's copy: changed and new files, what was put aside, and commits that came from nowhere. What git
/// was told not to look at counts, as it may be changed, and so do other working trees that live from this one.
///
/// # Errors
/// Why it cannot be seen.
pub(crate) fn local_work(spec: &GitSpec, who: &User) -> Result<Vec<&'static str>, String> {
    let git = || git(spec, who, LOOK).cwd(spec.path.as_str());
    let mut commits = vec!["log".to_owned(), "--format=%H".to_owned(), "-n1".to_owned()];
    commits.extend(["HEAD", "--branches", "--not", "--remotes"].map(str::to_owned));
    if let Revision::Commit(commit) = &spec.revision {
        commits.push(commit.clone());
    }
    let questions = [
        (
            "changed or new files",
            // The tree's own configuration may say to list no new files.
            [
                "status",
                "--porcelain",
                "--untracked-files=normal",
                "--ignore-submodules=none",
            ]
            .map(str::to_owned)
            .to_vec(),
        ),
        (
            "changes that were stashed",
            ["stash", "list"].map(str::to_owned).to_vec(),
        ),
        ("commits that are only here", commits),
    ];
    let mut work = Vec::new();
    for (what, question) in questions {
        let (well, said) = ask(git().args(["--no-optional-locks"]).args(question))?;
        if !well {
            return Err(format!(
                "git cannot tell of {what}: {}",
                said.trim().replace('\n', "; ")
            ));
        }
        if !said.trim().is_empty() {
            work.push(what);
        }
    }
    let mut unwatched = false;
    let listed = child::run(&git().args(["ls-files", "-v"]), |line| {
        // "H" is a file like all others; "S" and small letters are those that it does not look at.
        unwatched |= line.starts_with(|tag: char| tag == 'S' || tag.is_ascii_lowercase());
    });
    match listed {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(format!("git ls-files failed with {}", status_words(status))),
        Err(error) => return Err(reason(&error)),
    }
    if unwatched {
        work.push("files that git was told not to look at");
    }
    let (well, said) = ask(git().args(["worktree", "list", "--porcelain"]))?;
    if !well {
        return Err(format!("git worktree list failed: {}", said.trim().replace('\n', "; ")));
    }
    if said.lines().filter(|line| line.starts_with("worktree ")).count() > 1 {
        work.push("other working trees that live from it");
    }
    Ok(work)
}

#[cfg(test)]
mod tests {
    use super::{name_in, without_password};

    #[test]
    fn passwords_in_urls_of_others_are_left_out() {
        for (url, shown) in [
            ("https://example.org/a.git", "https://example.org/a.git"),
            ("https://bot:hunter2@example.org/a.git", "https://…@example.org/a.git"),
            ("https://ghp_token@example.org/a@b.git", "https://…@example.org/a@b.git"),
            ("http://a:b@c", "http://…@c/"),
            ("ssh://git@example.org/a.git", "ssh://git@example.org/a.git"),
            ("ssh://git:hunter2@example.org/a.git", "ssh://git:…@example.org/a.git"),
            ("git@example.org:a.git", "git@example.org:a.git"),
            ("/srv/a.git", "/srv/a.git"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn a_commit_is_found_among_what_git_warns_of() {
        let name = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(
            name_in(&format!("warning: x\n{name}\trefs/heads/main\n")).as_deref(),
            Some(name)
        );
        assert_eq!(name_in("fatal: not found\n"), None);
    }
}
