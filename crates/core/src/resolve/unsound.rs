//! What is read without an error and does not do what it seems to: watchdogs that nothing feeds, processes ended by name,
//! limits that a program does not know. It judges texts; what a host does with them is not known here.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex_lite::Regex;
use serde_json::Value;

use crate::config::{Code, Diagnostic, Span, shown};
use crate::model::{Guard, Kind, ResourceId, Spec, UnitName};

use super::declared::{Declarations, Declared};
use super::unit_text::{Named, named};
use super::user_units::unit_of;

/// Reports all of it.
pub(super) fn find(declarations: &Declarations, found: &mut Vec<Diagnostic>) {
    let services = services(declarations);
    for service in &services {
        watchdog(service, found);
        heap(service, found);
        bound(service, declarations, found);
    }
    supervisors(&services, declarations, found);
    for (what, span, program) in programs(&services, declarations) {
        ends_by_name(&what, span, &program, found);
        removes_locks(&what, span, &program, found);
    }
    for declared in declarations.resources.values() {
        weak_secrets(declared, declarations, found);
        never_read(declared, found);
    }
}

/// A service that the host declares: what its own text and its drop-ins say together.
struct Service {
    name: String,
    span: Span,
    says: Named,
}

fn services(declarations: &Declarations) -> Vec<Service> {
    let mut services: BTreeMap<UnitName, Service> = BTreeMap::new();
    for (id, declared) in &declarations.resources {
        let Spec::File(file) = &declared.spec else { continue };
        let unit = unit_of(&id.name, declarations);
        let Some(unit) = unit.filter(|unit| unit.unit().ends_with(".service")) else {
            continue;
        };
        let Some(text) = declarations.text(&file.content) else {
            continue;
        };
        let says = named(text);
        let service = services.entry(unit.clone()).or_insert_with(|| Service {
            name: unit.to_string(),
            span: declared.span,
            says: Named::default(),
        });
        let old = &mut service.says;
        old.commands.extend(says.commands);
        old.environment.extend(says.environment);
        old.bound.extend(says.bound);
        old.watchdog |= says.watchdog;
        old.service_type = says.service_type.or(old.service_type.take());
        old.notifies = says.notifies.or(old.notifies);
        old.memory_max = says.memory_max.or(old.memory_max);
        old.users.extend(says.users);
        old.users.extend(unit.user().map(str::to_owned));
    }
    services.into_values().collect()
}

fn watchdog(service: &Service, found: &mut Vec<Diagnostic>) {
    let kind = service.says.service_type.as_deref().unwrap_or("simple");
    let feeds = kind.starts_with("notify") || service.says.notifies == Some(true);
    if !service.says.watchdog || feeds {
        return;
    }
    let message = format!("`{}` has WatchdogSec=, and nothing that feeds it", service.name);
    found.push(
        Diagnostic::error(Code::FeedsNoWatchdog, message, service.span, format!("it is of Type={kind}"))
            .because("systemd kills it each time the interval is over, however well it is: only a program that calls sd_notify, which says Type=notify, is not")
            .help("remove WatchdogSec=, and ask over HTTP whether it answers: the module `watchdog` does"),
    );
}

/// The heap that Node.js is allowed, in bytes.
fn heap_limit(says: &Named) -> Option<u64> {
    let texts = says
        .environment
        .iter()
        .chain(says.commands.iter().map(|(_, command)| command));
    let mut limits = texts.filter_map(|text| {
        let (_, rest) = text
            .split_once("--max-old-space-size=")
            .or_else(|| text.split_once("--max_old_space_size="))?;
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .map_or(rest, |end| rest.get(..end).unwrap_or(""));
        digits.parse::<u64>().ok()?.checked_mul(1 << 20)
    });
    limits.next_back()
}

