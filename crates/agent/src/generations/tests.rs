//! What generations on a disk must hold. It starts no run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, SystemTime};

use provision_core::model::{
    AbsPath, Applier, Blob, Content, Entry, FileSpec, GenerationCounts, HostName, HostText, Millis, Mode, OnChange, Op,
    Owner, PLAN_FORMAT, PathState, PlannedEntry, ResourceId, Spec, State, Step, SysctlSpec, SysctlState, UnitName,
    UnitSpec,
};

use super::prune::{CONTENTS_BYTES, GENERATIONS};
use super::*;
use crate::journal::Journal;
use crate::status;
use crate::testing::Scratch;

fn unit(name: &str) -> Spec {
    Spec::Unit(UnitSpec {
        name: UnitName::new(name).unwrap(),
        enabled: None,
        active: Some(true),
        on_change: OnChange::Restart,
        settle: Millis(0),
    })
}

fn sysctl(key: &str, value: &str) -> Spec {
    Spec::Sysctl(SysctlSpec {
        key: key.to_owned(),
        value: value.to_owned(),
    })
}

fn live(value: &str) -> State {
    State::Sysctl(SysctlState::Live(value.into()))
}

fn planned(spec: Spec, trigger: Option<&str>) -> (ResourceId, PlannedEntry) {
    let entry = PlannedEntry {
        depends: Vec::new(),
        trigger: trigger.map(|text| Digest::of(text.as_bytes())),
        spec,
        on_removal: Default::default(),
    };
    (entry.spec.id(), entry)
}

fn plan(entries: impl IntoIterator<Item = (ResourceId, PlannedEntry)>, pending: &[&Spec]) -> Plan {
    let entries: BTreeMap<_, _> = entries.into_iter().collect();
    Plan {
        format: PLAN_FORMAT,
        host: HostName::new("test").unwrap(),
        machine_id: "m".into(),
        base_generation: 0,
        by: Applier {
            who: "a@b".to_owned(),
            commit: Some("abc".to_owned()),
            version: "1".to_owned(),
            rollback_to: None,
        },
        changes: Vec::new(),
        unchanged: Vec::new(),
        blockers: Vec::new(),
        steps: entries
            .keys()
            .map(|id| Step {
                op: Op::Record,
                covers: BTreeSet::from([id.clone()]),
            })
            .collect(),
        preconditions: BTreeMap::new(),
        pending: pending.iter().map(|spec| spec.id()).collect(),
        entries,
        blobs: BTreeMap::from([(Digest::of(b"x"), Blob::from(b"x".to_vec()))]),
    }
}

fn merged(
    previous: Option<&Receipt>,
    plan: &Plan,
    done: &[(ResourceId, Option<Entry>)],
    begun: &[(ResourceId, State)],
    outcome: Outcome,
) -> Receipt {
    merge(&Merge {
        previous,
        plan,
        plan_id: plan.id(),
        done: &done.iter().cloned().collect(),
        begun: &begun.iter().cloned().collect(),
        complete: outcome == Outcome::Confirmed,
        outcome,
        at: 1,
    })
}

#[test]
fn a_complete_run_records_what_it_changed_and_what_it_left_as_it_was() {
    let (a, a_entry) = planned(sysctl("a", "1"), None);
    let (b, b_entry) = planned(sysctl("b", "2"), None);
    let plan = plan([(a.clone(), a_entry.clone()), (b.clone(), b_entry.clone())], &[]);
    let done = [(a.clone(), Some(entry(&a_entry, Some(live("0")))))];
    let first = merged(None, &plan, &done, &[], Outcome::Confirmed);
    assert_eq!(first.generation, 1);
    assert_eq!(first.by["commit"], HostText::from("abc"));
    assert_eq!(first.entries[&a].original, Some(live("0")));
    assert_eq!(first.entries[&b].original, None, "it was already as wanted");

    // What was there before us stays known through later generations.
    let second = merged(Some(&first), &plan, &[], &[], Outcome::Confirmed);
    assert_eq!(second.generation, 2);
    assert_eq!(second.entries, first.entries);
}

#[test]
fn a_removed_resource_leaves_the_receipt_only_when_its_step_is_done() {
    let (a, a_entry) = planned(sysctl("a", "1"), None);
    let first = merged(None, &plan([(a.clone(), a_entry)], &[]), &[], &[], Outcome::Confirmed);
    let nothing = plan([], &[]);
    assert!(
        merged(Some(&first), &nothing, &[], &[], Outcome::Failed)
            .entries
            .contains_key(&a)
    );
    let gone = merged(Some(&first), &nothing, &[(a.clone(), None)], &[], Outcome::Failed);
    assert!(!gone.entries.contains_key(&a));
}

