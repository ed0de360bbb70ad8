//! The schema of host files. What `[host]` takes is read in the language's `host`; the tests hold the two together.

use provision_core::config::Project;
use provision_core::model::AfterReboot;
use serde_json::{Value, json};

use super::{about, imports, integer, list_of, pattern, ports, root, settings, table, text};

pub(super) fn schema(project: &Project) -> Value {
    let mut own = vec![
        ("imports", imports(project)),
        ("ports", ports()),
        ("forbid", super::forbid()),
        ("host", host()),
        (
            "hetzner",
            machine(
                "A server at Hetzner Cloud under this host.",
                &["type", "location", "image"],
            ),
        ),
        (
            "aws",
            machine("A server at AWS (EC2) under this host.", &["type", "region", "image"]),
        ),
    ];
    own.extend(settings(project));
    root(
        "A host",
        "A host: what its machine should be. The file's name is the host's: hosts/web-1.toml is web-1.",
        own,
    )
}

fn host() -> Value {
    let one_or_more = |of: Value| json!({ "anyOf": [of, list_of(of.clone())] });
    table(
        "The host itself: how it is reached, and its tags.",
        vec![
            (
                "address",
                about(
                    pattern("^[A-Za-z0-9._:%-]+$"),
                    "Its address or DNS name; without it ~/.ssh/config and the host's name say.",
                ),
            ),
            ("port", about(integer(1, 65535), "sshd's port, 22 by default.")),
            (
                "user",
                about(
                    text(),
                    "The user to log in as; other users than root need sudo without a password.",
                ),
            ),
            (
                "host_key",
                about(
                    one_or_more(text()),
                    "Its public key, or several, as /etc/ssh/ssh_host_ed25519_key.pub has it: \"ssh-ed25519 AAAA…\". Without it ~/.ssh/known_hosts counts.",
                ),
            ),
            (
                "identity_file",
                about(
                    one_or_more(text()),
                    "Private keys on this machine to log in with, such as \"~/.ssh/id_ed25519\".",
                ),
            ),
            (
                "jump",
                about(
                    text(),
                    "A jump host, or several with commas, such as \"user@gate.example.org:22\".",
                ),
            ),
            (
                "tags",
                about(
                    list_of(pattern("^[a-z0-9._-]{1,63}$")),
                    "Words to select hosts by, as in `provision plan @bot`.",
                ),
            ),
            (
                "secrets_directory",
                about(
                    pattern("^/run/[A-Za-z0-9_-]+$"),
                    "Where its secrets are: a name of its own in /run, \"/run/agenix\" by default.",
                ),
            ),
            (
                "secrets_after_reboot",
                about(
                    json!({ "type": "string", "enum": AfterReboot::ALL.map(AfterReboot::word) }),
                    "After a reboot its memory is empty: \"push\" lets units wait for the next apply (default), \"sealed\" keeps an encrypted copy that only the host can read, \"fetch\" lets an AWS host fetch them itself.",
                ),
            ),
            (
                "connection",
                about(
                    json!({ "type": "string", "enum": ["ssh", "local"] }),
                    "\"local\" is the machine that provision runs on; \"ssh\" by default.",
                ),
            ),
        ],
        &[],
    )
}

fn machine(what: &str, keys: &[&str]) -> Value {
    table(what, keys.iter().map(|key| (*key, text())).collect(), keys)
}
