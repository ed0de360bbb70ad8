//! known_hosts files: which keys are recorded, and which revoked, for one host.
//! It decides nothing (`host_key` does) and never writes: keys are added by people.
//!
//! russh has a parser of its own, which is not used: it calls a key of another algorithm "unknown"
//! and accepts a key that a `@revoked` line names.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;
use thiserror::Error;

use crate::{file::read_bounded, pattern};

/// A known_hosts file of 10 MB has 100 000 hosts; twice that is a mistake.
const MAX_SIZE: u64 = 20 << 20;

/// The line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Its line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

/// A file that is there and cannot be used. Going on without it could trust what it revokes.
#[derive(Debug, Error)]
#[error("cannot read {path}")]
pub struct KnownHostsError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// One key, as written in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The key type's name, such as `ssh-ed25519`.
    pub(crate) kind: String,
    /// The public key in SSH's wire encoding. Keys are compared by it and nothing else.
    pub(crate) blob: Vec<u8>,
    pub(crate) place: Place,
}

/// What the files say of one host.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Records {
    pub(crate) keys: Vec<Entry>,
    /// Keys of the name without its port, if there are none with it.
    pub(crate) without_port: Vec<Entry>,
    pub(crate) revoked: Vec<Entry>,
    /// Certificate authorities: we verify no certificates, but a reader of our refusal wants to know.
    pub(crate) authorities: Vec<Place>,
}

/// Looks a host up in the files. With a port other than 22 the name is `[name]:port`; a key recorded
/// under the bare name will do if that one has none, as it does for OpenSSH.
pub(crate) fn lookup(files: &[PathBuf], name: &str, port: Option<u16>) -> Result<Records, KnownHostsError> {
    let bare = name.to_ascii_lowercase();
    let with_port = port.filter(|port| *port != 22).map(|port| format!("[{bare}]:{port}"));
    let mut exact = Records::default();
    let mut fallback = Records::default();
    for path in files {
        let bytes = read_bounded(path, MAX_SIZE).map_err(|source| KnownHostsError {
            path: path.clone(),
            source,
        })?;
        for (index, line) in bytes.unwrap_or_default().split(|byte| *byte == b'\n').enumerate() {
            let Some(line) = Line::parse(line) else { continue };
            match &with_port {
                Some(name) if line.is_for(name) => line.record(path, index + 1, &mut exact),
                Some(_) if line.is_for(&bare) => line.record(path, index + 1, &mut fallback),
                None if line.is_for(&bare) => line.record(path, index + 1, &mut exact),
                _ => {}
            }
        }
    }
    if exact.keys.is_empty() {
        exact.without_port = fallback.keys;
    }
    exact.revoked.extend(fallback.revoked);
    exact.authorities.extend(fallback.authorities);
    Ok(exact)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Marker {
    None,
    Revoked,
    Authority,
}

struct Line<'a> {
    marker: Marker,
    hosts: &'a str,
    kind: &'a str,
    blob: Vec<u8>,
}

impl<'a> Line<'a> {
    /// `None` for comments, empty lines and lines that OpenSSH ignores as malformed.
    fn parse(line: &'a [u8]) -> Option<Self> {
        // OpenSSH reads lines as C strings, which end at the first NUL.
        let line = line.split(|byte| *byte == 0).next()?;
        let line = line.utf8_chunks().next()?.valid();
        let mut fields = line.split([' ', '\t']).filter(|field| !field.is_empty());
        let mut hosts = fields.next().filter(|first| !first.starts_with('#'))?;
        let mut marker = Marker::None;
        if hosts.starts_with('@') {
            marker = match hosts {
                "@revoked" => Marker::Revoked,
                "@cert-authority" => Marker::Authority,
                _ => return None,
            };
            hosts = fields.next()?;
        }
        let kind = fields.next()?;
        // Without a comment a carriage return sticks to the key; base64 decoders in C skip it.
        let key = fields.next()?.trim_matches(|c: char| c.is_ascii_whitespace());
        let blob = STANDARD.decode(key).ok()?;
        // A revocation counts even where the line contradicts itself; a recorded key does not.
        let consistent = blob_kind(&blob) == Some(kind.as_bytes());
        (consistent || marker == Marker::Revoked).then_some(Self {
            marker,
            hosts,
            kind,
            blob,
        })
    }

    /// True if the line speaks of `name`, which is lowercase.
    fn is_for(&self, name: &str) -> bool {
        if self.hosts.starts_with('|') {
            return hash_matches(self.hosts, name).unwrap_or(false);
        }
        let patterns = self.hosts.to_ascii_lowercase();
        pattern::list_matches(patterns.split(','), name)
    }

