//! New files, as they are told of.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::json::{FORMAT_VERSION, document};
use super::words;

/// The files that were made, for people or programs.
#[must_use]
pub fn text(command: &str, made: &[PathBuf], json: bool) -> String {
    if json {
        return document(&json!({
            "format_version": FORMAT_VERSION,
            "command": command,
            "version": env!("CARGO_PKG_VERSION"),
            "files": made,
        }));
    }
    made.iter().map(|path| format!("made  {}\n", shown(path))).collect()
}

/// What to do with a new project.
#[must_use]
pub fn after_init(directory: &Path) -> String {
    let here = directory == Path::new(".");
    let cd = if here {
        String::new()
    } else {
        format!("  cd {}\n", shown(directory))
    };
    format!(
        "\nNow:\n{cd}  provision check               the files are right\n  provision show example        what the host should be\n  \
         provision rehearse example    try it on a throwaway host on this machine (needs root)\n"
    )
}

/// What to do with new schemas in that directory, which is absolute or relative to the project's root.
#[must_use]
pub fn after_schema(directory: &Path) -> String {
    let up = if directory.is_absolute() { "" } else { "../" };
    let directory = shown(directory);
    format!(
        "\nAn editor with taplo (VS Code: \"Even Better TOML\") uses them where .taplo.toml in the project's root says\n\n  \
         [[rule]]\n  include = [\"hosts/*.toml\"]\n  [rule.schema]\n  path = \"{directory}/host.json\"\n\n  \
         [[rule]]\n  include = [\"groups/*.toml\"]\n  [rule.schema]\n  path = \"{directory}/group.json\"\n\n  \
         [[rule]]\n  include = [\"modules/**/*.toml\"]\n  [rule.schema]\n  path = \"{directory}/module.json\"\n\n\
         or where a file's first line is `#:schema {up}{directory}/host.json`. Make them anew when modules change.\n"
    )
}

fn shown(path: &Path) -> String {
    words::safe(&path.display().to_string())
}
