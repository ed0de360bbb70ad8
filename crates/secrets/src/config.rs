//! `secrets/stores.toml`: how this project reaches its stores. It is read here and nothing is done with it;
//! what it leaves open, the stores' own environments and profiles say.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use crate::document::{Finding, FindingKind, Findings, read};
use crate::embedded::{STORE_FILE, parse_recipient};
use crate::error::{Problem, StoreError};

/// Where the file is, relative to the project's root. A project can do without.
pub const CONFIG_FILE: &str = "secrets/stores.toml";

/// How this project reaches its stores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The store of secrets that name none.
    pub default: DefaultStore,
    /// What comes before their names there.
    pub prefix: String,
    /// AWS Secrets Manager.
    pub aws: AwsConfig,
    /// The age-encrypted file.
    pub age: AgeConfig,
}

/// The store of secrets that name none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DefaultStore {
    /// The age-encrypted file.
    #[default]
    Age,
    /// AWS Secrets Manager.
    Aws,
}

/// AWS Secrets Manager. Everything not said is found as every AWS tool finds it: environment, profile, instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsConfig {
    /// The region.
    pub region: Option<String>,
    /// The profile of `~/.aws/config`.
    pub profile: Option<String>,
    /// The address of the service, for private endpoints and stand-ins.
    pub endpoint: Option<String>,
    /// The ARN of a role to assume.
    pub role: Option<String>,
}

/// The age-encrypted file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgeConfig {
    /// Where it is, relative to the project's root.
    pub file: String,
    /// Who can decrypt; `None` where the file itself says so.
    pub recipients: Option<Vec<String>>,
    /// The files of keys to decrypt with; `None` for the usual ones of the home directory.
    pub identities: Option<Vec<String>>,
}

impl Default for AgeConfig {
    fn default() -> Self {
        Self {
            file: STORE_FILE.to_owned(),
            recipients: None,
            identities: None,
        }
    }
}

