//! Hosts that are written out and read again, of all cases and of every key.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use provision_core::config::Sources;
use provision_core::model::{Desired, Origin};
use provision_core::resolve::resolve_all;

use super::flat;

type Files = BTreeMap<String, Vec<u8>>;

fn read(root: &Path, parts: &[&str]) -> Files {
    let mut files = Files::new();
    let mut open: Vec<_> = parts.iter().map(|part| root.join(part)).collect();
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                open.push(path);
            } else {
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

/// The same without the places where things are written, and without whose a port is: in one file all is the host's.
fn unplaced(mut host: Desired) -> Desired {
    for resource in host.resources.values_mut() {
        resource.origin = Origin {
            file: String::new(),
            line: 0,
            column: 0,
        };
    }
    for claim in &mut host.ports {
        claim.units.clear();
        claim.name.clear();
        claim.derived = false;
        claim.by.clear();
    }
    host.ports
        .sort_by_key(|claim| (claim.port, claim.tcp, claim.address.clone()));
    host.ports.dedup();
    host
}

/// Writes every host out, reads that again, and gives how many resources were compared.
fn read_again(config: Files, files: &Files) -> usize {
    let mut compared = 0;
    for (name, host) in resolve_all(&Sources { config, files }).hosts {
        let text = flat(&host);
        let blobs = host.blobs.iter();
        let files: Files = blobs
            .map(|(digest, blob)| (digest.to_string(), blob.bytes().to_vec()))
            .collect();
        let config = Files::from([(format!("hosts/{name}.toml"), text.clone().into_bytes())]);
        let mut again = resolve_all(&Sources { config, files: &files });
        let found: Vec<_> = again.diagnostics.iter().map(|finding| &finding.message).collect();
        let again = again.hosts.remove(&name).unwrap_or_else(|| panic!("{found:?}\n{text}"));
        compared += host.resources.len();
        let (again, host) = (unplaced(again), unplaced(host));
        for (id, resource) in &host.resources {
            assert_eq!(again.resources.get(id), Some(resource), "{text}");
        }
        assert_eq!(again, host, "{text}");
    }
    compared
}

#[test]
fn a_host_that_is_shown_and_read_again_is_the_same() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases = fs::read_dir(root.join("crates/core/tests/cases")).unwrap();
    let roots = cases.map(|case| case.unwrap().path()).chain([root.to_owned()]);
    let mut compared = 0;
    for root in roots {
        let local = read(&root.join("files"), &[""]);
        compared += read_again(read(&root, &["hosts", "groups", "modules"]), &local);
    }
    assert!(compared > 100, "only {compared} resources");
}

#[test]
fn texts_that_look_like_templates_or_toml_stay_as_they_are() {
    let hard = [
        "{% raw %}{{ x }} {%- y %} {# z #} {{{ } %} }}{% endraw %}",
        "a\\n\\\"\\\"\\\" \\\\ ''' \\u0007\\u007f\\nlast",
        "\\n\\n\\n",
        "one line\\n",
        "\\\"quoted\\\" lines\\nend in \\\"quotes\\\"\\n",
        "  indented\\n\\ttabbed \\\\\\nü\\n",
        "",
    ];
    let files: String = hard
        .iter()
        .enumerate()
        .map(|(number, text)| format!("[files.\"/f{number}\"]\ntext = \"{text}\"\n"))
        .collect();
    let odd = "[files.\"/{% raw %}{{name}}{% endraw %}\"]\ntext = \"x\"\nmode = \"0600\"\n\
               [commands.\"a.b\"]\nrun = [\"echo\", \"{% raw %}{%{% endraw %}\"]\nunless = [\"false\"]\nenv = { A_B = \"{% raw %}{{{% endraw %}\" }\n";
    let config = Files::from([("hosts/a.toml".to_owned(), (files + odd).into_bytes())]);
    let found = resolve_all(&Sources {
        config: config.clone(),
        files: &Files::new(),
    })
    .diagnostics;
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(read_again(config, &Files::new()), hard.len() + 2);
}

