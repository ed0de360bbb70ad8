//! Git checkouts on a real host with its own git, from repositories on its disk and over its own sshd.

use crate::faults::{kill_runner, start, until};
use crate::lab::{Lab, moved};

/// A repository of bot's with two commits on `main`, and who works in it.
const SET_UP: &str = "set -e
useradd --create-home bot; install -d -o bot -g bot /srv/bot
cat > /usr/local/bin/as-bot <<'END'
#!/bin/sh
exec setpriv --reuid=bot --regid=bot --init-groups env HOME=/home/bot GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b sh -c \"$1\"
END
chmod 755 /usr/local/bin/as-bot
as-bot 'git init -q --bare -b main /home/bot/app.git; git init -q -b main /home/bot/work; cd /home/bot/work
echo one > f; printf node_modules > .gitignore; git add .; git commit -qm one; echo two > f; git commit -qam two; git push -q /home/bot/app.git main'";

const HEAD: &str = "as-bot 'git -C /home/bot/app.git rev-parse main'";

fn lab() -> Lab {
    let lab = Lab::with(&["git"]);
    lab.on_host(SET_UP);
    lab
}

/// A checkout at /srv/bot/app with these keys.
fn body(keys: &str) -> String {
    format!("[git.\"/srv/bot/app\"]\nurl = \"/home/bot/app.git\"\nowner = \"bot\"\n{keys}\n")
}

#[test]
fn a_clone_is_made_whole_and_then_left_to_whoever_works_in_it() {
    let lab = lab();
    let clone = body("branch = \"main\"");
    lab.converge(&clone);
    assert_eq!(
        lab.on_host("cat /srv/bot/app/f; stat -c %U /srv/bot/app /srv/bot/app/f /srv/bot/app/.git/HEAD; ls -A /srv/bot; as-bot 'git -C /srv/bot/app status --short --branch'"),
        "two\nbot\nbot\nbot\napp\n## main...origin/main"
    );

    // A commit, a change, a new file and another branch: all of it is somebody's.
    lab.on_host("as-bot 'cd /srv/bot/app; git checkout -qb mine; echo own > f; git commit -qam own; echo more > f; echo new > g'");
    assert_eq!(lab.drift(), moved(&[]));
    lab.converge(&clone);
    assert_eq!(
        lab.on_host("cat /srv/bot/app/f /srv/bot/app/g; as-bot 'git -C /srv/bot/app branch --show-current'"),
        "more\nnew\nmine"
    );

    // It stays when nobody declares it any more, and what is declared to go does not go with somebody's work.
    lab.converge(&format!("{clone}on_removal = \"remove\"\n"));
    let refused = lab.apply("").expect(3);
    assert!(
        refused.told().contains("commits that are only here"),
        "{}",
        refused.told()
    );
    assert_eq!(lab.on_host("cat /srv/bot/app/f"), "more");
    lab.on_host("as-bot 'cd /srv/bot/app; git checkout -qf main; git branch -qD mine; rm g'");
    lab.converge("");
    assert_eq!(lab.on_host("ls -A /srv/bot"), "");
    lab.converge(&clone);
    lab.converge("");
    assert_eq!(lab.on_host("cat /srv/bot/app/f"), "two");
}

