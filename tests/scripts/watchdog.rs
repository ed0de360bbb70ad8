//! When a watched service is restarted, and when it no longer is.

use std::process::Output;

use crate::world::{World, script, told};

/// What the settings of a test are, unless it says otherwise.
const SETTINGS: &str = "unit=bot.service\nurl=http://127.0.0.1:1/healthz\nstatus=200\nbody=live\ntimeout=10s\nfailures=3\n\
                        start=3min\ncooldown=15min\nrestarts=2\nwindow=2h\ngrace=30s\nlog=";

/// A second of the made-up clock that tests begin at.
const BEGIN: u64 = 1_800_000_000;

struct Watched {
    world: World,
    now: u64,
}

impl Watched {
    fn new() -> Self {
        let world = World::with(&[
            (
                "date",
                "case $* in +%s) cat \"$WORLD/now\" ;; *) exec /bin/date \"$@\" ;; esac",
            ),
            ("sleep", "echo \"sleep $*\" >>\"$WORLD/calls\""),
            (
                "curl",
                "while [ $# -gt 0 ]; do [ \"$1\" != --output ] || cat \"$WORLD/body\" >\"$2\"; shift; done\n\
                 cut -d ' ' -f 1 \"$WORLD/answer\"\nexit $(cut -d ' ' -f 2 \"$WORLD/answer\")",
            ),
            (
                "systemctl",
                "case $* in\nshow*) cat \"$WORLD/unit\" ;;\n*) echo \"$*\" >>\"$WORLD/calls\" ;;\nesac\n\
                 case $*:$(cat \"$WORLD/obeys\") in *restart*:yes) sed -i 's/^MainPID=/MainPID=1/' \"$WORLD/unit\" ;; esac",
            ),
        ]);
        let watched = Self { world, now: BEGIN };
        let log = watched.world.path("log").display().to_string();
        watched.world.write("etc/bot.conf", &format!("{SETTINGS}{log}\n"));
        watched.world.write("proc/uptime", "5000.00 9000.00\n");
        watched.world.write("obeys", "yes");
        watched.unit("active", 1000);
        watched.answers(true);
        watched
    }

    /// The unit's state, and at which second of the host's uptime it became active.
    fn unit(&self, state: &str, since: u64) {
        let text =
            format!("LoadState=loaded\nActiveState={state}\nMainPID=42\nActiveEnterTimestampMonotonic={since}000000\n");
        self.world.write("unit", &text);
    }

    fn answers(&self, well: bool) {
        self.answer(if well { "200 0" } else { "000 28" }, "{\"status\":\"live\"}");
    }

    /// The status, curl's exit code, and the body.
    fn answer(&self, answer: &str, body: &str) {
        self.world.write("answer", answer);
        self.world.write("body", body);
    }

    fn run(&self, command: &str) -> Output {
        self.world.write("now", &self.now.to_string());
        let path = |path| self.world.path(path);
        let env = [
            ("WATCHDOG_ETC", path("etc")),
            ("WATCHDOG_STATE", path("state")),
            ("WATCHDOG_PROC", path("proc")),
        ];
        self.world.run(&script("watchdog/watchdog"), &[command, "bot"], &env)
    }

    /// A look five minutes after the last: its exit code, and what it made systemd do.
    fn look(&mut self) -> (Option<i32>, Vec<String>) {
        self.now += 300;
        let output = self.run("check");
        (output.status.code(), self.world.calls())
    }

    /// Looks until it acts or pauses; how many looks that took, and what came of the last.
    fn looks_until_it_acts(&mut self) -> (u32, Option<i32>, Vec<String>) {
        for count in 1..50 {
            let (code, calls) = self.look();
            if code != Some(0) || !calls.is_empty() {
                return (count, code, calls);
            }
        }
        panic!("it never acts: {}", self.world.read("log"));
    }
}

const RESTART: &str = "--no-block restart -- bot.service";

#[test]
fn only_failures_in_a_row_lead_to_a_restart() {
    let mut bot = Watched::new();
    for well in [false, false, true, false, false] {
        bot.answers(well);
        assert_eq!(bot.look(), (Some(0), vec![]), "{}", bot.world.read("log"));
    }
    assert_eq!(bot.look(), (Some(0), vec![RESTART.to_owned()]));
    let log = bot.world.read("log");
    assert!(
        log.contains("Z bot: bot.service: no answer within 10 s (3 of 3)\n"),
        "{log}"
    );
    assert!(log.contains("bot.service answers again"), "{log}");
}

