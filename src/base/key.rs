//! A key of several names, looked up without owning any of them.

use hashbrown::Equivalent;
use std::hash::{Hash, Hasher};

/// Names that together tell an entry of a map with keys [`Own`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a, const COUNT: usize>(pub [&'a str; COUNT]);

/// The same names as the map has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own<const COUNT: usize>(pub [Box<str>; COUNT]);

impl<const COUNT: usize> Key<'_, COUNT> {
    pub fn own(self) -> Own<COUNT> {
        Own(self.0.map(Box::from))
    }
}

impl<const COUNT: usize> Hash for Key<'_, COUNT> {
    // Where several maps have such keys, calls would cost more than the hash itself.
    #[inline(always)]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|name| hash(name, state));
    }
}

impl<const COUNT: usize> Hash for Own<COUNT> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|name| hash(name, state));
    }
}

impl<const COUNT: usize> Equivalent<Own<COUNT>> for Key<'_, COUNT> {
    #[inline(always)]
    fn equivalent(&self, known: &Own<COUNT>) -> bool {
        let mut pairs = self.0.iter().zip(&known.0);
        pairs.all(|(one, other)| **one == **other)
    }
}

/// With its length, so that no two names together look like two others.
#[inline(always)]
fn hash<H: Hasher>(name: &str, state: &mut H) {
    state.write(name.as_bytes());
    state.write_usize(name.len());
}

#[cfg(test)]
mod tests {
    use super::*;
    use hashbrown::HashMap;
    use proptest::prelude::*;

    #[test]
    fn names_are_told_apart() {
        let mut map = HashMap::new();
        map.insert(Key(["a", "b", "c"]).own(), 1);
        assert_eq!(map.get(&Key(["a", "b", "c"])), Some(&1));
        for other in [
            ["a", "bc", ""],
            ["ab", "", "c"],
            ["", "b", "c"],
            ["a", "b", ""],
        ] {
            assert_eq!(map.get(&Key(other)), None);
        }
    }

    proptest! {
        #[test]
        fn what_was_put_in_is_found(names in prop::collection::hash_set([".{0,40}", ".{0,40}"], 0..50)) {
            let key = |[one, two]: &[String; 2]| Key([one.as_str(), two.as_str()]).own();
            let map: HashMap<_, _> = names.iter().map(|names| (key(names), names)).collect();
            for names in &names {
                let [one, two] = names;
                prop_assert_eq!(map.get(&Key([one.as_str(), two.as_str()])), Some(&names));
            }
        }
    }
}
