//! How long resolving takes, and how much memory, for 10 to 10,000 hosts of 100 resources with 30 modules. It is run by
//! hand: `cargo test --release -p provision-core --test scale -- --ignored --nocapture`.

#![cfg(feature = "language")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use provision_core::config::Sources;
use provision_core::resolve::resolve_all;

const MODULES: usize = 30;

/// Modules of three resources each, a third of them with two instances per host, and ten resources of the host's own.
fn project(hosts: usize) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for number in 0..MODULES {
        let instanced = number % 6 == 0;
        let each = if instanced { "{{ instance }}-" } else { "" };
        let module = format!(
            "description = \"Module {number}.\"\ninstances = {instanced}\n\
             [options.port]\ntype = \"port\"\ndefault = {}\n\
             [options.title]\ntype = \"string\"\ndefault = \"title {{{{ port }}}} of {{{{ host.name }}}}\"\n\
             [options.names]\ntype = \"list\"\ndefault = [\"a\", \"b\"]\n\
             [files.\"/etc/app/{each}{number}.conf\"]\n\
             text = \"title={{{{ title }}}}\\n{{% for name in names %}}name={{{{ name }}}}\\n{{% endfor %}}\"\n\
             [sysctl]\n\"net.ipv4.neigh.default.gc_thresh{number}\" = 1024\n\
             [packages.app{number}]\nversion = \"present\"\n",
            10_000 + number
        );
        files.insert(format!("modules/m{number}.toml"), module.into_bytes());
    }
    let imports: Vec<_> = (0..MODULES).map(|number| format!("m{number}")).collect();
    let group = "[set.m1]\nnames = [\"group\"]\n[files.\"/etc/motd\"]\ntext = \"{{ host.name }}\\n\"\n";
    files.insert("groups/fleet.toml".to_owned(), group.as_bytes().to_vec());
    for number in 0..hosts {
        let mut host = format!("imports = {imports:?}\n[host]\naddress = \"192.0.2.1\"\ntags = [\"fleet\"]\n");
        for module in (0..MODULES).step_by(6) {
            write!(
                host,
                "[set.m{module}.one]\n[set.m{module}.two]\nport = {}\n",
                20_000 + module
            )
            .unwrap();
        }
        for own in 0..3 {
            write!(host, "[files.\"/etc/own/{own}\"]\ntext = \"{own} of {number}\\n\"\n").unwrap();
        }
        files.insert(format!("hosts/h{number}.toml"), host.into_bytes());
    }
    files
}

/// The most memory that this process has had, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
#[ignore = "a measurement"]
fn resolving_grows_with_the_hosts_and_not_faster() {
    let most = std::env::var("PROVISION_SCALE").map_or(1000, |most| most.parse().unwrap());
    let mut per_host = Vec::new();
    for hosts in [1, 10, 100, 1000, 10_000].into_iter().filter(|hosts| *hosts <= most) {
        let config = project(hosts);
        let none = BTreeMap::new();
        let start = Instant::now();
        let resolution = resolve_all(&Sources { config, files: &none });
        let taken = start.elapsed();
        assert!(!resolution.has_errors());
        let resources: usize = resolution.hosts.values().map(|host| host.resources.len()).sum();
        println!(
            "{hosts:>6} hosts, {} resources each: {:>8.1} ms, peak {} MiB",
            resources / hosts,
            taken.as_secs_f64() * 1000.0,
            peak()
        );
        per_host.push(taken.as_secs_f64() / f64::from(u32::try_from(hosts).unwrap()));
    }
    // One host alone pays for reading the modules; from ten on the cost of each may not grow.
    let (ten, last) = (per_host[1], per_host[per_host.len() - 1]);
    assert!(last < ten * 1.5, "{per_host:?}");
}
