//! Git checkouts made and moved. A clone comes to its name whole or not at all; all of git's work is done as the owner. What was
//! found in a tree was decided on in the plan.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use provision_core::model::{GitSpec, Revision, StepError};
use rustix::fs::{Mode, OFlags};

use super::{Progress, failure, must_run, problem, run};
use crate::accounts::{Accounts, User};
use crate::child::Invocation;
use crate::disk;
use crate::observe;

/// How long git may take to fetch.
const DEADLINE: Duration = Duration::from_secs(30 * 60);
/// How long what touches only the disk may take.
const LOCAL: Duration = Duration::from_secs(10 * 60);

fn owner(spec: &GitSpec) -> Result<User, StepError> {
    let accounts = Accounts::read().map_err(|error| failure(&error))?;
    observe::who(spec, &accounts).cloned().map_err(|error| failure(&error))
}

pub(super) fn clone(spec: &GitSpec, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let who = &owner(spec)?;
    let place = Place::of(spec, who)?;
    place.sweep(progress)?;
    let made = place
        .make(progress)
        .and_then(|()| fill(spec, who, &place.staged, progress))
        .and_then(|()| place.finish(progress));
    if made.is_err() {
        // What is half made is in nobody's way; the error that leads here is the one that counts.
        let _ = place.sweep(progress);
    }
    made
}

/// Clones into a directory that is there and empty.
fn fill(spec: &GitSpec, who: &User, staged: &Path, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let git = || observe::git(spec, who, DEADLINE).cwd(staged);
    let clone = git().args(["clone", "--no-recurse-submodules"]);
    let words = format!("cloning {}", spec.url);
    match &spec.revision {
        Revision::Branch(name) => {
            let branch = format!("--branch={name}");
            must_run(&clone.args([branch.as_str(), "--", &spec.url, "."]), &words, progress)?;
            is_branch(spec, name, &git, progress)
        }
        Revision::Commit(commit) => {
            must_run(&clone.args(["--no-checkout", "--", &spec.url, "."]), &words, progress)?;
            fetch(spec, commit, &git, progress)?;
            let check_out = git().args(["checkout", "--quiet", "--detach", commit]);
            must_run(&check_out, &format!("checking out {commit}"), progress)
        }
    }
}

/// Git clones a tag of that name, too, where there is no such branch.
fn is_branch(
    spec: &GitSpec,
    name: &str,
    git: &dyn Fn() -> Invocation,
    progress: &mut Progress<'_>,
) -> Result<(), StepError> {
    let branch = format!("refs/remotes/origin/{name}");
    let look = git().args(["rev-parse", "--verify", "--quiet", &branch]);
    if run(&look, progress)?.status.success() {
        return Ok(());
    }
    Err(StepError {
        fix: Some("write the commit that the tag stands for: `git rev-parse TAG^{commit}`".to_owned()),
        ..problem(format!("{name} is a tag of {}, and no branch", spec.url))
    })
}

/// Brings a commit here, where it is not here yet. Not every server gives one that no branch leads to.
fn fetch(
    spec: &GitSpec,
    commit: &str,
    git: &dyn Fn() -> Invocation,
    progress: &mut Progress<'_>,
) -> Result<(), StepError> {
    let object = format!("{commit}^{{commit}}");
    let is_here = |progress: &mut Progress<'_>| {
        let look = git().args(["rev-parse", "--verify", "--quiet", &object]);
        run(&look, progress).map(|ran| ran.status.success())
    };
    if is_here(progress)? {
        return Ok(());
    }
    let branches = git().args(["fetch", "--no-recurse-submodules", "--prune", "origin"]);
    must_run(&branches, &format!("fetching from {}", spec.url), progress)?;
    if is_here(progress)? {
        return Ok(());
    }
    let one = git().args(["fetch", "--no-recurse-submodules", "origin", commit]);
    run(&one, progress)?;
    if is_here(progress)? {
        return Ok(());
    }
    Err(StepError {
        fix: Some("see whether the commit was pushed, and whether a branch still leads to it".to_owned()),
        ..problem(format!("{} does not give the commit {commit}", spec.url))
    })
}

/// Stands in a tree for as long as a mirror of ours is being moved: locks that lie there with it, when another run begins, are those
/// of a run that was killed.
const MOVING: &str = ".git/provision-moves-this";

