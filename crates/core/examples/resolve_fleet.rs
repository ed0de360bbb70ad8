//! How long resolving takes: 30 modules, 100 resources a host, and 10, 100, 1,000 and (with `--all`) 10,000 hosts.
//! Prints a table; `cargo run --release -p provision-core --example resolve_fleet`.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a measurement that a person starts and reads"
)]

use std::collections::BTreeMap;
use std::time::Instant;

use provision_core::config::{Sources, load};
use provision_core::resolve::resolve_all;

const MODULES: usize = 30;

/// Three resources, two of them with templates, and an option.
fn module(index: usize) -> String {
    format!(
        "description = \"Module {index}.\"\n\
         [options.level]\ntype = \"integer\"\ndefault = {index}\nmin = 0\n\
         [options.name]\ntype = \"string\"\ndefault = \"service-{{{{ level }}}}\"\n\
         [files.\"/etc/module{index}/main.conf\"]\n\
         text = \"name = {{{{ name }}}}\\nlevel = {{{{ level }}}}\\nhost = {{{{ host.name }}}}\\n\"\n\
         [directories.\"/etc/module{index}\"]\n\
         [units.\"module{index}.service\"]\nenabled = true\nactive = true\n\
         text = \"[Service]\\nExecStart=/usr/bin/module{index} --config=/etc/module{index}/main.conf\\n\"\n"
    )
}

fn host(index: usize) -> String {
    let imports: Vec<_> = (0..MODULES).map(|module| format!("\"m{module}\"")).collect();
    let imports = imports.join(", ");
    format!(
        "imports = [{imports}]\n[host]\naddress = \"10.{}.{}.{}\"\ntags = [\"all\"]\n\
         [set.m0]\nlevel = {index}\n[set.m1]\nname = \"{{{{ host.name }}}}-x\"\n\
         [files.\"/etc/motd\"]\ntext = \"{{{{ host.name }}}} number {index}\\n\"\n\
         [packages]\ncurl = \"present\"\njq = \"present\"\nvim = \"absent\"\n\
         [sysctl]\n\"vm.swappiness\" = 10\n\"fs.file-max\" = {index}\n\
         [users.bot]\nsystem = true\n",
        index >> 16 & 255,
        index >> 8 & 255,
        index & 255
    )
}

fn main() {
    println!(
        "{:>7} {:>10} {:>10} {:>12} {:>14}",
        "hosts", "load", "in all", "per host", "peak memory"
    );
    let counts = if std::env::args().any(|word| word == "--all") {
        &[1, 10, 100, 1000, 10_000][..]
    } else {
        &[1, 10, 100, 1000]
    };
    for count in counts {
        let mut config = BTreeMap::new();
        for index in 0..MODULES {
            config.insert(format!("modules/m{index}.toml"), module(index).into_bytes());
        }
        for index in 0..*count {
            config.insert(format!("hosts/h{index}.toml"), host(index).into_bytes());
        }
        let none = BTreeMap::new();
        let start = Instant::now();
        let project = load(&config);
        let loaded = start.elapsed();
        drop(project);
        let start = Instant::now();
        let resolution = resolve_all(&Sources { config, files: &none });
        let elapsed = start.elapsed();
        let resources: usize = resolution.hosts.values().map(|host| host.resources.len()).sum();
        assert_eq!(resolution.hosts.len(), *count, "{:?}", resolution.diagnostics.first());
        println!(
            "{count:>7} {:>8.1}ms {:>8.1}ms {:>9.0} µs {:>11} MiB   ({resources} resources)",
            loaded.as_secs_f64() * 1000.0,
            elapsed.as_secs_f64() * 1000.0,
            elapsed.as_secs_f64() * 1e6 / f64::from(u32::try_from(*count).expect("a small number")),
            peak_memory() / 1024,
        );
    }
}

/// The most memory this process has had, in KiB (Linux).
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
