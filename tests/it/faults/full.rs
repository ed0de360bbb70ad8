//! Disks that are really full, to the last byte or the last inode, before an apply and in the middle of one. What cannot be
//! recorded is not begun, nothing is torn, and once there is room the next apply does the rest.

use std::fs;
use std::process::Command;

use super::running::until;
use super::scene::{assert_no_leftovers, open, start};
use crate::lab::{Lab, Ran};

/// Puts a directory of the host on an ext4 file system of its own, with what is in it, so much room beyond that, and so many
/// inodes beyond those in use.
fn own_disk(lab: &Lab, path: &str, mib: u64, inodes: u64) {
    let number = |line: &str| lab.on_host(line).parse::<u64>().unwrap();
    let used = number(&format!("du -sm {path} | cut -f1"));
    let files = number(&format!("find {path} | wc -l"));
    let image = lab.outside("/root/disk.img");
    let run = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output().unwrap();
        assert!(output.status.success(), "{program} {args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let file = fs::File::create(&image).unwrap();
    file.set_len((used + mib + 24) << 20).unwrap();
    let image = image.to_str().unwrap();
    // No block is kept for root, which the agent is.
    let count = (files + inodes + 16).to_string();
    run(
        "mkfs.ext4",
        &["-q", "-m", "0", "-O", "^has_journal", "-N", &count, image],
    );
    let device = run("losetup", &["--find", "--show", image]);
    let minor = device.trim_start_matches("/dev/loop");
    lab.on_host(&format!(
        "mknod /root/disk b 7 {minor} && mkdir /root/new && mount -t ext4 /root/disk /root/new"
    ));
    // It goes with its last user, the host.
    run("losetup", &["--detach", &device]);
    lab.on_host(&format!("cp -a {path}/. /root/new/ && mount --bind /root/new {path}"));
}

/// Takes the last block: large pieces first, and then the smallest there are.
fn fill(lab: &Lab, path: &str) {
    lab.on_host(&format!(
        "mkdir -p {path}/ballast; for size in 1M 64k 4k; do dd if=/dev/zero of={path}/ballast/$size bs=$size; sync -f {path}; done 2>/dev/null; \
         ! dd if=/dev/zero of={path}/ballast/last bs=4k count=1 conv=fsync 2>/dev/null"
    ));
}

/// Takes the last inode.
fn take_inodes(lab: &Lab, path: &str) {
    lab.on_host(&format!(
        "mkdir -p {path}/ballast; seq 1 9000 | (cd {path}/ballast; xargs touch 2>/dev/null); test \"$(stat -f -c %d {path})\" = 0"
    ));
}

fn make_room(lab: &Lab, path: &str) {
    lab.on_host(&format!("rm -rf {path}/ballast"));
}

#[track_caller]
fn tells(ran: &Ran, parts: &[&str]) {
    for part in parts {
        assert!(ran.told().contains(part), "no {part:?} in {}", ran.told());
    }
}

/// Two files, and between them a command that waits for [`open`].
fn around_a_gate(text: &str) -> String {
    let gate = format!("touch /srv/at-gate; until [ -e /srv/open ]; do sleep 0.02; done; touch /srv/passed-{text}");
    let file = |name: &str, more: &str| format!("[files.\"/srv/{name}\"]\ntext = \"{text}\\n\"\n{more}");
    format!(
        "{}[commands.gate]\nrun = [\"/bin/sh\", \"-c\", \"{gate}\"]\ncreates = \"/srv/passed-{text}\"\n\
         after = [\"file:/srv/one\"]\n{}",
        file("one", ""),
        file("two", "after = [\"command:gate\"]\n")
    )
}

#[test]
fn a_full_var_is_refused_before_anything_and_survived_in_the_middle() {
    let lab = Lab::new();
    open(&lab);
    lab.converge(&around_a_gate("old"));
    lab.on_host("rm /srv/open /srv/at-gate");
    own_disk(&lab, "/var", 80, 4_000);
    fill(&lab, "/var");
    lab.declare(&around_a_gate("new"));
    // A look writes nothing, so it needs no room.
    let _ = lab.plan().expect(2);
    let ran = lab.provision(&["apply", "--yes"]).expect(1);
    tells(&ran, &["/var/lib/provision", "0 MiB free", "nothing was changed"]);
    assert_eq!(lab.on_host("cat /srv/one /srv/two"), "old\nold");
    make_room(&lab, "/var");

    // Full from one moment to the next: what cannot be recorded is not told as done, though some of it may be.
    let running = start(&lab, &["apply", "--yes"]);
    until("a run at the gate", || lab.outside("/srv/at-gate").exists());
    fill(&lab, "/var");
    open(&lab);
    let ran = running.ends().expect(3);
    tells(&ran, &["No space left on device"]);
    make_room(&lab, "/var");
    let _ = lab.provision(&["apply", "--yes"]).expect(0);
    assert_eq!(lab.on_host("cat /srv/one /srv/two"), "new\nnew");
    assert_no_leftovers(&lab);
    lab.assert_converged();
}

#[test]
fn a_var_without_inodes_is_refused_before_anything() {
    let lab = Lab::new();
    let body = |text: &str| format!("[files.\"/srv/file\"]\ntext = \"{text}\\n\"\n");
    lab.converge(&body("old"));
    own_disk(&lab, "/var", 200, 2_000);
    take_inodes(&lab, "/var");
    lab.declare(&body("new"));
    let _ = lab.plan().expect(2);
    let ran = lab.provision(&["apply", "--yes"]).expect(1);
    tells(
        &ran,
        &["/var/lib/provision has only 0 inodes free", "nothing was changed"],
    );
    assert_eq!(lab.on_host("cat /srv/file"), "old");
    make_room(&lab, "/var");
    lab.converge(&body("new"));
}

#[test]
fn a_full_etc_leaves_every_file_whole() {
    for take in [fill, take_inodes] {
        let lab = Lab::new();
        let body = |text: &str| {
            format!(
                "[files.\"/srv/a\"]\ntext = \"{text}\\n\"\n[files.\"/etc/motd\"]\ntext = \"{text}\\n\"\n\
                 [users.bot]\ncomment = \"{text}\"\n[directories.\"/etc/bot\"]\nmode = \"{}\"\n",
                if text == "old" { "0755" } else { "0700" }
            )
        };
        lab.converge(&body("old"));
        let look = "getent passwd bot; cat /etc/motd; md5sum /etc/passwd /etc/shadow /etc/group";
        own_disk(&lab, "/etc", 4, 40);
        take(&lab, "/etc");
        let before = lab.on_host(look);
        let big = "new".repeat(4_000);
        lab.declare(&body("new").replace("text = \"new", &format!("text = \"{big}")));
        let ran = lab.provision(&["apply", "--yes"]).expect(3);
        tells(&ran, &["then go on with: provision apply"]);
        assert_eq!(lab.on_host(look), before, "{}", ran.told());
        assert_no_leftovers(&lab);
        make_room(&lab, "/etc");
        lab.converge(&body("new").replace("text = \"new", &format!("text = \"{big}")));
        assert!(lab.on_host("getent passwd bot").contains(":new:"));
        assert_no_leftovers(&lab);
    }
}
