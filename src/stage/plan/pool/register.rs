//! Health of what has no place in the configuration: hosts that paths choose, models that clients name.

use super::member::Member;
use crate::stage::plan::breaker::State;
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

/// Names that are remembered of one provider; clients can make up any number of them.
const NAMES_MAX: usize = 256;
/// How long after its rest a member is kept that nobody probes.
const KEPT_MS: u64 = 10 * 60_000;

/// Members by name; only those of which something bad was heard. Finding one takes no lock.
#[derive(Debug, Default)]
pub struct Register {
    known: ArcSwap<HashMap<u64, Known>>,
    writing: Mutex<()>,
    /// Seeded by chance, so that no name can be made up that stands for another.
    hasher: RandomState,
}

/// One member, and of a model the endpoint where it was asked for.
#[derive(Clone, Debug)]
struct Known {
    of: Box<str>,
    member: Arc<Member>,
}

impl Register {
    pub fn find(&self, name: impl Hash) -> Option<Arc<Member>> {
        let known = self.known.load();
        if known.is_empty() {
            return None;
        }
        let known = known.get(&self.hasher.hash_one(name))?;
        Some(known.member.clone())
    }

    /// The member of this name, now known; `None` where too many others are. `of` is the URL of a
    /// model's endpoint.
    pub fn enter(
        &self,
        name: impl Hash,
        of: &str,
        label: &str,
        now_ms: u64,
    ) -> Option<Arc<Member>> {
        let name = self.hasher.hash_one(name);
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known.load_full();
        if let Some(known) = known.get(&name) {
            return Some(known.member.clone());
        }
        let mut next = HashMap::clone(&known);
        if next.len() >= NAMES_MAX {
            next.retain(|_, known| is_of_use(&known.member, now_ms));
        }
        if next.len() >= NAMES_MAX {
            return None;
        }
        let member = Arc::new(Member::new(label, name, 1));
        let known = Known {
            of: of.into(),
            member: member.clone(),
        };
        next.insert(name, known);
        self.known.store(Arc::new(next));
        Some(member)
    }

    /// All members, those of models with the URLs of their endpoints.
    pub fn members(&self) -> Vec<(String, Arc<Member>)> {
        let known = self.known.load();
        let known = known.values();
        known
            .map(|known| (known.of.to_string(), known.member.clone()))
            .collect()
    }
}

fn is_of_use(member: &Member, now_ms: u64) -> bool {
    let stale = || member.breaker.until_ms().saturating_add(KEPT_MS) < now_ms;
    member.running() > 0 || (member.breaker.state(now_ms) != State::Closed && !stale())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::plan::breaker::{Pass, Rules, Word};
    use std::time::Duration;

    #[test]
    fn names_are_bounded_and_those_at_rest_are_kept() {
        let register = Register::default();
        let rules = Rules {
            failures_min: 50,
            requests_min: 1,
            window_ms: 1000,
            rest: Duration::from_secs(1),
        };
        let bad = register.enter("bad", "", "bad", 1).unwrap();
        let word = Word::Rest(Duration::from_secs(60));
        bad.breaker.settle(Pass::Resort, word, &rules, 1);
        for name in 0..10 * NAMES_MAX {
            assert!(register.enter(name, "", "made up", 2).is_some());
            assert!(register.members().len() <= NAMES_MAX);
        }
        assert!(register.find("bad").is_some());
        for name in 0..NAMES_MAX {
            if let Some(member) = register.enter((name, "worse"), "", "worse", 3) {
                member.breaker.settle(Pass::Resort, word, &rules, 3);
            }
        }
        assert!(register.enter("one more", "", "one more", 3).is_none());
        let later = 3 + 60_000 + KEPT_MS + 1;
        assert!(register.enter("one more", "", "one more", later).is_some());
        assert!(register.find("bad").is_none());
    }
}
