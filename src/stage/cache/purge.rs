//! What was purged, by counting.
//!
//! An entry that is older than the last purge of anything it belongs to is none. A purge takes the same
//! time whatever is kept.

use super::label::Label;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Purges that are told apart; beyond, everything is purged, which is always safe.
const SCOPES_MAX: usize = 10_000;

/// What to purge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    All,
    Gateway(String),
    Provider(String),
    Model(String),
    /// What clients call by this name (`cf-aig-cache-key`), in every gateway.
    Key(String),
}

/// The count of purges so far, and the count at each scope's last one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Purges {
    pub count: u64,
    all: u64,
    gateways: BTreeMap<String, u64>,
    providers: BTreeMap<String, u64>,
    models: BTreeMap<String, u64>,
    keys: BTreeMap<String, u64>,
}

impl Purges {
    /// Whether an entry that was begun at the count `generation` is still one.
    pub fn allow(&self, generation: u64, label: &Label<'_>) -> bool {
        // Most of the time nothing was purged since.
        if generation >= self.count {
            return true;
        }
        let after = |purged: Option<&u64>| purged.is_none_or(|count| generation >= *count);
        let key = || label.name.map(String::from_utf8_lossy);
        generation >= self.all
            && after(self.gateways.get(label.gateway))
            && after(self.providers.get(label.provider))
            && after(self.models.get(label.model))
            && (self.keys.is_empty() || after(key().and_then(|key| self.keys.get(&*key))))
    }

    /// Purges everything that exists now within the scope.
    pub fn add(&mut self, scope: &Scope) {
        self.count += 1;
        let kept = [&self.gateways, &self.providers, &self.models, &self.keys];
        let (map, name) = match scope {
            _ if kept.iter().map(|map| map.len()).sum::<usize>() >= SCOPES_MAX => {
                return self.purge_all();
            }
            Scope::All => return self.purge_all(),
            Scope::Gateway(name) => (&mut self.gateways, name),
            Scope::Provider(name) => (&mut self.providers, name),
            Scope::Model(name) => (&mut self.models, name),
            Scope::Key(name) => (&mut self.keys, name),
        };
        map.insert(name.clone(), self.count);
    }

    fn purge_all(&mut self) {
        *self = Self {
            count: self.count,
            all: self.count,
            ..Self::default()
        };
    }

    /// Joins what another process has purged.
    pub fn join(&mut self, other: Self) {
        self.count = self.count.max(other.count);
        self.all = self.all.max(other.all);
        for (own, other) in [
            (&mut self.gateways, other.gateways),
            (&mut self.providers, other.providers),
            (&mut self.models, other.models),
            (&mut self.keys, other.keys),
        ] {
            for (name, count) in other {
                let own = own.entry(name).or_default();
                *own = count.max(*own);
            }
        }
    }

    /// As it stands in its file.
    pub fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads its file. A damaged one tells nothing, so everything counts as purged: `now_ms` is more
    /// than any count.
    pub fn read(bytes: &[u8], now_ms: u64) -> Self {
        if bytes.is_empty() {
            return Self::default();
        }
        serde_json::from_slice(bytes).unwrap_or(Self {
            count: now_ms,
            all: now_ms,
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABEL: Label<'_> = Label {
        gateway: "g",
        provider: "p",
        model: "m",
        name: Some(b"k"),
        cost: None,
    };

    #[test]
    fn a_scope_purges_what_belongs_to_it_and_is_older() {
        let hits = [
            Scope::All,
            Scope::Gateway("g".into()),
            Scope::Provider("p".into()),
            Scope::Model("m".into()),
            Scope::Key("k".into()),
        ];
        for scope in hits {
            let mut purges = Purges::default();
            let before = purges.count;
            purges.add(&scope);
            assert!(!purges.allow(before, &LABEL), "{scope:?}");
            assert!(purges.allow(purges.count, &LABEL), "{scope:?}");
            let read = Purges::read(&purges.write(), 1);
            assert_eq!(read, purges);
        }
        let mut purges = Purges::default();
        for scope in [
            Scope::Gateway("p".into()),
            Scope::Provider("g".into()),
            Scope::Model("k".into()),
            Scope::Key("m".into()),
        ] {
            purges.add(&scope);
            assert!(purges.allow(0, &LABEL), "{scope:?}");
        }
        let nameless = Label {
            name: None,
            ..LABEL
        };
        purges.add(&Scope::Key("k".into()));
        assert!(purges.allow(0, &nameless) && !purges.allow(0, &LABEL));
    }

    #[test]
    fn two_processes_know_the_purges_of_both() {
        let (mut one, mut other) = (Purges::default(), Purges::default());
        one.add(&Scope::Model("m".into()));
        other.add(&Scope::Gateway("x".into()));
        other.join(one);
        assert!(!other.allow(0, &LABEL));
    }

    #[test]
    fn a_damaged_file_purges_everything() {
        let purges = Purges::read(b"{\"count\":", 1_700_000_000_000);
        assert!(!purges.allow(77, &LABEL));
        assert_eq!(Purges::read(b"", 5), Purges::default());
    }

    #[test]
    fn scopes_have_a_bound() {
        let mut purges = Purges::default();
        for number in 0..=SCOPES_MAX {
            purges.add(&Scope::Model(number.to_string()));
        }
        assert!(purges.models.is_empty() && !purges.allow(0, &LABEL));
    }
}
