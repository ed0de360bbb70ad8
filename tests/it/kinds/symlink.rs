//! Symbolic links on a real host.

use crate::lab::{Lab, moved};

#[test]
fn a_link_is_created_left_alone_healed_updated_and_removed() {
    let lab = Lab::new();
    lab.on_host("ln -s /etc/hostname /etc/there; echo precious > /etc/file");
    let body = |target: &str| {
        format!(
            "[symlinks.\"/etc/made\"]\ntarget = \"{target}\"\n[symlinks.\"/etc/there\"]\ntarget = \"../etc/passwd\"\n\
             [symlinks.\"/etc/nowhere\"]\ntarget = \"/no/such/place\"\n"
        )
    };
    lab.converge(&body("/etc/passwd"));
    let look = "readlink /etc/made /etc/there /etc/nowhere";
    assert_eq!(lab.on_host(look), "/etc/passwd\n../etc/passwd\n/no/such/place");

    lab.on_host("ln -sfn /etc/group /etc/made; rm /etc/nowhere");
    assert_eq!(
        lab.drift(),
        moved(&[("symlink:/etc/made", "host"), ("symlink:/etc/nowhere", "host")])
    );
    let drift = lab.provision(&["drift"]).expect(0);
    assert!(
        drift.stdout.contains("is /etc/group") && drift.stdout.contains("declared /etc/passwd"),
        "{}",
        drift.told()
    );
    lab.converge(&body("/etc/passwd"));
    assert_eq!(lab.on_host(look), "/etc/passwd\n../etc/passwd\n/no/such/place");
    // Text of a link is data, and no argument or format.
    lab.converge(&body("-rf %s $(reboot) ;"));
    assert_eq!(lab.on_host("readlink /etc/made"), "-rf %s $(reboot) ;");

    lab.converge("");
    assert_eq!(
        lab.on_host("ls -d /etc/made /etc/nowhere 2>/dev/null; readlink /etc/there"),
        "/etc/hostname"
    );

    // A link over a file that is not ours would lose it.
    let refused = lab.apply("[symlinks.\"/etc/file\"]\ntarget = \"made\"\n").expect(1);
    assert!(
        refused
            .told()
            .contains("a symbolic link is declared, and a file is there"),
        "{}",
        refused.told()
    );
    assert_eq!(lab.on_host("cat /etc/file"), "precious");
}