pub(super) fn mirror(spec: &GitSpec, commit: &str, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let who = &owner(spec)?;
    let tree = Path::new(spec.path.as_str());
    let owners = |program: &str, args: &[&str], progress: &mut Progress<'_>| {
        let change = observe::as_user(who, program, LOCAL).cwd(tree).args(args);
        must_run(&change, &format!("{program} {}", args.join(" ")), progress)
    };
    if fs::symlink_metadata(tree.join(MOVING)).is_ok() {
        let locks = [".git", "-type", "f", "-name", "*.lock", "-delete"];
        owners("find", &locks, progress)?;
    }
    owners("touch", &["--", MOVING], progress)?;
    let git = || observe::git(spec, who, DEADLINE).cwd(tree);
    let lock = tree.join(".git/index.lock");
    let check_out = git().args(["checkout", "--quiet", "--force", "--detach", commit]);
    let moved = fetch(spec, commit, &git, progress)
        .and_then(|()| must_run(&check_out, &format!("checking out {commit}"), progress));
    // It has ended, well or not: what holds a lock from now on is somebody else.
    owners("rm", &["-f", "--", MOVING], progress)?;
    moved.map_err(|error| {
        if !lock.exists() {
            return error;
        }
        StepError {
            fix: Some(format!(
                "see that no git runs in {}; then remove {} and apply again",
                spec.path,
                lock.display()
            )),
            ..error
        }
    })
}

pub(super) fn remove(spec: &GitSpec, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let who = &owner(spec)?;
    let place = Place::of(spec, who)?;
    let work = observe::local_work(spec, who).map_err(problem)?;
    if !work.is_empty() {
        return Err(StepError {
            fix: Some(format!(
                "push or copy what is worth keeping, or declare it once more with on_removal = \"keep\"; to lose it, remove {} by hand",
                spec.path
            )),
            ..problem(format!(
                "{} has {} in it, and is not removed",
                spec.path,
                work.join(", ")
            ))
        });
    }
    // Under another name first: what is half removed is not taken for a checkout.
    place.sweep(progress)?;
    place.rename(&place.path, &place.staged, progress)?;
    place.sweep(progress)
}

/// Where a checkout lies, and where it is made: in a directory that nobody but root and its owner can change, or put another in its
/// place. Whoever else could would have git work, with the owner's rights, in a tree that is theirs.
struct Place<'a> {
    who: &'a User,
    path: PathBuf,
    staged: PathBuf,
    /// Whether names in that directory are changed as the owner. As root it would follow the links that an owner may have laid.
    as_owner: bool,
}

impl<'a> Place<'a> {
    fn of(spec: &GitSpec, who: &'a User) -> Result<Self, StepError> {
        // Links on the way are root's alone, such as a /home that lies on another disk; what they lead to is judged.
        let opened = disk::open_parent(&spec.path).map_err(|error| failure(&error))?;
        let parent = fs::read_link(format!("/proc/self/fd/{}", opened.dir.as_raw_fd()))
            .map_err(|error| problem(format!("cannot tell where {} lies: {error}", spec.path)))?;
        let path = parent.join(spec.path.file_name());
        let meta = fs::symlink_metadata(&parent)
            .map_err(|error| problem(format!("cannot look at {}: {error}", parent.display())))?;
        let above = |whose: &[u32]| {
            parent.ancestors().skip(1).all(|above| {
                // Where everybody may make names but change only their own, such as /tmp, the next one is safe.
                let kept = |meta: &fs::Metadata| meta.mode() & 0o022 == 0 || meta.mode() & 0o1000 != 0;
                fs::symlink_metadata(above)
                    .is_ok_and(|meta| meta.is_dir() && whose.contains(&meta.uid()) && kept(&meta))
            })
        };
        let roots = meta.is_dir() && meta.uid() == 0 && meta.mode() & 0o022 == 0 && above(&[0]);
        let owners =
            who.uid != 0 && meta.is_dir() && meta.uid() == who.uid && meta.mode() & 0o002 == 0 && above(&[0, who.uid]);
        if !roots && !owners {
            return Err(StepError {
                fix: Some(format!(
                    "declare [directories.\"{}\"] with owner = \"{}\", or choose a path below such as /srv",
                    parent.display(),
                    spec.owner
                )),
                ..problem(format!(
                    "{} is a directory that others than root or {} may change, or put another in place of, so nothing is cloned there",
                    parent.display(),
                    spec.owner
                ))
            });
        }
        Ok(Self {
            who,
            staged: path.with_file_name(format!(".{}.provision-new", spec.path.file_name())),
            path,
            as_owner: !roots,
        })
    }

