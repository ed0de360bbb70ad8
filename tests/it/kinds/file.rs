//! Files on a real host.

use crate::lab::Lab;

#[test]
fn a_file_is_created_left_alone_healed_updated_and_removed() {
    let lab = Lab::new();
    let file =
        |text: &str, mode: &str| format!("[files.\"/etc/motd.test\"]\ntext = \"{text}\\n\"\nmode = \"{mode}\"\n");
    lab.converge(&file("one", "0640"));
    assert_eq!(
        lab.on_host("stat -c '%a %U %G' /etc/motd.test; cat /etc/motd.test"),
        "640 root root\none"
    );

    lab.on_host("echo by hand > /etc/motd.test; chmod 0600 /etc/motd.test");
    let drift = lab.provision(&["drift", "--detailed-exitcode"]).expect(2);
    assert!(
        drift.stdout.contains("/etc/motd.test") && drift.stdout.contains("0600"),
        "{}",
        drift.told()
    );
    lab.converge(&file("one", "0640"));
    assert_eq!(lab.on_host("stat -c %a /etc/motd.test; cat /etc/motd.test"), "640\none");

    lab.converge(&file("two", "0644"));
    assert_eq!(lab.on_host("stat -c %a /etc/motd.test; cat /etc/motd.test"), "644\ntwo");

    lab.converge("");
    assert_eq!(
        lab.on_host("ls /etc/motd.test 2>&1 || true"),
        "ls: cannot access '/etc/motd.test': No such file or directory"
    );
}
