//! What each resource waits for: what it names by itself, and what `after` and `restart_on` add. The order that follows
//! is the plan's business.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Code, Diagnostic, did_you_mean};
use crate::model::{
    AbsPath, Check, CommandSpec, Dependency, DependencyReason, GitSpec, Kind, ProbeSpec, ResourceId, Source, Spec,
    SwapfileSpec, Switch, TreeSpec, UnitName, UnitSpec, UserSpec,
};

use super::declared::{Declarations, Declared};
use super::firewall::DROP_IN;
use super::parts::unit_stem;
use super::shorthand::APT_DIRECTORIES;
use super::unit_text::{Named, named};
use super::user_units;

/// Every resource's dependencies.
pub(super) type Dependencies = BTreeMap<ResourceId, BTreeSet<Dependency>>;

/// Finds all dependencies of a host's resources; reports those on resources that there are not.
pub(super) fn find(declarations: &Declarations, found: &mut Vec<Diagnostic>) -> Dependencies {
    let index = Index::of(declarations);
    let mut all: Dependencies = declarations
        .resources
        .iter()
        .map(|(id, declared)| {
            let mut on = On {
                id,
                index: &index,
                set: BTreeSet::new(),
            };
            on.spec(&declared.spec);
            on.said(declared, found);
            (id.clone(), on.set)
        })
        .collect();
    packages_after_apt(&mut all);
    all
}

/// Which packages there are is said by apt's own files, so each package comes after those that are declared; but for
/// those packages that such a file itself waits for, such as the certificates that its repository is reached with.
fn packages_after_apt(all: &mut Dependencies) {
    let is_apt = |id: &&ResourceId| {
        id.kind == Kind::File && APT_DIRECTORIES.iter().any(|directory| id.name.starts_with(directory))
    };
    let files: Vec<ResourceId> = all.keys().filter(is_apt).cloned().collect();
    let mut needed = BTreeSet::new();
    let mut queue = files.clone();
    while let Some(id) = queue.pop() {
        let on = all.get(&id).into_iter().flatten();
        for on in on.map(|dependency| &dependency.on) {
            if needed.insert(on.clone()) {
                queue.push(on.clone());
            }
        }
    }
    for (id, on) in all
        .iter_mut()
        .filter(|(id, _)| id.kind == Kind::Package && !needed.contains(*id))
    {
        on.extend(files.iter().filter(|file| *file != id).map(|file| Dependency {
            on: file.clone(),
            reason: DependencyReason::After,
        }));
    }
}

/// The packages whose programs check a file before it counts.
fn checkers(path: &str) -> impl Iterator<Item = &'static str> {
    const CHECKERS: [(&str, &str); 4] = [
        ("/etc/nftables", "nftables"),
        ("/etc/sudoers.d/", "sudo"),
        ("/etc/logrotate.d/", "logrotate"),
        ("/etc/timezone", "tzdata"),
    ];
    let of = CHECKERS.iter().filter(move |(start, _)| path.starts_with(start));
    of.map(|(_, package)| *package)
}

/// The resources by what others name them by.
struct Index<'a> {
    declarations: &'a Declarations,
    /// Files, directories and links.
    paths: BTreeMap<&'a str, &'a ResourceId>,
    /// Blocks by the file that they are in.
    blocks: BTreeMap<&'a str, Vec<&'a ResourceId>>,
    active_units: Vec<&'a ResourceId>,
    /// Answers by the package that asks.
    answers: BTreeMap<&'a str, Vec<&'a ResourceId>>,
}

impl<'a> Index<'a> {
    fn of(declarations: &'a Declarations) -> Self {
        let mut index = Self {
            declarations,
            paths: BTreeMap::new(),
            blocks: BTreeMap::new(),
            active_units: Vec::new(),
            answers: BTreeMap::new(),
        };
        for (id, declared) in &declarations.resources {
            match &declared.spec {
                Spec::File(_)
                | Spec::Directory(_)
                | Spec::Symlink(_)
                | Spec::Tree(_)
                | Spec::Git(_)
                | Spec::Swapfile(_) => {
                    index.paths.insert(&id.name, id);
                }
                Spec::Secret(secret) => _ = index.paths.insert(secret.path.as_str(), id),
                Spec::Block(block) => index.blocks.entry(block.path.as_str()).or_default().push(id),
                Spec::Debconf(answer) => {
                    let package = answer.package.split(':').next().unwrap_or_default();
                    index.answers.entry(package).or_default().push(id);
                }
                Spec::Unit(unit) if unit.active == Some(true) => index.active_units.push(id),
                Spec::Unit(_)
                | Spec::Group(_)
                | Spec::User(_)
                | Spec::Package(_)
                | Spec::Switch(_)
                | Spec::Sysctl(_)
                | Spec::Firewall(_)
                | Spec::Command(_)
                | Spec::Probe(_) => {}
            }
        }
        index
    }

