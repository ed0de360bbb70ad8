//! Probes on a real host: gates of an apply, and eyes of drift.

use crate::lab::{Lab, moved};

/// A server in the Perl that every Debian has: it answers what `/srv/answer` says, and counts the questions.
const SERVER: &str = r#"
[units."web.service"]
active = true
settle = "100ms"
text = """
[Service]
ExecStart=/usr/bin/perl /usr/local/lib/web.pl
"""
[files."/usr/local/lib/web.pl"]
text = '''
use IO::Socket::INET;
my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1:8099", Listen => 9, ReuseAddr => 1) or die;
while (my $c = $s->accept) {
    while (my $line = <$c>) { last if $line =~ /^\r?$/ }
    open(my $n, ">>", "/srv/asked"); print $n "x"; close $n;
    open(my $f, "<", "/srv/answer") or next;
    my ($status, $body) = map { chomp; $_ } <$f>;
    print $c "HTTP/1.1 $status\r\nContent-Length: ", length $body, "\r\n\r\n$body";
}
'''
"#;

#[test]
fn probes_pass_gate_an_apply_and_tell_in_drift() {
    let lab = Lab::new();
    lab.on_host("printf '204 fine\\nall is well\\n' > /srv/answer");
    let body = format!(
        r#"{SERVER}
[probes.http]
http = "http://127.0.0.1:8099/healthz"
status = 204
[probes.tcp]
tcp = "localhost:8099"
[probes.unit]
unit = "web.service"
"#
    );
    lab.converge(&body);
    let look = lab.provision(&["plan", "--verbose"]).expect(0);
    for seen in ["it passes: 204", "it passes: connected", "it passes: active"] {
        assert!(look.stdout.contains(seen), "no {seen:?}: {}", look.told());
    }

    lab.on_host("printf '500 broken\\nall is well\\n' > /srv/answer");
    assert_eq!(lab.drift(), moved(&[("probe:http", "host")]));
    let plan = lab.plan().expect(2);
    assert!(plan.stdout.contains("500 where 204 is expected"), "{}", plan.told());
    lab.on_host("systemctl stop web.service");
    assert_eq!(
        lab.drift(),
        moved(&[
            ("probe:http", "host"),
            ("probe:tcp", "host"),
            ("probe:unit", "host"),
            ("unit:web.service", "host"),
        ])
    );
    lab.on_host("printf '204 fine\\nall is well\\n' > /srv/answer");
    // The gate comes after what it looks at: healing the unit heals the probes.
    let ids = lab.plan_ids();
    assert_eq!(ids.first().map(String::as_str), Some("unit:web.service"), "{ids:?}");
    lab.converge(&body);
    // A probe is only a look: nothing of it stays.
    lab.converge("");
}

#[test]
fn a_gate_waits_for_its_body_as_often_as_it_must_and_no_longer_than_it_may() {
    let lab = Lab::new();
    lab.on_host("printf '200 ok\\nstarting\\n' > /srv/answer");
    let body = |timeout: &str, threshold: u32| {
        format!(
            "{SERVER}\n[probes.ready]\nhttp = \"http://127.0.0.1:8099/\"\nbody = \"ready\"\n\
             timeout = \"{timeout}\"\ninterval = \"100ms\"\nthreshold = {threshold}\n"
        )
    };
    let failed = lab.apply(&body("1s", 1)).expect(3);
    let said = failed.told();
    assert!(
        said.contains("it did not pass within 1s: 200 without the expected text"),
        "{said}"
    );
    // All before the gate is done and recorded; only the gate is open, and was never passed.
    assert_eq!(lab.drift(), moved(&[("probe:ready", "new")]));

    lab.on_host("printf '200 ok\\nis ready now\\n' > /srv/answer; rm /srv/asked");
    lab.assert_converged();
    let asked = || lab.on_host("stat -c %s /srv/asked").parse::<u32>().unwrap();
    let before = asked();
    // Something changes, so the gate is passed anew: five times in a row, and a look before.
    let changed = body("20s", 5) + "[files.\"/etc/other\"]\ntext = \"x\"\n";
    let _ = lab.apply(&changed).expect(0);
    assert!((5..=7).contains(&(asked() - before)), "{} to {}", before, asked());
    lab.assert_converged();
}
