//! Repositories, their keys and pins on a real host, from signed repositories of its own.

use std::fs;
use std::process::Command;

use crate::lab::{Lab, moved};

/// Builds the packages `NAME VERSION…` into a directory of the host, and signs their index with a new key on this machine.
fn repository(lab: &Lab, at: &str, packages: &[(&str, &str)]) -> String {
    let mut script = format!("set -e; mkdir -p {at}; cd {at}; : > Packages\n");
    for (name, version) in packages {
        script += &format!(
            "d=$(mktemp -d); mkdir -p $d/DEBIAN; printf 'Package: {name}\\nVersion: {version}\\nArchitecture: all\\nMaintainer: a <a@b>\\nDescription: x\\n' > $d/DEBIAN/control
             dpkg-deb --build --root-owner-group $d {name}_{version}.deb > /dev/null
             dpkg-deb --field {name}_{version}.deb >> Packages
             printf 'Filename: ./{name}_{version}.deb\\nSize: %s\\nSHA256: %s\\n\\n' $(stat -c %s {name}_{version}.deb) $(sha256sum {name}_{version}.deb | cut -d' ' -f1) >> Packages\n"
        );
    }
    lab.on_host(&script);
    let home = tempfile::tempdir().unwrap();
    let sign = "set -e; export GNUPGHOME=$1; cd \"$2\"; exec 2>$1/log
        gpg --batch --quiet --passphrase '' --quick-generate-key 'A Repository <a@b>' ed25519 sign never
        printf 'Date: %s\\nSHA256:\\n %s %s Packages\\n' \"$(date -Ru)\" $(sha256sum Packages | cut -d' ' -f1) $(stat -c %s Packages) > Release
        rm -f InRelease; gpg --batch --quiet --clearsign --output InRelease Release
        gpg --armor --export; gpgconf --kill all";
    let output = Command::new("sh")
        .args(["-c", sign, "sh"])
        .args([home.path(), &lab.outside(at)])
        .output()
        .unwrap();
    let log = fs::read_to_string(home.path().join("log")).unwrap_or_default();
    assert!(output.status.success(), "{log}");
    String::from_utf8(output.stdout).unwrap()
}

/// What dpkg has of a package.
fn version(lab: &Lab, package: &str) -> String {
    lab.on_host(&format!("dpkg-query -W -f '${{Version}}' {package}"))
}

#[test]
fn a_repository_is_there_before_its_packages_and_a_pin_before_both() {
    let lab = Lab::new();
    lab.on_host("rm -rf /etc/apt/sources.list* /var/lib/apt/lists/*; mkdir /etc/apt/sources.list.d");
    let key = repository(&lab, "/srv/old", &[("tiny", "1.0"), ("other", "1.0")]);
    lab.write("files/old.asc", &key);
    let key = repository(&lab, "/srv/new", &[("tiny", "2.0"), ("other", "2.0")]);
    lab.write("files/new.asc", &key);
    let body = |new: bool| {
        let repository = |name: &str| {
            format!("[apt_repositories.{name}]\nurl = \"file:/srv/{name}\"\nsuites = [\"./\"]\nkey = \"{name}.asc\"\n")
        };
        let more = if new {
            repository("new") + "[apt_pins.other]\npackages = [\"other\"]\npin = \"version 1.*\"\npriority = 1001\n"
        } else {
            String::new()
        };
        let packages = if new {
            "tiny = \"2.0\"\nother = \"present\"\n"
        } else {
            "tiny = \"present\"\n"
        };
        format!("{}{more}[packages]\n{packages}", repository("old"))
    };
    lab.converge(&body(false));
    assert_eq!(version(&lab, "tiny"), "1.0");
    // The lists are there, and know nothing of the new repository; what the pin prefers is installed all the same.
    lab.converge(&body(true));
    assert_eq!(
        (version(&lab, "tiny"), version(&lab, "other")),
        ("2.0".into(), "1.0".into())
    );
    assert_eq!(
        lab.on_host("stat -c '%a %U' /etc/apt/keyrings/new.asc /etc/apt/sources.list.d/new.sources /etc/apt/preferences.d/other | sort -u"),
        "644 root"
    );

    lab.on_host("rm /etc/apt/keyrings/new.asc; echo 'Enabled: no' >> /etc/apt/sources.list.d/new.sources; rm /etc/apt/preferences.d/other");
    assert_eq!(
        lab.drift(),
        moved(&[
            ("file:/etc/apt/keyrings/new.asc", "host"),
            ("file:/etc/apt/preferences.d/other", "host"),
            ("file:/etc/apt/sources.list.d/new.sources", "host")
        ])
    );
    lab.converge(&body(true));

    // Lists of a repository that somebody else signs are not taken.
    let other = fs::read_to_string(lab.root().join("files/old.asc")).unwrap();
    lab.write("files/new.asc", &other);
    lab.on_host("dpkg --remove other");
    let refused = lab.apply(&body(true)).expect(3);
    assert!(
        refused.told().contains("is not signed by the key"),
        "{}",
        refused.told()
    );
    lab.write("files/new.asc", &key);
    lab.converge(&body(true));

    lab.converge("");
    assert_eq!(
        lab.on_host("ls /etc/apt/keyrings /etc/apt/sources.list.d /etc/apt/preferences.d | grep -v :; dpkg -l tiny other | grep -c ^ii || true").trim(),
        "0"
    );
}
