//! The failures that canaries are sent through, as a table: what is made to fail, how, and the words by which it is known that
//! just this has failed.

/// How something is made to fail. Afterwards all is as it was before.
pub(super) enum Break {
    /// The host's file says something else: this for that.
    Says(&'static str, &'static str),
    /// It says more.
    Adds(&'static str),
    /// It has a service that tells its own journal, which is that service's to answer for.
    Loud(&'static str),
    /// A value is another one: made by a shell line from the right one, which it has as `$1`.
    Value(&'static str, &'static str),
    /// An operation of AWS is refused, for all secrets or for one.
    Aws(&'static str, Option<&'static str>, &'static str),
    /// The secret moved between a saved plan and its apply: a value, or the one in AWS.
    Stale(&'static str),
    /// A shell line on the host before, and one that takes it back.
    Host(&'static str, &'static str),
    /// The connection ends after so many bytes to the host.
    Cut(u64),
    /// This is done while a command of the run waits, to the program or to the host's processes: a shell line that has the
    /// program's process id as `$1`, and the host's root as `$2`.
    Midway(&'static str),
    /// Nobody takes what the program writes.
    Output(&'static str),
}

/// A failure.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) how: Break,
    /// What is said of it, where somebody is left to say it.
    pub(super) says: &'static str,
}

const fn row(name: &'static str, how: Break, says: &'static str) -> Row {
    Row { name, how, says }
}

/// What a host does that tells everybody its secrets: raw, in base64, in hex and in pieces.
const ECHO: &str = "cat /run/agenix/token /run/agenix/bot.env; base64 -w0 /run/agenix/token; od -An -tx1 /run/agenix/token | tr -d ' \\\\n'";

/// Takes a mount away that was put above the memory of secrets, if the agent has not.
const UNCOVER: &str = "[ $(grep -c ' /run/agenix.d ' /proc/self/mountinfo) -lt 2 ] || umount /run/agenix.d";

/// More than thirty.
pub(super) fn rows() -> Vec<Row> {
    use Break::{Adds, Aws, Cut, Host, Loud, Midway, Output, Says, Stale, Value};
    vec![
        row(
            "a template with a mistake",
            Says("as='shell') }}", "as='shell') | nosuch }}"),
            "nosuch",
        ),
        row(
            "a template with an unknown variable",
            Says("as='shell') }}", "as='shell') }}{{ nobody }}"),
            "nobody",
        ),
        row(
            "a secret in a text that is no secret",
            Adds("[files.\"/etc/plain\"]\ntext = \"{{ secret(name='keys') }}\"\n"),
            "E0514",
        ),
        row(
            "an unknown secret",
            Says("secret(name='keys'", "secret(name='kays'"),
            "did you mean `keys`",
        ),
        row(
            "a path outside",
            Says("[secrets.cloud]\n", "[secrets.cloud]\npath = \"/etc/cloud\"\n"),
            "E0105",
        ),
        row(
            "an owner that the host does not have",
            Says(
                "[secrets.cloud]\nowner = \"bot\"",
                "[secrets.cloud]\nowner = \"daemon\"\ngroup = \"nobodys\"",
            ),
            "nobodys",
        ),
        row("a value that is not there", Value("token", "exit 1"), "cat"),
        row("an empty value", Value("token", "true"), "empty"),
        row(
            "a value that is too large",
            Value("token", "cat \"$1\"; head -c 70000 /dev/zero; cat \"$1\""),
            "65536",
        ),
        row(
            "a JSON key that is not there",
            Value("keys", "sed s/api/other/ \"$1\""),
            "api",
        ),
        row("JSON that is none", Value("keys", "cat \"$1\"; echo ]"), "JSON"),
        row(
            "a program that tells its value and fails",
            Says(
                "command = [\"cat\", ",
                "command = [\"sh\", \"-c\", 'cat $0; cat $0 >&2; base64 $0 >&2; exit 3', ",
            ),
            "3",
        ),
        row(
            "a program that is not there",
            Says("command = [\"cat\", ", "command = [\"no-such-program\", "),
            "no-such-program",
        ),
        row(
            "a variable that is not set",
            Says(
                "[secrets.cloud]\n",
                "[secrets.more]\nenv = \"NOT_SET\"\n[secrets.cloud]\n",
            ),
            "NOT_SET",
        ),
        row(
            "no right to a version",
            Aws("DescribeSecret", None, "AccessDeniedException"),
            "secretsmanager:DescribeSecret",
        ),
        row(
            "no right to any value",
            Aws("BatchGetSecretValue", None, "AccessDeniedException"),
            "secretsmanager:BatchGetSecretValue",
        ),
        row(
            "half an answer",
            Aws("GetSecretValue", Some("bots/cloud"), "AccessDeniedException"),
            "secretsmanager:GetSecretValue",
        ),
        row(
            "a key that decrypts nothing",
            Aws("GetSecretValue", Some("bots/cloud"), "DecryptionFailure"),
            "KMS",
        ),
        row(
            "a session that has ended",
            Aws("BatchGetSecretValue", None, "ExpiredTokenException"),
            "expired",
        ),
        row(
            "a service that fails",
            Aws("BatchGetSecretValue", None, "InternalServiceError"),
            "InternalServiceError",
        ),
        row(
            "a value that moved after the plan",
            Stale("token"),
            "moved since the plan",
        ),
        row(
            "a version that moved after the plan",
            Stale("cloud"),
            "moved since the plan",
        ),
        row(
            "a check that shows the file",
            Adds("[files.\"/etc/checked\"]\ntext = \"x\\n\"\nvalidate = [\"sh\", \"-c\", \"ECHO; exit 1\"]\n"),
            "file:/etc/checked",
        ),
        row(
            "a command that tells all",
            Adds(
                "[commands.tell]\nrun = [\"sh\", \"-c\", \"ECHO >&2; exit 3\"]\ncreates = \"/root/never\"\nafter = [\"secret:token\"]\n",
            ),
            "command:tell",
        ),
        row(
            "a guard that tells all",
            Adds(
                "[commands.ask]\nrun = [\"true\"]\nunless = [\"sh\", \"-c\", \"ECHO; exit 1\"]\nafter = [\"secret:token\"]\n",
            ),
            "command:ask",
        ),
        row(
            "a service that tells its journal",
            Loud(
                "[units.\"loud.service\"]\nactive = true\ntext = \"\"\"\n[Service]\nExecStart=/bin/sh -c 'cat /run/agenix/token /run/agenix/bot.env >&2; exit 3'\n\"\"\"\n",
            ),
            "unit:loud.service",
        ),
        row(
            "somebody else's directory",
            Host(
                "mv /run/agenix /run/agenix.away; mkdir /run/agenix",
                "rmdir /run/agenix; mv /run/agenix.away /run/agenix",
            ),
            "a directory",
        ),
        row(
            "memory that may be swapped",
            Host("mount -t tmpfs tmpfs /run/agenix.d", UNCOVER),
            "may be written to swap",
        ),
        row(
            "memory that is full",
            Host(
                "mount -t tmpfs -o noswap,size=8k,mode=0751 tmpfs /run/agenix.d",
                UNCOVER,
            ),
            "o space left",
        ),
        row(
            "a damaged record",
            Host(
                "for f in /run/agenix.d/*.json; do cp $f /run/kept; echo broken > $f; done",
                "for f in /run/agenix.d/*.json; do cat /run/kept > $f; done; rm /run/kept",
            ),
            "is damaged",
        ),
        row("a link that ends in the handshake", Cut(1200), ""),
        row("a link that ends in the login", Cut(2600), ""),
        row("a link that ends in the plan", Cut(3800), ""),
        row("a link that ends in the values", Cut(5000), ""),
        row("a link that ends behind them", Cut(6000), ""),
        row(
            "the runner is killed",
            Midway("kill -KILL $(pgrep -f '[p]rovision-agent run')"),
            "killed on the host",
        ),
        row(
            "the runner is to dump core",
            Midway("kill -ABRT $(pgrep -f '[p]rovision-agent run')"),
            "interrupted",
        ),
        row(
            "the runner has no memory left",
            Midway("prlimit --as=1 --pid $(pgrep -f '[p]rovision-agent run')"),
            "",
        ),
        row(
            "the session is to dump core",
            Midway("kill -QUIT $(pgrep -f '[p]rovision-agent session')"),
            "",
        ),
        row("the program is stopped", Midway("kill -INT $1"), ""),
        row("the program is killed", Midway("kill -KILL $1"), ""),
        row("the program is to dump core", Midway("kill -ABRT $1"), ""),
        row("the program has no memory left", Midway("prlimit --as=1 --pid $1"), ""),
        row("a full disk for what it says", Output("/dev/full"), ""),
    ]
}

/// A line of a table with the host's telling in it.
pub(super) fn telling(text: &str) -> String {
    text.replace("ECHO", ECHO)
}