#[test]
fn a_mirror_follows_says_what_is_lost_and_goes_back() {
    let lab = lab();
    let first = lab.on_host(&HEAD.replace("main", "main~1"));
    let second = lab.on_host(HEAD);
    let pinned = |commit: &str| body(&format!("commit = \"{commit}\"\nupdate = \"mirror\""));
    lab.converge(&pinned(&first));
    assert_eq!(lab.on_host("cat /srv/bot/app/f"), "one");

    // What git keeps is put back, what it ignores and does not know stays.
    lab.on_host("as-bot 'cd /srv/bot/app; echo hand > f; mkdir node_modules; echo dep > node_modules/d; echo new > g'");
    assert_eq!(lab.drift(), moved(&[("git:/srv/bot/app", "host")]));
    lab.declare(&pinned(&second));
    let planned = lab.planned("git:/srv/bot/app").to_string();
    for word in [&first, &second, "1 file changed by hand", "those changes are lost"] {
        assert!(planned.contains(word), "no {word} in {planned}");
    }
    lab.converge(&pinned(&second));
    assert_eq!(
        lab.on_host("cat /srv/bot/app/f /srv/bot/app/node_modules/d /srv/bot/app/g"),
        "two\ndep\nnew"
    );

    // A branch is followed; one whose place nobody tells blocks, and is not called unchanged.
    let followed = body("branch = \"main\"\nupdate = \"mirror\"");
    lab.converge(&followed);
    lab.on_host(
        "as-bot 'cd /home/bot/work; echo three > f; git commit -qam three; git push -q /home/bot/app.git main'",
    );
    // The host is as it was left; what is asked of it is another commit now.
    assert_eq!(lab.drift(), moved(&[("git:/srv/bot/app", "configuration")]));
    lab.converge(&followed);
    assert_eq!(lab.on_host("cat /srv/bot/app/f"), "three");
    lab.on_host("mv /home/bot/app.git /home/bot/gone.git");
    let refused = lab.apply(&followed).expect(1);
    assert!(refused.told().contains("is unknown"), "{}", refused.told());
    lab.on_host("mv /home/bot/gone.git /home/bot/app.git");

    // Each generation comes back at the commit that it had, though the branch has moved on since.
    lab.on_host("as-bot 'cd /home/bot/work; echo four > f; git commit -qam four; git push -q /home/bot/app.git main'");
    lab.converge(&followed);
    for (to, text) in [("3", "three"), ("1", "one"), ("4", "four"), ("2", "two")] {
        lab.provision(&["rollback", lab.name(), to, "--yes"]).expect(0);
        assert_eq!(lab.on_host("cat /srv/bot/app/f"), text, "back to {to}");
        let again = lab.provision(&["rollback", lab.name(), to, "--plan", "--detailed-exitcode"]);
        let _ = again.expect(0);
    }
    lab.converge(&followed);
    assert_eq!(lab.on_host("cat /srv/bot/app/f"), "four");
    // What it was cloned by goes with it, where it may.
    lab.converge(&format!("{followed}\non_removal = \"restore\""));
    lab.provision(&["rollback", lab.name(), "0", "--yes"]).expect(3);
    lab.on_host("rm -r /srv/bot/app/g");
    lab.provision(&["rollback", lab.name(), "0", "--yes"]).expect(0);
    assert_eq!(lab.on_host("ls -A /srv/bot"), "");
}

