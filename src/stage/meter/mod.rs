//! From the bytes of an answer, as they pass, to what it used and what that costs.

mod memo;

use crate::base::money::NanoUsd;
use crate::dialect::usage::{Head, Reader, Reading};
use crate::llm::usage::Usage;
use crate::provider::config::{self, Config};
use crate::provider::place::Place;
use crate::provider::prices::book::Book;
use crate::provider::prices::custom::CustomCost;
use crate::provider::prices::price::{Facts, PriceSource};
use http::{HeaderMap, Method};
use memo::Memo;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Opens the reader of an answer that may have used something: looking an old answer up uses nothing
/// again.
pub fn open(place: &Place, method: &Method, status: u16, headers: &HeaderMap) -> Option<Reader> {
    if *method != Method::POST {
        return None;
    }
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let head = Head {
        status,
        header: &header,
    };
    Some(Reader::new(place.dialect, place.operation, head))
}

/// What an attempt used and costs, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bill {
    pub usage: Usage,
    /// `None` where nobody says what the model costs.
    pub cost: Option<NanoUsd>,
    pub source: PriceSource,
}

/// The prices that attempts are billed by.
pub struct Meter {
    prices: Memo,
}

impl Meter {
    /// The built-in prices with the user's own over them.
    pub fn build(providers: &BTreeMap<String, Config>) -> Self {
        Self {
            prices: Memo::new(Book::build(config::own_prices(providers))),
        }
    }

    /// The bill of an attempt at `slug`; `None` where nothing was reported. The request's own price
    /// comes first, then the user's, then what the provider states, then the book.
    pub fn bill(
        &self,
        slug: &Arc<str>,
        place: &Place,
        asked: Option<&str>,
        reading: &Reading,
        custom: Option<&CustomCost>,
    ) -> Option<Bill> {
        let usage = reading.usage?;
        let bill = |cost, source| {
            Some(Bill {
                usage,
                cost,
                source,
            })
        };
        if let Some(custom) = custom {
            return bill(custom.cost(&usage), PriceSource::Request);
        }
        let region = place.region.as_deref();
        let names = [place.model.as_deref(), asked, reading.model.as_deref()];
        let mut names = names.into_iter().flatten();
        let price = names.find_map(|name| self.prices.find(slug, name, region));
        let own = price
            .as_ref()
            .is_some_and(|price| price.source == PriceSource::Config);
        if let (Some(stated), false) = (usage.stated_cost_nano_usd, own) {
            return bill(Some(NanoUsd::new(stated)), PriceSource::Provider);
        }
        let cost = price.and_then(|price| price.cost(&usage, Facts::default()));
        match (cost, own) {
            (Some(cost), true) => bill(Some(cost), PriceSource::Config),
            (Some(cost), false) => bill(Some(cost), PriceSource::Book),
            (None, _) => bill(None, PriceSource::Unknown),
        }
    }
}
