//! What kinds and shorthands declare beside what somebody wrote: files of root's with a text that is made here, and units under the
//! names that systemd demands. What stands in them is for each to say.

use crate::config::{Reported, Span, Spanned};
use crate::model::{AbsPath, Content, DependencyReason, FileSpec, Mode, ResourceId, Spec};

use super::declared::Said;
use super::local::made;
use super::reader::Reader;

/// What every text that is made here begins with.
pub(super) const HEADER: &str = "# Written by provision; what is changed here by hand is changed back.\n";

/// Root's file with this content, and its id.
pub(super) fn file(path: String, content: Content) -> Result<FileSpec, Reported> {
    Ok(FileSpec {
        path: AbsPath::new(path).map_err(|_| Reported)?,
        content,
        owner: "root".to_owned(),
        group: "root".to_owned(),
        mode: Mode::from_bits(0o644),
        validate: None,
        sensitive: false,
        private: false,
        seed: false,
    })
}

/// The content of a text that was made here.
pub(super) fn text(reader: &mut Reader<'_, '_, '_>, text: String) -> Content {
    let (blob, content) = made(text);
    reader.declarations.keep(&blob, content);
    content
}

/// A dependency of parts on each other.
pub(super) fn after(spec: &Spec, span: Span) -> Said {
    let on: ResourceId = spec.id();
    Said {
        on: Spanned::new(on, span),
        reason: DependencyReason::After,
    }
}

/// A path as the stem of a unit's name (systemd.unit(5), STRING ESCAPING FOR INCLUSION IN UNIT NAMES).
pub(super) fn unit_stem(path: &str) -> String {
    let mut name = String::new();
    for (at, byte) in path.trim_matches('/').bytes().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if at == 0 => name.push_str("\\x2e"),
            b if b.is_ascii_alphanumeric() || matches!(b, b':' | b'_' | b'.') => name.push(char::from(b)),
            b => name.push_str(&format!("\\x{b:02x}")),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::unit_stem;

    #[test]
    fn paths_are_escaped_as_systemd_escape_does() {
        for (path, name) in [
            ("/srv/data", "srv-data"),
            ("/srv/my-data", "srv-my\\x2ddata"),
            ("/.hidden/a.b", "\\x2ehidden-a.b"),
            ("/srv/ü", "srv-\\xc3\\xbc"),
        ] {
            assert_eq!(unit_stem(path), name);
        }
    }
}
