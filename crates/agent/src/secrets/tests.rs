//! Sets of secrets in real memory: mounted, turned, read meanwhile, and given back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use provision_core::model::{AbsPath, Digest, Mode, Op, Plan};
use provision_core::wire::SecretBytes;

use super::*;

/// A directory of secrets of its own in /run, given back at the end.
struct Run(Memory);

impl Run {
    /// `None` where mounting is not allowed, as for anybody but root.
    fn new() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "these tests need root");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = format!("/run/provision-test-{}-{number}", std::process::id());
        let memory = Memory::of(&AbsPath::new(directory).unwrap()).unwrap();
        Some(Self(memory))
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.0.link.as_str()).join(name)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0.link.as_str());
        let _ = self.0.unmount();
    }
}

fn set(pieces: &[(&str, &str)]) -> Set {
    pieces
        .iter()
        .map(|(name, value)| {
            let piece = Piece {
                file: name.replace('/', "-"),
                version: "v1".to_owned(),
                value: SecretBytes::new(value.as_bytes().to_vec()),
                uid: 1234,
                gid: 4321,
                mode: Mode::from_bits(0o440),
                at_boot: false,
            };
            ((*name).to_owned(), piece)
        })
        .collect()
}

#[test]
fn a_set_is_in_memory_with_its_owners_and_goes_without_a_trace() {
    let Some(run) = Run::new() else { return };
    publish(&run.0, &set(&[("bots/a", "one\n"), ("b", "two")])).unwrap();
    assert_eq!(fs::read_to_string(run.path("bots-a")).unwrap(), "one\n");
    let meta = fs::symlink_metadata(run.path("b")).unwrap();
    assert!(meta.is_file());
    assert_eq!(
        (meta.uid(), meta.gid(), meta.mode() & 0o7777, meta.nlink()),
        (1234, 4321, 0o440, 1)
    );
    // RAMFS_MAGIC of linux/magic.h: a file system that the kernel never swaps.
    assert_eq!(rustix::fs::statfs(run.path("b")).unwrap().f_type, 0x8584_58f6);
    let directory = fs::metadata(run.0.link.as_str()).unwrap();
    assert_eq!(
        directory.permissions().mode() & 0o7777,
        0o751,
        "nobody else may list it"
    );
    let found = look(&run.0).unwrap();
    assert_eq!(found["bots/a"].value.as_ref().unwrap().expose(), b"one\n");

    publish(&run.0, &Set::new()).unwrap();
    assert!(!Path::new(run.0.link.as_str()).exists() && !run.0.root.exists());
    assert!(look(&run.0).unwrap().is_empty());
}

#[test]
fn what_somebody_changed_is_no_longer_what_was_delivered() {
    let Some(run) = Run::new() else { return };
    let value = |name: &str| look(&run.0).unwrap()[name].value.is_some();
    publish(&run.0, &set(&[("a", "one"), ("b", "two"), ("c", "three")])).unwrap();
    assert!(value("a") && value("b") && value("c"));
    fs::write(run.path("a"), "eno").unwrap();
    assert!(!value("a") && value("b"));
    fs::hard_link(run.path("b"), run.path("second-name")).unwrap();
    assert!(!value("b"), "a second name outlives the file");
    fs::remove_file(run.path("c")).unwrap();
    assert!(!look(&run.0).unwrap().contains_key("c"));
    std::os::unix::fs::symlink("/etc/passwd", run.path("c")).unwrap();
    assert!(!value("c"));
}

#[test]
fn what_is_not_ours_is_never_replaced() {
    let Some(run) = Run::new() else { return };
    let link = Path::new(run.0.link.as_str());
    let all = set(&[("a", "one")]);
    fs::create_dir(link).unwrap();
    assert!(matches!(
        publish(&run.0, &all),
        Err(SecretError::Taken {
            what: "a directory",
            ..
        })
    ));
    fs::remove_dir(link).unwrap();
    std::os::unix::fs::symlink("/tmp", link).unwrap();
    assert!(matches!(publish(&run.0, &all), Err(SecretError::Taken { .. })));
    assert_eq!(fs::read_link(link).unwrap(), Path::new("/tmp"));
}

#[test]
fn memory_that_may_be_swapped_is_refused() {
    let Some(run) = Run::new() else { return };
    fs::create_dir(&run.0.root).unwrap();
    rustix::mount::mount(
        "tmpfs",
        &run.0.root,
        "tmpfs",
        rustix::mount::MountFlags::empty(),
        c"size=1m",
    )
    .unwrap();
    let refused = publish(&run.0, &set(&[("a", "one")]));
    let is_swappable = matches!(&refused, Err(SecretError::Memory(MemoryError::Swappable { .. })));
    rustix::mount::unmount(&run.0.root, rustix::mount::UnmountFlags::empty()).unwrap();
    fs::remove_dir(&run.0.root).unwrap();
    assert!(is_swappable, "{refused:?}");
}