impl Config {
    /// Reads the project's file; a project without one has the defaults.
    ///
    /// # Errors
    /// [`Problem::Malformed`] with everything that is wrong in it, or [`Problem::Read`].
    pub fn load(project: &Path) -> Result<Self, StoreError> {
        let path = project.join(CONFIG_FILE);
        match fs::read(&path) {
            Ok(bytes) => Self::parse(&bytes)
                .map_err(|findings| StoreError::new(CONFIG_FILE, Problem::Malformed(Arc::new(findings)))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(StoreError::new(CONFIG_FILE, Problem::read(&path, error))),
        }
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Findings> {
        read(CONFIG_FILE, bytes, |document, found| {
            document.only(&["default", "prefix", "aws", "age"], found);
            let mut config = Self::default();
            if checked(document.text("default", found), store, found).as_deref() == Some("aws") {
                config.default = DefaultStore::Aws;
            }
            if let Some(prefix) = checked(document.text("prefix", found), prefix, found) {
                config.prefix = prefix;
            }
            if let Some(table) = document.table("aws", found) {
                table.only(&["region", "profile", "endpoint", "role"], found);
                config.aws = AwsConfig {
                    region: checked(table.text("region", found), region, found),
                    profile: checked(table.text("profile", found), not_empty, found),
                    endpoint: checked(table.text("endpoint", found), endpoint, found),
                    role: checked(table.text("role", found), role, found),
                };
            }
            if let Some(table) = document.table("age", found) {
                table.only(&["file", "recipients", "identities"], found);
                if let Some(file) = checked(table.text("file", found), inside, found) {
                    config.age.file = file;
                }
                config.age.recipients = table.texts("recipients", found).map(|recipients| {
                    if recipients.is_empty() && found.is_empty() {
                        let finding = Finding::new(FindingKind::InvalidValue, "`recipients` is empty", table.span());
                        let why = "what is encrypted to nobody can be read by nobody";
                        found.push(
                            finding
                                .because(why)
                                .help("name at least your own public key: `cat ~/.ssh/id_ed25519.pub`"),
                        );
                    }
                    let each = recipients.into_iter();
                    each.filter_map(|recipient| checked(Some(recipient), recipient_line, found))
                        .collect()
                });
                config.age.identities = table.texts("identities", found).map(|identities| {
                    let each = identities.into_iter();
                    each.filter_map(|identity| checked(Some(identity), identity_path, found))
                        .collect()
                });
            }
            config
        })
    }
}

/// What is wrong with a value, and what to write instead.
type Wrong = (String, Option<String>);

fn checked(
    value: Option<(String, std::ops::Range<usize>)>,
    check: fn(&str) -> Result<(), Wrong>,
    found: &mut Vec<Finding>,
) -> Option<String> {
    let (text, span) = value?;
    match check(&text) {
        Ok(()) => Some(text),
        Err((message, help)) => {
            let finding = Finding::new(FindingKind::InvalidValue, message, span);
            found.push(Finding { help, ..finding });
            None
        }
    }
}

fn wrong(message: impl Into<String>, help: &str) -> Result<(), Wrong> {
    Err((message.into(), Some(help.to_owned())))
}

fn store(text: &str) -> Result<(), Wrong> {
    match text {
        "age" | "aws" => Ok(()),
        _ => wrong(format!("{text:?} is no store"), "write \"age\" or \"aws\""),
    }
}

fn prefix(text: &str) -> Result<(), Wrong> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/_+=.@-".contains(&b);
    if text.bytes().all(allowed) {
        return Ok(());
    }
    wrong(
        format!("{text:?} cannot begin a secret's name"),
        "write letters, digits and \"/_+=.@-\", such as \"bots/\"",
    )
}

fn not_empty(text: &str) -> Result<(), Wrong> {
    if text.is_empty() {
        return wrong("this is empty", "leave the key out to use what the environment says");
    }
    Ok(())
}

/// Regions have been letters, digits and dashes with a number at the end, always.
pub(crate) fn is_region(text: &str) -> bool {
    let of_a_region = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.chars().all(of_a_region) && text.matches('-').count() >= 2 && text.ends_with(|c: char| c.is_ascii_digit())
}

fn region(text: &str) -> Result<(), Wrong> {
    if is_region(text) {
        return Ok(());
    }
    // An availability zone is a region with a letter.
    let without = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let help = if is_region(without) {
        format!("that is an availability zone; its region is \"{without}\"")
    } else {
        "write a region such as \"eu-central-1\"".to_owned()
    };
    Err((format!("{text:?} is not the name of an AWS region"), Some(help)))
}

fn endpoint(text: &str) -> Result<(), Wrong> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.contains(['@', '?', '#', ' ']) => Ok(()),
        Some(_) | None => wrong(
            format!("{text:?} is not the address of a service"),
            "write one such as \"https://vpce-0a1b2c.secretsmanager.eu-central-1.vpce.amazonaws.com\"",
        ),
    }
}

fn role(text: &str) -> Result<(), Wrong> {
    let parts: Vec<_> = text.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, "iam", "", account, resource]
            if account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) && resource.starts_with("role/") =>
        {
            Ok(())
        }
        _ => wrong(
            format!("{text:?} is not the ARN of a role"),
            "write one such as \"arn:aws:iam::123456789012:role/secrets\"",
        ),
    }
}

fn inside(text: &str) -> Result<(), Wrong> {
    let path = Path::new(text);
    let normal = path
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)));
    if text.is_empty() || !normal {
        return wrong(
            format!("{text:?} does not lie in the project"),
            "write a path relative to the project's root, without `..`, such as \"secrets/secrets.age.toml\"",
        );
    }
    Ok(())
}

fn recipient_line(text: &str) -> Result<(), Wrong> {
    match parse_recipient(text) {
        Ok(_) => Ok(()),
        Err(bad) => Err((bad.to_string(), Some(bad.fix().to_owned()))),
    }
}

