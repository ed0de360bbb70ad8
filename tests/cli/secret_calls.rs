//! How often a store is asked for the secrets of a whole fleet, counted by the store.

use std::collections::BTreeMap;

use provision::saved::{SavedPlan, write};
use provision_core::config::{LocalFileError, LocalFiles, Sources};
use provision_core::model::{
    Applier, Fact, HostFacts, HostText, Kind, Observed, Pins, SecretSource, SecretState, SecretVersion, State, pin,
    secret_items,
};
use provision_core::plan::plan;
use provision_core::resolve::resolve_all;

use crate::project::{Project, Ran, closed_port, ran};
use crate::stand_in::StandIn;

const REGION: &str = "eu-central-1";
const HOSTS: usize = 50;
const SECRETS: usize = 20;
/// What `BatchGetSecretValue` takes at once.
const AT_ONCE: usize = 20;

/// A project that has no local files.
struct NoFiles;

impl LocalFiles for NoFiles {
    fn read(&self, _: &str) -> Result<Vec<u8>, LocalFileError> {
        Err(LocalFileError::Missing)
    }

    fn paths(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Hosts that have the same secrets, none of which can be reached; and the secrets' versions by their names in AWS.
fn fleet(aws: &StandIn) -> (Project, BTreeMap<String, String>) {
    let project = Project::new();
    let endpoint = aws.control.endpoint();
    project.write(
        "secrets/stores.toml",
        &format!("[aws]\nregion = \"{REGION}\"\nendpoint = \"{endpoint}\"\n"),
    );
    let mut body =
        "[units.\"bot.service\"]\nactive = true\ntext = \"[Service]\\nExecStart=/bin/sleep infinity\\n\"\n".to_owned();
    let mut versions = BTreeMap::new();
    for number in 0..SECRETS {
        let id = format!("bots/s{number:02}");
        body += &format!("[secrets.s{number:02}]\naws = \"{id}\"\nshared = true\nunits = [\"bot.service\"]\n");
        let version = aws
            .control
            .put(REGION, &id, "SecretString", &format!("canary-{number}"));
        versions.insert(id, version);
    }
    let port = closed_port();
    for number in 0..HOSTS {
        let host = format!("[host]\naddress = \"127.0.0.1\"\nport = {port}\n{body}");
        project.write(&format!("hosts/bot-{number:02}.toml"), &host);
    }
    (project, versions)
}

/// The program as somebody with credentials runs it, and the calls that it makes.
fn counted(project: &Project, aws: &StandIn, args: &[&str], code: i32) -> (Ran, BTreeMap<String, usize>) {
    let before = aws.control.calls().len();
    let mut command = project.command(args);
    command
        .envs([("AWS_ACCESS_KEY_ID", "OPERATOR"), ("AWS_SECRET_ACCESS_KEY", "x")])
        .env("AWS_EC2_METADATA_DISABLED", "true");
    let ran = ran(command.output().unwrap()).expect(code);
    let mut counts = BTreeMap::new();
    for (operation, _) in aws.control.calls().split_off(before) {
        *counts.entry(operation).or_default() += 1;
    }
    (ran, counts)
}

/// The plans of hosts that have none of their secrets yet.
fn plans(project: &Project, versions: &BTreeMap<String, String>) -> Vec<SavedPlan> {
    let sources = Sources {
        config: provision::load::config(project.path()).unwrap(),
        files: &NoFiles,
    };
    let resolution = resolve_all(&sources);
    assert!(!resolution.has_errors(), "{:?}", resolution.diagnostics);
    let text = || HostText::from("x");
    let by = Applier {
        who: "ada@desk".to_owned(),
        commit: None,
        version: "0.1.0".to_owned(),
        rollback_to: None,
    };
    let saved = resolution.hosts.into_values().map(|mut desired| {
        desired.resources.retain(|id, _| id.kind == Kind::Secret);
        let specs = desired.resources.values().map(|resource| &resource.spec);
        let version = |source: &SecretSource| match source {
            SecretSource::Aws { id, .. } => Fact::Known(Some(SecretVersion(versions[id].clone()))),
            other => panic!("{other:?} is not in AWS"),
        };
        let pins: Pins = secret_items(specs)
            .into_iter()
            .map(|item| (item.clone(), version(&item.source)))
            .collect();
        pin(&mut desired, &pins);
        let gone = || Fact::Known(State::Secret(SecretState::Absent { nothing_mounted: false }));
        let observed = Observed {
            facts: HostFacts {
                machine_id: HostText::new(desired.host.as_str()),
                boot_id: text(),
                hostname: text(),
                os: text(),
                os_version: text(),
                arch: text(),
                kernel: text(),
            },
            receipt: Fact::Known(None),
            last_run: None,
            lock: None,
            resources: desired.resources.keys().map(|id| (id.clone(), gone())).collect(),
        };
        SavedPlan {
            connection: desired.connection.clone(),
            plan: plan(&desired, &observed, &by),
        }
    });
    saved.collect()
}

#[test]
fn fifty_hosts_with_twenty_secrets_cost_no_value_to_plan_and_one_call_for_values_to_apply() {
    let aws = StandIn::start();
    let (project, versions) = fleet(&aws);

    // Each version once for all hosts, and no value.
    let (planned, calls) = counted(&project, &aws, &["plan"], 4);
    assert_eq!(
        calls,
        BTreeMap::from([("DescribeSecret".to_owned(), SECRETS)]),
        "{}",
        planned.stdout
    );

    let plans = plans(&project, &versions);
    assert_eq!(plans.len(), HOSTS);
    for saved in &plans {
        assert_eq!(saved.plan.changes.len(), SECRETS, "{:#?}", saved.plan);
    }
    write(&project.path().join("a.plan"), &plans).unwrap();
    let (applied, calls) = counted(&project, &aws, &["apply", "a.plan", "--yes"], 4);
    let batches = SECRETS.div_ceil(AT_ONCE);
    assert_eq!(
        calls,
        BTreeMap::from([("BatchGetSecretValue".to_owned(), batches)]),
        "{}",
        applied.stdout
    );
    assert_eq!(
        applied.stdout.matches("  unreachable").count(),
        HOSTS,
        "{}",
        applied.stdout
    );
    for ran in [&planned, &applied] {
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("canary"));
    }
}
