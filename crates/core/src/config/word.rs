//! Texts that must obey a rule of the system that reads them: names, addresses, URLs. Each is checked once and then
//! passed on as plain text.

use std::net::IpAddr;

use crate::model::check_package_name;

use super::scalar::{Problem, Scalar, shown};

/// Texts with a rule of their own, checked once and then passed on as plain strings.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident, $noun:literal, $check:path;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct $name(pub(crate) String);

        impl Scalar for $name {
            const NOUN: &'static str = $noun;

            fn from_text(text: &str) -> Result<Self, Problem> {
                $check(text).map(|()| Self(text.to_owned()))
            }
        }
    )*};
}

texts! {
    /// A user's or group's name.
    UserName, "a user's or group's name", check_user_name;
    /// The name of a user or group that `provision` makes.
    NewUserName, "a user's or group's name", check_new_user_name;
    /// A user's or group's name, or a numeric id in digits.
    OwnerName, "a user's or group's name, or its number in quotes", check_owner;
    /// A package's name.
    PackageName, "a package's name", check_package;
    /// A kernel parameter's key, with dots.
    SysctlKey, "a kernel parameter", check_sysctl_key;
    /// An `http://` URL.
    HttpUrl, "an http:// URL", check_http_url;
    /// `host:port`.
    TcpAddress, "an address such as \"127.0.0.1:22\"", check_tcp_address;
    /// A name that the configuration gives: a command's, a probe's.
    Label, "a name", check_label;
    /// A name that becomes a file's where dots are not liked.
    PlainName, "a name", check_plain_name;
    /// A line of authorized_keys.
    PublicKey, "a public key such as \"ssh-ed25519 AAAA… name\"", check_public_key;
    /// A file and the name of a block in it.
    BlockName, "a file and the name of a block in it", check_block_name;
    /// A path below `files/`.
    LocalPath, "a path below files/", check_local_path;
    /// A network with the length of its prefix.
    Cidr, "a network such as \"10.0.0.0/8\"", check_cidr;
    /// Any absolute URL that names a host.
    Url, "a URL such as \"https://example.org/\"", check_url;
    /// A secret's name, never its value.
    SecretName, "a secret's name such as \"openclaw/token\"", check_secret_name;
    /// An instance's name.
    InstanceName, "an instance's name", check_instance;
}

/// Names that are on hosts already: distributions and directories of people have some that Debian would not make, such
/// as `Debian-exim`. None can be taken for an option, a path or two words.
fn check_user_name(name: &str) -> Result<(), Problem> {
    let first = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let rest = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'@' | b'$'));
    if first && rest && name.len() <= 64 {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "`{}` is not a user's or group's name",
        shown(name)
    )))
}

fn check_new_user_name(name: &str) -> Result<(), Problem> {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
    let rest = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'));
    if first && rest && name.len() <= 32 {
        return Ok(());
    }
    let rule = "a name is 1 to 32 of a-z, 0-9, \"_\" and \"-\", and begins with a letter or \"_\"";
    Err(Problem::invalid(format!(
        "`{}` cannot name a user or group: {rule}",
        shown(name)
    )))
}

fn check_owner(owner: &str) -> Result<(), Problem> {
    if owner.bytes().all(|b| b.is_ascii_digit()) && owner.parse::<u32>().is_ok() {
        return Ok(());
    }
    check_user_name(owner)
}

fn check_package(name: &str) -> Result<(), Problem> {
    check_package_name(name).map_err(|rule| Problem::invalid(format!("`{}` cannot be a package: {rule}", shown(name))))
}

fn check_sysctl_key(key: &str) -> Result<(), Problem> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/' | b':' | b'@' | b'%');
    let parts = key.split('.').all(|part| !part.is_empty() && part != "/");
    let plain = key.bytes().all(allowed) && key.contains('.') && !key.starts_with('-') && !key.contains("..");
    // A slash stands for a dot inside of a part (an interface such as `eth0/100`); `/` first would be a path.
    if plain && parts && !key.starts_with('/') && !key.split('/').any(|part| part.is_empty() || part == ".") {
        return Ok(());
    }
    let problem = Problem::invalid(format!("`{}` is not a kernel parameter's key", shown(key)));
    let dotted = key.trim_start_matches("/proc/sys/").replace('/', ".");
    if dotted != key && check_sysctl_key(&dotted).is_ok() {
        return Err(problem.help(format!("write \"{dotted}\"")));
    }
    Err(problem.help("write it with dots, such as \"net.ipv4.ip_forward\""))
}

