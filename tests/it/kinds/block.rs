//! Blocks in files of others, and public keys, on a real host.

use std::fs;

use crate::lab::{Lab, moved};

/// Public halves of keys that nobody has.
const KEYS: [&str; 2] = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJwnYy9w4lHj0rJ8m9a4xQm0mGZx0v0j1S5bq1l5m3yQ one",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJwnYy9w4lHj0rJ8m9a4xQm0mGZx0v0j1S5bq1l5m3yR two",
];

#[test]
fn a_block_is_put_left_alone_healed_updated_and_taken_out_and_all_else_stays() {
    let lab = Lab::new();
    // Not text, and without a line feed at its end.
    let theirs: &[u8] = b"127.0.0.1 localhost\n\xff\xfe\r\n192.0.2.7 last";
    let path = lab.outside("/etc/hosts.theirs");
    fs::write(&path, theirs).unwrap();
    lab.on_host("chown daemon:games /etc/hosts.theirs; chmod 0604 /etc/hosts.theirs");
    let body = |text: &str| {
        format!(
            "[blocks.\"/etc/hosts.theirs#bots\"]\ntext = \"{text}\\n\"\n\
             [blocks.\"/etc/hosts.theirs#more\"]\ntext = \"more\"\n\
             [blocks.\"/etc/new#bots\"]\ntext = \"{text}\\n\"\ncomment = \";\"\nmode = \"0600\"\n"
        )
    };
    lab.declare(&body("192.0.2.1 a"));
    let plan = lab.plan().expect(2);
    assert!(plan.stdout.contains("+192.0.2.1 a"), "{}", plan.told());
    lab.converge(&body("192.0.2.1 a"));
    let with = |text: &str| {
        let ours = format!(
            "\n# begin provision bots\n{text}\n# end provision bots\n# begin provision more\nmore\n# end provision more\n"
        );
        [theirs, ours.as_bytes()].concat()
    };
    assert_eq!(fs::read(&path).unwrap(), with("192.0.2.1 a"));
    let look = "stat -c '%a %U %G' /etc/hosts.theirs /etc/new; cat /etc/new";
    let new = "; begin provision bots\n192.0.2.1 a\n; end provision bots";
    assert_eq!(lab.on_host(look), format!("604 daemon games\n600 root root\n{new}"));

    // What others write beside it is theirs, and no drift; what they write into it is.
    lab.on_host("echo 192.0.2.8 later >> /etc/hosts.theirs; chmod 0640 /etc/hosts.theirs");
    lab.assert_converged();
    lab.on_host("sed -i 's/192.0.2.1 a/192.0.2.66 evil/' /etc/hosts.theirs; chmod 0644 /etc/new");
    assert_eq!(
        lab.drift(),
        moved(&[
            ("block:/etc/hosts.theirs#bots", "host"),
            ("block:/etc/new#bots", "host")
        ])
    );
    lab.converge(&body("192.0.2.2 b"));
    let later = [with("192.0.2.2 b").as_slice(), b"192.0.2.8 later\n"].concat();
    assert_eq!(fs::read(&path).unwrap(), later);
    assert_eq!(
        lab.on_host("stat -c '%a %U' /etc/hosts.theirs /etc/new"),
        "640 daemon\n600 root"
    );

    // Half of it gone: nobody can tell what is ours, so nothing is touched.
    lab.on_host("cp -p /etc/hosts.theirs /root/kept; sed -i '/end provision bots/d' /etc/hosts.theirs");
    let refused = lab.apply(&body("192.0.2.3 c")).expect(1);
    assert!(
        refused.told().contains("only one of the block's two markers is there"),
        "{}",
        refused.told()
    );
    lab.on_host("mv /root/kept /etc/hosts.theirs; sed -i '/later/d' /etc/hosts.theirs");

    lab.converge("");
    assert_eq!(fs::read(&path).unwrap(), theirs);
    assert_eq!(
        lab.on_host("stat -c '%a %U %G' /etc/hosts.theirs; test ! -e /etc/new"),
        "640 daemon games"
    );
}

