//! The command lines that are about the project's own secrets. What they do is the commands'.

use clap::{Args, Subcommand};

use super::{Confirm, Connect, Diff, Selection};

/// `secrets`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
A value is never taken from the command line, which every user of a machine can read: it is asked for without showing, \
read from standard input, or edited.

Examples:
  provision secrets init
  provision secrets set discord-token
  provision secrets check
  provision secrets rotate discord-token")]
pub enum Secrets {
    /// Begin an encrypted store in the project: secrets/secrets.age.toml
    Init(SecretsInit),
    /// Show which secrets the store has, and who can read them; needs no key
    List(SecretsList),
    /// Store a value under a name, as its next version; needs no key
    Set(SecretsSet),
    /// Edit a value in your editor, in memory only
    Edit(SecretsEdit),
    /// Show a secret's version and how long it is, or its value with --reveal
    Get(SecretsGet),
    /// Take a secret out of the store
    Remove(SecretsRemove),
    /// See whether every secret that the hosts declare can be had; reads no value
    Check(SecretsCheck),
    /// Show which hosts and units a secret reaches
    Who(SecretsWho),
    /// Print the least rights in AWS that the hosts' secrets take
    Policy(SecretsPolicy),
    /// Store a new version, and bring it to every host that uses it
    Rotate(SecretsRotate),
    /// Encrypt the store to the recipients that secrets/stores.toml names
    Rekey(SecretsRekey),
}

/// `secrets init`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each secret is encrypted by itself with age, for SSH keys (ed25519, rsa) or age keys. Names, versions and recipients are \
plain text, so that plans need no key. The files belong into git. Overwrites nothing.

Examples:
  provision secrets init                                    for ~/.ssh/id_ed25519
  provision secrets init --recipient ~/.ssh/id_ed25519.pub --recipient keys/bob.pub
  provision secrets init --recipient age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj")]
pub struct SecretsInit {
    /// Who can decrypt: a public key, or the file of one [default: your own SSH key]
    #[arg(long, value_name = "KEY|FILE")]
    pub recipient: Vec<String>,
}

/// `secrets list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  provision secrets list
  provision secrets list --json | jq -r '.secrets[].name'")]
pub struct SecretsList {}

/// `secrets set`.
#[derive(Debug, Args)]
#[command(after_help = "\
In a terminal it asks for one line, which does not show. Otherwise standard input is the value, byte for byte, with its \
line feed at the end if it has one: printf '%s' is what writes none.

Examples:
  provision secrets set discord-token
  provision secrets set tls/web.key < web.key
  openssl rand -hex 32 | tr -d '\\n' | provision secrets set session-key
  provision secrets set discord-token --age < discord-token.age      from agenix, or anything else of age's")]
pub struct SecretsSet {
    /// The secret's name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Standard input is a file that age has encrypted: decrypt it first, with your key
    #[arg(long)]
    pub age: bool,
}

/// `secrets edit`.
#[derive(Debug, Args)]
#[command(after_help = "\
The editor is VISUAL, EDITOR or vi. Its file is in memory (XDG_RUNTIME_DIR or /dev/shm), in a directory that only you \
can read, and is overwritten and removed afterwards with everything that the editor left beside it. Editors end each \
line with a line feed: a value of one line is stored without it, unless it had one before.

Examples:
  provision secrets edit tls/web.key
  EDITOR='code --wait' provision secrets edit discord-token")]
pub struct SecretsEdit {
    /// The secret's name; one that is not there yet begins empty
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// `secrets get`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  provision secrets get discord-token
  provision secrets get tls/web.key --reveal > web.key")]
pub struct SecretsGet {
    /// The secret's name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Print the value, byte for byte
    #[arg(long)]
    pub reveal: bool,
}

/// `secrets remove`.
#[derive(Debug, Args)]
#[command(after_help = "\
Its version is remembered, so that a secret of the same name has another one later. git's history keeps what was \
stored: change the value where it is valid, if it must no longer be.

Examples:
  provision secrets remove discord-token")]
pub struct SecretsRemove {
    /// The secret's name
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// `secrets rekey`.
#[derive(Debug, Args)]
#[command(after_help = "\
Write the recipients into secrets/stores.toml, [age] recipients, then run this with a key that can decrypt the store. \
Versions stay, as values do, so no host changes. Whoever is taken out can still read what git's history has: set those \
secrets anew.

Examples:
  provision secrets rekey")]
pub struct SecretsRekey {}

/// `secrets check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Asks each store once for the versions of what the hosts declare, and for no value: DescribeSecret is all that it takes of \
AWS. What only hosts declare and no unit uses is a warning of `provision check`.

Examples:
  provision secrets check
  provision secrets check @bot --json")]
pub struct SecretsCheck {
    /// Which hosts.
    #[command(flatten)]
    pub selection: Selection,
}

/// `secrets who`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  provision secrets who discord-token
  provision secrets who clawdinator/anthropic-api-key --json")]
pub struct SecretsWho {
    /// The secret's name in the configuration, or where it is kept
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// `secrets policy`.
#[derive(Debug, Args)]
#[command(after_help = "\
Names each secret of AWS Secrets Manager that the hosts declare, and nothing else. BatchGetSecretValue knows no resources; \
it gives what GetSecretValue may give. Secrets that are encrypted with a key of your own need kms:Decrypt on that key, too.

Examples:
  provision secrets policy                    for whoever applies
  provision secrets policy --plan             for CI that plans and looks for drift: no right to any value
  provision secrets policy friday --host      for the role of an instance that fetches its own")]
pub struct SecretsPolicy {
    /// Which hosts.
    #[command(flatten)]
    pub selection: Selection,
    /// Only what planning takes: versions, no values
    #[arg(long, conflicts_with = "host")]
    pub plan: bool,
    /// Only what the hosts themselves take to fetch their secrets after a reboot
    #[arg(long)]
    pub host: bool,
}

/// `secrets rotate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Stores the value as the next version, then plans and applies to every host that uses it: one restart of each unit that \
does. In a terminal it asks for one line, which does not show; otherwise standard input is the value, byte for byte.

Examples:
  provision secrets rotate discord-token
  openssl rand -hex 32 | tr -d '\\n' | provision secrets rotate session-key --yes")]
pub struct SecretsRotate {
    /// The secret's name in the configuration
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Apply without asking
    #[arg(short, long)]
    pub yes: bool,
    /// How changes are shown.
    #[command(flatten)]
    pub diff: Diff,
    /// How a plan is confirmed that touches the way in.
    #[command(flatten)]
    pub confirm: Confirm,
    /// How hosts are connected to.
    #[command(flatten)]
    pub connect: Connect,
}
