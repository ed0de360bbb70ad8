//! Which lock files of gateways are stale: those whose process is gone or another, and no others.

use crate::world::{World, script, told};

/// A process as `/proc` shows it, with parentheses and blanks in its name.
fn process(world: &World, pid: u32, started: u64) {
    let rest = "S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0";
    world.write(
        &format!("proc/{pid}/stat"),
        &format!("{pid} (a b) c) {rest} {started} 99 98\n"),
    );
}

fn lock(world: &World, name: &str, content: &str) {
    world.write(&format!("locks/{name}"), content);
}

#[test]
fn a_lock_is_stale_only_where_its_process_is_dead_or_another() {
    let world = World::with(&[]);
    process(&world, 1, 2);
    process(&world, 42, 121_330);
    let at = |pid: &str, started: &str| {
        format!("{{\n \"pid\": {pid}, \"createdAt\": \"x\",{started} \"configPath\": \"/a\"}}\n")
    };
    lock(&world, "held.lock", &at("42", " \"startTime\": 121330,"));
    lock(&world, "other.lock", "{\"pid\":42,\"startTime\":121329}");
    lock(&world, "dead.lock", &at("43", " \"startTime\": 121330,"));
    lock(&world, "old.lock", &at("42", ""));
    lock(&world, "old-dead.lock", &at("43", ""));
    lock(&world, "garbled.lock", "{\"pid\": \"forty\"");
    lock(&world, "empty.lock", "");
    std::os::unix::fs::symlink("dead.lock", world.path("locks/link.lock")).unwrap();
    let names = [
        "held", "other", "dead", "old", "old-dead", "garbled", "empty", "link", "missing",
    ];
    let paths: Vec<_> = names
        .iter()
        .map(|name| world.path(&format!("locks/{name}.lock")).display().to_string())
        .collect();
    let run = |dry: bool| {
        let mut args: Vec<_> = paths.iter().map(String::as_str).collect();
        if dry {
            args.insert(0, "--dry-run");
        }
        let output = world.run(
            &script("gateway/stale-locks"),
            &args,
            &[("GATEWAY_PROC", world.path("proc"))],
        );
        assert!(output.status.success(), "{}", told(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        text.replace(&world.path("locks/").display().to_string(), "")
    };
    let verdicts = "keep held.lock: process 42 holds it\n\
                    stale other.lock: process 42 has started at another time than the lock's holder\n\
                    stale dead.lock: process 43 is gone\n\
                    keep old.lock: process 42 is there, and the lock does not say when its holder has started\n\
                    stale old-dead.lock: process 43 is gone\n\
                    keep garbled.lock: it names no process\n\
                    keep empty.lock: it names no process\n";
    assert_eq!(run(true), verdicts);
    assert!(
        names
            .iter()
            .filter(|name| **name != "missing")
            .all(|name| world.path(&format!("locks/{name}.lock")).exists())
    );
    assert_eq!(run(false), verdicts.replace("stale ", "removed "));
    let mut left: Vec<_> = std::fs::read_dir(world.path("locks"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(
        left,
        ["empty.lock", "garbled.lock", "held.lock", "link.lock", "old.lock"]
    );
    // Where others' processes are hidden, nobody can say that one is gone.
    std::fs::remove_dir_all(world.path("proc/1")).unwrap();
    lock(&world, "dead.lock", &at("43", ""));
    assert!(run(false).contains("keep dead.lock: other users' processes cannot be seen here"));
}
