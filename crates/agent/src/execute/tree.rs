//! Trees made beside the one that is in use, and swapped in by turning one link; the version before it stays for the way
//! back. What is fetched is checked before it is unpacked.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use provision_core::model::{AbsPath, Content, Digest, PathKind, Source, StepError, TreeSpec, version_prefix};

use super::{Progress, Work, failure, must_run, problem};
use crate::child::{self, Invocation};
use crate::disk;
use crate::observe::{is_intact, is_version, seal_path};

/// Debian's certificate authorities, a company's own among them. Node.js trusts only those that it brings along.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// How long fetching, unpacking or installing may take, each.
const DEADLINE: Duration = Duration::from_secs(30 * 60);

pub(super) fn make(spec: &TreeSpec, work: &Work<'_>, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let (holder, name) = holder(&spec.path)?;
    let before = fs::read_link(spec.path.as_str()).ok();
    let version = holder.join(spec.directory());
    if !is_intact(&version).map_err(problem)? {
        let staged = holder.join(format!(".{name}.new"));
        remove_all(&staged)?;
        let made = build(spec, &staged, work, progress).and_then(|()| finish(&staged, &version));
        if made.is_err() {
            // What is half made is in nobody's way; the error that leads here is the one that counts.
            let _ = remove_all(&staged);
        }
        made?;
    }
    disk::make_symlink(&spec.path, &spec.directory()).map_err(|error| failure(&error))?;
    let before = before.map(|before| before.to_string_lossy().into_owned());
    if before.as_deref() == Some(&*spec.directory()) {
        return Ok(());
    }
    let kept = [Some(spec.directory()), before];
    sweep(&spec.path, &holder, |name| {
        kept.iter().flatten().any(|kept| kept == name)
    })
}

pub(super) fn remove(path: &AbsPath) -> Result<(), StepError> {
    let (holder, _) = holder(path)?;
    disk::remove(path, PathKind::Symlink).map_err(|error| failure(&error))?;
    sweep(path, &holder, |_| false)
}

/// The directory that holds a tree's versions. They are replaced by name, so nobody else may change names there.
fn holder(path: &AbsPath) -> Result<(PathBuf, &str), StepError> {
    let holder = Path::new(path.as_str()).parent().unwrap_or(Path::new("/")).to_owned();
    let meta = fs::symlink_metadata(&holder)
        .map_err(|error| problem(format!("cannot look at {}: {error}", holder.display())))?;
    if !meta.is_dir() || meta.uid() != 0 || meta.mode() & 0o022 != 0 {
        return Err(problem(format!(
            "{} is not a directory that only root may change, so nothing can be unpacked there",
            holder.display()
        )));
    }
    Ok((holder, path.file_name()))
}

fn build(spec: &TreeSpec, staged: &Path, work: &Work<'_>, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let failed = |error: io::Error| problem(format!("cannot make {}: {error}", staged.display()));
    fs::create_dir(staged).map_err(failed)?;
    fs::set_permissions(staged, fs::Permissions::from_mode(0o755)).map_err(failed)?;
    match &spec.source {
        Source::Archive { url, sha256, strip } => archive(staged, url, sha256, *strip, progress),
        Source::Npm {
            manifest,
            lock,
            holds: _,
            programs,
            scripts,
            prepare,
            env,
        } => {
            write(staged, "package.json", manifest, work)?;
            write(staged, "package-lock.json", lock, work)?;
            npm(staged, programs.as_ref(), *scripts, env, prepare, progress)
        }
    }
}

/// Installs what the lock file says, and runs what prepares it. What npm has fetched is not part of the tree.
fn npm(
    staged: &Path,
    programs: Option<&AbsPath>,
    scripts: bool,
    env: &BTreeMap<String, String>,
    prepare: &[String],
    progress: &mut Progress<'_>,
) -> Result<(), StepError> {
    let (path, program) = match programs {
        Some(programs) => (format!("{programs}:{}", child::PATH), format!("{programs}/npm")),
        None => (child::PATH.to_owned(), "npm".to_owned()),
    };
    let cache = staged.join(".npm-cache");
    let mut npm = Invocation::new(program, DEADLINE)
        .args(["ci", "--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier"])
        .args((!scripts).then_some("--ignore-scripts"))
        .cwd(staged)
        .env("PATH", &path)
        .env("HOME", staged)
        .env("npm_config_cache", &cache);
    if Path::new(AUTHORITIES).exists() {
        npm = npm.env("NODE_EXTRA_CA_CERTS", AUTHORITIES);
    }
    for (name, value) in env {
        npm = npm.env(name, value);
    }
    must_run(&npm, "npm ci", progress)?;
    if let Some((program, args)) = prepare.split_first() {
        // Of the tree that is being made, where it is no program of the host.
        let program = if program.contains('/') {
            staged.join(program)
        } else {
            PathBuf::from(program)
        };
        let invocation = Invocation::new(&program, DEADLINE)
            .args(args)
            .cwd(staged)
            .env("PATH", path)
            .env("HOME", &cache)
            .env("TMPDIR", &cache);
        must_run(&invocation, &prepare.join(" "), progress)?;
    }
    remove_all(&cache)
}

