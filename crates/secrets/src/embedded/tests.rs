//! The embedded store on a disk: what is put is what is read, by whom, and what is refused.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use age::secrecy::ExposeSecret as _;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;

struct Project {
    directory: TempDir,
}

impl Project {
    /// A project whose store is encrypted to an age key in `key.txt`.
    fn new() -> Self {
        let project = Self::empty();
        let recipient = project.age_key("key.txt");
        project.write(STORE_FILE, &new_store(&[recipient]).unwrap());
        project
    }

    fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("secrets")).unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path(STORE_FILE)).unwrap()
    }

    fn private(&self, name: &str, text: &str) {
        self.write(name, text);
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Makes an age key and gives its public half.
    fn age_key(&self, name: &str) -> String {
        let key = age::x25519::Identity::generate();
        self.private(
            name,
            &format!("# made for a test\n{}\n", key.to_string().expose_secret()),
        );
        key.to_public().to_string()
    }

    /// Makes an SSH key with OpenSSH's own program and gives its public half.
    fn ssh_key(&self, name: &str, kind: &[&str], passphrase: &str) -> String {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-N", passphrase, "-C", "alice@host", "-f"])
            .arg(self.path(name))
            .arg("-t")
            .args(kind)
            .status();
        assert!(made.unwrap().success());
        fs::read_to_string(self.path(&format!("{name}.pub")))
            .unwrap()
            .trim()
            .to_owned()
    }

    fn store(&self, key: &str) -> Embedded {
        self.store_with(key, AgeConfig::default())
    }

    fn store_with(&self, key: &str, config: AgeConfig) -> Embedded {
        let surroundings = Surroundings {
            identity: Some(self.path(key)),
            ..Surroundings::default()
        };
        Embedded::new(self.directory.path().to_owned(), config, surroundings)
    }
}

fn value(text: &str) -> SecretValue {
    SecretValue::new(text.as_bytes().to_vec())
}

fn read(store: &Embedded, name: &str, number: u32) -> Result<Vec<u8>, Problem> {
    let wanted = version(number);
    let (_, found) = store.values(&[(name, &wanted)]).remove(0);
    found.map(|value| value.expose().to_vec())
}

#[test]
fn what_is_put_is_read_byte_for_byte_in_versions() {
    let project = Project::new();
    let store = project.store("key.txt");
    let bytes = SecretValue::new(b"-----BEGIN X-----\r\n\0\xff\n\n".to_vec());
    assert_eq!(store.put("tls/key", &bytes).unwrap(), version(1));
    assert_eq!(store.put("token", &value("one")).unwrap(), version(1));
    assert_eq!(store.put("token", &value("two\n")).unwrap(), version(2));
    assert_eq!(read(&store, "tls/key", 1).unwrap(), bytes.expose());
    assert_eq!(read(&store, "token", 2).unwrap(), b"two\n");
    let moved = read(&store, "token", 1).unwrap_err();
    assert!(
        matches!(&moved, Problem::Moved { now: Some(now), .. } if *now == version(2)),
        "{moved:?}"
    );
    let largest = SecretValue::new(vec![b'x'; MAX_VALUE_BYTES]);
    store.put("largest", &largest).unwrap();
    assert_eq!(read(&store, "largest", 1).unwrap(), largest.expose());
}

#[test]
fn versions_and_putting_need_no_key() {
    let project = Project::new();
    let store = project.store("none");
    store.put("token", &value("canary")).unwrap();
    let names = BTreeSet::from(["token", "tokem"]);
    let versions: Vec<_> = store.versions(&names).into_iter().map(|(_, found)| found).collect();
    assert!(
        matches!(&versions[0], Err(Problem::NotFound { near: Some(near), .. }) if near == "token"),
        "{versions:?}"
    );
    assert_eq!(versions[1].as_ref().unwrap(), &version(1));
    assert!(matches!(read(&store, "token", 1), Err(Problem::Read { .. })));
    assert!(!project.text().contains("canary"));
}

#[test]
fn a_change_of_one_secret_changes_its_block_alone() {
    let project = Project::new();
    let store = project.store("key.txt");
    for name in ["a", "b", "c"] {
        store.put(name, &value(name)).unwrap();
    }
    let before = project.text();
    store.put("b", &value("new")).unwrap();
    let after = project.text();
    let blocks = |text: &str| -> Vec<String> { text.split("\n[secrets.").map(str::to_owned).collect() };
    let changed: Vec<_> = std::iter::zip(blocks(&before), blocks(&after))
        .map(|(old, new)| old != new)
        .collect();
    assert_eq!(changed, [false, false, true, false]);
}

