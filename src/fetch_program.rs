//! The program with which a host of AWS fetches its own secrets when it starts: its bytes, and the file that it is on such a host, which
//! is planned as every file is. It runs nowhere but there.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use provision_core::model::{
    AbsPath, AfterReboot, Blob, Content, Dependency, DependencyReason, Desired, Digest, DirectorySpec, FETCH_PROGRAM,
    FileSpec, Kind, Mode, OnRemoval, Origin, Resource, ResourceId, Spec,
};

/// The program for the controller's own architecture, built by `build.rs`.
static EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/provision-fetch-secrets"));

/// A directory with programs for other architectures, or of another build; agents are there as well.
const DIRECTORY: &str = "PROVISION_AGENT_DIR";

/// What their names begin with there; the rest is the architecture.
const PREFIX: &str = "provision-fetch-secrets-";

/// The unit that has it run.
const BOOT_UNIT: &str = "provision-secrets.service";

/// Why there is no such program for a host.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The file is there and cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// None for that architecture.
    #[error("there is no program to fetch secrets with for {arch}")]
    Architecture {
        /// As `uname -m` says it.
        arch: String,
    },
}

/// Declares the program on a host that is to fetch its secrets, and nothing on any other.
///
/// # Errors
/// [`ProgramError`].
pub fn declare(desired: &mut Arc<Desired>) -> Result<(), ProgramError> {
    let fetches = |resource: &Resource| match &resource.spec {
        Spec::Secret(spec) => spec.after_reboot == AfterReboot::Fetch,
        _ => false,
    };
    if !desired.resources.values().any(fetches) {
        return Ok(());
    }
    let boot_unit = ResourceId::new(Kind::Unit, BOOT_UNIT);
    let Some(origin) = desired.resources.get(&boot_unit).map(|unit| unit.origin.clone()) else {
        return Ok(());
    };
    let Ok(path) = AbsPath::new(FETCH_PROGRAM) else {
        return Ok(());
    };
    let desired = Arc::make_mut(desired);
    let mut depends = Vec::new();
    if let Some(directory) = path.parent() {
        let id = ResourceId::new(Kind::Directory, directory.as_str());
        depends.push(Dependency {
            on: id.clone(),
            reason: DependencyReason::InDirectory,
        });
        let spec = DirectorySpec {
            path: directory,
            owner: "root".to_owned(),
            group: "root".to_owned(),
            mode: Mode::from_bits(0o755),
        };
        // One that the configuration has is taken as it is.
        let ours = || resource(Spec::Directory(spec), &origin, Vec::new());
        desired.resources.entry(id).or_insert_with(ours);
    }
    let file = FileSpec {
        path,
        content: Content::of(b""),
        owner: "root".to_owned(),
        group: "root".to_owned(),
        mode: Mode::from_bits(0o755),
        validate: None,
        private: false,
        sensitive: false,
        seed: false,
    };
    let id = ResourceId::new(Kind::File, FETCH_PROGRAM);
    let program = resource(Spec::File(file), &origin, depends);
    desired.resources.insert(id.clone(), program);
    if let Some(unit) = desired.resources.get_mut(&boot_unit) {
        // It runs it at boot alone: a new build restarts nothing.
        unit.depends.push(Dependency {
            on: id,
            reason: DependencyReason::After,
        });
        unit.depends.sort();
    }
    put(desired, std::env::consts::ARCH)
}

/// Lets a host that has the program have the one for its architecture, as it said it.
///
/// # Errors
/// [`ProgramError`].
pub fn fit(desired: &mut Arc<Desired>, arch: &str) -> Result<(), ProgramError> {
    let id = ResourceId::new(Kind::File, FETCH_PROGRAM);
    if arch == std::env::consts::ARCH || !desired.resources.contains_key(&id) {
        return Ok(());
    }
    put(Arc::make_mut(desired), arch)
}

fn resource(spec: Spec, origin: &Origin, depends: Vec<Dependency>) -> Resource {
    Resource {
        spec,
        origin: origin.clone(),
        depends,
        on_removal: OnRemoval::default(),
    }
}

fn put(desired: &mut Desired, arch: &str) -> Result<(), ProgramError> {
    let bytes = bytes(arch)?;
    let id = ResourceId::new(Kind::File, FETCH_PROGRAM);
    if let Some(Spec::File(file)) = desired.resources.get_mut(&id).map(|resource| &mut resource.spec) {
        file.content = Content::of(&bytes);
        desired.blobs.insert(Digest::of(&bytes), Blob::from(bytes.into_owned()));
    }
    Ok(())
}

/// From `PROVISION_AGENT_DIR`, otherwise the embedded one.
fn bytes(arch: &str) -> Result<Cow<'static, [u8]>, ProgramError> {
    let none = || ProgramError::Architecture { arch: arch.to_owned() };
    // It becomes part of a file's name, and a host said it.
    if arch.is_empty() || !arch.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(none());
    }
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        let path = PathBuf::from(directory).join(format!("{PREFIX}{arch}"));
        match std::fs::read(&path) {
            Ok(bytes) => return Ok(bytes.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(ProgramError::Read { path, source }),
        }
    }
    if arch == std::env::consts::ARCH {
        return Ok(EMBEDDED.into());
    }
    Err(none())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use provision_core::config::Sources;
    use provision_core::resolve::resolve_all;

    use super::*;

    fn host(policy: &str) -> Arc<Desired> {
        let text = format!(
            "[host]\nsecrets_after_reboot = \"{policy}\"\n[aws]\ntype = \"t3.small\"\nregion = \"eu-central-1\"\nimage = \"ami-1\"\n\
             [secrets.token]\naws = \"a/token\"\nunits = [\"bot.service\"]\n\
             [units.\"bot.service\"]\ntext = \"[Service]\\nExecStart=/bin/true\\n\"\n"
        );
        let config = BTreeMap::from([("hosts/a.toml".to_owned(), text.into_bytes())]);
        let files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let resolution = resolve_all(&Sources { config, files: &files });
        assert!(!resolution.has_errors(), "{:?}", resolution.diagnostics);
        Arc::new(resolution.hosts.into_values().next().unwrap())
    }

    #[test]
    fn only_hosts_that_fetch_have_it_and_before_the_unit_that_runs_it() {
        let id = ResourceId::new(Kind::File, FETCH_PROGRAM);
        let mut other = host("sealed");
        declare(&mut other).unwrap();
        assert!(!other.resources.contains_key(&id));

        let mut desired = host("fetch");
        declare(&mut desired).unwrap();
        let Spec::File(file) = &desired.resources[&id].spec else {
            panic!("no file")
        };
        assert_eq!(desired.blobs[&file.content.sha256].bytes(), EMBEDDED);
        assert_eq!(&EMBEDDED[..4], b"\x7fELF");
        let unit = &desired.resources[&ResourceId::new(Kind::Unit, BOOT_UNIT)];
        assert!(
            unit.depends
                .iter()
                .any(|dependency| dependency.on == id && !dependency.reason.triggers())
        );
        assert_eq!(desired.resources[&id].origin.line, 2, "where the policy is said");

        let before = desired.clone();
        fit(&mut desired, std::env::consts::ARCH).unwrap();
        assert_eq!(desired, before);
        for arch in ["z80", "../x", ""] {
            assert!(
                matches!(fit(&mut desired, arch), Err(ProgramError::Architecture { .. })),
                "{arch}"
            );
        }
    }
}
