//! Plans for the views' tests: every action, reason and kind of blocker once. They are no plans that could be applied.

use std::collections::{BTreeMap, BTreeSet};

use provision_core::model::{
    Action, Applier, Blocker, Change, FieldChange, Moved, Op, Origin, PLAN_FORMAT, Plan, Reason, ResourceId, Step,
    TextChange, Unchanged, UnitName, UnitVerb,
};

pub(super) fn id(text: &str) -> ResourceId {
    text.parse().unwrap()
}

pub(super) fn origin(file: &str, line: u32) -> Option<Origin> {
    let file = file.to_owned();
    Some(Origin { file, line, column: 1 })
}

pub(super) fn field(field: &str, before: Option<&str>, after: Option<&str>) -> FieldChange {
    FieldChange {
        field: field.to_owned(),
        before: before.map(Into::into),
        after: after.map(str::to_owned),
    }
}

pub(super) fn change(what: &str, action: Action, reason: Reason, moved: Moved) -> Change {
    Change {
        id: id(what),
        action,
        fields: Vec::new(),
        text: None,
        reasons: vec![reason],
        moved,
        origin: origin("hosts/web-1.toml", 7),
        access: false,
    }
}

/// A plan with nothing in it.
pub(super) fn empty(host: &str) -> Plan {
    Plan {
        format: PLAN_FORMAT,
        host: host.to_owned().try_into().unwrap(),
        machine_id: "0123456789abcdef0123456789abcdef".into(),
        base_generation: 4,
        by: Applier {
            who: "ada@desk".to_owned(),
            commit: None,
            version: "0.1.0".to_owned(),
            rollback_to: None,
        },
        changes: Vec::new(),
        unchanged: vec![Unchanged {
            id: id("package:curl"),
            because: "installed, in version 7.88.1".to_owned(),
        }],
        blockers: Vec::new(),
        steps: Vec::new(),
        preconditions: BTreeMap::new(),
        entries: BTreeMap::new(),
        pending: BTreeSet::new(),
        blobs: BTreeMap::new(),
    }
}

/// A plan with one change of each sort.
pub(super) fn full() -> Plan {
    let unit = |name: &str, verb| Step {
        op: Op::Unit {
            name: UnitName::new(name).unwrap(),
            verb,
        },
        covers: BTreeSet::from([id(&format!("unit:{name}"))]),
    };
    Plan {
        changes: changes(),
        blockers: vec![
            Blocker {
                id: id("file:/etc/hosts"),
                unknown: true,
                problem: "permission denied".into(),
                fix: "look at it on the host".to_owned(),
                origin: origin("hosts/web-1.toml", 40),
            },
            Blocker {
                id: id("directory:/srv"),
                unknown: false,
                problem: "a file lies there".into(),
                fix: "move it away".to_owned(),
                origin: None,
            },
        ],
        steps: vec![
            unit("nginx.service", UnitVerb::Reload),
            unit("bot.service", UnitVerb::Restart),
        ],
        ..empty("web-1")
    }
}

fn changes() -> Vec<Change> {
    use Action::{Create, Forget, Remove, Restart, Restore, Run, Update, Verify};
    use Moved::{Both, Configuration, Host, Neither, New};
    let triggered = |by: &str| Reason::Triggered { by: id(by) };
    vec![
        Change {
            fields: vec![field("uid", None, Some("990")), field("shell", None, Some("/bin/sh"))],
            access: true,
            ..change("user:bot", Create, Reason::Missing, New)
        },
        Change {
            text: Some(TextChange::Text {
                before: "".into(),
                after: "limit = 524288\n".to_owned(),
            }),
            fields: vec![field("mode", None, Some("0644"))],
            origin: origin("modules/inotify.toml", 9),
            ..change("file:/etc/sysctl.d/60-inotify.conf", Create, Reason::Missing, New)
        },
        Change {
            text: Some(TextChange::Text {
                before: "a\nb\nc\nd\ne\nf\ng\nh\n".into(),
                after: "a\nb\nc\nd\nE\nf\ng\nh".to_owned(),
            }),
            fields: vec![
                field("mode", Some("0644"), Some("0600")),
                field("owner", Some("root"), Some("bot")),
            ],
            ..change("file:/etc/bot.toml", Update, Reason::Differs, Both)
        },
        Change {
            text: Some(TextChange::Hidden("sensitive".to_owned())),
            ..change("file:/etc/bot.key", Update, Reason::Differs, Host)
        },
        Change {
            fields: vec![field("value", Some("8192"), Some("524288"))],
            ..change(
                "sysctl:fs.inotify.max_user_watches",
                Update,
                Reason::Differs,
                Configuration,
            )
        },
        Change {
            fields: vec![field("status", Some("half-configured"), None)],
            ..change(
                "package:nginx",
                Update,
                Reason::HalfInstalled("half-configured".into()),
                Host,
            )
        },
        Change {
            origin: None,
            ..change("symlink:/etc/old", Remove, Reason::LeftConfiguration, Configuration)
        },
        Change {
            origin: None,
            reasons: vec![Reason::LeftConfiguration, Reason::WasThereBefore],
            ..change("file:/etc/motd", Restore, Reason::LeftConfiguration, Configuration)
        },
        change("group:old", Forget, Reason::LeftConfiguration, Configuration),
        change(
            "command:seed",
            Run,
            Reason::GuardOpen("/srv/seeded is absent".into()),
            New,
        ),
        change(
            "unit:nginx.service",
            Restart,
            triggered("file:/etc/nginx/nginx.conf"),
            Neither,
        ),
        Change {
            reasons: vec![
                triggered("file:/etc/bot.toml"),
                triggered("file:/etc/bot.key"),
                Reason::Unfinished,
            ],
            ..change("unit:bot.service", Restart, Reason::StartedWithOlder, Neither)
        },
        change("probe:health", Verify, Reason::VerifiesChanges, Neither),
        change(
            "probe:port",
            Verify,
            Reason::ProbeFails("connection refused".into()),
            Host,
        ),
    ]
}
