//! Answers that are kept, and shared while they arrive.
//!
//! A question that was asked before costs nothing, and one that many ask at once costs one.

pub mod config;
pub mod control;
mod canonical;
pub mod key;
pub mod question;
pub mod whole;
pub mod head;
pub mod label;
pub mod fill;
pub mod reading;
pub mod purge;
mod fills;
mod notes;
pub mod archive;
pub mod storage;
pub mod keeper;

use crate::stage::route::Gateway;
use crate::store::entry::Key;
use archive::CacheStore;
use config::Config;
use control::{Policy, Wishes};
use key::Parts;
use question::Question;
use std::time::Duration;

/// What became of a request at the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Nobody asked for the cache.
    #[default]
    Off,
    /// It would have been used, had the request not said no, or been something that is never kept.
    Bypass,
    /// The provider was asked.
    Miss,
    Hit,
    /// Another request was asking the same, and its answer served both.
    Coalesced,
    /// No provider answered, and an answer that had expired stood in.
    Stale,
}

impl Outcome {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Bypass => "bypass",
            Self::Miss => "miss",
            Self::Hit => "hit",
            Self::Coalesced => "coalesced",
            Self::Stale => "stale",
        }
    }

    /// Whether the provider was spared.
    pub const fn is_cached(self) -> bool {
        matches!(self, Self::Hit | Self::Coalesced | Self::Stale)
    }
}

/// The rules of all gateways, over what is kept.
pub struct Cache {
    pub store: &'static CacheStore,
    gateways: Vec<Config>,
}

impl Cache {
    /// One rule a gateway, in the order of the gateways.
    pub fn build<'a>(
        store: &'static CacheStore,
        gateways: impl Iterator<Item = &'a Config>,
    ) -> Self {
        Self {
            store,
            gateways: gateways.cloned().collect(),
        }
    }

    /// What becomes of a request with these wishes.
    pub fn decide(&self, gateway: &Gateway, wishes: &Wishes) -> Policy {
        let rule = gateway.of(&self.gateways);
        wishes.decide(rule.map_or(Duration::ZERO, |rule| rule.ttl.duration()))
    }

    /// The key of what a request asks.
    pub fn key(&self, gateway: &Gateway, wishes: &Wishes, parts: &Parts<'_>) -> Option<Key> {
        let rule = gateway.of(&self.gateways)?;
        let keys = &self.store.keys;
        Some(match &wishes.key {
            Some(name) => keys.of_name(name, parts, rule),
            None => keys.of_question(parts, rule),
        })
    }

    /// What a request asks, to be kept for `ttl`.
    pub fn question(
        &self,
        gateway: &Gateway,
        (key, wishes): (Key, Wishes),
        ttl: Duration,
        parts: &Parts<'_>,
    ) -> Option<Question> {
        let rule = gateway.of(&self.gateways)?;
        Some(Question {
            key,
            ttl,
            stale: rule.stale_if_error.duration(),
            gateway: gateway.name.clone(),
            provider: parts.provider.clone(),
            model: parts.model.map(str::to_owned),
            name: wishes.key,
            generation: self.store.purges.load().count,
        })
    }
}