    fn get(&self, kind: Kind, name: &str) -> Option<&'a ResourceId> {
        let id = ResourceId::new(kind, name);
        self.declarations.resources.get_key_value(&id).map(|(id, _)| id)
    }

    /// The drop-ins of a unit.
    fn drop_ins(&self, directory: &str, unit: &str) -> impl Iterator<Item = &'a ResourceId> {
        let directory = format!("{directory}/{unit}.d/");
        let from = self.paths.range::<str, _>((
            std::ops::Bound::Included(directory.as_str()),
            std::ops::Bound::Unbounded,
        ));
        let ids: Vec<_> = from
            .take_while(|(path, _)| path.starts_with(&directory))
            .map(|(_, id)| *id)
            .collect();
        // That of a firewall changes nothing of what the unit does by itself, and is no reason to do it again.
        ids.into_iter()
            .filter(|id| id.name.ends_with(".conf") && id.name != DROP_IN)
    }
}

/// The dependencies of one resource, in the making.
struct On<'a, 'i> {
    id: &'a ResourceId,
    index: &'i Index<'a>,
    set: BTreeSet<Dependency>,
}

impl On<'_, '_> {
    fn add(&mut self, on: Option<&ResourceId>, reason: DependencyReason) {
        if let Some(on) = on.filter(|on| *on != self.id) {
            self.set.insert(Dependency { on: on.clone(), reason });
        }
    }

    fn spec(&mut self, spec: &Spec) {
        match spec {
            Spec::Group(_) | Spec::Debconf(_) | Spec::Sysctl(_) => {}
            Spec::Package(package) => {
                // A package asks while it is installed, and the answers are there then.
                let name = package.name.split(':').next().unwrap_or_default();
                for answer in self.index.answers.get(name).into_iter().flatten().copied() {
                    self.add(Some(answer), DependencyReason::After);
                }
            }
            Spec::User(user) => self.user_spec(user),
            Spec::Tree(tree) => self.tree(tree),
            Spec::Git(git) => self.git(git),
            Spec::Switch(switch) => match switch.switch {
                Switch::Hold => self.add(self.index.get(Kind::Package, &switch.name), DependencyReason::After),
                Switch::Linger => self.user(&switch.name),
                Switch::KernelModule => self.add(self.index.get(Kind::Package, "kmod"), DependencyReason::After),
            },
            Spec::Directory(directory) => {
                self.directory_of(&directory.path);
                self.owners(&directory.owner, &directory.group);
            }
            Spec::File(file) => {
                self.directory_of(&file.path);
                self.owners(&file.owner, &file.group);
                for package in checkers(file.path.as_str()) {
                    self.add(self.index.get(Kind::Package, package), DependencyReason::After);
                }
                for word in file.validate.iter().flatten() {
                    self.add(self.index.paths.get(word.as_str()).copied(), DependencyReason::After);
                }
            }
            Spec::Block(block) => {
                self.directory_of(&block.path);
                self.owners(
                    block.owner.as_deref().unwrap_or("root"),
                    block.group.as_deref().unwrap_or("root"),
                );
                // A seed makes the file that the block goes into.
                self.add(self.index.get(Kind::File, block.path.as_str()), DependencyReason::After);
            }
            Spec::Symlink(link) => {
                self.directory_of(&link.path);
                self.target(&link.path, &link.target);
            }
            Spec::Swapfile(swapfile) => self.swapfile(swapfile),
            Spec::Firewall(_) => self.add(self.index.get(Kind::Package, "nftables"), DependencyReason::After),
            Spec::Secret(secret) => self.owners(&secret.owner, &secret.group),
            Spec::Command(command) => self.command(command),
            Spec::Unit(unit) => self.unit(unit),
            Spec::Probe(probe) => self.probe(probe),
        }
    }

    /// The nearest managed directory above. One directory waits for the next by itself.
    fn directory_of(&mut self, path: &AbsPath) {
        let above = path
            .ancestors()
            .find_map(|above| self.index.paths.get(above.as_str()).copied());
        self.add(
            above.filter(|id| id.kind == Kind::Directory),
            DependencyReason::InDirectory,
        );
    }

