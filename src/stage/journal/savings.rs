//! What the cache did and saved, as metrics.

use super::record::Shared;
use crate::base::key::Key;
use crate::stage::cache::Outcome;
use crate::stage::cache::archive::{CacheStore, Tier};
use prometheus::{
    Counter, CounterVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use std::sync::OnceLock;

/// The instruments of the cache.
pub struct Savings {
    requests: IntCounterVec,
    saved: CounterVec,
    bytes: IntGaugeVec,
    entries: IntGaugeVec,
    disk_errors: IntCounter,
    disk_failing: IntGauge,
}

/// The counters of one gateway, provider and model.
#[derive(Default)]
pub struct Known {
    hits: OnceLock<IntCounter>,
    saved: OnceLock<Counter>,
}

impl Savings {
    /// # Errors
    /// Two instruments have one name.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let savings = Self {
            requests: IntCounterVec::new(
                Opts::new(
                    "tollgate_cache_requests_total",
                    "Requests for which the cache was switched on, by what became of them there.",
                ),
                &["gateway", "result"],
            )?,
            saved: CounterVec::new(
                Opts::new(
                    "tollgate_saved_usd_total",
                    "What answers out of the cache cost when they were made, where that is known.",
                ),
                &["gateway", "provider", "model"],
            )?,
            bytes: IntGaugeVec::new(
                Opts::new("tollgate_cache_bytes", "What kept answers take, by tier."),
                &["tier"],
            )?,
            entries: IntGaugeVec::new(
                Opts::new("tollgate_cache_entries", "Kept answers, by tier."),
                &["tier"],
            )?,
            disk_errors: IntCounter::new(
                "tollgate_cache_disk_errors_total",
                "Failed reads and writes of the cache's directory.",
            )?,
            disk_failing: IntGauge::new(
                "tollgate_cache_disk_failing",
                "1 while the cache's directory cannot be used and answers are kept in memory only.",
            )?,
        };
        registry.register(Box::new(savings.requests.clone()))?;
        registry.register(Box::new(savings.saved.clone()))?;
        registry.register(Box::new(savings.bytes.clone()))?;
        registry.register(Box::new(savings.entries.clone()))?;
        registry.register(Box::new(savings.disk_errors.clone()))?;
        registry.register(Box::new(savings.disk_failing.clone()))?;
        Ok(savings)
    }

    /// Counts a finished request.
    pub fn observe(&self, Key(labels): Key<'_, 3>, shared: &Shared, known: &Known) {
        let [gateway, ..] = labels;
        let requests = || {
            let result = [gateway, shared.outcome.name()];
            self.requests.with_label_values(&result)
        };
        match shared.outcome {
            Outcome::Off => return,
            Outcome::Hit => known.hits.get_or_init(requests).inc(),
            _ => requests().inc(),
        }
        if let Some(saved) = shared.saved {
            let counter = || self.saved.with_label_values(&labels);
            known.saved.get_or_init(counter).inc_by(saved.dollars());
        }
    }

    /// Takes stock of what is kept.
    pub fn take_stock(&self, store: &CacheStore) {
        let (memory, disk) = store.tiers();
        for (tier, stock) in [("memory", Some(memory)), ("disk", disk)] {
            let Some(Tier { entries, bytes }) = stock else {
                continue;
            };
            let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            self.bytes.with_label_values(&[tier]).set(gauge(bytes));
            self.entries.with_label_values(&[tier]).set(gauge(entries));
        }
        let (errors, failing) = store.disk_errors();
        let known = self.disk_errors.get();
        self.disk_errors.inc_by(errors.saturating_sub(known));
        self.disk_failing.set(i64::from(failing));
    }
}