#[test]
fn nothing_of_a_tree_runs_as_root_and_nothing_else_is_replaced() {
    let lab = lab();
    let mirror = body("branch = \"main\"\nupdate = \"mirror\"");
    // What is somebody else's stays.
    lab.on_host("as-bot 'mkdir /srv/bot/app; echo precious > /srv/bot/app/p'");
    let refused = lab.apply(&mirror).expect(1);
    assert!(refused.told().contains("is no checkout"), "{}", refused.told());
    assert_eq!(lab.on_host("cat /srv/bot/app/p; rm -r /srv/bot/app"), "precious");

    // A link of root's on the way is followed; one that its owner may turn is not.
    lab.on_host("ln -s /srv/bot /srv/disk; as-bot 'mkdir /srv/bot/real; ln -s real /srv/bot/link'");
    let refused = lab
        .apply(&mirror.replace("/srv/bot/app", "/srv/bot/link/app"))
        .expect(3);
    assert!(refused.told().contains("not safe to follow"), "{}", refused.told());
    lab.converge(&mirror.replace("/srv/bot/app", "/srv/disk/app"));
    assert_eq!(
        lab.on_host("cat /srv/bot/app/f; ls -A /srv/bot/real; rm -r /srv/bot/app /srv/bot/link /srv/bot/real"),
        "two"
    );

    // A half clone of a run that was killed is in nobody's way.
    lab.on_host("as-bot 'mkdir -p /srv/bot/.app.provision-new/.git; echo x > /srv/bot/.app.provision-new/half'");
    lab.converge(&mirror);
    assert_eq!(lab.on_host("ls -A /srv/bot"), "app");

    // What its owner lets git run: hooks and watchers do not run, and filters run as the owner.
    lab.on_host(
        "as-bot 'cd /srv/bot/app; printf \"#!/bin/sh\\nid -un >> /tmp/ran-hook\\n\" > .git/hooks/post-checkout; chmod 755 .git/hooks/post-checkout
         git config core.fsmonitor \"id -un >> /tmp/ran-monitor; false\"; git config filter.x.clean \"id -un >> /tmp/ran-filter; cat\"
         echo \"f filter=x\" > .git/info/attributes; echo hand > f'",
    );
    lab.converge(&mirror);
    assert_eq!(
        lab.on_host(
            "cat /srv/bot/app/f; ls /tmp/ran-hook /tmp/ran-monitor 2>/dev/null || true; sort -u /tmp/ran-filter"
        ),
        "two\nbot"
    );

    // Another repository's checkout is not made into this one, and a password of its URL is not told.
    lab.on_host("as-bot 'git -C /srv/bot/app remote set-url origin https://u:hunter2@example.org/x.git'");
    let refused = lab.apply(&mirror).expect(1);
    assert!(
        refused.told().contains("https://…@example.org/x.git is there") && !refused.told().contains("hunter2"),
        "{}",
        refused.told()
    );
}

#[test]
fn a_deploy_key_opens_a_repository_over_ssh_and_an_unknown_host_is_not_trusted() {
    let lab = lab();
    lab.on_host(
        "set -e; as-bot 'mkdir -m 700 /home/bot/.ssh; ssh-keygen -q -t ed25519 -N \"\" -f /home/bot/key; cp /home/bot/key.pub /home/bot/.ssh/authorized_keys'
         port=$(ss -tlnpH | sed -n 's/.*:\\([0-9]*\\) .*sshd.*/\\1/p' | head -1); echo $port > /srv/port
         (ssh-keyscan -p $port 127.0.0.1 2>/dev/null; true) > /srv/known; test -s /srv/known; : > /srv/empty",
    );
    let port = lab.on_host("cat /srv/port");
    let body = |known: &str| {
        format!(
            "[git.\"/srv/bot/app\"]\nurl = \"ssh://bot@127.0.0.1:{port}/home/bot/app.git\"\nowner = \"bot\"\nbranch = \"main\"\nupdate = \"mirror\"\n\
             key = \"/home/bot/key\"\nknown_hosts = \"{known}\"\n"
        )
    };
    let refused = lab.apply(&body("/srv/empty")).expect(3);
    assert!(
        refused.told().contains("Host key verification failed"),
        "{}",
        refused.told()
    );
    assert_eq!(lab.on_host("ls -A /srv/bot"), "");

    // A run that is killed while the other side still talks leaves nothing that counts as a checkout, and the next one makes it.
    lab.on_host(
        "as-bot 'cat > /home/bot/slow' <<'END'
#!/bin/sh
touch /tmp/came; until [ -e /tmp/go ]; do sleep 0.02; done
exec sh -c \"$SSH_ORIGINAL_COMMAND\"
END
         as-bot 'chmod 755 /home/bot/slow; sed -i \"s|^|command=\\\"/home/bot/slow\\\" |\" /home/bot/.ssh/authorized_keys'",
    );
    lab.declare(&body("/srv/known"));
    let running = start(&lab, &["apply", "--yes"]);
    let came = lab.outside("/tmp/came");
    until("git asks for the repository", || came.exists());
    kill_runner(&lab);
    let _ = running.ends().expect(3);
    assert_eq!(lab.on_host("ls -A /srv/bot; touch /tmp/go"), ".app.provision-new");
    lab.converge(&body("/srv/known"));
    assert_eq!(lab.on_host("cat /srv/bot/app/f; ls -A /srv/bot"), "two\napp");
}
