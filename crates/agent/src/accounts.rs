//! Users and groups as `/etc/passwd` and `/etc/group` have them: passwd(5) and group(5). It changes none, and asks no
//! name service, whose answer would depend on the network.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use provision_core::model::{HostText, Owner};

/// The longest account file that is read, in bytes: some hundred thousand accounts.
const FILE_BYTES: u64 = 16 << 20;

/// One line of `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// The name.
    pub(crate) name: String,
    /// The numeric id.
    pub(crate) uid: u32,
    /// The primary group's id.
    pub(crate) gid: u32,
    /// The comment (GECOS) field.
    pub(crate) comment: String,
    /// The home directory.
    pub(crate) home: String,
    /// The login shell; empty means `/bin/sh`.
    pub(crate) shell: String,
}

/// One line of `/etc/group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// The name.
    pub(crate) name: String,
    /// The numeric id.
    pub(crate) gid: u32,
    /// The users that it names as members.
    pub(crate) members: Vec<String>,
}

/// Why accounts could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountsError {
    /// The system refused.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Longer than any real one.
    #[error("{path} is longer than {FILE_BYTES} bytes")]
    TooLong {
        /// The file.
        path: PathBuf,
    },
}

/// A name that no account has.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoSuchAccount {
    /// No such user.
    #[error("the user {name:?} does not exist on this host")]
    User {
        /// The name.
        name: String,
    },
    /// No such group.
    #[error("the group {name:?} does not exist on this host")]
    Group {
        /// The name.
        name: String,
    },
}

/// All accounts, as they were when they were read. Where a name or an id is given twice, the first line counts, as it
/// does for getpwnam(3).
#[derive(Clone, Debug, Default)]
pub(crate) struct Accounts {
    users: Vec<User>,
    groups: Vec<Group>,
    user_names: HashMap<String, usize>,
    user_ids: HashMap<u32, usize>,
    group_names: HashMap<String, usize>,
    group_ids: HashMap<u32, usize>,
}

impl Accounts {
    /// Reads this host's accounts. A file that does not exist holds none.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub(crate) fn read() -> Result<Self, AccountsError> {
        let passwd = read(Path::new("/etc/passwd"))?;
        let group = read(Path::new("/etc/group"))?;
        Ok(Self::parse(&passwd, &group))
    }

    /// Reads the text of both files. Lines that no account is in (NIS's `+` lines, too few fields, an id that is no
    /// number, a name that is not UTF-8) are left out: no name in a configuration can mean them.
    pub(crate) fn parse(passwd: &[u8], group: &[u8]) -> Self {
        let mut accounts = Self {
            users: lines(passwd).filter_map(user).collect(),
            groups: lines(group).filter_map(self::group).collect(),
            ..Self::default()
        };
        for (at, user) in accounts.users.iter().enumerate() {
            accounts.user_names.entry(user.name.clone()).or_insert(at);
            accounts.user_ids.entry(user.uid).or_insert(at);
        }
        for (at, group) in accounts.groups.iter().enumerate() {
            accounts.group_names.entry(group.name.clone()).or_insert(at);
            accounts.group_ids.entry(group.gid).or_insert(at);
        }
        accounts
    }

    /// All users, in the order of the file.
    pub(crate) fn users(&self) -> impl Iterator<Item = &User> {
        self.users.iter()
    }

    /// All groups, in the order of the file.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter()
    }

    /// The user of that name.
    pub(crate) fn user(&self, name: &str) -> Option<&User> {
        self.user_names.get(name).map(|&at| &self.users[at])
    }

    /// The user of that id.
    pub(crate) fn user_of(&self, uid: u32) -> Option<&User> {
        self.user_ids.get(&uid).map(|&at| &self.users[at])
    }

    /// The group of that name.
    pub(crate) fn group(&self, name: &str) -> Option<&Group> {
        self.group_names.get(name).map(|&at| &self.groups[at])
    }

    /// The group of that id.
    pub(crate) fn group_of(&self, gid: u32) -> Option<&Group> {
        self.group_ids.get(&gid).map(|&at| &self.groups[at])
    }

    /// The groups that name a user as a member.
    pub(crate) fn groups_of<'a>(&'a self, user: &'a str) -> impl Iterator<Item = &'a Group> {
        self.groups
            .iter()
            .filter(move |group| group.members.iter().any(|member| member == user))
    }

    /// A path's owner, with the name where there is one.
    pub(crate) fn owner(&self, uid: u32) -> Owner {
        let name = self.user_of(uid).map(|user| HostText::new(&*user.name));
        Owner { id: uid, name }
    }

    /// A path's group, with the name where there is one.
    pub(crate) fn owning_group(&self, gid: u32) -> Owner {
        let name = self.group_of(gid).map(|group| HostText::new(&*group.name));
        Owner { id: gid, name }
    }

    /// The id that a configured owner means: a user's name, or an id in digits.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub(crate) fn resolve_owner(&self, owner: &str) -> Result<u32, NoSuchAccount> {
        if let Ok(id) = owner.parse() {
            return Ok(id);
        }
        let user = self
            .user(owner)
            .ok_or_else(|| NoSuchAccount::User { name: owner.to_owned() })?;
        Ok(user.uid)
    }

    /// The id that a configured group means: a group's name, or an id in digits.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub(crate) fn resolve_group(&self, group: &str) -> Result<u32, NoSuchAccount> {
        if let Ok(id) = group.parse() {
            return Ok(id);
        }
        let group = self
            .group(group)
            .ok_or_else(|| NoSuchAccount::Group { name: group.to_owned() })?;
        Ok(group.gid)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, AccountsError> {
    let failed = |source| AccountsError::Read {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(bytes),
        opened => opened
            .and_then(|file| file.take(FILE_BYTES + 1).read_to_end(&mut bytes))
            .map_err(failed)?,
    };
    if bytes.len() as u64 > FILE_BYTES {
        return Err(AccountsError::TooLong { path: path.to_owned() });
    }
    Ok(bytes)
}

