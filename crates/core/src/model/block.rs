//! Blocks: lines of ours between two markers in a file that belongs to others, and where they begin and end in its bytes.
//! It opens nothing, and never touches a byte outside of the markers.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{AbsPath, HostText, Mode, Owner};

/// A block as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockSpec {
    /// The file it is in.
    pub path: AbsPath,
    /// Its name, which the markers carry: one file may hold many blocks.
    pub name: String,
    /// The lines between the markers: empty, or ending in a line feed.
    pub text: String,
    /// What begins a comment in that file, such as `#`.
    pub comment: String,
    /// The file's owner; `None` leaves that of a file that is there, and makes a new one root's.
    pub owner: Option<String>,
    /// The file's group, likewise.
    pub group: Option<String>,
    /// The file's permissions; `None` leaves those of a file that is there, and gives a new one 0644.
    pub mode: Option<Mode>,
}

impl BlockSpec {
    /// The permissions of a file that is made for a block: read by everybody, written by its owner.
    pub const NEW_FILE: Mode = Mode::from_bits(0o644);

    /// The name of its resource: a block is known by its file and its own name.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}#{}", self.path, self.name)
    }

    /// The block with its markers, as it stands in the file.
    #[must_use]
    pub fn lines(&self) -> String {
        let Self {
            name, text, comment, ..
        } = self;
        format!("{comment} begin provision {name}\n{text}{comment} end provision {name}\n")
    }
}

/// The file and the name that a resource's name is made of.
#[must_use]
pub fn block_name(full: &str) -> Option<(AbsPath, &str)> {
    let (path, name) = full.rsplit_once('#')?;
    Some((AbsPath::new(path).ok()?, name))
}

/// A block as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum BlockState {
    /// There is no such file.
    NoFile,
    /// There is a file.
    File {
        /// The block with its markers; `None` where it has none of that name.
        lines: Option<HostText>,
        /// Whether the file's last line has no line feed. Putting the block behind it adds one, and taking it away again
        /// takes that along.
        ragged: bool,
        /// The file's owner.
        owner: Owner,
        /// The file's group.
        group: Owner,
        /// The file's permissions.
        mode: Mode,
    },
    /// The markers do not make one block: one of them is missing, or there are more of them.
    Broken {
        /// What is wrong with them.
        problem: String,
    },
    /// Something that is no regular file lies there.
    Other {
        /// Such as "a directory".
        what: String,
    },
}

/// Markers that do not make one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenBlock {
    /// An end without a beginning before it, or a beginning without an end.
    #[error("only one of the block's two markers is there")]
    OneMarker,
    /// More than one beginning or end.
    #[error("the block's markers are there more than once")]
    Twice,
}

/// Where in a file the block of that name is, markers included.
///
/// # Errors
/// [`BrokenBlock`]; nobody knows which of the lines are ours then.
pub fn find_block(bytes: &[u8], name: &str) -> Result<Option<Range<usize>>, BrokenBlock> {
    let (mut begin, mut end) = (None, None);
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let next = at + line.len();
        if is_marker(line, "begin", name) {
            if begin.replace(at).is_some() {
                return Err(BrokenBlock::Twice);
            }
        } else if is_marker(line, "end", name) && end.replace(next).is_some() {
            return Err(BrokenBlock::Twice);
        }
        at = next;
    }
    match (begin, end) {
        (None, None) => Ok(None),
        (Some(begin), Some(end)) if begin < end => Ok(Some(begin..end)),
        (Some(_), Some(_)) | (Some(_), None) | (None, Some(_)) => Err(BrokenBlock::OneMarker),
    }
}

/// Whether a line is a marker, whatever begins a comment: that may change, and the block stays the same one.
fn is_marker(line: &[u8], side: &str, name: &str) -> bool {
    let marker = format!("{side} provision {name}");
    let line = line.trim_ascii();
    line.strip_suffix(marker.as_bytes())
        .is_some_and(|comment| comment.ends_with(b" ") && !comment.iter().any(u8::is_ascii_alphanumeric))
}

/// Whether something put behind these bytes needs a line feed first.
#[must_use]
pub fn is_ragged(bytes: &[u8]) -> bool {
    bytes.last().is_some_and(|last| *last != b'\n')
}

