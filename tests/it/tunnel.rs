//! Tunnels to real hosts: bytes both ways through sshd, refused where it forbids them, and gone with Ctrl-C.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::lab::Lab;

/// An echo server on loopback, which says so once it listens.
const SERVER: &str = r#"use IO::Socket::INET;
my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1:$ARGV[0]", Listen => 9, ReuseAddr => 1) or die;
open(my $told, ">", "/srv/told") or die;
close $told;
while (my $c = $s->accept) {
    if (!fork) { while (sysread($c, my $b, 65536)) { syswrite($c, $b); } exit; }
}
"#;

/// A running tunnel.
struct Tunnel {
    child: Child,
    /// Its line of JSON.
    open: serde_json::Value,
}

impl Tunnel {
    fn open(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        if line.is_empty() {
            let output = child.wait_with_output().unwrap();
            panic!("{}", String::from_utf8_lossy(&output.stderr));
        }
        let open = serde_json::from_str(&line).unwrap();
        Self { child, open }
    }

    fn connect(&self) -> TcpStream {
        let port = u16::try_from(self.open["local"].as_u64().unwrap()).unwrap();
        TcpStream::connect(("127.0.0.1", port)).unwrap()
    }

    fn interrupt(mut self) -> i32 {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        self.child.wait().unwrap().code().unwrap()
    }
}

/// Sends bytes, ends them, and gives what comes back.
fn echoed(mut stream: TcpStream, bytes: &[u8]) -> Vec<u8> {
    let mut writing = stream.try_clone().unwrap();
    let sent = bytes.to_vec();
    let writer = std::thread::spawn(move || {
        writing.write_all(&sent).unwrap();
        writing.shutdown(Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    writer.join().unwrap();
    back
}

#[test]
fn bytes_go_both_ways_for_a_unit_and_for_a_port_until_ctrl_c() {
    let lab = Lab::new();
    fs::write(lab.outside("/srv/server.pl"), SERVER).unwrap();
    lab.write(
        "modules/echo.toml",
        "description = \"An echo.\"\n[options.port]\ntype = \"port\"\ndescription = \"Where.\"\n\
         [ports.echo]\nport = \"{{ port }}\"\nalso = [\"{{ port + 1 }}\"]\naddress = \"127.0.0.1\"\n\
         [units.\"echo.service\"]\nactive = true\nsettle = \"100ms\"\ntext = \"[Service]\\nExecStart=/usr/bin/perl /srv/server.pl {{ port }}\\n\"\n",
    );
    lab.on_host("mkfifo /srv/told");
    lab.converge("imports = [\"echo\"]\n[set.echo]\nport = 7007\n");
    lab.on_host("cat /srv/told");

    let tunnel = Tunnel::open(lab.command(&["tunnel", lab.name(), "echo", "--json"]));
    assert_eq!(
        (&tunnel.open["type"], &tunnel.open["port"]),
        (&"tunnel".into(), &7007.into())
    );
    assert!(tunnel.open["url"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    let much: Vec<u8> = (0..3_000_000_u32)
        .map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1])
        .collect();
    assert_eq!(echoed(tunnel.connect(), b"small"), b"small");
    let at_once: Vec<_> = (0..4)
        .map(|_| {
            let (stream, much) = (tunnel.connect(), much.clone());
            std::thread::spawn(move || echoed(stream, &much) == much)
        })
        .collect();
    assert!(
        at_once.into_iter().all(|thread| thread.join().unwrap()),
        "bytes were changed on the way"
    );
    // An open connection ends with the tunnel.
    let mut idle = tunnel.connect();
    idle.write_all(b"x").unwrap();
    let mut one = [0];
    idle.read_exact(&mut one).unwrap();
    assert_eq!(tunnel.interrupt(), 0);
    assert!(matches!(idle.read(&mut one), Ok(0) | Err(_)), "it lives on");

    // A unit that nobody claims a port for is found by who listens; the port here is the one that is asked for.
    lab.on_host("systemd-run --quiet --unit=other perl /srv/server.pl 7117; cat /srv/told");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let tunnel = Tunnel::open(lab.command(&["tunnel", lab.name(), "other", "--json", "--local", &free.to_string()]));
    assert_eq!(
        (&tunnel.open["port"], &tunnel.open["local"]),
        (&7117.into(), &free.into())
    );
    assert_eq!(echoed(tunnel.connect(), b"other"), b"other");
    assert_eq!(tunnel.interrupt(), 0);
    let none = lab.provision(&["tunnel", lab.name(), "cron"]).expect(1);
    assert!(
        none.stderr.contains("cron.service listens on no TCP port"),
        "{}",
        none.told()
    );
}

#[test]
fn a_port_where_nobody_listens_yet_is_warned_of_and_works_later() {
    let lab = Lab::new();
    fs::write(lab.outside("/srv/server.pl"), SERVER).unwrap();
    lab.on_host("mkfifo /srv/told");
    let tunnel = Tunnel::open(lab.command(&["tunnel", lab.name(), "7227", "--json"]));
    assert_eq!(echoed(tunnel.connect(), b""), b"", "nobody answers");
    lab.on_host("systemd-run --quiet --unit=late perl /srv/server.pl 7227; cat /srv/told");
    assert_eq!(echoed(tunnel.connect(), b"late"), b"late");
    let mut tunnel = tunnel;
    let mut stderr = tunnel.child.stderr.take().unwrap();
    assert_eq!(tunnel.interrupt(), 0);
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    assert!(
        said.contains("warning:") && said.contains("cannot connect to 127.0.0.1:7227"),
        "{said}"
    );
}

#[test]
fn an_sshd_that_forbids_it_and_a_host_that_goes_are_told() {
    let lab = Lab::new();
    let tunnel = Tunnel::open(lab.command(&["tunnel", lab.name(), "22", "--json"]));
    lab.on_host("echo 'AllowTcpForwarding no' > /etc/ssh/sshd_config.d/no.conf; systemctl restart ssh");
    let refused = lab.provision(&["tunnel", lab.name(), "22"]).expect(1);
    for seen in [
        "the host's sshd does not allow it",
        "AllowTcpForwarding no",
        "no-port-forwarding",
    ] {
        assert!(refused.stderr.contains(seen), "no {seen:?}: {}", refused.told());
    }
    assert_eq!(refused.stdout, "", "no URL of a tunnel that is none");
    // The connection dies under the tunnel that was open before.
    lab.on_host(
        "systemctl kill --signal=KILL ssh.service
for s in $(systemctl list-units --plain --no-legend 'session-*.scope' | cut -d' ' -f1); do systemctl kill --signal=KILL $s; done",
    );
    let mut tunnel = tunnel;
    assert_eq!(tunnel.child.wait().unwrap().code(), Some(4));
}
