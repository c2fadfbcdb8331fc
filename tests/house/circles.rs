//! No circles: in every folder, what its members name forms no ring.
//!
//! The members of a folder are its files, its subfolders (each taken whole) and its own mod.rs. So a child may use
//! what mod.rs defines only if mod.rs does not use that child in turn. A `mod` line and a `pub use` of a child are
//! not uses, they are the folder's face; a name taken from a face counts as taken from the file behind it.
//! Test code is left out: a test may look at its surroundings.

use crate::fault::{Fault, check, keep};
use crate::mentions::{Map, mentions};
use crate::tree::Tree;
use std::collections::BTreeMap;

/// Who names whom in one folder, and where it first does.
type Graph = BTreeMap<String, BTreeMap<String, (String, usize)>>;

fn rule(tree: &Tree) -> Vec<Fault> {
    graphs(tree)
        .iter()
        .flat_map(|(folder, graph)| circles(folder, graph))
        .collect()
}

/// One graph a folder, by its module path.
fn graphs(tree: &Tree) -> BTreeMap<Vec<String>, Graph> {
    let map = Map::of(tree);
    let mut graphs: BTreeMap<Vec<String>, Graph> = BTreeMap::new();
    for source in tree.src().filter(|source| !source.is_test()) {
        let from = source.module();
        for mention in mentions(source).into_iter().filter(|mention| !mention.test) {
            let Some(owner) = map.owner(&mention.path) else {
                continue;
            };
            let to = owner.module();
            if to == from || (mention.face && to.starts_with(&from)) {
                continue;
            }
            let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            let member = |module: &[String]| {
                module
                    .get(shared)
                    .map_or("mod.rs", String::as_str)
                    .to_owned()
            };
            let graph = graphs.entry(from[..shared].to_vec()).or_default();
            let named = graph.entry(member(&from)).or_default();
            named
                .entry(member(&to))
                .or_insert((source.path.clone(), mention.line));
        }
    }
    graphs
}

/// Walks `graph` from every member; each step back into the way walked so far closes a circle.
fn circles(folder: &[String], graph: &Graph) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut done = Vec::new();
    for start in graph.keys() {
        walk(
            folder,
            graph,
            &mut vec![start.clone()],
            &mut done,
            &mut faults,
        );
    }
    faults
}

fn walk(
    folder: &[String],
    graph: &Graph,
    way: &mut Vec<String>,
    done: &mut Vec<String>,
    faults: &mut Vec<Fault>,
) {
    let here = way[way.len() - 1].clone();
    if done.contains(&here) {
        return;
    }
    for (next, (file, line)) in graph.get(&here).into_iter().flatten() {
        if let Some(closed) = way.iter().position(|member| member == next) {
            faults.push(fault(folder, graph, &way[closed..], (file, *line)));
        } else {
            way.push(next.clone());
            walk(folder, graph, way, done, faults);
            way.pop();
        }
    }
    done.push(here);
}

fn fault(
    folder: &[String],
    graph: &Graph,
    ring: &[String],
    (file, line): (&String, usize),
) -> Fault {
    let steps: Vec<String> = (ring.iter().zip(&ring[1..]))
        .map(|(from, to)| graph[from][to].clone())
        .map(|(file, line)| format!("{file}:{line}"))
        .collect();
    let what = format!(
        "circle in src/{}: {} → {} (by {})",
        folder.join("/"),
        ring.join(" → "),
        ring[0],
        steps.join(", ")
    );
    let mend = "move what both need into a file of its own that needs neither";
    Fault {
        file: file.clone(),
        line,
        what,
        mend,
    }
}

#[test]
fn no_folder_holds_a_circle() {
    keep(rule);
}

#[test]
fn two_files_that_name_each_other_are_refused() {
    let sources = [
        ("src/llm/a.rs", "use super::b::B;"),
        ("src/llm/b.rs", "\nfn f() { m!(crate::llm::a::A) }"),
    ];
    check(
        rule,
        &sources,
        &["src/llm/b.rs:2: circle in src/llm: a → b → a (by src/llm/a.rs:1)"],
    );
}

#[test]
fn a_ring_of_folders_is_refused_even_where_no_file_is_on_it_twice() {
    let sources = [
        ("src/dialect/a/x.rs", "use crate::dialect::b::y::Y;"),
        ("src/dialect/b/y.rs", ""),
        ("src/dialect/b/z.rs", "use super::super::c;"),
        ("src/dialect/c.rs", "use super::a::w;"),
        ("src/dialect/a/w.rs", ""),
    ];
    check(
        rule,
        &sources,
        &[
            "src/dialect/c.rs:1: circle in src/dialect: a → b → c → a (by src/dialect/a/x.rs:1, src/dialect/b/z.rs:1)",
        ],
    );
}

#[test]
fn a_parent_and_a_child_that_use_each_other_are_refused() {
    let sources = [
        ("src/llm/mod.rs", "mod a;\nstruct S { a: a::A }"),
        ("src/llm/a.rs", "use super::S;"),
    ];
    check(
        rule,
        &sources,
        &["src/llm/mod.rs:2: circle in src/llm: a → mod.rs → a (by src/llm/a.rs:1)"],
    );
}

#[test]
fn a_circle_through_a_face_is_seen() {
    let sources = [
        (
            "src/llm/mod.rs",
            "mod a;\nmod b;\npub use {a::A, b::B as C};",
        ),
        ("src/llm/a.rs", "use super::B;"),
        ("src/llm/b.rs", "use crate::llm::A;"),
    ];
    check(
        rule,
        &sources,
        &["src/llm/b.rs:1: circle in src/llm: a → b → a (by src/llm/a.rs:1)"],
    );
}

#[test]
fn faces_tests_and_one_way_streets_are_fine() {
    let sources = [
        (
            "src/llm/mod.rs",
            "pub mod a;\nmod b;\npub use b::B;\npub struct S;",
        ),
        (
            "src/llm/a.rs",
            "use super::{B, S, a::X};\nuse crate::base::id::Id;",
        ),
        (
            "src/llm/b.rs",
            "use super::S;\n#[cfg(test)]\nmod tests { use super::*; use crate::llm::a; }",
        ),
        ("src/llm/tests.rs", "use super::a::A;"),
    ];
    check(rule, &sources, &[]);
}
