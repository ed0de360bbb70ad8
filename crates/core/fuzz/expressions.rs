//! One expression, wherever the language has one: in a text, as a condition, in a loop, as a list to go over, as another
//! option's default. The TOML around it is always right.

#![no_main]

use libfuzzer_sys::fuzz_target;
use provision_fuzz::{Files, survive};

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|character| match character {
        '"' | '\\' => format!("\\{character}"),
        control if control.is_control() => format!("\\u{:04x}", u32::from(control)),
        other => other.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

fuzz_target!(|expression: &str| {
    let module = format!(
        "[options.x]\ntype = \"integer\"\ndefault = 3\n[options.list]\ntype = \"list\"\ndefault = [\"a\", \"b\"]\n\
         [options.map]\ntype = \"map\"\ndefault = {{ a = \"1\" }}\n[options.y]\ntype = \"string\"\ndefault = {inside}\n\
         [files.\"/a\"]\ntext = {bare}\n[files.\"/b\"]\ntext = {looped}\nwhen = {plain}\n\
         [files.\"/c{{{{ key }}}}\"]\neach = {plain}\ntext = \"{{{{ item }}}}\"\n\
         [[assert]]\nthat = {plain}\nmessage = {inside}\n",
        inside = quoted(&format!("{{{{ {expression} }}}}")),
        bare = quoted(expression),
        looped = quoted(&format!("{{% for a in list %}}{{{{ {expression} }}}}{{% endfor %}}")),
        plain = quoted(expression),
    );
    drop(survive(&Files::from([
        ("hosts/a.toml".to_owned(), b"imports = [\"m\"]\n".to_vec()),
        ("modules/m.toml".to_owned(), module.into_bytes()),
    ])));
});
