//! Why a host is as it is: for an option, a resource or one field of it, every definition there is, which of them counts,
//! and what it was made from. It resolves the one host anew, and changes nothing of what that comes to.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value as Json;

use crate::config::{Priority, Project, Sort, SourceMap, Sources, Span, fields, nearest};
use crate::model::{Dependency, HostName, Kind, Origin, ResourceId};

use super::trace::{self, By, Declaration, OptionPath, Trace, option_json};
use super::{Resolution, firewall, resolve_traced};

/// How many names are suggested for one that is not there.
const SUGGESTIONS: usize = 5;

/// Why a host is as it is at one place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Why {
    /// The host.
    pub host: HostName,
    /// What was asked for, and after it everything that it was made from, nearest first, each once. Never empty.
    pub steps: Vec<Step>,
}

/// One thing, and where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// What it is.
    pub subject: Subject,
    /// Its name, in the form that [`why`] takes: `inotify.max_user_watches`, `file:/etc/motd`, `file:/etc/motd.text`.
    pub path: String,
    /// What it came to; `None` where it has no value, or none could be found. A resource's is its specification.
    pub value: Option<Json>,
    /// Every definition: those that count first, then the others from strong to weak.
    pub definitions: Vec<Definition>,
    /// For a resource: what has to come before it.
    pub depends: Vec<Dependency>,
    /// For a resource: what waits for it; `on` is the one that waits.
    pub dependents: Vec<Dependency>,
}

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A module that the host uses.
    Module {
        /// Its name.
        module: String,
    },
    /// An option of one.
    Option {
        /// The module.
        module: String,
        /// Which instance of it, where it has instances.
        instance: Option<String>,
        /// The option.
        option: String,
    },
    /// A resource.
    Resource {
        /// Which one.
        resource: ResourceId,
    },
    /// What a declaration of a resource says under one key.
    Field {
        /// The resource.
        resource: ResourceId,
        /// The key.
        field: String,
    },
}

/// One place that has a say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Definition {
    /// Where it is written.
    pub origin: Origin,
    /// Whose file that is.
    pub file: Owner,
    /// How strong it is.
    pub priority: Priority,
    /// As it is written.
    pub written: String,
    /// What that evaluates to; `None` where it could not be evaluated.
    pub value: Option<Json>,
    /// Whether it counts. Several do where lists are joined, maps are merged, or equal definitions agree; none where they clash.
    pub wins: bool,
    /// The imports that lead from the host file to the file that it is in; empty for the host's own.
    pub imports: Vec<Import>,
    /// The options that the expression uses, each in the form that [`why`] takes.
    pub uses: Vec<String>,
}

/// Whose file a definition is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// The host's own file.
    Host,
    /// That of the group of a tag.
    Group {
        /// The tag.
        tag: String,
    },
    /// A module's.
    Module {
        /// The module.
        module: String,
        /// On behalf of which of its instances.
        instance: Option<String>,
    },
}

/// One import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Import {
    /// The module that it brings in.
    pub module: String,
    /// Where it is written.
    pub origin: Origin,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyError {
    /// No host has that name.
    #[error("there is no host `{host}`")]
    UnknownHost {
        /// The name.
        host: HostName,
        /// The host that was meant, maybe.
        meant: Option<String>,
    },
    /// The host's file, or one that it needs, is in no state to be asked.
    #[error("`{host}` cannot be read")]
    Unreadable {
        /// The host.
        host: HostName,
    },
    /// The host has nothing of that name.
    #[error("`{host}` has no option and no resource `{path}`")]
    Unknown {
        /// The host.
        host: HostName,
        /// The name.
        path: String,
        /// Names that were meant, maybe, the likeliest first; each can be asked for.
        meant: Vec<String>,
    },
    /// The name fits several things.
    #[error("`{path}` may be {}", meanings.join(" or "))]
    Ambiguous {
        /// The name.
        path: String,
        /// What it fits; each can be asked for.
        meanings: Vec<String>,
    },
}

/// The answer, and what was found on the way: an error in the configuration does not keep anyone from asking why.
#[derive(Debug)]
pub struct Answer {
    /// The answer.
    pub why: Result<Why, WhyError>,
    /// The resolution of the one host.
    pub resolution: Resolution,
}

