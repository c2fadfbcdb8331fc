//! A provider's endpoints and keys: which of them a request gets, by their weights and their health.

mod choose;
mod heir;
mod member;
mod pick;
mod register;
mod ticket;

pub use ticket::{Outcome, Ticket};

use super::affinity::Clue;
use super::breaker::State;
use super::fault::{Blame, Fault};
use crate::base::clock::Ticks;
use crate::provider::config::Config;
use crate::provider::config::balance::Balance;
use crate::provider::config::breaker::Breaker as Rules;
use crate::provider::origin::{Base, Origin};
use crate::provider::place::Provider;
use http::{HeaderName, HeaderValue};
use member::Member;
use pick::{Dice, Set};
use prometheus::IntCounterVec;
use register::Register;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

pub use pick::MEMBERS_MAX;

/// One provider's endpoints and keys.
#[derive(Debug)]
pub struct Pool {
    provider: Arc<str>,
    bases: Vec<Arc<Base>>,
    endpoints: Vec<Arc<Member>>,
    keys: Vec<Arc<Key>>,
    key_members: Vec<Arc<Member>>,
    /// Endpoints that only their hosts tell apart.
    hosts: Arc<Register>,
    models: Arc<Register>,
    balance: Balance,
    rules: Rules,
    dice: Dice,
    ticks: Ticks,
    parked: IntCounterVec,
}

/// A key of ours, as the provider takes it.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    pub name: Arc<str>,
    pub field: HeaderName,
    /// Marked as sensitive.
    pub value: HeaderValue,
}

/// What the choice is for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Where the request goes by its path.
    pub origin: &'a Arc<Origin>,
    /// The model that is asked for, at an endpoint where a 404 means that it is not there.
    pub model: Option<&'a str>,
    /// From [`Pool::affinity`].
    pub affinity: Option<u64>,
    /// The client sent a key of its own: none of ours is chosen, nor blamed.
    pub own_key: bool,
}

/// What an earlier attempt of the same request showed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tried {
    endpoints: Set,
    keys: Set,
    /// Keys that were refused, and will be again.
    barred: Set,
}

/// How far a choice may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resort {
    /// Only to what is healthy, or has rested and may be probed.
    Healthy,
    /// Where all rest, to what will have rested soonest, unless the configuration says no.
    LeastBad,
}

/// Where a request goes, and with which key.
#[derive(Debug)]
pub struct Choice {
    /// `None`: where its path says.
    pub endpoint: Option<Arc<Base>>,
    /// `None`: the client's own, or none at all.
    pub key: Option<Arc<Key>>,
    pub ticket: Ticket,
}

/// Why there is no choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unfit {
    /// The time left until the first of them may be probed; zero where a probe is under way.
    #[error("the provider failed too often and is given a rest")]
    Resting(Duration),
    #[error("the provider refused every key that there is for it")]
    Refused,
}

/// How a member is, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub provider: Arc<str>,
    /// `endpoint URL`, `key NAME` or `model NAME`.
    pub member: String,
    pub state: State,
}

/// A key that no header field can carry.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("providers.{provider}.keys: the key `{name}` fits into no header field")]
pub struct KeyError {
    provider: Arc<str>,
    name: String,
}

impl Tried {
    /// Notes what an attempt came to, so that the next one goes elsewhere where it helps.
    pub fn note(&mut self, ticket: &Ticket, fault: Fault) {
        match fault.blame() {
            Blame::Endpoint | Blame::Model => {
                ticket.endpoint_index().map(|at| self.endpoints.add(at))
            }
            Blame::Key if fault == Fault::Status(429) => {
                ticket.key_index().map(|at| self.keys.add(at))
            }
            Blame::Key => ticket.key_index().map(|at| self.barred.add(at)),
            Blame::Client | Blame::Nobody => None,
        };
    }
}

impl Pool {
    /// # Errors
    /// A key fits into no header field.
    pub fn build(
        provider: &Provider,
        config: &Config,
        parked: IntCounterVec,
        ticks: Ticks,
    ) -> Result<Self, KeyError> {
        let endpoints = config.endpoints.iter().zip(&provider.bases);
        let endpoints = endpoints.take(MEMBERS_MAX).map(|(endpoint, base)| {
            let label = base.to_string();
            Arc::new(Member::new(&label, spread(&label), endpoint.weight))
        });
        let (mut keys, mut key_members) = (Vec::new(), Vec::new());
        for key in config.keys.iter().take(MEMBERS_MAX) {
            let (field, value) = provider.key.write(&key.key).map_err(|_| KeyError {
                provider: provider.slug.clone(),
                name: key.name.clone(),
            })?;
            let name = key.name.as_str().into();
            keys.push(Arc::new(Key { name, field, value }));
            let member = Member::new(&key.name, key.key.spread(), key.weight);
            key_members.push(Arc::new(member));
        }
        Ok(Self {
            provider: provider.slug.clone(),
            bases: provider.bases.clone(),
            endpoints: endpoints.collect(),
            keys,
            key_members,
            hosts: Arc::default(),
            models: Arc::default(),
            balance: config.balance.clone(),
            rules: config.breaker,
            dice: Dice::new(RandomState::new().hash_one(&provider.slug)),
            ticks,
            parked,
        })
    }

    /// Whether there are keys for requests that bring none.
    pub fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// What keeps a request with others of its kind; `None` where nothing is to.
    pub fn affinity(&self, clue: &Clue<'_>) -> Option<u64> {
        match &self.balance {
            Balance::Sticky(by) => clue.affinity(by),
            _ => None,
        }
    }

    /// How all of them are: endpoints, keys, and of hosts and models those that are not well.
    pub fn conditions(&self) -> Vec<Condition> {
        let now_ms = self.ticks.now_ms();
        let told = |kind: &'static str, member: &Arc<Member>| Condition {
            provider: self.provider.clone(),
            member: format!("{kind} {}", member.label),
            state: member.breaker.state(now_ms),
        };
        let listed = self.endpoints.iter().map(|member| told("endpoint", member));
        let keys = self.key_members.iter().map(|member| told("key", member));
        let mut all: Vec<_> = listed.chain(keys).collect();
        for (kind, register) in [("endpoint", &self.hosts), ("model", &self.models)] {
            let members = register.members();
            let told = members.iter().map(|(_, member)| told(kind, member));
            all.extend(told.filter(|condition| condition.state != State::Closed));
        }
        all
    }
}

fn spread(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
