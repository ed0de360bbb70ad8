//! Hosts that answer with anything but the truth: floods, garbage, silence, half an answer, and text that steers
//! terminals. They cost bounded time and memory, and nothing of theirs reaches a terminal as it is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use provision_core::wire::{FrameKind, encode};

use super::running::note;
use super::scene::{ESCAPES, is_plain, start};
use crate::lab::{Lab, Ran};

/// The most memory that a host may cost, in bytes: the longest message that is allowed, while the buffer that holds it
/// grows, beside what the program itself needs.
const MEMORY: u64 = 300 << 20;

/// A host with an agent; where that lies, seen from outside, and where the real one went.
pub(super) fn replaced() -> (Lab, PathBuf) {
    let lab = Lab::new();
    lab.declare("[files.\"/srv/file\"]\ntext = \"one\\n\"\n");
    let _ = lab.provision(&["plan"]).expect(0);
    let agent = lab.on_host("ls /var/lib/provision/agents/*/provision-agent");
    lab.on_host(&format!("mv {agent} /root/agent"));
    let outside = lab.outside(&agent);
    (lab, outside)
}

/// Puts a script in the agent's place.
pub(super) fn replace(agent: &Path, script: &str) {
    fs::write(agent, script).unwrap();
    fs::set_permissions(agent, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Plans with this script for an agent: unreachable, for a reason that has these words, within its means.
#[track_caller]
fn answers(lab: &Lab, agent: &Path, script: &str, words: &[&str]) {
    replace(agent, script);
    // Only silence is waited for; a busy machine may need its time for the rest.
    let timeout = if words[0].contains("said nothing") { "3s" } else { "30s" };
    let begun = Instant::now();
    let (ran, peak) = start(lab, &["plan", "--timeout", timeout]).ends_with_peak();
    let ran = ran.expect(4);
    note(format_args!("{words:?} with {} MiB", peak >> 20), begun);
    for word in words {
        assert!(ran.told().contains(word), "no {word:?} in {}", ran.told());
    }
    assert!((1..MEMORY).contains(&peak), "{peak} bytes for {words:?}");
    assert!(ran.told().len() < 16 << 10, "{} bytes of talk", ran.told().len());
    assert!(is_plain(&ran.stdout) && is_plain(&ran.stderr), "{}", ran.told());
}

/// Passes on the real agent's first frame, its hello, and then does something else.
pub(super) const AFTER_HELLO: &str = r#"#!/usr/bin/perl
open(my $agent, "-|", "/root/agent", "session") or die;
binmode $agent; binmode STDOUT; $| = 1;
read($agent, my $head, 14); read($agent, my $rest, unpack("V", substr($head, 10, 4)) + 8);
print $head, $rest;
"#;

#[test]
fn an_agent_that_floods_lies_or_says_nothing_costs_bounded_time_and_memory() {
    let (lab, agent) = replaced();
    answers(&lab, &agent, "#!/bin/sh\nexec yes\n", &["no frame within the first"]);
    answers(
        &lab,
        &agent,
        "#!/bin/sh\nexec cat /dev/urandom\n",
        &["no frame within the first"],
    );
    answers(
        &lab,
        &agent,
        "#!/bin/sh\nexec cat /dev/zero\n",
        &["no frame within the first"],
    );
    answers(
        &lab,
        &agent,
        "#!/bin/sh\nexec sleep 600\n",
        &["it said nothing for 3 s"],
    );
    answers(&lab, &agent, "#!/bin/sh\nyes >&2\n", &["it said nothing for 3 s"]);
    answers(
        &lab,
        &agent,
        "#!/bin/sh\nexec >&-; exec yes >&2\n",
        &["it said nothing for 3 s"],
    );
    let after_hello = |then: &str| format!("{AFTER_HELLO}{then}");
    answers(
        &lab,
        &agent,
        &after_hello("print \"y\\n\" x 4096 while 1;"),
        &["no magic number"],
    );
    answers(&lab, &agent, &after_hello(""), &["the session with the agent broke"]);
    answers(
        &lab,
        &agent,
        &after_hello("print \"PRVN\";"),
        &["the session with the agent broke"],
    );

    // Frames as they should be, and of a message without an end.
    let mut frames = Vec::new();
    let payload = vec![b' '; 1 << 20];
    for number in 1..=70 {
        frames.extend(encode(FrameKind::Part, number, &payload));
    }
    fs::write(lab.outside("/root/frames"), frames).unwrap();
    let send = "open(my $frames, \"<\", \"/root/frames\"); binmode $frames; while (read($frames, my $part, 65536)) { print $part } sleep 600;";
    answers(&lab, &agent, &after_hello(send), &["the message is longer than"]);

    // What another session was told is no answer to this one.
    let replay = "#!/bin/sh\nexec cat /root/replay\n";
    let hello = serde_json::to_vec(&provision_core::wire::Response::Hello {
        nonce: 7,
        version: "0".into(),
    })
    .unwrap();
    fs::write(lab.outside("/root/replay"), encode(FrameKind::Last, 0, &hello)).unwrap();
    answers(&lab, &agent, replay, &["does not answer to this session's hello"]);

    // One that just ends is brought again.
    replace(&agent, "#!/bin/sh\nexit 1\n");
    let _ = lab.provision(&["plan", "--detailed-exitcode"]).expect(2);
}

#[test]
fn an_answer_that_is_cut_anywhere_is_no_answer() {
    let (lab, agent) = replaced();
    // The whole answer ends with an end frame without content. Where less than the first frame comes, nothing has spoken.
    replace(&agent, "#!/bin/sh\n/root/agent session | tee /root/answer\n");
    let _ = lab.provision(&["plan", "--detailed-exitcode"]).expect(2);
    let answer = fs::read(lab.outside("/root/answer")).unwrap();
    let length_at = |at: usize| u32::from_le_bytes(answer[at + 10..at + 14].try_into().unwrap()) as usize + 22;
    let (hello, end) = (length_at(0), 22);
    // The nonce in the hello, and so every length, differs by some digits between sessions.
    for length in [hello + 4, hello + 18, answer.len() / 2, answer.len() - end - 4] {
        let script = format!("#!/bin/sh\n/root/agent session | head -c {length}\n");
        answers(&lab, &agent, &script, &["without saying so"]);
    }
}

#[track_caller]
fn assert_plain(ran: &Ran) {
    for text in [&ran.stdout, &ran.stderr] {
        assert!(is_plain(text), "{:?}", ran.told());
    }
}

#[test]
fn what_steers_a_terminal_is_shown_escaped_wherever_it_comes_from() {
    let lab = Lab::new();
    let body = r#"
[files."/srv/file"]
text = "mine\n"
[symlinks."/srv/link"]
target = "mine"
"#;
    lab.converge(body);
    // The content of a file, the name of its owner, the target of a link.
    fs::write(lab.outside("/srv/file"), format!("{ESCAPES}\n")).unwrap();
    fs::remove_file(lab.outside("/srv/link")).unwrap();
    std::os::unix::fs::symlink(ESCAPES, lab.outside("/srv/link")).unwrap();
    let passwd = lab.outside("/etc/passwd");
    let users = fs::read_to_string(&passwd).unwrap();
    fs::write(&passwd, format!("{users}ev\u{1b}[2Jil:x:4242:4242::/:/bin/sh\n")).unwrap();
    lab.on_host("chown 4242 /srv/file");
    for args in [
        &["plan"][..],
        &["plan", "--json"],
        &["plan", "--color", "never"],
        &["drift"],
        &["drift", "--json"],
        &["status"],
        &["status", "--json"],
    ] {
        let ran = lab.provision(args).expect(0);
        assert_plain(&ran);
        if args[0] != "status" {
            let shown = ran.stdout.contains("\\u{1b}[2J") || ran.stdout.contains("\\u001b[2J");
            assert!(shown, "{args:?}: {}", ran.told());
        }
    }
    assert_plain(&lab.provision(&["apply", "--yes"]).expect(0));
    fs::write(&passwd, users).unwrap();

    // A login banner, a command's output, a unit's journal.
    fs::write(lab.outside("/etc/issue.net"), ESCAPES).unwrap();
    lab.on_host("echo 'Banner /etc/issue.net' >> /etc/ssh/sshd_config; systemctl restart ssh");
    let script = format!("#!/bin/sh\ncat <<'END'\n{ESCAPES}\nEND\ncat <<'END' >&2\n{ESCAPES}\nEND\nexit 1\n");
    fs::write(lab.outside("/srv/evil"), script).unwrap();
    lab.on_host("chmod +x /srv/evil");
    let command = "[commands.evil]\nrun = [\"/srv/evil\"]\ncreates = \"/srv/never\"\n";
    let unit = "[units.\"evil.service\"]\nactive = true\nsettle = \"100ms\"\ntext = \"\"\"\n[Service]\nExecStart=/srv/evil\n\"\"\"\n";
    for body in [command, unit] {
        lab.declare(body);
        for args in [&["apply", "--yes"][..], &["apply", "--yes", "--json"]] {
            let ran = lab.provision(args).expect(3);
            assert_plain(&ran);
            let shown = ran.stdout.contains("\\u{1b}[2J") || ran.stdout.contains("\\u001b[2J");
            assert!(shown, "{args:?}: {}", ran.told());
        }
        assert_plain(&lab.provision(&["status", "--verbose"]));
        assert_plain(&lab.provision(&["attach", lab.name()]));
        assert_plain(&lab.provision(&["show", lab.name()]));
    }
    assert_plain(&lab.provision(&["exec", lab.name(), "--", "/srv/evil"]));
    assert_plain(&lab.provision(&["exec", lab.name(), "--json", "--", "/srv/evil"]));
}

#[test]
fn a_command_that_prints_without_end_costs_bounded_memory_and_disk() {
    let lab = Lab::new();
    lab.declare("[commands.loud]\nrun = [\"/bin/sh\", \"-c\", \"yes 'a line of output' | head -c 30000000; exit 1\"]\ncreates = \"/srv/never\"\n");
    let begun = Instant::now();
    let (ran, peak) = start(&lab, &["apply", "--yes"]).ends_with_peak();
    note(format_args!("30 MB of output with {} MiB", peak >> 20), begun);
    let ran = ran.expect(3);
    assert!(ran.stdout.contains("a line of output"), "{}", ran.told());
    assert!((1..MEMORY).contains(&peak), "{peak} bytes");
    let journal: u64 = lab.on_host("du -sb /var/lib/provision/runs | cut -f1").parse().unwrap();
    assert!(journal < 8 << 20, "{journal} bytes of journal");
}
