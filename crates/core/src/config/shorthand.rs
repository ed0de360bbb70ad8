//! Shorthands: tables that say in a few words what would take files, links and units. What they become is
//! [`crate::resolve`]'s to say.

use super::fields::{AFTER, EACH, FILE, ON_REMOVAL, TEMPLATE, TEXT, WHEN, field};
use super::scalar::{Problem, Scalar as _, shown};
use super::schema::{Field, Shape};
use super::word::{Label, PlainName};
use crate::model::AbsPath;

/// A table that becomes resources of other kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shorthand {
    /// The host's name and time zone.
    System,
    /// A timer, with the service that it starts.
    Timer,
    /// A mounted file system.
    Mount,
    /// Who may run what as whom.
    Sudoers,
    /// Log files that are rotated.
    Logrotate,
    /// A repository of packages, with the key that signs it.
    AptRepository,
    /// Which version of a package is preferred.
    AptPin,
    /// Something that the firewall lets in.
    FirewallAllow,
}

const SYSTEM: &[Field] = &[field("value", Shape::Text, "The value."), ON_REMOVAL, WHEN];
const TIMERS: &[Field] = &[
    field(
        "run",
        Shape::Arguments,
        "The program that it starts, and its arguments; no shell reads them.",
    ),
    field("unit", Shape::Unit, "Or the unit that it starts."),
    field(
        "calendar",
        Shape::Text,
        "When, as in systemd.time(7): \"daily\", \"Mon 03:00\"; a time missed while the host was off is made up for.",
    ),
    field("every", Shape::Duration, "How long after it was last started."),
    field("after_boot", Shape::Duration, "How long after the host has started."),
    field(
        "random_delay",
        Shape::Duration,
        "Up to this much later, so that not all hosts start at once.",
    ),
    field(
        "user",
        Shape::User,
        "The user that the program runs as, root by default.",
    ),
    field(
        "timeout",
        Shape::Duration,
        "After this long the program is killed and has failed; \"1h\" by default.",
    ),
    ON_REMOVAL,
    AFTER,
    WHEN,
    EACH,
];
const MOUNTS: &[Field] = &[
    field(
        "what",
        Shape::Text,
        "What is mounted: a device, \"UUID=…\", \"HOST:/PATH\", \"tmpfs\".",
    ),
    field("type", Shape::Text, "The file system's type, such as \"ext4\"."),
    field("options", Shape::Texts, "Options of mount(8)."),
    ON_REMOVAL,
    AFTER,
    WHEN,
    EACH,
];
const SUDOERS: &[Field] = &[TEXT, FILE, TEMPLATE, ON_REMOVAL, AFTER, WHEN, EACH];
const LOGROTATE: &[Field] = &[
    field("paths", Shape::Texts, "The log files; * stands for any name."),
    field(
        "every",
        Shape::Text,
        "\"hourly\", \"daily\", \"weekly\" or \"monthly\"; \"weekly\" by default.",
    ),
    field(
        "size",
        Shape::Text,
        "Rotate earlier when longer than this, such as \"50M\".",
    ),
    field("keep", Shape::Uint, "How many old ones are kept, 7 by default."),
    field("compress", Shape::Bool, "Compress the old ones; true by default."),
    field(
        "copy_truncate",
        Shape::Bool,
        "Copy and empty the file, for programs that cannot open a new one; false by default.",
    ),
    field(
        "user",
        Shape::User,
        "The user that rotates: the directory's owner, where that is not root.",
    ),
    field("after_rotation", Shape::Text, "A shell line run after each rotation."),
    TEXT,
    FILE,
    TEMPLATE,
    ON_REMOVAL,
    AFTER,
    WHEN,
    EACH,
];
const APT_REPOSITORIES: &[Field] = &[
    field("url", Shape::Text, "Where it is."),
    field(
        "suites",
        Shape::Texts,
        "Its suites, such as [\"bookworm\"]; one that ends in \"/\" is a path, and has no components.",
    ),
    field("components", Shape::Texts, "Its components, [\"main\"] by default."),
    field(
        "architectures",
        Shape::Texts,
        "The architectures that are taken from it; by default the host's.",
    ),
    field(
        "key",
        Shape::LocalPath,
        "The public key that signs it: a file below files/, .asc (armored) or .gpg (binary).",
    ),
    ON_REMOVAL,
    AFTER,
    WHEN,
    EACH,
];
const APT_PINS: &[Field] = &[
    field("packages", Shape::Texts, "The packages; * stands for any name."),
    field(
        "pin",
        Shape::Text,
        "What is preferred, as in apt_preferences(5): \"version 24.*\", \"origin deb.nodesource.com\".",
    ),
    field(
        "priority",
        Shape::TextOrInteger,
        "How much: below 0 never, 500 as any other, above 1000 even if older.",
    ),
    ON_REMOVAL,
    WHEN,
    EACH,
];

