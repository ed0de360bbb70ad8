//! The algorithms we offer, and what we require of the ones agreed.
//! It does not know which host keys are trusted: `host_key` does.

use std::borrow::Cow;

use russh::{
    Names, Preferred, cipher, compression, kex,
    keys::{Algorithm, EcdsaCurve, HashAlg},
    mac,
};

use crate::known_hosts::blob_kind;

/// Post-quantum first, then what every OpenSSH of the last ten years has. The two markers ask for
/// strict key exchange (CVE-2023-48795) and for the server's extension info.
const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// AES-GCM first: fastest with AES instructions, and not open to prefix truncation.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_128_CTR,
];

/// Encrypt-then-MAC only; used with the CTR ciphers.
const MACS: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM];

/// Every host key algorithm we accept, most preferred first. SHA-1 (`ssh-rsa`) is not among them.
pub(crate) const HOST_KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];

/// The offer for one connection.
pub(crate) fn preferred(host_keys: Vec<Algorithm>) -> Preferred {
    Preferred {
        kex: Cow::Borrowed(KEX),
        key: Cow::Owned(host_keys),
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Borrowed(CIPHERS),
        mac: Cow::Borrowed(MACS),
        compression: Cow::Borrowed(&[compression::NONE]),
    }
}

/// True if what was agreed resists prefix truncation: either both sides promised strict key
/// exchange, or the cipher numbers its packets independently of the dropped ones, as AES-GCM does.
pub(crate) fn resists_truncation(names: &Names) -> bool {
    names.strict_kex() || names.cipher == cipher::AES_256_GCM
}

/// True if a wire-encoded signature is RSA with SHA-1.
///
/// russh verifies a host's signature by the algorithm that the signature itself names, which need not
/// be the one agreed: a host with an RSA key could sign with SHA-1 after agreeing on SHA-2.
pub(crate) fn is_sha1(signature: &[u8]) -> bool {
    blob_kind(signature) == Some(b"ssh-rsa")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sha1_signature_is_told_by_its_name() {
        assert!(is_sha1(b"\0\0\0\x07ssh-rsa\0\0\0\x01x"));
        assert!(!is_sha1(b"\0\0\0\x0crsa-sha2-512\0\0\0\x01x"));
        assert!(!is_sha1(b"\0\0"));
    }

    /// The whole offer, so that a new version of russh or of this file cannot widen it unseen.
    #[test]
    fn the_offer_is_exactly_this() {
        let offer = preferred(HOST_KEYS.to_vec());
        let kex: Vec<&str> = offer.kex.iter().map(AsRef::as_ref).collect();
        let ciphers: Vec<&str> = offer.cipher.iter().map(AsRef::as_ref).collect();
        let macs: Vec<&str> = offer.mac.iter().map(AsRef::as_ref).collect();
        let compression: Vec<&str> = offer.compression.iter().map(AsRef::as_ref).collect();
        let keys: Vec<String> = offer.key.iter().map(ToString::to_string).collect();
        assert_eq!(
            kex,
            [
                "mlkem768x25519-sha256",
                "curve25519-sha256",
                "curve25519-sha256@libssh.org",
                "ecdh-sha2-nistp256",
                "ext-info-c",
                "kex-strict-c-v00@openssh.com",
            ]
        );
        assert_eq!(
            ciphers,
            [
                "aes256-gcm@openssh.com",
                "chacha20-poly1305@openssh.com",
                "aes256-ctr",
                "aes128-ctr"
            ]
        );
        assert_eq!(macs, ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"]);
        assert_eq!(compression, ["none"]);
        assert!(offer.host_key_certificates.is_empty());
        assert_eq!(
            keys,
            [
                "ssh-ed25519",
                "ecdsa-sha2-nistp256",
                "ecdsa-sha2-nistp384",
                "ecdsa-sha2-nistp521",
                "rsa-sha2-512",
                "rsa-sha2-256",
            ]
        );
    }
}
