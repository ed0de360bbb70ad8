//! Swap files on a real host and a real kernel: made, used, found changed, changed, and taken away with nothing left of them. The kernel is that
//! of the machine outside, so each test takes back whatever it may still use when it ends, however it ends.

use std::fs;
use std::process::Command;

use provision_rehearse::{Bind, HostOptions};
use tempfile::TempDir;

use crate::lab::{Lab, moved};

/// A directory of the machine outside, on its own disk: the host's is an overlay, which holds no swap file. Inside, it is /srv/NAME;
/// each test has a name of its own, as all hosts of this machine, and so their tools, see one list of what is swapped to.
struct Disk {
    outside: TempDir,
    name: &'static str,
}

impl Disk {
    fn new(name: &'static str) -> Self {
        let outside = tempfile::tempdir().unwrap();
        Self { outside, name }
    }

    /// A host that has it, and may swap to it or not.
    fn lab(&self, swap: bool) -> Lab {
        let bind = Bind {
            outside: self.outside.path().to_owned(),
            inside: format!("/srv/{}", self.name).into(),
            read_only: false,
        };
        Lab::of(HostOptions {
            binds: vec![bind],
            swap,
            ..HostOptions::default()
        })
    }

    fn id(&self) -> String {
        format!("swapfile:/srv/{}/file", self.name)
    }

    fn body(&self, size: &str, more: &str) -> String {
        format!("[swapfiles.\"/srv/{}/file\"]\nsize = \"{size}\"\n{more}\n", self.name)
    }

    /// A shell line in the directory.
    fn run(&self, lab: &Lab, line: &str) -> String {
        lab.on_host(&format!("cd /srv/{}; {line}", self.name))
    }

    /// Length, mode, owner, and what the kernel says of it; what lies beside it; whether systemd has it used at boot.
    fn look(&self, lab: &Lab) -> String {
        let look = "stat -c '%s %a %u' file; awk -v file=$PWD/file '$1 == file { print $3, ($5 < 0) ? \"own\" : $5 }' /proc/swaps; ls -A; \
             systemctl is-enabled srv-NAME-file.swap 2>/dev/null || true";
        self.run(lab, &look.replace("NAME", self.name))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The kernel lets nobody remove what it swaps to.
        for entry in fs::read_dir(self.outside.path()).into_iter().flatten().flatten() {
            let _ = Command::new("swapoff").arg(entry.path()).output();
        }
    }
}

#[test]
fn one_is_made_used_kept_over_changes_by_hand_resized_brought_back_and_taken_away() {
    let disk = Disk::new("life");
    let lab = disk.lab(true);
    lab.converge(&disk.body("16MiB", ""));
    let converged = "16777216 600 0\n16380 own\nfile\nenabled";
    assert_eq!(disk.look(&lab), converged);
    assert_eq!(
        lab.on_host("grep -v '^#' /etc/systemd/system/srv-life-file.swap"),
        "[Unit]\nDescription=Swap file /srv/life/file\n\n[Swap]\nWhat=/srv/life/file\n\n[Install]\nWantedBy=swap.target"
    );

    // No container starts swap units; systemd reads it all the same as it does at boot.
    assert_eq!(
        lab.on_host("systemctl show -P LoadState -P What srv-life-file.swap"),
        "/srv/life/file\nloaded"
    );

    // What is changed by hand is found, and changed back without a new file where the old one will do.
    let inode = disk.run(&lab, "stat -c %i file");
    for by_hand in [
        "swapoff file",
        "chmod 644 file",
        "chown 1 file",
        "swapoff file; swapon -p 7 file",
    ] {
        disk.run(&lab, by_hand);
        assert_eq!(lab.drift(), moved(&[(&disk.id(), "host")]), "{by_hand}");
        lab.converge(&disk.body("16MiB", ""));
        assert_eq!(disk.look(&lab), converged, "{by_hand}");
        assert_eq!(disk.run(&lab, "stat -c %i file"), inode, "{by_hand}");
    }
    lab.on_host("systemctl disable --quiet srv-life-file.swap");
    assert_eq!(lab.drift(), moved(&[("unit:srv-life-file.swap", "host")]));
    lab.converge(&disk.body("16MiB", ""));
    // Longer than its header says, of another length, and gone.
    for by_hand in [
        "swapoff file; mkswap file 8192",
        "swapoff file; truncate -s 20M file",
        "swapoff file; rm file",
    ] {
        disk.run(&lab, by_hand);
        assert_eq!(lab.drift(), moved(&[(&disk.id(), "host")]), "{by_hand}");
        lab.converge(&disk.body("16MiB", ""));
        assert_eq!(disk.look(&lab), converged, "{by_hand}");
    }

    // Another length and priority, while it is in use; then the way back.
    lab.declare(&disk.body("32MiB", "priority = 10"));
    let planned = lab.planned(&disk.id());
    assert_eq!(
        (
            &planned["action"],
            &planned["fields"][0]["before"],
            &planned["fields"][0]["after"]
        ),
        (&"update".into(), &"16 MiB".into(), &"32 MiB".into()),
        "{planned}"
    );
    let uuid = disk.run(&lab, "blkid -o value -s UUID file");
    lab.converge(&disk.body("32MiB", "priority = 10"));
    assert_eq!(disk.look(&lab), "33554432 600 0\n32764 10\nfile\nenabled");
    assert_eq!(disk.run(&lab, "blkid -o value -s UUID file"), uuid);
    assert_eq!(
        lab.on_host("grep Priority /etc/systemd/system/srv-life-file.swap"),
        "Priority=10"
    );
    let _ = lab.provision(&["rollback", lab.name(), "--yes"]).expect(0);
    assert_eq!(disk.look(&lab), converged);

    lab.converge("");
    assert_eq!(disk.run(&lab, "ls -A"), "");
    lab.on_host("! ls /etc/systemd/system/srv-life-file.swap /etc/systemd/system/swap.target.wants/srv-life-file.swap 2>/dev/null");
    lab.on_host("! grep /srv/life /proc/swaps");
}

