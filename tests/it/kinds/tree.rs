//! Archives and sets of npm packages on a real host, from its own disk: no mirror decides how these tests end.

use crate::lab::{Lab, moved};

/// Packs a version of a tool, and gives the SHA-256 of the archive.
fn pack(lab: &Lab, version: &str) -> String {
    lab.on_host(&format!(
        "set -e; d=$(mktemp -d); mkdir -p $d/tool-{version}/bin; cd $d
         printf '#!/bin/sh\\necho {version} >> /root/starts; exec sleep infinity\\n' > tool-{version}/bin/tool; chmod 755 tool-{version}/bin/tool
         chown -R daemon:games tool-{version}; tar -czf /srv/tool-{version}.tar.gz tool-{version}; sha256sum /srv/tool-{version}.tar.gz | cut -d' ' -f1"
    ))
}

/// A curl that fetches from this host's disk what the URL names: the throwaway host needs no network for it.
fn curl(lab: &Lab) {
    lab.on_host(
        "cat > /usr/local/bin/curl <<'END'
#!/bin/sh
for word; do case $word in file:*) from=${word#file://localhost} ;; esac; done
while [ $# -gt 0 ]; do [ \"$1\" = --output ] && to=$2; shift; done
exec cp -- \"$from\" \"$to\"
END
chmod 755 /usr/local/bin/curl",
    );
}

#[test]
fn an_archive_is_unpacked_left_alone_healed_swapped_whole_and_removed() {
    let lab = Lab::new();
    curl(&lab);
    let (one, two) = (pack(&lab, "1"), pack(&lab, "2"));
    let body = |version: &str, sha256: &str| {
        format!(
            "[archives.\"/opt/tool\"]\nurl = \"file://localhost/srv/tool-{version}.tar.gz\"\nsha256 = \"{sha256}\"\nstrip = 1\n\
             [units.\"tool.service\"]\nactive = true\nsettle = \"100ms\"\ntext = \"[Service]\\nExecStart=/opt/tool/bin/tool\\n\"\n"
        )
    };
    lab.converge(&body("1", &one));
    let look = "stat -c '%a %U %G' /opt/tool/bin/tool; ls -A /opt | grep -c '^.tool-[0-9a-f]*$'; cat /root/starts";
    assert_eq!(lab.on_host(look), "755 root root\n1\n1");

    // A file of it is edited: it is unpacked again, and nothing else than it was.
    lab.on_host("echo '# by hand' >> /opt/tool/bin/tool");
    assert_eq!(lab.drift(), moved(&[("archive:/opt/tool", "host")]));
    lab.converge(&body("1", &one));
    assert_eq!(lab.on_host("grep -c hand /opt/tool/bin/tool || true"), "0");

    // A new version: swapped in whole, what runs it restarts, and the old one stays for the way back.
    lab.converge(&body("2", &two));
    assert_eq!(
        lab.on_host("tail -1 /root/starts; ls -A /opt | grep -c '^.tool-[0-9a-f]*$'"),
        "2\n2"
    );
    lab.on_host("rm /srv/tool-1.tar.gz");
    lab.converge(&body("1", &one));
    assert_eq!(lab.on_host("tail -1 /root/starts"), "1");

    // Anything but what was declared is not unpacked, and what is there stays.
    let refused = lab.apply(&body("2", &one)).expect(3);
    assert!(
        refused.told().contains("is not what was declared"),
        "{}",
        refused.told()
    );
    assert_eq!(
        lab.on_host("grep -c 'echo 1' /opt/tool/bin/tool; ls -A /opt | grep -c 'new\\|packed' || true"),
        "1\n0"
    );

    lab.converge("");
    assert_eq!(lab.on_host("ls -A /opt | grep tool || true"), "");
    // A directory of somebody's is not replaced by a link.
    lab.on_host("mkdir /opt/tool; echo precious > /opt/tool/f");
    let refused = lab.apply(&body("2", &two)).expect(1);
    assert!(
        refused.told().contains("is not one that provision has made"),
        "{}",
        refused.told()
    );
    assert_eq!(lab.on_host("cat /opt/tool/f"), "precious");
}

#[test]
fn npm_packages_are_installed_from_their_lockfile_beside_the_old_ones() {
    let lab = Lab::new();
    // What npm itself does is npm's; this one tells how it was called, and makes what a lockfile says.
    lab.on_host(
        "mkdir -p /opt/node/bin; cat > /opt/node/bin/npm <<'END'
#!/bin/sh
set -e
grep -q fail package-lock.json && { echo 'npm ERR! no such version' >&2; exit 1; }
echo \"$@ in $PWD with $PATH, cache $npm_config_cache, ca $NODE_EXTRA_CA_CERTS, options $NODE_OPTIONS\" > called
mkdir -p node_modules/bot $npm_config_cache; cp package-lock.json node_modules/bot/version
printf '#!/bin/sh\\npwd > prepared; echo $1 >> prepared\\n' > node_modules/bot/finish; chmod 755 node_modules/bot/finish
END
chmod 755 /opt/node/bin/npm",
    );
    let lock = |version: &str| {
        lab.write(
            "files/bot/package-lock.json",
            &format!(
                "{{ \"packages\": {{ \"\": {{ \"dependencies\": {{ \"bot\": \"^1\" }} }}, \
                 \"node_modules/bot\": {{ \"version\": \"{version}\", \"integrity\": \"sha512-x\" }} }} }}\n"
            ),
        )
    };
    lab.write("files/bot/package.json", "{ \"dependencies\": { \"bot\": \"^1\" } }\n");
    let body = "[npm.\"/opt/bot\"]\nmanifest = \"bot/package.json\"\nlock = \"bot/package-lock.json\"\nprograms = \"/opt/node/bin\"\nprepare = [\"node_modules/bot/finish\", \"a b\"]\n\
                [npm.\"/opt/bot\".env]\nNODE_OPTIONS = \"--use-openssl-ca\"\n";
    lock("1");
    lab.converge(body);
    let called = lab.on_host("cat /opt/bot/called");
    for word in [
        "ci --omit=dev",
        "--ignore-scripts",
        "with /opt/node/bin:",
        "ca /etc/ssl/certs",
        "options --use-openssl-ca",
    ] {
        assert!(called.contains(word), "no {word:?}: {called}");
    }
    assert_eq!(
        lab.on_host("grep -o 'version\": \"[a-z0-9]*' /opt/bot/node_modules/bot/version; ls -A /opt/bot"),
        "version\": \"1\ncalled\nnode_modules\npackage-lock.json\npackage.json\nprepared"
    );
    lab.on_host("rm -r /opt/bot/node_modules/bot");
    assert_eq!(lab.drift(), moved(&[("npm:/opt/bot", "host")]));
    lab.converge(body);

    // A set that cannot be installed leaves the old one in use.
    lock("fail");
    let refused = lab.apply(body).expect(3);
    assert!(refused.told().contains("no such version"), "{}", refused.told());
    assert_eq!(
        lab.on_host("grep -o 'version\": \"[a-z0-9]*' /opt/bot/node_modules/bot/version"),
        "version\": \"1"
    );
    lock("2");
    lab.converge(body);
    assert_eq!(
        lab.on_host("grep -o 'version\": \"[a-z0-9]*' /opt/bot/node_modules/bot/version; ls -A /opt | grep -c '^.bot-[0-9a-f]*$'"),
        "version\": \"2\n2"
    );
    lab.converge("");
    assert_eq!(lab.on_host("ls -A /opt | grep bot || true"), "");
}
