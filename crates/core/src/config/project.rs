//! All host files, groups and modules of a project, read. It looks at no local file and resolves nothing.

use std::collections::BTreeMap;

use crate::model::HostName;

use super::code::Code;
use super::diagnostic::Diagnostic;
use super::group::HostGroup;
use super::host::Host;
use super::module::Module;
use super::source::{SourceMap, Span};
use super::tree;
use super::word::check_tag;

/// A project's host files, groups and modules.
#[derive(Debug, Default)]
pub struct Project {
    /// The hosts.
    pub hosts: BTreeMap<HostName, Host>,
    /// The groups by tag.
    pub groups: BTreeMap<String, HostGroup>,
    /// The modules by name.
    pub modules: BTreeMap<String, Module>,
    /// What is wrong with the files themselves, whatever the host.
    pub diagnostics: Vec<Diagnostic>,
    /// The files' text.
    pub sources: SourceMap,
    /// Where secrets are that name no store; whoever reads `secrets/stores.toml` says it.
    pub stores: ProjectStores,
}

/// What decides where in AWS a secret is that does not say so itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectStores {
    /// Where secrets that name no store are in AWS: what comes before their names there. `None`: they are elsewhere.
    pub aws_prefix: Option<String>,
    /// The region of those that name none.
    pub region: Option<String>,
}

/// Reads every host file, group and module. Findings of one file never hide those of another.
#[must_use]
pub fn load(config: &BTreeMap<String, Vec<u8>>) -> Project {
    let mut project = Project::default();
    for (path, bytes) in config {
        if let Some(name) = name_of(path, "hosts/") {
            read_host(&mut project, path, name, bytes);
        } else if let Some(tag) = name_of(path, "groups/") {
            read_group(&mut project, path, tag, bytes);
        } else if let Some(name) = name_of(path, "modules/") {
            read_module(&mut project, path, name, bytes);
        }
    }
    project
}

fn name_of<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    path.strip_prefix(directory)?.strip_suffix(".toml")
}

fn read_host(project: &mut Project, path: &str, name: &str, bytes: &[u8]) {
    let Project {
        diagnostics, sources, ..
    } = project;
    let before = diagnostics.len();
    let document = tree::parse(path, bytes, sources, diagnostics);
    let unreadable = diagnostics.len() > before;
    match HostName::new(name) {
        Ok(name) => {
            // What is left of a file that is not TOML would only give findings that follow from that.
            let mut scratch = Vec::new();
            let found = if unreadable { &mut scratch } else { &mut *diagnostics };
            let mut host = Host::read(name.clone(), path.to_owned(), &document, found);
            host.unreadable = unreadable;
            host.broken |= unreadable;
            project.hosts.insert(name, host);
        }
        Err(rule) => {
            let message = format!("`{path}` cannot be a host: {rule}");
            diagnostics.push(misnamed(sources, path, message));
        }
    }
}

fn read_group(project: &mut Project, path: &str, tag: &str, bytes: &[u8]) {
    let Project {
        diagnostics, sources, ..
    } = project;
    let before = diagnostics.len();
    let source = sources.next();
    let document = tree::parse(path, bytes, sources, diagnostics);
    let unreadable = diagnostics.len() > before;
    if let Err(problem) = check_tag(tag) {
        let message = format!("`{path}` cannot be a group: {}", problem.message);
        diagnostics.push(misnamed(sources, path, message));
        return;
    }
    let mut scratch = Vec::new();
    let found = if unreadable { &mut scratch } else { &mut *diagnostics };
    let mut group = HostGroup::read(tag.to_owned(), path.to_owned(), source, &document, found);
    group.unreadable = unreadable;
    group.broken |= unreadable;
    if unreadable {
        group.resources.clear();
        group.ports.clear();
    }
    project.groups.insert(tag.to_owned(), group);
}

fn read_module(project: &mut Project, path: &str, name: &str, bytes: &[u8]) {
    let Project {
        diagnostics, sources, ..
    } = project;
    let before = diagnostics.len();
    let document = tree::parse(path, bytes, sources, diagnostics);
    let unreadable = diagnostics.len() > before;
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    if name
        .split('/')
        .any(|part| part.is_empty() || !part.bytes().all(allowed))
    {
        let message = format!("`{path}` cannot be a module: its name is a-z, 0-9, \"-\" and \"_\"");
        diagnostics.push(misnamed(sources, path, message));
        return;
    }
    let mut scratch = Vec::new();
    let found = if unreadable { &mut scratch } else { &mut *diagnostics };
    let mut module = Module::read(name.to_owned(), path.to_owned(), &document, found);
    module.unreadable = unreadable;
    module.broken |= unreadable;
    if unreadable {
        // Which options it declares is all that is worth knowing of it.
        module
            .unread_options
            .extend(std::mem::take(&mut module.options).into_keys());
        module.resources.clear();
        module.asserts.clear();
        module.ports.clear();
    }
    project.modules.insert(name.to_owned(), module);
}

/// A file's name has no place in its text; the finding points at its beginning.
fn misnamed(sources: &mut SourceMap, path: &str, message: String) -> Diagnostic {
    let source = sources.add(path, "");
    let (directory, name) = path.split_once('/').unwrap_or(("", path));
    let allowed = |c: char| match c {
        c if c.is_ascii_alphanumeric() || c == '-' => c.to_ascii_lowercase(),
        '_' | '/' if directory == "modules" => c,
        _ => '-',
    };
    let name: String = name.trim_end_matches(".toml").chars().map(allowed).collect();
    let name = name.trim_matches('-');
    let diagnostic = Diagnostic::error(Code::FileName, message, Span::new(source, 0..0), "");
    diagnostic.help(format!("rename the file, such as to `{directory}/{name}.toml`"))
}