/// A file's bytes with the block in them: in the place of the old one, or at the end.
///
/// # Errors
/// [`BrokenBlock`].
pub fn with_block(bytes: &[u8], spec: &BlockSpec) -> Result<Vec<u8>, BrokenBlock> {
    let lines = spec.lines();
    let Some(found) = find_block(bytes, &spec.name)? else {
        let feed: &[u8] = if is_ragged(bytes) { b"\n" } else { b"" };
        return Ok([bytes, feed, lines.as_bytes()].concat());
    };
    Ok([&bytes[..found.start], lines.as_bytes(), &bytes[found.end..]].concat())
}

/// A file's bytes without the block. `ragged` says that the line feed before a block at the end came with it.
///
/// # Errors
/// [`BrokenBlock`].
pub fn without_block(bytes: &[u8], name: &str, ragged: bool) -> Result<Vec<u8>, BrokenBlock> {
    let Some(found) = find_block(bytes, name)? else {
        return Ok(bytes.to_vec());
    };
    let (mut before, after) = (&bytes[..found.start], &bytes[found.end..]);
    if ragged && after.is_empty() {
        before = before.strip_suffix(b"\n").unwrap_or(before);
    }
    Ok([before, after].concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(text: &str) -> BlockSpec {
        BlockSpec {
            path: AbsPath::new("/etc/hosts").unwrap(),
            name: "bots".into(),
            text: text.into(),
            comment: "#".into(),
            owner: None,
            group: None,
            mode: None,
        }
    }

    #[test]
    fn a_block_is_put_at_the_end_replaced_in_place_and_taken_out() {
        let one = with_block(b"127.0.0.1 localhost\n", &spec("192.0.2.1 a\n")).unwrap();
        let wanted = "127.0.0.1 localhost\n# begin provision bots\n192.0.2.1 a\n# end provision bots\n";
        assert_eq!(String::from_utf8(one.clone()).unwrap(), wanted);
        let below = [one.as_slice(), b"somebody's"].concat();
        let other = BlockSpec {
            comment: ";".into(),
            ..spec("")
        };
        let two = with_block(&below, &other).unwrap();
        let wanted = "127.0.0.1 localhost\n; begin provision bots\n; end provision bots\nsomebody's";
        assert_eq!(String::from_utf8(two.clone()).unwrap(), wanted);
        assert_eq!(
            without_block(&two, "bots", true).unwrap(),
            b"127.0.0.1 localhost\nsomebody's"
        );
        assert_eq!(find_block(&two, "bot"), Ok(None), "another block's name begins like it");
    }

    #[test]
    fn markers_that_make_no_block_are_refused_and_text_about_them_is_none() {
        for (text, broken) in [
            ("# begin provision bots\n", BrokenBlock::OneMarker),
            ("# end provision bots\n# begin provision bots\n", BrokenBlock::OneMarker),
            (
                "# begin provision bots\n# begin provision bots\n# end provision bots\n",
                BrokenBlock::Twice,
            ),
        ] {
            assert_eq!(find_block(text.as_bytes(), "bots"), Err(broken), "{text}");
            assert_eq!(with_block(text.as_bytes(), &spec("")), Err(broken));
            assert_eq!(without_block(text.as_bytes(), "bots", false), Err(broken));
        }
        for text in [
            "# see: begin provision bots",
            "begin provision bots\n",
            "# begin provision bots 2\n",
        ] {
            assert_eq!(find_block(text.as_bytes(), "bots"), Ok(None), "{text}");
        }
        // Its last line may have lost its line feed, and gained white space.
        let cut = b"  // begin provision bots\r\nx\n# end provision bots";
        assert_eq!(find_block(cut, "bots"), Ok(Some(0..cut.len())));
    }

    proptest! {
        #[test]
        fn what_others_wrote_stays_byte_for_byte(
            others in proptest::collection::vec(any::<u8>(), 0..200),
            text in "([a-z ]{0,9}\n){0,3}",
            again in "([a-z ]{0,9}\n){0,3}",
        ) {
            let put = with_block(&others, &spec(&text)).unwrap();
            let put = with_block(&put, &spec(&again)).unwrap();
            prop_assert!(put.starts_with(&others));
            prop_assert_eq!(with_block(&put, &spec(&again)).unwrap(), put.clone());
            let found = find_block(&put, "bots").unwrap().unwrap();
            let lines = spec(&again).lines();
            prop_assert_eq!(&put[found], lines.as_bytes());
            prop_assert_eq!(without_block(&put, "bots", is_ragged(&others)).unwrap(), others);
        }
    }
}
