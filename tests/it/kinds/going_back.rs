//! The way back of blocks, seeds, switches and trees on a real host: what each generation left comes back, byte by byte.

use crate::lab::Lab;

/// Packs a version of a tool, and gives the SHA-256 of the archive. It lies on the host's own disk.
fn pack(lab: &Lab, version: &str) -> String {
    lab.on_host(&format!(
        "set -e; d=$(mktemp -d); mkdir $d/tool; echo {version} > $d/tool/version; cd $d; \
         tar -czf /srv/tool-{version}.tar.gz tool; sha256sum /srv/tool-{version}.tar.gz | cut -d' ' -f1"
    ))
}

/// All that the bodies below manage, as the host has it.
const DIGEST: &str = r"
for path in /etc/hosts.theirs /etc/made /etc/seeded /opt/tool; do
    stat -c '%n %F %a %U:%G %N' $path 2>/dev/null; [ -f $path ] && sha256sum < $path
done
cat /opt/tool/version 2>/dev/null
apt-mark showhold; ls /var/lib/systemd/linger 2>/dev/null; cat /etc/modules-load.d/built_in.conf 2>/dev/null
true";

#[test]
fn blocks_seeds_switches_and_trees_come_back_as_each_generation_left_them() {
    let lab = Lab::new();
    // What is fetched is on the host already, and curl is not there.
    lab.on_host(
        "printf '#!/bin/sh\\nfor word; do case $word in file:*) from=${word#file://localhost} ;; esac; done\\n\
         while [ $# -gt 0 ]; do [ \"$1\" = --output ] && to=$2; shift; done\\nexec cp -- \"$from\" \"$to\"\\n' > /usr/local/bin/curl; \
         chmod 755 /usr/local/bin/curl; printf 'theirs\\nlast' > /etc/hosts.theirs; chmod 0604 /etc/hosts.theirs; \
         mkdir -p /lib/modules/$(uname -r); echo kernel/net/built-in.ko >> /lib/modules/$(uname -r)/modules.builtin; \
         useradd -m bot",
    );
    let (one, two) = (pack(&lab, "1"), pack(&lab, "2"));
    let tool = |version: &str, sha256: &str| {
        format!(
            "[archives.\"/opt/tool\"]\nurl = \"file://localhost/srv/tool-{version}.tar.gz\"\nsha256 = \"{sha256}\"\nstrip = 1\n"
        )
    };
    let block = |text: &str| format!("[blocks.\"/etc/hosts.theirs#ours\"]\ntext = \"{text}\\n\"\n");
    let seed = "[files.\"/etc/seeded\"]\nseed = true\ntext = \"seed\\n\"\n";
    let bare = lab.on_host(DIGEST);
    let first = block("one")
        + &tool("1", &one)
        + "[blocks.\"/etc/made#ours\"]\ntext = \"made\\n\"\nmode = \"0600\"\n\
           [holds]\nsystemd = true\n[linger]\nbot = true\n[kernel_modules]\nbuilt_in = true\n";
    lab.converge(&first);
    let one = lab.on_host(DIGEST);
    let second = block("two\\nthree") + &tool("2", &two) + seed + "[holds]\nsystemd = false\n[linger]\nbot = false\n";
    lab.converge(&second);
    let two = lab.on_host(DIGEST);
    assert!(
        one.contains("systemd\nbot\nbuilt_in") && !two.contains("built_in"),
        "{one}\n{two}"
    );
    assert_ne!(one, two);
    // The versions are turned back and forth, not fetched again.
    lab.on_host("rm /srv/tool-*.tar.gz");
    for (to, digest) in [("1", &one), ("2", &two), ("1", &one), ("0", &bare)] {
        let ran = lab.provision(&["rollback", lab.name(), to, "--yes"]).expect(0);
        assert_eq!(lab.on_host(DIGEST), *digest, "back to {to}: {}", ran.told());
        let again = lab.provision(&["rollback", lab.name(), to, "--plan", "--detailed-exitcode"]);
        let _ = again.expect(0);
    }
}