#[test]
fn restarts_that_were_not_reached_stay_pending_over_failures() {
    let (one, two) = (unit("one.service"), unit("two.service"));
    let entries = || [planned(one.clone(), Some("new")), planned(two.clone(), Some("new"))];
    let plan = plan(entries(), &[&one, &two]);
    let (one_id, one_entry) = planned(one.clone(), Some("new"));
    let done = [(one_id, Some(entry(&one_entry, None)))];
    let failed = merged(None, &plan, &done, &[], Outcome::Failed);
    assert_eq!(failed.pending, BTreeSet::from([two.id()]));

    // The next plan knows of it or not; until it is restarted, it is not forgotten.
    let other = self::plan(entries(), &[]);
    let failed_again = merged(Some(&failed), &other, &[], &[], Outcome::Failed);
    assert_eq!(failed_again.pending, BTreeSet::from([two.id()]));
    let (two_id, two_entry) = planned(two.clone(), Some("new"));
    let done = [(two_id, Some(entry(&two_entry, None)))];
    assert!(
        merged(Some(&failed_again), &other, &done, &[], Outcome::Failed)
            .pending
            .is_empty()
    );
    assert!(
        merged(Some(&failed_again), &other, &[], &[], Outcome::Confirmed)
            .pending
            .is_empty()
    );
}

#[test]
fn of_an_unfinished_step_the_original_is_kept_and_a_restart_stays_due() {
    let (id, _) = planned(unit("one.service"), Some("new"));
    let plan = plan([planned(unit("one.service"), Some("new"))], &[]);
    let begun = [(id.clone(), live("before"))];
    let first = merged(None, &plan, &[], &begun, Outcome::Interrupted);
    assert_eq!(first.entries[&id].original, Some(live("before")));
    assert_eq!(first.entries[&id].trigger, None);
    // A later look does not replace what was there at first.
    let begun = [(id.clone(), live("ours"))];
    let second = merged(Some(&first), &plan, &[], &begun, Outcome::Interrupted);
    assert_eq!(second.entries[&id].original, Some(live("before")));
}

/// A run as it lies on the disk, with this journal.
fn staged(layout: &Layout, plan: &Plan, events: &[RunEvent]) -> Digest {
    let id = plan.id();
    fs::create_dir_all(layout.run(&id).root()).unwrap();
    staging::stage(layout, &id, plan, Millis::seconds(60)).unwrap();
    let (mut journal, _) = Journal::open(&layout.run(&id).journal()).unwrap().unwrap();
    events.iter().for_each(|event| journal.write(event).unwrap());
    id
}

#[test]
fn a_dead_run_counts_as_a_generation_once_it_had_begun_to_change_things() {
    let scratch = Scratch::new();
    let layout = Layout::below(scratch.path());
    let (a, a_entry) = planned(sysctl("a", "1"), None);
    let plan = plan([(a.clone(), a_entry.clone())], &[]);
    let mut events = vec![RunEvent::Phase(RunPhase::Staged), RunEvent::Phase(RunPhase::Armed)];
    staged(&layout, &plan, &events);
    assert!(load(&layout).unwrap().receipt.is_none(), "nothing was changed");

    events = vec![
        RunEvent::Phase(RunPhase::Switching),
        RunEvent::Done {
            step: 0,
            millis: 1,
            note: None,
            entries: BTreeMap::from([(a.clone(), Some(entry(&a_entry, Some(live("0")))))]),
        },
    ];
    let id = staged(&layout, &plan, &events);
    let standing = load(&layout).unwrap();
    let receipt = standing.receipt.unwrap();
    assert_eq!((receipt.generation, receipt.outcome), (1, Outcome::Interrupted));
    assert_eq!(receipt.entries[&a].original, Some(live("0")));
    assert_eq!(standing.dead, Some(plan));
    assert_eq!(recorded(&layout).unwrap(), None, "reading records nothing");

    // While it is being written, it is not dead.
    let journal = Journal::open(&layout.run(&id).journal()).unwrap().unwrap();
    assert!(load(&layout).unwrap().receipt.is_none());
    drop(journal);

    // Recorded, it is what it was read as, and is not merged again.
    record(&layout, &receipt).unwrap();
    let again = load(&layout).unwrap();
    assert_eq!(again.receipt, Some(receipt));
    assert!(again.dead.is_none());
}

