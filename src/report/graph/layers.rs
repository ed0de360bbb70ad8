//! Places for a graph's nodes, in columns: each right of all that it waits for, near its neighbours, with few crossings.
//! It draws nothing. The method is Sugiyama's: layers, bends for long edges, barycentres, then heights.

use super::Graph;

/// How often the orders within the columns are improved; more changes little.
const SWEEPS: usize = 12;

/// A place in a column: a node's, or a bend of an edge that passes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slot {
    /// The node; `None` is a bend.
    pub(super) node: Option<usize>,
    /// The column, from 0.
    pub(super) column: usize,
    /// The middle's height, in rows from 0.
    pub(super) y: f64,
}

/// Places, and the ways between them.
#[derive(Debug)]
pub(super) struct Layers {
    pub(super) slots: Vec<Slot>,
    /// For each of the graph's edges the slots that it passes, from its first node to its last.
    pub(super) ways: Vec<Vec<usize>>,
    /// Nodes that wait for nothing, and that nothing waits for; they have no slot.
    pub(super) alone: Vec<usize>,
    /// How many columns there are.
    pub(super) columns: usize,
}

/// How much room a node takes in a column, in rows; a bend takes less.
const fn height(slot: &Slot) -> f64 {
    if slot.node.is_some() { 1.0 } else { 0.4 }
}

pub(super) fn layers(graph: &Graph) -> Layers {
    let count = graph.nodes.len();
    let (mut column, mut linked) = (vec![0; count], vec![false; count]);
    // Edges are sorted by their first node, and nodes by their order: one pass finds every longest way.
    for edge in &graph.edges {
        column[edge.after] = column[edge.after].max(column[edge.before] + 1);
        linked[edge.before] = true;
        linked[edge.after] = true;
    }
    let mut slots = Vec::new();
    let mut slot_of = vec![0; count];
    for node in (0..count).filter(|node| linked[*node]) {
        slot_of[node] = slots.len();
        slots.push(Slot {
            node: Some(node),
            column: column[node],
            y: 0.0,
        });
    }
    let mut ways = Vec::with_capacity(graph.edges.len());
    for edge in &graph.edges {
        let mut way = vec![slot_of[edge.before]];
        for column in column[edge.before] + 1..column[edge.after] {
            way.push(slots.len());
            slots.push(Slot {
                node: None,
                column,
                y: 0.0,
            });
        }
        way.push(slot_of[edge.after]);
        ways.push(way);
    }
    let columns = slots.iter().map(|slot| slot.column + 1).max().unwrap_or(0);
    place(&mut slots, &ways, columns);
    Layers {
        slots,
        ways,
        alone: (0..count).filter(|node| !linked[*node]).collect(),
        columns,
    }
}

fn place(slots: &mut [Slot], ways: &[Vec<usize>], columns: usize) {
    let (mut left, mut right) = (vec![Vec::new(); slots.len()], vec![Vec::new(); slots.len()]);
    for pair in ways.iter().flat_map(|way| way.windows(2)) {
        if let [from, to] = *pair {
            right[from].push(to);
            left[to].push(from);
        }
    }
    let mut order: Vec<Vec<usize>> = vec![Vec::new(); columns];
    for (number, slot) in slots.iter().enumerate() {
        order[slot.column].push(number);
    }
    for members in &order {
        stack(slots, members, &[]);
    }
    for sweep in 0..SWEEPS {
        let forward = sweep % 2 == 0;
        for step in 0..columns {
            let column = if forward { step } else { columns - 1 - step };
            let beside = if forward { &left } else { &right };
            let wanted: Vec<f64> = slots
                .iter()
                .enumerate()
                .map(|(number, slot)| mean(slots, &beside[number]).unwrap_or(slot.y))
                .collect();
            // The sort keeps the order of equals, so that the result is the same on every machine.
            order[column].sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
            stack(slots, &order[column], &wanted);
        }
    }
    let top = slots.iter().map(|slot| slot.y).fold(f64::INFINITY, f64::min);
    for slot in slots {
        slot.y -= top;
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody draws 2^52 edges")]
fn mean(slots: &[Slot], of: &[usize]) -> Option<f64> {
    let sum: f64 = of.iter().map(|slot| slots[*slot].y).sum();
    (!of.is_empty()).then(|| sum / of.len() as f64)
}

/// Puts a column's members below each other in their order, each as near as can be to where it wants to be.
fn stack(slots: &mut [Slot], members: &[usize], wanted: &[f64]) {
    // Groups of members that touch; a group that would overlap the one above becomes one with it.
    struct Group {
        start: f64,
        height: f64,
        members: Vec<usize>,
        /// The sum of where its members want its start to be.
        wish: f64,
    }
    let mut groups: Vec<Group> = Vec::new();
    for &member in members {
        let room = height(&slots[member]);
        let start = wanted.get(member).map_or(0.0, |y| y - room / 2.0);
        groups.push(Group {
            start,
            height: room,
            members: vec![member],
            wish: start,
        });
        while let Some([above, below]) = groups.last_chunk::<2>() {
            if above.start + above.height <= below.start {
                break;
            }
            let (Some(below), Some(mut above)) = (groups.pop(), groups.pop()) else {
                break;
            };
            #[expect(clippy::cast_precision_loss, reason = "nobody draws 2^52 nodes")]
            let (many, all) = (
                below.members.len() as f64,
                (above.members.len() + below.members.len()) as f64,
            );
            above.wish += below.wish - many * above.height;
            above.start = above.wish / all;
            above.height += below.height;
            above.members.extend(below.members);
            groups.push(above);
        }
    }
    for group in groups {
        let mut y = group.start;
        for member in group.members {
            let room = height(&slots[member]);
            slots[member].y = y + room / 2.0;
            y += room;
        }
    }
}
