//! The graph as a drawing of its own: no program, font or style from elsewhere is needed to look at it.

use std::fmt::Write as _;

use super::layers::{Layers, Slot, layers};
use super::{Graph, because, class};
use crate::report::escape::html as escaped;

/// Lengths in pixels: of a letter of the font, of a node, between rows and columns, around all of it.
const LETTER: f64 = 7.25;
const NODE: f64 = 26.0;
const ROW: f64 = 38.0;
const GAP: f64 = 70.0;
const MARGIN: f64 = 24.0;
const TITLE: f64 = 40.0;

/// The longest label in letters; a longer one keeps its beginning and its end.
const LABEL: usize = 46;

const STYLE: &str = "\
svg { background: #ffffff; }
text { font: 12px ui-monospace, SFMono-Regular, Menlo, monospace; fill: #1c2024; }
.title { font: 600 16px system-ui, sans-serif; }
.legend { font: 12px system-ui, sans-serif; fill: #5d6670; }
rect { rx: 6px; fill: #f5f6f8; stroke: #8b95a1; }
.who { fill: #e8e4fb; stroke: #7a68c9; } .package { fill: #fbeedd; stroke: #c08433; } .path { fill: #e2effc; stroke: #4a86c2; }
.kernel { fill: #eeeeee; stroke: #777777; } .command { fill: #fbe3e3; stroke: #c06060; } .unit { fill: #e1f5e6; stroke: #4c9a63; }
.probe { fill: #fdf6cf; stroke: #a8942a; }
path { fill: none; stroke: #5d6670; stroke-width: 1.2; }
.weak { stroke-dasharray: 4 3; opacity: .75; }
marker path { fill: #5d6670; stroke: none; }
@media (prefers-color-scheme: dark) {
svg { background: #15181c; } text { fill: #e4e7eb; } .legend { fill: #9aa4af; } rect { fill: #1e2227; stroke: #6b7580; }
.who { fill: #2a2547; } .package { fill: #3a2b16; } .path { fill: #18304a; } .kernel { fill: #2b2b2b; } .command { fill: #432020; }
.unit { fill: #173422; } .probe { fill: #38320f; } path { stroke: #9aa4af; } marker path { fill: #9aa4af; }
}
";

/// The graph as an SVG.
#[must_use]
pub fn svg(graph: &Graph) -> String {
    let layers = layers(graph);
    let drawing = Drawing::of(graph, &layers);
    let (width, height) = (drawing.width, drawing.height);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">\n\
         <title>Resources of {host}, in their order</title>\n<style>{STYLE}</style>\n\
         <defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/></marker></defs>\n\
         <text class=\"title\" x=\"{MARGIN}\" y=\"{MARGIN}\">{host}</text>\n\
         <text class=\"legend\" x=\"{MARGIN}\" y=\"{legend}\">left comes before right; a change on the left of a full line restarts or reloads what is on its right</text>\n",
        host = escaped(&graph.host),
        legend = MARGIN + 18.0,
    );
    // Writing to a string cannot fail.
    for (edge, way) in graph.edges.iter().zip(&layers.ways) {
        let class = if edge.reason.triggers() { "" } else { " class=\"weak\"" };
        let _ = writeln!(
            text,
            "<path{class} d=\"{}\" marker-end=\"url(#arrow)\"><title>{} → {}: {}</title></path>",
            drawing.way(&layers, way),
            escaped(&graph.nodes[edge.before].to_string()),
            escaped(&graph.nodes[edge.after].to_string()),
            because(edge.reason)
        );
    }
    for slot in &layers.slots {
        if let Some(node) = slot.node {
            text += &drawing.node(
                graph,
                node,
                drawing.left(slot.column),
                drawing.y(slot),
                drawing.widths[slot.column],
            );
        }
    }
    for (place, node) in layers.alone.iter().enumerate() {
        let (x, y) = drawing.alone(place);
        text += &drawing.node(graph, *node, x, y, drawing.alone_width);
    }
    text + "</svg>\n"
}

/// How large everything is.
struct Drawing {
    width: f64,
    height: f64,
    /// Of each column.
    widths: Vec<f64>,
    /// Of the nodes without edges, which stand in rows below the columns.
    alone_width: f64,
    alone_top: f64,
    alone_columns: usize,
}

#[expect(clippy::cast_precision_loss, reason = "nobody draws 2^52 nodes")]
impl Drawing {
    fn of(graph: &Graph, layers: &Layers) -> Self {
        let width_of = |node: usize| label(graph, node).chars().count() as f64 * LETTER + 20.0;
        let mut widths = vec![0.0_f64; layers.columns];
        for slot in &layers.slots {
            if let Some(node) = slot.node {
                widths[slot.column] = widths[slot.column].max(width_of(node));
            }
        }
        let inner = widths.iter().sum::<f64>() + GAP * layers.columns.saturating_sub(1) as f64;
        let inner = inner.max(720.0);
        let rows = layers.slots.iter().map(|slot| slot.y + 1.0).fold(0.0, f64::max);
        let alone_width = layers.alone.iter().map(|node| width_of(*node)).fold(1.0, f64::max);
        let mut alone_columns = 1;
        while (alone_columns + 1) as f64 * (alone_width + 16.0) <= inner + 16.0 {
            alone_columns += 1;
        }
        let alone_top = MARGIN + TITLE + rows * ROW;
        let alone_rows = layers.alone.len().div_ceil(alone_columns) as f64;
        Self {
            width: inner.max(alone_width) + 2.0 * MARGIN,
            height: alone_top + alone_rows * ROW + MARGIN,
            widths,
            alone_width,
            alone_top,
            alone_columns,
        }
    }

    fn left(&self, column: usize) -> f64 {
        MARGIN + self.widths[..column].iter().map(|width| width + GAP).sum::<f64>()
    }

    /// The middle of a slot.
    fn y(&self, slot: &Slot) -> f64 {
        MARGIN + TITLE + slot.y * ROW + NODE / 2.0
    }

    fn alone(&self, place: usize) -> (f64, f64) {
        let (row, column) = (place / self.alone_columns, place % self.alone_columns);
        (
            MARGIN + column as f64 * (self.alone_width + 16.0),
            self.alone_top + row as f64 * ROW + NODE / 2.0,
        )
    }

    fn node(&self, graph: &Graph, node: usize, x: f64, y: f64, width: f64) -> String {
        let id = &graph.nodes[node];
        format!(
            "<g><title>{}. {}</title><rect class=\"{}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{NODE}\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text></g>\n",
            node + 1,
            escaped(&id.to_string()),
            class(id.kind),
            y - NODE / 2.0,
            x + 10.0,
            y + 4.0,
            escaped(&label(graph, node))
        )
    }

    /// A line that leaves a node on its right, passes its bends level, and ends on the left of a node.
    fn way(&self, layers: &Layers, way: &[usize]) -> String {
        let mut path = String::new();
        for pair in way.windows(2) {
            let &[from, to] = pair else { continue };
            let (from, to) = (&layers.slots[from], &layers.slots[to]);
            let (x1, y1) = (self.left(from.column) + self.widths[from.column], self.y(from));
            let (x2, y2) = (self.left(to.column), self.y(to));
            let (x1, start) = match from.node {
                Some(_) if path.is_empty() => (x1, format!("M{x1:.1} {y1:.1}")),
                // From the left edge of the column that it passes to the right one.
                _ => (x1, format!("H{x1:.1}")),
            };
            let middle = (x1 + x2) / 2.0;
            // Writing to a string cannot fail.
            let _ = write!(path, "{start}C{middle:.1} {y1:.1} {middle:.1} {y2:.1} {x2:.1} {y2:.1}");
        }
        path
    }
}

fn label(graph: &Graph, node: usize) -> String {
    let letters: Vec<char> = format!("{}. {}", node + 1, graph.nodes[node]).chars().collect();
    if letters.len() <= LABEL {
        return letters.into_iter().collect();
    }
    let (begin, end) = (&letters[..LABEL / 2], &letters[letters.len() - LABEL / 2 + 1..]);
    begin.iter().chain(&['…']).chain(end).collect()
}
