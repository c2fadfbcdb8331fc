//! From the bytes of an answer, as they pass, to what it used and what that costs.

mod estimate;
pub mod learned;
mod memo;
mod spread;
pub mod worst;

use crate::base::money::NanoUsd;
use crate::dialect::usage::{Head, Reader, Reading};
use crate::llm::usage::Usage;
use crate::provider::config::{self, Config};
use crate::provider::place::Place;
use crate::provider::prices::book::Book;
use crate::provider::prices::custom::CustomCost;
use crate::provider::prices::price::{Facts, PriceSource};
use estimate::Ratios;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Method};
use learned::Learned;
use memo::Memo;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Opens the reader of an answer that may have used something: looking an old answer up uses nothing
/// again.
pub fn open(place: &Place, method: &Method, status: u16, headers: &HeaderMap) -> Option<Reader> {
    if *method != Method::POST {
        return None;
    }
    let header = |name: &str| {
        // A name that is not a text is not read again to be found.
        let value = match name {
            "content-type" => headers.get(CONTENT_TYPE),
            "content-encoding" => headers.get(CONTENT_ENCODING),
            _ => headers.get(name),
        };
        value?.to_str().ok()
    };
    let head = Head {
        status,
        header: &header,
    };
    Some(Reader::new(place.dialect, place.operation, head))
}

/// How far an attempt came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// The provider did not get the request, or refused or dropped it: nothing was used.
    Unserved,
    /// The provider had the request, and nobody waited for the answer.
    Unheard,
    /// The answer broke off, or nobody read on.
    Broken,
    /// The answer came whole.
    Whole,
}

/// One attempt that has ended, as the meter sees it.
pub struct Attempted<'a> {
    pub slug: &'a Arc<str>,
    pub place: &'a Place,
    /// The model by the request's body.
    pub model: Option<&'a str>,
    /// The request's body, where it was held.
    pub body: &'a [u8],
    pub reading: &'a Reading,
    pub course: Course,
    /// What the client says it costs.
    pub custom: Option<&'a CustomCost>,
}

/// Who says what an attempt used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageSource {
    Reported,
    /// Told from bytes, where the provider reported nothing or not all.
    Estimated,
}

impl UsageSource {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Estimated => "estimated",
        }
    }
}

/// What an attempt used and costs, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bill {
    pub usage: Usage,
    pub usage_source: UsageSource,
    /// `None` where nobody says what the model costs.
    pub cost: Option<NanoUsd>,
    pub price_source: PriceSource,
}

impl Bill {
    /// An answer that the provider did not make.
    pub fn free() -> Self {
        Self {
            usage: Usage {
                input: Some(0),
                output: Some(0),
                ..Usage::default()
            },
            usage_source: UsageSource::Reported,
            cost: Some(NanoUsd::default()),
            price_source: PriceSource::Unknown,
        }
    }

    /// Input and output tokens together.
    pub fn tokens(&self) -> u64 {
        let Usage { input, output, .. } = self.usage;
        input
            .unwrap_or_default()
            .saturating_add(output.unwrap_or_default())
    }

    /// Both bills as one: an estimate in either makes the whole one, and an unknown cost an unknown sum.
    pub fn and(self, other: Self) -> Self {
        let estimated = [self.usage_source, other.usage_source].contains(&UsageSource::Estimated);
        let cost = self.cost.zip(other.cost);
        let known = if self.cost.is_none() { self } else { other };
        Self {
            usage: self.usage.plus(other.usage),
            usage_source: if estimated {
                UsageSource::Estimated
            } else {
                UsageSource::Reported
            },
            cost: cost.map(|(one, two)| one.saturating_add(two)),
            price_source: known.price_source,
        }
    }
}

/// The prices that attempts are billed by, and what was learned of the models.
pub struct Meter {
    prices: Memo,
    ratios: Arc<Ratios>,
}

impl Meter {
    /// The built-in prices with the user's own over them. What an `earlier` one learned is known.
    pub fn build(providers: &BTreeMap<String, Config>, earlier: Option<&Self>) -> Self {
        let ratios = earlier.map(|earlier| earlier.ratios.clone());
        Self {
            prices: Memo::new(Book::build(config::own_prices(providers))),
            ratios: ratios.unwrap_or_default(),
        }
    }

    /// What was learned of models, for a successor.
    pub fn learned(&self) -> Learned {
        self.ratios.tell()
    }

    /// Takes that over, before the first bill.
    pub fn resume(&self, told: &Learned) {
        self.ratios.resume(told);
    }

    /// The bill of an attempt; `None` where nothing was used as far as anybody knows.
    pub fn bill(&self, attempted: &Attempted<'_>) -> Option<Bill> {
        let (usage, usage_source) = self.usage(attempted)?;
        let (cost, price_source) = self.cost(attempted, &usage);
        Some(Bill {
            usage,
            usage_source,
            cost,
            price_source,
        })
    }

    fn usage(&self, attempted: &Attempted<'_>) -> Option<(Usage, UsageSource)> {
        let Attempted { slug, reading, .. } = attempted;
        let place = attempted.place;
        let model = place.model.as_deref().or(attempted.model);
        let model = model.unwrap_or_default();
        match (attempted.course, reading.usage) {
            (Course::Unserved, _) => return None,
            // What was told before an error is no more than a part.
            (Course::Whole, Some(usage)) if reading.complete || !reading.error => {
                self.ratios.learn(slug, model, attempted.body, reading);
                return Some((usage, UsageSource::Reported));
            }
            // A failure in place of an answer.
            (_, None) if reading.error && reading.output_bytes == 0 => return None,
            _ => {}
        }
        let told = reading.usage;
        if !estimate::is_text(place.operation, reading.output_bytes) {
            return told.map(|usage| (usage, UsageSource::Estimated));
        }
        let input = self.ratios.input(slug, model, attempted.body);
        let output = self.ratios.output(slug, model, reading.output_bytes);
        let usage = estimate::complete(told.unwrap_or_default(), input, output);
        Some((usage, UsageSource::Estimated))
    }

    /// The request's own price comes first, then the user's, then what the provider states, then
    /// the book.
    fn cost(&self, attempted: &Attempted<'_>, usage: &Usage) -> (Option<NanoUsd>, PriceSource) {
        let Attempted { slug, place, .. } = attempted;
        if let Some(custom) = attempted.custom {
            return (custom.cost(usage), PriceSource::Request);
        }
        let region = place.region.as_deref();
        let answered = attempted.reading.model.as_deref();
        let names = [place.model.as_deref(), attempted.model, answered];
        let mut names = names.into_iter().flatten();
        let now = Instant::now();
        let price = names.find_map(|name| self.prices.find(slug, name, region, now));
        let own = price
            .as_ref()
            .is_some_and(|price| price.source == PriceSource::Config);
        if let (Some(stated), false) = (usage.stated_cost_nano_usd, own) {
            return (Some(NanoUsd::new(stated)), PriceSource::Provider);
        }
        let cost = price.and_then(|price| price.cost(usage, Facts::default()));
        match (cost, own) {
            (Some(cost), true) => (Some(cost), PriceSource::Config),
            (Some(cost), false) => (Some(cost), PriceSource::Book),
            (None, _) => (None, PriceSource::Unknown),
        }
    }
}

#[cfg(test)]
mod tests;
