//! What requests used and cost, as metrics.

use super::savings::Savings;
use crate::base::key::Key;
use crate::stage::meter::{Bill, UsageSource};
use prometheus::{Counter, CounterVec, IntCounter, IntCounterVec, Opts, Registry};
use std::sync::OnceLock;

/// The instruments of tokens and money.
pub struct Spending {
    all: Spent,
    /// The part of it that was told from bytes.
    estimated: Spent,
    unpriced: IntCounterVec,
    /// What was not spent.
    pub savings: Savings,
}

/// Tokens, and what they cost.
struct Spent {
    tokens: IntCounterVec,
    cost: CounterVec,
}

/// The counters of one gateway, provider and model.
#[derive(Default)]
pub struct Known {
    all: KnownSpent,
    estimated: KnownSpent,
    unpriced: OnceLock<IntCounter>,
}

#[derive(Default)]
struct KnownSpent {
    /// By kind.
    tokens: [OnceLock<IntCounter>; 5],
    cost: OnceLock<Counter>,
}

impl Spending {
    /// # Errors
    /// Two instruments have one name.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let all = Spent::register(
            registry,
            [
                "tollgate_tokens_total",
                "Tokens used; cached_input, cache_write and reasoning are parts.",
            ],
            [
                "tollgate_cost_usd_total",
                "What requests cost, where that is known.",
            ],
        )?;
        let estimated = Spent::register(
            registry,
            [
                "tollgate_estimated_tokens_total",
                "The part of tollgate_tokens_total that was estimated: the provider did not report it.",
            ],
            [
                "tollgate_estimated_cost_usd_total",
                "The part of tollgate_cost_usd_total that rests on estimated tokens.",
            ],
        )?;
        let unpriced = IntCounterVec::new(
            Opts::new(
                "tollgate_unpriced_total",
                "Attempts that used something, by models that have no known price.",
            ),
            &["gateway", "provider", "model"],
        )?;
        registry.register(Box::new(unpriced.clone()))?;
        Ok(Self {
            all,
            estimated,
            unpriced,
            savings: Savings::register(registry)?,
        })
    }

    /// Counts a bill.
    pub fn observe(&self, labels: Key<'_, 3>, bill: &Bill, known: &Known) {
        self.all.add(labels, bill, &known.all);
        if bill.usage_source == UsageSource::Estimated {
            self.estimated.add(labels, bill, &known.estimated);
        }
        if bill.cost.is_none() {
            let counter = || self.unpriced.with_label_values(&labels.0);
            known.unpriced.get_or_init(counter).inc();
        }
    }
}

impl Spent {
    /// Names and help texts of both.
    fn register(
        registry: &Registry,
        [tokens, tokens_help]: [&str; 2],
        [cost, cost_help]: [&str; 2],
    ) -> Result<Self, prometheus::Error> {
        let tokens = Opts::new(tokens, tokens_help);
        let cost = Opts::new(cost, cost_help);
        let spent = Self {
            tokens: IntCounterVec::new(tokens, &["gateway", "provider", "model", "kind"])?,
            cost: CounterVec::new(cost, &["gateway", "provider", "model"])?,
        };
        registry.register(Box::new(spent.tokens.clone()))?;
        registry.register(Box::new(spent.cost.clone()))?;
        Ok(spent)
    }

    fn add(&self, Key(labels): Key<'_, 3>, bill: &Bill, known: &KnownSpent) {
        let [gateway, provider, model] = labels;
        let usage = &bill.usage;
        let kinds = [
            ("input", usage.input),
            ("output", usage.output),
            ("cached_input", usage.cached_input),
            ("cache_write", usage.cache_write),
            ("reasoning", usage.reasoning),
        ];
        for ((kind, count), known) in kinds.into_iter().zip(&known.tokens) {
            if let Some(count) = count.filter(|count| *count > 0) {
                let labels = [gateway, provider, model, kind];
                let counter = || self.tokens.with_label_values(&labels);
                known.get_or_init(counter).inc_by(count);
            }
        }
        if let Some(cost) = bill.cost {
            let counter = || self.cost.with_label_values(&labels);
            known.cost.get_or_init(counter).inc_by(cost.dollars());
        }
    }
}
