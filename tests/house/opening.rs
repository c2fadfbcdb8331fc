//! The first line of every file is one `//!` sentence that says what the file is.

use crate::fault::{Fault, check, keep};
use crate::tree::Tree;

fn rule(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for source in tree.sources.values() {
        let first = source.text.lines().next().unwrap_or("");
        let what = match first.strip_prefix("//! ") {
            None => "the first line is no `//! ` sentence",
            Some(sentence) if !sentence.ends_with('.') => {
                "the first sentence does not end with the line, in a full stop"
            }
            Some(sentence) if sentence.contains(". ") => {
                "the first line holds more than one sentence"
            }
            Some(_) => continue,
        };
        let mend = "open with one line, `//! What this file is.`; further lines may follow it";
        faults.push(Fault {
            file: source.path.clone(),
            line: 1,
            what: what.into(),
            mend,
        });
    }
    faults
}

#[test]
fn every_file_opens_with_a_sentence() {
    keep(rule);
}

#[test]
fn a_file_without_its_sentence_is_refused() {
    check(
        rule,
        &[("src/a.rs", "use x::y;")],
        &["src/a.rs:1: the first line is no `//! ` sentence"],
    );
    check(
        rule,
        &[("tests/a.rs", "\n//! A thing.")],
        &["tests/a.rs:1: the first line is no `//! ` sentence"],
    );
    check(
        rule,
        &[("benches/a.rs", "")],
        &["benches/a.rs:1: the first line is no `//! ` sentence"],
    );
    check(
        rule,
        &[("src/a.rs", "//! A thing\n//! of two lines.")],
        &["src/a.rs:1: the first sentence does not end with the line, in a full stop"],
    );
    check(
        rule,
        &[("src/a.rs", "//! A thing. It does things.")],
        &["src/a.rs:1: the first line holds more than one sentence"],
    );
}

#[test]
fn a_sentence_may_be_followed_by_more() {
    check(
        rule,
        &[(
            "src/a.rs",
            "//! Sizes as users write them: `64KiB`.\n//!\n//! More about it\n//! here.",
        )],
        &[],
    );
}
