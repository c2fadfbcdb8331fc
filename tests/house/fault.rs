//! What a rule finds, and how a rule is tried.

use crate::tree::Tree;
use std::fmt;

/// One breach of a rule: where it is, what is wrong, and what mends it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    pub file: String,
    pub line: usize,
    pub what: String,
    pub mend: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault {
            file,
            line,
            what,
            mend,
        } = self;
        write!(f, "{file}:{line}: {what}\n    mend: {mend}")
    }
}

/// Fails with every fault of the house under `rule`.
pub fn keep(rule: fn(&Tree) -> Vec<Fault>) {
    let mut faults = rule(&Tree::house());
    faults.sort();
    let list: Vec<String> = faults.iter().map(Fault::to_string).collect();
    assert!(
        list.is_empty(),
        "{} breach(es) of a house rule:\n{}",
        list.len(),
        list.join("\n")
    );
}

/// Holds `rule` against `sources` (path, text); `expect` lists its faults as `path:line: what`.
#[track_caller]
pub fn check(rule: fn(&Tree) -> Vec<Fault>, sources: &[(&str, &str)], expect: &[&str]) {
    let mut faults = rule(&Tree::of(sources));
    faults.sort();
    let found: Vec<String> = faults
        .iter()
        .map(|f| format!("{}:{}: {}", f.file, f.line, f.what))
        .collect();
    assert_eq!(found, expect);
}
