//! What a secret's file holds, made of the values that it is of: the same bytes wherever it is made, on the controller for an apply
//! or on the host when it starts. It gets no value from anywhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::SecretBytes;
use crate::model::{Encoding, SecretContent, SecretPart, SecretValueRef};

/// Why there is no content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoContent<E> {
    /// A value is not there.
    Value(E),
    /// The value of this secret cannot be written as JSON: it is no text.
    NotText {
        /// The secret.
        secret: String,
    },
}

/// The content, with each value from `get` as its store has it.
///
/// # Errors
/// [`NoContent`].
pub fn secret_content<'v, E>(
    content: &SecretContent,
    mut get: impl FnMut(&SecretValueRef) -> Result<&'v [u8], E>,
) -> Result<SecretBytes, NoContent<E>> {
    let mut get = |value: &SecretValueRef| Ok(trimmed(get(value).map_err(NoContent::Value)?, value.trim));
    match content {
        SecretContent::Value(value) => Ok(SecretBytes::new(get(value)?.to_vec())),
        SecretContent::Rendered(parts) => {
            let mut pieces: Vec<Zeroizing<Vec<u8>>> = Vec::new();
            for part in parts {
                pieces.push(match part {
                    SecretPart::Text(words) => Zeroizing::new(words.as_bytes().to_vec()),
                    SecretPart::Secret { name, value, encoding } => {
                        encoded(get(value)?, *encoding).ok_or_else(|| NoContent::NotText { secret: name.clone() })?
                    }
                });
            }
            // In one piece: a text that grows leaves copies behind that nobody can wipe.
            Ok(SecretBytes::new(
                pieces.iter().map(|piece| piece.as_slice()).collect::<Vec<_>>().concat(),
            ))
        }
    }
}

fn trimmed(bytes: &[u8], trim: bool) -> &[u8] {
    match bytes.strip_suffix(b"\n") {
        Some(line) if trim => line.strip_suffix(b"\r").unwrap_or(line),
        _ => bytes,
    }
}

/// `None` where it cannot be written so.
fn encoded(bytes: &[u8], encoding: Encoding) -> Option<Zeroizing<Vec<u8>>> {
    let encoded = match encoding {
        Encoding::Plain => bytes.to_vec(),
        Encoding::Json => serde_json::to_vec(std::str::from_utf8(bytes).ok()?).ok()?,
        Encoding::Base64 => STANDARD.encode(bytes).into_bytes(),
        Encoding::Url => bytes.iter().flat_map(|byte| percent(*byte)).collect(),
        Encoding::Shell => {
            let mut quoted = vec![b'\''];
            for byte in bytes {
                match byte {
                    b'\'' => quoted.extend_from_slice(br"'\''"),
                    byte => quoted.push(*byte),
                }
            }
            quoted.push(b'\'');
            quoted
        }
    };
    Some(Zeroizing::new(encoded))
}

/// RFC 3986, 2.3: what is not unreserved is percent-encoded.
fn percent(byte: u8) -> Vec<u8> {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        vec![byte]
    } else {
        format!("%{byte:02X}").into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SecretItem, SecretSource};

    #[test]
    fn each_encoding_is_what_its_reader_decodes() {
        let value = b"a'b\"c d/\xc3\xa9\n";
        let as_text = |encoding| String::from_utf8(encoded(value, encoding).unwrap().to_vec()).unwrap();
        assert_eq!(as_text(Encoding::Json), r#""a'b\"c d/é\n""#);
        assert_eq!(as_text(Encoding::Url), "a%27b%22c%20d%2F%C3%A9%0A");
        assert_eq!(as_text(Encoding::Base64), STANDARD.encode(value));
        let script = format!("printf %s {}", as_text(Encoding::Shell));
        let said = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(said.stdout, value);
        assert_eq!(encoded(b"\xff", Encoding::Json), None);
        assert_eq!(encoded(b"\xff", Encoding::Plain).unwrap().as_slice(), b"\xff");
    }

    #[test]
    fn one_line_feed_is_left_out_and_only_where_that_is_said() {
        assert_eq!(trimmed(b"token\n", true), b"token");
        assert_eq!(trimmed(b"token\r\n", true), b"token");
        assert_eq!(trimmed(b"token\n\n", true), b"token\n");
        assert_eq!(trimmed(b"token\n", false), b"token\n");
        assert_eq!(trimmed(b"token", true), b"token");
    }

    fn value(name: &str, trim: bool) -> SecretValueRef {
        SecretValueRef {
            item: SecretItem {
                source: SecretSource::Project { name: name.to_owned() },
                key: None,
            },
            trim,
            version: None,
        }
    }

    #[test]
    fn a_text_has_its_values_in_their_places_or_is_not_made() {
        let part = |name: &str, encoding| SecretPart::Secret {
            name: name.to_owned(),
            value: value(name, true),
            encoding,
        };
        let text = |parts: Vec<SecretPart>| {
            secret_content(&SecretContent::Rendered(parts), |value| {
                match value.item.to_string().as_str() {
                    "token" => Ok(b"it's\n".as_slice()),
                    "binary" => Ok(b"\xff".as_slice()),
                    name => Err(name.to_owned()),
                }
            })
        };
        let words = |text: &str| SecretPart::Text(text.to_owned());
        let made = text(vec![
            words("A="),
            part("token", Encoding::Shell),
            words("\nB="),
            part("token", Encoding::Plain),
        ]);
        assert_eq!(made.unwrap().expose(), b"A='it'\\''s'\nB=it's");
        let refused = text(vec![part("binary", Encoding::Json)]).unwrap_err();
        assert_eq!(
            refused,
            NoContent::NotText {
                secret: "binary".to_owned()
            }
        );
        assert_eq!(
            text(vec![part("other", Encoding::Plain)]).unwrap_err(),
            NoContent::Value("other".to_owned())
        );
        let whole = secret_content(&SecretContent::Value(value("token", false)), |_| {
            Ok::<_, ()>(b"it's\n".as_slice())
        });
        assert_eq!(whole.unwrap().expose(), b"it's\n");
    }
}
