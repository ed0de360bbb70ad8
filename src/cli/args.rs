//! The command line: its types and its help. It reads no file and decides nothing; commands interpret what it holds.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::exit::Exit;
use crate::drive::Elsewhere;

mod care;
mod records;
mod secrets;

pub use care::{Adopt, Doctor, Logs, Tunnel};
pub use records::{DiffGenerations, Forget, Generations, Rollback};
pub use secrets::{
    Secrets, SecretsCheck, SecretsEdit, SecretsGet, SecretsInit, SecretsList, SecretsPolicy, SecretsRekey,
    SecretsRemove, SecretsRotate, SecretsSet, SecretsWho,
};

const ABOUT: &str = "Bring Linux hosts to the state that files describe, over SSH";

const LONG_ABOUT: &str = "\
Bring Linux hosts to the state that files describe, over SSH.

You write one file per host in hosts/ (hosts/web-1.toml is the host web-1) and modules in modules/ that hosts import. \
provision works out what each host should be, looks at what it is, shows the difference, and makes it so. Nothing needs \
to be installed on a host: SSH as root, or as a user with passwordless sudo, is enough.";

const EXAMPLES: &str = "\
Examples:
  provision init fleet             begin: a small project in a new directory, to try at once
  provision check                  are the files right? contacts no host
  provision plan web-1             what would change on web-1, and why
  provision apply web-1            show that, ask, do it
  provision apply 'web-*' --yes    all hosts whose names begin with web-, without asking
  provision drift                  has anybody changed a host by hand?
  provision rehearse web-1         try the host file on a throwaway host on this machine";

const SELECTION: &str = "Selection";
const CONNECTION: &str = "Connection";
const GLOBAL: &str = "Global options";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "provision",
    version,
    about = ABOUT,
    long_about = LONG_ABOUT,
    after_help = EXAMPLES,
    after_long_help = after_long_help(),
    max_term_width = 100,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
)]
pub struct Cli {
    /// What is said to every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What is said to every command. A flattened group's heading goes on to what follows it, so groups come after a
/// command's own options.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = GLOBAL)]
pub struct Global {
    /// The project's directory, which has hosts/ [default: the nearest one upwards]
    #[arg(
        short = 'C',
        long,
        global = true,
        value_name = "DIR",
        env = "PROVISION_ROOT",
        hide_env = true
    )]
    pub root: Option<PathBuf>,
    /// Print JSON for programs, as docs/json.md has it
    #[arg(long, global = true)]
    pub json: bool,
    /// When to colour: auto, always or never (NO_COLOR and CLICOLOR_FORCE count)
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub color: Color,
    /// Say nothing but results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more: what stays as it is and why, each command's output
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// When output is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Which hosts.
#[derive(Clone, Debug, Default, Args)]
pub struct Selection {
    /// Hosts: names (web-1), patterns in quotes ('web-*', 'db-?'), tags (@bot); all hosts where none is given
    #[arg(value_name = "HOST")]
    pub hosts: Vec<String>,
    /// The narrowing options.
    #[command(flatten)]
    pub narrow: Narrow,
}

/// What narrows a selection.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = SELECTION)]
pub struct Narrow {
    /// Only hosts with one of these tags; given twice, with one of each list
    #[arg(long, value_name = "TAG,TAG")]
    pub tags: Vec<String>,
    /// Of these, only hosts that match the name or pattern
    #[arg(long, value_name = "GLOB")]
    pub limit: Vec<String>,
    /// Of these, leave out hosts that match the name or pattern
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
}

/// How hosts are connected to.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = CONNECTION)]
pub struct Connect {
    /// How many hosts to work on at once
    #[arg(
        long,
        value_name = "N",
        default_value = "32",
        env = "PROVISION_PARALLEL",
        hide_env = true
    )]
    pub parallel: NonZeroUsize,
    /// How long a host may take to let us in, and then to answer, such as 30s or 2m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub timeout: Duration,
}

/// How a plan is confirmed that touches the way in.
#[derive(Clone, Debug, Args)]
pub struct Confirm {
    /// Where a plan touches the way in: undone by the host itself unless confirmed that long after its last step, such as 60s
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub confirm_within: Duration,
    /// Where the new connection goes that confirms a plan which moves the way in: [USER@]ADDRESS[:PORT] or :PORT
    #[arg(long, value_name = "PLACE")]
    pub confirm_at: Option<Elsewhere>,
}