/// Each key that may stand in what is written, with a value that is not its default.
const EVERY_KEY: &str = r#"
forbid = ["OPENAI_API_KEY"]
[host]
address = "192.0.2.9"
secrets_directory = "/run/secrets"
secrets_after_reboot = "sealed"
[ports.query]
port = 5353
protocol = "udp"
address = "127.0.0.1"
[groups.bots]
gid = 990
on_removal = "keep"
[users.bot]
uid = 991
groups = ["bots"]
home = "/srv/bot"
shell = "/bin/sh"
comment = "A bot"
on_removal = "keep"
after = ["group:bots"]
[linger.bot]
on = true
after = ["directory:/srv/bot"]
on_removal = "keep"
[directories."/srv/bot"]
owner = "bot"
group = "bots"
mode = "0750"
on_removal = "keep"
[directories."/srv/data"]
after = ["user:bot"]
[symlinks."/srv/link"]
target = "/srv/data"
on_removal = "keep"
after = ["directory:/srv/data"]
[files."/etc/bot.conf"]
text = "a\n"
owner = "bot"
group = "bots"
mode = "0600"
seed = true
sensitive = true
validate = ["/bin/true", "{}"]
on_removal = "keep"
after = ["directory:/srv/data"]
[blocks."/etc/hosts#bot"]
text = "192.0.2.1 bot"
on_removal = "keep"
[packages]
jq = { version = "1.6-2.1", recommends = false, on_removal = "keep" }
nano = "absent"
nftables = "present"
[holds.jq]
on = true
on_removal = "keep"
[sysctl]
"vm.swappiness" = { value = 10, file = "/etc/sysctl.d/90-bot.conf" }
[system.hostname]
value = "friday"
on_removal = "keep"
[system.timezone]
value = "Europe/Berlin"
on_removal = "keep"
[kernel_modules.loop]
on = true
[mounts."/mnt/data"]
what = "/dev/vdb"
type = "ext4"
options = ["noatime"]
on_removal = "keep"
[firewall]
text = "chain input { type filter hook input priority 0; policy drop; tcp dport 22 accept }"
[swapfiles."/srv/data/swap"]
size = "1G"
priority = 10
after = ["user:bot"]
on_removal = "keep"
[archives."/opt/tool"]
url = "https://example.org/tool.tar.gz"
sha256 = "0000000000000000000000000000000000000000000000000000000000000001"
strip = 1
on_removal = "keep"
after = ["package:jq"]
[commands.once]
run = ["/bin/echo", "a"]
unless = ["/bin/false"]
cwd = "/srv/data"
user = "bot"
env = { A = "b" }
timeout = "3m"
after = ["file:/etc/bot.conf"]
[secrets.token]
aws = "bots/token"
stage = "AWSPREVIOUS"
region = "eu-west-1"
key = "token"
trim = true
owner = "bot"
group = "bots"
mode = "0440"
required = false
shared = true
units = ["bot.service"]
[units."bot.service"]
text = "[Service]\nExecStart=/bin/sleep infinity\n"
enabled = true
active = true
settle = "3s"
on_change = "reload"
after = ["file:/etc/bot.conf"]
restart_on = ["file:/etc/bot.conf"]
on_removal = "keep"
[units."old.service"]
masked = true
[units."bot/mine.service"]
text = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=default.target\n"
enabled = true
[probes.port]
tcp = "127.0.0.1:8080"
timeout = "9s"
interval = "2s"
threshold = 3
after = ["unit:bot.service"]
[probes.unit]
unit = "bot.service"
[probes.page]
http = "http://127.0.0.1:8080/ready"
status = 204
body = "ok"
"#;

#[test]
fn every_key_that_is_written_is_read_again() {
    let config = Files::from([("hosts/a.toml".to_owned(), EVERY_KEY.as_bytes().to_vec())]);
    let none = Files::new();
    let resolution = resolve_all(&Sources {
        config: config.clone(),
        files: &none,
    });
    let found: Vec<_> = resolution.diagnostics.iter().map(|finding| &finding.message).collect();
    assert!(!resolution.has_errors(), "{found:?}");
    assert!(read_again(config, &none) > 30);
}