#[test]
fn ten_readers_through_a_hundred_rotations_see_all_old_or_all_new() {
    let Some(run) = Run::new() else { return };
    const SECRETS: usize = 10;
    let names: Vec<String> = (0..SECRETS).map(|number| format!("s{number}")).collect();
    let rotation = |number: usize| {
        let value = number.to_string();
        let pieces: Vec<_> = names.iter().map(|name| (name.as_str(), value.as_str())).collect();
        set(&pieces)
    };
    publish(&run.0, &rotation(0)).unwrap();
    let (over, whole) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    // As a program would that needs several: the link is followed once.
                    let Ok(directory) = fs::canonicalize(run.0.link.as_str()) else {
                        continue;
                    };
                    let read = names.iter().map(|name| fs::read_to_string(directory.join(name)));
                    // A set that has gone meanwhile is read anew.
                    let Ok(values) = read.collect::<Result<Vec<_>, _>>() else {
                        continue;
                    };
                    assert!(
                        values.iter().all(|value| *value == values[0] && !value.is_empty()),
                        "{values:?}"
                    );
                    whole.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for number in 1..=100 {
            let seen = whole.load(Ordering::Relaxed);
            publish(&run.0, &rotation(number)).unwrap();
            // Each set is read at least once before the next comes.
            while whole.load(Ordering::Relaxed) < seen + 2 {
                std::thread::yield_now();
            }
            sweep(&run.0).unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(whole.load(Ordering::Relaxed) >= 200);
    let sets = fs::read_dir(&run.0.root).unwrap().flatten();
    let sets = sets.filter(|entry| entry.path().is_dir()).count();
    assert_eq!(sets, 1, "old sets have left the memory");
}

#[test]
fn waiting_values_are_in_the_same_memory_and_go_with_their_run() {
    let Some(run) = Run::new() else { return };
    let directory = run.0.link.clone();
    let spec: provision_core::model::SecretSpec = serde_json::from_value(serde_json::json!({
        "name": "a", "directory": directory, "path": format!("{directory}/a"), "owner": "root", "group": "root",
        "mode": "0400", "required": true, "after_reboot": "push", "version": { "known": "v1" },
        "content": { "value": { "item": { "source": { "project": { "name": "a" } }, "key": null }, "trim": false } },
    }))
    .unwrap();
    let op = Op::Secrets {
        directory,
        deliver: [("a".to_owned(), spec)].into(),
        keep: BTreeMap::new(),
        remove: [].into(),
    };
    let plan: Plan = serde_json::from_value(serde_json::json!({
        "format": 1, "host": "a", "machine_id": "0", "base_generation": 0,
        "by": { "who": "ada@desk", "commit": null, "version": "0" },
        "changes": [], "unchanged": [], "blockers": [], "steps": [{ "op": op, "covers": [] }],
        "preconditions": {}, "entries": {}, "pending": [], "blobs": {},
    }))
    .unwrap();
    let id = plan.id();
    let value = SecretBytes::new(b"canary".to_vec());
    let values = BTreeMap::from([("a".to_owned(), value.clone())]);

    assert!(matches!(
        stage(&id, &plan, &BTreeMap::new()),
        Err(SecretError::NotThere { .. })
    ));
    assert!(!run.0.root.exists(), "nothing is mounted for a plan that lacks values");
    stage(&id, &plan, &values).unwrap();
    assert_eq!(take(&run.0, &id, "a").unwrap(), value);
    let other = Digest::of(b"another plan");
    assert!(matches!(take(&run.0, &other, "a"), Err(SecretError::NotThere { .. })));
    drop_all(&plan, Some(&other));
    assert!(
        take(&run.0, &id, "a").is_ok(),
        "another run's values are not ours to drop"
    );
    drop_all(&plan, Some(&id));
    assert!(!run.0.root.exists(), "the memory goes with the last of it");

    // What is in place stays when a run is over.
    publish(&run.0, &set(&[("b", "two")])).unwrap();
    stage(&id, &plan, &values).unwrap();
    drop_all(&plan, None);
    assert!(take(&run.0, &id, "a").is_err());
    assert_eq!(fs::read_to_string(run.path("b")).unwrap(), "two");
}