/// How changes are shown.
#[derive(Clone, Copy, Debug, Args)]
pub struct Diff {
    /// Show how texts change, line by line (this is the default)
    #[arg(long, overrides_with = "no_diff", hide_short_help = true)]
    diff: bool,
    /// Do not show how texts change
    #[arg(long)]
    no_diff: bool,
}

impl Diff {
    /// Whether texts are compared line by line.
    #[must_use]
    pub const fn shown(self) -> bool {
        self.diff || !self.no_diff
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check all files of the project, without contacting any host
    Check(Check),
    /// Show what would change on hosts, and why
    Plan(Plan),
    /// Make hosts as their files say, after showing the plan and asking
    Apply(Apply),
    /// Show where hosts are no longer as they were left, and who moved
    Drift(Drift),
    /// Show what a host should be: every resource, and where it is declared
    Show(Show),
    /// Show why a host is as it is: every definition of an option or resource, and which counts
    Why(Why),
    /// Show how hosts stand: last apply, failed units, probes
    Status(Status),
    /// Look for what is wrong with hosts, and say what to do
    Doctor(Doctor),
    /// Show what a unit of a host wrote to its journal
    Logs(Logs),
    /// Reach a unit's port, or any port, of a host from this machine
    Tunnel(Tunnel),
    /// Run one command on hosts
    Exec(Exec),
    /// Watch an apply that goes on on a host, after a lost connection or Ctrl-C
    Attach(Attach),
    /// Show what was applied to a host when, by whom, from which commit
    Generations(Generations),
    /// Show how two generations of a host differ
    Diff(DiffGenerations),
    /// Bring a host back to an earlier generation, after showing the plan and asking
    Rollback(Rollback),
    /// Drop provision's own records from a host, and leave the host as it is
    Forget(Forget),
    /// Try a host file on a throwaway real host on this machine
    Rehearse(Rehearse),
    /// Keep the project's secrets: store, edit, list and show them
    #[command(subcommand, disable_help_subcommand = true)]
    Secrets(Secrets),
    /// Write a host file for a machine that is there already, as it is
    Adopt(Adopt),
    /// Begin a project: a host, a module and what belongs to them
    Init(Init),
    /// Begin a host file or a module
    #[command(subcommand, disable_help_subcommand = true)]
    New(New),
    /// Show what modules are for, and every option they have
    Options(Options),
    /// Explain an error's code, with an example
    Explain(Explain),
    /// Lay host files, groups and modules out alike
    Fmt(Fmt),
    /// Draw a host's resources, and what waits for what
    Graph(Graph),
    /// Write JSON Schemas for editors: completion, hover texts and checks as you type
    Schema(Schema),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Print the manual page, or write all of them to a directory
    Man(Man),
}

/// `check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Every error of every file is reported at once, with the line and what to write instead.

Examples:
  provision check
  provision check -C ~/fleet --json")]
pub struct Check {}

/// `plan`.
#[derive(Debug, Args)]
#[command(after_help = "\
Symbols: + create   ~ update   - remove   < restore what was there before   . forget, leave as it is
         ! run      ↻ restart or reload   ? verify   = only its record changes

Examples:
  provision plan                           all hosts
  provision plan web-1 db-1 --no-diff      two hosts, without texts line by line
  provision plan --tags bot --out bots.plan
  provision apply bots.plan                exactly that plan, or a refusal that names what moved")]
pub struct Plan {
    /// Save the plan, for `provision apply FILE`; it holds the content of files, so only you can read it
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How changes are shown.
    #[command(flatten)]
    pub diff: Diff,
    /// Exit with 2 where changes are pending
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Which hosts.
    #[command(flatten)]
    pub selection: Selection,
    /// How hosts are connected to.
    #[command(flatten)]
    pub connect: Connect,
}

/// `apply`.
#[derive(Debug, Args)]
#[command(after_help = "\
The work is done by the host itself and goes on when the connection is lost. What touches the way in (sshd, keys, users, \
firewall, network) is undone by the host itself unless a new connection confirms it after the last step. Ctrl-C starts no further host, leaves \
running ones to finish, and prints the command that watches them again; Ctrl-C twice leaves at once.

Examples:
  provision apply web-1
  provision apply 'web-*' --exclude web-9 --yes
  provision apply bots.plan                a plan saved with `provision plan --out bots.plan`")]
pub struct Apply {
    /// Hosts as in plan; or one saved plan, a FILE (with a "." or "/" in its name, which no host has)
    #[arg(value_name = "HOST|FILE")]
    pub what: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// How changes are shown.
    #[command(flatten)]
    pub diff: Diff,
    /// How a plan is confirmed that touches the way in.
    #[command(flatten)]
    pub confirm: Confirm,
    /// The narrowing options.
    #[command(flatten)]
    pub narrow: Narrow,
    /// How hosts are connected to.
    #[command(flatten)]
    pub connect: Connect,
}

/// `drift`.
#[derive(Debug, Args)]
#[command(after_help = "\
A host keeps a record of what was last applied to it. Of each difference drift says who moved since then: the host \
(somebody changed it there), the configuration (not applied yet), or both.

Examples:
  provision drift
  provision drift --detailed-exitcode || mail -s drift ops < /dev/null")]
pub struct Drift {
    /// How changes are shown.
    #[command(flatten)]
    pub diff: Diff,
    /// Exit with 2 where a host is not as declared
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Which hosts.
    #[command(flatten)]
    pub selection: Selection,
    /// How hosts are connected to.
    #[command(flatten)]
    pub connect: Connect,
}

/// `show`.
#[derive(Debug, Args)]
#[command(after_help = "\
Contacts no host.

Examples:
  provision show web-1
  provision show web-1 -v          with every attribute, and the text of files
  provision show web-1 /etc/motd   one resource in full; also file:/etc/motd
  provision show web-1 --toml      as one host file without modules and templates
  provision show web-1 --json")]
pub struct Show {
    /// The host
    #[arg(value_name = "HOST")]
    pub host: String,
    /// One of its resources: kind:name, or its name alone
    #[arg(value_name = "PATH")]
    pub path: Option<String>,
    /// Write it as a host file that needs no module; read again, it is the same host
    #[arg(long, conflicts_with_all = ["path", "json"])]
    pub toml: bool,
}

/// `why`.
#[derive(Debug, Args)]
#[command(after_help = "\
PATH is an option (inotify.max_user_watches), a resource (file:/etc/motd, or /etc/motd alone), a key of one \
(file:/etc/motd.text) or a module (inotify). The arrow is at the definition that counts; below it, what it was made \
from. Contacts no host.

Examples:
  provision why web-1 inotify.max_user_watches
  provision why web-1 sysctl.fs.inotify.max_user_watches
  provision why web-1 /etc/motd --json")]
pub struct Why {
    /// The host
    #[arg(value_name = "HOST")]
    pub host: String,
    /// What is asked about
    #[arg(value_name = "PATH")]
    pub path: String,
}

/// `status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  provision status
  provision status web-1 -v        with every managed unit, not only failed ones")]
pub struct Status {
    /// Which hosts.
    #[command(flatten)]
    pub selection: Selection,
    /// How hosts are connected to.
    #[command(flatten)]
    pub connect: Connect,
}

/// `exec`.
#[derive(Debug, Args)]
#[command(after_help = "\
The command runs as root, without a shell and without input; for a pipe, name the shell yourself. A command that exits \
with anything but 0 on any host makes the exit code 3.

Examples:
  provision exec web-1 -- systemctl status nginx
  provision exec 'web-*' -- sh -c 'df -h / | tail -1'")]
pub struct Exec {
    /// Hosts: names, patterns in quotes, tags (@bot)
    #[arg(value_name = "HOST", required = true)]
    pub hosts: Vec<String>,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", last = true, required = true)]
    pub argv: Vec<String>,
    /// The narrowing options.
    #[command(flatten)]
    pub narrow: Narrow,
    /// How hosts are connected to.
    #[command(flatten)]
    pub connect: Connect,
}

/// `attach`.
#[derive(Debug, Args)]
#[command(after_help = "\
Shows the run from its first step on, and exits as `provision apply` would have.

Examples:
  provision attach web-1")]
pub struct Attach {
    /// The host
    #[arg(value_name = "HOST")]
    pub host: String,
    /// The run's plan id [default: the host's newest run]
    #[arg(long, value_name = "ID", value_parser = plan_id)]
    pub plan: Option<provision_core::model::Digest>,
    /// How the host is connected to.
    #[command(flatten)]
    pub connect: Connect,
}

/// `rehearse`.
#[derive(Debug, Args)]
#[command(after_help = "\
Makes a throwaway host on this machine for each host, with systemd, sshd and a network of its own, and brings it from \
bare Debian to the host file: the plan, the apply, a second plan that is empty, a change by hand that drift finds and \
names, and the heal. Needs root on Linux; on Debian and Ubuntu it installs the packages it needs, and says which. A \
throwaway host shares this machine's kernel: rehearse only what you trust.

Examples:
  provision rehearse web-1
  provision rehearse web-1 db-1            two throwaway hosts at once
  provision rehearse web-1 --keep          leave it running, and print how to log in
  provision rehearse --destroy web-1       destroy one that was kept")]
pub struct Rehearse {
    /// The hosts whose files are tried [default: the only one, or moltbot]
    #[arg(value_name = "HOST")]
    pub hosts: Vec<String>,
    /// Leave the throwaway hosts running, and print how to log in
    #[arg(long)]
    pub keep: bool,
    /// Destroy throwaway hosts of these names that were kept, and do nothing else
    #[arg(long, conflicts_with = "keep", requires = "hosts")]
    pub destroy: bool,
    /// Deliver the real secrets of the project's stores, instead of made-up ones
    #[arg(long)]
    pub with_secrets: bool,
    /// What the throwaway hosts run
    #[arg(long, value_name = "RELEASE", default_value = "debian-12", value_parser = ["debian-12", "debian-13"])]
    pub release: String,
    /// How changes are shown.
    #[command(flatten)]
    pub diff: Diff,
}

/// `init`.
#[derive(Debug, Args)]
#[command(after_help = "\
Makes hosts/example.toml, modules/heartbeat.toml, files/, secrets.example/, README.md, .gitignore and .taplo.toml, each \
with comments to learn from. Overwrites nothing: where one of them is there, nothing is made.

Examples:
  provision init fleet
  cd fleet && provision check && sudo provision rehearse example")]
pub struct Init {
    /// The project's directory; it is made where it does not exist [default: this one]
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// `new`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Overwrites nothing.

Examples:
  provision new host web-1 --address 192.0.2.10
  provision new module nginx")]
pub enum New {
    /// Begin a host file: hosts/NAME.toml
    Host(NewHost),
    /// Begin a module: modules/NAME.toml
    Module(NewModule),
}

/// `new host`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  provision new host web-1 --address 192.0.2.10
  provision new host web-2              reached as ~/.ssh/config says")]
pub struct NewHost {
    /// The host's name: a-z, 0-9 and \"-\"
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Its address or DNS name [default: its name, as ~/.ssh/config has it]
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<String>,
}

/// `new module`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  provision new module nginx
  provision new module net/dns          modules/net/dns.toml, imported as \"net/dns\"")]
