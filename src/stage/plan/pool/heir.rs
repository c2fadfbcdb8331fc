//! A pool that takes the place of an earlier one, in this process or in another.

use super::member::Member;
use super::{Key, Pool, spread};
use crate::provider::origin::Base;
use crate::stage::plan::breaker::Rules;
use crate::stage::plan::standing::{OfMember, OfPool};
use std::sync::Arc;

impl Pool {
    /// The earlier pool itself where nothing has changed; else this one, with what that one knows.
    pub fn or_heir_of(mut self, earlier: Option<&Arc<Self>>) -> Arc<Self> {
        match earlier {
            Some(earlier) if self.is_like(earlier) => return earlier.clone(),
            Some(earlier) => self.inherit(earlier),
            None => {}
        }
        Arc::new(self)
    }

    /// Whether requests would find no difference between the two, but for what is known of members.
    fn is_like(&self, other: &Self) -> bool {
        let weights = |members: &[Arc<Member>]| -> Vec<u64> {
            members.iter().map(|member| member.weight).collect()
        };
        let same_weights = |one: &[Arc<Member>], two: &[Arc<Member>]| weights(one) == weights(two);
        self.provider == other.provider
            && self.bases == other.bases
            && self.keys == other.keys
            && self.balance == other.balance
            && self.rules == other.rules
            && same_weights(&self.endpoints, &other.endpoints)
            && same_weights(&self.key_members, &other.key_members)
    }

    /// Goes on with what an earlier pool of this process knows of the members that both have, and
    /// where nothing about a member has changed, with that member itself.
    fn inherit(&mut self, earlier: &Self) {
        let salt = [0; 32];
        self.resume(&earlier.standing(&salt), &salt);
        let breakers = self.rules.enabled && earlier.rules.enabled;
        // What stands in a window of another length cannot be shared.
        if !breakers || self.rules.window != earlier.rules.window {
            return;
        }
        for endpoint in &mut self.endpoints {
            let mut known = earlier.endpoints.iter();
            let same = |known: &&Arc<Member>| {
                known.label == endpoint.label && known.weight == endpoint.weight
            };
            if let Some(known) = known.find(same) {
                *endpoint = known.clone();
            }
        }
        for (key, member) in self.keys.iter().zip(&mut self.key_members) {
            let mut known = earlier.keys.iter().zip(&earlier.key_members);
            let same = |(other, known): &(&Arc<Key>, &Arc<Member>)| {
                *other == key && known.weight == member.weight
            };
            if let Some((_, known)) = known.find(same) {
                *member = known.clone();
            }
        }
        if self.bases == earlier.bases {
            self.hosts = earlier.hosts.clone();
            self.models = earlier.models.clone();
        }
    }

    /// What is known of its members. Keys are known again by a digest with this salt.
    pub fn standing(&self, salt: &[u8; 32]) -> OfPool {
        let now_ms = self.ticks.now_ms();
        let rules = Rules::from(&self.rules);
        let tell = |member: &Member, of: String| member.standing(of, &rules, now_ms);
        let known = |told: &OfMember| !told.is_blank();
        let endpoints = self.endpoints.iter();
        let keys = self.keys.iter().zip(&self.key_members);
        let listed = |members: Vec<(String, Arc<Member>)>| -> Vec<OfMember> {
            let members = members.into_iter();
            let told = members.map(|(of, member)| tell(&member, of));
            told.filter(known).collect()
        };
        OfPool {
            endpoints: endpoints
                .map(|member| tell(member, String::new()))
                .filter(known)
                .collect(),
            keys: keys
                .map(|(key, member)| tell(member, digest(key, salt)))
                .filter(known)
                .collect(),
            hosts: listed(self.hosts.members()),
            models: listed(self.models.members()),
        }
    }

    /// Takes over what was known of members that it has as well. Where breakers are off there is
    /// nothing to take over: nobody would ever close one.
    pub fn resume(&self, told: &OfPool, salt: &[u8; 32]) {
        if !self.rules.enabled {
            return;
        }
        let now_ms = self.ticks.now_ms();
        let rules = Rules::from(&self.rules);
        for told in &told.endpoints {
            let mut own = self.endpoints.iter();
            if let Some(own) = own.find(|own| *own.label == *told.name) {
                own.resume(told, &rules, now_ms);
            }
        }
        for told in &told.keys {
            let mut own = self.keys.iter().zip(&self.key_members);
            let same = |(key, _): &(&Arc<Key>, &Arc<Member>)| {
                *key.name == *told.name && digest(key, salt) == told.of
            };
            if let Some((_, own)) = own.find(same) {
                own.resume(told, &rules, now_ms);
            }
        }
        for told in &told.models {
            let name = told.name.as_str();
            let known = self.spread_of(&told.of).and_then(|endpoint| {
                let of = &*told.of;
                self.models.enter((endpoint, name), of, name, now_ms)
            });
            if let Some(own) = known {
                own.resume(told, &rules, now_ms);
            }
        }
        if !self.endpoints.is_empty() {
            return;
        }
        for told in &told.hosts {
            let Ok(Base { origin, .. }) = Base::parse(&told.name) else {
                continue;
            };
            if let Some(own) = self.hosts.enter(&origin, "", &told.name, now_ms) {
                own.resume(told, &rules, now_ms);
            }
        }
    }

    /// The number of the endpoint with this URL, if requests can come there.
    fn spread_of(&self, url: &str) -> Option<u64> {
        if self.endpoints.is_empty() {
            let base = Base::parse(url).ok()?;
            return Some(spread(&base.origin));
        }
        let mut endpoints = self.endpoints.iter();
        let known = endpoints.find(|endpoint| *endpoint.label == *url);
        known.map(|endpoint| endpoint.spread)
    }
}

/// By which a key is known again, and nothing else is learned of it.
fn digest(key: &Key, salt: &[u8; 32]) -> String {
    let digest = blake3::keyed_hash(salt, key.value.as_bytes());
    digest.to_hex().as_str().to_owned()
}
