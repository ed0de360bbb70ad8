//! Hostile projects: mutations of all cases and modules, made-up expressions, and the classic bombs. None may panic, hang, or
//! hold more than 256 MiB. `PROVISION_FUZZ_SECONDS` says how long each of the two generators goes on (two seconds by default),
//! and `PROVISION_FUZZ_SEED` repeats a run. The fuzzers of `scripts/fuzz` follow coverage, and look further.

#![cfg(feature = "language")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::print_stdout,
    reason = "the seed and the slow ones are for who reads the test's output"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once};
use std::thread;
use std::time::{Duration, Instant};

use provision_core::resolve::Resolution;

#[expect(
    unreachable_pub,
    reason = "it is shared with the fuzzers, in whose crate it is public"
)]
#[path = "../fuzz/src/survive.rs"]
mod survive;

use survive::Files;

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
        SEED.lock().unwrap().clone_from(&seed.to_string());
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

/// What each thread is trying, and since when.
static TRIED: Mutex<BTreeMap<String, (Instant, Files)>> = Mutex::new(BTreeMap::new());

/// The seed of the last generator that began.
static SEED: Mutex<String> = Mutex::new(String::new());

/// Ends this process as soon as a project hangs or too much memory is held, and says which projects were tried then. A
/// measurement afterwards would never come.
fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = thread::spawn(|| {
            loop {
                thread::sleep(Duration::from_millis(20));
                let tried = TRIED.lock().unwrap();
                let hangs = tried.values().any(|(since, _)| since.elapsed() > LONGEST);
                if hangs || peak() > MOST_MEMORY {
                    abort(&tried);
                }
            }
        });
    });
}

fn abort(tried: &BTreeMap<String, (Instant, Files)>) -> ! {
    let seed = SEED.lock().unwrap();
    let mut told = format!("{} MiB, of at most {MOST_MEMORY}; PROVISION_FUZZ_SEED={seed}\n", peak());
    for (test, (since, config)) in tried {
        writeln!(told, "{test} has tried this for {:?}:", since.elapsed()).unwrap();
        for (path, bytes) in config {
            let shown: String = String::from_utf8_lossy(bytes).chars().take(2000).collect();
            writeln!(told, "--- {path}\n{shown}").unwrap();
        }
    }
    // Past the capture of a test's output, which nobody would ever see.
    std::io::stderr().write_all(told.as_bytes()).unwrap();
    std::process::abort();
}

/// Resolves, renders and asks why, under the eye of [`watch`].
fn survive(config: &Files) -> Resolution {
    watch();
    let start = Instant::now();
    let test = thread::current().name().unwrap_or_default().to_owned();
    TRIED.lock().unwrap().insert(test.clone(), (start, config.clone()));
    let resolution = survive::survive(config);
    TRIED.lock().unwrap().remove(&test);
    assert!(peak() <= MOST_MEMORY, "{} MiB were held", peak());
    let taken = start.elapsed();
    if taken > LONGEST / 10 {
        println!("a project took {taken:?}");
    }
    resolution
}

/// The files of every case, and of this repository's own project.
fn corpus() -> Vec<Files> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut projects: Vec<Files> = Vec::new();
    let mut roots: Vec<PathBuf> = fs::read_dir(package.join("tests/cases"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    roots.push(package.join("../.."));
    roots.sort();
    for root in roots {
        let mut files = Files::new();
        let parts = ["hosts", "groups", "modules"].map(|part| root.join(part));
        let mut open: Vec<PathBuf> = parts.into_iter().filter(|part| part.is_dir()).collect();
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

/// Resolves a project that has to be refused with this code.
fn refused_with(code: &str, files: &[(&str, String)]) {
    let files = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), text.clone().into_bytes()));
    let resolution = survive(&files.collect());
    let codes: Vec<_> = resolution.diagnostics.iter().map(|found| found.code.id()).collect();
    assert!(resolution.has_errors() && codes.contains(&code), "{code}: {codes:?}");
}