fn heap(service: &Service, found: &mut Vec<Diagnostic>) {
    let Some(most) = service.says.memory_max else { return };
    let runs_node = service.says.commands.iter().any(|(key, command)| {
        let mut words = command.split_whitespace();
        let program = words
            .next()
            .unwrap_or("")
            .trim_start_matches(['@', ':', '+', '!', '|', '-']);
        let script = program.ends_with(".js") || program.ends_with(".mjs");
        key == "ExecStart" && (script || program.ends_with("/node") || program.ends_with("/nodejs"))
    });
    if !runs_node {
        return;
    }
    let mib = |bytes: u64| bytes >> 20;
    let fitting = mib(most) * 3 / 4;
    let message = match heap_limit(&service.says) {
        None => format!(
            "`{}` may use {} MiB, and Node.js does not know that",
            service.name,
            mib(most)
        ),
        Some(heap) if heap.saturating_mul(4) > most.saturating_mul(3) => format!(
            "`{}` may use {} MiB, and Node.js {} MiB of that for its heap alone, more than three quarters",
            service.name,
            mib(most),
            mib(heap)
        ),
        Some(_) => return,
    };
    found.push(
        Diagnostic::error(Code::HeapLimit, message, service.span, "its MemoryMax= is in here")
            .because("the kernel would kill it before it cleans up, again and again")
            .help(format!(
                "write Environment=NODE_OPTIONS=--max-old-space-size={fitting}, or less, or raise MemoryMax="
            )),
    );
}

/// Files that are bound into a service one by one: a new version of such a file never gets there.
fn bound(service: &Service, declarations: &Declarations, found: &mut Vec<Diagnostic>) {
    let mut sources = service.says.bound.clone();
    for (_, command) in &service.says.commands {
        let words: Vec<_> = command.split_whitespace().collect();
        for pair in words.windows(2) {
            if let [flag, value] = pair
                && matches!(*flag, "-v" | "--volume")
            {
                sources.extend(value.split(':').next().map(str::to_owned));
            }
        }
        let joined = words.iter().filter_map(|word| word.strip_prefix("--volume="));
        sources.extend(joined.filter_map(|value| value.split(':').next()).map(str::to_owned));
    }
    for source in sources {
        let Some(file) = declarations
            .resources
            .get(&ResourceId::new(Kind::File, source.as_str()))
        else {
            continue;
        };
        let directory = source.rsplit_once('/').map_or("/", |(directory, _)| directory);
        let message = format!("`{}` has the single file `{source}` bound into it", service.name);
        found.push(
            Diagnostic::error(Code::BoundFile, message, service.span, "bound here")
                .also(file.span, "the file is replaced here, by another under its name")
                .because(
                    "the binding stays with the old file: what is written, or edited by most editors, never gets there",
                )
                .help(format!("bind its directory instead: {directory}")),
        );
    }
}

/// The command of a service, without what says how it is run.
fn command_of(service: &Service) -> Option<Vec<String>> {
    let (_, command) = service.says.commands.iter().rfind(|(key, _)| key == "ExecStart")?;
    let command = command.trim_start_matches(['@', ':', '+', '!', '|', '-']);
    Some(command.split_whitespace().map(str::to_owned).collect())
}

/// Fewer words than this are no program that could only be there once, such as `sleep infinity`.
const WORDS: usize = 3;

fn supervisors(services: &[Service], declarations: &Declarations, found: &mut Vec<Diagnostic>) {
    let mut starters: Vec<(String, Span, Vec<String>, Option<&Service>)> = Vec::new();
    for service in services {
        let oneshot = service.says.service_type.as_deref() == Some("oneshot");
        if let Some(command) = command_of(service).filter(|_| !oneshot && !service.name.contains('@')) {
            starters.push((service.name.clone(), service.span, command, Some(service)));
        }
    }
    for (id, declared) in &declarations.resources {
        for command in of_ecosystem(declared, declarations) {
            starters.push((format!("PM2, by {}", id.name), declared.span, command, None));
        }
    }
    for (index, (name, span, command, service)) in starters.iter().enumerate() {
        let same = |other: &&(String, Span, Vec<String>, Option<&Service>)| {
            let alike = match (service, other.3) {
                // Two services with variables or users of their own may be two of a kind.
                (Some(one), Some(two)) => {
                    one.says.environment == two.says.environment && one.says.users == two.says.users
                }
                _ => true,
            };
            command.len() >= WORDS && other.2 == *command && alike
        };
        let Some((other, before, ..)) = starters.iter().take(index).find(same) else {
            continue;
        };
        let message = format!("one program has two supervisors: {other}, and {name}");
        found.push(
            Diagnostic::error(Code::TwoSupervisors, message, *span, "started here")
                .also(*before, "and here")
                .because("there would be two processes on one state and one port, of which one fails and is started again and again")
                .help("remove one of the two"),
        );
    }
}