fn check_http_url(url: &str) -> Result<(), Problem> {
    let Some(rest) = url.strip_prefix("http://") else {
        let problem = Problem::invalid(format!("`{}` is not an http:// URL", shown(url)));
        return Err(problem.help("a probe speaks plain HTTP, from the host itself: \"http://127.0.0.1:8080/healthz\""));
    };
    let authority = rest.split('/').next().unwrap_or("");
    let plain = !url.chars().any(|c| c.is_control() || c.is_whitespace()) && !authority.contains('@');
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if plain && port && !host.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(format!(
            "`{}` is not a URL of the form http://HOST[:PORT]/PATH",
            shown(url)
        )))
    }
}

fn check_url(url: &str) -> Result<(), Problem> {
    let problem = || Problem::invalid(format!("`{}` is not a URL", shown(url)));
    let form = "a URL is SCHEME://HOST[:PORT]/PATH, without blanks";
    let Some((scheme, rest)) = url.split_once("://") else {
        let whole = format!("https://{}", url.trim_start_matches('/'));
        return Err(match check_url(&whole) {
            Ok(()) => problem().help(format!("write \"{}\"", shown(&whole))),
            Err(_) => problem().help(form),
        });
    };
    let named = scheme.bytes().next().is_some_and(|first| first.is_ascii_lowercase());
    let named = named
        && scheme
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'+' | b'.' | b'-'));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let (login, host) = authority
        .rsplit_once('@')
        .map_or((None, authority), |(login, host)| (Some(login), host));
    if login.is_some_and(|login| login.contains(':')) {
        let problem = Problem::invalid("this URL has a password in it");
        return Err(
            problem.help("keep secrets out of the configuration: give the password by an option of type \"secret\"")
        );
    }
    let port = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    let port = port.is_none_or(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0));
    let plain = !url
        .chars()
        .any(|c| c.is_control() || c.is_whitespace() || matches!(c, '"' | '<' | '>' | '\\'));
    if named && plain && port && !host.is_empty() && !host.starts_with(':') {
        Ok(())
    } else {
        Err(problem().help(form))
    }
}

fn check_cidr(network: &str) -> Result<(), Problem> {
    let problem = || Problem::invalid(format!("`{}` is not a network", shown(network)));
    let Some((address, length)) = network.split_once('/') else {
        return Err(match network.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => problem().help(format!("one address alone is \"{network}/32\"")),
            Ok(IpAddr::V6(_)) => problem().help(format!("one address alone is \"{network}/128\"")),
            Err(_) => problem().help("write an address and the length of its prefix: \"10.0.0.0/8\""),
        });
    };
    let digits = length.bytes().all(|b| b.is_ascii_digit()) && !length.is_empty();
    let length = length.parse::<u32>().ok().filter(|_| digits);
    let (bits, width): (u128, u32) = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => (u32::from(address).into(), 32),
        Ok(IpAddr::V6(address)) => (u128::from(address), 128),
        Err(_) => return Err(problem().help("write an address and the length of its prefix: \"10.0.0.0/8\"")),
    };
    let Some(length) = length.filter(|length| *length <= width) else {
        return Err(problem().help(format!("the length of its prefix is a number from 0 to {width}")));
    };
    let rest = 1_u128.checked_shl(width - length).map_or(u128::MAX, |power| power - 1);
    if bits & rest == 0 {
        return Ok(());
    }
    let network = if width == 32 {
        let bits = u32::try_from(bits & !rest).unwrap_or(0);
        IpAddr::V4(bits.into())
    } else {
        IpAddr::V6((bits & !rest).into())
    };
    let problem = Problem::invalid(format!(
        "`{}/{length}` is an address in a network, not a network",
        shown(address)
    ));
    Err(problem.help(format!("write \"{network}/{length}\"")))
}

fn check_secret_name(name: &str) -> Result<(), Problem> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    let part = |part: &str| part.bytes().all(allowed) && part.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if name.len() <= 128 && name.split('/').all(part) {
        return Ok(());
    }
    // Whoever puts the secret itself here should not find it in a log as well.
    let problem = Problem::invalid("this is not the name of a secret");
    Err(problem.help(
        "name it as the store does, in a-z, 0-9, \"-\", \"_\", \".\" and \"/\", such as \"openclaw/token\"; never write the secret itself",
    ))
}

/// A tag becomes a file's name and a word in a selection.
pub(super) fn check_tag(tag: &str) -> Result<(), Problem> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    if !tag.is_empty() && tag.len() <= 63 && tag.bytes().all(allowed) {
        return Ok(());
    }
    let rule = "a tag is 1 to 63 of a-z, 0-9, \"-\", \"_\" and \".\"";
    Err(Problem::invalid(format!("`{}` cannot be a tag: {rule}", shown(tag))))
}

/// Instances name units, directories and users, so they are what all of those can be.
fn check_instance(name: &str) -> Result<(), Problem> {
    let first = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let rest = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
    if first && rest && name.len() <= 63 {
        return Ok(());
    }
    let rule = "a name is 1 to 63 of a-z, 0-9, \"-\" and \"_\", and begins with a letter or digit";
    Err(Problem::invalid(format!(
        "`{}` cannot name an instance: {rule}",
        shown(name)
    )))
}

