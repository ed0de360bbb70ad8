//! How much of the kernel's inotify limits each user holds, as `/proc` tells it.

use std::fs;
use std::os::unix::fs::symlink;

use crate::world::{World, script, told};

/// A process with one inotify instance of so many watches.
fn process(world: &World, pid: u32, user: u32, watches: usize) {
    let own = format!("proc/{pid}");
    world.write(&format!("{own}/status"), &format!("Name:\tx\nUid:\t{user}\t0\t0\t0\n"));
    world.write(
        &format!("{own}/fdinfo/7"),
        &("pos:\t0\n".to_owned() + &"inotify wd:1 ino:2\n".repeat(watches)),
    );
    fs::create_dir_all(world.path(&format!("{own}/fd"))).unwrap();
    symlink("anon_inode:inotify", world.path(&format!("{own}/fd/7"))).unwrap();
    symlink("/dev/null", world.path(&format!("{own}/fd/1"))).unwrap();
}

fn usage(world: &World, percent: &str) -> (Option<i32>, String) {
    let proc = world.path("proc").display().to_string();
    let output = world.run(&script("inotify/usage"), &[percent, &proc], &[]);
    assert_eq!(told(&output), "");
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn each_user_is_held_against_the_limits_that_one_user_has() {
    let world = World::with(&[]);
    world.write("proc/sys/fs/inotify/max_user_watches", "100\n");
    world.write("proc/sys/fs/inotify/max_user_instances", "4\n");
    process(&world, 10, 1000, 40);
    process(&world, 11, 1000, 39);
    process(&world, 12, 1001, 50);
    assert_eq!(
        usage(&world, "80"),
        (Some(0), String::new()),
        "79 of 100, and another user's 50"
    );
    process(&world, 13, 1000, 1);
    let (code, text) = usage(&world, "80");
    assert_eq!(code, Some(1));
    let told =
        "<4>user 1000 holds 80 of the 100 inotify watches that one user may have: raise fs.inotify.max_user_watches\n";
    assert_eq!(text, told);
    process(&world, 14, 1000, 0);
    let (_, text) = usage(&world, "80");
    assert!(text.contains("user 1000 holds 4 of the 4 inotify instances"), "{text}");
}
