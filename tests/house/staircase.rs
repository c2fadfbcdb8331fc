//! The staircase: a stage may use what earlier stages minted, never later ones.

use crate::fault::{Fault, check, keep};
use crate::mentions::mentions;
use crate::tree::Tree;

/// The stages in the order a call meets them; the first holds for all calls alike.
const STEPS: [&str; 10] = [
    "conduct", "route", "metadata", "auth", "limit", "guard", "cache", "plan", "meter", "journal",
];

fn step(stage: &str) -> Option<usize> {
    STEPS.iter().position(|name| *name == stage)
}

fn rule(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for source in tree.src() {
        let module = source.module();
        // stage/mod.rs holds the stages together, and stands above them all.
        let [room, stage, ..] = module.as_slice() else {
            continue;
        };
        if room != "stage" {
            continue;
        }
        let mut fault = |line, what, mend| {
            faults.push(Fault {
                file: source.path.clone(),
                line,
                what,
                mend,
            })
        };
        let Some(own) = step(stage) else {
            fault(
                1,
                format!("`{stage}` is no step of the staircase"),
                "put it into one of the stages, or argue a new step in tests/house/staircase.rs and ARCHITECTURE.md",
            );
            continue;
        };
        for mention in mentions(source) {
            let [root, room, other, ..] = mention.path.as_slice() else {
                continue;
            };
            if root == "crate" && room == "stage" && step(other).is_some_and(|later| later > own) {
                let what = format!(
                    "`{stage}` names `{}` of a later stage",
                    mention.path.join("::")
                );
                fault(
                    mention.line,
                    what,
                    "let the earlier stage mint the value, and the later one or proxy/pipeline.rs use it",
                );
            }
        }
    }
    faults
}

#[test]
fn a_stage_uses_only_earlier_stages() {
    keep(rule);
}

#[test]
fn a_later_stage_is_refused() {
    check(
        rule,
        &[("src/stage/route/mod.rs", "use super::auth::Caller;")],
        &["src/stage/route/mod.rs:1: `route` names `crate::stage::auth::Caller` of a later stage"],
    );
    check(
        rule,
        &[(
            "src/stage/cache/key.rs",
            "use crate::stage;\nfn f() { m![stage::plan::g()] }",
        )],
        &["src/stage/cache/key.rs:2: `cache` names `crate::stage::plan::g` of a later stage"],
    );
    check(
        rule,
        &[("src/stage/meter.rs", "use super::{limit, journal::Record};")],
        &["src/stage/meter.rs:1: `meter` names `crate::stage::journal::Record` of a later stage"],
    );
}

#[test]
fn a_folder_that_is_no_step_is_refused() {
    check(
        rule,
        &[("src/stage/extra/mod.rs", "")],
        &["src/stage/extra/mod.rs:1: `extra` is no step of the staircase"],
    );
}

#[test]
fn earlier_stages_and_the_landing_are_fine() {
    check(
        rule,
        &[
            ("src/stage/mod.rs", "use journal::Record; mod journal;"),
            ("src/stage/limit/mod.rs", "use super::auth::Caller;"),
        ],
        &[],
    );
}