pub struct NewModule {
    /// The module's name: a-z, 0-9, \"-\" and \"_\"; with \"/\" for a directory below modules/
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// `options`.
#[derive(Debug, Args)]
#[command(after_help = "\
Made from the modules' own files. The page for a browser is one file that fetches nothing from elsewhere.

Examples:
  provision options                        every module
  provision options inotify
  provision options --html > options.html
  provision options --markdown > MODULES.md")]
pub struct Options {
    /// The modules [default: all]
    #[arg(value_name = "MODULE")]
    pub modules: Vec<String>,
    /// Print Markdown
    #[arg(long, conflicts_with_all = ["html", "json"])]
    pub markdown: bool,
    /// Print one page for a browser, with a search field
    #[arg(long, conflicts_with = "json")]
    pub html: bool,
}

/// `explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Every error has a code, such as E0305. What it means is told at length here, with a file that has the mistake and the \
same file without it.

Examples:
  provision explain E0305
  provision explain                 all codes")]
pub struct Explain {
    /// The code, as the error shows it [default: list all]
    #[arg(value_name = "CODE")]
    pub code: Option<String>,
}

/// `fmt`.
#[derive(Debug, Args)]
#[command(after_help = "\
Changes blanks, blank lines, line ends and where lists are broken; never a value, a comment or an order. A comma after a \
list's last item keeps it at one item to a line. A file that is not TOML is told of and left as it is. With --check the \
exit code is 1 where a file would change.

Examples:
  provision fmt                     every host file, group and module
  provision fmt hosts/web-1.toml
  provision fmt --check
  provision fmt - < hosts/web-1.toml    to standard output, for editors")]
pub struct Fmt {
    /// Change nothing; name the files that would change
    #[arg(long)]
    pub check: bool,
    /// The files, or - for standard input [default: all of hosts/, groups/, modules/]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// `graph`.
#[derive(Debug, Args)]
#[command(after_help = "\
Resources are numbered in the order in which a first apply would take them. Contacts no host.

Examples:
  provision graph web-1 --format svg > web-1.svg       look at it in any browser
  provision graph web-1 --format mermaid               paste it into Markdown
  provision graph web-1 | dot -Tpdf > web-1.pdf        with Graphviz")]
pub struct Graph {
    /// The host
    #[arg(value_name = "HOST")]
    pub host: String,
    /// What to print: dot, mermaid or svg
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    pub format: GraphFormat,
}

/// How a graph is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// Graphviz's language.
    #[default]
    Dot,
    /// Mermaid's language.
    Mermaid,
    /// A drawing.
    Svg,
}

/// `schema`.
#[derive(Debug, Args)]
#[command(after_help = "\
The schemas know this project's modules and their options, so make them anew when those change. taplo, and with it \
\"Even Better TOML\" for VS Code, uses them for files that .taplo.toml in the project's root assigns to them (`provision \
init` makes one), or whose first line names one:

