//! Secrets that a host of AWS fetches by itself when it starts: by its role and nothing else, all of them or none, and before
//! the units that need them.

use std::process::Command;

use crate::lab::{Lab, Ran};
use crate::secrets::BOT;
use crate::secrets::reboot::reboot;
use crate::stand_in::{Control, StandIn};

const REGION: &str = "eu-central-1";

/// A host of AWS, as far as it can see.
struct Cloud {
    lab: Lab,
    aws: Control,
    _stand_in: StandIn,
}

impl Cloud {
    fn new() -> Self {
        let lab = Lab::new();
        // The machine's address in the host's network.
        let gateway = lab.on_host("ip route show default | cut -d' ' -f3");
        let stand_in = StandIn::start_at(&gateway);
        let aws = stand_in.control.clone();
        aws.be_instance(Some("bots"));
        lab.write(
            "secrets/stores.toml",
            &format!(
                "default = \"aws\"\nprefix = \"bots/\"\n[aws]\nregion = \"{REGION}\"\nendpoint = \"{}\"\n",
                aws.endpoint()
            ),
        );
        Self {
            lab,
            aws,
            _stand_in: stand_in,
        }
    }

    fn put(&self, name: &str, value: &str) -> String {
        self.aws.put(REGION, name, "SecretString", value)
    }

    fn declare(&self, policy: &str, body: &str) {
        let lab = &self.lab;
        let aws = format!("[aws]\ntype = \"t3.small\"\nregion = \"{REGION}\"\nimage = \"ami-1\"\n");
        let text = lab.host_file(lab.host.ssh_address().port(), &format!("{aws}{body}"));
        let text = text.replacen("[host]\n", &format!("[host]\nsecrets_after_reboot = \"{policy}\"\n"), 1);
        lab.write(&format!("hosts/{}.toml", lab.name()), &text);
    }

