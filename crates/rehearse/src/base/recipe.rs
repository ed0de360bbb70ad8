//! Everything that a base image depends on, as one value with a digest: the same recipe is the same image.
//! It builds nothing.

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::{BaseError, BaseOptions, MASKED, Release};

/// Change this when what is done after mmdebstrap changes: older images are then not taken.
const RECIPE_VERSION: u32 = 1;

/// What a server has and mmdebstrap's minbase has not. `libpam-systemd` makes logins what they are on a server: sessions with a cgroup and `XDG_RUNTIME_DIR`.
const PACKAGES: [&str; 9] = [
    "ca-certificates",
    "dbus",
    "iproute2",
    "libpam-systemd",
    "openssh-server",
    "procps",
    "sudo",
    "systemd",
    "systemd-sysv",
];

/// Everything that an image depends on, in one text. The same text is the same image.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Recipe {
    pub(super) release: Release,
    packages: Vec<String>,
    /// Lines of `sources.list`.
    sources: Vec<String>,
    /// Lines of an `apt.conf`.
    apt: Vec<String>,
    /// Certificate authorities by file name.
    pub(super) authorities: BTreeMap<String, Vec<u8>>,
}

impl Recipe {
    pub(super) fn new(
        options: &BaseOptions,
        apt_proxies: &[(String, String)],
        authorities: BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, BaseError> {
        let is_plain = |text: &str, more: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        if !is_plain(&options.mirror, ":/.-_[]@%") {
            return Err(BaseError::Malformed(options.mirror.clone()));
        }
        if let Some(bad) = options.packages.iter().find(|name| !is_plain(name, "+-.:")) {
            return Err(BaseError::Malformed(bad.clone()));
        }
        let mut packages: Vec<String> = PACKAGES.map(str::to_owned).to_vec();
        packages.extend(options.packages.iter().cloned());
        packages.sort();
        packages.dedup();
        let mirror = options.mirror.trim_end_matches('/');
        let suite = options.release.suite();
        Ok(Self {
            release: options.release,
            packages,
            sources: vec![
                format!("deb {mirror}/debian {suite} main"),
                format!("deb {mirror}/debian {suite}-updates main"),
                format!("deb {mirror}/debian-security {suite}-security main"),
            ],
            apt: std::iter::once("Acquire::Languages \"none\";".to_owned())
                .chain(
                    apt_proxies
                        .iter()
                        .map(|(scheme, url)| format!("Acquire::{scheme}::Proxy \"{url}\";")),
                )
                .collect(),
            authorities,
        })
    }

    /// The name of the image's directory: the release, and a digest of the recipe.
    pub(super) fn key(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("{RECIPE_VERSION}\n{}\n", self.release));
        for part in [&self.packages, &self.sources, &self.apt] {
            hash.update(format!("{}\n", part.join("\n")));
        }
        hash.update(MASKED.join("\n"));
        for (name, content) in &self.authorities {
            hash.update(format!("\n{name} {}\n", content.len()));
            hash.update(content);
        }
        let digest: String = hash
            .finalize()
            .iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{}-{digest}", self.release)
    }

    pub(super) fn arguments(&self, target: &Path) -> Vec<String> {
        let mut arguments = vec![
            "--mode=root".to_owned(),
            "--variant=minbase".to_owned(),
            "--format=directory".to_owned(),
            format!("--include={}", self.packages.join(",")),
        ];
        arguments.extend(self.apt.iter().map(|line| format!("--aptopt={line}")));
        arguments.push(self.release.suite().to_owned());
        arguments.push(target.display().to_string());
        arguments.extend(self.sources.iter().cloned());
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(options: &BaseOptions) -> Recipe {
        Recipe::new(options, &[], BTreeMap::new()).unwrap()
    }

    #[test]
    fn the_key_follows_everything_the_image_depends_on() {
        let plain = BaseOptions::new(Release::Debian12);
        let key = recipe(&plain).key();
        assert_eq!(key, recipe(&plain).key());
        assert!(key.starts_with("debian-12-"), "{key}");

        let mut others = vec![recipe(&BaseOptions::new(Release::Debian13))];
        let more = BaseOptions {
            packages: vec!["nftables".to_owned()],
            ..plain.clone()
        };
        others.push(recipe(&more));
        let elsewhere = BaseOptions {
            mirror: "http://mirror.example".to_owned(),
            ..plain.clone()
        };
        others.push(recipe(&elsewhere));
        let proxy = [("http".to_owned(), "http://proxy.example:3128".to_owned())];
        others.push(Recipe::new(&plain, &proxy, BTreeMap::new()).unwrap());
        let authority = BTreeMap::from([("corp.crt".to_owned(), b"x".to_vec())]);
        others.push(Recipe::new(&plain, &[], authority).unwrap());
        for other in others {
            assert_ne!(key, other.key(), "{other:?}");
        }
    }

    #[test]
    fn options_cannot_smuggle_arguments_to_apt() {
        for bad in ["a b", "--hook", "", "x\ny"] {
            let options = BaseOptions {
                packages: vec![bad.to_owned()],
                ..BaseOptions::new(Release::Debian12)
            };
            let made = Recipe::new(&options, &[], BTreeMap::new());
            // A leading dash is harmless inside `--include=`, but no package begins with one.
            assert_eq!(made.is_err(), bad != "--hook", "{bad:?}");
        }
        let options = BaseOptions {
            mirror: "http://x [trusted=yes]".to_owned(),
            ..BaseOptions::new(Release::Debian12)
        };
        assert!(Recipe::new(&options, &[], BTreeMap::new()).is_err());
    }
}