fn check_tcp_address(address: &str) -> Result<(), Problem> {
    let valid = address.rsplit_once(':').is_some_and(|(host, port)| {
        let bracketed = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
        let plain = !host.is_empty() && !host.chars().any(|c| c.is_control() || c.is_whitespace() || c == '/');
        bracketed && plain && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if valid {
        return Ok(());
    }
    let problem = Problem::invalid(format!("`{}` is not an address and port", shown(address)));
    Err(problem.help("write \"127.0.0.1:22\", or \"[::1]:22\""))
}

fn check_label(name: &str) -> Result<(), Problem> {
    let plain = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if plain && !name.is_empty() && name.len() <= 64 {
        Ok(())
    } else {
        let rule = "a name is 1 to 64 letters, digits, \"-\", \"_\" and \".\"";
        Err(Problem::invalid(format!("`{}` cannot be a name: {rule}", shown(name))))
    }
}

/// sudo, logrotate and apt pass over files whose names have dots in the wrong places, and say nothing.
fn check_plain_name(name: &str) -> Result<(), Problem> {
    check_label(name)?;
    if name.contains('.') {
        let problem = Problem::invalid(format!("`{}` cannot be a name here: it has a dot", shown(name)));
        return Err(problem.help("the file of that name would be passed over, without a word"));
    }
    Ok(())
}

fn check_block_name(full: &str) -> Result<(), Problem> {
    let Some((path, name)) = full.rsplit_once('#') else {
        let problem = Problem::invalid(format!("`{}` does not say which block of the file it is", shown(full)));
        return Err(problem.help(format!(
            "write the block's name behind the path: \"{}#NAME\"",
            shown(full)
        )));
    };
    crate::model::AbsPath::from_text(path)?;
    check_label(name)
}

/// The types of keys that OpenSSH takes (sshd(8), AUTHORIZED_KEYS FILE FORMAT).
const KEY_TYPES: [&str; 7] = [
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
];

/// One line with a type and a key of that type; options before it are sshd's to judge. The key itself says its type again,
/// which finds one that was cut off or put together wrongly: sshd would pass over it without a word.
fn check_public_key(line: &str) -> Result<(), Problem> {
    if line.contains("PRIVATE KEY") {
        let problem = Problem::invalid("this is a private key, and now it is in a file that is read by others");
        return Err(problem.help("make a new one (ssh-keygen -t ed25519), and write the line of its .pub file here"));
    }
    let problem = |why: &str| Problem::invalid(format!("`{}` is not a public key: {why}", shown(line)));
    if line.chars().any(|c| c.is_control()) {
        return Err(problem("it is more than one line").help("write one key per item of the list"));
    }
    if line.trim_start().starts_with('#') {
        return Err(problem("it is a comment"));
    }
    let mut words = line.split_whitespace().skip_while(|word| !KEY_TYPES.contains(word));
    let (Some(kind), Some(key)) = (words.next(), words.next()) else {
        let help = "copy the whole line of the .pub file: \"ssh-ed25519 AAAA… name\"";
        return Err(problem("no type that OpenSSH knows is in it, with a key behind it").help(help));
    };
    if base64(key).is_some_and(|bytes| names_itself(&bytes, kind)) {
        Ok(())
    } else {
        Err(problem("its second part is no key of that type").help("copy the whole line of the .pub file again"))
    }
}

/// Whether a key's bytes begin with its type and end where its last field does (RFC 4253, 6.6).
fn names_itself(bytes: &[u8], kind: &str) -> bool {
    let mut rest = bytes;
    let mut first = true;
    while !rest.is_empty() {
        let Some((length, tail)) = rest.split_first_chunk::<4>() else {
            return false;
        };
        let Some((field, tail)) = usize::try_from(u32::from_be_bytes(*length))
            .ok()
            .and_then(|length| tail.split_at_checked(length))
        else {
            return false;
        };
        if std::mem::take(&mut first) && field != kind.as_bytes() {
            return false;
        }
        rest = tail;
    }
    !first
}

/// The bytes of standard base64, with or without its padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let (mut bytes, mut bits, mut count) = (Vec::with_capacity(text.len()), 0_u32, 0);
    for letter in text.bytes() {
        let six = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).ok()?);
        }
    }
    Some(bytes)
}

fn check_local_path(path: &str) -> Result<(), Problem> {
    let normal = !path.is_empty() && !path.split('/').any(|part| matches!(part, "" | "." | ".."));
    if normal && !path.chars().any(char::is_control) && !path.contains('\\') {
        return Ok(());
    }
    let problem = Problem::invalid(format!("`{}` is not a path below files/", shown(path)));
    Err(problem.help("write it relative to files/, without \"..\": \"motd/friday.txt\""))
}