/// Finds out why a host is as it is. `path` names an option (`inotify.max_user_watches`, `set.inotify.max_user_watches`),
/// a resource (`file:/etc/motd`, `files."/etc/motd"`, `/etc/motd`), a resource's key (`files."/etc/motd".text`) or a
/// module (`inotify`). Quotes may be left out.
#[must_use]
pub fn why(project: Project, sources: &Sources<'_>, host: &HostName, path: &str) -> Answer {
    if !project.hosts.contains_key(host) {
        let names: Vec<_> = project.hosts.keys().map(HostName::as_str).collect();
        let meant = nearest(host.as_str(), names).map(str::to_owned);
        let (resolution, _) = resolve_traced(project, sources, |_| false);
        let host = host.clone();
        return Answer {
            why: Err(WhyError::UnknownHost { host, meant }),
            resolution,
        };
    }
    let (resolution, trace) = resolve_traced(project, sources, |name| name == host);
    let asked = Asked {
        host,
        trace: &trace,
        sources: &resolution.sources,
    };
    let why = if trace.read {
        asked.answer(path)
    } else {
        Err(WhyError::Unreadable { host: host.clone() })
    };
    Answer { why, resolution }
}

/// A question's circumstances.
struct Asked<'a> {
    host: &'a HostName,
    trace: &'a Trace,
    sources: &'a SourceMap,
}