#[test]
fn every_kind_of_bad_answer_counts_and_is_told() {
    for (answer, body, reason) in [
        ("000 28", "", "no answer within 10 s"),
        ("000 7", "", "no answer (curl exits with 7)"),
        ("503 0", "live", "HTTP 503 where 200 is expected"),
        ("200 0", "<html>", "the answer is without the expected text"),
    ] {
        let bot = Watched::new();
        bot.answer(answer, body);
        let output = bot.run("check");
        let text = told(&output);
        assert!(
            output.status.success() && text.contains(&format!("<4>bot: bot.service: {reason} (1 of 3)")),
            "{text}"
        );
    }
}

#[test]
fn restarts_have_a_cooldown_and_end_in_a_pause_that_one_command_ends() {
    let mut bot = Watched::new();
    bot.answers(false);
    assert_eq!(bot.looks_until_it_acts(), (3, Some(0), vec![RESTART.to_owned()]));
    // Three failures are there after 15 minutes, and so is the end of the cooldown.
    assert_eq!(bot.looks_until_it_acts(), (3, Some(0), vec![RESTART.to_owned()]));
    let (looks, code, calls) = bot.looks_until_it_acts();
    assert_eq!(
        (looks, code, calls.len()),
        (3, Some(75), 0),
        "a third restart within two hours is none"
    );
    // The pause stays, and shows, even where the service has come back.
    bot.answers(true);
    assert_eq!(bot.look(), (Some(75), vec![]));
    bot.now += 100_000;
    bot.answers(false);
    assert_eq!(bot.look(), (Some(75), vec![]));
    let text = told(&bot.run("check"));
    assert!(
        text.contains("<3>bot: paused: restarts have not helped") && text.contains("watchdog resume bot"),
        "{text}"
    );
    assert!(bot.run("resume").status.success());
    assert_eq!(bot.world.calls(), ["reset-failed -- watchdog-bot.service"]);
    assert_eq!(bot.looks_until_it_acts(), (3, Some(0), vec![RESTART.to_owned()]));
}

#[test]
fn a_cooldown_longer_than_the_looks_is_kept_and_restarts_long_ago_are_forgotten() {
    let mut bot = Watched::new();
    let text = bot.world.read("etc/bot.conf").replace("cooldown=15min", "cooldown=1h");
    bot.world.write("etc/bot.conf", &text);
    bot.answers(false);
    assert_eq!(bot.looks_until_it_acts().0, 3);
    assert_eq!(
        bot.looks_until_it_acts().0,
        12,
        "an hour of looks: {}",
        bot.world.read("log")
    );
    // Both are longer ago than the window: there is no pause.
    bot.now += 7200;
    assert_eq!(bot.looks_until_it_acts(), (3, Some(0), vec![RESTART.to_owned()]));
    // A clock that is set back makes it wait, and neither forget nor hurry.
    bot.now -= 86_400;
    assert_eq!(bot.looks_until_it_acts().0, 13);
}

#[test]
fn what_starts_or_was_stopped_is_left_alone() {
    let mut bot = Watched::new();
    bot.answers(false);
    bot.unit("active", 4900);
    for _ in 0..9 {
        assert_eq!(bot.look(), (Some(0), vec![]), "it may take three minutes");
    }
    for state in ["inactive", "activating", "deactivating"] {
        bot.unit(state, 1000);
        for _ in 0..9 {
            assert_eq!(bot.look(), (Some(0), vec![]), "{state}");
        }
    }
    bot.unit("failed", 1000);
    let (looks, _, calls) = bot.looks_until_it_acts();
    assert_eq!(
        (looks, calls),
        (3, vec!["reset-failed -- bot.service".to_owned(), RESTART.to_owned()])
    );
}

#[test]
fn a_process_that_does_not_stop_is_killed_by_its_unit_after_the_grace() {
    let mut bot = Watched::new();
    bot.world.write("obeys", "no");
    bot.answers(false);
    let (_, code, calls) = bot.looks_until_it_acts();
    assert_eq!(code, Some(0));
    assert_eq!(calls.iter().filter(|call| *call == "sleep 1").count(), 30);
    assert_eq!(
        calls.last().unwrap(),
        "kill --kill-who=main --signal=SIGKILL -- bot.service"
    );
}

#[test]
fn what_it_remembers_is_no_way_in_and_nonsense_in_it_is_nothing() {
    let mut bot = Watched::new();
    bot.answers(false);
    bot.world.write(
        "state/bot",
        "failures=$(touch $WORLD/pwned)\nrestarted=x 1800000100 $(id)\npaused=maybe\n",
    );
    assert_eq!(
        bot.looks_until_it_acts().0,
        4,
        "three failures, and the cooldown after the one restart that can be read"
    );
    assert!(!bot.world.path("pwned").exists());
    let output = bot.run("../../etc/x");
    assert_eq!(output.status.code(), Some(64), "{}", told(&output));
    bot.world.write("unit", "LoadState=not-found\nActiveState=inactive\n");
    assert_eq!(bot.look().0, Some(78));
}
