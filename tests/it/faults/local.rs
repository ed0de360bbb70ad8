//! The machine itself: the program run on a host that it applies to, without SSH.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::lab::{Lab, PROVISION, Ran};

fn run(lab: &Lab, args: &str) -> Ran {
    let line = format!("cd /root/project && exec /root/provision {args}");
    let output = lab.host.run(&["/bin/sh", "-c", &line]).unwrap();
    Ran {
        status: output.status,
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn declare(lab: &Lab, body: &str) {
    let hosts = lab.outside("/root/project/hosts");
    fs::create_dir_all(&hosts).unwrap();
    fs::write(hosts.join("me.toml"), format!("[host]\nconnection = \"local\"\n{body}")).unwrap();
}

#[test]
fn a_machine_applies_to_itself() {
    let lab = Lab::new();
    let program = lab.outside("/root/provision");
    fs::copy(PROVISION, &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    declare(
        &lab,
        "[files.\"/srv/one\"]\ntext = \"one\\n\"\n[units.\"one.service\"]\ntext = \"[Service]\\nExecStart=/bin/sleep infinity\\n\"\nactive = true\nsettle = \"100ms\"\n",
    );
    let planned = run(&lab, "plan --detailed-exitcode").expect(2);
    assert!(planned.stdout.contains("/srv/one"), "{}", planned.told());
    let ran = run(&lab, "apply --yes").expect(0);
    assert!(ran.stdout.contains("changed"), "{}", ran.told());
    assert_eq!(
        lab.on_host("cat /srv/one; systemctl is-active one.service"),
        "one\nactive"
    );
    let _ = run(&lab, "plan --detailed-exitcode").expect(0);
    let _ = run(&lab, "drift --detailed-exitcode").expect(0);
    lab.on_host("echo by hand > /srv/one");
    let drift = run(&lab, "drift --detailed-exitcode").expect(2);
    assert!(drift.stdout.contains("/srv/one"), "{}", drift.told());
    let _ = run(&lab, "apply --yes").expect(0);
    assert_eq!(lab.on_host("cat /srv/one"), "one");
    assert!(run(&lab, "status").expect(0).stdout.contains("me"));
    assert_eq!(
        run(&lab, "exec me -- id -un")
            .expect(0)
            .stdout
            .trim_end()
            .rsplit(' ')
            .next(),
        Some("root")
    );

    // A step that fails is told as over SSH.
    declare(
        &lab,
        "[commands.broken]\nrun = [\"/bin/sh\", \"-c\", \"echo it is broken; exit 3\"]\ncreates = \"/srv/never\"\n",
    );
    let ran = run(&lab, "apply --yes").expect(3);
    assert!(ran.stdout.contains("it is broken"), "{}", ran.told());
}
