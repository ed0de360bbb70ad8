//! Mounted file systems and how full they are. One over a network is not asked: a server that is gone would hang the look.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use provision_core::model::{Disk, Fact, HostText, Space};

use super::{fact, text};

/// Kinds that hold nothing of anybody's, or that are full by nature.
const NOT_DISKS: [&str; 27] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "cramfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "erofs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
    "udf",
];

/// Kinds whose server may not answer.
const REMOTE: [&str; 9] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "ceph",
    "glusterfs",
    "9p",
    "afs",
    "lustre",
];

/// Kinds that turn read-only by themselves when they find themselves damaged.
const SELF_PROTECTING: [&str; 6] = ["btrfs", "ext2", "ext3", "ext4", "f2fs", "xfs"];

/// Every file system that can fill, once.
pub(super) fn all() -> Fact<Vec<Disk>> {
    let path = Path::new("/proc/self/mountinfo");
    fact(text(path).map(|mounts| {
        let mounts: Vec<_> = mounts.lines().filter_map(mount).collect();
        chosen(mounts).into_iter().map(disk).collect()
    }))
}

/// One line of mountinfo, as proc_pid_mountinfo(5) has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    device: String,
    point: String,
    kind: String,
    read_only: bool,
    went_read_only: bool,
}

fn mount(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let fields: Vec<_> = before.split(' ').collect();
    let mut rest = after.split(' ');
    let kind = rest.next()?;
    let has = |options: &str, wanted: &str| options.split(',').any(|option| option == wanted);
    // Asked for is what the mount has; the file system itself turns read-only when it finds itself damaged.
    let asked = has(fields.get(5)?, "ro");
    let is = has(rest.nth(1).unwrap_or_default(), "ro");
    Some(Mount {
        device: (*fields.get(2)?).to_owned(),
        point: unescaped(fields.get(4)?),
        kind: kind.to_owned(),
        read_only: asked || (is && !SELF_PROTECTING.contains(&kind)),
        went_read_only: is && !asked,
    })
}

/// Blanks, tabs, line feeds and backslashes are written as octal numbers.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let octal = (*first == b'\\')
            .then(|| tail.get(..3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match octal {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Each device once, at its shortest mount point; of what is stacked on one point, the last, which is the one that is seen.
fn chosen(mounts: Vec<Mount>) -> Vec<Mount> {
    let mut seen: Vec<Mount> = Vec::new();
    for mount in mounts {
        seen.retain(|other| other.point != mount.point);
        seen.push(mount);
    }
    let is_disk = |mount: &Mount| {
        let layer = mount.kind == "overlay" && mount.point != "/";
        !mount.read_only && !layer && !NOT_DISKS.contains(&mount.kind.as_str())
    };
    seen.retain(is_disk);
    seen.sort_by(|a, b| a.point.len().cmp(&b.point.len()).then_with(|| a.point.cmp(&b.point)));
    let mut devices = BTreeSet::new();
    seen.retain(|mount| devices.insert(mount.device.clone()));
    seen.sort_by(|a, b| a.point.cmp(&b.point));
    seen
}

fn disk(mount: Mount) -> Disk {
    let is_remote = REMOTE.contains(&mount.kind.as_str()) || mount.kind.starts_with("fuse");
    let space = if is_remote {
        Fact::unknown("not asked, for its server may not answer")
    } else {
        match space(&PathBuf::from(&mount.point)) {
            Ok(space) => Fact::Known(space),
            Err(error) => Fact::unknown(format!("cannot be asked: {error}")),
        }
    };
    Disk {
        mount: HostText::new(mount.point),
        kind: HostText::new(mount.kind),
        went_read_only: mount.went_read_only,
        space,
    }
}

fn space(point: &Path) -> io::Result<Space> {
    let found = rustix::fs::statvfs(point)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Space {
        used: bytes(found.f_blocks.saturating_sub(found.f_bfree)),
        available: bytes(found.f_bavail),
        inodes_used: found.f_files.saturating_sub(found.f_ffree),
        inodes_free: found.f_ffree,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_and_each_device_is_chosen_once() {
        let lines = [
            "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,discard",
            "23 22 0:20 / /proc rw,nosuid - proc proc rw",
            "24 22 254:1 /srv /var/lib/a\\040b rw - ext4 /dev/vda1 rw",
            "25 22 0:30 / /run rw master:3 - tmpfs tmpfs rw,size=100k",
            "26 22 7:1 / /snap/core ro - squashfs /dev/loop1 ro",
            "27 22 254:2 / /mnt/cd ro - ext4 /dev/vdb ro",
            "28 22 0:31 / /under rw - tmpfs first rw",
            "29 22 0:32 / /under rw - tmpfs second rw",
            "30 22 0:33 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw",
            "31 22 0:34 / /backup rw - nfs4 nas:/x rw",
            "33 22 254:3 / /broken rw - ext4 /dev/vdc ro,errors=remount-ro",
            "32 22 0:35 / /new\\134line rw shared:4 master:2 - xfs /dev/sdb rw",
        ];
        let chosen = chosen(lines.iter().filter_map(|line| mount(line)).collect());
        let points: Vec<_> = chosen
            .iter()
            .map(|mount| (mount.point.as_str(), mount.device.as_str()))
            .collect();
        assert_eq!(
            points,
            [
                ("/", "254:1"),
                ("/backup", "0:34"),
                ("/broken", "254:3"),
                ("/new\\line", "0:35"),
                ("/run", "0:30"),
                ("/under", "0:32"),
            ]
        );
        assert!(
            matches!(disk(chosen[1].clone()).space, Fact::Unknown(_)),
            "a server may hang"
        );
        let gone: Vec<_> = chosen.iter().filter(|mount| mount.went_read_only).collect();
        assert_eq!(gone.len(), 1, "{gone:?}");
        assert_eq!(unescaped("a\\040b\\"), "a b\\");
    }

    #[test]
    fn this_machine_has_a_disk() {
        let Fact::Known(disks) = all() else { panic!() };
        assert!(
            disks
                .iter()
                .any(|disk| disk.space.known().is_some_and(|space| space.used > 0)),
            "{disks:?}"
        );
    }
}