    /// Changes names as whoever may.
    fn change(&self, program: &str, args: &[&Path], progress: &mut Progress<'_>) -> Result<(), StepError> {
        let words: Vec<_> = args.iter().map(|arg| arg.display().to_string()).collect();
        let tried = format!("{program} {}", words.join(" "));
        must_run(&observe::as_user(self.who, program, LOCAL).args(args), &tried, progress)
    }

    /// Removes what a run that was interrupted has left.
    fn sweep(&self, progress: &mut Progress<'_>) -> Result<(), StepError> {
        if self.as_owner {
            return self.change("rm", &[Path::new("-rf"), Path::new("--"), &self.staged], progress);
        }
        match fs::remove_dir_all(&self.staged) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(problem(format!("cannot remove {}: {error}", self.staged.display())))
            }
            _ => Ok(()),
        }
    }

    fn make(&self, progress: &mut Progress<'_>) -> Result<(), StepError> {
        if self.as_owner {
            return self.change("mkdir", &[Path::new("--"), &self.staged], progress);
        }
        fs::create_dir(&self.staged)
            .and_then(|()| std::os::unix::fs::lchown(&self.staged, Some(self.who.uid), Some(self.who.gid)))
            .map_err(|error| problem(format!("cannot make {}: {error}", self.staged.display())))
    }

    /// Gives what was made its name, durably; never in place of anything.
    fn finish(&self, progress: &mut Progress<'_>) -> Result<(), StepError> {
        let failed = |error: std::io::Error| problem(format!("cannot finish {}: {error}", self.path.display()));
        // The owner may have put something else there by now, such as a pipe, which would never open.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let staged = rustix::fs::open(&self.staged, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
        rustix::fs::syncfs(&staged).map_err(|error| failed(error.into()))?;
        self.rename(&self.staged, &self.path, progress)
    }

    fn rename(&self, from: &Path, to: &Path, progress: &mut Progress<'_>) -> Result<(), StepError> {
        if !self.as_owner {
            let (here, flags) = (rustix::fs::CWD, rustix::fs::RenameFlags::NOREPLACE);
            return rustix::fs::renameat_with(here, from, here, to, flags)
                .map_err(|error| problem(format!("cannot rename {}: {error}", from.display())));
        }
        let flags = [
            Path::new("--no-target-directory"),
            Path::new("--no-clobber"),
            Path::new("--"),
        ];
        self.change("mv", &[flags[0], flags[1], flags[2], from, to], progress)?;
        // Some versions of mv call it a success where they have moved nothing.
        match fs::symlink_metadata(from) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            _ => Err(problem(format!(
                "{} is there already, and is not replaced",
                to.display()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use provision_core::model::{AbsPath, Fact, GitState, GitUpdate, Spec, Standing, State};

    use super::*;
    use crate::testing::Scratch;

    /// A repository with two commits on `main`, and where a checkout of it goes.
    struct Forge {
        scratch: Scratch,
        spec: GitSpec,
        commits: [String; 2],
    }

    impl Forge {
        fn new(update: GitUpdate) -> Self {
            let scratch = Scratch::new();
            let at = |name: &str| scratch.path().join(name);
            let commits = ["one", "two"].map(|text| {
                if !at("origin").exists() {
                    fs::create_dir(at("origin")).unwrap();
                    sh(
                        &at("origin"),
                        "git init -q -b main; echo node_modules > .gitignore; git add .",
                    );
                }
                sh(
                    &at("origin"),
                    &format!("echo {text} > f; git add f; git commit -qm {text}; git rev-parse HEAD"),
                )
            });
            fs::create_dir(at("place")).unwrap();
            fs::set_permissions(at("place"), fs::Permissions::from_mode(0o755)).unwrap();
            let accounts = Accounts::read().unwrap();
            let owner = accounts.user_of(rustix::process::geteuid().as_raw()).unwrap();
            let spec = GitSpec {
                path: AbsPath::new(at("place/app").to_string_lossy()).unwrap(),
                url: at("origin").to_string_lossy().into_owned(),
                revision: Revision::Branch("main".to_owned()),
                owner: owner.name.clone(),
                update,
                key: None,
                known_hosts: None,
            };
            Self { scratch, spec, commits }
        }

        fn clone(&self) -> Result<(), StepError> {
            clone(&self.spec, &mut Progress::unheard())
        }

        fn mirror(&self, commit: &str) {
            mirror(&self.spec, commit, &mut Progress::unheard()).unwrap();
        }

        fn sh(&self, script: &str) -> String {
            sh(Path::new(self.spec.path.as_str()), script)
        }

        fn beside(&self) -> Vec<String> {
            let entries = fs::read_dir(self.scratch.path().join("place")).unwrap();
            entries
                .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                .collect()
        }

        fn state(&self) -> GitState {
            let found = observe::observe(&[Spec::Git(self.spec.clone())]).into_values().next();
            match found {
                Some(Fact::Known(State::Git(state))) => state,
                other => panic!("{other:?}"),
            }
        }

        fn standing(&self) -> Standing {
            match self.state() {
                GitState::Checkout {
                    mirror: Some(standing), ..
                } => standing,
                other => panic!("{other:?}"),
            }
        }
    }

    fn sh(at: &Path, script: &str) -> String {
        let mut shell = Command::new("sh");
        for name in [
            "GIT_AUTHOR_NAME",
            "GIT_AUTHOR_EMAIL",
            "GIT_COMMITTER_NAME",
            "GIT_COMMITTER_EMAIL",
        ] {
            shell.env(name, "a@b");
        }
        let ran = shell.args(["-ec", script]).current_dir(at).output().unwrap();
        assert!(
            ran.status.success(),
            "{script}: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn a_clone_comes_whole_beside_what_a_killed_one_left_and_is_then_not_looked_into() {
        let forge = Forge::new(GitUpdate::Clone);
        assert_eq!(forge.state(), GitState::Absent { git: true });
        let half = forge.scratch.path().join("place/.app.provision-new/.git");
        fs::create_dir_all(&half).unwrap();
        fs::write(half.join("HEAD"), "half").unwrap();
        forge.clone().unwrap();
        assert_eq!(forge.beside(), ["app"]);
        assert_eq!(
            forge.sh("cat f; git branch --show-current; git status --short"),
            "two\nmain"
        );
        let made = forge.state();
        forge.sh("git checkout -qb mine; echo own > f; git commit -qam own; echo more > g");
        assert_eq!(forge.state(), made);
        // It is never replaced, whoever asks.
        assert!(forge.clone().is_err());
        assert_eq!(forge.sh("cat f g"), "own\nmore");
        assert_eq!(forge.beside(), ["app"]);
    }

    #[test]
    fn a_clone_that_fails_leaves_nothing() {
        let mut forge = Forge::new(GitUpdate::Clone);
        forge.spec.revision = Revision::Commit("1".repeat(40));
        let error = forge.clone().unwrap_err();
        assert!(
            error.problem.untrusted().contains("does not give the commit"),
            "{error:?}"
        );
        assert_eq!(forge.beside(), Vec::<String>::new());
    }

    #[test]
    fn a_mirror_is_moved_both_ways_and_keeps_what_git_does_not_know() {
        let mut forge = Forge::new(GitUpdate::Mirror);
        forge.spec.revision = Revision::Commit(forge.commits[0].clone());
        forge.clone().unwrap();
        assert_eq!(forge.sh("cat f"), "one");
        forge.sh("echo hand > f; mkdir node_modules; echo dep > node_modules/d; echo new > g");
        let found = forge.standing();
        assert_eq!(
            (found.commit.as_ref(), found.changed, found.tip),
            (Some(&forge.commits[0]), 1, None)
        );
        for (commit, text) in [(&forge.commits[1], "two"), (&forge.commits[0], "one")] {
            forge.mirror(commit);
            assert_eq!(forge.sh("cat f node_modules/d g"), format!("{text}\ndep\nnew"));
            let found = forge.standing();
            assert_eq!((found.commit.as_ref(), found.changed), (Some(commit), 0));
        }
    }

    #[test]
    fn locks_of_a_killed_run_are_in_nobodys_way_and_those_of_others_are() {
        let forge = Forge::new(GitUpdate::Mirror);
        forge.clone().unwrap();
        forge.sh("touch .git/index.lock");
        let error = mirror(&forge.spec, &forge.commits[0], &mut Progress::unheard()).unwrap_err();
        assert!(
            error.fix.as_ref().is_some_and(|fix| fix.contains("index.lock")),
            "{error:?}"
        );
        assert_eq!(forge.sh("cat f"), "two");
        forge.sh(&format!("touch {MOVING}"));
        forge.mirror(&forge.commits[0]);
        assert_eq!(
            forge.sh(&format!("cat f; ls {MOVING} .git/index.lock 2>/dev/null || true")),
            "one"
        );
    }

    #[test]
    fn where_a_branch_is_comes_from_the_other_side_or_is_unknown() {
        let forge = Forge::new(GitUpdate::Mirror);
        forge.clone().unwrap();
        let origin = forge.scratch.path().join("origin");
        let third = sh(&origin, "echo three > f; git commit -qam three; git rev-parse HEAD");
        let found = forge.standing();
        assert_eq!(found.commit.as_ref(), Some(&forge.commits[1]));
        assert_eq!(found.tip, Some(Fact::Known(third.clone())));
        forge.mirror(&third);
        assert_eq!(forge.sh("cat f"), "three");
        fs::rename(&origin, forge.scratch.path().join("gone")).unwrap();
        assert!(matches!(forge.standing().tip, Some(Fact::Unknown(_))));
    }

    #[test]
    fn no_hook_and_no_watcher_of_a_tree_is_started() {
        let forge = Forge::new(GitUpdate::Mirror);
        forge.clone().unwrap();
        forge.sh("for hook in post-checkout post-merge reference-transaction; do
                 printf '#!/bin/sh\\necho ran >> ../ran\\n' > .git/hooks/$hook; chmod 755 .git/hooks/$hook
             done; git config core.fsmonitor 'echo ran >> ../ran; false'; rm -f ../ran; echo hand > f");
        assert_eq!(forge.standing().changed, 1);
        forge.mirror(&forge.commits[0]);
        assert_eq!(forge.sh("cat f"), "one");
        assert_eq!(forge.beside(), ["app"]);
    }

    #[test]
    fn a_tag_is_not_taken_for_a_branch() {
        let mut forge = Forge::new(GitUpdate::Clone);
        sh(&forge.scratch.path().join("origin"), "git tag v1");
        forge.spec.revision = Revision::Branch("v1".to_owned());
        let error = forge.clone().unwrap_err();
        assert!(error.problem.untrusted().contains("v1 is a tag"), "{error:?}");
        assert_eq!(forge.beside(), Vec::<String>::new());
    }

    #[test]
    fn nothing_is_cloned_where_others_could_put_another_directory() {
        let forge = Forge::new(GitUpdate::Clone);
        fs::set_permissions(forge.scratch.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = forge.clone().unwrap_err();
        assert!(error.problem.untrusted().contains("put another in place"), "{error:?}");
        assert_eq!(forge.beside(), Vec::<String>::new());
        // As long as each may change only what is theirs, as in /tmp, it is as good as any.
        fs::set_permissions(forge.scratch.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        forge.clone().unwrap();
    }

    #[test]
    fn what_has_somebodys_work_in_it_is_not_removed() {
        let forge = Forge::new(GitUpdate::Clone);
        forge.clone().unwrap();
        // Nothing of this hides anything.
        forge.sh("git config status.showUntrackedFiles no");
        let removed = || remove(&forge.spec, &mut Progress::unheard());
        for (work, undone, words) in [
            ("echo new > g", "rm g", "changed or new files"),
            ("echo hand > f; git stash -q", "git stash drop -q", "stashed"),
            (
                "git update-index --skip-worktree f; echo hand > f",
                "echo two > f; git update-index --no-skip-worktree f",
                "told not to look at",
            ),
            (
                "git worktree add -q --detach ../side",
                "git worktree remove --force ../side",
                "other working trees",
            ),
            (
                "git checkout -qb mine; echo own > f; git commit -qam own; git checkout -q main",
                "git branch -qD mine",
                "commits that are only here",
            ),
        ] {
            forge.sh(work);
            let there = forge.sh("cat f; git status --short");
            let error = removed().unwrap_err();
            assert!(error.problem.untrusted().contains(words), "{error:?}");
            assert_eq!(forge.sh("cat f; git status --short"), there, "{work}");
            forge.sh(undone);
        }
        removed().unwrap();
        assert_eq!(forge.beside(), Vec::<String>::new());
    }

    #[test]
    fn what_is_somebody_elses_is_said() {
        let forge = Forge::new(GitUpdate::Clone);
        let path = Path::new(forge.spec.path.as_str());
        let what = || match forge.state() {
            GitState::Other { what } => what.untrusted().to_owned(),
            other => panic!("{other:?}"),
        };
        fs::write(path, "").unwrap();
        assert!(what().contains("no directory"), "{}", what());
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
        assert!(what().contains("no checkout"), "{}", what());
        std::os::unix::fs::symlink("/etc", path.join(".git")).unwrap();
        assert!(what().contains(".git is no directory"), "{}", what());
        fs::remove_file(path.join(".git")).unwrap();
        forge.sh("git init -q");
        assert!(what().contains("comes from nowhere"), "{}", what());
    }
}
