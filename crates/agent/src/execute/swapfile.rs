//! Swap files made, used by the kernel, and taken away, in an order that leaves one that works wherever it ends. What is in
//! the way (the disk, the memory) is found before anything is touched; the plan has said what is to be done.

use std::path::Path;
use std::time::Duration;

use provision_core::model::{
    AbsPath, ActiveSwap, HostText, PathKind, Refusal, StepError, SwapfileFound, SwapfileSpec, SwapfileState,
    cannot_take_back,
};

use super::{Progress, failure, problem, run};
use crate::child::Invocation;
use crate::disk::{self, NewSwapfile, SwapFound, SwapHeader};
use crate::observe;
use crate::words::chain;

/// How long the kernel may take to use a file: it reads one page.
const SOON: Duration = Duration::from_secs(60);
/// How long it may take to bring back what is in one: a GiB of a slow disk, page by page, takes minutes.
const BACK: Duration = Duration::from_secs(4 * 3600);

/// The host, as far as swap needs it.
trait Host {
    /// What lies at a path, and how it is used.
    fn look(&mut self, path: &AbsPath) -> Result<SwapfileState, StepError>;
    /// Makes a file swap space, with the names that the one before had.
    fn format(&mut self, staged: &Path, like: Option<&SwapHeader>) -> Result<(), StepError>;
    /// Lets the kernel use a file.
    fn swap_on(&mut self, path: &AbsPath, priority: Option<u16>) -> Result<(), StepError>;
    /// Brings back what is in a file, and lets the kernel use it no more.
    fn swap_off(&mut self, path: &AbsPath) -> Result<(), StepError>;
}

/// The host that this process runs on, by the tools of util-linux.
struct ThisHost<'a, 'p>(&'a mut Progress<'p>);

pub(super) fn put(spec: &SwapfileSpec, rebuild: bool, progress: &mut Progress<'_>) -> Result<(), StepError> {
    put_on(&mut ThisHost(progress), spec, rebuild)
}

pub(super) fn remove(path: &AbsPath, progress: &mut Progress<'_>) -> Result<(), StepError> {
    remove_from(&mut ThisHost(progress), path)
}

impl Host for ThisHost<'_, '_> {
    fn look(&mut self, path: &AbsPath) -> Result<SwapfileState, StepError> {
        observe::swapfile(path).map_err(|why| problem(format!("cannot see {path}: {why}")))
    }

    fn format(&mut self, staged: &Path, like: Option<&SwapHeader>) -> Result<(), StepError> {
        let mut mkswap = Invocation::new("mkswap", SOON);
        if let Some(like) = like {
            mkswap = mkswap.args(["--uuid", &uuid(like.uuid)]);
            if let Ok(label) = std::str::from_utf8(&like.label)
                && !label.is_empty()
            {
                mkswap = mkswap.args(["--label", label]);
            }
        }
        super::must_run(&mkswap.args([Path::new("--"), staged]), "mkswap", self.0)
    }

    fn swap_on(&mut self, path: &AbsPath, priority: Option<u16>) -> Result<(), StepError> {
        let mut swapon = Invocation::new("swapon", SOON);
        if let Some(priority) = priority {
            swapon = swapon.args(["--priority", &priority.to_string()]);
        }
        let ran = run(&swapon.args(["--", path.as_str()]), self.0)?;
        if ran.status.success() {
            return Ok(());
        }
        let refused = ran.says("Operation not permitted");
        let unfit = ran.says("Invalid argument") || ran.says("has holes");
        let mut error = ran.failure("swapon");
        if refused {
            error.problem = HostText::new(format!(
                "the kernel does not let this host use swap files: it refused {path}"
            ));
            let fix = "this host is probably a container, whose swap is that of the machine it runs on: declare the swap file for that \
                 machine, and leave it out here";
            error.fix = Some(fix.to_owned());
        } else if unfit {
            error.fix = Some(
                "the file system may be one that the kernel does not swap to: let it lie on ext4 or xfs".to_owned(),
            );
        }
        Err(error)
    }

    fn swap_off(&mut self, path: &AbsPath) -> Result<(), StepError> {
        let swapoff = Invocation::new("swapoff", BACK).args(["--", path.as_str()]);
        super::must_run(&swapoff, "swapoff", self.0)
    }
}

