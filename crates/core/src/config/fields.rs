//! The fields of each kind's tables, in the words that document them. What a field takes is [`super::schema`]'s.

use crate::model::Kind;

use super::schema::{Field, Shape};

pub(super) const fn field(name: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field { name, shape, doc }
}

pub(super) const AFTER: Field = field(
    "after",
    Shape::Ids,
    "Resources that come first, as \"kind:name\", where that cannot be seen.",
);
pub(super) const WHEN: Field = field(
    "when",
    Shape::Expression,
    "An expression; where it does not hold, there is no such resource.",
);
pub(super) const EACH: Field = field(
    "each",
    Shape::Each,
    "A list, a table, or an expression that gives one: one resource per item, which templates see as `item`, and its key as `key`.",
);
pub(super) const ON_REMOVAL: Field = field(
    "on_removal",
    Shape::OnRemoval,
    "When it leaves the configuration: \"restore\" what was there before (default), \"remove\" it in any case, or \"keep\" it.",
);
const OWNER: Field = field("owner", Shape::Owner, "The owning user, root by default.");
const GROUP: Field = field(
    "group",
    Shape::Owner,
    "The owning group; by default the primary group of a managed owner, or the group of the owner's name.",
);
pub(super) const TEXT: Field = field("text", Shape::Text, "The content, a template.");
pub(super) const FILE: Field = field(
    "file",
    Shape::LocalPath,
    "The content is this file below files/, as it is.",
);
pub(super) const TEMPLATE: Field = field(
    "template",
    Shape::LocalPath,
    "The content is this file below files/, rendered as a template.",
);

const TEXT_OF_SECRETS: Field = field(
    "text",
    Shape::Text,
    "The content, a template, in which secret(name=\"…\") is another secret's value.",
);
const TEMPLATE_OF_SECRETS: Field = field(
    "template",
    Shape::LocalPath,
    "The content is this file below files/, rendered as a template, in which secret(name=\"…\") is another secret's value.",
);

