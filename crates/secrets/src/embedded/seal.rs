//! One value as age ciphertext and back, bound to the secret's name and version. It knows no file.
//!
//! The binding is a stanza of its own in age's header, which the header's MAC covers and age's programs pass over:
//! `age -d` gives exactly the value, and a ciphertext that was moved to another name or version is refused here.

use std::collections::HashSet;
use std::io::Write as _;

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{DecryptError, Decryptor, EncryptError, Encryptor};
use age_core::format::{FileKey, Stanza};

use super::recipient::Recipient;
use crate::error::Problem;
use crate::value::SecretValue;

/// The stanza's tag.
const TAG: &str = "provision-secret";

/// Which secret, and which version of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: u32,
}

impl Binding<'_> {
    fn arguments(self) -> Vec<String> {
        vec![self.name.to_owned(), format!("v{}", self.version)]
    }
}

impl age::Recipient for Binding<'_> {
    /// Wraps no key: it only says in the header what this is.
    fn wrap_file_key(&self, _: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let stanza = Stanza {
            tag: TAG.to_owned(),
            args: self.arguments(),
            body: Vec::new(),
        };
        Ok((vec![stanza], HashSet::new()))
    }
}

/// The value as armored text, for all of the recipients.
pub(crate) fn seal(binding: Binding<'_>, recipients: &[Recipient], value: &SecretValue) -> Result<String, Problem> {
    let failed = |_| Problem::Corrupt {
        why: "it cannot be encrypted to these recipients",
    };
    let all = recipients
        .iter()
        .map(|recipient| recipient.inner.as_ref() as &dyn age::Recipient);
    let all = std::iter::once(&binding as &dyn age::Recipient).chain(all);
    let encryptor = Encryptor::with_recipients(all).map_err(failed)?;
    let armored = || -> std::io::Result<Vec<u8>> {
        let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(armor)?;
        writer.write_all(value.expose())?;
        writer.finish()?.finish()
    };
    let bytes = armored().map_err(|_| failed(EncryptError::MissingRecipients))?;
    String::from_utf8(bytes).map_err(|_| failed(EncryptError::MissingRecipients))
}

/// The value of an armored text, if it is bound to this name and version.
pub(crate) fn open(binding: Binding<'_>, identity: &dyn age::Identity, armored: &str) -> Result<SecretValue, Problem> {
    let key = BoundKey {
        identity,
        expected: Some(binding.arguments()),
        problem: std::cell::RefCell::new(None),
    };
    decrypt(&key, armored.as_bytes())
}

/// The value of any file that age has encrypted, armored or not. Which secret it is, only the caller can know.
pub(crate) fn open_foreign(identity: &dyn age::Identity, file: &[u8]) -> Result<SecretValue, Problem> {
    let key = BoundKey {
        identity,
        expected: None,
        problem: std::cell::RefCell::new(None),
    };
    decrypt(&key, file)
}

/// A key that opens only what is bound as expected.
struct BoundKey<'a> {
    identity: &'a dyn age::Identity,
    /// The stanza's arguments; `None` for any, or no stanza.
    expected: Option<Vec<String>>,
    problem: std::cell::RefCell<Option<Problem>>,
}

impl age::Identity for BoundKey<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.identity.unwrap_stanza(stanza)
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        if let Some(expected) = &self.expected {
            let mut bindings = stanzas.iter().filter(|stanza| stanza.tag == TAG);
            let problem = match (bindings.next(), bindings.next()) {
                (Some(only), None) if only.args == *expected => None,
                (Some(other), _) => Some(Problem::Swapped {
                    found: crate::escape::excerpt(other.args.join(" ").as_bytes()),
                }),
                (None, _) => Some(Problem::Unbound),
            };
            if problem.is_some() {
                *self.problem.borrow_mut() = problem;
                return Some(Err(DecryptError::InvalidHeader));
            }
        }
        self.identity.unwrap_stanzas(stanzas)
    }
}

fn decrypt(key: &BoundKey<'_>, file: &[u8]) -> Result<SecretValue, Problem> {
    let problem = |error: DecryptError| {
        let why = match error {
            DecryptError::InvalidMac | DecryptError::DecryptionFailed => "its checksum is wrong",
            DecryptError::NoMatchingKeys => "it is not encrypted to the recipients that the file names",
            DecryptError::UnknownFormat => "it is of a newer form of age",
            _ => "it is not a file of age's",
        };
        key.problem.borrow_mut().take().unwrap_or(Problem::Corrupt { why })
    };
    let decryptor = Decryptor::new_buffered(ArmoredReader::new(file)).map_err(problem)?;
    let reader = decryptor
        .decrypt(std::iter::once(key as &dyn age::Identity))
        .map_err(problem)?;
    let value = SecretValue::read(reader).map_err(|_| Problem::Corrupt {
        why: "it is cut short, or its checksum is wrong",
    })?;
    Ok(value)
}
