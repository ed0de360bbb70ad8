//! Files on a real host.

use std::fs;

use crate::lab::{Lab, moved};

/// Bytes that are no text in any encoding of it.
const BINARY: &[u8] = b"\x7fELF\0\xff\xfe\x80\r\n\x1b[31m";

#[test]
fn a_file_is_created_left_alone_healed_updated_and_removed() {
    let lab = Lab::new();
    let file =
        |text: &str, mode: &str| format!("[files.\"/etc/motd.test\"]\ntext = \"{text}\\n\"\nmode = \"{mode}\"\n");
    lab.declare(&file("one", "0640"));
    assert_eq!(lab.drift(), moved(&[("file:/etc/motd.test", "new")]));
    lab.converge(&file("one", "0640"));
    let look = "stat -c '%a %U %G' /etc/motd.test; cat /etc/motd.test";
    assert_eq!(lab.on_host(look), "640 root root\none");

    lab.on_host("echo by hand > /etc/motd.test; chmod 0600 /etc/motd.test; chown daemon:games /etc/motd.test");
    assert_eq!(lab.drift(), moved(&[("file:/etc/motd.test", "host")]));
    let plan = lab.plan().expect(2);
    for change in ["0600 → 0640", "daemon → root", "games → root"] {
        assert!(plan.stdout.contains(change), "{change}: {}", plan.told());
    }
    lab.converge(&file("one", "0640"));
    assert_eq!(lab.on_host(look), "640 root root\none");

    lab.declare(&file("two", "0644"));
    assert_eq!(lab.drift(), moved(&[("file:/etc/motd.test", "configuration")]));
    lab.on_host("echo by hand > /etc/motd.test");
    assert_eq!(lab.drift(), moved(&[("file:/etc/motd.test", "both")]));
    lab.converge(&file("two", "0644"));
    assert_eq!(lab.on_host(look), "644 root root\ntwo");

    lab.on_host("rm /etc/motd.test");
    assert_eq!(lab.drift(), moved(&[("file:/etc/motd.test", "host")]));
    lab.converge(&file("two", "0644"));

    lab.converge("");
    lab.on_host("test ! -e /etc/motd.test");
}

#[test]
fn content_comes_from_texts_local_files_and_templates_and_what_was_there_comes_back() {
    let lab = Lab::new();
    fs::create_dir_all(lab.root().join("files")).unwrap();
    fs::write(lab.root().join("files/tool.bin"), BINARY).unwrap();
    lab.write(
        "files/greeting.tera",
        "{% for word in [\"a\", \"b\"] %}{{ word }} {% endfor %}on {{ host.name }}\n",
    );
    fs::write(lab.outside("/etc/old.bin"), [0u8, 159, 146, 150]).unwrap();
    lab.on_host("chown daemon:games /etc/old.bin; chmod 4750 /etc/old.bin; echo as it was > /etc/same");
    let body = r#"
[files."/etc/greeting"]
template = "greeting.tera"
owner = "daemon"
group = "games"
mode = "0604"
[files."/etc/old.bin"]
file = "tool.bin"
mode = "0755"
[files."/etc/same"]
text = "as it was\n"
[files."/etc/empty"]
text = ""
"#;
    lab.declare(body);
    let plan = lab.plan().expect(2);
    // A binary content is named as such, and not shown.
    assert!(
        plan.stdout.contains("binary") && !plan.stdout.contains("ELF"),
        "{}",
        plan.told()
    );
    assert!(
        plan.stdout.contains(&format!("+a b on {}", lab.name())),
        "{}",
        plan.told()
    );
    lab.converge(body);
    assert_eq!(
        lab.on_host("stat -c '%a %U %G' /etc/greeting; cat /etc/greeting"),
        format!("604 daemon games\na b on {}", lab.name())
    );
    assert_eq!(fs::read(lab.outside("/etc/old.bin")).unwrap(), BINARY);
    assert_eq!(
        lab.on_host("stat -c '%s %U' /etc/empty /etc/old.bin"),
        format!("0 root\n{} root", BINARY.len())
    );

    // What was replaced comes back, also after it was replaced twice; what was never changed stays.
    fs::write(lab.root().join("files/tool.bin"), b"second").unwrap();
    lab.converge(body);
    lab.declare("");
    let plan = lab.plan().expect(2);
    assert!(
        plan.stdout.contains("was there before provision came"),
        "{}",
        plan.told()
    );
    lab.converge("");
    assert_eq!(fs::read(lab.outside("/etc/old.bin")).unwrap(), [0u8, 159, 146, 150]);
    assert_eq!(lab.on_host("stat -c '%a %U %G' /etc/old.bin"), "4750 daemon games");
    assert_eq!(
        lab.on_host("cat /etc/same; ls /etc/greeting /etc/empty 2>/dev/null || true"),
        "as it was"
    );
}