/// The commands of an ecosystem file of PM2.
fn of_ecosystem(declared: &Declared, declarations: &Declarations) -> Vec<Vec<String>> {
    let Spec::File(file) = &declared.spec else {
        return Vec::new();
    };
    if !file.path.as_str().ends_with(".json") {
        return Vec::new();
    }
    let text = declarations
        .text(&file.content)
        .filter(|text| text.contains("\"apps\""));
    let json: Option<Value> = text.and_then(|text| serde_json::from_str(text).ok());
    let apps = json.as_ref().and_then(|json| json.get("apps")?.as_array());
    let words = |value: &Value| match value {
        Value::String(text) => text.split_whitespace().map(str::to_owned).collect(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let command = |app: &Value| {
        let script = app.get("script")?.as_str()?.to_owned();
        let interpreter = app
            .get("interpreter")
            .and_then(Value::as_str)
            .filter(|name| *name != "none");
        let args = app.get("args").map(words).unwrap_or_default();
        Some(
            interpreter
                .map(str::to_owned)
                .into_iter()
                .chain([script])
                .chain(args)
                .collect(),
        )
    };
    apps.into_iter().flatten().filter_map(command).collect()
}

/// The longest text that is searched as a program.
const LONGEST: usize = 256 * 1024;

/// What runs on the host and is written here: the commands of services, commands, and scripts.
fn programs(services: &[Service], declarations: &Declarations) -> Vec<(String, Span, String)> {
    let mut programs = Vec::new();
    for service in services {
        for (key, command) in &service.says.commands {
            programs.push((format!("{key}= of `{}`", service.name), service.span, command.clone()));
        }
    }
    for (id, declared) in &declarations.resources {
        match &declared.spec {
            Spec::Command(command) => {
                programs.push((format!("`{id}`"), declared.span, command.run.join(" ")));
                if let Guard::Unless(guard) = &command.guard {
                    programs.push((format!("the guard of `{id}`"), declared.span, guard.join(" ")));
                }
            }
            Spec::File(file) => {
                let text = declarations.text(&file.content);
                if let Some(text) = text.filter(|text| text.starts_with("#!") && text.len() <= LONGEST) {
                    programs.push((format!("`{id}`"), declared.span, without_comments(text)));
                }
            }
            _ => {}
        }
    }
    programs
}

fn without_comments(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}

/// The line of a program that has a place in it, for a message.
fn line_at(program: &str, at: usize) -> String {
    let before = program.get(..at).unwrap_or("");
    let line = program.lines().nth(before.matches('\n').count()).unwrap_or("").trim();
    shown(line)
}

/// A pattern, read once.
type Pattern = LazyLock<Option<Regex>>;

/// A call by name: at the beginning of a command, in a line, behind what strings commands together, or below /bin.
static BY_NAME: Pattern =
    LazyLock::new(|| Regex::new(r#"(?m)(?:^|[;&|(\s"'`@:+!-]|/)(killall|pkill)(?:[\s"']|$)"#).ok());

/// A removal of lock files by pattern, or of those that a gateway makes.
static REMOVAL: Pattern = LazyLock::new(|| {
    Regex::new(r#"(?m)(?:^|[;&|(\s"'`@:+!-]|/)rm\s[^;&|\n]*(?:\*[^\s;&|]*\.lock|\.(?:clawdbot|openclaw|moltbot)/[^\s;&|]*\.lock|gateway[^\s;&|]*\.lock)"#).ok()
});

/// Values that stand in examples, and that whoever finds an open port tries first.
static WEAK: Pattern = LazyLock::new(|| {
    Regex::new(r#"(?i)(?:token|password|passwd|secret|api[_-]?key|apikey)["']?\s*[:=]\s*["']?(change[-_]?me|dummy|clawdinator-local|password|passw0rd|secret|123456\d*|admin|letmein|replace[-_]?me|your[-_](?:token|password|secret|key|api[-_]key)(?:[-_]here)?)(?:["',;}\s]|$)"#).ok()
});

/// What somebody takes for a gateway's configuration.
static OTHER_CONFIG: Pattern =
    LazyLock::new(|| Regex::new(r"/\.(clawdbot|openclaw|moltbot)(?:-[^/]+)?/config\.(?:ya?ml|toml|json5?)$").ok());

fn matched<'a>(pattern: &Pattern, text: &'a str) -> Option<regex_lite::Captures<'a>> {
    pattern.as_ref()?.captures(text)
}

fn ends_by_name(what: &str, span: Span, program: &str, found: &mut Vec<Diagnostic>) {
    if !program.contains("kill") {
        return;
    }
    let Some(captures) = matched(&BY_NAME, program) else {
        return;
    };
    let Some(word) = captures.get(1) else { return };
    let message = format!(
        "{what} ends processes by their name: {}",
        line_at(program, word.start())
    );
    found.push(
        Diagnostic::error(Code::KillsByName, message, span, format!("`{}` is in here", word.as_str()))
            .because("whatever has that name is ended, of any user, and what calls itself otherwise is not: a gateway's process is no `moltbot`, but `openclaw-gateway`")
            .help("name the unit: systemctl restart UNIT, or systemctl kill --signal=KILL UNIT for one that hangs"),
    );
}

fn removes_locks(what: &str, span: Span, program: &str, found: &mut Vec<Diagnostic>) {
    if !program.contains(".lock") {
        return;
    }
    let Some(captures) = matched(&REMOVAL, program) else {
        return;
    };
    let Some(whole) = captures.get(0) else { return };
    let message = format!("{what} removes lock files unseen: {}", line_at(program, whole.end()));
    found.push(
        Diagnostic::error(Code::BlindLocks, message, span, "removed in here")
            .because("the process that holds one may be there: a second one would then write to the same state")
            .help("remove only what is stale, by process and start time: /usr/local/lib/gateway/stale-locks, of the gateways' modules, does"),
    );
}

/// Whether a line is worth the pattern of weak secrets, which is slow to find nothing in each line of each file of each host.
fn may_set_a_secret(line: &str) -> bool {
    let sets = line.contains(['=', ':']);
    sets && {
        let line = line.to_ascii_lowercase();
        ["token", "passw", "secret", "key"]
            .iter()
            .any(|word| line.contains(word))
    }
}

fn weak_secrets(declared: &Declared, declarations: &Declarations, found: &mut Vec<Diagnostic>) {
    let Spec::File(file) = &declared.spec else { return };
    let Some(text) = declarations.text(&file.content).filter(|text| text.len() <= LONGEST) else {
        return;
    };
    let mut lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with(['#', ';']) && may_set_a_secret(line));
    let Some((line, captures)) = lines.find_map(|line| Some((line, matched(&WEAK, line)?))) else {
        return;
    };
    let value = captures.get(1).map_or("", |value| value.as_str());
    let message = format!(
        "`{}` has a secret that everybody knows: {}",
        file.path,
        shown(line.trim())
    );
    found.push(
        Diagnostic::error(
            Code::WeakSecret,
            message,
            declared.span,
            format!("`{value}` is in here"),
        )
        .because("it stands in examples, and whoever finds the port tries it first")
        .help("let the program read the secret from a file or a variable on the host, and nothing of it stand here"),
    );
}

/// A gateway reads one file in its directory, and one name of it.
fn never_read(declared: &Declared, found: &mut Vec<Diagnostic>) {
    let Spec::File(file) = &declared.spec else { return };
    if !file.path.as_str().contains("/config.") {
        return;
    }
    let Some(captures) = matched(&OTHER_CONFIG, file.path.as_str()) else {
        return;
    };
    let program = captures.get(1).map_or("", |name| name.as_str());
    let message = format!("`{}` is a file that the gateway does not read", file.path);
    let directory = file
        .path
        .as_str()
        .rsplit_once('/')
        .map_or("", |(directory, _)| directory);
    found.push(
        Diagnostic::error(Code::NeverRead, message, declared.span, "")
            .because("it would start without any of this, and nothing would say so")
            .help(format!(
                "its configuration is {directory}/{program}.json, or what the variable {}_CONFIG_PATH names",
                program.to_uppercase()
            ))
            .warning(),
    );
}
