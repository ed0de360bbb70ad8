//! Hostile projects: mutations of all cases, made-up expressions, and the classic bombs. Nothing may panic, take longer
//! than a few seconds, or hold more than 256 MiB. `PROVISION_FUZZ_SECONDS` says how long to go on (two seconds each by
//! default), and `PROVISION_FUZZ_SEED` repeats a run.

#![cfg(feature = "language")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::print_stdout,
    reason = "the seed and the slow ones are for who reads the test's output"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use provision_core::config::{Sources, load, render, to_json};
use provision_core::resolve::{Resolution, resolve_all, why};

type Files = BTreeMap<String, Vec<u8>>;

/// The longest that one project may take. Unoptimised, on a busy machine, the worst takes a tenth of it.
const LONGEST: Duration = Duration::from_secs(30);

/// The most memory that all of this may take, in MiB.
const MOST_MEMORY: u64 = 256;

/// A small generator of numbers (xorshift64*), so that a seed repeats a run.
struct Random(u64);

impl Random {
    fn new(salt: u64) -> Self {
        let seed = std::env::var("PROVISION_FUZZ_SEED").map_or_else(
            |_| {
                let now = std::time::UNIX_EPOCH.elapsed().unwrap();
                now.as_secs() ^ u64::from(now.subsec_nanos())
            },
            |seed| seed.parse().unwrap(),
        );
        println!("PROVISION_FUZZ_SEED={seed}");
        Self((seed ^ salt) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % end.max(1)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

fn seconds() -> Duration {
    Duration::from_secs(std::env::var("PROVISION_FUZZ_SECONDS").map_or(2, |seconds| seconds.parse().unwrap()))
}

/// The most memory that this process has had, in MiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// Resolves, renders and asks why, and says how it went.
fn survive(config: &Files) -> Resolution {
    let start = Instant::now();
    let files = BTreeMap::from([("motd".to_owned(), b"{{ host.name }}".to_vec())]);
    let sources = Sources {
        config: config.clone(),
        files: &files,
    };
    let resolution = resolve_all(&sources);
    let text = render(&resolution.diagnostics, &resolution.sources, false, 100);
    assert_eq!(text.is_empty(), resolution.diagnostics.is_empty());
    drop(to_json(&resolution.diagnostics, &resolution.sources));
    let project = load(&sources.config);
    if let Some(host) = project.hosts.keys().next().cloned() {
        let answer = why(project, &sources, &host, "m.x");
        drop(answer.why);
    }
    let taken = start.elapsed();
    if taken > LONGEST || peak() > MOST_MEMORY {
        for (path, bytes) in config {
            let shown: String = String::from_utf8_lossy(bytes).chars().take(2000).collect();
            println!("--- {path}\n{shown}");
        }
        panic!("it took {taken:?} and {} MiB", peak());
    }
    if taken > LONGEST / 10 {
        println!("a project took {taken:?}");
    }
    resolution
}

/// Every case's files.
fn corpus() -> Vec<Files> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut projects: Vec<Files> = Vec::new();
    let mut roots: Vec<PathBuf> = fs::read_dir(cases)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    roots.sort();
    for root in roots {
        let mut files = Files::new();
        let mut open = vec![root.clone()];
        while let Some(next) = open.pop() {
            for entry in fs::read_dir(&next).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                if path.is_dir() {
                    open.push(path);
                } else if name.ends_with(".toml") && fs::metadata(&path).unwrap().len() < 16 * 1024 {
                    files.insert(name, fs::read(&path).unwrap());
                }
            }
        }
        projects.push(files);
    }
    projects
}

const WORDS: &[&str] = &[
    "{{ x }}",
    "{{ instance }}",
    "{{ item }}",
    "{% for a in x %}",
    "{% endfor %}",
    "each = \"hosts\"\n",
    "when = \"x\"\n",
    "9223372036854775807",
    "-1",
    "1e308",
    "\"\"",
    "[]",
    "{}",
    "true",
    "\"list of map of record\"",
    "\"record\"",
    "instances = true\n",
    "[set.m]\n",
    "[set.m.a]\n",
    "x = ",
    "default = ",
    "fields = ",
    "min = ",
    "pattern = \"(a*)*\"\n",
    "\"",
    "'''",
    "\u{0}",
    "\u{1F600}",
    "\\u0000",
    "[[",
    "]]",
    "\r\n",
];

/// One random change of one file; lines may come from any other case.
fn mutate(files: &mut Files, lines: &[&str], random: &mut Random) {
    let paths: Vec<String> = files.keys().cloned().collect();
    if paths.is_empty() {
        return;
    }
    let path = random.pick(&paths);
    let Some(bytes) = files.get_mut(path) else { return };
    let at = random.below(bytes.len() + 1);
    let boundary = bytes.get(..at).map_or(0, |before| {
        before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |line| line + 1)
    });
    match random.below(8) {
        0 => {
            let line = random.pick(lines).as_bytes().to_vec();
            bytes.splice(boundary..boundary, line);
        }
        1 => {
            let end = bytes[boundary..].iter().position(|byte| *byte == b'\n');
            let end = end.map_or(bytes.len(), |end| boundary + end + 1);
            bytes.drain(boundary..end);
        }
        2 => {
            let word = random.pick(WORDS).as_bytes().to_vec();
            bytes.splice(at..at, word);
        }
        3 => {
            let end = (at + random.below(12)).min(bytes.len());
            bytes.drain(at..end);
        }
        4 => {
            let end = (at + random.below(200)).min(bytes.len());
            let times = 1 + random.below(30);
            let chunk = bytes[at..end].repeat(times);
            bytes.splice(at..at, chunk);
        }
        5 if !bytes.is_empty() => {
            let byte = random.below(bytes.len());
            bytes[byte] = u8::try_from(random.below(256)).unwrap();
        }
        6 => bytes.truncate(at),
        _ => {
            let (path, bytes) = (random.pick(&paths).clone(), bytes.clone());
            files.insert(path, bytes);
        }
    }
}

