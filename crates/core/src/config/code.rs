//! Every kind of finding: its stable code, its title, why it matters and its long explanation, in one table.
//! The findings themselves are made where they are found.

use std::fmt;
use std::str::FromStr;

macro_rules! codes {
    ($($name:ident $id:literal $title:literal $why:literal $explanation:literal)*) => {
        /// A kind of finding. The names of the variants may change; [`Code::id`] does not.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the table gives each variant a title and an explanation")]
        pub enum Code {
            $($name,)*
        }

        impl Code {
            /// Every code, in the order of their ids.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            const fn row(self) -> (&'static str, &'static str, &'static str, &'static str) {
                match self {
                    $(Self::$name => ($id, $title, $why, $explanation),)*
                }
            }
        }
    };
}

codes! {
    Syntax "E0101" "the file is not TOML"
        "nothing of a file can be trusted until all of it can be read, so its hosts are left alone"
        "The file breaks the grammar of TOML 1.0 (https://toml.io). The place shown is where reading stopped making sense; the mistake \
         is there or just before. Common causes: a missing closing quote or bracket, a text without quotes, the same table written twice."
    NotText "E0102" "the file is not UTF-8 text, or too large"
        "what is not text of a readable size has no lines, and no settings that could be trusted"
        "Host files, modules and templates are text in UTF-8. Bytes that are not belong into a file below `files/` that is copied as it is \
         with `file = \"…\"`."
    UnknownKey "E0103" "a key or table that nothing reads"
        "it would look like a setting that is in force, and would not be one"
        "Every key has a meaning or is refused: a misspelt key that was silently ignored would leave a host other than you meant it."
    WrongType "E0104" "a value of the wrong type"
        "taken for another type than it was written as, it could mean something that you did not"
        "The place wants another type of value, such as a text in quotes, a number, `true` or `false`, or a list in brackets. A text \
         with a template in it, such as \"{{ port }}\", may stand wherever a number, a `true` or a list is wanted; what it renders to is \
         then read as that type."
    InvalidValue "E0105" "a value that the place cannot take"
        "taken as it stands it would stop an apply half-way, or do something else than you meant"
        "The value has the right type and is still not one that the place can take: a path that is not absolute, a mode that is not \
         octal, a name that the system would refuse. It is checked here, before any host is contacted."
    MissingKey "E0106" "a key that has to be there is missing"
        "no value of it would be right for everyone, and none is made up"
        "The table cannot be understood without this key, and there is no default that would be right for everyone."
    ConflictingKeys "E0107" "keys that exclude each other"
        "only one of them can be in force, and which one, only you can know"
        "At most one of these keys can be meant; which one, only you can know."
    FileName "E0108" "a file whose name cannot be a host's or a module's"
        "the file's name is the host's, the module's or the tag's, and stands in commands, paths and templates"
        "A host is named by its file: `hosts/NAME.toml`, where NAME is a DNS label (a-z, 0-9 and \"-\"). A module is named by its path \
         below `modules/` without `.toml`, each part being a-z, 0-9, \"-\" and \"_\"."
    UnknownModule "E0201" "an import of a module that does not exist"
        "without the module the host would be set up in part, and nothing would say so"
        "`imports` lists modules by name: \"inotify\" is the file `modules/inotify.toml`."
    ImportCycle "E0202" "modules that import each other in a circle"
        "a module comes after those that it imports, and in a circle none can be first"
        "A module's imports come before it, so a circle has no beginning. Move what both need into a third module that both import."
    UnknownOption "E0301" "an option that the module does not declare"
        "the value would be for nobody, and what it was to change would stay as it is"
        "`[set.MODULE]` gives values to the options that the module declares in `[options.…]`."
    NotImported "E0302" "options set for a module that the host does not import"
        "the values would have no effect, and the host would be without what they were to set up"
        "The values would have no effect. Import the module, or remove them."
    MissingOption "E0303" "an option without a value"
        "the module has no default for it, as none would be right for every host"
        "The module declares the option without a default, so every host that imports it has to give a value. A module's author makes an \
         option one that may be left out with `required = false`."
    OutOfBounds "E0304" "an option's value outside of what the module allows"
        "the module's author says that it does not work, or not as it should, outside of these bounds"
        "The module declares bounds (`min`, `max`) or the possible values (`one_of`) of this option."
    ConflictingValues "E0305" "one option with two values"
        "no order of files decides here, so that moving a line or a file never changes a host"
        "Two definitions of equal priority give one option different values, and no order of files decides between them. Remove one, \
         write one in `[default.MODULE]` (weaker), or write the one that wins in `[force.MODULE]` (stronger)."
    BadOption "E0306" "an option declared in a way that makes no sense"
        "no host could give the option a value that does what the declaration says"
        "The declaration contradicts itself: bounds on something that is not a number, a default outside of its own bounds, a name \
         that templates use for something else."
    OptionCycle "E0307" "options whose values need each other"
        "each of the values would be needed before the other, so there is none to begin with"
        "An option's default may use other options, but not, by any detour, itself."
    AssertionFailed "E0308" "a module's assertion does not hold"
        "the module's author checks it, because with these values it would not do what it is for"
        "The module checks its options with `[[assert]]`; the message is its author's."
    Instances "E0309" "a module with instances used without one, or one without instances used with one"
        "only a module that says so can be on a host more than once, and then each use needs a name"
        "A module that declares `instances = true` is used once per name: `[set.MODULE.NAME]` makes an instance and gives its options \
         values, and templates of the module see its name as `instance`. Any other module is used once per host, by `[set.MODULE]`."
    UnknownHost "E0310" "a reference to a host that does not exist"
        "what is written to this host would name one that does not exist"
        "The option takes the name of a host of this project: of a file in `hosts/`, without `.toml`."
    TemplateSyntax "E0401" "a template that cannot be read"
        "what stands in the braces would come to the host as it is written here, or not at all"
        "Texts are templates in the language of Tera (https://keats.github.io/tera/): `{{ value }}`, `{% if … %}…{% endif %}`, \
         `{% for … %}…{% endfor %}`, `{# comment #}`. Where a text needs those characters for itself, put it between `{% raw %}` and \
         `{% endraw %}`."
    UnknownVariable "E0402" "a template uses a name that does not exist there"
        "a name without a value would leave a gap in the text, and nothing would say so"
        "A template sees the options of the module it is written in, `host` (this host), `hosts` (every host's public facts), in a module \
         with instances `instance`, beside `each` also `item` and `key`, and in resources `instances`. It does not see other modules' \
         options, nor secrets."
    TemplateFailed "E0403" "a template that cannot be rendered"
        "without its result there is nothing to write to the host"
        "The template was read, and failed on the values it was given."
    RenderedType "E0404" "a template that renders to a value of the wrong type"
        "the place can hold only a value of its type, and what was meant is not guessed at"
        "What a template renders to is read as the type that its place demands, and it could not be."
    TemplateLimit "E0405" "a template that does too much, or what templates here may not"
        "a slip in a loop would take all of this machine's memory or time"
        "Templates render in bounded time and memory: a bounded number of loop turns, bounded values, a bounded result. Tags that \
         reach into other templates or define components are not part of the language."
    DeclaredTwice "E0501" "one resource declared twice, differently"
        "one of the two would win by accident, and another day the other"
        "Two declarations of one resource are one if they agree. These do not, and no order of files decides between them."
    TwoOwners "E0502" "one path declared as two kinds"
        "each apply would undo for one declaration what it did for the other"
        "A path is a file, a directory or a symbolic link; only one declaration can be true."
    BelowFile "E0503" "a path below one that is no directory"
        "below a file nothing can lie, and below a link it would really lie somewhere else, where another may own it"
        "A managed path lies below another that is managed as a file or a symbolic link. Below a file nothing can lie; below a link \
         the path would really be somewhere else, where another declaration may own it."
    LocalFile "E0504" "a local file that cannot be read"
        "without it there is nothing to write to the host, and an empty file would be a wrong one"
        "`file = \"…\"` and `template = \"…\"` name files below the project's `files/` directory."
    UnknownResource "E0505" "a reference to a resource that the host does not declare"
        "an order that names what is not there would be kept by nobody, and a restart would never come"
        "`after` and `restart_on` name resources of the same host as \"kind:name\", such as \"file:/etc/motd\" or \"package:curl\"."
    DependencyCycle "E0506" "resources that wait for each other in a circle"
        "each of them waits for the next, so none could ever be first"
        "Each of these resources has to come before the next, and the last before the first. Most such dependencies come from what a \
         resource names (its directory, its owner, a unit's files); the others from `after` and `restart_on`."
    LatestVersion "E0507" "a package wanted in its \"latest\" version"
        "what is latest changes by itself, so the plan that you read would not be the one that is applied"
        "What \"latest\" means changes without any change of the configuration, so a plan made today would not be the one applied \
         tomorrow, and drift would be found where nobody did anything. Ask for \"present\", or name the version."
    PortTwice "E0508" "a port that two things want to listen on"
        "the second of them would not start, or start while the first is down, and answer for it"
        "Modules say in `[ports.NAME]` which ports their services listen on, and the ports that follow from those. Two claims of one \
         port clash unless they are for different protocols or different addresses."
    IdTwice "E0509" "two users or groups with one number"
        "the system knows owners by their numbers, so the two would own each other's files"
        "The system knows owners by number: two users with one `uid`, or two groups with one `gid`, would own each other's files."
    TooMuch "E0510" "a host with more than can be worked out"
        "what one host can be made of is bounded, so that a slip in a loop is found here and does not fill the memory"
        "What one host can be made of is bounded, so that a slip in a loop is found at once instead of filling the memory: the items of \
         an `each`, the instances, the turns and the results of all templates together."
    EndsByItself "E0511" "a unit that is to be active and ends by itself"
        "it is inactive again as soon as its program ends, so every apply would start it once more"
        "A service of `Type=oneshot` is inactive again as soon as its program has ended, so that no apply could ever leave it active. With \
         `RemainAfterExit=yes` in its `[Service]` it counts as active from then on; one that a timer starts needs no `active` of its own."
    LockFile "E0512" "a set of npm packages that is not pinned"
        "without a lock file each host gets what npm finds on that day, and no two need be alike"
        "`[npm]` takes a `package.json` and the `package-lock.json` that npm made from it. The lock file pins every package by version \
         and digest, so that every host gets the same, today and in a year."
    UnknownSecret "E0513" "a reference to a secret that the host does not declare"
        "what needs it would start without it, or not at all"
        "`secret(name=…)`, `secret_path(name=…)` and the paths in the texts of units name secrets that the same host declares in \
         `[secrets.NAME]`, be it in its own file, a group's or a module's."
    SecretInPlain "E0514" "a secret's value where others could read it"
        "the value would stand in plans, on disks and in journals, for others to read"
        "`secret(name=…)` stands for a value that is never in the configuration, in a plan or on a disk. So it can be used only in the \
         `text` or `template` of a secret, whose file lies in the host's memory; everywhere else, use the path of the secret's file: \
         `secret_path(name=…)`."
    SecretShared "E0515" "one secret on two hosts"
        "one host that is broken into gives away both, and bots with one token disconnect each other"
        "Two bots with one token disconnect each other, and one host that is broken into gives away both. Give each host its own, or say \
         `shared = true` where it is meant."
    Forbidden "E0516" "a name that must not be on the host"
        "it was said that nothing on this host may have it, so that whoever breaks in there cannot use it"
        "`forbid` in the host's file or a group's lists names, such as of variables with API keys, that nothing on the host may have: no \
         file, no unit, no command and no secret."
    CannotFetch "E0517" "a secret that the host cannot fetch by itself"
        "after its next reboot the host would be without this secret, and without what needs it"
        "With `secrets_after_reboot = \"fetch\"` a host gets its secrets from AWS Secrets Manager when it starts, by the role of its \
         instance. It has no key to the project's encrypted file, and neither the programs nor the environment of whoever applies."
    FeedsNoWatchdog "E0521" "a watchdog that nothing feeds"
        "systemd would kill it each time the interval is over, however well it is"
        "With `WatchdogSec=`, systemd kills a service that does not tell it in time that it is alive, by sd_notify. A program that does \
         so says `Type=notify`; one that does not is killed each time the interval is over, however well it is. Ask over HTTP \
         instead: the module `watchdog` does."
    KillsByName "E0522" "processes that are ended by their name"
        "whatever has that name is ended, of any user, and what calls itself otherwise is not"
        "`killall` and `pkill` end whatever has that name, of any user, in any container, and miss what calls itself otherwise: a gateway's \
         process has another name than its program. systemd knows which processes are a unit's: `systemctl restart`, `stop` and \
         `kill` reach those, all of them, and no others."
    BlindLocks "E0523" "lock files that are removed unseen"
        "a second process could get in beside the one that holds it, and both would write to one state"
        "A lock file says who is at work. Removing it without looking lets a second process in beside the first, and both write \
         to one state. It is stale where the process that it names is gone, or has started at another time: remove it then."
    HeapLimit "E0524" "a memory limit that Node.js does not know"
        "the kernel would kill it before it cleans up, again and again"
        "Node.js lets its heap grow as it sees fit for the machine, not for the unit's `MemoryMax=`: the kernel kills it before it cleans up, \
         and it starts again, and is killed again. `NODE_OPTIONS=--max-old-space-size=MIB`, at three quarters of the limit or \
         less, makes it clean up in time."
    TwoSupervisors "E0525" "one program that two units start"
        "two processes would want one state and one port, and the loser would be started again and again"
        "Two services have one command, so there would be two processes on one state and one port, of which one fails and is started again \
         and again. One program has one supervisor."
    BadPackage "E0526" "an npm package that does not work"
        "npm installs it without an error, and what was meant never starts"
        "Some releases were published broken, and some names belong to somebody else: npm installs them without an error, and what \
         was meant never starts. Which ones, and what to ask for instead, the message says."
    NodeVersion "E0527" "a package that the Node.js beside it cannot run"
        "npm only warns of it, and the program ends when it is started"
        "The lock file pins a version of Node.js and a package whose `engines` exclude that version. npm only warns; the package ends when \
         it is started."
    SchemaMismatch "E0528" "a file that does not fit its schema"
        "the program would refuse the file on the host, or ignore a part of it"
        "With `schema = \"…\"`, a file's content is JSON, and the JSON Schema below `files/` says what may be in it: keys that the \
         program's version does not know, and values that it would refuse, are found before any host is contacted."
    NoSignOfLife "E0529" "a probe that passes where nothing works"
        "a process that hangs passes it too, so that it would call healthy what is not"
        "The module says in `[ports.NAME] health = […]` which paths tell the health of what listens there. The kernel takes connections for a \
         process that hangs, and many servers answer every path with the same page: a probe of the open port, or of another path, \
         would pass all the same."
    WeakSecret "E0530" "a secret that everybody knows"
        "it stands in examples, and whoever finds the port tries it first"
        "A text gives a token, a password or a key a value that stands in examples. Whoever finds the port tries those first. A secret has no \
         place in a file of the project either: let the program read it from a file or a variable on the host."
    BoundFile "E0531" "a single file that is bound into a service"
        "the service would have the old file for as long as it runs"
        "Files are replaced whole, by a new file under the old name, so that nobody ever reads half of one. A file that is bound by itself \
         into a service or container is the old one for as long as that runs. Bind the directory that it is in."
    UserUnit "E0532" "a user's unit without what it needs"
        "without it the user's own manager would not find the unit, or not be there at boot"
        "`[units.\"USER/NAME.service\"]` is a unit of that user's own manager, which systemd runs from boot on only for users who linger: \
         `[linger] USER = true`. Its file lies below the user's home directory, so that has to be said: `[users.USER] home = \"…\"`. Where \
         secrets come back at boot, the manager waits for them, and needs the user's `uid`."
    PasswordAnswer "E0533" "a password among the answers to packages' questions"
        "debconf keeps answers on the disk, in clear, and packages copy them into files of their own"
        "debconf keeps what questions are answered with in `/var/cache/debconf`, in clear, and so would the plan, the receipt and the project. \
         A package that is not told a password asks nobody here and leaves it unset. Give the program its password as a secret, in the \
         host's memory: `[secrets.NAME] owner = \"USER\"`, or set it by a command that reads that file."
    LocksOut "E0540" "a firewall that shuts out the way in"
        "the first apply would cut the host off, and the host would undo it"
        "Nothing that the firewall lets in is the SSH port by which the host is reached, so its first apply would cut the host off: the host \
         would undo it by itself, and nothing would have come of it. Let the port in, from the networks that you come from, or say \
         `without_ssh = true` where something that is not judged lets you in: a `match` alone, or a VPN's own rules."
    TwoMachines "E0601" "a host with two cloud servers"
        "one of the two would be made and paid for, and never set up"
        "A host runs on one machine: on Hetzner or on AWS."
    Deprecated "W0701" "an option that its module is about to drop"
        "the value counts today, and a later version of the module may not know the option"
        "The value still counts. The module says what to use instead; a later version of it may not know the option any more."
    UnknownUser "W0702" "a user or group that nothing provides"
        "a unit whose user is not there does not start, and no path can be given to nobody"
        "A unit runs as, or a path belongs to, a user or group that the host does not declare and that Debian does not bring along. If a \
         package makes it, let the resource come `after` that package, and this is quiet; else declare it in `[users.NAME]`."
    NoInstance "W0703" "a module with instances that the host imports and never uses"
        "the host would be without what the import seems to promise"
        "The module does nothing until it is given an instance: `[set.MODULE.NAME]`, empty if the defaults will do."
    UnusedGroup "W0704" "a group that no host is in"
        "what it sets up is on no host, however much it looks so"
        "`groups/TAG.toml` is for the hosts that have the tag in `[host] tags`, and no host has it."
    UnknownFile "W0705" "a service that needs a file that nothing provides"
        "started without it, the service would fail"
        "The unit names a program to run, an environment file, a credential or a working directory, the host declares no such path, and \
         it lies where no package of Debian puts anything, or in a directory that the host declares itself. Started, the service would \
         fail. If a command or package makes the path, let the unit come `after` it, and this is quiet; a leading \"-\" says that it may \
         be missing."
    UnusedSecret "W0706" "a secret that nothing uses"
        "what need not be on a host cannot be stolen from it"
        "The host declares the secret, and no unit of it names its path, no `units` lists one, and no other secret's text has it. What \
         need not be on a host should not be there."
    NeverRead "W0710" "a configuration that its program does not read"
        "the program would start without any of this, and nothing would say so"
        "The file lies where a gateway keeps its state, under a name that it does not look for: it would start with its defaults, and \
         nothing would say so."
}

impl Code {
    /// The stable code, such as `E0103`.
    #[must_use]
    pub const fn id(self) -> &'static str {
        self.row().0
    }

    /// What it is about, in a line.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.row().1
    }

    /// Why it matters, in a line; a finding may know better, in [`super::Diagnostic::why`].
    #[must_use]
    pub const fn why(self) -> &'static str {
        self.row().2
    }

    /// What it means and what to do, in a paragraph.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        self.row().3
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl FromStr for Code {
    type Err = ();

    /// Finds a code by its id, in either case.
    fn from_str(id: &str) -> Result<Self, ()> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.id().eq_ignore_ascii_case(id))
            .ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn ids_are_unique_and_ordered() {
        assert!(Code::ALL.windows(2).all(|pair| pair[0].id() < pair[1].id()));
        assert_eq!("e0103".parse(), Ok(Code::UnknownKey));
        assert!("E9999".parse::<Code>().is_err());
    }
}