#[test]
fn circles_of_every_kind_end_however_long() {
    for length in [1, 2, 2000] {
        let next = |index: usize| (index + 1) % length;
        let every = |one: &dyn Fn(usize) -> String| (0..length).map(one).collect::<String>();
        let host = ("hosts/a.toml", "imports = [\"m\"]\n".to_owned());

        let options = every(&|index| {
            format!(
                "[options.o{index}]\ntype = \"string\"\ndefault = \"{{{{ o{} }}}}\"\n",
                next(index)
            )
        });
        refused_with("E0307", &[host.clone(), ("modules/m.toml", options)]);

        let resources = every(&|index| {
            let next = next(index);
            format!("[files.\"/f{index}\"]\ntext = \"\"\nafter = [\"file:/f{next}\"]\n")
        });
        refused_with("E0506", &[("hosts/a.toml", resources)]);

        let paths: Vec<_> = (0..length).map(|index| format!("modules/m{index}.toml")).collect();
        let mut modules = vec![("hosts/a.toml", "imports = [\"m0\"]\n".to_owned())];
        for (index, path) in paths.iter().enumerate() {
            modules.push((path, format!("imports = [\"m{}\"]\n", next(index))));
        }
        refused_with("E0202", &modules);

        // Instances that make instances, whose names grow for ever.
        let mut modules = vec![("hosts/a.toml", "imports = [\"m0\"]\n[set.m0.x]\n".to_owned())];
        for (index, path) in paths.iter().enumerate().take(40) {
            let next = next(index).min(39) % length.min(40);
            let text = format!("instances = true\n[set.m{next}.\"{{{{ instance }}}}x\"]\n");
            modules.push((path, text));
        }
        let imports: Vec<_> = (0..length.min(40)).map(|index| format!("m{index}")).collect();
        modules[0].1 = format!("imports = {imports:?}\n[set.m0.x]\n");
        let files = modules
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.clone().into_bytes()));
        assert!(survive(&files.collect()).has_errors(), "instances of {length} modules");
    }
}

#[test]
fn numbers_beyond_all_bounds_are_findings() {
    let types = ["integer", "float", "port", "duration", "size"];
    let numbers = [
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "1e308",
        "1e309",
        "-inf",
        "nan",
        "0x7fffffffffffffff",
        "\"9223372036854775807\"",
        "\"99999999999999999999999999999999999999T\"",
        "\"9007199254740993d\"",
        "\"{{ 9223372036854775807 + 1 }}\"",
        "\"{{ 9223372036854775807 * 9223372036854775807 }}\"",
        "\"{{ 2 ** 9999 }}\"",
        "\"{{ 1 / 0 }}\"",
        "\"{{ 1 // 0 }}\"",
        "\"{{ 1 % 0 }}\"",
        "\"{{ range(end=9223372036854775807) | length }}\"",
    ];
    let mut refused = 0;
    for ty in types {
        for number in numbers {
            for key in ["default", "min", "max", "one_of"] {
                let value = if key == "one_of" {
                    format!("[{number}]")
                } else {
                    number.to_owned()
                };
                let option = format!("[options.x]\ntype = \"{ty}\"\n{key} = {value}\n");
                let uses = "[users.u]\nuid = \"{{ x }}\"\n[files.\"/x\"]\ntext = \"{{ x + 1 }}\"\n";
                refused += usize::from(survive(&module(&(option + uses))).has_errors());
            }
            let places = format!(
                "[users.u]\nuid = {number}\n[groups.g]\ngid = {number}\n[ports]\np = {number}\n[sysctl]\n\"vm.x\" = {number}\n\
                 [probes.p]\ntcp = \"127.0.0.1:1\"\ntimeout = {number}\nthreshold = {number}\n[files.\"/x\"]\ntext = \"\"\nmode = {number}\n"
            );
            refused += usize::from(survive(&module(&places)).has_errors());
        }
    }
    // Most cannot be taken; a few can, where they are a number like any other.
    assert!(refused > types.len() * numbers.len() * 4, "only {refused}");
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
