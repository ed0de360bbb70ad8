//! The way to a host that ends early: nobody listens, nobody speaks, the key is not the one that is pinned, the user
//! cannot become root, the login shell makes noise. Each is told for what it is, within its time.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::running::{note, until};
use crate::lab::{Lab, Ran};

const BODY: &str = "[files.\"/srv/file\"]\ntext = \"one\\n\"\n";

/// Declares the host with its own table changed.
fn declare(lab: &Lab, change: impl Fn(String) -> String) {
    let text = lab.host_file(lab.host.ssh_address().port(), BODY);
    let changed = change(text.clone());
    assert_ne!(changed, text);
    lab.write(&format!("hosts/{}.toml", lab.name()), &changed);
}

/// How often anybody tried to log in, as the host's own log has it.
fn logins(lab: &Lab) -> String {
    lab.on_host(
        "journalctl --sync; journalctl -q -u ssh --output=cat | grep -cE 'Accepted|authenticating|Failed' || true",
    )
}

/// Plans, and fails the test unless the host cannot be reached for a reason that contains all of these.
#[track_caller]
fn unreachable(lab: &Lab, args: &[&str], parts: &[&str]) -> Ran {
    let begun = Instant::now();
    let ran = lab.provision(args).expect(4);
    note(format_args!("{args:?}: {}", parts[0]), begun);
    for part in parts {
        assert!(ran.told().contains(part), "no {part:?} in {}", ran.told());
    }
    ran
}

#[test]
fn a_host_that_refuses_and_one_that_never_speaks() {
    let lab = Lab::new();
    declare(&lab, |text| text.replace("port = 22", "port = 9"));
    unreachable(&lab, &["plan"], &["cannot connect", "refused", "hint:"]);
    unreachable(&lab, &["apply", "--yes"], &["cannot connect", "refused", "hint:"]);

    // The kernel takes the connection, and nobody ever says anything on it.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    lab.write(
        &format!("hosts/{}.toml", lab.name()),
        &lab.host_file_at("127.0.0.1", port, BODY),
    );
    let begun = Instant::now();
    unreachable(
        &lab,
        &["plan", "--timeout", "2s"],
        &["cannot connect", "SSH banner", "2 s"],
    );
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn an_unknown_key_is_refused_with_the_line_to_pin_and_nothing_is_sent() {
    let lab = Lab::new();
    let before = logins(&lab);
    declare(&lab, |text| {
        text.lines()
            .filter(|line| !line.starts_with("host_key"))
            .collect::<Vec<_>>()
            .join("\n")
    });
    let fingerprint = lab.on_host("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d' ' -f2");
    let key = lab
        .host
        .host_key()
        .split_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(" ");
    let ran = unreachable(&lab, &["plan"], &["host key", &fingerprint, "ssh-ed25519"]);
    let pin = format!("host_key = \"{key}\"");
    assert!(ran.told().contains(&pin), "no {pin} in {}", ran.told());
    assert_eq!(logins(&lab), before, "nobody tried to log in");

    // The way that it names is the way.
    let known = format!("{} {key}\n", lab.host.address());
    lab.write(".ssh/known_hosts", &known);
    let _ = lab.provision(&["plan", "--detailed-exitcode"]).expect(2);
    lab.write(".ssh/known_hosts", "");
    lab.declare(BODY);
    let _ = lab.provision(&["plan", "--detailed-exitcode"]).expect(2);
}

#[test]
fn a_changed_key_is_refused_with_both_fingerprints() {
    let lab = Lab::new();
    lab.declare(BODY);
    let old = lab.on_host("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d' ' -f2");
    lab.on_host("rm /etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; systemctl restart ssh");
    let new = lab.on_host("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d' ' -f2");
    let before = logins(&lab);
    until("sshd is back", || {
        std::net::TcpStream::connect(lab.host.ssh_address()).is_ok()
    });
    unreachable(&lab, &["plan"], &["host key", &old, &new]);

    // A key of another kind than the pinned one is no first contact: it is a changed key.
    lab.on_host(
        "rm /etc/ssh/ssh_host_*; ssh-keygen -q -t ecdsa -N '' -f /etc/ssh/ssh_host_ecdsa_key; systemctl restart ssh",
    );
    let ecdsa = lab.on_host("ssh-keygen -lf /etc/ssh/ssh_host_ecdsa_key.pub | cut -d' ' -f2");
    until("sshd is back", || {
        std::net::TcpStream::connect(lab.host.ssh_address()).is_ok()
    });
    unreachable(&lab, &["plan"], &["changed", &old, &ecdsa]);
    assert_eq!(logins(&lab), before, "nobody tried to log in");
}

