//! Gathers faults while the file is read, each at its place in the text.

use super::fault::{FAULTS_MAX, Fault, Faults};
use super::place::{Inner, Path, Place};
use super::source::Source;
use std::ops::Range;

/// What to underline of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    Key,
    /// The value; of a map or list its key.
    Value,
}

pub struct Findings<'t> {
    pub places: Place,
    source: Source<'t>,
    list: Vec<Fault>,
}

impl<'t> Findings<'t> {
    pub fn new(source: Source<'t>, places: Place) -> Self {
        Self {
            places,
            source,
            list: Vec::new(),
        }
    }

    pub fn add(
        &mut self,
        path: &Path,
        spot: Spot,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let (place, path) = self.places.locate(path);
        let scalar = matches!(place.inner, Inner::Scalar) && !place.value.is_empty();
        let at = match spot {
            Spot::Value if scalar => place.value.clone(),
            _ if !place.key.is_empty() => place.key.clone(),
            _ => place.value.clone(),
        };
        self.add_at(at, &path.to_string(), what, fix);
    }

    pub fn add_at(
        &mut self,
        at: Range<usize>,
        path: &str,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) {
        if self.is_full() {
            return;
        }
        let (line, column) = self.source.position(at.start);
        self.list.push(Fault {
            path: path.to_owned(),
            line,
            column,
            what: what.into(),
            fix: fix.into(),
            excerpt: Some(self.source.excerpt(&at)),
        });
    }

    /// Whether the user wrote a value at `path`.
    pub fn has(&self, path: &Path) -> bool {
        self.places.find(path).is_some()
    }

    /// Whether items of the list at `path` were pruned.
    pub fn lost_items(&self, path: &Path) -> bool {
        self.places.find(path).is_some_and(|place| place.shrunk)
    }

    /// Shows nothing of the line of `byte`.
    pub fn hide_line(&mut self, byte: usize) {
        self.source.hide_broken_line(byte, &["token".to_owned()]);
    }

    pub fn is_full(&self) -> bool {
        self.list.len() > FAULTS_MAX
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn into_faults(self, name: &str) -> Faults {
        Faults::new(name, self.list)
    }
}
