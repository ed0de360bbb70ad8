//! Plans by cases: a folder holds a host file and what was observed, and the plan that must come of both; or, with a
//! `then.toml`, what an earlier generation declared, and the way back to it. Adding a case is adding a folder; `PROVISION_UPDATE_CASES=1` writes the expected plans anew, to be read before they are committed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use provision_core::config::Sources;
use provision_core::model::{Applier, Desired, Entry, Fact, Observed, Outcome, Past, Receipt, Spec};
use provision_core::plan::{compare, plan, rollback, trigger};
use provision_core::resolve::resolve_all;

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let mut cases: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

/// What a host file declares.
fn desired(path: &Path) -> Desired {
    let config = BTreeMap::from([("hosts/case.toml".to_owned(), fs::read(path).unwrap())]);
    let files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let resolution = resolve_all(&Sources { config, files: &files });
    assert!(
        !resolution.has_errors(),
        "{}: {:?}",
        path.display(),
        resolution.diagnostics
    );
    resolution.hosts.into_values().next().unwrap()
}

/// The receipt that applying a host file left on a host where nothing of it had been before.
fn receipt(left: &Desired, observed: &Observed) -> Receipt {
    let entries = left.resources.iter().map(|(id, resource)| {
        let entry = Entry {
            spec: resource.spec.clone(),
            depends: resource.depends.clone(),
            original: observed.resources.get(id).and_then(Fact::known).cloned(),
            trigger: (id.kind == provision_core::model::Kind::Unit).then(|| trigger(left, resource)),
            on_removal: resource.on_removal,
        };
        (id.clone(), entry)
    });
    Receipt {
        generation: 3,
        plan_id: provision_core::model::Digest::of(b""),
        at: 0,
        by: BTreeMap::new(),
        outcome: Outcome::Confirmed,
        entries: entries.collect(),
        pending: Default::default(),
    }
}

fn observed(path: &Path) -> Observed {
    let text = fs::read(path).unwrap();
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_case_gives_its_plan() {
    let update = std::env::var_os("PROVISION_UPDATE_CASES").is_some();
    let cases = cases();
    assert!(cases.len() >= 5, "{cases:?}");
    for case in cases {
        if case.join("then.toml").exists() {
            check(&case, &way_back(&case), update);
            continue;
        }
        let want = desired(&case.join("host.toml"));
        let mut seen = observed(&case.join("observed.json"));
        if case.join("applied.toml").exists() {
            let before = observed(&case.join("before.json"));
            seen.receipt = Fact::Known(Some(receipt(&desired(&case.join("applied.toml")), &before)));
        }
        let by = Applier {
            who: "ada@desk".into(),
            commit: None,
            version: "0".into(),
            rollback_to: None,
        };
        let plan = plan(&want, &seen, &by);
        let told = serde_json::json!({
            "base_generation": plan.base_generation,
            "changes": plan.changes,
            "unchanged": plan.unchanged,
            "blockers": plan.blockers,
            "steps": plan.steps,
            "pending": plan.pending,
        });
        check(&case, &told, update);
    }
}

fn check(case: &Path, told: &serde_json::Value, update: bool) {
    let told = format!("{}\n", serde_json::to_string_pretty(told).unwrap());
    let path = case.join("plan.json");
    if update {
        fs::write(&path, &told).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(told == expected, "{}: the plan is now\n{told}", case.display());
}

/// The way back from `applied.toml` to `then.toml`, where `since.json` says what was replaced since, and the host keeps every
/// content of then but those of sensitive files; and how the two generations differ.
fn way_back(case: &Path) -> serde_json::Value {
    let before = observed(&case.join("before.json"));
    let (then, applied) = (desired(&case.join("then.toml")), desired(&case.join("applied.toml")));
    let newest = receipt(&applied, &before);
    let mut seen = observed(&case.join("observed.json"));
    seen.receipt = Fact::Known(Some(newest.clone()));
    let earlier = Receipt {
        generation: 2,
        ..receipt(&then, &before)
    };
    let past = Past {
        number: 2,
        receipt: Some(earlier.clone()),
        since: serde_json::from_slice(&fs::read(case.join("since.json")).unwrap()).unwrap(),
    };
    let mut kept = then.blobs.clone();
    kept.extend(applied.blobs.clone());
    for resource in then.resources.values().chain(applied.resources.values()) {
        if let Spec::File(spec) = &resource.spec
            && spec.sensitive
        {
            kept.remove(&spec.content.sha256);
        }
    }
    let by = Applier {
        who: "ada@desk".into(),
        commit: None,
        version: "0".into(),
        rollback_to: None,
    };
    let back = rollback(
        (&then.host, &then.connection),
        &past,
        &seen,
        &by,
        &kept,
        &provision_core::model::Pins::new(),
    );
    let remains: Vec<_> = back
        .remains
        .iter()
        .map(|(id, what)| format!("{id}: {what:?}"))
        .collect();
    let differences: Vec<_> = compare(Some(&earlier), Some(&newest), &kept)
        .into_iter()
        .map(|found| {
            serde_json::json!({
                "id": found.id, "differs": format!("{:?}", found.differs), "fields": found.fields, "text": found.text,
            })
        })
        .collect();
    serde_json::json!({
        "rollback_to": back.plan.by.rollback_to,
        "changes": back.plan.changes,
        "unchanged": back.plan.unchanged,
        "blockers": back.plan.blockers,
        "steps": back.plan.steps,
        "remains": remains,
        "differences": differences,
    })
}