    /// As somebody who applies, with credentials of their own.
    fn provision(&self, args: &[&str]) -> Ran {
        let mut command: Command = self.lab.command(args);
        let keys = [("AWS_ACCESS_KEY_ID", "OPERATOR"), ("AWS_SECRET_ACCESS_KEY", "x")];
        let output = command
            .envs(keys)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .output()
            .unwrap();
        Ran {
            status: output.status,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    fn converged(&self) {
        let _ = self.provision(&["plan", "--detailed-exitcode"]).expect(0);
    }

    /// A drop-in that tells the boot unit where AWS is.
    fn drop_in(&self) -> String {
        let endpoint = self.aws.endpoint();
        let directory = "/etc/systemd/system/provision-secrets.service.d";
        format!(
            "[directories.\"{directory}\"]\n[files.\"{directory}/test.conf\"]\ntext = \"\"\"\n[Service]\n\
             Environment=AWS_EC2_METADATA_SERVICE_ENDPOINT={endpoint} AWS_ENDPOINT_URL={endpoint}\n\"\"\"\n"
        )
    }
}

/// The secrets that `BOT` reads.
fn bot() -> String {
    format!(
        "[secrets.token]\nowner = \"bot\"\n\
         [secrets.key]\naws = \"bots/keys\"\nkey = \"api\"\ndeliver = false\n\
         [secrets.later]\nrequired = false\nunits = [\"bot.service\"]\n\
         [secrets.\"bot.env\"]\nowner = \"bot\"\ngroup = \"root\"\nmode = \"0440\"\n\
         text = \"KEY={{{{ secret(name='key', as='shell') }}}}\\n\"\n{BOT}"
    )
}

const LOOK: &str = "systemctl is-active provision-secrets.service bot.service; cat /run/agenix/*; stat -f -c %T /run/agenix/; \
                    stat -L -c '%n %a %U:%G' /run/agenix/*";

#[test]
fn a_host_fetches_its_own_secrets_before_the_units_that_need_them_or_says_why_not() {
    let mut cloud = Cloud::new();
    let first = cloud.put("bots/token", "canary-one\n");
    cloud.put("bots/keys", r#"{"api": "it's-a-canary", "other": 1}"#);
    let body = bot() + &cloud.drop_in();
    cloud.declare("fetch", &body);
    let plan = cloud.provision(&["plan", "--detailed-exitcode"]).expect(2);
    for planned in [
        "file:/usr/local/lib/provision/fetch-secrets",
        "secret:token",
        "unit:provision-secrets.service",
    ] {
        assert!(plan.stdout.contains(planned), "no {planned} in {}", plan.told());
    }
    assert!(!plan.told().contains("secret:later"), "{}", plan.told());
    let _ = cloud.provision(&["apply", "--yes"]).expect(0);
    cloud.converged();
    let at_rest = "cd /var/lib/provision && stat -c '%a %U' fetch.json && grep -c canary -r . /usr/local/lib/provision | grep -v :0; \
                   test ! -e sealed && echo none sealed";
    assert_eq!(cloud.lab.on_host(at_rest), "600 root\nnone sealed");

    // All that it has at the next start is what it fetches then, of the newest versions.
    let second = cloud.put("bots/token", "canary-two\n");
    cloud.put("bots/later", "canary-late\n");
    assert_ne!(first, second);
    cloud.aws.fail("Token", None, "503 Service Unavailable", "", 2);
    cloud.aws.calls();
    reboot(&mut cloud.lab);
    assert_eq!(
        cloud.lab.on_host(LOOK),
        "active\nactive\nKEY='it'\\''s-a-canary'\ncanary-late\ncanary-two\nramfs\n\
         /run/agenix/bot.env 440 bot:root\n/run/agenix/later 400 root:root\n/run/agenix/token 400 bot:bot"
    );
    let called: Vec<_> = cloud
        .aws
        .calls()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| name == "GetSecretValue")
        .collect();
    assert_eq!(called.len(), 3);
    let journal = cloud.lab.on_host("journalctl -b -o cat -u provision-secrets.service");
    assert!(
        journal.contains("answers with status 503; trying again for up to"),
        "{journal}"
    );
    assert!(
        journal.contains("3 secrets are back in memory") && !journal.contains("canary"),
        "{journal}"
    );
    // The versions are those that AWS said, and the unit was started with them: there is nothing to deliver, and nothing to restart.
    cloud.converged();
    let runs = cloud.lab.on_host("systemctl show -p InvocationID bot.service");
    let _ = cloud.provision(&["apply", "--yes"]).expect(0);
    assert_eq!(cloud.lab.on_host("systemctl show -p InvocationID bot.service"), runs);
    // One that changes while the host is up is delivered, and the unit restarted once.
    let _ = cloud.put("bots/token", "canary-three\n");
    let _ = cloud.provision(&["apply", "--yes"]).expect(0);
    assert_ne!(cloud.lab.on_host("systemctl show -p InvocationID bot.service"), runs);
    cloud.converged();

    // One of them is refused: none is there, the unit waits, and the journal says which and why.
    cloud.aws.fail(
        "GetSecretValue",
        Some("bots/keys"),
        "AccessDeniedException",
        "not authorized",
        1,
    );
    reboot(&mut cloud.lab);
    let held = "systemctl is-failed provision-secrets.service; systemctl show -p ActiveState,ConditionResult bot.service; \
                test ! -e /run/agenix && test ! -e /run/agenix.d && echo nothing";
    assert_eq!(
        cloud.lab.on_host(held),
        "failed\nActiveState=inactive\nConditionResult=no\nnothing"
    );
    let journal = cloud.lab.on_host("journalctl -b -o cat -u provision-secrets.service");
    for words in [
        "bots/keys: Secrets Manager says AccessDeniedException: not authorized",
        "give the instance's role the right secretsmanager:GetSecretValue on it",
        "cannot fetch this host's secrets, so none is put in place",
    ] {
        assert!(journal.contains(words), "no {words:?} in {journal}");
    }
    assert!(!journal.contains("canary"), "{journal}");
    let plan = cloud.provision(&["plan", "--detailed-exitcode"]).expect(2);
    assert!(
        plan.stdout.contains("is missing since the host has started anew"),
        "{}",
        plan.told()
    );
    // Once the right is there, the host gets all of them, without anybody who applies, and starts what has waited for them.
    cloud.lab.on_host(
        "systemctl restart provision-secrets.service && \
         timeout 60 sh -c 'until systemctl -q is-active bot.service; do sleep 0.05; done'",
    );
    assert_eq!(
        cloud.lab.on_host("ls /run/agenix; systemctl is-active bot.service"),
        "bot.env\nlater\ntoken\nactive"
    );
    cloud.converged();

    // What somebody did to the program is drift; who fetches no more has neither program nor record.
    cloud
        .lab
        .on_host("echo broken > /usr/local/lib/provision/fetch-secrets");
    let drift = cloud.provision(&["drift", "--detailed-exitcode"]).expect(2);
    assert!(
        drift.stdout.contains("file:/usr/local/lib/provision/fetch-secrets"),
        "{}",
        drift.told()
    );
    cloud.declare("push", &bot());
    let _ = cloud.provision(&["apply", "--yes"]).expect(0);
    cloud.converged();
    assert_eq!(
        cloud.lab.on_host("ls -d /usr/local/lib/provision /var/lib/provision/fetch.json /etc/systemd/system/provision-secrets.service 2>/dev/null | wc -l; ls /run/agenix"),
        "0\nbot.env\nlater\ntoken"
    );
}

#[test]
fn what_a_host_cannot_fetch_is_refused_before_it_is_touched() {
    let cloud = Cloud::new();
    cloud.put("bots/token", "canary-one\n");
    cloud.put("bots/keys", r#"{"api": "x"}"#);
    cloud.declare(
        "fetch",
        &bot()
            .replace("aws = \"bots/keys\"", "command = [\"cat\", \"/etc/hostname\"]")
            .replace("key = \"api\"\n", ""),
    );
    let refused = cloud.provision(&["check"]).expect(1);
    assert!(refused.told().contains("E0517"), "{}", refused.told());
    // Where the project's own store is a file, what is in it is for nobody's role.
    cloud.declare("fetch", &bot());
    let _ = cloud.provision(&["check"]).expect(0);
    cloud.lab.write("secrets/stores.toml", "default = \"age\"\n");
    let refused = cloud.provision(&["check"]).expect(1);
    assert!(
        refused.told().contains("cannot fetch the secret `token`"),
        "{}",
        refused.told()
    );
    cloud.lab.on_host("test ! -e /var/lib/provision");
}