/// A user that may log in with the host's key, with this shell and this line in sudoers.
fn user(lab: &Lab, name: &str, shell: &str, sudoers: &str) {
    lab.on_host(&format!(
        "useradd -m -s {shell} {name}; install -d -m 0700 -o {name} -g {name} /home/{name}/.ssh; \
         install -m 0600 -o {name} -g {name} /root/.ssh/authorized_keys /home/{name}/.ssh/authorized_keys; \
         printf '{name} {sudoers}\\n' > /etc/sudoers.d/{name}; chmod 0440 /etc/sudoers.d/{name}"
    ));
}

fn declare_user(lab: &Lab, name: &str) {
    declare(lab, |text| {
        text.replace("user = \"root\"", &format!("user = \"{name}\""))
    });
}

#[test]
fn a_user_with_sudo_applies_whatever_the_shell_says_at_login() {
    let lab = Lab::new();
    user(&lab, "noisy", "/bin/bash", "ALL=(ALL:ALL) NOPASSWD: ALL");
    // bash reads it for commands over SSH, too.
    lab.on_host("sed -i '1i echo welcome to this fine host; printf \"\\\\033[31mnews\\\\033[0m\\\\n\"; echo to-stderr >&2' /home/noisy/.bashrc");
    assert!(lab.on_host("head -1 /home/noisy/.bashrc").contains("welcome"));
    declare_user(&lab, "noisy");
    let _ = lab.provision(&["plan", "--detailed-exitcode"]).expect(2);
    let ran = lab.provision(&["apply", "--yes"]).expect(0);
    assert!(!ran.told().contains("welcome"), "{}", ran.told());
    assert_eq!(lab.on_host("stat -c %U /srv/file; cat /srv/file"), "root\none");
    lab.assert_converged();

    user(&lab, "plain", "/bin/dash", "ALL=(ALL:ALL) NOPASSWD: ALL");
    declare_user(&lab, "plain");
    lab.assert_converged();

    // A shell that is none of POSIX's, and greets as well; as root's, too, since root needs no sudo.
    lab.on_host("apt-get -qq update >&2 && apt-get -qq install -y --no-install-recommends fish >&2");
    user(&lab, "fishy", "/usr/bin/fish", "ALL=(ALL:ALL) NOPASSWD: ALL");
    lab.on_host("mkdir -p /home/fishy/.config/fish; echo 'echo welcome to the sea; set_color red' > /home/fishy/.config/fish/config.fish; chown -R fishy: /home/fishy");
    for fishy in ["fishy", "root"] {
        lab.on_host("usermod -s /usr/bin/fish root; rm -rf /var/lib/provision/agents");
        declare(&lab, |text| {
            text.replace("user = \"root\"", &format!("user = \"{fishy}\" # fish"))
        });
        let ran = lab.provision(&["plan", "--detailed-exitcode"]).expect(0);
        assert!(!ran.told().contains("welcome"), "{}", ran.told());
        // What a command's arguments are does not depend on who reads the line.
        let said = [
            "a b", "it's", "$HOME", "(id)", "a\\b", "\\'", "{a,b}", "~", "*", "", "é",
        ];
        let mut args = vec!["exec", lab.name(), "--", "printf", "<%s>\\n"];
        args.extend(said);
        let ran = lab.provision(&args).expect(0);
        for word in said {
            let escaped = word.replace('\\', "\\\\");
            assert!(
                ran.stdout.contains(&format!("<{word}>")) || ran.stdout.contains(&format!("<{escaped}>")),
                "no {word:?} in {}",
                ran.told()
            );
        }
    }
    lab.on_host("usermod -s /bin/bash root");

    // More than a greeting is no shell to talk through; it is refused soon, and in bounded memory.
    user(&lab, "loud", "/bin/bash", "ALL=(ALL:ALL) NOPASSWD: ALL");
    lab.on_host("sed -i '1i yes' /home/loud/.bashrc");
    declare_user(&lab, "loud");
    unreachable(&lab, &["plan", "--timeout", "10s"], &["no frame within the first"]);
}