const FILES: &[Field] = &[
    TEXT,
    FILE,
    TEMPLATE,
    OWNER,
    GROUP,
    field("mode", Shape::Mode, "Permissions, \"0644\" by default."),
    field(
        "validate",
        Shape::Arguments,
        "A command run on the staged copy before it replaces the old file; \"{}\" is its path.",
    ),
    field(
        "schema",
        Shape::LocalPath,
        "A JSON Schema below files/ that the content, which is then JSON, has to fit; it is checked before any host is contacted.",
    ),
    field(
        "sensitive",
        Shape::Bool,
        "Its content is a secret: it is neither shown nor kept on the host for going back. Where nothing is said, diffs leave out what others may not read.",
    ),
    field(
        "seed",
        Shape::Bool,
        "Only make it where nothing is; what a person or a program makes of it stays. False by default.",
    ),
    ON_REMOVAL,
    AFTER,
    WHEN,
    EACH,
];
const BLOCKS: &[Field] = &[
    field("text", Shape::Text, "The lines, a template."),
    field(
        "file",
        Shape::LocalPath,
        "The lines are this file below files/, as it is.",
    ),
    field(
        "template",
        Shape::LocalPath,
        "The lines are this file below files/, rendered as a template.",
    ),
    field(
        "comment",
        Shape::Text,
        "What begins a comment in that file, \"#\" by default.",
    ),
    field(
        "owner",
        Shape::Owner,
        "The file's owner; not said: left as it is, root for a new file.",
    ),
    field(
        "group",
        Shape::Owner,
        "The file's group; not said: left as it is, root for a new file.",
    ),
    field(
        "mode",
        Shape::Mode,
        "The file's permissions; not said: left as they are, \"0644\" for a new file.",
    ),
    ON_REMOVAL,
    AFTER,
    WHEN,
    EACH,
];
const DIRECTORIES: &[Field] = &[
    OWNER,
    GROUP,
    field("mode", Shape::Mode, "Permissions, \"0755\" by default."),
    ON_REMOVAL,
    AFTER,
    WHEN,
    EACH,
];
const SYMLINKS: &[Field] = &[
    field("target", Shape::Text, "What the link says, absolute or relative."),
    ON_REMOVAL,
    AFTER,
    WHEN,
    EACH,
];
const PACKAGES: &[Field] = &[
    field(
        "version",
        Shape::Text,
        "\"present\", \"absent\", or exactly this version.",
    ),
    field(
        "recommends",
        Shape::Bool,
        "`false` installs it without the packages that it recommends; otherwise apt's own configuration says.",
    ),
    ON_REMOVAL,
    AFTER,
    WHEN,
    EACH,
];
const DEBCONF: &[Field] = &[
    field(
        "type",
        Shape::QuestionType,
        "What sort of answer it takes: \"string\", \"boolean\", \"select\", \"multiselect\", or \"note\", \"text\", \"title\" for what is only read.",
    ),
    field(
        "value",
        Shape::Answer,
        "The answer, as the package takes it; true or false for a boolean, a list for several choices. Never a secret.",
    ),
    field(
        "package",
        Shape::Package,
        "The package that asks; by default what the question's name begins with.",
    ),
    field(
        "reconfigure",
        Shape::Bool,
        "Whether a change reconfigures the package where it is installed already; false by default.",
    ),
    ON_REMOVAL,
    AFTER,
    WHEN,
    EACH,
];
const SWAPFILES: &[Field] = &[
    field("size", Shape::Size, "How large it is, in whole MiB: \"2G\"."),
    field(
        "priority",
        Shape::SwapPriority,
        "The swap space with the highest is used first, from 0 to 32767; not said: after all that have one.",
    ),
    ON_REMOVAL,
    AFTER,
    WHEN,
    EACH,
];
const ARCHIVES: &[Field] = &[
    field(
        "url",
        Shape::Text,
        "Where it is: a tar archive, packed in any way that the host's tar knows.",
    ),
    field(
        "sha256",
        Shape::Text,
        "The SHA-256 of its bytes; nothing else is unpacked.",
    ),
    field(
        "strip",
        Shape::Uint,
        "How many leading parts of its paths are left out, 0 by default.",
    ),
    ON_REMOVAL,
    AFTER,
    WHEN,
    EACH,
];
const NPM: &[Field] = &[
    field("manifest", Shape::LocalPath, "The package.json: a file below files/."),
    field(
        "lock",
        Shape::LocalPath,
        "The package-lock.json: a file below files/. Exactly what it names is installed.",
    ),
    field(
        "programs",
        Shape::Path,
        "The directory of the node and npm that install them; not said: those of the search path.",
    ),
    field(
        "scripts",
        Shape::Bool,
        "Whether the packages' own scripts run, as root; false by default.",
    ),
    field(
        "prepare",
        Shape::Arguments,
        "A program that is run once in what was installed, as root, before it is in use; a path in it begins there.",
    ),
    field("env", Shape::TextTable, "Variables for npm; never a secret."),
    ON_REMOVAL,
    AFTER,
    WHEN,
    EACH,
];
const GIT: &[Field] = &[
    field(
        "url",
        Shape::Text,
        "Where it comes from: https://, ssh://, user@host:path, or a path on the host; with no password in it.",
    ),
    field("commit", Shape::Text, "The commit, by its whole name."),
    field("branch", Shape::Text, "The branch, instead of a commit."),
    field(
        "owner",
        Shape::User,
        "Whose it is, and as whom git runs; root by default.",
    ),
    field(
        "update",
        Shape::Text,
        "\"clone\", the default, only makes what is missing; \"mirror\" keeps it at the commit or the branch's tip, and loses changes of its files.",
    ),
    field(
        "key",
        Shape::Path,
        "The private key for ssh, on the host: it may be a secret's path.",
    ),
    field(
        "known_hosts",
        Shape::Path,
        "The file of host keys that ssh trusts, on the host; not said: those that the owner's ssh knows.",
    ),
    field(
        "on_removal",
        Shape::OnRemoval,
        "What happens when it leaves the configuration; \"keep\" by default: it may hold somebody's work.",
    ),
    AFTER,
    WHEN,
    EACH,
];
const HOLDS: &[Field] = &[
    field("on", Shape::Bool, "Whether the package is kept at its version."),
    ON_REMOVAL,
    AFTER,
    WHEN,
    EACH,
];
const LINGER: &[Field] = &[
    field(
        "on",
        Shape::Bool,
        "Whether the user's own services run without a login.",
    ),
    ON_REMOVAL,
    AFTER,
    WHEN,
    EACH,
];
const KERNEL_MODULES: &[Field] = &[
    field("on", Shape::Bool, "true: it is loaded, now and at each boot."),
    AFTER,
    WHEN,
    EACH,
];
const SYSCTL: &[Field] = &[
    field("value", Shape::TextOrInteger, "The value."),
    field(
        "file",
        Shape::Path,
        "The file below /etc/sysctl.d/ that keeps it over a reboot.",
    ),
    WHEN,
    EACH,
];
const FIREWALL: &[Field] = &[
    field(
        "default",
        Shape::Text,
        "What happens to what comes in and nothing lets in: \"drop\", \"reject\" (and say so) or \"accept\".",
    ),
    field(
        "rules",
        Shape::Text,
        "More of the table, in the language of nft(8): chains and sets beside the chain that lets in.",
    ),
    field(
        "text",
        Shape::Text,
        "Or all that is in the table, in the language of nft(8), a template.",
    ),
    field(
        "file",
        Shape::LocalPath,
        "Or all that is in the table is this file below files/, as it is.",
    ),
    field(
        "template",
        Shape::LocalPath,
        "Or all that is in the table is this file below files/, rendered as a template.",
    ),
    field(
        "without_ssh",
        Shape::Bool,
        "That nothing here lets in the SSH port by which the host is reached is meant: the way in is another. False by default.",
    ),
    WHEN,
];
const UNITS: &[Field] = &[
    TEXT,
    FILE,
    TEMPLATE,
    field(
        "enabled",
        Shape::Bool,
        "Whether it starts at boot; not said: left as it is.",
    ),
    field("active", Shape::Bool, "Whether it runs now; not said: left as it is."),
    field(
        "on_change",
        Shape::OnChange,
        "What a change of something it uses does: \"restart\" (default), \"reload\", \"nothing\".",
    ),
    field(
        "restart_on",
        Shape::Ids,
        "Resources whose change restarts it, beside those that its text names.",
    ),
    field(
        "drop_ins",
        Shape::TextTable,
        "Texts that add to the unit's own, by name: each becomes a file of UNIT.d, NAME.conf.",
    ),
    field(
        "masked",
        Shape::Bool,
        "Keep it from being started by anybody: it is stopped, and leads to /dev/null.",
    ),
    field(
        "settle",
        Shape::Duration,
        "How long it must stay up to count as healthy, \"1s\" by default.",
    ),
    ON_REMOVAL,
    AFTER,
    WHEN,
    EACH,
];
const USERS: &[Field] = &[
    field("uid", Shape::Uint, "The numeric id."),
    field(
        "group",
        Shape::User,
        "The primary group; by default a group of the user's own name.",
    ),
    field(
        "groups",
        Shape::Users,
        "Groups it must be a member of; other memberships stay.",
    ),
    field("home", Shape::Path, "The home directory."),
    field(
        "create_home",
        Shape::Bool,
        "Make a missing home directory; true by default, false for system users.",
    ),
    field("shell", Shape::Path, "The login shell."),
    field(
        "authorized_keys",
        Shape::PublicKeys,
        "Public keys that may log in as the user, each a line of authorized_keys; keys that others put there stay.",
    ),
    field("comment", Shape::Text, "The comment (GECOS) field."),
    field(
        "system",
        Shape::Bool,
        "Create it in the range of system users; false by default.",
    ),
    ON_REMOVAL,
    AFTER,
    WHEN,
    EACH,
];
const GROUPS: &[Field] = &[
    field("gid", Shape::Uint, "The numeric id."),
    field(
        "system",
        Shape::Bool,
        "Create it in the range of system groups; false by default.",
    ),
    ON_REMOVAL,
    WHEN,
    EACH,
];
const COMMANDS: &[Field] = &[
    field(
        "run",
        Shape::Arguments,
        "The program and its arguments; no shell reads them.",
    ),
    field("creates", Shape::Path, "Nothing to do while this path exists."),
    field(
        "unless",
        Shape::Arguments,
        "Nothing to do while this command exits 0; it must change nothing.",
    ),
    field("user", Shape::User, "The user it runs as, root by default."),
    field("cwd", Shape::Path, "The working directory, / by default."),
    field("env", Shape::TextTable, "Variables added to a minimal environment."),
    field(
        "timeout",
        Shape::Duration,
        "After this long it is killed and has failed; \"10min\" by default.",
    ),
    AFTER,
    WHEN,
    EACH,
];
const PROBES: &[Field] = &[
    field(
        "http",
        Shape::Url,
        "A plain HTTP GET of this URL, from the host itself.",
    ),
    field("status", Shape::Status, "The expected status code, 200 by default."),
    field("body", Shape::Text, "Text that the body must contain."),
    field("tcp", Shape::Address, "A TCP connection to \"host:port\" is accepted."),
    field("unit", Shape::Unit, "A unit is active."),
    field(
        "timeout",
        Shape::Duration,
        "How long it may take in all, \"30s\" by default.",
    ),
    field(
        "interval",
        Shape::Duration,
        "The pause between two tries, \"1s\" by default.",
    ),
    field(
        "threshold",
        Shape::Uint,
        "How many successes in a row it takes, 1 by default.",
    ),
    AFTER,
    WHEN,
    EACH,
];