fn write(staged: &Path, name: &str, content: &Content, work: &Work<'_>) -> Result<(), StepError> {
    let Some(blob) = work.blobs.get(&content.sha256) else {
        return Err(problem(format!("the plan lacks the content of {name}")));
    };
    fs::write(staged.join(name), blob.bytes()).map_err(|error| problem(format!("cannot write {name}: {error}")))
}

fn archive(
    staged: &Path,
    url: &str,
    sha256: &Digest,
    strip: u32,
    progress: &mut Progress<'_>,
) -> Result<(), StepError> {
    let packed = staged.with_extension("packed");
    remove_all(&packed)?;
    let fetch = Invocation::new("curl", DEADLINE)
        .args([
            "--fail",
            "--silent",
            "--show-error",
            "--location",
            "--proto",
            "=https,http,file",
        ])
        .args(["--retry", "2", "--output"])
        .args([&packed])
        .args(["--", url]);
    let unpacked = must_run(&fetch, &format!("fetching {url}"), progress).and_then(|()| {
        let found = digest_of(&packed).map_err(|error| problem(format!("cannot read what was fetched: {error}")))?;
        if found != *sha256 {
            return Err(StepError {
                fix: Some("if its makers have published another one on purpose, write its digest".to_owned()),
                ..problem(format!(
                    "{url} is not what was declared: its SHA-256 is {found}; nothing was unpacked"
                ))
            });
        }
        let unpack = Invocation::new("tar", DEADLINE)
            .args(["--extract", "--no-same-owner", "--no-same-permissions"])
            .args([format!("--strip-components={strip}")])
            .args([Path::new("--directory"), staged, Path::new("--file"), &packed]);
        must_run(&unpack, &format!("unpacking {url}"), progress)
    });
    remove_all(&packed)?;
    unpacked?;
    let mut entries =
        fs::read_dir(staged).map_err(|error| problem(format!("cannot look at what was unpacked: {error}")))?;
    if entries.next().is_none() {
        return Err(problem(format!(
            "{url} has nothing in it once {strip} parts of its paths are left out"
        )));
    }
    Ok(())
}

fn digest_of(path: &Path) -> io::Result<Digest> {
    let mut file = fs::File::open(path)?;
    let mut hasher = Digest::hasher();
    let mut piece = vec![0; 64 << 10];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(piece.get(..read).unwrap_or_default()),
        }
    }
}

/// Seals what was made, makes it durable, and gives it its name; only what has both is taken for whole.
fn finish(staged: &Path, version: &Path) -> Result<(), StepError> {
    let failed = |error: io::Error| problem(format!("cannot finish {}: {error}", version.display()));
    let seal = disk::seal_of(staged).map_err(failed)?;
    let tree = fs::File::open(staged).map_err(failed)?;
    rustix::fs::syncfs(&tree).map_err(|error| failed(error.into()))?;
    remove_all(&seal_path(version))?;
    // One that was changed is in use until this moment: the two trade places.
    let old = fs::symlink_metadata(version).is_ok();
    let flags = if old {
        rustix::fs::RenameFlags::EXCHANGE
    } else {
        rustix::fs::RenameFlags::NOREPLACE
    };
    let here = rustix::fs::CWD;
    rustix::fs::renameat_with(here, staged, here, version, flags).map_err(|error| failed(error.into()))?;
    remove_all(staged)?;
    let seal_path = seal_path(version);
    disk::write_state(&seal_path, format!("{seal}\n").as_bytes()).map_err(|error| failure(&error))
}

/// Removes the versions of a tree that are not kept, and their seals.
fn sweep(path: &AbsPath, holder: &Path, kept: impl Fn(&str) -> bool) -> Result<(), StepError> {
    let failed = |error: io::Error| problem(format!("cannot look at {}: {error}", holder.display()));
    for entry in fs::read_dir(holder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let Some(name) = name.to_str() else { continue };
        let version = name.strip_suffix(".seal").unwrap_or(name);
        let ours = is_version(path, version) && version.starts_with(&version_prefix(path));
        if ours && !kept(version) {
            remove_all(&holder.join(name))?;
        }
    }
    Ok(())
}

/// Removes a file or a whole directory; that there is none is success.
fn remove_all(path: &Path) -> Result<(), StepError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(problem(format!("cannot remove {}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}
