//! ssh_config, option by option beside `ssh -G`, and as it leads to a host.

use std::{collections::HashMap, fs, process::Command};

use provision_ssh::{ConnectError, ConnectErrorKind, Deadlines, Target, connect, host_options};

use crate::sshd::{Sshd, environment};

/// Lines that the generated files are made of.
const OPTIONS: &[&str] = &[
    "HostName real.example.com",
    "HostName=%h.example.com",
    "hostname \"quoted.example.com\"",
    "User alice",
    "  user = bob",
    "USER\tcarol # a comment",
    "Port 2222",
    "Port=22",
    "IdentityFile ~/.ssh/one",
    "IdentityFile \"~/with space/%h\"",
    "IdentityFile ~/.ssh/one",
    "IdentitiesOnly yes",
    "IdentitiesOnly no",
    "IdentityAgent none",
    "IdentityAgent /run/agent.sock",
    "ProxyJump bastion",
    "ProxyJump me@a:2200,b",
    "ProxyJump none",
    "UserKnownHostsFile /tmp/kh1 /tmp/kh2",
    "UserKnownHostsFile /dev/null",
    "GlobalKnownHostsFile /tmp/global",
    "HostKeyAlias alias.example",
    "ConnectTimeout 7",
    "ConnectTimeout 1m",
    "ForwardAgent yes",
    "Host web",
    "Host web db",
    "Host *",
    "Host !web *",
    "Host w?b *.lan",
    "Host db",
    "Match all",
    "Include included",
    "Include inc*.d/*",
    "Include no-such-file",
    "",
    "# Port 99",
];

/// What `ssh -G` says, keyword to values.
fn openssh(config: &std::path::Path, alias: &str) -> HashMap<String, Vec<String>> {
    let output = Command::new("ssh")
        .arg("-G")
        .arg("-F")
        .arg(config)
        .arg(alias)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut options: HashMap<String, Vec<String>> = HashMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        options.entry(keyword.to_owned()).or_default().push(value.to_owned());
    }
    options
}

/// Files put together from the lines above by a fixed rule, so that a failure can be repeated.
fn generated(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut lines = Vec::new();
    for _ in 0..6 + seed % 9 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        lines.push(OPTIONS[(state % OPTIONS.len() as u64) as usize]);
    }
    lines.join("\n")
}

#[test]
fn options_are_those_that_ssh_g_prints() {
    let home = tempfile::tempdir().unwrap();
    // `Include` of a file given with -F is relative to ~/.ssh, which a test does not own: use
    // absolute paths.
    let dir = home.path().join(".ssh");
    fs::create_dir_all(dir.join("inc1.d")).unwrap();
    fs::write(
        dir.join("included"),
        "User included\nHost web\nPort 4022\nHost *\nUser all\n",
    )
    .unwrap();
    fs::write(dir.join("inc1.d/b"), "Port 5022\n").unwrap();
    fs::write(dir.join("inc1.d/a"), "Host db\nPort 6022\nIdentityFile /inc\n").unwrap();
    fs::write(dir.join("inc1.d/.hidden"), "Port 7022\n").unwrap();
    let path = dir.join("config");
    let mut environment = environment(home.path());
    environment.local_user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    environment.local_user.truncate(environment.local_user.trim_end().len());
    for seed in 0..60 {
        let text = generated(seed).replace("Include inc", &format!("Include {}/inc", dir.display()));
        fs::write(&path, &text).unwrap();
        for alias in ["web", "db", "x.lan"] {
            let theirs = openssh(&path, alias);
            let ours = host_options(alias, &environment).unwrap();
            let case = format!("seed {seed}, host {alias}:\n{text}\n{ours:#?}");
            let one = |keyword: &str| theirs.get(keyword).map(|values| values[0].clone());
            let set = |values: Option<&Vec<String>>| values.map(|values| values.join(" "));

            let host_name = ours
                .host_name
                .clone()
                .map_or(alias.to_owned(), |name| name.replace("%h", alias));
            assert_eq!(one("hostname"), Some(host_name), "{case}");
            assert_eq!(
                one("user"),
                Some(ours.user.clone().unwrap_or(environment.local_user.clone())),
                "{case}"
            );
            assert_eq!(one("port"), Some(ours.port.unwrap_or(22).to_string()), "{case}");
            assert_eq!(one("hostkeyalias"), ours.host_key_alias, "{case}");
            assert_eq!(one("identityagent"), ours.identity_agent, "{case}");
            assert_eq!(
                one("identitiesonly"),
                Some(yes_no(ours.identities_only.unwrap_or(false))),
                "{case}"
            );
            let jump = ours.proxy_jump.clone().filter(|jump| jump != "none");
            assert_eq!(one("proxyjump"), jump, "{case}");
            let timeout = ours
                .connect_timeout
                .flatten()
                .map_or("none".to_owned(), |t| t.as_secs().to_string());
            assert_eq!(one("connecttimeout"), Some(timeout), "{case}");
            if !ours.identity_files.is_empty() {
                assert_eq!(theirs["identityfile"], ours.identity_files, "{case}");
            } else {
                assert!(theirs["identityfile"][0].ends_with("/id_rsa"), "{case}");
            }
            for (keyword, files) in [
                ("userknownhostsfile", set(ours.user_known_hosts.as_ref())),
                ("globalknownhostsfile", set(ours.global_known_hosts.as_ref())),
            ] {
                match files {
                    Some(files) => assert_eq!(one(keyword), Some(files), "{case}"),
                    None => assert!(
                        one(keyword).is_some_and(|files| files.contains("known_hosts2")),
                        "{case}"
                    ),
                }
            }
        }
    }
}