  #:schema ../.schema/host.json

With --json they are printed in one document, and nothing is written.

Examples:
  provision schema
  provision schema --out ~/schemas
  provision schema --json | jq '.schemas[\"host.json\"]'")]
pub struct Schema {
    /// Where they go [default: .schema in the project's root]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  provision completions bash > /etc/bash_completion.d/provision
  provision completions zsh > ~/.zfunc/_provision
  provision completions fish > ~/.config/fish/completions/provision.fish")]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// `man`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  provision man | man -l -
  provision man /usr/local/share/man/man1")]
pub struct Man {
    /// Where the pages go; it must exist
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

fn after_long_help() -> String {
    let mut text = format!("{EXAMPLES}\n\nExit codes:\n");
    for exit in Exit::ALL {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {:>3}  {}", exit.code(), exit.meaning());
    }
    text.push_str(
        "\nEnvironment: PROVISION_ROOT and PROVISION_PARALLEL stand for --root and --parallel.\n\nOf several hosts the gravest code counts: 130, 3, 4, 1, 5, 6, 2, 0. A host in trouble never stops the others.",
    );
    text
}

/// Reads a duration such as `45`, `45s`, `2m` or `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, "s"),
    };
    let factor = match unit {
        "h" => 3600,
        "m" => 60,
        _ => 1,
    };
    let seconds = number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor));
    match seconds {
        Some(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        Some(_) | None => Err("write a time from 1s to 24h, such as 30s or 2m".to_owned()),
    }
}

fn plan_id(text: &str) -> Result<provision_core::model::Digest, String> {
    text.parse()
        .map_err(|error: provision_core::model::InvalidDigest| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations() {
        for (text, seconds) in [("45", 45), ("45s", 45), ("2m", 120), ("1h", 3600), ("24h", 86_400)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "s", "0", "-1", "1.5", "25h", "1d", "18446744073709551615h", "é"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_last_of_diff_and_no_diff_counts() {
        for (flags, shown) in [
            (&[][..], true),
            (&["--diff"], true),
            (&["--no-diff"], false),
            (&["--diff", "--no-diff"], false),
            (&["--no-diff", "--diff"], true),
        ] {
            let cli = Cli::try_parse_from([&["provision", "plan"], flags].concat()).unwrap();
            let Command::Plan(plan) = cli.command else { panic!() };
            assert_eq!(plan.diff.shown(), shown, "{flags:?}");
        }
    }

    #[test]
    fn the_help_names_every_exit_code() {
        let help = Cli::command().render_long_help().to_string();
        for exit in Exit::ALL {
            let line = format!("{:>5}  ", exit.code());
            assert!(help.lines().any(|l| l.starts_with(&line)), "{exit:?}");
        }
    }
}