#[test]
fn a_file_that_its_validation_refuses_does_not_replace_the_old_one() {
    let lab = Lab::new();
    let sudoers = |text: &str| {
        format!(
            "[files.\"/etc/sudoers.d/bot\"]\ntext = \"{text}\\n\"\nmode = \"0440\"\nvalidate = [\"visudo\", \"-c\", \"-f\", \"{{}}\"]\n"
        )
    };
    lab.converge(&sudoers("games ALL=(ALL) NOPASSWD: /bin/true"));
    let before = lab.on_host("cat /etc/sudoers.d/bot; stat -c '%i %Z' /etc/sudoers.d/bot");

    let refused = lab.apply(&sudoers("games ALL=(ALL NOPASSWD: /bin/true")).expect(3);
    let said = refused.told();
    for words in ["/etc/sudoers.d/bot", "visudo ended with exit status 1", "syntax error"] {
        assert!(said.contains(words), "no {words:?}: {said}");
    }
    assert_eq!(
        lab.on_host("cat /etc/sudoers.d/bot; stat -c '%i %Z' /etc/sudoers.d/bot"),
        before
    );
    assert_eq!(
        lab.on_host("ls -A /etc/sudoers.d"),
        "README\nbot",
        "the staged copy is gone"
    );
    // It is still declared, and still not applied.
    assert_eq!(lab.drift(), moved(&[("file:/etc/sudoers.d/bot", "configuration")]));

    // Without a place for it, the staged copy is the last argument.
    lab.converge(&sudoers("games ALL=(ALL) NOPASSWD: /bin/false").replace(", \"{}\"", ""));
    assert_eq!(
        lab.on_host("cat /etc/sudoers.d/bot"),
        "games ALL=(ALL) NOPASSWD: /bin/false"
    );
}

#[test]
fn what_others_may_not_read_on_the_host_is_shown_nowhere() {
    let lab = Lab::new();
    let body = |word: &str| {
        format!(
            "[files.\"/etc/key\"]\ntext = \"{word}-key\\n\"\nmode = \"0400\"\n\
             [files.\"/etc/said\"]\ntext = \"{word}-said\\n\"\nsensitive = true\n\
             [files.\"/etc/plain\"]\ntext = \"{word}-plain\\n\"\n"
        )
    };
    let hidden = [
        "first-key",
        "second-key",
        "third-key",
        "first-said",
        "second-said",
        "third-said",
    ];
    let looks = [
        vec!["plan"],
        vec!["plan", "--json"],
        vec!["drift"],
        vec!["drift", "--json"],
        vec!["apply", "--yes"],
        vec!["show", lab.name()],
        vec!["show", "--json", lab.name()],
        vec!["status", "--json"],
    ];
    for word in ["first", "second"] {
        lab.declare(&body(word));
        let mut shown = String::new();
        for look in &looks {
            shown += &lab.provision(look).expect(0).told();
        }
        assert!(shown.contains(&format!("{word}-plain")), "{shown}");
        for secret in hidden {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
        lab.assert_converged();
    }
    assert_eq!(
        lab.on_host("cat /etc/key; stat -c %a /etc/key /var/lib/provision"),
        "second-key\n400\n700"
    );

    // Neither what somebody put there by hand, even where the declared file is for all to read.
    lab.on_host("printf 'third-key\\n' > /etc/key; chmod 0600 /etc/plain; printf 'third-said\\n' > /etc/plain");
    let mut shown = String::new();
    for look in &looks[..4] {
        shown += &lab.provision(look).expect(0).told();
    }
    assert!(shown.contains("/etc/key") && shown.contains("/etc/plain"), "{shown}");
    for secret in hidden {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
}

#[test]
fn what_is_no_file_is_in_the_way_and_stays() {
    let lab = Lab::new();
    lab.on_host("mkdir /etc/a; touch /etc/a/precious; ln -s /etc/hostname /etc/b; mkfifo /etc/c");
    let body = "[files.\"/etc/a\"]\ntext = \"\"\n[files.\"/etc/b\"]\ntext = \"\"\n[files.\"/etc/c\"]\ntext = \"\"\n\
                [files.\"/etc/d\"]\ntext = \"\"\n";
    let refused = lab.apply(body).expect(1);
    let said = refused.told();
    for words in [
        "a directory is there",
        "a symbolic link to /etc/hostname is there",
        "move /etc/c out of the way",
    ] {
        assert!(said.contains(words), "no {words:?}: {said}");
    }
    lab.on_host("test -f /etc/a/precious -a -L /etc/b -a -p /etc/c -a ! -e /etc/d");
}

#[test]
fn a_path_that_changes_its_kind_and_back_again_becomes_what_it_was_before_us() {
    let lab = Lab::new();
    lab.on_host("echo theirs > /etc/shape; chown daemon:games /etc/shape; chmod 0604 /etc/shape");
    let look = "stat -c '%F %a %U %G' /etc/shape; cat /etc/shape";
    let before = lab.on_host(look);
    let file = "[files.\"/etc/shape\"]\ntext = \"ours\\n\"\n";
    let link = "[symlinks.\"/etc/shape\"]\ntarget = \"elsewhere\"\n";
    let directory = "[directories.\"/etc/shape\"]\n";
    for body in [file, link, directory, file, directory] {
        lab.converge(body);
    }
    lab.declare("");
    let plan = lab.plan().expect(2);
    for words in ["restore", "a directory → a file", "left the configuration"] {
        assert!(plan.stdout.contains(words), "no {words:?}: {}", plan.told());
    }
    lab.converge("");
    assert_eq!(lab.on_host(look), before);

    // Generations know no such changes either way.
    lab.converge(file);
    lab.converge(link);
    let _ = lab.provision(&["rollback", lab.name(), "--yes"]).expect(0);
    assert_eq!(lab.on_host("cat /etc/shape"), "ours");
    let _ = lab.provision(&["rollback", lab.name(), "--yes"]).expect(0);
    assert_eq!(lab.on_host("readlink /etc/shape"), "elsewhere");
    lab.converge("");
    assert_eq!(lab.on_host(look), before);
}
