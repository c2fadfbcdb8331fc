//! Every file hangs in a module tree; a file that no `mod` line names is dead, and rots unseen.

use crate::fault::{Fault, check, keep};
use crate::tree::Tree;
use std::collections::BTreeSet;

fn rule(tree: &Tree) -> Vec<Fault> {
    let mut alive = BTreeSet::new();
    for path in tree.sources.keys().filter(|path| is_root(path)) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        alive.insert(path.clone());
        follow(tree, folder, &tree.sources[path].syntax.items, &mut alive);
    }
    let dead = tree.sources.keys().filter(|path| !alive.contains(*path));
    let mend = "name it by a `mod` line, or delete it";
    dead.map(|path| Fault {
        file: path.clone(),
        line: 1,
        what: "no `mod` line leads here".into(),
        mend,
    })
    .collect()
}

/// Whether cargo builds a target from `path`.
fn is_root(path: &str) -> bool {
    match path.split('/').collect::<Vec<_>>().as_slice() {
        ["src", file] => ["lib.rs", "main.rs"].contains(file),
        ["tests" | "benches", file] => file.ends_with(".rs"),
        ["tests" | "benches", _, "main.rs"] => true,
        ["tests", "fuzz", "property.rs"] | ["tests", "fuzz", "targets", _] => true,
        _ => false,
    }
}

/// Follows the `mod` lines of a file whose children lie in `folder`.
fn follow(tree: &Tree, folder: &str, items: &[syn::Item], alive: &mut BTreeSet<String>) {
    for item in items {
        let syn::Item::Mod(item) = item else { continue };
        let inside = format!(
            "{folder}/{}",
            item.ident.to_string().trim_start_matches("r#")
        );
        if let Some((_, items)) = &item.content {
            follow(tree, &inside, items, alive);
            continue;
        }
        for path in [format!("{inside}.rs"), format!("{inside}/mod.rs")] {
            if let Some(source) = tree.sources.get(&path) {
                alive.insert(path);
                follow(tree, &inside, &source.syntax.items, alive);
            }
        }
    }
}

#[test]
fn every_file_is_reached() {
    keep(rule);
}

#[test]
fn a_dead_file_is_refused() {
    check(
        rule,
        &[("src/lib.rs", "mod a;"), ("src/a.rs", ""), ("src/b.rs", "")],
        &["src/b.rs:1: no `mod` line leads here"],
    );
    check(
        rule,
        &[
            ("src/lib.rs", ""),
            ("src/a/mod.rs", "mod b;"),
            ("src/a/b.rs", ""),
        ],
        &[
            "src/a/b.rs:1: no `mod` line leads here",
            "src/a/mod.rs:1: no `mod` line leads here",
        ],
    );
    check(
        rule,
        &[("tests/house/x.rs", "")],
        &["tests/house/x.rs:1: no `mod` line leads here"],
    );
}

#[test]
fn living_files_are_found_in_every_place_cargo_looks() {
    let sources = [
        ("src/lib.rs", "pub mod a; mod c { mod d; }"),
        ("src/a/mod.rs", "#[cfg(test)] mod tests;"),
        ("src/a/tests.rs", ""),
        ("src/c/d.rs", ""),
        ("src/main.rs", ""),
        ("tests/path.rs", "mod gateway;"),
        ("tests/gateway/mod.rs", "mod client;"),
        ("tests/gateway/client.rs", ""),
        ("tests/house/main.rs", "mod tree;"),
        ("tests/house/tree.rs", ""),
        ("benches/load.rs", ""),
    ];
    check(rule, &sources, &[]);
}