#[test]
fn a_record_that_cannot_be_trusted_is_an_error_and_not_an_empty_host() {
    let scratch = Scratch::new();
    let layout = Layout::below(scratch.path());
    std::os::unix::fs::symlink("elsewhere/7", layout.current()).unwrap();
    assert!(matches!(load(&layout), Err(GenerationError::Astray { .. })));
    fs::remove_file(layout.current()).unwrap();
    std::os::unix::fs::symlink("generations/7", layout.current()).unwrap();
    assert!(matches!(load(&layout), Err(GenerationError::Own(_))));
    fs::create_dir_all(layout.generation(7)).unwrap();
    fs::write(layout.receipt(7), "{}").unwrap();
    assert!(matches!(
        load(&layout),
        Err(GenerationError::Own(OwnFileError::Damaged { .. }))
    ));
}

/// A file that others may read, as it is found.
fn found(content: Content) -> State {
    let owner = || Owner { id: 0, name: None };
    State::Path(PathState::File {
        content,
        owner: owner(),
        group: owner(),
        mode: Mode::from_bits(0o644),
        text: None,
    })
}

fn file(path: &Path, content: Content, sensitive: bool) -> Spec {
    Spec::File(FileSpec {
        path: AbsPath::new(path.to_str().unwrap()).unwrap(),
        content,
        owner: "root".to_owned(),
        group: "root".to_owned(),
        mode: Mode::from_bits(0o644),
        validate: None,
        sensitive,
        private: false,
        seed: false,
    })
}

const FINAL: [RunEvent; 2] = [
    RunEvent::Phase(RunPhase::Switching),
    RunEvent::Phase(RunPhase::Confirmed),
];

/// Records the generation that such an entry makes, with the run that made it.
fn made(layout: &Layout, previous: Option<&Receipt>, spec: Spec, original: State) -> Receipt {
    let (id, planned) = planned(spec, None);
    let plan = plan([(id.clone(), planned.clone())], &[]);
    staged(layout, &plan, &FINAL);
    note_replaced(layout, &plan.id(), &BTreeMap::from([(id.clone(), original.clone())])).unwrap();
    let done = [(id, Some(entry(&planned, Some(original))))];
    let receipt = merged(previous, &plan, &done, &[], Outcome::Confirmed);
    record(layout, &receipt).unwrap();
    receipt
}

/// The clock as [`merged`] has it, and then some.
fn after(time: Duration) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1) + time
}

fn kept(layout: &Layout) -> Vec<u64> {
    let mut numbers = numbers(layout).unwrap();
    numbers.sort_unstable();
    numbers
}

#[test]
fn old_generations_runs_and_contents_go_and_what_is_needed_stays() {
    let scratch = Scratch::new();
    let layout = Layout::below(scratch.path());
    let mut previous = None;
    let count = GENERATIONS as u64 + 5;
    for number in 1..=count {
        let text = format!("original {number}");
        let content = Content::of(text.as_bytes());
        keep(&layout, &content.sha256, text.as_bytes()).unwrap();
        let spec = sysctl("a", &number.to_string());
        previous = Some(made(&layout, previous.as_ref(), spec, found(content)));
    }
    // The oldest run of all died and was never carried on.
    let dead = plan([planned(sysctl("dead", "1"), None)], &[]);
    let dead = staged(&layout, &dead, &[RunEvent::Phase(RunPhase::Switching)]);
    let newest = previous.unwrap();
    let before: Receipt = own_files::read_json(&layout.receipt(count - 1)).unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    for id in [dead, before.plan_id] {
        let about = fs::File::options().write(true).open(layout.run(&id).about()).unwrap();
        about.set_modified(old).unwrap();
    }

    prune(&layout, &newest, after(Duration::ZERO)).unwrap();
    assert_eq!(kept(&layout), (6..=count).collect::<Vec<_>>());
    let stored = own_files::names(&layout.store()).unwrap();
    assert_eq!(stored.len(), GENERATIONS);
    assert!(stored.contains(&Digest::of(b"original 6").to_string()));
    let runs = runs(&layout).unwrap();
    assert!(runs.contains(&dead), "a dead run is not yet recorded");
    assert!(layout.run(&dead).plan().exists(), "and its plan is needed for that");
    assert!(runs.contains(&newest.plan_id) && runs.contains(&before.plan_id));
    assert!(runs.len() < 25, "{}", runs.len());
    assert!(!layout.run(&newest.plan_id).plan().exists(), "nobody executes it again");
    assert_eq!(recorded(&layout).unwrap(), Some(newest));
}