impl Asked<'_> {
    fn answer(&self, path: &str) -> Result<Why, WhyError> {
        let mut open = vec![self.find(path)?];
        let mut seen = BTreeSet::new();
        let mut steps = Vec::new();
        let mut next = 0;
        while let Some(subject) = open.get(next).cloned() {
            next += 1;
            if !seen.insert(subject.clone()) {
                continue;
            }
            let step = self.step(&subject);
            open.extend(self.parts(&subject));
            let used = step.definitions.iter().flat_map(|definition| &definition.uses);
            open.extend(used.filter_map(|path| self.find(path).ok()));
            steps.push(step);
        }
        Ok(Why {
            host: self.host.clone(),
            steps,
        })
    }

    /// Everything that can be asked for, with the names that it goes by: the first is its own.
    fn subjects(&self) -> BTreeMap<Subject, Vec<String>> {
        let mut all = BTreeMap::new();
        for module in self.trace.ways.keys() {
            let names = vec![module.clone(), format!("module:{module}"), format!("modules.{module}")];
            all.insert(Subject::Module { module: module.clone() }, names);
        }
        for option in self.trace.options.keys() {
            let path = option.path();
            let tables = ["set", "default", "force", "options"].map(|table| format!("{table}.{path}"));
            let names = std::iter::once(path).chain(tables).collect();
            all.insert(subject(option), names);
        }
        for (number, resource) in &self.trace.made {
            let names = resource_names(resource);
            for field in self.fields_of(*number, resource) {
                let field_names = names.iter().map(|name| format!("{name}.{field}")).collect();
                let field = field.to_owned();
                let resource = resource.clone();
                all.insert(Subject::Field { resource, field }, field_names);
            }
            let resource = resource.clone();
            all.insert(Subject::Resource { resource }, names);
        }
        all
    }

    /// The keys that a declaration writes and that are this resource's: a unit's `text` is its file's, its `active` is not.
    fn fields_of(&self, number: usize, resource: &ResourceId) -> impl Iterator<Item = &'static str> {
        let known = fields(Sort::Kind(resource.kind));
        let declaration = self.trace.declarations.get(number);
        let written = declaration.into_iter().flat_map(|declaration| &declaration.fields);
        written
            .map(|field| field.name)
            .filter(|name| known.iter().any(|field| field.name == *name))
    }

    fn find(&self, path: &str) -> Result<Subject, WhyError> {
        let plain = |text: &str| text.replace(['"', '\''], "");
        let asked = plain(path.trim());
        let subjects = self.subjects();
        // A name of its own goes before one that something else has as well.
        let fits = |subject: &Subject, names: &[String]| match names {
            [own, ..] if plain(own) == asked => Some(0),
            names if names.iter().any(|name| plain(name) == asked) => Some(match subject {
                Subject::Option { .. } => 1,
                Subject::Resource { .. } => 2,
                Subject::Field { .. } => 3,
                Subject::Module { .. } => 4,
            }),
            _ => None,
        };
        let fitting: Vec<_> = subjects
            .iter()
            .filter_map(|(subject, names)| Some((fits(subject, names)?, subject, names)))
            .collect();
        let best = fitting.iter().map(|(rank, ..)| *rank).min();
        let mut best: Vec<_> = fitting.into_iter().filter(|(rank, ..)| Some(*rank) == best).collect();
        match (best.pop(), best.is_empty()) {
            (Some((_, subject, _)), true) => Ok(subject.clone()),
            (Some(last), false) => {
                let meanings = best.iter().chain([&last]).filter_map(|(.., names)| names.first());
                Err(WhyError::Ambiguous {
                    path: path.to_owned(),
                    meanings: meanings.cloned().collect(),
                })
            }
            (None, _) => Err(WhyError::Unknown {
                host: self.host.clone(),
                path: path.to_owned(),
                meant: suggestions(&asked, &subjects),
            }),
        }
    }

    /// What belongs to a subject, and is told with it.
    fn parts(&self, subject: &Subject) -> Vec<Subject> {
        let Subject::Resource { resource } = subject else {
            return Vec::new();
        };
        let made = self.trace.made.iter().filter(|(_, id)| id == resource);
        let fields = made.flat_map(|(number, _)| self.fields_of(*number, resource));
        let fields: BTreeSet<_> = fields.collect();
        let parts = fields.into_iter().map(|field| Subject::Field {
            resource: resource.clone(),
            field: field.to_owned(),
        });
        parts.collect()
    }

    fn step(&self, subject: &Subject) -> Step {
        let (path, value, definitions) = match subject {
            Subject::Module { module } => (module.clone(), None, self.module(module)),
            Subject::Option {
                module,
                instance,
                option,
            } => self.option(&OptionPath {
                module: module.clone(),
                instance: instance.clone(),
                name: option.clone(),
            }),
            Subject::Resource { resource } => {
                let spec = self.trace.specs.get(resource);
                let value = spec.and_then(|spec| serde_json::to_value(spec).ok());
                // A specification is a map of its kind's name to its fields.
                let value = value.and_then(|value| value.as_object()?.values().next().cloned());
                (resource.to_string(), value, self.resource(resource))
            }
            Subject::Field { resource, field } => {
                let definitions = self.field(resource, field);
                let winner = definitions.iter().find(|definition| definition.wins);
                let value = winner.and_then(|winner| winner.value.clone());
                (format!("{resource}.{field}"), value, definitions)
            }
        };
        let mut step = Step {
            subject: subject.clone(),
            path,
            value,
            definitions,
            depends: Vec::new(),
            dependents: Vec::new(),
        };
        if let Subject::Resource { resource } = subject {
            let all = &self.trace.dependencies;
            step.depends = all.get(resource).into_iter().flatten().cloned().collect();
            let waiting = all.iter().flat_map(|(id, on)| on.iter().map(move |on| (id, on)));
            let waiting = waiting.filter(|(_, on)| on.on == *resource);
            step.dependents = waiting
                .map(|(id, on)| Dependency {
                    on: id.clone(),
                    reason: on.reason,
                })
                .collect();
        }
        step
    }

    fn module(&self, module: &str) -> Vec<Definition> {
        let way = self.trace.ways.get(module).map(|(by, span)| {
            let mut definition = self.definition(by, Priority::Set, *span);
            definition.wins = true;
            definition
        });
        way.into_iter().collect()
    }

    fn option(&self, path: &OptionPath) -> (String, Option<Json>, Vec<Definition>) {
        let Some(option) = self.trace.options.get(path) else {
            return (path.path(), None, Vec::new());
        };
        let mut definitions: Vec<_> = option
            .definitions
            .iter()
            .map(|defined| Definition {
                value: defined.value.as_ref().map(option_json),
                wins: defined.wins && option.value.is_some(),
                uses: self.uses(&defined.by, &defined.needs),
                ..self.definition(&defined.by, defined.priority, defined.span)
            })
            .collect();
        definitions.sort_by_key(|definition| (!definition.wins, std::cmp::Reverse(definition.priority)));
        (path.path(), option.value.as_ref().map(option_json), definitions)
    }

    fn resource(&self, id: &ResourceId) -> Vec<Definition> {
        let declarations = self.declarations(id);
        let definitions = declarations.map(|declaration| Definition {
            wins: self.counts(id, declaration, None),
            uses: self.uses(&declaration.by, &declaration.needs),
            ..self.definition(&declaration.by, Priority::Set, declaration.name)
        });
        definitions.collect()
    }

    fn field(&self, id: &ResourceId, field: &str) -> Vec<Definition> {
        let declarations = self.declarations(id);
        let written = declarations.flat_map(|declaration| {
            let fields = declaration.fields.iter().filter(|written| written.name == field);
            fields.map(move |written| (declaration, written))
        });
        let definitions = written.map(|(declaration, written)| Definition {
            value: written.value.clone(),
            wins: self.counts(id, declaration, Some(field)),
            uses: self.uses(&declaration.by, &written.needs),
            ..self.definition(&declaration.by, Priority::Set, written.span)
        });
        definitions.collect()
    }

    fn declarations<'s>(&'s self, id: &'s ResourceId) -> impl Iterator<Item = &'s Declaration> {
        let made = self.trace.made.iter().filter(move |(_, made)| made == id);
        made.filter_map(|(number, _)| self.trace.declarations.get(*number))
    }

    /// The options that names in a file's templates stand for.
    fn uses(&self, by: &By, needs: &BTreeSet<String>) -> Vec<String> {
        let By::Module { name: module, instance } = by else {
            return Vec::new();
        };
        let paths = needs.iter().map(|name| OptionPath {
            module: module.clone(),
            instance: instance.clone(),
            name: name.clone(),
        });
        let known = paths.filter(|path| self.trace.options.contains_key(path));
        known.map(|path| path.path()).collect()
    }

    /// Whether a declaration, or one field of it, counts: the host's own hides its groups'. Of what is put together from several,
    /// it hides what goes by the same name only, and of the firewall itself the same field only.
    fn counts(&self, id: &ResourceId, declaration: &Declaration, field: Option<&str>) -> bool {
        let name = |declaration: &Declaration| self.sources.slice(declaration.name).to_owned();
        let hides = |other: &Declaration| {
            if !firewall::makes(id) {
                return true;
            }
            let has = |field: &str| other.fields.iter().any(|written| written.name == field);
            let same = declaration.fields.iter().any(|written| has(written.name));
            name(other) == name(declaration) && field.map_or(same, has)
        };
        let is_group = matches!(declaration.by, By::Group(_));
        let hidden = is_group && self.declarations(id).any(|other| other.by == By::Host && hides(other));
        self.trace.specs.contains_key(id) && !hidden
    }

    fn definition(&self, by: &By, priority: Priority, span: Span) -> Definition {
        Definition {
            origin: self.sources.origin(span),
            file: owner(by),
            priority,
            written: self.sources.slice(span).to_owned(),
            value: None,
            wins: false,
            imports: self.imports(by),
            uses: Vec::new(),
        }
    }

    fn imports(&self, by: &By) -> Vec<Import> {
        let mut imports = Vec::new();
        let mut by = by;
        while let By::Module { name, .. } = by
            && let Some((importer, span)) = self.trace.ways.get(name)
        {
            imports.push(Import {
                module: name.clone(),
                origin: self.sources.origin(*span),
            });
            by = importer;
        }
        imports.reverse();
        imports
    }
}

