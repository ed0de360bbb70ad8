//! The rehearsal of `hosts/moltbot.toml` with its real secret: the token comes from AWS Secrets Manager, lies in the host's
//! memory, and lets in who has it.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::lab::PROVISION;
use crate::modules::copy;
use crate::stand_in::StandIn;

const REGION: &str = "eu-central-1";

/// Destroys the host that a rehearsal has kept, however the test ends.
struct Kept<'a> {
    project: &'a Path,
    name: &'a str,
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        let args = ["rehearse", "--destroy", self.name];
        let _ = Command::new(PROVISION).current_dir(self.project).args(args).output();
    }
}

#[test]
fn the_rehearsed_bot_has_its_token_from_secrets_manager_and_lets_in_who_has_it() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = tempfile::tempdir().unwrap();
    let project = place.path();
    let name = format!("moltbot-{}", std::process::id());
    copy(repository, "modules", project);
    copy(repository, "files", project);
    let put = |path: &str, text: &str| {
        fs::create_dir_all(project.join(path).parent().unwrap()).unwrap();
        fs::write(project.join(path), text).unwrap();
    };
    put(
        &format!("hosts/{name}.toml"),
        &fs::read_to_string(repository.join("hosts/moltbot.toml")).unwrap(),
    );
    let aws = StandIn::start();
    put(
        "secrets/stores.toml",
        &format!(
            "default = \"aws\"\n[aws]\nregion = \"{REGION}\"\nendpoint = \"{}\"\n",
            aws.control.endpoint()
        ),
    );
    let token = format!(
        "canary-{:016x}",
        u64::from(std::process::id()).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    );
    aws.control.put(REGION, "moltbot/gateway-token", "SecretString", &token);
    aws.control.calls();

    let kept = Kept { project, name: &name };
    let rehearsed = Command::new(PROVISION)
        .current_dir(project)
        .env_clear()
        .envs([
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", project.to_str().unwrap()),
            ("AWS_ACCESS_KEY_ID", "OPERATOR"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ])
        .args(["rehearse", &name, "--with-secrets", "--keep"])
        .output()
        .unwrap();
    let told = format!(
        "{}\n{}\n{}",
        rehearsed.status,
        String::from_utf8_lossy(&rehearsed.stdout),
        String::from_utf8_lossy(&rehearsed.stderr)
    );
    assert!(rehearsed.status.success(), "{told}");
    assert!(!told.contains(&token), "the token is told");
    let read: usize = aws
        .control
        .calls()
        .iter()
        .filter(|(operation, _)| operation == "BatchGetSecretValue" || operation == "GetSecretValue")
        .count();
    assert_eq!(read, 1, "the value is read when it is delivered, and then no more");

    let login = told
        .lines()
        .find(|line| line.trim_start().starts_with("ssh "))
        .unwrap_or_else(|| panic!("no way in: {told}"));
    let on_host = |line: &str, input: &str| {
        let mut words = login.split_whitespace();
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .arg(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let status = |token: &str| {
        on_host(
            "curl -s -o /dev/null -w '%{http_code}' -H @- -H 'Content-Type: application/json' \
             -d '{\"tool\":\"sessions_list\",\"action\":\"json\",\"args\":{}}' http://127.0.0.1:18789/tools/invoke",
            &format!("Authorization: Bearer {token}\n"),
        )
    };
    assert_eq!(status("canary-of-somebody-else"), "401");
    assert_eq!(status(&token), "200");
    let memory = on_host(
        "path=$(jq -r .secrets.providers.gateway.path /etc/openclaw/moltbot.json); stat -L -f -c %T $path; stat -L -c '%U %a' $path",
        "",
    );
    assert!(
        ["ramfs\nmoltbot 400\n", "tmpfs\nmoltbot 400\n"].contains(&memory.as_str()),
        "{memory}"
    );
    // It follows its file by itself no more: its own restart could swallow the stop of the one that `provision` orders.
    let evaluated = on_host(
        "sed -i s/18789/18799/ /etc/openclaw/moltbot.json; journal='journalctl -u openclaw-moltbot.service -o cat'
         until $journal | grep -q '^[^ ]* .reload. config reload'; do sleep 0.1; done; $journal | grep -F '[reload]'",
        "",
    );
    assert!(
        evaluated.contains("reload disabled") && !evaluated.contains("restart"),
        "{evaluated}"
    );
    drop(kept);
}
