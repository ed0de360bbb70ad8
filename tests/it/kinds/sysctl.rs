//! Kernel parameters on a real host: the live value and the file, each on its own. Those of the network are the host's own,
//! and not the machine's that it runs on.

use crate::lab::{Lab, moved};

const KEPT: &str = "/etc/sysctl.d/60-provision.conf";

#[test]
fn live_values_and_their_files_are_kept_each_on_its_own() {
    let lab = Lab::new();
    let body = |backlog: u32| {
        format!(
            "[sysctl]\n\"net.core.somaxconn\" = {backlog}\n\
             \"net.ipv4.ip_local_port_range\" = {{ value = \"20000  30000\", file = \"/etc/sysctl.d/70-ports.conf\" }}\n"
        )
    };
    let before = lab.on_host("sysctl -n net.core.somaxconn net.ipv4.ip_local_port_range");
    let look =
        "sysctl -n net.core.somaxconn net.ipv4.ip_local_port_range; cat /etc/sysctl.d/[67]0-p*.conf | grep -v '^#'";
    lab.converge(&body(777));
    let converged = "777\n20000\t30000\nnet.core.somaxconn = 777\nnet.ipv4.ip_local_port_range = 20000 30000";
    assert_eq!(lab.on_host(look), converged);

    // The live value moves, and its file does not.
    lab.on_host("sysctl -qw net.core.somaxconn=888");
    assert_eq!(lab.drift(), moved(&[("sysctl:net.core.somaxconn", "host")]));
    let file = lab.on_host(&format!("stat -c '%i %Z' {KEPT}"));
    lab.converge(&body(777));
    assert_eq!(lab.on_host(look), converged);
    assert_eq!(lab.on_host(&format!("stat -c '%i %Z' {KEPT}")), file);

    // The file moves, and the live value does not.
    lab.on_host(&format!("echo net.core.somaxconn = 999 > {KEPT}"));
    assert_eq!(lab.drift(), moved(&[(&format!("file:{KEPT}"), "host")]));
    lab.converge(&body(777));
    assert_eq!(lab.on_host(look), converged);

    // Both follow the configuration, and what systemd reads at boot is what is live now.
    lab.converge(&body(778));
    lab.on_host("sysctl -qw net.core.somaxconn=1; systemctl restart systemd-sysctl");
    assert_eq!(lab.on_host(look), converged.replace("777", "778"));
    lab.assert_converged();

    lab.converge("");
    assert_eq!(
        lab.on_host("sysctl -n net.core.somaxconn net.ipv4.ip_local_port_range"),
        before
    );
    assert_eq!(lab.on_host("ls /etc/sysctl.d/[67]0-p*.conf 2>/dev/null || true"), "");
}

#[test]
fn a_value_that_the_kernel_refuses_or_changes_is_an_error() {
    let lab = Lab::new();
    let before = lab.on_host("sysctl -n net.core.somaxconn");
    let refused = lab.apply("[sysctl]\n\"net.core.somaxconn\" = -5\n").expect(3);
    let said = refused.told();
    assert!(
        said.contains("the kernel does not take \"-5\" for net.core.somaxconn") && said.contains("Invalid argument"),
        "{said}"
    );
    assert_eq!(lab.on_host("sysctl -n net.core.somaxconn"), before);

    // The kernel reads a leading zero as octal.
    let changed = lab.apply("[sysctl]\n\"net.core.somaxconn\" = \"0200\"\n").expect(3);
    let said = changed.told();
    assert!(
        said.contains("the kernel kept \"128\"") && said.contains("to fix it: write the value"),
        "{said}"
    );
    // The mistake is corrected as it says, and what was there before all of it is not forgotten.
    lab.converge("[sysctl]\n\"net.core.somaxconn\" = 128\n");
    lab.converge("");
    assert_eq!(lab.on_host("sysctl -n net.core.somaxconn"), before);

    let unknown = lab.apply("[sysctl]\n\"net.core.no_such_thing\" = 1\n").expect(1);
    assert!(
        unknown.told().contains("this kernel has no such parameter"),
        "{}",
        unknown.told()
    );
}

#[test]
fn a_power_cut_before_all_is_done_forgets_no_live_original() {
    let mut lab = Lab::new();
    let key = "net.core.somaxconn";
    let before = lab.on_host(&format!("sysctl -n {key}"));
    assert_ne!(before, "777");
    // The check of the second file waits for the power cut: whatever comes before it is done, and nothing else.
    let body = format!(
        "[sysctl]\n\"{key}\" = 777\n[files.\"/srv/waits\"]\ntext = \"x\"\nvalidate = [\"/bin/sh\", \"-c\", \"touch /srv/waiting; until [ -e /srv/open ]; do sleep 0.02; done\"]\n"
    );
    lab.declare(&body);
    let running = crate::faults::start(&lab, &["apply", "--yes"]);
    crate::faults::until("the check waits", || lab.outside("/srv/waiting").exists());
    lab.host.power_cut().unwrap();
    std::fs::write(lab.outside("/srv/open"), "").unwrap();
    lab.host.boot().unwrap();
    let _ = running.ends().expect(3);

    lab.converge(&body);
    assert_eq!(lab.on_host(&format!("sysctl -n {key}")), "777");
    lab.converge("");
    assert_eq!(lab.on_host(&format!("sysctl -n {key}")), before);
}