#[test]
fn ssh_and_age_keys_all_read_it() {
    let project = Project::empty();
    let recipients = vec![
        project.ssh_key("ed25519", &["ed25519"], ""),
        project.ssh_key("rsa", &["rsa", "-b", "2048"], ""),
        project.age_key("key.txt"),
    ];
    project.write(STORE_FILE, &new_store(&recipients).unwrap());
    project.store("ed25519").put("token", &value("shared")).unwrap();
    for key in ["ed25519", "rsa", "key.txt"] {
        assert_eq!(read(&project.store(key), "token", 1).unwrap(), b"shared", "{key}");
    }
    project.age_key("other.txt");
    let wrong = read(&project.store("other.txt"), "token", 1).unwrap_err();
    assert!(
        matches!(&wrong, Problem::WrongIdentity { tried } if tried == &[project.path("other.txt")]),
        "{wrong:?}"
    );
}

#[test]
fn a_passphrase_is_asked_for_once_and_only_where_the_key_is_needed() {
    let project = Project::empty();
    let recipient = project.ssh_key("locked", &["ed25519"], "open sesame");
    project.write(STORE_FILE, &new_store(&[recipient]).unwrap());
    let store = |answer: Option<&'static str>, asked: &Arc<std::sync::atomic::AtomicU32>| {
        let asked = asked.clone();
        let surroundings = Surroundings {
            identity: Some(project.path("locked")),
            passphrase: Some(Arc::new(move |path: &Path| {
                assert!(path.ends_with("locked"));
                asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                answer.map(|text| Zeroizing::new(text.to_owned()))
            })),
            ..Surroundings::default()
        };
        Embedded::new(project.directory.path().to_owned(), AgeConfig::default(), surroundings)
    };
    let asked = Arc::default();
    let right = store(Some("open sesame"), &asked);
    for name in ["a", "b"] {
        right.put(name, &value(name)).unwrap();
    }
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 0);
    let one = version(1);
    let values = right.values(&[("a", &one), ("b", &one)]);
    assert!(values.iter().all(|(_, value)| value.is_ok()), "{values:?}");
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert!(matches!(
        read(&store(Some("wrong"), &asked), "a", 1),
        Err(Problem::WrongPassphrase { .. })
    ));
    assert!(matches!(
        read(&store(None, &asked), "a", 1),
        Err(Problem::Passphrase { .. })
    ));
    assert!(matches!(
        read(&project.store("locked"), "a", 1),
        Err(Problem::Passphrase { .. })
    ));
}

#[test]
fn a_value_moved_to_another_name_or_version_is_refused() {
    let project = Project::new();
    let store = project.store("key.txt");
    store.put("motd", &value("harmless")).unwrap();
    store.put("root-password", &value("canary")).unwrap();
    let text = project.text();
    let armor = |name: &str| {
        let block = text.split(&format!("[secrets.\"{name}\"]")).nth(1).unwrap();
        block.split("\"\"\"").nth(1).unwrap().to_owned()
    };
    project.write(STORE_FILE, &text.replace(&armor("motd"), &armor("root-password")));
    let swapped = read(&store, "motd", 1).unwrap_err();
    assert!(
        matches!(&swapped, Problem::Swapped { found } if found == "root-password v1"),
        "{swapped:?}"
    );
    assert!(!format!("{swapped:?}").contains("canary"));
    // An old value under a new number.
    project.write(STORE_FILE, &text.replacen("version = 1", "version = 2", 1));
    assert!(matches!(read(&store, "motd", 2), Err(Problem::Swapped { .. })));
    // What age itself encrypted can be any secret's.
    let recipient: age::x25519::Recipient = project.age_key("key.txt").parse().unwrap();
    let foreign = age::encrypt_and_armor(&recipient, b"x").unwrap();
    let store_text = new_store(&[recipient.to_string()]).unwrap();
    project.write(
        STORE_FILE,
        &format!("{store_text}\n[secrets.a]\nversion = 1\nage = \"\"\"\n{foreign}\"\"\"\n"),
    );
    assert!(matches!(read(&store, "a", 1), Err(Problem::Unbound)));
    assert_eq!(store.open_foreign(foreign.as_bytes()).unwrap().expose(), b"x");
}

#[test]
fn a_damaged_value_is_told_and_no_other_suffers() {
    let project = Project::new();
    let store = project.store("key.txt");
    store.put("a", &value("one")).unwrap();
    store.put("b", &value("two")).unwrap();
    let text = project.text();
    let lines: Vec<_> = text.lines().collect();
    let last = lines.iter().position(|line| line.starts_with("-----END")).unwrap() - 1;
    let mut damaged: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
    let middle = damaged[last].len() / 2;
    let other = if damaged[last].as_bytes()[middle] == b'A' {
        "B"
    } else {
        "A"
    };
    damaged[last].replace_range(middle..=middle, other);
    project.write(STORE_FILE, &damaged.join("\n"));
    assert!(
        matches!(read(&store, "a", 1), Err(Problem::Corrupt { .. })),
        "{:?}",
        read(&store, "a", 1)
    );
    assert_eq!(read(&store, "b", 1).unwrap(), b"two");
}

