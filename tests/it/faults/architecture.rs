//! Hosts of another architecture than the controller's. They get the agent that is for them, and a look at one costs no more
//! than at any other.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::lab::{Lab, Ran};

/// Runs the program with a directory of agents.
fn with_agents(lab: &Lab, args: &[&str]) -> Ran {
    let output = lab
        .command(args)
        .env("PROVISION_AGENT_DIR", lab.root().join("agents"))
        .output()
        .unwrap();
    Ran {
        status: output.status,
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn a_host_of_another_architecture_is_looked_at_in_one_round_trip() {
    let lab = Lab::new();
    let body = "[files.\"/srv/file\"]\ntext = \"one\\n\"\n";
    lab.converge(body);
    // This host says that it is an ARM machine, and its agent differs from the embedded one, by one byte that means nothing.
    let agent = lab.on_host("ls /var/lib/provision/agents/*/provision-agent");
    let mut bytes = fs::read(lab.outside(&agent)).unwrap();
    bytes.push(0);
    fs::create_dir(lab.root().join("agents")).unwrap();
    lab.on_host("mv /usr/bin/uname /usr/bin/uname.real");
    let uname = lab.outside("/usr/bin/uname");
    fs::write(
        &uname,
        "#!/bin/sh\n[ \"$*\" = -m ] && echo aarch64 || exec uname.real \"$@\"\n",
    )
    .unwrap();
    fs::set_permissions(&uname, fs::Permissions::from_mode(0o755)).unwrap();

    // A disk that came from a machine like ours: what lies there does not run on this one.
    fs::write(lab.outside(&agent), [0x7f, b'E', b'L', b'F', 0, 0, 0]).unwrap();
    let ran = with_agents(&lab, &["plan"]).expect(4);
    for part in ["no agent for aarch64", "PROVISION_AGENT_DIR", "provision-agent-aarch64"] {
        assert!(ran.told().contains(part), "no {part:?} in {}", ran.told());
    }
    fs::write(lab.root().join("agents/provision-agent-aarch64"), bytes).unwrap();
    let _ = with_agents(&lab, &["plan", "--detailed-exitcode"]).expect(0);
    let only = lab.on_host("ls -d /var/lib/provision/agents/*/provision-agent");
    assert!(only.lines().count() == 1 && only != agent, "{only}");

    // Whatever is started over SSH is written down.
    let counts = "#!/bin/sh\necho started >> /srv/started\nexec sh -c \"$SSH_ORIGINAL_COMMAND\"\n";
    fs::write(lab.outside("/srv/counts"), counts).unwrap();
    lab.on_host(
        "chmod 0755 /srv/counts; echo 'ForceCommand /srv/counts' >> /etc/ssh/sshd_config; systemctl restart ssh",
    );
    let _ = with_agents(&lab, &["plan", "--detailed-exitcode"]).expect(0);
    assert_eq!(lab.on_host("cat /srv/started"), "started", "one command for a look");
}