    fn record(self, path: &Path, line: usize, records: &mut Records) {
        let place = Place {
            path: path.to_owned(),
            line,
        };
        let entry = Entry {
            kind: self.kind.to_owned(),
            blob: self.blob,
            place,
        };
        match self.marker {
            Marker::None => records.keys.push(entry),
            Marker::Revoked => records.revoked.push(entry),
            Marker::Authority => records.authorities.push(entry.place),
        }
    }
}

/// The key type that a wire-encoded key begins with.
pub(crate) fn blob_kind(blob: &[u8]) -> Option<&[u8]> {
    let (length, rest) = blob.split_first_chunk::<4>()?;
    rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// Compares a hashed name, `|1|salt|HMAC-SHA1(salt, name)`.
fn hash_matches(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.strip_prefix("|1|")?.split_once('|')?;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &STANDARD.decode(salt).ok()?);
    Some(hmac::verify(&key, name.as_bytes(), &STANDARD.decode(hash).ok()?).is_ok())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPK+wDbYt5TTpmG0Hb6oBPb0HtSVaPJ9bOXW8XrTWBCV";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH5jDlrZg9gq8pWzOaYkT6mfmIRnhIyyfzDRlwXqZ5xj";

    /// Lines with recorded keys, lines with revoked ones.
    fn lines(text: &str, name: &str, port: u16) -> (Vec<usize>, Vec<usize>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts");
        fs::write(&path, text).unwrap();
        let records = lookup(&[path], name, Some(port)).unwrap();
        let places = |entries: Vec<Entry>| entries.iter().map(|entry| entry.place.line).collect();
        let keys = records.keys.into_iter().chain(records.without_port).collect();
        (places(keys), places(records.revoked))
    }

    #[test]
    fn names_match_as_openssh_matches_them() {
        for (hosts, name, port, expected) in [
            ("web.lan", "web.lan", 22, true),
            ("WEB.lan", "Web.LAN", 22, true),
            ("a,web.lan,b", "web.lan", 22, true),
            ("*.lan", "web.lan", 22, true),
            ("*.lan,!web.lan", "web.lan", 22, false),
            ("!web.lan,*.lan", "web.lan", 22, false),
            ("web.la?", "web.lan", 22, true),
            ("[web.lan]:2222", "web.lan", 2222, true),
            ("[web.lan]:2222", "web.lan", 22, false),
            ("[*]:2222", "web.lan", 2222, true),
            ("web.lan", "web.lan", 2222, true),
            ("other.lan", "web.lan", 22, false),
        ] {
            let (keys, _) = lines(&format!("{hosts} {KEY} comment\n"), name, port);
            assert_eq!(!keys.is_empty(), expected, "{hosts} for {name}:{port}");
        }
    }

    #[test]
    fn an_entry_with_the_port_hides_the_one_without() {
        let text = format!("web.lan {KEY}\n[web.lan]:2222 {OTHER}\n");
        assert_eq!(lines(&text, "web.lan", 2222), (vec![2], vec![]));
    }

    #[test]
    fn revocations_count_with_and_without_port() {
        let text = format!("@revoked web.lan {KEY}\n@revoked * {OTHER}\n[web.lan]:2222 {KEY}\n");
        assert_eq!(lines(&text, "web.lan", 2222), (vec![3], vec![2, 1]));
    }

    #[test]
    fn blanks_line_ends_comments_and_nonsense() {
        let text = format!(
            "\t web.lan\t{}\r\n#web.lan {KEY}\n\nweb.lan ssh-ed25519 !!!\nweb.lan ssh-rsa {}\n\
             @unknown web.lan {KEY}\nweb.lan {KEY}\0x\n@revoked web.lan {OTHER} \u{0}",
            KEY.replace(' ', "\t"),
            KEY.split(' ').nth(1).unwrap(),
        );
        assert_eq!(lines(&text, "web.lan", 22), (vec![1, 7], vec![8]));
    }

    #[test]
    fn hashed_names() {
        // ssh-keygen -H of "web.lan".
        let salt = b"0123456789abcdefghij";
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
        let hash = STANDARD.encode(hmac::sign(&key, b"web.lan"));
        let text = format!(
            "|1|{}|{hash} {KEY}\n|1|x|y {KEY}\n|2|a|b {KEY}\n",
            STANDARD.encode(salt)
        );
        assert_eq!(lines(&text, "WEB.lan", 22), (vec![1], vec![]));
        assert_eq!(lines(&text, "db.lan", 22), (vec![], vec![]));
    }

    #[test]
    fn absent_is_empty_and_unreadable_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(lookup(&[dir.path().join("no")], "a", None).unwrap(), Records::default());
        assert!(lookup(&[dir.path().to_owned()], "a", None).is_err());
    }
}
