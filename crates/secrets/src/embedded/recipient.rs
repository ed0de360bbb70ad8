//! Public keys that secrets are encrypted to: as a person writes them, and as age uses them. It reads no file.

use age::ssh::ParseRecipientKeyError;

/// A public key, and the line it was written as.
pub(crate) struct Recipient {
    /// The line without its comment: what makes two lines the same key.
    pub(crate) key: String,
    pub(crate) inner: Box<dyn age::Recipient + Send>,
}

/// Why a line is no public key to encrypt to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadRecipient {
    #[error("this is a private key, and everyone with the project can read it here")]
    Private,
    #[error("this is neither an SSH nor an age public key")]
    NoKey,
    #[error("an SSH key of this type can only sign")]
    SignsOnly,
    #[error("this RSA key is shorter than 2048 bits")]
    TooShort,
    #[error("this RSA key is longer than 4096 bits")]
    TooLong,
}

impl BadRecipient {
    /// What to write instead.
    pub(crate) const fn fix(self) -> &'static str {
        match self {
            Self::Private => "take it out, and out of git's history, and make a new one; here belongs its public half",
            Self::NoKey => {
                "write a line such as \"ssh-ed25519 AAAA… you@host\" (`cat ~/.ssh/id_ed25519.pub`) or \"age1…\""
            }
            Self::SignsOnly => "use a key of type ed25519 or rsa: `ssh-keygen -t ed25519`",
            Self::TooShort | Self::TooLong => "make one that is sound: `ssh-keygen -t ed25519`",
        }
    }
}

/// Reads a line: `age1…`, `ssh-ed25519 …` or `ssh-rsa …`, with or without a comment.
pub(crate) fn parse_recipient(line: &str) -> Result<Recipient, BadRecipient> {
    let line = line.trim();
    if line.contains("AGE-SECRET-KEY-") || line.contains("PRIVATE KEY") {
        return Err(BadRecipient::Private);
    }
    if line.contains(['\n', '\r']) {
        return Err(BadRecipient::NoKey);
    }
    if line.starts_with("age1") {
        let key: age::x25519::Recipient = line.parse().map_err(|_| BadRecipient::NoKey)?;
        return Ok(Recipient {
            key: key.to_string(),
            inner: Box::new(key),
        });
    }
    let mut words = line.split_ascii_whitespace();
    let (kind, body) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    if kind.starts_with("ecdsa-sha2-") || kind.starts_with("sk-") {
        return Err(BadRecipient::SignsOnly);
    }
    let key = format!("{kind} {body}");
    match key.parse::<age::ssh::Recipient>() {
        Ok(inner) => Ok(Recipient {
            // As age writes it: what is the same key is then the same text.
            key: inner.to_string(),
            inner: Box::new(inner),
        }),
        Err(ParseRecipientKeyError::RsaModulusTooSmall) => Err(BadRecipient::TooShort),
        Err(ParseRecipientKeyError::RsaModulusTooLarge) => Err(BadRecipient::TooLong),
        Err(ParseRecipientKeyError::Unsupported(_)) => Err(BadRecipient::SignsOnly),
        Err(_) => Err(BadRecipient::NoKey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_makes_no_other_key() {
        let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN";
        let key = parse_recipient(line).unwrap().key;
        assert_eq!(parse_recipient(&format!(" {line} alice@host\n")).unwrap().key, key);
    }

    #[test]
    fn what_is_no_key_to_encrypt_to_is_told_apart() {
        for (line, bad) in [
            ("", BadRecipient::NoKey),
            ("alice", BadRecipient::NoKey),
            ("age1xyz", BadRecipient::NoKey),
            ("ssh-ed25519 AAAA", BadRecipient::NoKey),
            ("AGE-SECRET-KEY-1XYZ", BadRecipient::Private),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", BadRecipient::Private),
            ("ecdsa-sha2-nistp256 AAAA x", BadRecipient::SignsOnly),
            ("sk-ssh-ed25519@openssh.com AAAA x", BadRecipient::SignsOnly),
            ("ssh-ed25519 AAAA\nssh-ed25519 BBBB", BadRecipient::NoKey),
        ] {
            assert_eq!(parse_recipient(line).err(), Some(bad), "{line}");
        }
    }
}
