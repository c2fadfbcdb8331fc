//! The pools of all providers, and how they are, for the operator.

use super::breaker::State;
use super::pool::{Condition, KeyError, Pool};
use super::standing::Standing;
use crate::base::chance;
use crate::base::clock::Ticks;
use crate::provider::catalogue::Catalogue;
use crate::provider::config::Config;
use arc_swap::ArcSwapOption;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// One pool a provider.
#[derive(Debug)]
pub struct Pools {
    pools: HashMap<Arc<str>, Arc<Pool>>,
    /// The clock of all pools, which a reload does not touch.
    ticks: Ticks,
}

impl Pools {
    /// `own` is what the user wrote of the providers; those of which nothing was written have a
    /// pool with the defaults. An `earlier` pool in which nothing has changed is used on, and what
    /// is known of the members of one that did is not forgotten.
    ///
    /// # Errors
    /// A key fits into no header field.
    pub fn build(
        catalogue: &Catalogue,
        own: &BTreeMap<String, Config>,
        parked: &IntCounterVec,
        earlier: Option<&Self>,
    ) -> Result<Self, KeyError> {
        let defaults = Config::default();
        let ticks = earlier.map_or_else(Ticks::steady, |earlier| earlier.ticks.clone());
        let pools = catalogue.providers().map(|provider| {
            let config = own.get(&*provider.slug).unwrap_or(&defaults);
            let pool = Pool::build(provider, config, parked.clone(), ticks.clone())?;
            let earlier = earlier.and_then(|earlier| earlier.pool(&provider.slug));
            Ok((provider.slug.clone(), pool.or_heir_of(earlier)))
        });
        let pools = pools.collect::<Result<_, KeyError>>()?;
        Ok(Self { pools, ticks })
    }

    /// What is known of all members, for a successor.
    ///
    /// # Errors
    /// The system gives no random bytes for the digests of keys.
    pub fn standing(&self) -> std::io::Result<Standing> {
        let salt = chance::random()?;
        let pools = self.pools.iter();
        let told = pools.map(|(slug, pool)| (slug.to_string(), pool.standing(&salt)));
        let told = told.filter(|(_, told)| !told.is_blank());
        Ok(Standing {
            salt,
            providers: told.collect(),
        })
    }

    /// Goes on where a predecessor stood, before the first request is served.
    pub fn resume(&self, told: &Standing) {
        for (slug, of_pool) in &told.providers {
            if let Some(pool) = self.pool(slug) {
                pool.resume(of_pool, &told.salt);
            }
        }
    }

    pub fn pool(&self, slug: &str) -> Option<&Arc<Pool>> {
        self.pools.get(slug)
    }

    /// How all members of all pools are.
    pub fn conditions(&self) -> impl Iterator<Item = Condition> {
        self.pools.values().flat_map(|pool| pool.conditions())
    }
}

/// The instruments of the pools. They outlive every reload.
pub struct Health {
    /// Keys that were parked, by provider and name.
    pub parked: IntCounterVec,
    states: IntGaugeVec,
    shown: ArcSwapOption<Pools>,
}

impl Health {
    /// # Errors
    /// Two instruments have one name.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let parked = IntCounterVec::new(
            Opts::new(
                "tollgate_keys_parked_total",
                "Times that a stored key was parked because its provider refused it.",
            ),
            &["provider", "key"],
        )?;
        let states = IntGaugeVec::new(
            Opts::new(
                "tollgate_breaker_state",
                "0 closed, 1 half-open, 2 open; hosts and models only while they are not closed.",
            ),
            &["provider", "member"],
        )?;
        registry.register(Box::new(parked.clone()))?;
        registry.register(Box::new(states.clone()))?;
        Ok(Self {
            parked,
            states,
            shown: ArcSwapOption::empty(),
        })
    }

    /// These pools are the ones in use from now on.
    pub fn show(&self, pools: Arc<Pools>) {
        self.shown.store(Some(pools));
    }

    /// Reads the states anew, before they are exposed.
    pub fn refresh(&self) {
        let Some(pools) = self.shown.load_full() else {
            return;
        };
        self.states.reset();
        for condition in pools.conditions() {
            let labels = [&*condition.provider, condition.member.as_str()];
            let state = match condition.state {
                State::Closed => 0,
                State::HalfOpen => 1,
                State::Open => 2,
            };
            self.states.with_label_values(&labels).set(state);
        }
    }
}

#[cfg(test)]
mod tests;