fn lines(text: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    text.split(|&b| b == b'\n')
        .filter(|line| !line.starts_with(b"#"))
        .map(|line| line.split(|&b| b == b':').collect())
}

fn user(fields: Vec<&[u8]>) -> Option<User> {
    let [name, _password, uid, gid, comment, home, shell] = fields[..] else {
        return None;
    };
    Some(User {
        name: account_name(name)?,
        uid: number(uid)?,
        gid: number(gid)?,
        comment: lossy(comment),
        home: lossy(home),
        shell: lossy(shell),
    })
}

fn group(fields: Vec<&[u8]>) -> Option<Group> {
    let [name, _password, gid, members] = fields[..] else {
        return None;
    };
    let members = members.split(|&b| b == b',').filter(|member| !member.is_empty());
    Some(Group {
        name: account_name(name)?,
        gid: number(gid)?,
        members: members.map(lossy).collect(),
    })
}

fn account_name(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let real = !name.is_empty() && !name.starts_with(['+', '-']);
    real.then(|| name.to_owned())
}

/// Digits alone: `u32::from_str` would take a leading plus.
fn number(digits: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(digits).ok()?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn lines_without_an_account_are_left_out_and_the_first_of_two_counts() {
        let passwd = b"root:x:0:0:root:/root:/bin/bash\n\
            +::::::\n-@bad::::::\n# comment:x:1:1::/:\n\nshort:x:5\n::7:7::/:\nneg:x:-1:0::/:\nplus:x:+3:0::/:\n\
            big:x:4294967296:0::/:\nlong:x:1:1:c:/:/sh:extra\nbad\xff:x:8:8::/:\n\
            root:x:99:99:second:/:/bin/sh\ntoor:x:0:0::/:\nodd:x:1000:1000:\xffx,,\x1b[31m:/h\xf6me:\nlast:x:2:2::/:/bin/false";
        let group = b"root:x:0:\nbots:x:4321:bot,,other,bot2\n+:::\nnogid:x::\nbots:x:1:nobody\n";
        let accounts = Accounts::parse(passwd, group);
        let names: Vec<_> = accounts.users.iter().map(|user| user.name.as_str()).collect();
        assert_eq!(names, ["root", "root", "toor", "odd", "last"]);
        assert_eq!(accounts.user("root").unwrap().uid, 0);
        assert_eq!(accounts.user_of(0).unwrap().name, "root");
        assert_eq!(accounts.user("odd").unwrap().comment, "\u{fffd}x,,\u{1b}[31m");
        assert_eq!(accounts.user("last").unwrap().shell, "/bin/false");
        let groups: Vec<_> = accounts.groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(groups, ["root", "bots", "bots"]);
        assert_eq!(accounts.group("bots").unwrap().members, ["bot", "other", "bot2"]);
        let of = |user| accounts.groups_of(user).map(|group| group.gid).collect::<Vec<_>>();
        assert_eq!((of("other"), of("nobody"), of("")), (vec![4321], vec![1], vec![]));
    }

    #[test]
    fn owners_are_names_or_ids() {
        let accounts = Accounts::parse(b"bot:x:1234:4321::/:\n", b"bots:x:4321:\n");
        assert_eq!(accounts.resolve_owner("bot").unwrap(), 1234);
        assert_eq!(accounts.resolve_owner("77").unwrap(), 77);
        assert_eq!(accounts.resolve_group("bots").unwrap(), 4321);
        let shown = accounts.resolve_owner("nobot").unwrap_err().to_string();
        assert_eq!(shown, "the user \"nobot\" does not exist on this host");
        assert!(accounts.resolve_group("bot").is_err());
    }

    /// `getent` with the files alone, so that systemd's made-up users do not count.
    fn getent(database: &str) -> Vec<String> {
        let output = Command::new("getent")
            .args(["--service=files", database])
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn this_machines_accounts_are_those_that_getent_has() {
        let accounts = Accounts::read().unwrap();
        let users = accounts.users.iter().map(|user| {
            let User {
                name,
                uid,
                gid,
                comment,
                home,
                shell,
            } = user;
            format!("{name}:x:{uid}:{gid}:{comment}:{home}:{shell}")
        });
        assert_eq!(users.collect::<Vec<_>>(), getent("passwd"));
        let groups = accounts.groups.iter().map(|group| {
            let Group { name, gid, members } = group;
            format!("{name}:x:{gid}:{}", members.join(","))
        });
        assert_eq!(groups.collect::<Vec<_>>(), getent("group"));
    }
}
