//! Where each value stands in the user's text, as a tree that mirrors the values.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// The way from the top of the file to a value: `server.listen[0].tls`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Item(usize),
}

impl Path {
    pub fn top() -> Self {
        Self::default()
    }

    pub fn key(&self, key: &str) -> Self {
        self.step(Step::Key(key.to_owned()))
    }

    pub fn item(&self, index: usize) -> Self {
        self.step(Step::Item(index))
    }

    pub fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The path one step up, and the last step; `None` at the top.
    pub fn split_last(&self) -> Option<(Path, &Step)> {
        self.0
            .split_last()
            .map(|(last, rest)| (Self(rest.to_vec()), last))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Item(item) => write!(f, "[{item}]")?,
                Step::Key(key) if index == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

/// One value's place in the text. Ranges count bytes.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The key before the value; empty for list items and the top.
    pub key: Range<usize>,
    /// The value: a scalar whole, of a map or list only the start.
    pub value: Range<usize>,
    /// Whether it is a scalar without quotes, which could also be read as a number or a boolean.
    pub plain: bool,
    /// Whether `${…}` was replaced in it.
    pub filled: bool,
    /// Whether items of this list were pruned.
    pub shrunk: bool,
    pub inner: Inner,
}

#[derive(Clone, Debug, Default)]
pub enum Inner {
    #[default]
    Scalar,
    /// The entries, and the keys that were pruned.
    Map(BTreeMap<String, Place>, Vec<String>),
    /// The items, each with the index it had in the text.
    List(Vec<(usize, Place)>),
}

impl Place {
    pub fn child(&self, step: &Step) -> Option<&Place> {
        match (&self.inner, step) {
            (Inner::Map(entries, _), Step::Key(key)) => entries.get(key),
            (Inner::List(items), Step::Item(index)) => items.get(*index).map(|(_, place)| place),
            _ => None,
        }
    }

    fn child_mut(&mut self, step: &Step) -> Option<&mut Place> {
        match (&mut self.inner, step) {
            (Inner::Map(entries, _), Step::Key(key)) => entries.get_mut(key),
            (Inner::List(items), Step::Item(index)) => {
                items.get_mut(*index).map(|(_, place)| place)
            }
            _ => None,
        }
    }

    pub fn find(&self, path: &Path) -> Option<&Place> {
        path.steps()
            .iter()
            .try_fold(self, |place, step| place.child(step))
    }

    pub fn find_mut(&mut self, path: &Path) -> Option<&mut Place> {
        path.steps()
            .iter()
            .try_fold(self, |place, step| place.child_mut(step))
    }

    /// The place at `path`, or of the closest value around it where an alias or a merge hides it;
    /// and the path as it was before anything was pruned.
    pub fn locate(&self, path: &Path) -> (&Place, Path) {
        let (mut place, mut original) = (self, Path::top());
        let mut hidden = false;
        for step in path.steps() {
            let index = match (&place.inner, step) {
                (Inner::List(items), Step::Item(index)) => {
                    items.get(*index).map(|(index, _)| *index)
                }
                _ => None,
            };
            original = match index {
                Some(index) if !hidden => original.item(index),
                _ => original.step(step.clone()),
            };
            match place.child(step) {
                Some(child) if !hidden => place = child,
                _ => hidden = true,
            }
        }
        (place, original)
    }

    /// Forgets the value at `path`, as its twin in the tree of values is forgotten.
    pub fn prune(&mut self, path: &Path) {
        let Some((parent, last)) = path.split_last() else {
            return;
        };
        let Some(parent) = self.find_mut(&parent) else {
            return;
        };
        match (&mut parent.inner, last) {
            (Inner::Map(entries, pruned), Step::Key(key)) => {
                entries.remove(key);
                pruned.push(key.clone());
            }
            (Inner::List(items), Step::Item(index)) if *index < items.len() => {
                items.remove(*index);
                parent.shrunk = true;
            }
            _ => {}
        }
    }

    /// Whether `key` stood in this map and was pruned because of a fault already told.
    pub fn has_pruned(&self, key: &str) -> bool {
        matches!(&self.inner, Inner::Map(_, pruned) if pruned.iter().any(|name| name == key))
    }

    /// Whether any key of this map was pruned.
    pub fn has_pruned_any(&self) -> bool {
        matches!(&self.inner, Inner::Map(_, pruned) if !pruned.is_empty())
    }
}
