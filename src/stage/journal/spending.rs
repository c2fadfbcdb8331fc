//! What requests used and cost, as metrics.

use crate::stage::meter::Bill;
use prometheus::{CounterVec, IntCounterVec, Opts, Registry};

/// The instruments of tokens and money.
pub struct Spending {
    tokens: IntCounterVec,
    cost: CounterVec,
    unpriced: IntCounterVec,
}

impl Spending {
    /// # Errors
    /// Two instruments have one name.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let spending = Self {
            tokens: IntCounterVec::new(
                Opts::new(
                    "tollgate_tokens_total",
                    "Tokens that providers reported; cached_input, cache_write and reasoning are parts.",
                ),
                &["gateway", "provider", "model", "kind"],
            )?,
            cost: CounterVec::new(
                Opts::new(
                    "tollgate_cost_usd_total",
                    "What requests cost, where that is known.",
                ),
                &["gateway", "provider", "model"],
            )?,
            unpriced: IntCounterVec::new(
                Opts::new(
                    "tollgate_unpriced_total",
                    "Requests with reported usage whose model has no known price.",
                ),
                &["gateway", "provider", "model"],
            )?,
        };
        registry.register(Box::new(spending.tokens.clone()))?;
        registry.register(Box::new(spending.cost.clone()))?;
        registry.register(Box::new(spending.unpriced.clone()))?;
        Ok(spending)
    }

    /// Counts a bill; the labels are gateway, provider and model.
    pub fn observe(&self, [gateway, provider, model]: [&str; 3], bill: &Bill) {
        let kinds = [
            ("input", bill.usage.input),
            ("output", bill.usage.output),
            ("cached_input", bill.usage.cached_input),
            ("cache_write", bill.usage.cache_write),
            ("reasoning", bill.usage.reasoning),
        ];
        for (kind, count) in kinds {
            let labels = [gateway, provider, model, kind];
            if let Some(count) = count.filter(|count| *count > 0) {
                self.tokens.with_label_values(&labels).inc_by(count);
            }
        }
        let labels = [gateway, provider, model];
        match bill.cost {
            Some(cost) => {
                let dollars = cost.dollars();
                self.cost.with_label_values(&labels).inc_by(dollars);
            }
            None => self.unpriced.with_label_values(&labels).inc(),
        }
    }
}