const SECRETS: &[Field] = &[
    field(
        "aws",
        Shape::Text,
        "The value is that of this secret in AWS Secrets Manager, by name or ARN.",
    ),
    field("stage", Shape::Text, "The staging label, \"AWSCURRENT\" by default."),
    field(
        "region",
        Shape::Text,
        "Its region; by default the project's, or the environment's.",
    ),
    field(
        "age",
        Shape::Text,
        "The value is the one of this name in the project's encrypted file.",
    ),
    field(
        "command",
        Shape::Arguments,
        "The value is what this program prints, run where `provision` runs; no shell reads it.",
    ),
    field(
        "env",
        Shape::Text,
        "The value is that of this variable, where `provision` runs.",
    ),
    field(
        "key",
        Shape::Text,
        "The value is a JSON object, and what counts is the text of this key in it.",
    ),
    TEXT_OF_SECRETS,
    TEMPLATE_OF_SECRETS,
    field("owner", Shape::Owner, "The user that may read it, root by default."),
    GROUP,
    field("mode", Shape::Mode, "Permissions, \"0400\" by default."),
    field(
        "path",
        Shape::Path,
        "Its file, in the host's directory for secrets; by default its name there, with \"-\" for each \"/\".",
    ),
    field(
        "required",
        Shape::Bool,
        "Whether it is an error that the store has none; true by default.",
    ),
    field(
        "trim",
        Shape::Bool,
        "Leave out one line feed at the end of the value; false by default, byte for byte.",
    ),
    field(
        "units",
        Shape::Units,
        "Units that use it: they start only when it is there, and are restarted when it changes. Units whose text names its path are among them by themselves.",
    ),
    field(
        "shared",
        Shape::Bool,
        "Several hosts have it; false by default, so that two bots never share a token by mistake.",
    ),
    field(
        "deliver",
        Shape::Bool,
        "Whether it has a file of its own; false for one that only others' texts use. True by default.",
    ),
    WHEN,
    EACH,
];

/// The fields of a kind's tables.
pub(super) const fn fields_of(kind: Kind) -> &'static [Field] {
    match kind {
        Kind::File => FILES,
        Kind::Block => BLOCKS,
        Kind::Directory => DIRECTORIES,
        Kind::Symlink => SYMLINKS,
        Kind::Debconf => DEBCONF,
        Kind::Package => PACKAGES,
        Kind::Swapfile => SWAPFILES,
        Kind::Archive => ARCHIVES,
        Kind::Npm => NPM,
        Kind::Git => GIT,
        Kind::Hold => HOLDS,
        Kind::Linger => LINGER,
        Kind::KernelModule => KERNEL_MODULES,
        Kind::Sysctl => SYSCTL,
        Kind::Firewall => FIREWALL,
        Kind::Secret => SECRETS,
        Kind::Unit => UNITS,
        Kind::User => USERS,
        Kind::Group => GROUPS,
        Kind::Command => COMMANDS,
        Kind::Probe => PROBES,
    }
}