/// As `mkswap` takes it (RFC 9562).
fn uuid(bytes: [u8; 16]) -> String {
    let mut text = String::new();
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

fn put_on(host: &mut dyn Host, spec: &SwapfileSpec, rebuild: bool) -> Result<(), StepError> {
    let path = &spec.path;
    let state = host.look(path)?;
    let (found, room) = match &state {
        SwapfileState::Absent { room } => (None, room.as_ref()),
        SwapfileState::File(found) if found.formatted.is_some() => (Some(found), found.room.as_ref()),
        SwapfileState::File(_) => return Err(in_the_way(path, "a file that is no swap space")),
        SwapfileState::Other { what } => return Err(in_the_way(path, what)),
    };
    let before = found.and_then(|found| found.active.clone());
    let as_declared = spec.is_used_as_declared(before.as_ref());
    let back = before.as_ref().filter(|_| rebuild || !as_declared);
    if let (Some(active), Some(SwapfileFound { memory, .. })) = (back, found)
        && let Some(refusal) = cannot_take_back(active.used, *memory)
    {
        return Err(refused(path, refusal));
    }
    if rebuild {
        if let Some(refusal) = room.and_then(|room| room.refuses(spec.size)) {
            return Err(refused(path, refusal));
        }
        let mut new = make(host, spec)?;
        if before.is_some() {
            host.swap_off(path)?;
        }
        if let Err(error) = new.put_in_place() {
            drop(new);
            return Err(used_again(host, path, before.as_ref(), failure(&error)));
        }
        if spec.active
            && let Err(mut error) = host.swap_on(path, spec.priority)
        {
            if let Err(stays) = new.take_back() {
                let both = format!("{}; and {}", error.problem.untrusted(), chain(&stays).untrusted());
                error.problem = HostText::new(both);
            }
            return Err(used_again(host, path, before.as_ref(), error));
        }
        new.clear().map_err(|error| failure(&error))?;
    } else {
        disk::set_attributes(path, &disk::SWAPFILE_ATTRIBUTES).map_err(|error| failure(&error))?;
        if !as_declared && before.is_some() {
            host.swap_off(path)?;
        }
        if !as_declared
            && spec.active
            && let Err(error) = host.swap_on(path, spec.priority)
        {
            return Err(used_again(host, path, before.as_ref(), error));
        }
    }
    match host.look(path)? {
        SwapfileState::File(found) if spec.is_used_as_declared(found.active.as_ref()) => Ok(()),
        _ => Err(problem(format!(
            "all ended well, and the kernel does not use {path} as declared"
        ))),
    }
}

/// A new file, formatted, beside the old one.
fn make(host: &mut dyn Host, spec: &SwapfileSpec) -> Result<NewSwapfile, StepError> {
    let like = match disk::look_at_swapfile(&spec.path).map_err(|error| failure(&error))? {
        SwapFound::File(look) => look.header,
        SwapFound::Nothing(_) | SwapFound::Other(_) => None,
    };
    let new = NewSwapfile::make(&spec.path, spec.size).map_err(|error| failure(&error))?;
    host.format(&new.beside(), like.as_ref())?;
    Ok(new)
}

/// The failure, after the kernel was told to use the old file again, as far as it did.
fn used_again(host: &mut dyn Host, path: &AbsPath, before: Option<&ActiveSwap>, mut error: StepError) -> StepError {
    if let Some(active) = before
        && let Err(again) = host.swap_on(path, active.declared())
    {
        error.problem = HostText::new(format!(
            "{}; and the kernel no longer uses the one that was there: {}",
            error.problem.untrusted(),
            again.problem.untrusted()
        ));
    }
    error
}

fn remove_from(host: &mut dyn Host, path: &AbsPath) -> Result<(), StepError> {
    let found = match host.look(path)? {
        SwapfileState::Absent { .. } => return Ok(()),
        SwapfileState::File(found) if found.formatted.is_some() => found,
        SwapfileState::File(_) => return Err(in_the_way(path, "a file that is no swap space")),
        SwapfileState::Other { what } => return Err(in_the_way(path, &what)),
    };
    if let Some(active) = &found.active {
        if let Some(refusal) = cannot_take_back(active.used, found.memory) {
            return Err(refused(path, refusal));
        }
        host.swap_off(path)?;
    }
    disk::remove(path, PathKind::File).map_err(|error| failure(&error))?;
    Ok(())
}

fn in_the_way(path: &AbsPath, what: &str) -> StepError {
    problem(format!("{what} lies at {path} now, and is left as it is"))
}

/// A refusal before anything was touched.
fn refused(path: &AbsPath, refusal: Refusal) -> StepError {
    StepError {
        fix: Some(refusal.fix),
        ..problem(format!("{path} is left as it is: {}", refusal.problem))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{FileExt, MetadataExt};

    use super::*;
    use crate::testing::Scratch;

    const MIB: u64 = 1 << 20;

    /// A directory with real files, and a kernel that is told and swaps to none.
    struct Fake {
        scratch: Scratch,
        active: Option<ActiveSwap>,
        memory: u64,
        /// What was asked of it, in order; what fails, by its first word.
        asked: Vec<String>,
        fails: &'static [&'static str],
    }

    impl Fake {
        fn new() -> Self {
            Self {
                scratch: Scratch::new(),
                active: None,
                memory: 1000 * MIB,
                asked: Vec::new(),
                fails: &[],
            }
        }

        /// One that has a file of 1 MiB, used with priority 5.
        fn used() -> Self {
            let mut host = Self::new();
            let path = host.path();
            put_on(&mut host, &spec(&path, 1, Some(5)), true).unwrap();
            host.asked.clear();
            host
        }

        fn path(&self) -> AbsPath {
            AbsPath::new(self.scratch.path().join("swap").to_str().unwrap()).unwrap()
        }

        fn names(&self) -> Vec<String> {
            let names = fs::read_dir(self.scratch.path()).unwrap();
            names
                .map(|name| name.unwrap().file_name().into_string().unwrap())
                .collect()
        }

        fn ask(&mut self, what: String) -> Result<(), StepError> {
            let fails = self.fails.iter().any(|word| what.starts_with(word));
            self.asked.push(what.clone());
            if fails {
                Err(problem(format!("{what} failed")))
            } else {
                Ok(())
            }
        }
    }

    impl Host for Fake {
        fn look(&mut self, path: &AbsPath) -> Result<SwapfileState, StepError> {
            let mut state = observe::swapfile(path).map_err(problem)?;
            if let SwapfileState::File(found) = &mut state {
                found.active.clone_from(&self.active);
                found.memory = self.memory;
                found.room = None;
            } else if let SwapfileState::Absent { room } = &mut state {
                *room = None;
            }
            Ok(state)
        }

        fn format(&mut self, staged: &Path, like: Option<&SwapHeader>) -> Result<(), StepError> {
            self.ask(format!(
                "format {}",
                like.map_or("anew".to_owned(), |like| uuid(like.uuid))
            ))?;
            let file = fs::OpenOptions::new().write(true).open(staged).unwrap();
            let found = file.metadata().unwrap();
            assert_eq!((found.uid(), found.mode() & 0o7777), (0, 0o600));
            let page = rustix::param::page_size() as u64;
            let last = u32::try_from(found.len() / page - 1).unwrap();
            file.write_all_at(&1_u32.to_ne_bytes(), 1024).unwrap();
            file.write_all_at(&last.to_ne_bytes(), 1028).unwrap();
            file.write_all_at(b"0123456789abcdef", 1036).unwrap();
            file.write_all_at(b"SWAPSPACE2", page - 10).unwrap();
            Ok(())
        }

        fn swap_on(&mut self, path: &AbsPath, priority: Option<u16>) -> Result<(), StepError> {
            let size = fs::metadata(path.as_str()).unwrap().len() / MIB;
            self.ask(format!("on {size} {priority:?}"))?;
            let priority = priority.map_or(-2, i32::from);
            assert!(self.active.is_none(), "the kernel takes no file twice");
            self.active = Some(ActiveSwap { priority, used: 0 });
            Ok(())
        }

        fn swap_off(&mut self, _: &AbsPath) -> Result<(), StepError> {
            self.ask("off".to_owned())?;
            assert!(self.active.take().is_some());
            Ok(())
        }
    }

    fn spec(path: &AbsPath, size: u64, priority: Option<u16>) -> SwapfileSpec {
        SwapfileSpec {
            path: path.clone(),
            size: size * MIB,
            priority,
            active: true,
        }
    }

    #[test]
    fn one_is_whole_and_formatted_before_the_old_one_is_given_up() {
        let mut host = Fake::new();
        let path = host.path();
        put_on(&mut host, &spec(&path, 1, None), true).unwrap();
        put_on(&mut host, &spec(&path, 2, Some(7)), true).unwrap();
        assert_eq!(
            host.asked,
            [
                "format anew",
                "on 1 None",
                "format 30313233-3435-3637-3839-616263646566",
                "off",
                "on 2 Some(7)"
            ]
        );
        assert_eq!(host.names(), ["swap"]);
        let found = fs::metadata(path.as_str()).unwrap();
        assert_eq!((found.len(), found.mode() & 0o7777), (2 * MIB, 0o600));
        // No holes.
        assert!(found.blocks() * 512 >= 2 * MIB);
    }

    #[test]
    fn where_the_kernel_takes_no_new_one_nothing_of_it_stays() {
        let mut host = Fake::new();
        host.fails = &["on"];
        let path = host.path();
        let error = put_on(&mut host, &spec(&path, 1, None), true).unwrap_err();
        assert_eq!(error.problem.untrusted(), "on 1 None failed");
        assert!(host.names().is_empty());
    }

    #[test]
    fn where_the_kernel_takes_no_other_one_the_old_one_is_used_again() {
        let mut host = Fake::used();
        host.fails = &["on 2"];
        let path = host.path();
        let inode = fs::metadata(path.as_str()).unwrap().ino();
        let error = put_on(&mut host, &spec(&path, 2, None), true).unwrap_err();
        assert_eq!(error.problem.untrusted(), "on 2 None failed");
        assert_eq!(host.asked[1..], ["off", "on 2 None", "on 1 Some(5)"]);
        assert_eq!(host.active.as_ref().map(|active| active.priority), Some(5));
        assert_eq!(fs::metadata(path.as_str()).unwrap().ino(), inode);
        assert_eq!(host.names(), ["swap"]);

        // And where it takes that one no more either, it is said.
        host.fails = &["on"];
        let error = put_on(&mut host, &spec(&path, 2, None), true).unwrap_err();
        assert_eq!(
            error.problem.untrusted(),
            "on 2 None failed; and the kernel no longer uses the one that was there: on 1 Some(5) failed"
        );
        assert_eq!(host.names(), ["swap"]);
    }

    #[test]
    fn what_fails_before_the_old_one_is_given_up_leaves_it_as_it_was() {
        for fails in [&["format"], &["off"]] {
            let mut host = Fake::used();
            host.fails = fails;
            let path = host.path();
            put_on(&mut host, &spec(&path, 2, None), true).unwrap_err();
            assert_eq!(host.active.as_ref().map(|active| active.priority), Some(5));
            assert_eq!(fs::metadata(path.as_str()).unwrap().len(), MIB);
            assert_eq!(host.names(), ["swap"], "{fails:?}");
        }
    }

    #[test]
    fn a_full_one_is_touched_in_no_way_where_memory_has_no_room() {
        let mut host = Fake::used();
        host.memory = 100 * MIB;
        if let Some(active) = &mut host.active {
            active.used = 37 * MIB;
        }
        let path = host.path();
        let refusals = [
            put_on(&mut host, &spec(&path, 2, Some(5)), true),
            put_on(&mut host, &spec(&path, 1, Some(6)), false),
            remove_from(&mut host, &path),
        ];
        for refusal in refusals {
            let error = refusal.unwrap_err();
            let words = "37 MiB are in use there, 100 MiB of memory are available, and 64 MiB of them must stay so";
            assert!(error.problem.untrusted().contains(words), "{error:?}");
            assert!(error.fix.is_some());
        }
        assert!(host.asked.is_empty(), "{:?}", host.asked);
        // Who may read it is put right all the same.
        fs::set_permissions(path.as_str(), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        put_on(&mut host, &spec(&path, 1, Some(5)), false).unwrap();
        assert!(host.asked.is_empty(), "{:?}", host.asked);
        assert_eq!(fs::metadata(path.as_str()).unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn one_goes_once_the_kernel_has_given_it_up_and_what_is_none_stays() {
        let mut host = Fake::used();
        let path = host.path();
        host.fails = &["off"];
        remove_from(&mut host, &path).unwrap_err();
        assert_eq!(host.names(), ["swap"]);
        host.fails = &[];
        remove_from(&mut host, &path).unwrap();
        assert!(host.names().is_empty());
        remove_from(&mut host, &path).unwrap();

        fs::write(path.as_str(), "a letter").unwrap();
        remove_from(&mut host, &path).unwrap_err();
        put_on(&mut host, &spec(&path, 1, None), true).unwrap_err();
        assert_eq!(fs::read(path.as_str()).unwrap(), b"a letter");
    }

    #[test]
    fn none_is_made_where_others_could_put_their_own_in_its_place() {
        let mut host = Fake::new();
        fs::set_permissions(host.scratch.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let path = host.path();
        let error = put_on(&mut host, &spec(&path, 1, None), true).unwrap_err();
        assert!(error.problem.untrusted().contains("is not root's alone"), "{error:?}");
        assert!(host.names().is_empty());
    }
}
