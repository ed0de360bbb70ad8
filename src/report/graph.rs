//! A host's resources and what waits for what, as a graph: in dot, in Mermaid, as an SVG, as JSON. It decides no order;
//! the numbers are the order in which a first apply would take the resources.

mod layers;
mod svg;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use provision_core::model::{DependencyReason, Desired, Kind, ResourceId};
use serde_json::json;

pub use self::svg::svg;

use super::json::{FORMAT_VERSION, document};
use super::words;

/// A graph.
#[derive(Debug)]
pub struct Graph {
    host: String,
    /// In the order of a first apply.
    nodes: Vec<ResourceId>,
    /// Which comes before which, by their places in `nodes`, and why; the first is always the smaller one.
    edges: Vec<Edge>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    before: usize,
    after: usize,
    reason: DependencyReason,
}

/// The graph of a host.
#[must_use]
pub fn graph(desired: &Desired) -> Graph {
    let nodes = ordered(desired);
    let place: BTreeMap<_, _> = nodes.iter().enumerate().map(|(place, id)| (id, place)).collect();
    let mut edges: Vec<_> = desired
        .resources
        .iter()
        .flat_map(|(id, resource)| resource.depends.iter().map(move |dependency| (id, dependency)))
        .filter_map(|(id, dependency)| {
            Some(Edge {
                before: *place.get(&dependency.on)?,
                after: *place.get(id)?,
                reason: dependency.reason,
            })
        })
        // Resolving refuses circles; should one come all the same, what would close it is left out.
        .filter(|edge| edge.before < edge.after)
        .collect();
    edges.sort_unstable();
    // Several reasons for one edge are one line: the first, which is the one that everybody sees, stands for them.
    edges.dedup_by_key(|edge| (edge.before, edge.after));
    Graph {
        host: desired.host.to_string(),
        nodes,
        edges,
    }
}

/// Each resource after all that it waits for; where nothing says otherwise, by kind and name, as plans have it.
fn ordered(desired: &Desired) -> Vec<ResourceId> {
    let mut waits: BTreeMap<&ResourceId, usize> = BTreeMap::new();
    let mut waiting: BTreeMap<&ResourceId, Vec<&ResourceId>> = BTreeMap::new();
    for (id, resource) in &desired.resources {
        let on: BTreeSet<_> = resource.depends.iter().map(|dependency| &dependency.on).collect();
        let on: Vec<_> = on
            .into_iter()
            .filter(|on| desired.resources.contains_key(*on))
            .collect();
        waits.insert(id, on.len());
        for other in on {
            waiting.entry(other).or_default().push(id);
        }
    }
    let mut ready: BTreeSet<_> = waits
        .iter()
        .filter(|(_, count)| **count == 0)
        .map(|(id, _)| *id)
        .collect();
    let mut nodes = Vec::with_capacity(waits.len());
    while let Some(id) = ready.pop_first() {
        nodes.push(id.clone());
        waits.remove(id);
        for other in waiting.remove(id).unwrap_or_default() {
            if let Some(count) = waits.get_mut(other) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(other);
                }
            }
        }
    }
    // What a circle leaves over is not lost.
    nodes.extend(waits.into_keys().cloned());
    nodes
}

/// Why one waits for another, in few words.
const fn because(reason: DependencyReason) -> &'static str {
    match reason {
        DependencyReason::InDirectory => "lies in it",
        DependencyReason::OwnedBy => "belongs to it",
        DependencyReason::Uses => "uses it",
        DependencyReason::RestartOn => "restarts on it",
        DependencyReason::After => "after it",
        DependencyReason::Checks => "checks it",
    }
}

/// The graph in Graphviz's language.
#[must_use]
pub fn dot(graph: &Graph) -> String {
    let mut text = format!(
        "digraph {} {{\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"monospace\"];\n",
        quoted(&graph.host)
    );
    for (place, id) in graph.nodes.iter().enumerate() {
        let label = quoted(&format!("{}. {id}", place + 1));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  n{place} [label={label}];");
    }
    for edge in &graph.edges {
        let style = if edge.reason.triggers() { "" } else { ", style=dashed" };
        let _ = writeln!(
            text,
            "  n{} -> n{} [tooltip={}{style}];",
            edge.before,
            edge.after,
            quoted(because(edge.reason))
        );
    }
    text + "}\n"
}

/// A text as Graphviz reads it: backslashes would begin its own escapes, and line ends are none.
fn quoted(text: &str) -> String {
    let text = words::safe(text).replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{text}\"")
}

/// The graph in Mermaid's language.
#[must_use]
pub fn mermaid(graph: &Graph) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for (place, id) in graph.nodes.iter().enumerate() {
        let label = mermaid_text(&format!("{}. {id}", place + 1));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  n{place}[\"{label}\"]");
    }
    for edge in &graph.edges {
        let arrow = if edge.reason.triggers() { "-->" } else { "-.->" };
        let _ = writeln!(text, "  n{} {arrow} n{}", edge.before, edge.after);
    }
    text
}

/// A text as Mermaid reads it: everything that could be markup, in Mermaid or in the HTML it makes, by its number.
fn mermaid_text(text: &str) -> String {
    let mut out = String::new();
    for c in words::safe(text).chars() {
        if c.is_alphanumeric() || matches!(c, ' ' | '/' | '.' | ':' | '-' | '_' | '@' | '+' | '=' | ',') {
            out.push(c);
        } else {
            let _ = write!(out, "#{};", u32::from(c));
        }
    }
    out
}

/// The graph for programs.
#[must_use]
pub fn graph_json(graph: &Graph) -> String {
    let id = |place: usize| graph.nodes.get(place).map(ToString::to_string);
    let edges: Vec<_> = graph
        .edges
        .iter()
        .map(|edge| json!({ "before": id(edge.before), "after": id(edge.after), "reason": edge.reason }))
        .collect();
    document(&json!({
        "format_version": FORMAT_VERSION,
        "command": "graph",
        "version": env!("CARGO_PKG_VERSION"),
        "host": graph.host,
        "resources": graph.nodes,
        "edges": edges,
    }))
}

/// The kind's name, for classes in the SVG's style.
const fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Group | Kind::User => "who",
        Kind::Debconf | Kind::Package => "package",
        Kind::Directory | Kind::File | Kind::Block | Kind::Symlink => "path",
        Kind::Archive | Kind::Npm | Kind::Git => "path",
        Kind::Hold => "package",
        Kind::Linger => "who",
        Kind::Sysctl | Kind::Swapfile | Kind::KernelModule | Kind::Firewall => "kernel",
        Kind::Secret => "secret",
        Kind::Command => "command",
        Kind::Unit => "unit",
        Kind::Probe => "probe",
    }
}

#[cfg(test)]
mod tests;