    fn owners(&mut self, owner: &str, group: &str) {
        self.user(owner);
        self.group(group);
    }

    fn user(&mut self, name: &str) {
        self.add(self.index.get(Kind::User, name), DependencyReason::OwnedBy);
    }

    /// A group that is managed, or that comes with a managed user of its name.
    fn group(&mut self, name: &str) {
        let group = self.index.get(Kind::Group, name);
        let group = group.or_else(|| self.index.get(Kind::User, name));
        self.add(group, DependencyReason::OwnedBy);
    }

    fn user_spec(&mut self, user: &UserSpec) {
        for group in user.group.iter().chain(&user.groups) {
            self.group(group);
        }
    }

    /// A path that is named by what uses it: a change of a file counts, a directory has to be there only.
    fn path(&mut self, path: &str) {
        for block in self.index.blocks.get(path).into_iter().flatten().copied() {
            self.add(Some(block), DependencyReason::Uses);
        }
        let Some(id) = self.index.paths.get(path).copied() else {
            // What lies in a tree changes with it.
            let above = AbsPath::new(path).ok();
            let mut above = above.iter().flat_map(AbsPath::ancestors);
            let tree = above.find_map(|above| self.index.paths.get(above.as_str()).copied());
            let tree = tree.filter(|id| matches!(id.kind, Kind::Archive | Kind::Npm | Kind::Git));
            return self.add(tree, DependencyReason::Uses);
        };
        let reason = match id.kind {
            Kind::Directory => DependencyReason::After,
            _ => DependencyReason::Uses,
        };
        self.add(Some(id), reason);
    }

    fn target(&mut self, link: &AbsPath, target: &str) {
        let parent = link.parent().map_or(String::new(), |parent| parent.to_string());
        let joined = if target.starts_with('/') {
            target.to_owned()
        } else {
            format!("{parent}/{target}")
        };
        let mut parts: Vec<&str> = Vec::new();
        for part in joined.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        self.path(&format!("/{}", parts.join("/")));
    }

    /// The swap file's directory, what is mounted above it, and the packages of the programs that make and use it.
    fn swapfile(&mut self, swapfile: &SwapfileSpec) {
        self.directory_of(&swapfile.path);
        for above in swapfile.path.ancestors() {
            let mount = format!("{}.mount", unit_stem(above.as_str()));
            self.add(self.index.get(Kind::Unit, &mount), DependencyReason::After);
        }
        for package in ["util-linux", "mount"] {
            self.add(self.index.get(Kind::Package, package), DependencyReason::After);
        }
    }

    /// The tree's directory, and the packages whose programs make it.
    fn tree(&mut self, tree: &TreeSpec) {
        self.directory_of(&tree.path);
        match &tree.source {
            Source::Archive { .. } => {
                for package in ["curl", "ca-certificates", "xz-utils"] {
                    self.add(self.index.get(Kind::Package, package), DependencyReason::After);
                }
            }
            Source::Npm { programs, .. } => {
                for package in ["npm", "nodejs", "ca-certificates"] {
                    self.add(self.index.get(Kind::Package, package), DependencyReason::After);
                }
                if let Some(programs) = programs {
                    self.path(programs.as_str());
                }
            }
        }
    }

    /// The checkout's directory and owner, the packages whose programs make it, and what `ssh` reads.
    fn git(&mut self, git: &GitSpec) {
        self.directory_of(&git.path);
        self.user(&git.owner);
        let packages: &[&str] = if git.is_over_ssh() {
            &["git", "openssh-client"]
        } else {
            &["git", "ca-certificates"]
        };
        for package in packages {
            self.add(self.index.get(Kind::Package, package), DependencyReason::After);
        }
        // It was cloned with the key, and is not cloned again for a new one.
        for file in git.key.iter().chain(&git.known_hosts) {
            self.add(self.index.paths.get(file.as_str()).copied(), DependencyReason::After);
        }
    }

    fn command(&mut self, command: &CommandSpec) {
        if let Some(user) = &command.user {
            self.user(user);
        }
        if let Some(cwd) = &command.cwd {
            self.path(cwd.as_str());
        }
        for word in &command.run {
            self.path(word);
        }
    }

