//! Directories on a real host.

use crate::lab::{Lab, moved};

#[test]
fn a_directory_is_created_left_alone_healed_updated_and_removed() {
    let lab = Lab::new();
    lab.on_host("mkdir -m 0711 /srv/there; chown daemon:games /srv/there; touch /srv/there/theirs; mkdir /srv/same");
    let body = |mode: &str| {
        format!(
            "[directories.\"/srv/made\"]\nowner = \"daemon\"\ngroup = \"games\"\nmode = \"{mode}\"\n\
             [directories.\"/srv/made/below\"]\n\
             [directories.\"/srv/there\"]\nmode = \"1777\"\n\
             [directories.\"/srv/same\"]\n\
             [files.\"/srv/made/below/file\"]\ntext = \"ours\\n\"\n"
        )
    };
    lab.converge(&body("0750"));
    let look = "stat -c '%n %a %U %G' /srv/made /srv/made/below /srv/there /srv/same";
    let converged =
        "/srv/made 750 daemon games\n/srv/made/below 755 root root\n/srv/there 1777 root root\n/srv/same 755 root root";
    assert_eq!(lab.on_host(look), converged);

    lab.on_host("chmod 0700 /srv/made; chown games /srv/there; rm -r /srv/made/below");
    assert_eq!(
        lab.drift(),
        moved(&[
            ("directory:/srv/made", "host"),
            ("directory:/srv/made/below", "host"),
            ("directory:/srv/there", "host"),
            ("file:/srv/made/below/file", "host"),
        ])
    );
    lab.converge(&body("0750"));
    assert_eq!(lab.on_host(look), converged);
    lab.converge(&body("2750"));
    assert_eq!(lab.on_host("stat -c %a /srv/made"), "2750");

    // What others put into ours stays, and so does ours then; what was there before comes back.
    lab.on_host("echo theirs > /srv/made/kept");
    let ran = lab.apply("").expect(0);
    assert!(
        ran.stderr.contains("kept: the directory is not empty"),
        "{}",
        ran.told()
    );
    lab.assert_converged();
    assert_eq!(lab.on_host("ls -A /srv/made; cat /srv/made/kept"), "kept\ntheirs");
    assert_eq!(
        lab.on_host("stat -c '%n %a %U %G' /srv/there /srv/same; ls /srv/there"),
        "/srv/there 711 daemon games\n/srv/same 755 root root\ntheirs"
    );
}

#[test]
fn a_path_changes_its_kind_where_what_was_there_is_ours() {
    let lab = Lab::new();
    lab.converge(
        "[directories.\"/srv/x\"]\n[files.\"/srv/y\"]\ntext = \"y\\n\"\n[symlinks.\"/srv/z\"]\ntarget = \"y\"\n",
    );
    lab.converge(
        "[files.\"/srv/x\"]\ntext = \"x\\n\"\n[symlinks.\"/srv/y\"]\ntarget = \"x\"\n[directories.\"/srv/z\"]\n",
    );
    assert_eq!(
        lab.on_host("stat -c %F /srv/x /srv/y /srv/z; cat /srv/y"),
        "regular file\nsymbolic link\ndirectory\nx"
    );
    // A directory that is not empty does not give way.
    lab.on_host("touch /srv/z/theirs");
    let z = "[files.\"/srv/z\"]\ntext = \"z\\n\"\n";
    let failed = lab.apply(z).expect(3);
    assert!(
        failed.told().contains("kept: the directory is not empty"),
        "{}",
        failed.told()
    );
    let refused = lab.apply(z).expect(1);
    assert!(refused.told().contains("a directory is there"), "{}", refused.told());
    lab.on_host("test -f /srv/z/theirs; rm -r /srv/z");
    lab.converge(z);
}
