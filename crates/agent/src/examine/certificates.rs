//! Files with certificates: those that are named, and those in well-known places. Only what is between the marks of a
//! certificate leaves the host, which is public; keys in the same file do not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use provision_core::model::{AbsPath, Blob, Fact, HostText};

use super::{FILE_BYTES, LookError, text};
use crate::words::chain;

/// Where certificates are: a directory, and how deep below it. `/etc/ssl/certs` has the authorities that the host trusts,
/// which are their packages' business; of it only partners of private keys count.
const PLACES: [(&str, usize); 9] = [
    ("/etc/letsencrypt/live", 2),
    ("/etc/ssl/private", 1),
    ("/etc/ssl/local", 1),
    ("/etc/nginx/ssl", 2),
    ("/etc/nginx/certs", 2),
    ("/etc/apache2/ssl", 2),
    ("/etc/haproxy/certs", 2),
    ("/var/lib/caddy/.local/share/caddy/certificates", 3),
    ("/var/lib/tailscale/certs", 1),
];

/// Private keys, and where the certificates of the same names are.
const KEYS: &str = "/etc/ssl/private";
const PARTNERS: &str = "/etc/ssl/certs";

/// How files with certificates are called.
const EXTENSIONS: [&str; 3] = ["pem", "crt", "cer"];

/// How many files are read.
const FILES: usize = 200;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// What was found.
#[derive(Default)]
pub(super) struct Certificates {
    /// By path, the first certificate of each file, which is the one that it is about; files without one are left out.
    pub(super) files: BTreeMap<String, Fact<Blob>>,
    /// What could not be searched.
    pub(super) unsearched: Vec<HostText>,
}

/// Finds them. A named file that does not exist is left out: that it is missing is drift's to tell.
pub(super) fn find(named: &BTreeSet<AbsPath>) -> Certificates {
    let mut found = Certificates::default();
    let mut paths: BTreeSet<PathBuf> = named.iter().map(|path| PathBuf::from(path.as_str())).collect();
    for (place, depth) in PLACES {
        below(Path::new(place), depth, &mut paths, &mut found.unsearched);
    }
    paths.extend(partners(&mut found.unsearched));
    let mut known = BTreeSet::new();
    for path in paths {
        if found.files.len() >= FILES {
            found
                .unsearched
                .push(HostText::new(format!("more than {FILES} files with certificates")));
            break;
        }
        // `cert.pem` and `fullchain.pem` of one name begin with the same one.
        match first(&path) {
            Ok(Some(pem)) if !known.insert(pem.clone()) => {}
            Ok(Some(pem)) => _ = found.files.insert(name(&path), Fact::Known(pem.into_bytes().into())),
            Ok(None) => {}
            Err(error) => _ = found.files.insert(name(&path), Fact::Unknown(chain(&error))),
        }
    }
    found
}

fn name(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Files below a directory that are called as certificates are.
fn below(at: &Path, depth: usize, paths: &mut BTreeSet<PathBuf>, unsearched: &mut Vec<HostText>) {
    let entries = match entries(at, unsearched) {
        Some(entries) => entries,
        None => return,
    };
    for path in entries {
        if path.is_dir() && depth > 1 {
            below(&path, depth - 1, paths, unsearched);
        } else if is_called_so(&path) && path.is_file() {
            paths.insert(path);
        }
    }
}

fn entries(at: &Path, unsearched: &mut Vec<HostText>) -> Option<Vec<PathBuf>> {
    match fs::read_dir(at).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()) {
        Ok(entries) => Some(entries),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
        Err(error) => {
            unsearched.push(HostText::new(format!("cannot read {}: {error}", at.display())));
            None
        }
    }
}

fn is_called_so(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
}

/// Certificates of the names that private keys have.
fn partners(unsearched: &mut Vec<HostText>) -> Vec<PathBuf> {
    let keys = entries(Path::new(KEYS), unsearched).unwrap_or_default();
    let stems: Vec<_> = keys.iter().filter_map(|key| key.file_stem()).collect();
    let partners = stems.iter().flat_map(|stem| {
        EXTENSIONS.iter().map(|extension| {
            let mut name = (*stem).to_owned();
            name.push(".");
            name.push(extension);
            Path::new(PARTNERS).join(name)
        })
    });
    partners.filter(|path| path.is_file()).collect()
}

/// The first certificate of a file.
fn first(path: &Path) -> Result<Option<String>, LookError> {
    match fs::metadata(path) {
        Ok(there) if there.is_file() && there.len() <= FILE_BYTES => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(LookError::Read {
                path: path.display().to_string(),
                source,
            });
        }
    }
    Ok(certificate(&text(path)?))
}

/// What is between the first pair of marks, with the marks.
fn certificate(text: &str) -> Option<String> {
    let begin = text.find(BEGIN)?;
    let rest = text.get(begin..)?;
    let end = rest.find(END)? + END.len();
    let pem = rest.get(..end)?;
    // Nothing but base64 is between them: a key that a broken file has there is not sent.
    let body = pem.get(BEGIN.len()..end - END.len())?;
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=') || c.is_ascii_whitespace();
    body.chars().all(is_base64).then(|| format!("{pem}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn only_the_first_certificate_leaves_a_file() {
        let pem = format!("{BEGIN}\nTUlJ\n{END}\n");
        let with_key = format!(
            "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n{pem}{BEGIN}\nb3RoZXI=\n{END}\n"
        );
        assert_eq!(certificate(&with_key).as_deref(), Some(pem.as_str()));
        assert_eq!(certificate("no certificate"), None);
        let broken = format!("{BEGIN}\n-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n{END}\n");
        assert_eq!(certificate(&broken), None);
    }

    #[test]
    fn named_files_count_once_and_missing_ones_not() {
        let scratch = Scratch::new();
        let pem = format!("{BEGIN}\nTUlJ\n{END}\n");
        let at = |name: &str| AbsPath::new(scratch.path().join(name).to_str().unwrap()).unwrap();
        fs::write(at("a.pem").as_str(), &pem).unwrap();
        fs::write(at("b.crt").as_str(), format!("{pem}more\n")).unwrap();
        fs::write(at("key.pem").as_str(), "-----BEGIN PRIVATE KEY-----\n").unwrap();
        let named = ["a.pem", "b.crt", "key.pem", "missing.pem"].map(at);
        let found = find(&named.into()).files;
        let ours: Vec<_> = found
            .keys()
            .filter(|path| path.starts_with(scratch.path().to_str().unwrap()))
            .collect();
        assert_eq!(ours, [at("a.pem").as_str()]);
    }
}