#[test]
fn age_and_size_bound_what_is_kept_and_never_take_the_newest_two() {
    let year = Duration::from_secs(366 * 24 * 60 * 60);
    let small = Content::of(b"small");
    let huge = |number: u64| Content {
        sha256: Digest::of(&number.to_le_bytes()),
        size: CONTENTS_BYTES - 4,
    };
    for (contents, now, expected) in [
        ([small; 4], after(Duration::ZERO), vec![1, 2, 3, 4]),
        ([small; 4], after(year), vec![3, 4]),
        ([huge(1), huge(2), huge(3), huge(4)], after(Duration::ZERO), vec![3, 4]),
        // Kept once, however many generations have it.
        (
            [huge(1), huge(1), huge(1), huge(1)],
            after(Duration::ZERO),
            vec![1, 2, 3, 4],
        ),
        (
            [huge(1), huge(2), huge(2), huge(2)],
            after(Duration::ZERO),
            vec![2, 3, 4],
        ),
        // Older ones go with the one that is too much.
        ([small, huge(1), huge(2), huge(2)], after(Duration::ZERO), vec![3, 4]),
    ] {
        let scratch = Scratch::new();
        let layout = Layout::below(scratch.path());
        let mut newest: Option<Receipt> = None;
        for (number, content) in contents.into_iter().enumerate() {
            let (id, planned) = planned(file(Path::new("/etc/x"), content, false), Some(&number.to_string()));
            let plan = plan([(id, planned)], &[]);
            let receipt = merged(newest.as_ref(), &plan, &[], &[], Outcome::Confirmed);
            record(&layout, &receipt).unwrap();
            newest = Some(receipt);
        }
        prune(&layout, &newest.unwrap(), now).unwrap();
        assert_eq!(kept(&layout), expected);
    }
}

#[test]
fn what_files_were_left_as_is_kept_once_and_what_is_sensitive_never() {
    let scratch = Scratch::new();
    let layout = Layout::below(&scratch.path().join("state"));
    fs::create_dir(layout.root()).unwrap();
    let there = scratch.path().join("there");
    fs::write(&there, "as it was").unwrap();
    let moved = scratch.path().join("moved");
    fs::write(&moved, "by hand").unwrap();
    let specs = [
        file(Path::new("/etc/one"), Content::of(b"brought"), false),
        file(Path::new("/etc/two"), Content::of(b"brought"), false),
        file(Path::new("/etc/key"), Content::of(b"secret"), true),
        file(&there, Content::of(b"as it was"), false),
        file(&moved, Content::of(b"as declared"), false),
    ];
    let plan = plan(specs.into_iter().map(|spec| planned(spec, None)), &[]);
    let receipt = merged(None, &plan, &[], &[], Outcome::Confirmed);
    let brought = [&b"brought"[..], b"secret"].map(|bytes| (Digest::of(bytes), Blob::from(bytes.to_vec())));
    keep_applied(&layout, &receipt, &brought.into()).unwrap();
    let digests = |texts: &[&[u8]]| texts.iter().map(|text| Digest::of(text)).collect::<BTreeSet<_>>();
    let mut expected: Vec<_> = digests(&[b"brought", b"as it was"])
        .iter()
        .map(Digest::to_string)
        .collect();
    expected.sort_unstable();
    let mut stored = own_files::names(&layout.store()).unwrap();
    stored.sort_unstable();
    assert_eq!(stored, expected);

    // What is asked for comes as far as it is kept, whole, and fits.
    let wanted = digests(&[b"brought", b"as it was", b"secret", b"as declared"]);
    let read = |limit| read_contents(&layout, &wanted, limit).unwrap();
    assert_eq!(read(1000).len(), 2);
    assert_eq!(read(10).len(), 1);
    fs::write(layout.stored(&Digest::of(b"brought")), "brushed").unwrap();
    assert_eq!(
        read(1000).into_keys().collect::<BTreeSet<_>>(),
        digests(&[b"as it was"])
    );
}

