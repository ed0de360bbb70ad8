//! Every kind of finding: its stable code, its title and its long explanation, in one table.
//! The findings themselves are made where they are found.

use std::fmt;
use std::str::FromStr;

macro_rules! codes {
    ($($name:ident $id:literal $title:literal $explanation:literal)*) => {
        /// A kind of finding. The names of the variants may change; [`Code::id`] does not.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the table gives each variant a title and an explanation")]
        pub enum Code {
            $($name,)*
        }

        impl Code {
            /// Every code, in the order of their ids.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            const fn row(self) -> (&'static str, &'static str, &'static str) {
                match self {
                    $(Self::$name => ($id, $title, $explanation),)*
                }
            }
        }
    };
}

codes! {
    Syntax "E0101" "the file is not TOML"
        "The file breaks the grammar of TOML 1.0 (https://toml.io). The place shown is where reading stopped making sense; the mistake \
         is there or just before. Common causes: a missing closing quote or bracket, a text without quotes, the same table written twice."
    NotText "E0102" "the file is not UTF-8 text, or too large"
        "Host files, modules and templates are text in UTF-8. Bytes that are not belong into a file below `files/` that is copied as it is \
         with `file = \"…\"`."
    UnknownKey "E0103" "a key or table that nothing reads"
        "Every key has a meaning or is refused: a misspelt key that was silently ignored would leave a host other than you meant it."
    WrongType "E0104" "a value of the wrong type"
        "The place wants another type of value, such as a text in quotes, a number, `true` or `false`, or a list in brackets. A text \
         with a template in it, such as \"{{ port }}\", may stand wherever a number, a `true` or a list is wanted; what it renders to is \
         then read as that type."
    InvalidValue "E0105" "a value that the place cannot take"
        "The value has the right type and is still not one that the place can take: a path that is not absolute, a mode that is not \
         octal, a name that the system would refuse. It is checked here, before any host is contacted."
    MissingKey "E0106" "a key that has to be there is missing"
        "The table cannot be understood without this key, and there is no default that would be right for everyone."
    ConflictingKeys "E0107" "keys that exclude each other"
        "At most one of these keys can be meant; which one, only you can know."
    FileName "E0108" "a file whose name cannot be a host's or a module's"
        "A host is named by its file: `hosts/NAME.toml`, where NAME is a DNS label (a-z, 0-9 and \"-\"). A module is named by its path \
         below `modules/` without `.toml`, each part being a-z, 0-9, \"-\" and \"_\"."
    UnknownModule "E0201" "an import of a module that does not exist"
        "`imports` lists modules by name: \"inotify\" is the file `modules/inotify.toml`."
    ImportCycle "E0202" "modules that import each other in a circle"
        "A module's imports come before it, so a circle has no beginning. Move what both need into a third module that both import."
    UnknownOption "E0301" "an option that the module does not declare"
        "`[set.MODULE]` gives values to the options that the module declares in `[options.…]`."
    NotImported "E0302" "options set for a module that the host does not import"
        "The values would have no effect. Import the module, or remove them."
    MissingOption "E0303" "an option without a value"
        "The module declares the option without a default, so every host that imports it has to give a value. A module's author makes an \
         option one that may be left out with `required = false`."
    OutOfBounds "E0304" "an option's value outside of what the module allows"
        "The module declares bounds (`min`, `max`) or the possible values (`one_of`) of this option."
    ConflictingValues "E0305" "one option with two values"
        "Two definitions of equal priority give one option different values, and no order of files decides between them. Remove one, \
         write one in `[default.MODULE]` (weaker), or write the one that wins in `[force.MODULE]` (stronger)."
    BadOption "E0306" "an option declared in a way that makes no sense"
        "The declaration contradicts itself: bounds on something that is not a number, a default outside of its own bounds, a name \
         that templates use for something else."
    OptionCycle "E0307" "options whose values need each other"
        "An option's default may use other options, but not, by any detour, itself."
    AssertionFailed "E0308" "a module's assertion does not hold"
        "The module checks its options with `[[assert]]`; the message is its author's."
    Instances "E0309" "a module with instances used without one, or one without instances used with one"
        "A module that declares `instances = true` is used once per name: `[set.MODULE.NAME]` makes an instance and gives its options \
         values, and templates of the module see its name as `instance`. Any other module is used once per host, by `[set.MODULE]`."
    UnknownHost "E0310" "a reference to a host that does not exist"
        "The option takes the name of a host of this project: of a file in `hosts/`, without `.toml`."
    TemplateSyntax "E0401" "a template that cannot be read"
        "Texts are templates in the language of Tera (https://keats.github.io/tera/): `{{ value }}`, `{% if … %}…{% endif %}`, \
         `{% for … %}…{% endfor %}`, `{# comment #}`. Where a text needs those characters for itself, put it between `{% raw %}` and \
         `{% endraw %}`."
    UnknownVariable "E0402" "a template uses a name that does not exist there"
        "A template sees the options of the module it is written in, `host` (this host), `hosts` (every host's public facts), in a module \
         with instances `instance`, beside `each` also `item` and `key`, and in resources `instances`. It does not see other modules' \
         options, nor secrets."
    TemplateFailed "E0403" "a template that cannot be rendered"
        "The template was read, and failed on the values it was given."
    RenderedType "E0404" "a template that renders to a value of the wrong type"
        "What a template renders to is read as the type that its place demands, and it could not be."
    TemplateLimit "E0405" "a template that does too much, or what templates here may not"
        "Templates render in bounded time and memory: a bounded number of loop turns, bounded values, a bounded result. Tags that \
         reach into other templates or define components are not part of the language."
    DeclaredTwice "E0501" "one resource declared twice, differently"
        "Two declarations of one resource are one if they agree. These do not, and no order of files decides between them."
    TwoOwners "E0502" "one path declared as two kinds"
        "A path is a file, a directory or a symbolic link; only one declaration can be true."
    BelowFile "E0503" "a path below one that is no directory"
        "A managed path lies below another that is managed as a file or a symbolic link. Below a file nothing can lie; below a link \
         the path would really be somewhere else, where another declaration may own it."
    LocalFile "E0504" "a local file that cannot be read"
        "`file = \"…\"` and `template = \"…\"` name files below the project's `files/` directory."
    UnknownResource "E0505" "a reference to a resource that the host does not declare"
        "`after` and `restart_on` name resources of the same host as \"kind:name\", such as \"file:/etc/motd\" or \"package:curl\"."
    DependencyCycle "E0506" "resources that wait for each other in a circle"
        "Each of these resources has to come before the next, and the last before the first. Most such dependencies come from what a \
         resource names (its directory, its owner, a unit's files); the others from `after` and `restart_on`."
    LatestVersion "E0507" "a package wanted in its \"latest\" version"
        "What \"latest\" means changes without any change of the configuration, so a plan made today would not be the one applied \
         tomorrow, and drift would be found where nobody did anything. Ask for \"present\", or name the version."
    PortTwice "E0508" "a port that two things want to listen on"
        "Modules say in `[ports.NAME]` which ports their services listen on, and the ports that follow from those. Two claims of one \
         port clash unless they are for different protocols or different addresses."
    IdTwice "E0509" "two users or groups with one number"
        "The system knows owners by number: two users with one `uid`, or two groups with one `gid`, would own each other's files."
    TooMuch "E0510" "a host with more than can be worked out"
        "What one host can be made of is bounded, so that a slip in a loop is found at once instead of filling the memory: the items of \
         an `each`, the instances, the turns and the results of all templates together."
    EndsByItself "E0511" "a unit that is to be active and ends by itself"
        "A service of `Type=oneshot` is inactive again as soon as its program has ended, so that no apply could ever leave it active. With \
         `RemainAfterExit=yes` in its `[Service]` it counts as active from then on; one that a timer starts needs no `active` of its own."
    LockFile "E0512" "a set of npm packages that is not pinned"
        "`[npm]` takes a `package.json` and the `package-lock.json` that npm made from it. The lock file pins every package by version \
         and digest, so that every host gets the same, today and in a year."
    UnknownSecret "E0513" "a reference to a secret that the host does not declare"
        "`secret(name=…)`, `secret_path(name=…)` and the paths in the texts of units name secrets that the same host declares in \
         `[secrets.NAME]`, be it in its own file, a group's or a module's."
    SecretInPlain "E0514" "a secret's value where others could read it"
        "`secret(name=…)` stands for a value that is never in the configuration, in a plan or on a disk. So it can be used only in the \
         `text` or `template` of a secret, whose file lies in the host's memory; everywhere else, use the path of the secret's file: \
         `secret_path(name=…)`."
    SecretShared "E0515" "one secret on two hosts"
        "Two bots with one token disconnect each other, and one host that is broken into gives away both. Give each host its own, or say \
         `shared = true` where it is meant."
    Forbidden "E0516" "a name that must not be on the host"
        "`forbid` in the host's file or a group's lists names, such as of variables with API keys, that nothing on the host may have: no \
         file, no unit, no command and no secret."
    CannotFetch "E0517" "a secret that the host cannot fetch by itself"
        "With `secrets_after_reboot = \"fetch\"` a host gets its secrets from AWS Secrets Manager when it starts, by the role of its \
         instance. It has no key to the project's encrypted file, and neither the programs nor the environment of whoever applies."
    FeedsNoWatchdog "E0521" "a watchdog that nothing feeds"
        "With `WatchdogSec=`, systemd kills a service that does not tell it in time that it is alive, by sd_notify. A program that does \
         so says `Type=notify`; one that does not is killed each time the interval is over, however well it is. Ask over HTTP \
         instead: the module `watchdog` does."
    KillsByName "E0522" "processes that are ended by their name"
        "`killall` and `pkill` end whatever has that name, of any user, in any container, and miss what calls itself otherwise: a gateway's \
         process has another name than its program. systemd knows which processes are a unit's: `systemctl restart`, `stop` and \
         `kill` reach those, all of them, and no others."
    BlindLocks "E0523" "lock files that are removed unseen"
        "A lock file says who is at work. Removing it without looking lets a second process in beside the first, and both write \
         to one state. It is stale where the process that it names is gone, or has started at another time: remove it then."
    HeapLimit "E0524" "a memory limit that Node.js does not know"
        "Node.js lets its heap grow as it sees fit for the machine, not for the unit's `MemoryMax=`: the kernel kills it before it cleans up, \
         and it starts again, and is killed again. `NODE_OPTIONS=--max-old-space-size=MIB`, at three quarters of the limit or \
         less, makes it clean up in time."
    TwoSupervisors "E0525" "one program that two units start"
        "Two services have one command, so there would be two processes on one state and one port, of which one fails and is started again \
         and again. One program has one supervisor."
    BadPackage "E0526" "an npm package that does not work"
        "Some releases were published broken, and some names belong to somebody else: npm installs them without an error, and what \
         was meant never starts. Which ones, and what to ask for instead, the message says."
    NodeVersion "E0527" "a package that the Node.js beside it cannot run"
        "The lock file pins a version of Node.js and a package whose `engines` exclude that version. npm only warns; the package ends when \
         it is started."
    SchemaMismatch "E0528" "a file that does not fit its schema"
        "With `schema = \"…\"`, a file's content is JSON, and the JSON Schema below `files/` says what may be in it: keys that the \
         program's version does not know, and values that it would refuse, are found before any host is contacted."
    NoSignOfLife "E0529" "a probe that passes where nothing works"
        "The module says in `[ports.NAME] health = […]` which paths tell the health of what listens there. The kernel takes connections for a \
         process that hangs, and many servers answer every path with the same page: a probe of the open port, or of another path, \
         would pass all the same."
    WeakSecret "E0530" "a secret that everybody knows"
        "A text gives a token, a password or a key a value that stands in examples. Whoever finds the port tries those first. A secret has no \
         place in a file of the project either: let the program read it from a file or a variable on the host."
    BoundFile "E0531" "a single file that is bound into a service"
        "Files are replaced whole, by a new file under the old name, so that nobody ever reads half of one. A file that is bound by itself \
         into a service or container is the old one for as long as that runs. Bind the directory that it is in."
    UserUnit "E0532" "a user's unit without what it needs"
        "`[units.\"USER/NAME.service\"]` is a unit of that user's own manager, which systemd runs from boot on only for users who linger: \
         `[linger] USER = true`. Its file lies below the user's home directory, so that has to be said: `[users.USER] home = \"…\"`. Where \
         secrets come back at boot, the manager waits for them, and needs the user's `uid`."
    LocksOut "E0540" "a firewall that shuts out the way in"
        "Nothing that the firewall lets in is the SSH port by which the host is reached, so its first apply would cut the host off: the host \
         would undo it by itself, and nothing would have come of it. Let the port in, from the networks that you come from, or say \
         `without_ssh = true` where something that is not judged lets you in: a `match` alone, or a VPN's own rules."
    TwoMachines "E0601" "a host with two cloud servers"
        "A host runs on one machine: on Hetzner or on AWS."
    Deprecated "W0701" "an option that its module is about to drop"
        "The value still counts. The module says what to use instead; a later version of it may not know the option any more."
    UnknownUser "W0702" "a user or group that nothing provides"
        "A unit runs as, or a path belongs to, a user or group that the host does not declare and that Debian does not bring along. If a \
         package makes it, let the resource come `after` that package, and this is quiet; else declare it in `[users.NAME]`."
    NoInstance "W0703" "a module with instances that the host imports and never uses"
        "The module does nothing until it is given an instance: `[set.MODULE.NAME]`, empty if the defaults will do."
    UnusedGroup "W0704" "a group that no host is in"
        "`groups/TAG.toml` is for the hosts that have the tag in `[host] tags`, and no host has it."
    UnknownFile "W0705" "a service that needs a file that nothing provides"
        "The unit names a program to run, an environment file, a credential or a working directory, the host declares no such path, and \
         it lies where no package of Debian puts anything, or in a directory that the host declares itself. Started, the service would \
         fail. If a command or package makes the path, let the unit come `after` it, and this is quiet; a leading \"-\" says that it may \
         be missing."
    UnusedSecret "W0706" "a secret that nothing uses"
        "The host declares the secret, and no unit of it names its path, no `units` lists one, and no other secret's text has it. What \
         need not be on a host should not be there."
    NeverRead "W0710" "a configuration that its program does not read"
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

    /// What it means and what to do, in a paragraph.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        self.row().2
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