#[test]
fn a_unit_restarts_when_a_block_in_a_file_that_it_names_changes() {
    let lab = Lab::new();
    lab.on_host("echo THEIRS=1 > /etc/default/bot");
    let body = |word: &str| {
        format!(
            "[blocks.\"/etc/default/bot#ours\"]\ntext = \"WORD={word}\\n\"\n\
             [units.\"bot.service\"]\nactive = true\nsettle = \"100ms\"\n\
             text = \"[Service]\\nEnvironmentFile=/etc/default/bot\\nExecStart=/bin/sh -c 'echo $WORD $THEIRS >> /root/words; exec sleep 99999'\\n\"\n"
        )
    };
    lab.converge(&body("one"));
    lab.declare(&body("two"));
    assert_eq!(lab.plan_ids(), ["block:/etc/default/bot#ours", "unit:bot.service"]);
    lab.converge(&body("two"));
    assert_eq!(lab.on_host("cat /root/words"), "one 1\ntwo 1");
}

#[test]
fn public_keys_are_added_beside_those_of_others_and_their_permissions_healed() {
    let lab = Lab::new();
    let body = |keys: &str| {
        format!(
            "[users.bot]\nhome = \"/home/bot\"\nauthorized_keys = [{keys}]\n\
             [users.root]\nhome = \"/root\"\nshell = \"/bin/bash\"\nauthorized_keys = [\"{}\"]\n",
            KEYS[0]
        )
    };
    let before =
        lab.on_host("cat /root/.ssh/authorized_keys | sha256sum; stat -c %a /root/.ssh /root/.ssh/authorized_keys");
    let two = format!("\"{}\", \"{}\"", KEYS[0], KEYS[1]);
    lab.declare(&body(&two));
    assert_eq!(lab.planned("block:/root/.ssh/authorized_keys#keys")["access"], true);
    lab.converge(&body(&two));
    let look = "stat -c '%a %U %G' /home/bot/.ssh /home/bot/.ssh/authorized_keys; grep -c ssh- /home/bot/.ssh/authorized_keys; ssh-keygen -lf /home/bot/.ssh/authorized_keys | wc -l";
    assert_eq!(lab.on_host(look), "700 bot bot\n600 bot bot\n2\n2");
    // What the host had for root is there still, or nobody had come in to make the plan.
    assert_eq!(lab.on_host("grep -c ssh- /root/.ssh/authorized_keys"), "2");

    // A key that the person adds stays; ours come back, and so do the permissions that sshd demands.
    lab.on_host("echo 'ssh-rsa theirs' >> /home/bot/.ssh/authorized_keys; sed -i / two$/d /home/bot/.ssh/authorized_keys; chmod 0666 /home/bot/.ssh/authorized_keys".replace("/ two$/d", "'/ two$/d'").as_str());
    assert_eq!(
        lab.drift(),
        moved(&[("block:/home/bot/.ssh/authorized_keys#keys", "host")])
    );
    lab.converge(&body(&two));
    assert_eq!(
        lab.on_host("stat -c %a /home/bot/.ssh/authorized_keys; grep -c ssh- /home/bot/.ssh/authorized_keys"),
        "600\n3"
    );
    lab.converge(&body(&format!("\"{}\"", KEYS[1])));
    assert_eq!(
        lab.on_host("grep -o '\\(theirs\\|one\\|two\\)$' /home/bot/.ssh/authorized_keys"),
        "two\ntheirs"
    );

    // A second name of a file that the person could not read is not given to them.
    lab.on_host("rm /home/bot/.ssh/authorized_keys; echo secret > /root/secret; chmod 0600 /root/secret; ln /root/secret /home/bot/.ssh/authorized_keys");
    let refused = lab.apply(&body(&two)).expect(3);
    assert!(refused.told().contains("hard links"), "{}", refused.told());
    assert_eq!(
        lab.on_host("stat -c '%a %U' /root/secret; rm /home/bot/.ssh/authorized_keys"),
        "600 root"
    );
    lab.converge(&body(&two));

    lab.converge("");
    lab.on_host("! getent passwd bot; test ! -e /home/bot/.ssh");
    assert_eq!(
        lab.on_host("cat /root/.ssh/authorized_keys | sha256sum; stat -c %a /root/.ssh /root/.ssh/authorized_keys"),
        before
    );
}