#[test]
fn a_sudo_that_asks_for_a_password_is_an_error_at_once() {
    let lab = Lab::new();
    lab.converge("");
    user(&lab, "asked", "/bin/bash", "ALL=(ALL:ALL) ALL");
    lab.on_host("echo asked:secret | chpasswd");
    declare_user(&lab, "asked");
    let begun = Instant::now();
    unreachable(&lab, &["plan"], &["cannot become root", "sudo", "NOPASSWD"]);
    // The aim is two seconds on a machine that does nothing else.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());

    user(&lab, "nobody-special", "/bin/bash", "ALL=(nobody) NOPASSWD: /bin/true");
    declare_user(&lab, "nobody-special");
    unreachable(&lab, &["plan"], &["cannot become root", "sudo"]);

    // A host without sudo.
    lab.on_host("mv /usr/bin/sudo /usr/bin/no-sudo");
    declare_user(&lab, "asked");
    unreachable(&lab, &["plan"], &["cannot become root", "sudo"]);
}

#[test]
fn a_login_that_is_not_allowed_says_so() {
    let lab = Lab::new();
    lab.on_host("mv /root/.ssh/authorized_keys /root/.ssh/not-any-more");
    lab.declare(BODY);
    unreachable(&lab, &["plan"], &["cannot log in", "publickey"]);
}

#[test]
fn a_server_with_too_many_logins_is_tried_again_and_then_told_as_such() {
    let lab = Lab::new();
    lab.on_host("printf 'MaxStartups 1\\nPerSourcePenalties no\\nLogLevel VERBOSE\\n' >> /etc/ssh/sshd_config; sed -i '/PerSource/d' /etc/ssh/sshd_config; systemctl restart ssh");
    until("sshd is back", || {
        std::net::TcpStream::connect(lab.host.ssh_address()).is_ok()
    });
    lab.declare(BODY);
    let _ = lab.provision(&["plan", "--detailed-exitcode"]).expect(2);
    let refused = || -> u32 {
        let count = "journalctl --sync; journalctl -q -u ssh --output=cat | grep -ciE 'MaxStartups' || true";
        lab.on_host(count).parse().unwrap()
    };

    // Somebody who says nothing has the only place.
    let held = std::net::TcpStream::connect(lab.host.ssh_address()).unwrap();
    std::io::Read::read_exact(&mut &held, &mut [0; 4]).unwrap();
    unreachable(
        &lab,
        &["plan"],
        &[
            "cannot connect",
            "before it greeted",
            "MaxStartups",
            "tried several times",
        ],
    );

    // The place is free again before the tries are over.
    let before = refused();
    let running = super::scene::start(&lab, &["plan", "--detailed-exitcode"]);
    until("it is turned away", || refused() > before);
    drop(held);
    let _ = running.ends().expect(2);

    // Many at once, as through one jump host, find a place after each other.
    for number in 0..4 {
        let text = lab.host_file(lab.host.ssh_address().port(), BODY);
        lab.write(&format!("hosts/same-{number}.toml"), &text);
    }
    lab.on_host("sed -i 's/^MaxStartups.*/MaxStartups 3/' /etc/ssh/sshd_config; systemctl restart ssh");
    until("sshd is back", || {
        std::net::TcpStream::connect(lab.host.ssh_address()).is_ok()
    });
    let ran = lab.provision(&["plan", "--detailed-exitcode"]).expect(2);
    assert_eq!(ran.stdout.matches("file:/srv/file").count(), 5, "{}", ran.told());
}
