//! The real openclaw gateway from one version to the next and back: what it keeps and what agents work on stays.

use std::fs;
use std::path::Path;

use super::{library, times};
use crate::lab::Lab;

/// Two versions of one database: over a change of that, a gateway itself refuses to go back.
const VERSIONS: [&str; 2] = ["2026.9.4", "2026.9.5"];

fn settings(version: &str) -> String {
    format!("imports = [\"openclaw\"]\n[set.openclaw.moltbot]\nnpm = \"openclaw-{version}\"\n")
}

/// Which version answers, and that it is ready.
fn version(lab: &Lab) -> String {
    let line = "curl -sf http://127.0.0.1:18789/readyz >/dev/null && curl -sf http://127.0.0.1:18789/startupz";
    let answer: serde_json::Value = serde_json::from_str(&lab.on_host(line)).unwrap();
    answer["version"].as_str().unwrap().to_owned()
}

/// What a person and the gateway have put there: texts, and the identity that its database has.
fn kept(lab: &Lab) -> String {
    lab.on_host(
        "cd / && cat /var/lib/moltbot/sentinel /srv/moltbot/notes && stat -c '%n %U %a' /var/lib/moltbot/sentinel /srv/moltbot/notes && \
         sha256sum </var/lib/moltbot/config-journal-fingerprint.key && stat -c '%i %W' /var/lib/moltbot/state/openclaw.sqlite",
    )
}

#[test]
fn a_new_version_and_the_way_back_keep_state_and_workspace() {
    let lab = Lab::new();
    library(&lab);
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/gateway/versions");
    for version in VERSIONS {
        let to = format!("files/openclaw-{version}");
        for (from, name) in [
            (own.join(version).join("package.json"), "package.json"),
            (own.join(version).join("package-lock.json"), "package-lock.json"),
            (lab.root().join("files/openclaw/schema.json"), "schema.json"),
        ] {
            lab.write(&format!("{to}/{name}"), &fs::read_to_string(from).unwrap());
        }
    }
    let [older, newer] = VERSIONS;
    times("the older version", &lab.converge(&settings(older)));
    assert_eq!(version(&lab), older);
    lab.on_host(
        "printf 'mine\\n' >/var/lib/moltbot/sentinel && printf 'work\\n' >/srv/moltbot/notes && \
         chown moltbot /var/lib/moltbot/sentinel /srv/moltbot/notes && chmod 600 /var/lib/moltbot/sentinel",
    );
    let before = kept(&lab);
    times("the newer version", &lab.converge(&settings(newer)));
    assert_eq!((version(&lab), kept(&lab)), (newer.to_owned(), before.clone()));

    let back = lab.provision(&["rollback", lab.name(), "--yes"]).expect(0);
    times("back", &back);
    assert_eq!((version(&lab), kept(&lab)), (older.to_owned(), before.clone()));
    // The files say the newer one still: an apply goes there again.
    let ids = lab.plan_ids();
    assert!(ids.iter().any(|id| id == "npm:/opt/openclaw"), "{ids:?}");
    let _ = lab.converge(&settings(newer));
    assert_eq!((version(&lab), kept(&lab)), (newer.to_owned(), before));
}