fn identity_path(text: &str) -> Result<(), Wrong> {
    if text.contains("AGE-SECRET-KEY-") || text.contains("PRIVATE KEY") {
        return wrong(
            "this is a private key, not the path of one",
            "take it out, and out of git's history: whoever has this file can read every secret. Write the path of a file that only you can read",
        );
    }
    not_empty(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_it_can_say_is_read() {
        let text = "default = \"aws\"\nprefix = \"bots/\"\n[aws]\nregion = \"eu-central-1\"\nprofile = \"ops\"\nendpoint = \"http://127.0.0.1:5000\"\n\
                    role = \"arn:aws:iam::123456789012:role/a/b\"\n[age]\nfile = \"s/x.toml\"\n\
                    recipients = [\"age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj\"]\nidentities = [\"~/k\"]\n";
        let config = Config::parse(text.as_bytes()).unwrap();
        assert_eq!((config.default, config.prefix.as_str()), (DefaultStore::Aws, "bots/"));
        assert_eq!(config.aws.region.as_deref(), Some("eu-central-1"));
        assert_eq!(config.aws.profile.as_deref(), Some("ops"));
        assert_eq!(config.aws.endpoint.as_deref(), Some("http://127.0.0.1:5000"));
        assert!(config.aws.role.is_some());
        assert_eq!(config.age.file, "s/x.toml");
        assert_eq!(config.age.recipients.unwrap().len(), 1);
        assert_eq!(config.age.identities.unwrap(), ["~/k"]);
        assert_eq!(Config::parse(b"").unwrap(), Config::default());
    }

    #[test]
    fn every_mistake_is_found_at_its_place() {
        for (text, kind, at, help) in [
            (
                "default = \"vault\"\n",
                FindingKind::InvalidValue,
                "\"vault\"",
                "\"aws\"",
            ),
            ("prefix = \"a b\"\n", FindingKind::InvalidValue, "\"a b\"", "such as"),
            ("[asw]\n", FindingKind::UnknownKey, "asw", "did you mean `aws`?"),
            ("[aws]\nregoin = \"x\"\n", FindingKind::UnknownKey, "regoin", "`region`"),
            ("[aws]\nregion = 1\n", FindingKind::WrongType, "1", ""),
            (
                "[aws]\nregion = \"eu-central-1a\"\n",
                FindingKind::InvalidValue,
                "\"eu-central-1a\"",
                "\"eu-central-1\"",
            ),
            (
                "[aws]\nregion = \"Frankfurt\"\n",
                FindingKind::InvalidValue,
                "\"Frankfurt\"",
                "such as",
            ),
            (
                "[aws]\nprofile = \"\"\n",
                FindingKind::InvalidValue,
                "\"\"",
                "leave the key out",
            ),
            (
                "[aws]\nendpoint = \"localhost\"\n",
                FindingKind::InvalidValue,
                "\"localhost\"",
                "https://",
            ),
            (
                "[aws]\nrole = \"admin\"\n",
                FindingKind::InvalidValue,
                "\"admin\"",
                "arn:aws:iam",
            ),
            ("aws = 3\n", FindingKind::WrongType, "3", ""),
            (
                "[age]\nfile = \"../x\"\n",
                FindingKind::InvalidValue,
                "\"../x\"",
                "relative",
            ),
            (
                "[age]\nrecipients = []\n",
                FindingKind::InvalidValue,
                "age",
                "public key",
            ),
            (
                "[age]\nrecipients = \"age1\"\n",
                FindingKind::WrongType,
                "\"age1\"",
                "recipients = [",
            ),
            (
                "[age]\nrecipients = [\"age1x\"]\n",
                FindingKind::InvalidValue,
                "\"age1x\"",
                "",
            ),
            ("[age]\nrecipients = [7]\n", FindingKind::WrongType, "7", ""),
            (
                "[age]\nidentities = [\"AGE-SECRET-KEY-1X\"]\n",
                FindingKind::InvalidValue,
                "\"AGE-SECRET-KEY-1X\"",
                "history",
            ),
            ("[aws\n", FindingKind::Syntax, "", ""),
        ] {
            let found = Config::parse(text.as_bytes()).unwrap_err();
            let [finding] = found.findings.as_slice() else {
                panic!("{text}: {found:?}")
            };
            assert_eq!(finding.kind, kind, "{text}: {finding:?}");
            if !at.is_empty() {
                assert_eq!(&found.text[finding.span.clone()], at, "{text}");
            }
            assert!(
                finding.help.as_deref().unwrap_or("").contains(help),
                "{text}: {finding:?}"
            );
        }
        assert_eq!(
            Config::parse(b"\xff").unwrap_err().findings[0].kind,
            FindingKind::NotText
        );
    }

    #[test]
    fn the_example_says_all_that_can_be_said() {
        let config = Config::parse(include_bytes!("../../../secrets.example/stores.toml")).unwrap();
        assert!(config.age.recipients.is_some() && config.age.identities.is_some());
        let AwsConfig {
            region,
            profile,
            endpoint,
            role,
        } = config.aws;
        assert!(region.is_some() && profile.is_some() && endpoint.is_some() && role.is_some());
    }
}
