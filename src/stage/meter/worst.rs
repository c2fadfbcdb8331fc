//! The most that a request may use, told before it is sent.

use super::Meter;
use crate::base::money::NanoUsd;
use crate::llm::operation::Operation;
use crate::llm::usage::Usage;
use crate::provider::place::Place;
use crate::provider::prices::custom::CustomCost;
use crate::provider::prices::price::Facts;
use crate::stage::limit::rule::Worst;
use std::sync::Arc;
use std::time::Instant;

/// Tokens of an answer that nothing bounds, as long as its model has given too few to tell what
/// 95 of 100 do not exceed.
const OUTPUT_GUESS: u64 = 1_024;

/// A request before it is sent, as the meter sees it.
pub struct Asking<'a> {
    pub slug: &'a Arc<str>,
    pub place: &'a Place,
    pub model: Option<&'a str>,
    /// The request's body, where it was held.
    pub body: &'a [u8],
    /// The most tokens that the request lets its answer have.
    pub output_max: Option<u64>,
    /// What the client says it costs.
    pub custom: Option<&'a CustomCost>,
}

impl Meter {
    /// Tokens by the text's length and the bound that the request sets itself, and what these cost by
    /// the model's price; at least one token either way, so that nothing passes an empty budget.
    pub fn worst(&self, asking: &Asking<'_>) -> Worst {
        let Asking { slug, place, .. } = asking;
        let model = asking.model.unwrap_or_default();
        let input = self.ratios.input(slug, model, asking.body).max(1);
        let output = match (asking.output_max, place.operation) {
            (Some(output_max), _) => output_max.max(1),
            (None, Operation::Embeddings) => 1,
            (None, _) => {
                let learned = self.ratios.output_p95(slug, model);
                learned.unwrap_or(OUTPUT_GUESS)
            }
        };
        let usage = Usage {
            input: Some(input),
            output: Some(output),
            ..Usage::default()
        };
        let cost = match asking.custom {
            Some(custom) => custom.cost(&usage),
            None => {
                let region = place.region.as_deref();
                let price = self.prices.find(slug, model, region, Instant::now());
                price.and_then(|price| price.cost(&usage, Facts::default()))
            }
        };
        Worst {
            input,
            output,
            cost: cost.unwrap_or_default().max(NanoUsd::new(1)),
            bounded: asking.output_max.is_some(),
        }
    }
}
