//! Graphs held to their promises: order, places without overlaps, names that are no markup. It draws no host of the
//! project.

use std::collections::BTreeMap;

use provision_core::config::Sources;
use provision_core::resolve::resolve_all;

use super::layers::layers;
use super::*;

fn resolved(host: &str) -> Desired {
    let config = BTreeMap::from([("hosts/a.toml".to_owned(), host.as_bytes().to_vec())]);
    let none = BTreeMap::new();
    let resolution = resolve_all(&Sources { config, files: &none });
    assert!(!resolution.has_errors(), "{:?}", resolution.diagnostics);
    resolution.hosts.into_values().next().unwrap()
}

fn sample() -> Graph {
    graph(&resolved(
        "[packages]\njq = \"present\"\nnginx = \"present\"\n[users.web]\n[groups.web]\n\
         [directories.\"/srv/web\"]\nowner = \"web\"\n[files.\"/srv/web/a\\\"<b>&.html\"]\ntext = \"x\"\nowner = \"web\"\n\
         [units.\"web.service\"]\nactive = true\ntext = \"[Service]\\nUser=web\\nExecStart=/bin/true\\n\"\n\
         [probes.web]\nunit = \"web.service\"\n",
    ))
}

#[test]
fn every_resource_comes_after_what_it_waits_for() {
    let graph = sample();
    assert!(graph.edges.len() > 5, "{:?}", graph.edges);
    assert!(graph.edges.iter().all(|edge| edge.before < edge.after));
    let names: Vec<_> = graph.nodes.iter().map(ToString::to_string).collect();
    assert_eq!(names.first().unwrap(), "group:web");
    assert_eq!(names.last().unwrap(), "probe:web");
}

#[test]
fn in_dot_and_mermaid_names_are_no_markup() {
    let graph = sample();
    insta::assert_snapshot!(format!("{}\n{}", dot(&graph), mermaid(&graph)));
}

#[test]
fn the_drawing_is_well_formed_and_its_names_are_no_markup() {
    let drawing = svg(&sample());
    for element in ["svg", "g", "title", "text", "style", "defs", "marker"] {
        let opened =
            drawing.matches(&format!("<{element}>")).count() + drawing.matches(&format!("<{element} ")).count();
        assert_eq!(opened, drawing.matches(&format!("</{element}>")).count(), "{element}");
    }
    assert!(drawing.contains("/srv/web/a&quot;&lt;b&gt;&amp;.html"), "{drawing}");
    assert!(!drawing.contains("<b>"));
}

#[test]
fn no_two_nodes_of_a_column_overlap_and_edges_go_right() {
    // A comb: many files in many directories, and units over some of them.
    let mut host = String::new();
    for n in 0..40 {
        host += &format!("[directories.\"/srv/{n}\"]\n[files.\"/srv/{n}/x\"]\ntext = \"{n}\"\n");
        host += &format!(
            "[units.\"u{n}.service\"]\nactive = true\nrestart_on = [\"file:/srv/{}/x\"]\n",
            n * 7 % 40
        );
        host += &format!("[probes.p{n}]\nunit = \"u{}.service\"\n", n * 3 % 40);
    }
    let graph = graph(&resolved(&host));
    let layers = layers(&graph);
    for (a, slot) in layers.slots.iter().enumerate() {
        for other in &layers.slots[..a] {
            let both = slot.node.is_some() && other.node.is_some() && slot.column == other.column;
            assert!(!both || (slot.y - other.y).abs() > 0.99, "{slot:?} {other:?}");
        }
    }
    for way in &layers.ways {
        let columns: Vec<_> = way.iter().map(|slot| layers.slots[*slot].column).collect();
        assert!(columns.windows(2).all(|pair| pair[1] == pair[0] + 1), "{columns:?}");
    }
    // The barycentres leave few crossings of the many that a comb in the order of names has.
    let crossings = |y: &dyn Fn(usize) -> f64| {
        let mut count = 0;
        for (number, a) in layers.ways.iter().enumerate() {
            for b in &layers.ways[..number] {
                for (a, b) in a.windows(2).flat_map(|a| b.windows(2).map(move |b| (a, b))) {
                    let same = layers.slots[a[0]].column == layers.slots[b[0]].column;
                    count += usize::from(same && (y(a[0]) - y(b[0])) * (y(a[1]) - y(b[1])) < 0.0);
                }
            }
        }
        count
    };
    let laid_out = crossings(&|slot| layers.slots[slot].y);
    #[expect(clippy::cast_precision_loss, reason = "a few hundred slots")]
    let by_number = crossings(&|slot| slot as f64);
    assert!(laid_out * 4 < by_number, "{laid_out} of {by_number} crossings are left");
}

#[test]
fn a_thousand_resources_are_drawn_at_once() {
    let mut host = String::new();
    for n in 0..500 {
        host += &format!("[directories.\"/srv/{n}\"]\n[files.\"/srv/{n}/x\"]\ntext = \"{n}\"\n");
    }
    let desired = resolved(&host);
    let started = std::time::Instant::now();
    let drawing = svg(&graph(&desired));
    assert!(drawing.len() > 100_000);
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}
