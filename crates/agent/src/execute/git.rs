//! Git checkouts made and moved. A clone comes to its name whole or not at all; all of git's work is done as the owner. What was
//! found in a tree was decided on in the plan.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use provision_core::model::{GitSpec, Revision, StepError};

use super::{Progress, failure, must_run, problem, run};
use crate::accounts::{Accounts, User};
use crate::child::Invocation;
use crate::observe;

/// How long git may take to fetch.
const DEADLINE: Duration = Duration::from_secs(30 * 60);
/// How long what touches only the disk may take.
const LOCAL: Duration = Duration::from_secs(10 * 60);

pub(super) fn clone(spec: &GitSpec, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let accounts = Accounts::read().map_err(|error| failure(&error))?;
    let who = observe::who(spec, &accounts).map_err(|error| failure(&error))?;
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
        Revision::Branch(branch) => {
            let branch = format!("--branch={branch}");
            must_run(&clone.args([branch.as_str(), "--", &spec.url, "."]), &words, progress)
        }
        Revision::Commit(commit) => {
            must_run(&clone.args(["--no-checkout", "--", &spec.url, "."]), &words, progress)?;
            fetch(spec, commit, &git, progress)?;
            let check_out = git().args(["checkout", "--quiet", "--detach", commit]);
            must_run(&check_out, &format!("checking out {commit}"), progress)
        }
    }
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

pub(super) fn mirror(spec: &GitSpec, commit: &str, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let accounts = Accounts::read().map_err(|error| failure(&error))?;
    let who = observe::who(spec, &accounts).map_err(|error| failure(&error))?;
    let git = || observe::git(spec, who, DEADLINE).cwd(spec.path.as_str());
    fetch(spec, commit, &git, progress)?;
    let lock = Path::new(spec.path.as_str()).join(".git/index.lock");
    let check_out = git().args(["checkout", "--quiet", "--force", "--detach", commit]);
    must_run(&check_out, &format!("checking out {commit}"), progress).map_err(|error| match lock.exists() {
        false => error,
        true => StepError {
            fix: Some(format!(
                "see that no git runs in {}; then remove {} and apply again",
                spec.path,
                lock.display()
            )),
            ..error
        },
    })
}

pub(super) fn remove(spec: &GitSpec, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let accounts = Accounts::read().map_err(|error| failure(&error))?;
    let who = observe::who(spec, &accounts).map_err(|error| failure(&error))?;
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

/// Where a checkout lies, and where it is made: in a directory that nobody but root, or nobody but its owner, can change.
struct Place<'a> {
    who: &'a User,
    path: PathBuf,
    staged: PathBuf,
    /// Whether names in that directory are changed as the owner. As root it would follow the links that an owner may have laid.
    as_owner: bool,
}

impl<'a> Place<'a> {
    fn of(spec: &GitSpec, who: &'a User) -> Result<Self, StepError> {
        let path = PathBuf::from(spec.path.as_str());
        let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
        let meta = fs::symlink_metadata(&parent)
            .map_err(|error| problem(format!("cannot look at {}: {error}", parent.display())))?;
        let roots = parent.ancestors().all(|above| {
            fs::symlink_metadata(above).is_ok_and(|meta| meta.is_dir() && meta.uid() == 0 && meta.mode() & 0o022 == 0)
        });
        if !roots && !(meta.is_dir() && meta.uid() == who.uid && meta.mode() & 0o002 == 0) {
            return Err(StepError {
                fix: Some(format!(
                    "declare [directories.\"{}\"] with owner = \"{}\", or choose a path below such as /srv",
                    parent.display(),
                    spec.owner
                )),
                ..problem(format!(
                    "{} is a directory that others than root or {} may change, so nothing is cloned there",
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
        let staged = fs::File::open(&self.staged).map_err(failed)?;
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