#[test]
fn no_mutation_of_any_case_panics_or_runs_away() {
    let corpus = corpus();
    let texts: Vec<String> = corpus
        .iter()
        .flat_map(|files| files.values().map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
        .collect();
    let lines: Vec<&str> = texts.iter().flat_map(|text| text.split_inclusive('\n')).collect();
    let mut random = Random::new(1);
    let start = Instant::now();
    let mut runs = 0;
    while start.elapsed() < seconds() {
        let mut files = random.pick(&corpus).clone();
        for _ in 0..1 + random.below(8) {
            mutate(&mut files, &lines, &mut random);
        }
        survive(&files);
        runs += 1;
    }
    println!("{runs} projects, peak {} MiB", peak());
}

const TOKENS: &[&str] = &[
    "x",
    "list",
    "map",
    "host",
    "hosts",
    "item",
    "key",
    "instances",
    ".",
    ".name",
    "[0]",
    "[\"a\"]",
    "[x]",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "|",
    "| upper",
    "| join(sep=x)",
    "| replace(from=\"\", to=x)",
    "| indent(width=99)",
    "| unique",
    "| sort",
    "| default(value=list)",
    "| length",
    "| split(pat=\"\")",
    "| nth(n=1)",
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "**",
    "~",
    "==",
    "!=",
    "<",
    ">=",
    "and",
    "or",
    "not",
    "in",
    "is",
    "is defined",
    "is divisible_by(0)",
    "if",
    "else",
    "for a in",
    "range(end=999)",
    "range(end=x)",
    "range(start=9, end=1)",
    "0",
    "1",
    "-1",
    "1.5",
    "9223372036854775807",
    "99999999999999999999",
    "\"a\"",
    "''",
    "`b`",
    "true",
    "none",
    "{%",
    "%}",
    "{{",
    "}}",
    "{#",
    "#}",
    "{%-",
    "-%}",
    "set",
    "set_global",
    "raw",
    "endraw",
    "endfor",
    "endif",
    "elif",
    "break",
    "continue",
    "include",
    "macro",
    "\u{e9}",
    " ",
    "\\n",
];

#[test]
fn no_expression_panics_or_runs_away() {
    let mut random = Random::new(2);
    let start = Instant::now();
    let mut runs = 0;
    while start.elapsed() < seconds() {
        let mut made = |length: usize| {
            let tokens = (0..length).map(|_| *random.pick(TOKENS));
            tokens.collect::<Vec<_>>().join(" ")
        };
        let quoted = |text: &str| toml_text(text);
        let expression = made(8);
        let module = format!(
            "[options.x]\ntype = \"integer\"\ndefault = 3\n[options.list]\ntype = \"list\"\ndefault = [\"a\", \"b\"]\n\
             [options.map]\ntype = \"map\"\ndefault = {{ a = \"1\" }}\n[options.y]\ntype = \"string\"\ndefault = {}\n\
             [files.\"/a\"]\ntext = {}\n[files.\"/b\"]\ntext = {}\nwhen = {}\n[files.\"/c{{{{ key }}}}\"]\neach = {}\ntext = \"\"\n",
            quoted(&format!("{{{{ {} }}}}", made(4))),
            quoted(&made(24)),
            quoted(&format!(
                "{{% for a in {} %}}{{{{ {} }}}}{{% endfor %}}",
                made(3),
                made(3)
            )),
            quoted(&expression),
            quoted(&made(4)),
        );
        survive(&Files::from([
            ("hosts/a.toml".to_owned(), b"imports = [\"m\"]\n".to_vec()),
            ("modules/m.toml".to_owned(), module.into_bytes()),
        ]));
        runs += 1;
    }
    println!("{runs} modules, peak {} MiB", peak());
}

/// A text as TOML writes it.
fn toml_text(text: &str) -> String {
    format!(
        "\"{}\"",
        text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
    )
}

/// A host that imports one module.
fn module(text: &str) -> Files {
    Files::from([
        ("hosts/a.toml".to_owned(), b"imports = [\"m\"]\n".to_vec()),
        ("modules/m.toml".to_owned(), text.as_bytes().to_vec()),
    ])
}

/// Resolves a module that has to be refused.
fn refused(what: &str, text: &str) {
    let start = Instant::now();
    println!("{what}…");
    assert!(survive(&module(text)).has_errors(), "{what}");
    println!("{what}: {:?}, peak {} MiB", start.elapsed(), peak());
}

#[test]
fn the_classic_bombs_are_refused() {
    // A billion laughs: each option is twice the one before.
    let mut laughs = "[options.o0]\ntype = \"string\"\ndefault = \"ha\"\n".to_owned();
    for number in 1..45 {
        let before = number - 1;
        laughs +=
            &format!("[options.o{number}]\ntype = \"string\"\ndefault = \"{{{{ o{before} }}}}{{{{ o{before} }}}}\"\n");
    }
    refused("laughs", &laughs);
    // Many large results, none of them too large by itself.
    let wide = "[options.x]\ntype = \"string\"\ndefault = \"{{ range(end=150000) | join(sep=',') }}\"\n\
                [files.\"/etc/{{ item }}\"]\neach = \"range(end=9999)\"\ntext = \"{{ x }}{{ item }}\"\n";
    refused("wide", wide);
    // Many slow templates, none of them too slow by itself.
    let slow = "[files.\"/etc/{{ item }}\"]\neach = \"range(end=9999)\"\ntext = \"{% for a in range(end=90000) %}{% endfor %}\"\n";
    refused("slow", slow);
    // A large text for each of many.
    let text = "{{ item }}x".repeat(60_000);
    let long = format!("[files.\"/etc/{{{{ item }}}}\"]\neach = \"range(end=9999)\"\ntext = \"{text}\"\n");
    refused("long", &long);
    // More mistakes than anyone reads.
    let mistakes: String = (0..20_000).map(|number| format!("k{number} = 1\n")).collect();
    refused("mistakes", &mistakes);
    let many = format!("imports = [{}]\n", "1,".repeat(200_000));
    refused("many", &many);
    let names: String = (0..60_000).map(|number| format!("{{{{ n{number} }}}}")).collect();
    refused("names", &format!("[files.\"/a\"]\ntext = \"{names}\"\n"));
    // Records in records, deeper than any type may be.
    let nested = format!(
        "[options.x]\ntype = \"record\"\nfields.a = {}\n",
        "{ type = \"record\", fields.a = ".repeat(60)
    );
    refused("nested", &nested);
    // A pattern that backtracks for ever where patterns backtrack.
    let pattern = format!(
        "[options.x]\ntype = \"string\"\npattern = \"(a*)*b\"\ndefault = \"{}\"\n",
        "a".repeat(4000)
    );
    refused("pattern", &pattern);
}

#[test]
fn of_very_many_findings_the_first_are_told_and_the_rest_counted() {
    let mistakes: String = (0..500).map(|number| format!("k{number} = 1\n")).collect();
    let resolution = survive(&module(&mistakes));
    assert_eq!(resolution.diagnostics.len(), 101);
    let last = &resolution.diagnostics[100];
    assert_eq!(last.message, "`modules/m.toml` has 400 more findings");
    let place = last.primary.as_ref().unwrap().span;
    assert_eq!(resolution.sources.origin(place).line, 101);
}
