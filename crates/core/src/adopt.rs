//! What was found on an existing machine to the resources that would make it so. A function of values; whether a plan of them
//! is empty on that machine is for whoever plans them to see.

use std::collections::BTreeMap;

use crate::model::{
    AbsPath, Blob, Content, Digest, DirectorySpec, Fact, FileSpec, FoundBody, FoundFile, FoundUser, GroupSpec,
    HostText, Inventory, Millis, OnChange, OnRemoval, Origin, PackageSpec, PackageWant, Resource, ResourceId, Spec,
    SymlinkSpec, UnitSpec, UserSpec,
};

/// How long an adopted unit must stay up once it is restarted: the language's own default.
const SETTLE: Millis = Millis::seconds(1);

/// What becomes of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// What its configuration declares.
    pub resources: BTreeMap<ResourceId, Resource>,
    /// The contents of its files.
    pub blobs: BTreeMap<Digest, Blob>,
    /// What stays on the host and out of the configuration.
    pub left: Vec<Left>,
}

/// Something that is not taken in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Left {
    /// What it is: a path, a user, a container, ….
    pub what: HostText,
    /// Why.
    pub why: HostText,
}

impl Adopted {
    /// Leaves a resource out after all.
    pub fn leave(&mut self, id: &ResourceId, why: &str) {
        if self.resources.remove(id).is_some() {
            self.left(id.to_string(), why);
        }
    }

    fn left(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.left.push(Left {
            what: HostText::new(what),
            why: HostText::new(why),
        });
    }

    fn declare(&mut self, spec: Spec) {
        let resource = Resource {
            origin: Origin {
                file: String::new(),
                line: 1,
                column: 1,
            },
            depends: Vec::new(),
            on_removal: OnRemoval::default(),
            spec,
        };
        self.resources.insert(resource.spec.id(), resource);
    }
}

/// What becomes of a machine.
#[must_use]
pub fn adopt(found: &Inventory) -> Adopted {
    let mut adopted = Adopted::default();
    for why in &found.unseen {
        adopted.left(why.untrusted(), "could not be looked at");
    }
    match &found.packages {
        Fact::Unknown(why) => adopted.left("packages", why.untrusted()),
        Fact::Known(packages) => {
            let of_image = packages.iter().filter(|package| package.from_image);
            let of_image: Vec<_> = of_image.map(|package| package.name.as_str()).collect();
            if !of_image.is_empty() {
                adopted.left("packages that its image or installer brought", of_image.join(", "));
            }
            for package in packages {
                if !package.from_image {
                    adopted.declare(Spec::Package(PackageSpec {
                        name: package.name.clone(),
                        want: PackageWant::Present,
                        recommends: true,
                    }));
                }
            }
        }
    }
    for group in &found.groups {
        adopted.declare(Spec::Group(GroupSpec {
            name: group.name.clone(),
            gid: Some(group.gid),
            system: false,
        }));
    }
    for user in &found.users {
        self::user(user, &mut adopted);
    }
    for file in &found.files {
        self::file(file, &mut adopted);
    }
    match &found.units {
        Fact::Unknown(why) => adopted.left("units", why.untrusted()),
        Fact::Known(units) => {
            for unit in units
                .iter()
                .filter(|unit| unit.enabled.is_some() || unit.active.is_some())
            {
                adopted.declare(Spec::Unit(UnitSpec {
                    name: unit.name.clone(),
                    enabled: unit.enabled,
                    active: unit.active,
                    on_change: OnChange::Restart,
                    settle: SETTLE,
                }));
            }
        }
    }
    for job in &found.cron {
        adopted.left(
            job.untrusted(),
            "a job of cron; a timer would do it as well: [timers.NAME]",
        );
    }
    for (name, image) in &found.containers {
        let why = format!("of {}; containers are no kind of resource", image.untrusted());
        adopted.left(format!("the container {}", name.untrusted()), why);
    }
    adopted.left.sort();
    adopted
}

fn user(user: &FoundUser, adopted: &mut Adopted) {
    let (Ok(home), Ok(shell)) = (AbsPath::new(user.home.as_str()), AbsPath::new(user.shell.as_str())) else {
        let why = "its home or its shell is no path that can be declared";
        return adopted.left(format!("user:{}", user.name), why);
    };
    adopted.declare(Spec::User(UserSpec {
        name: user.name.clone(),
        uid: Some(user.uid),
        // A group of its own name is what a user has by default.
        group: user.group.clone().filter(|group| *group != user.name),
        groups: user.groups.clone(),
        home: Some(home),
        create_home: true,
        shell: Some(shell),
        comment: (!user.comment.is_empty()).then(|| user.comment.clone()),
        system: false,
    }));
}

fn file(file: &FoundFile, adopted: &mut Adopted) {
    let path = file.path.clone();
    match &file.body {
        FoundBody::Private(why) => {
            let changed = file
                .changed
                .as_ref()
                .map(|package| format!("changed since {} brought it; ", package.untrusted()));
            adopted.left(path.as_str(), changed.unwrap_or_default() + why.untrusted());
        }
        FoundBody::Directory => adopted.declare(Spec::Directory(DirectorySpec {
            path,
            owner: file.owner.clone(),
            group: file.group.clone(),
            mode: file.mode,
        })),
        FoundBody::Link(target) => adopted.declare(Spec::Symlink(SymlinkSpec {
            path,
            target: target.untrusted().to_owned(),
        })),
        FoundBody::Content(blob) => {
            let content = Content::of(blob.bytes());
            adopted.blobs.insert(content.sha256, blob.clone());
            let sudoers = path.as_str().starts_with("/etc/sudoers");
            adopted.declare(Spec::File(FileSpec {
                content,
                owner: file.owner.clone(),
                group: file.group.clone(),
                mode: file.mode,
                validate: sudoers.then(|| ["visudo", "-c", "-f", "{}"].map(str::to_owned).to_vec()),
                sensitive: false,
                private: false,
                seed: false,
                path,
            }));
        }
    }
}