#[test]
fn a_generation_is_told_with_what_has_changed_since() {
    let scratch = Scratch::new();
    let layout = Layout::below(scratch.path());
    assert_eq!(past(&layout, None).unwrap(), None);
    assert_eq!(history(&layout).unwrap().generations, []);

    let one = made(&layout, None, sysctl("a", "1"), live("0"));
    let two = made(&layout, Some(&one), sysctl("a", "2"), live("1"));
    let three = made(&layout, Some(&two), sysctl("b", "1"), State::Path(PathState::Absent));
    let (a, b) = (sysctl("a", "").id(), sysctl("b", "").id());
    // What a generation replaced outlives the run that did it.
    fs::remove_dir_all(layout.run(&two.plan_id).root()).unwrap();

    let told = past(&layout, None).unwrap().unwrap();
    assert_eq!((told.number, told.receipt.as_ref()), (2, Some(&two)));
    assert_eq!(
        told.since,
        BTreeMap::from([(b.clone(), State::Path(PathState::Absent))])
    );
    let told = past(&layout, Some(1)).unwrap().unwrap();
    assert_eq!(told.since[&a], live("1"), "as it was when the first was the newest");
    let told = past(&layout, Some(0)).unwrap().unwrap();
    assert_eq!((told.receipt, &told.since[&a]), (None, &live("0")));
    assert_eq!(past(&layout, Some(3)).unwrap().unwrap().since, BTreeMap::new());
    assert_eq!(past(&layout, Some(4)).unwrap(), None);

    let history = history(&layout).unwrap();
    let numbers: Vec<_> = history.generations.iter().map(|told| told.number).collect();
    assert_eq!(numbers, [3, 2, 1]);
    assert_eq!(
        history.generations[0].counts,
        GenerationCounts {
            created: 1,
            ..Default::default()
        }
    );
    assert_eq!(
        history.generations[1].counts,
        GenerationCounts {
            changed: 1,
            ..Default::default()
        }
    );
    assert!(
        history.disk.generations > 0 && history.disk.runs > 0,
        "{:?}",
        history.disk
    );
    assert_eq!(three.generation, 3);
}

/// What this thread has read so far: calls and bytes.
fn read_so_far() -> (u64, u64) {
    let text = fs::read_to_string("/proc/thread-self/io").unwrap();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    (field("syscr:"), field("rchar:"))
}

/// What looking at a host reads of its records: calls and bytes.
fn look(layout: &Layout) -> (u64, u64) {
    let before = read_so_far();
    // Reading that file counts as well, after it is read.
    let measured = read_so_far();
    let standing = load(layout).unwrap();
    status::last_run(layout, standing.receipt.as_ref()).unwrap().unwrap();
    let after = read_so_far();
    let own = (measured.0 - before.0, measured.1 - before.1);
    (
        after.0 - measured.0 - own.0,
        (after.1 - measured.1).saturating_sub(own.1),
    )
}

#[test]
fn a_thousand_generations_cost_a_look_what_a_few_do() {
    let scratch = Scratch::new();
    let layout = Layout::below(scratch.path());
    let mut newest = made(&layout, None, sysctl("a", "0"), live("0"));
    prune(&layout, &newest, after(Duration::ZERO)).unwrap();
    let one = look(&layout);
    let mut tens = (0, 0);
    for number in 1..1000 {
        // As if each were applied, without waiting for the disk a thousand times.
        let (id, planned) = planned(sysctl("a", &number.to_string()), None);
        let plan = plan([(id, planned)], &[]);
        newest = merged(Some(&newest), &plan, &[], &[], Outcome::Confirmed);
        let run = layout.run(&newest.plan_id);
        fs::create_dir_all(run.root()).unwrap();
        fs::create_dir_all(layout.generation(newest.generation)).unwrap();
        fs::write(layout.receipt(newest.generation), serde_json::to_vec(&newest).unwrap()).unwrap();
        fs::write(run.about(), "{\"by\":{},\"started\":1}").unwrap();
        let (mut journal, _) = Journal::open(&run.journal()).unwrap().unwrap();
        FINAL.iter().for_each(|event| journal.write(event).unwrap());
        drop(journal);
        if number % 50 == 0 || number == 999 {
            record(&layout, &newest).unwrap();
            prune(&layout, &newest, after(Duration::ZERO)).unwrap();
        }
        if number == 50 {
            tens = look(&layout);
        }
    }
    let thousand = look(&layout);
    println!("reads and bytes of a look: {one:?} with 1 generation, {tens:?} with 50, {thousand:?} with 1000");
    assert_eq!(kept(&layout).len(), GENERATIONS);
    // The numbers in it have become longer.
    assert!(thousand.0 <= one.0 && thousand.1 <= one.1 + 32, "{one:?} {thousand:?}");
}
