//! Files, directories and symbolic links: what the plan says of them, done by [`crate::disk`]. It decides neither whether a
//! path may be replaced nor what with.

use std::fs;
use std::path::Path;
use std::time::Duration;

use provision_core::model::{
    AbsPath, Content, Digest, DirectorySpec, FileSpec, HostText, Mode, PathKind, StepError, SymlinkSpec,
};

use super::{Progress, Tail, Work, failure, problem};
use crate::accounts::Accounts;
use crate::child::{self, Invocation, status_words};
use crate::disk::{self, Attributes, Removed, ValidateError, WriteError};
use crate::words::chain;

/// How long a validation may take.
const VALIDATION: Duration = Duration::from_secs(60);

/// Where a validation's argument is the staged copy.
const STAGED: &str = "{}";

pub(super) fn write_file(spec: &FileSpec, work: &Work<'_>, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let Some(blob) = work.blobs.get(&spec.content.sha256) else {
        return Err(problem(format!("the plan lacks the content of {}", spec.path)));
    };
    let attributes = attributes(&spec.owner, &spec.group, spec.mode)?;
    let write = if spec.seed { disk::create_file } else { disk::write_file };
    let written = match &spec.validate {
        None => write(&spec.path, blob.bytes(), &attributes, None),
        Some(argv) => write(
            &spec.path,
            blob.bytes(),
            &attributes,
            Some(&mut |staged| validate(argv, staged, progress)),
        ),
    };
    written.map_err(|error| write_failure(&error))
}

/// Runs the validation on the staged copy.
fn validate(argv: &[String], staged: &Path, progress: &mut Progress<'_>) -> Result<(), ValidateError> {
    let Some((program, args)) = argv.split_first() else {
        return Err(ValidateError {
            problem: "the validation names no program".to_owned(),
            output: Vec::new(),
        });
    };
    let staged = staged.to_string_lossy();
    let place = |arg: &String| if arg == STAGED { staged.to_string() } else { arg.clone() };
    let mut invocation = Invocation::new(program, VALIDATION).args(args.iter().map(place));
    if !args.iter().any(|arg| arg == STAGED) {
        invocation = invocation.args([&*staged]);
    }
    let mut tail = Tail::default();
    let ended = child::run(&invocation, |line| {
        tail.push(line);
        progress.output(line);
    });
    let problem = match ended {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => format!("{program} ended with {}", status_words(status)),
        Err(error) => chain(&error).untrusted().to_owned(),
    };
    Err(ValidateError {
        problem,
        output: tail.lines(),
    })
}

fn write_failure(error: &WriteError) -> StepError {
    let output = match error {
        WriteError::Validate { source, .. } => source.output.clone(),
        WriteError::Parent { .. }
        | WriteError::Occupied { .. }
        | WriteError::Taken { .. }
        | WriteError::Io { .. }
        | WriteError::ReadBack { .. }
        | WriteError::NotDurable { .. } => Vec::new(),
    };
    StepError {
        output,
        ..failure(error)
    }
}

pub(super) fn set_attributes(path: &AbsPath, owner: &str, group: &str, mode: Mode) -> Result<(), StepError> {
    disk::set_attributes(path, &attributes(owner, group, mode)?).map_err(|error| failure(&error))
}

pub(super) fn make_directory(spec: &DirectorySpec) -> Result<(), StepError> {
    let attributes = attributes(&spec.owner, &spec.group, spec.mode)?;
    disk::make_directory(&spec.path, &attributes).map_err(|error| failure(&error))
}

pub(super) fn make_symlink(spec: &SymlinkSpec) -> Result<(), StepError> {
    disk::make_symlink(&spec.path, &spec.target).map_err(|error| failure(&error))
}

pub(super) fn remove(path: &AbsPath, what: PathKind) -> Result<Option<HostText>, StepError> {
    match disk::remove(path, what).map_err(|error| failure(&error))? {
        Removed::Gone => Ok(None),
        Removed::KeptNotEmpty => Ok(Some(HostText::from("kept: the directory is not empty"))),
    }
}

pub(super) fn restore_file(
    path: &AbsPath,
    content: &Content,
    uid: u32,
    gid: u32,
    mode: Mode,
    work: &Work<'_>,
) -> Result<(), StepError> {
    let kept = work.kept.map(|kept| kept.join(content.sha256.to_string()));
    let stored = kept.filter(|kept| kept.exists());
    let stored = stored.unwrap_or_else(|| work.layout.stored(&content.sha256));
    let bytes = fs::read(&stored).map_err(|error| {
        problem(format!(
            "cannot read the original of {path} in {}: {error}",
            stored.display()
        ))
    })?;
    if Digest::of(&bytes) != content.sha256 {
        return Err(problem(format!(
            "the original of {path} in {} is damaged",
            stored.display()
        )));
    }
    disk::write_file(path, &bytes, &Attributes { uid, gid, mode }, None).map_err(|error| write_failure(&error))
}

/// Names become ids here and not earlier: a step before may have made the user.
fn attributes(owner: &str, group: &str, mode: Mode) -> Result<Attributes, StepError> {
    let accounts = Accounts::read().map_err(|error| failure(&error))?;
    Ok(Attributes {
        uid: accounts.resolve_owner(owner).map_err(|error| failure(&error))?,
        gid: accounts.resolve_group(group).map_err(|error| failure(&error))?,
        mode,
    })
}