fn owner(by: &By) -> Owner {
    match by {
        By::Host => Owner::Host,
        By::Group(tag) => Owner::Group { tag: tag.clone() },
        By::Module { name, instance } => Owner::Module {
            module: name.clone(),
            instance: instance.clone(),
        },
    }
}

fn subject(option: &trace::OptionPath) -> Subject {
    Subject::Option {
        module: option.module.clone(),
        instance: option.instance.clone(),
        option: option.name.clone(),
    }
}

/// The names that a resource goes by: as other resources name it, as files declare it, and alone.
fn resource_names(id: &ResourceId) -> Vec<String> {
    let (kind, table, name) = (id.kind.name(), id.kind.table(), &id.name);
    let mut names = vec![
        format!("{kind}:{name}"),
        format!("{table}.\"{name}\""),
        format!("{kind}.{name}"),
        format!("{table}:{name}"),
        name.clone(),
    ];
    if id.kind == Kind::Unit
        && let Some(stem) = name.strip_suffix(".service")
    {
        names.push(stem.to_owned());
    }
    names
}

/// The names nearest to one that is not there, and those that have it in them.
fn suggestions(asked: &str, subjects: &BTreeMap<Subject, Vec<String>>) -> Vec<String> {
    let folded = asked.to_lowercase();
    let mut ranked: Vec<(usize, &str)> = Vec::new();
    for names in subjects.values() {
        let Some(own) = names.first() else { continue };
        let near = nearest(asked, names.iter().map(String::as_str));
        let rank = match near {
            Some(name) => strsim::osa_distance(asked, name),
            // A part of a name, or the right name with something wrong before or after it.
            None if folded.len() > 2 && own.to_lowercase().contains(&folded) => 100,
            None if own.len() > 2 && folded.contains(&own.to_lowercase()) => 200,
            None => continue,
        };
        ranked.push((rank, own));
    }
    ranked.sort_unstable();
    ranked
        .into_iter()
        .take(SUGGESTIONS)
        .map(|(_, name)| name.to_owned())
        .collect()
}
