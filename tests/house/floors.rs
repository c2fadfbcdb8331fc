//! Floors: a room names only what stands on a lower floor, or itself.
//!
//! Config types need no exception: each lies in the room that it configures, and `config` above composes them.
//! Test code keeps the rule as well, since a floor that needs a higher one for its tests cannot be tested alone.

use crate::fault::{Fault, check, keep};
use crate::mentions::{Map, mentions};
use crate::tree::Tree;

/// Rooms by floor. Two rooms of one floor do not know each other.
const FLOORS: [&[&str]; 8] = [
    &["base"],
    &["llm"],
    &["dialect"],
    &["provider", "store"],
    &["stage"],
    &["proxy", "admin"],
    &["config"],
    &["app"],
];

/// lib.rs and main.rs.
const TOP: usize = FLOORS.len();

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn rule(tree: &Tree) -> Vec<Fault> {
    let map = Map::of(tree);
    let mut faults = Vec::new();
    for source in tree.src() {
        let module = source.module();
        let room = module.first().map_or("", String::as_str);
        let mut fault = |line, what, mend| {
            faults.push(Fault {
                file: source.path.clone(),
                line,
                what,
                mend,
            })
        };
        let Some(own) = floor(room).or(["", "main"].contains(&room).then_some(TOP)) else {
            fault(
                1,
                format!("`{room}` stands on no floor"),
                "put it in a room of tests/house/floors.rs, or argue a new room there and in ARCHITECTURE.md",
            );
            continue;
        };
        for mention in mentions(source) {
            let (root, names) = mention.path.split_first().unwrap();
            let Some(other) = names.first().filter(|_| root == "crate") else {
                continue;
            };
            let above = floor(other).unwrap_or(TOP);
            if other != room && above >= own && own != TOP {
                let what = format!(
                    "`{room}` (floor {own}) names `{}` (floor {above})",
                    mention.path.join("::")
                );
                fault(
                    mention.line,
                    what,
                    "move the thing down to where both may see it, or pass it in from above as a value",
                );
            }
            let folder = &mention.path[..mention.path.len() - 1];
            if mention.path.last().unwrap() == "*"
                && map.is_module(folder)
                && !(mention.open && mention.test)
            {
                fault(
                    mention.line,
                    format!("`{}` hides what it imports", mention.path.join("::")),
                    "name the imports one by one",
                );
            }
        }
    }
    faults
}

#[test]
fn a_floor_names_only_lower_floors() {
    keep(rule);
}

#[test]
fn a_higher_floor_is_refused() {
    check(
        rule,
        &[("src/base/x.rs", "use crate::stage::auth;")],
        &["src/base/x.rs:1: `base` (floor 0) names `crate::stage::auth` (floor 4)"],
    );
    check(
        rule,
        &[("src/llm/x.rs", "\nfn f() { crate::dialect::g() }")],
        &["src/llm/x.rs:2: `llm` (floor 1) names `crate::dialect::g` (floor 2)"],
    );
    check(
        rule,
        &[("src/stage/x.rs", "fn f() { m!(super::super::proxy::Y) }")],
        &["src/stage/x.rs:1: `stage` (floor 4) names `crate::proxy::Y` (floor 5)"],
    );
    check(
        rule,
        &[(
            "src/proxy/x.rs",
            "use {bytes::Bytes, crate::{base, config::Config}};",
        )],
        &["src/proxy/x.rs:1: `proxy` (floor 5) names `crate::config::Config` (floor 6)"],
    );
    check(
        rule,
        &[(
            "src/base/x.rs",
            "#[cfg(test)] mod tests { use crate::app; }",
        )],
        &["src/base/x.rs:1: `base` (floor 0) names `crate::app` (floor 7)"],
    );
}

#[test]
fn a_sibling_of_the_same_floor_is_refused() {
    check(
        rule,
        &[("src/store/x.rs", "use crate::provider::P;")],
        &["src/store/x.rs:1: `store` (floor 3) names `crate::provider::P` (floor 3)"],
    );
    check(
        rule,
        &[("src/admin/x.rs", "use crate::proxy::P;")],
        &["src/admin/x.rs:1: `admin` (floor 5) names `crate::proxy::P` (floor 5)"],
    );
}

#[test]
fn the_top_is_no_place_for_shared_things() {
    check(
        rule,
        &[("src/app/x.rs", "use crate::Error;")],
        &["src/app/x.rs:1: `app` (floor 7) names `crate::Error` (floor 8)"],
    );
    check(
        rule,
        &[("src/misc.rs", "")],
        &["src/misc.rs:1: `misc` stands on no floor"],
    );
}

#[test]
fn a_glob_of_our_own_is_refused_outside_tests() {
    let stage = ("src/stage/mod.rs", "pub mod auth;");
    check(
        rule,
        &[stage, ("src/proxy/x.rs", "use crate::stage::*;")],
        &["src/proxy/x.rs:1: `crate::stage::*` hides what it imports"],
    );
    check(
        rule,
        &[
            stage,
            (
                "src/stage/auth.rs",
                "enum E {}\nuse E::*;\n#[cfg(test)] mod tests { use super::*; }",
            ),
        ],
        &[],
    );
}

#[test]
fn lower_floors_and_the_own_room_are_fine() {
    let main = ("src/main.rs", "fn main() { tollgate::app::run() }");
    let config = (
        "src/config/mod.rs",
        "use crate::{provider, proxy, stage}; use stage::auth::config::Config;",
    );
    check(
        rule,
        &[
            main,
            config,
            (
                "src/stage/plan/config.rs",
                "use crate::base::period::Period; use super::x;",
            ),
        ],
        &[],
    );
}