fn yes_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

/// Files that OpenSSH refuses are refused, with file and line.
#[test]
fn broken_files_are_refused_where_openssh_refuses() {
    let home = tempfile::tempdir().unwrap();
    let environment = environment(home.path());
    fs::create_dir(home.path().join(".ssh")).unwrap();
    let path = home.path().join(".ssh/config");
    for text in [
        "Port x",
        "Port 0",
        "Port 70000",
        "Port 1 2",
        "Port",
        "IdentitiesOnly maybe",
        "User \"a",
        "HostName a b",
        "Host other\nPort x",
        "ConnectTimeout soon",
        "Host \"\"",
    ] {
        fs::write(&path, format!("\n{text}\n")).unwrap();
        let theirs = Command::new("ssh")
            .arg("-G")
            .arg("-F")
            .arg(&path)
            .arg("web")
            .output()
            .unwrap();
        assert!(!theirs.status.success(), "OpenSSH takes {text:?}");
        let error = host_options("web", &environment).unwrap_err().to_string();
        assert!(
            error.contains("config:2:") || error.contains("config:3:"),
            "{text:?}: {error}"
        );
    }
    fs::write(&path, format!("Include {}\n", path.display())).unwrap();
    assert!(
        host_options("web", &environment)
            .unwrap_err()
            .to_string()
            .contains("levels of Include")
    );
}

#[test]
fn a_file_that_others_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let environment = environment(home.path());
    fs::create_dir(home.path().join(".ssh")).unwrap();
    let path = home.path().join(".ssh/config");
    fs::write(&path, "Port 1\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(
        host_options("web", &environment)
            .unwrap_err()
            .to_string()
            .contains("can be changed by others")
    );
}

#[tokio::test]
async fn what_we_lack_is_an_error_or_a_warning() {
    let home = tempfile::tempdir().unwrap();
    let environment = environment(home.path());
    fs::create_dir(home.path().join(".ssh")).unwrap();
    let path = home.path().join(".ssh/config");
    for text in [
        "ProxyCommand nc %h %p",
        "RevokedHostKeys /etc/krl",
        "IdentityFile ~/%C",
        "ProxyJump a:b:c@:",
    ] {
        fs::write(&path, text).unwrap();
        let error = connect(&Target::named("web"), &environment, &Deadlines::default())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ConnectErrorKind::Config, "{text}: {error}");
    }
    fs::write(&path, "Match host web\n  Port 1\nHost *\n  BindAddress 127.0.0.1\n").unwrap();
    let options = host_options("web", &environment).unwrap();
    assert_eq!(options.port, None);
    assert_eq!(
        options.warnings.iter().map(|warning| warning.line).collect::<Vec<_>>(),
        [1, 4]
    );
}

/// Two servers, one reached through the other, both by name, with everything in ssh_config.
#[tokio::test]
async fn a_jump_host_is_checked_and_passed_through() {
    let (bastion, inner) = (Sshd::start(), Sshd::start());
    let environment = inner.environment();
    let home = environment.home.clone().unwrap();
    let config = |jump: &str| {
        format!(
            "Host inner\n HostName 127.0.0.1\n Port {}\n IdentityFile {}\n ProxyJump {jump}\n\
             Host bastion\n HostName localhost\n Port {}\n IdentityFile {}\n\
             Host *\n IdentitiesOnly yes\n",
            inner.port,
            inner.path("id").display(),
            bastion.port,
            bastion.path("id").display(),
        )
    };
    fs::write(home.join(".ssh/config"), config("bastion")).unwrap();
    let known = |bastion_key: &str| {
        let (a, b) = (bastion.port, inner.port);
        format!("[localhost]:{a} {bastion_key}[127.0.0.1]:{b} {}", inner.host_key())
    };
    fs::write(home.join(".ssh/known_hosts"), known(&bastion.host_key())).unwrap();
    let connection = connect(&Target::named("inner"), &environment, &Deadlines::default())
        .await
        .unwrap();
    let exec = connection.exec("echo $SSH_CONNECTION; cat").await.unwrap();
    let output = exec.output(b"through", 200).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with(&format!(" {}\nthrough", inner.port)), "{text}");
    connection.close().await;

    // The jump host's own key is checked as strictly.
    fs::write(home.join(".ssh/known_hosts"), known(&inner.host_key())).unwrap();
    let error = connect(&Target::named("inner"), &environment, &Deadlines::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::HostKey);
    assert!(matches!(error, ConnectError::Jump { .. }), "{error:?}");

    // A port where nobody listens, seen from the jump host.
    fs::write(home.join(".ssh/known_hosts"), known(&bastion.host_key())).unwrap();
    let nobody = Target {
        port: Some(crate::sshd::free_port()),
        ..Target::named("inner")
    };
    let error = connect(&nobody, &environment, &Deadlines::default()).await.unwrap_err();
    assert!(matches!(error, ConnectError::JumpRefused { .. }), "{error:?}");

    // A chain that leads back to itself ends.
    fs::write(home.join(".ssh/config"), config("inner")).unwrap();
    let error = connect(&Target::named("inner"), &environment, &Deadlines::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Config, "{error:?}");
}
