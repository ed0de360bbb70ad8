//! New files for a project: a whole skeleton, a host, a module. It overwrites nothing, and looks into no file that is there.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The files of a new project, by path, with their text.
pub(super) const PROJECT: [(&str, &str); 7] = [
    ("hosts/example.toml", include_str!("skeleton/host.toml")),
    ("modules/heartbeat.toml", include_str!("skeleton/module.toml")),
    ("files/heartbeat.sh", include_str!("skeleton/heartbeat.sh")),
    ("secrets.example/README.md", include_str!("skeleton/secrets.md")),
    ("README.md", include_str!("skeleton/readme.md")),
    (".gitignore", include_str!("skeleton/gitignore")),
    (".taplo.toml", include_str!("skeleton/taplo.toml")),
];

/// Why files were not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum SkeletonError {
    #[error("{} there already, and nothing is overwritten; nothing was written", exist(.0))]
    Exists(Vec<PathBuf>),
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

fn exist(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    let is = if names.len() == 1 { "is" } else { "are" };
    format!("{} {is}", names.join(", "))
}

/// Makes files below a directory, and the directories they are in; all of them, or none where one is there already.
pub(super) fn make<'a>(
    root: &Path,
    files: impl IntoIterator<Item = (&'a str, &'a str)> + Clone,
) -> Result<Vec<PathBuf>, SkeletonError> {
    let there = |(path, _): (&str, &str)| {
        let path = root.join(path);
        // A link that leads nowhere is there as well.
        path.symlink_metadata().is_ok().then_some(path)
    };
    let existing: Vec<_> = files.clone().into_iter().filter_map(there).collect();
    if !existing.is_empty() {
        return Err(SkeletonError::Exists(existing));
    }
    let made = files.into_iter().map(|(path, text)| {
        let path = root.join(path);
        match write(&path, text) {
            Ok(()) => Ok(path),
            Err(source) => Err(SkeletonError::Write { path, source }),
        }
    });
    made.collect()
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    // Not over one that has come in between, either.
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// The text of a new host file.
pub(super) fn host(name: &str, address: Option<&str>, modules: &[&str]) -> String {
    let modules = match modules {
        [] => "# The modules it uses, by name: \"web\" would be modules/web.toml.\n".to_owned(),
        modules => format!("# The modules it uses. There are: {}.\n", modules.join(", ")),
    };
    let address = match address {
        Some(address) => format!("address = {}\n", serde_json::Value::from(address)),
        None => {
            "# Without an address, the host's name and ~/.ssh/config say where it is.\n# address = \"192.0.2.10\"\n"
                .to_owned()
        }
    };
    format!(
        "# What {name} should be. `provision check` tells whether this makes sense, `provision plan {name}` what it would change.\n\n\
         {modules}imports = []\n\n[host]\n{address}tags = []\n\n\
         [files.\"/etc/motd\"]\ntext = \"{{{{ host.name }}}} is managed: see hosts/{name}.toml\\n\"\n"
    )
}

/// The text of a new module.
pub(super) fn module(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    let key = if name == last {
        name.to_owned()
    } else {
        format!("\"{name}\"")
    };
    include_str!("skeleton/new_module.toml")
        .replace("NAME", last)
        .replace("[set.MODULE]", &format!("[set.{key}]"))
}