#[test]
fn one_that_was_there_comes_back_as_it_was_and_data_is_never_taken_for_one() {
    let disk = Disk::new("before");
    let lab = disk.lab(true);
    disk.run(
        &lab,
        "umask 077; fallocate -l 16M file; mkswap -L old -U 5ca1ab1e-0000-4000-8000-00000badf00d file; \
         swapon -p 3 file",
    );
    let names = || disk.run(&lab, "blkid -o value -s UUID -s LABEL file");
    let before = (disk.look(&lab), names());
    lab.converge(&disk.body("24MiB", "priority = 4"));
    assert_eq!(disk.look(&lab), "25165824 600 0\n24572 4\nfile\nenabled");
    assert_eq!(names(), before.1);
    lab.converge("");
    assert_eq!((disk.look(&lab), names()), before);

    disk.run(&lab, "swapoff file; echo 'a letter' > file");
    let refused = lab.apply(&disk.body("16MiB", "")).expect(1);
    assert!(
        refused
            .told()
            .contains("a file that is no swap space is there, and is not replaced"),
        "{}",
        refused.told()
    );
    assert_eq!(disk.run(&lab, "cat file; ls -A"), "a letter\nfile");
}

#[test]
fn what_disk_or_kernel_refuse_is_said_with_its_figures_and_leaves_nothing() {
    let disk = Disk::new("refused");
    let lab = disk.lab(false);
    // The host's own disk is an overlay.
    let overlay = lab.apply("[swapfiles.\"/swapfile\"]\nsize = \"16M\"\n").expect(1);
    assert!(
        overlay
            .told()
            .contains("no swap file can lie there: the file system is overlayfs"),
        "{}",
        overlay.told()
    );
    let full = lab.apply(&disk.body("8T", "")).expect(1);
    assert!(
        full.told().contains("there is no room for it")
            && full
                .told()
                .contains("it takes 8389632 MiB of which 1024 MiB must stay free"),
        "{}",
        full.told()
    );
    let refused = lab.apply(&disk.body("16MiB", "")).expect(3);
    assert!(
        refused
            .told()
            .contains("the kernel does not let this host use swap files: it refused /srv/refused/file")
            && refused.told().contains("this host is probably a container"),
        "{}",
        refused.told()
    );
    assert_eq!(
        disk.run(&lab, "ls -A; ls /etc/systemd/system/*.swap 2>/dev/null || true"),
        ""
    );
    lab.converge("");
}

#[test]
fn another_hosts_swap_file_of_the_same_name_is_not_taken_for_ours() {
    let (theirs, ours) = (Disk::new("twin"), Disk::new("twin"));
    let other = theirs.lab(true);
    other.converge(&theirs.body("16MiB", ""));
    let lab = ours.lab(true);
    // mkswap itself is fooled by the name.
    ours.run(&lab, "umask 077; fallocate -l 16M new; mkswap new; mv new file");
    // The kernel lists theirs to us, under the name that ours would have.
    assert_eq!(
        lab.on_host("awk '$1 == \"/srv/twin/file\" { print $3 }' /proc/swaps"),
        "16380"
    );
    lab.declare(&ours.body("16MiB", ""));
    let planned = lab.planned(&ours.id());
    assert_eq!(
        (&planned["fields"][0]["field"], &planned["fields"][0]["before"]),
        (&"used".into(), &"by nobody".into()),
        "{planned}"
    );
    // With both in use, which line is whose cannot be told, and is not guessed.
    ours.run(&lab, "swapon file");
    let unknown = lab.provision(&["plan", "--detailed-exitcode"]).expect(1);
    assert!(
        unknown
            .told()
            .contains("the kernel swaps to several files called /srv/twin/file"),
        "{}",
        unknown.told()
    );
}

#[test]
fn a_power_cut_while_one_is_made_leaves_no_half_of_it_once_it_is_applied_again() {
    let disk = Disk::new("cut");
    let mut lab = disk.lab(true);
    lab.on_host(
        "printf '#!/bin/sh\\ntouch /srv/waiting; until [ -e /srv/open ]; do sleep 0.02; done; exec /usr/sbin/mkswap \"$@\"\\n' \
         > /usr/local/sbin/mkswap; chmod 755 /usr/local/sbin/mkswap",
    );
    lab.declare(&disk.body("16MiB", ""));
    let running = crate::faults::start(&lab, &["apply", "--yes"]);
    crate::faults::until("mkswap waits", || lab.outside("/srv/waiting").exists());
    let half = disk.run(&lab, "ls -A");
    assert!(half.starts_with(".provision-"), "{half}");
    lab.host.power_cut().unwrap();
    fs::write(lab.outside("/srv/open"), "").unwrap();
    lab.host.boot().unwrap();
    let _ = running.ends().expect(3);
    assert!(!disk.outside.path().join("file").exists());
    lab.converge(&disk.body("16MiB", ""));
    assert_eq!(disk.look(&lab), "16777216 600 0\n16380 own\nfile\nenabled");
    lab.converge("");
    assert_eq!(disk.run(&lab, "ls -A"), "");
}
