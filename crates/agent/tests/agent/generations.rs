//! The agent's records over the wire: told, sent, and dropped. Nothing that was applied is touched by any of it.

use std::collections::BTreeSet;

use provision_core::model::{Digest, FileSpec, Outcome, RunPhase, Spec};
use provision_core::wire::{Refusal, Request, Response};

use crate::host::{Host, verdict};
use crate::plans::{self, file};

/// Applies one file with this text.
fn applied(host: &Host, text: &'static str, sensitive: bool) {
    let Spec::File(spec) = file("/mnt/a", text) else {
        unreachable!()
    };
    let plan = plans::plan(host, &vec![(Spec::File(FileSpec { sensitive, ..spec }), text)]);
    assert_eq!(verdict(&host.events(&plan)), RunPhase::Confirmed);
}

#[test]
fn generations_are_told_their_contents_sent_and_all_of_it_forgotten() {
    let host = Host::new();
    let none = host.ask(&Request::Return { generation: None });
    assert!(
        matches!(&none[..], [Response::Refused(Refusal::NoSuchGeneration { kept })] if kept.is_empty()),
        "{none:?}"
    );
    applied(&host, "one", false);
    applied(&host, "secret", true);

    let told = host.ask(&Request::History);
    let [Response::History(history)] = &told[..] else {
        panic!("{told:?}")
    };
    let newest = &history.generations[0];
    assert_eq!(
        (newest.number, newest.outcome, newest.counts.changed),
        (2, Outcome::Confirmed, 1)
    );
    assert!(
        history.disk.generations > 0 && history.disk.contents > 0,
        "{:?}",
        history.disk
    );

    let told = host.ask(&Request::Return { generation: None });
    let [Response::Past(past), Response::Observed(observed)] = &told[..] else {
        panic!("{told:?}")
    };
    let id = file("/mnt/a", "").id();
    assert_eq!((past.number, past.since.len()), (1, 1));
    assert!(observed.resources[&id].known().is_some());
    assert!(past.since.contains_key(&id));

    let digests: BTreeSet<_> = ["one", "secret", "never"]
        .map(|text| Digest::of(text.as_bytes()))
        .into();
    let told = host.ask(&Request::Contents { digests });
    let [Response::Contents(contents)] = &told[..] else {
        panic!("{told:?}")
    };
    let sent: Vec<_> = contents.values().map(|blob| blob.bytes().to_vec()).collect();
    assert_eq!(sent, [b"one"], "what is sensitive is not kept");
    // Neither is it in what is left of the run.
    let run = host.state("runs").join(newest.plan_id.to_string());
    assert!(run.join("journal.jsonl").exists() && !run.join("plan.json").exists());

    let forget = |generation| {
        let who = "ada@desk".to_owned();
        host.ask(&Request::Forget { who, generation })
    };
    let stale = forget(1);
    assert!(
        matches!(stale[..], [Response::Refused(Refusal::StaleGeneration { found: 2 })]),
        "{stale:?}"
    );
    assert!(matches!(forget(2)[..], [Response::Forgotten]));
    assert!(!host.state("current").exists() && !host.state("store").exists());
    assert_eq!(host.read("/mnt/a"), "secret");
}
