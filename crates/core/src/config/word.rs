//! Texts that must obey a rule of the system that reads them: names, addresses, URLs. Each is checked once and then
//! passed on as plain text.

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
    /// A path below `files/`.
    LocalPath, "a path below files/", check_local_path;
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

fn check_local_path(path: &str) -> Result<(), Problem> {
    let normal = !path.is_empty() && !path.split('/').any(|part| matches!(part, "" | "." | ".."));
    if normal && !path.chars().any(char::is_control) && !path.contains('\\') {
        return Ok(());
    }
    let problem = Problem::invalid(format!("`{}` is not a path below files/", shown(path)));
    Err(problem.help("write it relative to files/, without \"..\": \"motd/friday.txt\""))
}