#[test]
fn a_removed_secret_comes_back_under_another_version() {
    let project = Project::new();
    let store = project.store("key.txt");
    store.put("a", &value("one")).unwrap();
    store.remove("a").unwrap();
    assert!(matches!(read(&store, "a", 1), Err(Problem::NotFound { .. })));
    assert!(matches!(store.remove("a"), Err(Problem::NotFound { .. })));
    assert_eq!(store.list().unwrap().secrets, []);
    assert_eq!(store.put("a", &value("two")).unwrap(), version(2));
}

#[test]
fn rekeying_lets_one_in_and_another_out_and_keeps_versions() {
    let project = Project::new();
    let first = project.store("key.txt");
    first.put("a", &value("one")).unwrap();
    first.put("a", &value("two")).unwrap();
    let old = first.list().unwrap().recipients.remove(0);
    let new = project.ssh_key("new", &["ed25519"], "");
    let both = AgeConfig {
        recipients: Some(vec![old.clone(), new.clone()]),
        ..AgeConfig::default()
    };
    let store = project.store_with("key.txt", both.clone());
    assert!(matches!(
        store.put("a", &value("three")),
        Err(Problem::RecipientsDiffer { .. })
    ));
    let done = store.rekey().unwrap();
    assert_eq!((done.secrets, done.added, done.removed), (1, vec![new.clone()], vec![]));
    assert_eq!(read(&project.store("new"), "a", 2).unwrap(), b"two");
    let before = project.text();
    assert_eq!(store.rekey().unwrap().secrets, 0);
    assert_eq!(project.text(), before, "nothing to do, and something was written");
    let only = AgeConfig {
        recipients: Some(vec![new]),
        ..AgeConfig::default()
    };
    let done = project.store_with("key.txt", only).rekey().unwrap();
    assert_eq!(done.removed, [old]);
    assert_eq!(read(&project.store("new"), "a", 2).unwrap(), b"two");
    assert!(matches!(
        read(&project.store("key.txt"), "a", 2),
        Err(Problem::WrongIdentity { .. })
    ));
}

#[test]
fn what_must_not_be_is_refused() {
    let project = Project::new();
    let store = project.store("key.txt");
    assert!(matches!(store.put("a", &value("")), Err(Problem::Empty)));
    assert!(matches!(
        store.put("a", &SecretValue::new(vec![0; MAX_VALUE_BYTES + 1])),
        Err(Problem::TooLarge)
    ));
    assert!(matches!(store.put("a b", &value("x")), Err(Problem::BadName { .. })));
    store.put("a", &value("x")).unwrap();

    fs::set_permissions(project.path("key.txt"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(
        read(&store, "a", 1),
        Err(Problem::Exposed { mode: 0o644, .. })
    ));
    for (text, says) in [
        ("hello\n", "no SSH or age private key"),
        (
            "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj\n",
            "public key",
        ),
        ("AGE-SECRET-KEY-1CANARY\n", "line 1 is no age key"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "PKCS#8"),
        ("-----BEGIN AGE ENCRYPTED FILE-----\n", "itself encrypted"),
    ] {
        project.private("bad", text);
        let problem = read(&project.store("bad"), "a", 1).unwrap_err();
        assert!(problem.to_string().contains(says), "{text}: {problem}");
        assert!(!format!("{problem:?}").contains("CANARY"));
    }
    project.ssh_key("ecdsa", &["ecdsa"], "");
    let problem = read(&project.store("ecdsa"), "a", 1).unwrap_err();
    assert!(problem.to_string().contains("can only sign"), "{problem}");
    assert!(matches!(
        read(&project.store("secrets"), "a", 1),
        Err(Problem::BadIdentity { .. })
    ));

    let text = project.text();
    project.write(STORE_FILE, &format!("# AGE-SECRET-KEY-1XYZ\n{text}"));
    assert!(matches!(store.list(), Err(Problem::IdentityInStore { .. })));
    project.write(STORE_FILE, "format = 1\n");
    assert!(matches!(store.list(), Err(Problem::Malformed(_))));
    fs::remove_file(project.path(STORE_FILE)).unwrap();
    for problem in [store.list().unwrap_err(), store.put("a", &value("x")).unwrap_err()] {
        assert!(matches!(problem, Problem::NoStore { .. }), "{problem:?}");
    }
    let homeless = Embedded::new(
        project.directory.path().to_owned(),
        AgeConfig::default(),
        Surroundings::default(),
    );
    project.write(STORE_FILE, &text);
    assert!(matches!(read(&homeless, "a", 1), Err(Problem::NoIdentity { .. })));
}

#[test]
fn writers_at_once_lose_nothing() {
    let project = Project::new();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let project = &project;
            scope.spawn(move || {
                for number in 0..5 {
                    project
                        .store("key.txt")
                        .put(&format!("s{writer}-{number}"), &value("x"))
                        .unwrap();
                    project.store("key.txt").put("shared", &value("x")).unwrap();
                }
            });
        }
    });
    let listing = project.store("key.txt").list().unwrap();
    assert_eq!(listing.secrets.len(), 21);
    assert_eq!(listing.secrets.last().unwrap().version, version(20));
    let left: Vec<_> = fs::read_dir(project.path("secrets"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["secrets.age.toml"]);
}
