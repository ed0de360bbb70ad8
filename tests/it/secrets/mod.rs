//! Secrets on real hosts: delivered, used, changed, lost with the memory, brought back, and found nowhere else.

mod canary;
mod fetch;
mod forbid;
mod life;
mod reboot;
mod store;
mod whole;

use crate::lab::Lab;

/// A bot that writes down what it reads, each time that it is started.
pub(crate) const BOT: &str = r#"
[users.bot]
system = true

[units."bot.service"]
enabled = true
active = true
settle = "100ms"
text = """
[Service]
User=bot
StateDirectory=bot
ExecStart=/bin/sh -c 'cat /run/agenix/token /run/agenix/bot.env >> /var/lib/bot/read; exec sleep 99999'
[Install]
WantedBy=multi-user.target
"""
"#;

/// The secrets that it reads; their values are files of the project.
pub(crate) fn secrets(lab: &Lab) -> String {
    let value = |name: &str| lab.root().join("values").join(name).display().to_string();
    format!(
        "[secrets.token]\ncommand = [\"cat\", {:?}]\nowner = \"bot\"\n\
         [secrets.key]\ncommand = [\"cat\", {:?}]\ndeliver = false\n\
         [secrets.\"bot.env\"]\nowner = \"bot\"\ngroup = \"root\"\nmode = \"0440\"\n\
         text = \"NAME={{{{ host.name }}}}\\nKEY={{{{ secret(name='key', as='shell') }}}}\\n\"\n",
        value("token"),
        value("key"),
    )
}