    fn unit(&mut self, unit: &UnitSpec) {
        let name = unit.name.unit();
        // `getty@tty1.service` is made from `getty@.service`.
        let template = name.split_once('@').and_then(|(stem, instance)| {
            let (_, kind) = instance.rsplit_once('.')?;
            Some(format!("{stem}@.{kind}"))
        });
        let mut starts = None;
        let directories = self.unit_directories(&unit.name);
        for own in std::iter::once(name.to_owned()).chain(template) {
            let file = |directory: &String| self.index.paths.get(format!("{directory}/{own}").as_str()).copied();
            // The user's own text hides that for all users; a link there masks the unit, or is another's name for it: it is
            // made once the unit is down.
            let file = directories.iter().find_map(file).filter(|id| id.kind == Kind::File);
            let drop_ins = directories
                .iter()
                .flat_map(|directory| self.index.drop_ins(directory, &own));
            let texts: Vec<_> = file.into_iter().chain(drop_ins).collect();
            for id in texts {
                self.add(Some(id), DependencyReason::Uses);
                let text = self.text(id).unwrap_or_default();
                let named = named(&user_units::with_home(text, &unit.name, self.index.declarations));
                starts = named.starts.clone().or(starts);
                self.named(&named, &unit.name);
            }
        }
        if let Some(user) = unit.name.user() {
            for (on, reason) in user_units::waits_for(user) {
                self.add(self.index.get(on.kind, &on.name), reason);
            }
        }
        self.started(&unit.name, &directories, starts);
    }

    /// Where the files of a unit may lie.
    fn unit_directories(&self, unit: &UnitName) -> Vec<String> {
        let own = user_units::directory(unit, self.index.declarations);
        let shared = unit.user().map(|_| user_units::OF_ALL_USERS.to_owned());
        own.into_iter().chain(shared).collect()
    }

    fn text(&self, file: &ResourceId) -> Option<&str> {
        match &self.index.declarations.resources.get(file)?.spec {
            Spec::File(file) => self.index.declarations.text(&file.content),
            _ => None,
        }
    }

    fn named(&mut self, named: &Named, of: &UnitName) {
        for path in &named.paths {
            self.path(path);
        }
        for user in &named.users {
            self.user(user);
        }
        for group in &named.groups {
            self.group(group);
        }
        for unit in named.after.iter().filter_map(|unit| of.beside(unit).ok()) {
            self.add(self.index.get(Kind::Unit, unit.as_str()), DependencyReason::After);
        }
    }

    /// systemd refuses to start a timer, socket or path whose service it has never read.
    fn started(&mut self, unit: &UnitName, directories: &[String], starts: Option<String>) {
        let Some((stem, "timer" | "socket" | "path")) = unit.unit().rsplit_once('.') else {
            return;
        };
        let service = starts.unwrap_or_else(|| format!("{stem}.service"));
        for directory in directories {
            let file = format!("{directory}/{service}");
            self.add(self.index.paths.get(file.as_str()).copied(), DependencyReason::After);
        }
    }

    fn probe(&mut self, probe: &ProbeSpec) {
        match &probe.check {
            Check::Unit { unit } => self.add(self.index.get(Kind::Unit, unit.as_str()), DependencyReason::Checks),
            Check::NoNames { files, units, .. } => {
                for path in files {
                    self.path(path.as_str());
                }
                for unit in units {
                    self.add(self.index.get(Kind::Unit, unit.as_str()), DependencyReason::Checks);
                }
            }
            Check::Http { .. } | Check::Tcp { .. } => {
                for unit in self.index.active_units.clone() {
                    self.add(Some(unit), DependencyReason::Checks);
                }
            }
        }
    }

    fn said(&mut self, declared: &Declared, found: &mut Vec<Diagnostic>) {
        for said in &declared.said {
            let on = &said.on.value;
            let resources = &self.index.declarations.resources;
            if resources.contains_key(on) {
                let on = on.clone();
                self.set.insert(Dependency {
                    on,
                    reason: said.reason,
                });
                continue;
            }
            let message = format!("this host declares no `{on}`");
            let ids: Vec<_> = resources.keys().map(ToString::to_string).collect();
            let other = Kind::ALL.map(|kind| ResourceId::new(kind, on.name.as_str()));
            let other = other.into_iter().find(|id| resources.contains_key(id));
            let help = other.map(|id| format!("did you mean `{id}`?"));
            let help = help.or_else(|| did_you_mean(&on.to_string(), ids.iter().map(String::as_str)));
            let diagnostic = Diagnostic::error(Code::UnknownResource, message, said.on.span, "not declared");
            found.push(
                diagnostic
                    .also(declared.span, format!("for `{}`", self.id))
                    .help_if(help),
            );
        }
    }
}