const FIREWALL_ALLOW: &[Field] = &[
    field("port", Shape::Port, "The port that is let in."),
    field(
        "ports",
        Shape::PortRanges,
        "Or several, and ranges: [80, 443, \"6000-6100\"].",
    ),
    field("protocol", Shape::Text, "\"tcp\" (default), \"udp\" or \"both\"."),
    field(
        "from",
        Shape::Networks,
        "The addresses and networks that it is let in from; not said: from anywhere.",
    ),
    field(
        "interface",
        Shape::Interface,
        "The interface that it is let in through, \"*\" at its end stands for any rest; not said: through any.",
    ),
    field(
        "match",
        Shape::Text,
        "What else must hold, in the language of nft(8): \"ip daddr 224.0.0.251\", \"limit rate 5/second\".",
    ),
    WHEN,
    EACH,
];

impl Shorthand {
    /// Every shorthand.
    pub const ALL: [Self; 8] = [
        Self::System,
        Self::Timer,
        Self::Mount,
        Self::Sudoers,
        Self::Logrotate,
        Self::AptRepository,
        Self::AptPin,
        Self::FirewallAllow,
    ];

    /// Its name where one is meant.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.words().0
    }

    /// The name of the TOML table.
    #[must_use]
    pub const fn table(self) -> &'static str {
        self.words().1
    }

    /// One, with its article.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        self.words().2
    }

    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::System => ("system", "system", "a setting of the system"),
            Self::Timer => ("timer", "timers", "a timer"),
            Self::Mount => ("mount", "mounts", "a mount"),
            Self::Sudoers => ("sudoers", "sudoers", "a sudoers entry"),
            Self::Logrotate => ("logrotate", "logrotate", "a log rotation"),
            Self::AptRepository => ("apt-repository", "apt_repositories", "an apt repository"),
            Self::AptPin => ("apt-pin", "apt_pins", "an apt pin"),
            Self::FirewallAllow => ("firewall.allow", "firewall.allow", "something that a firewall lets in"),
        }
    }

    /// What its table holds, for a schema: of all, and of one.
    #[must_use]
    pub const fn docs(self) -> (&'static str, &'static str) {
        match self {
            Self::System => (
                "The host's own settings: hostname = \"friday\", timezone = \"Europe/Zurich\".",
                "A setting.",
            ),
            Self::Timer => (
                "Timers, by a name of your own: each becomes NAME.timer, and NAME.service where it runs a program.",
                "A timer; it starts `run` or `unit`, at `calendar`, `every` or `after_boot`.",
            ),
            Self::Mount => (
                "Mounted file systems, by the directory that they appear in.",
                "A mounted file system.",
            ),
            Self::Sudoers => (
                "Files of /etc/sudoers.d, by name; visudo checks each before it counts.",
                "A sudoers file; its content is `text`, `file` or `template`.",
            ),
            Self::Logrotate => (
                "Files of /etc/logrotate.d, by name; logrotate checks each before it counts.",
                "A log rotation: `paths`, or the whole file as `text`, `file` or `template`.",
            ),
            Self::AptRepository => (
                "Repositories of packages, by a name of your own; packages are installed after them.",
                "A repository of packages.",
            ),
            Self::FirewallAllow => (
                "What the firewall lets in, by a name of your own.",
                "What is let in: of these ports, from these networks, through this interface; of what is not said, all.",
            ),
            Self::AptPin => (
                "Which versions of packages are preferred, by a name of your own.",
                "A preference for some version of packages.",
            ),
        }
    }

    /// The fields of its tables.
    #[must_use]
    pub const fn fields(self) -> &'static [Field] {
        match self {
            Self::System => SYSTEM,
            Self::Timer => TIMERS,
            Self::Mount => MOUNTS,
            Self::Sudoers => SUDOERS,
            Self::Logrotate => LOGROTATE,
            Self::AptRepository => APT_REPOSITORIES,
            Self::AptPin => APT_PINS,
            Self::FirewallAllow => FIREWALL_ALLOW,
        }
    }

    /// The field that `NAME = value` gives.
    #[must_use]
    pub const fn short_form(self) -> Option<&'static str> {
        match self {
            Self::System => Some("value"),
            Self::Timer
            | Self::Mount
            | Self::Sudoers
            | Self::Logrotate
            | Self::AptRepository
            | Self::AptPin
            | Self::FirewallAllow => None,
        }
    }

    /// A name in an example.
    pub(super) const fn example_name(self) -> &'static str {
        match self {
            Self::System => "hostname",
            Self::Mount => "\"/srv/data\"",
            Self::Timer
            | Self::Sudoers
            | Self::Logrotate
            | Self::AptRepository
            | Self::AptPin
            | Self::FirewallAllow => "example",
        }
    }

    /// Checks a name, as it stands after rendering.
    pub(super) fn check_name(self, name: &str) -> Result<(), Problem> {
        match self {
            Self::System => match name {
                "hostname" | "timezone" => Ok(()),
                other => Err(
                    Problem::invalid(format!("the system has no setting `{}`", shown(other)))
                        .help("it has hostname and timezone"),
                ),
            },
            Self::Mount => AbsPath::from_text(name).map(drop),
            Self::Timer | Self::FirewallAllow => Label::from_text(name).map(drop),
            Self::Sudoers | Self::Logrotate | Self::AptRepository | Self::AptPin => {
                PlainName::from_text(name).map(drop)
            }
        }
    }
}
