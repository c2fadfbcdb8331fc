//! The price of one model, with its special cases.

use super::bill::Bill;
use super::rates::Rates;
use crate::base::money::NanoUsd;
use crate::llm::usage::Usage;
use jiff::civil::Date;

/// How urgent a request was, as the provider served it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tier {
    #[default]
    Standard,
    Batch,
    Flex,
    Balanced,
    Priority,
    Ultrafast,
}

/// How much a search may bring in, as the request asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SearchContext {
    #[default]
    Low,
    Medium,
    High,
}

/// What decides about a price and is no count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub tier: Tier,
    pub search_context: SearchContext,
}

/// Where a price comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PriceSource {
    /// The price book that tollgate brings along.
    Book,
    /// The user's own prices.
    Config,
    /// The request's `cf-aig-custom-cost`.
    Request,
    /// What the provider states in its answer that it bills.
    Provider,
    #[default]
    Unknown,
}

impl PriceSource {
    /// As it stands in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Book => "book",
            Self::Config => "config",
            Self::Request => "request",
            Self::Provider => "provider",
            Self::Unknown => "unknown",
        }
    }
}

/// What a model costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    pub rates: Rates,
    /// In rising order: each that applies replaces what it lists.
    pub cases: Vec<Case>,
    pub source: PriceSource,
    /// The day from which the price is known to hold.
    pub valid_from: Option<Date>,
}

/// Rates that hold where all its conditions do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Case {
    pub tier: Option<Tier>,
    /// Holds for the whole request once its input is larger than this many tokens.
    pub above: Option<u64>,
    pub search_context: Option<SearchContext>,
    pub rates: Rates,
}

impl Tier {
    const ALL: [Self; 6] = [
        Self::Standard,
        Self::Batch,
        Self::Flex,
        Self::Balanced,
        Self::Priority,
        Self::Ultrafast,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Balanced => "balanced",
            Self::Priority => "priority",
            Self::Ultrafast => "ultrafast",
        }
    }

    /// The tier that providers call this; whatever is not known is the standard.
    pub fn named(name: &str) -> Self {
        let named = |tier: &Self| tier.as_str().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(named).unwrap_or_default()
    }
}

impl SearchContext {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// `low`, `medium` or `high`; whatever else is `low`.
    pub fn named(name: &str) -> Self {
        match name {
            "medium" => Self::Medium,
            "high" => Self::High,
            _ => Self::Low,
        }
    }
}

impl Price {
    /// A price without special cases.
    pub fn flat(rates: Rates, source: PriceSource) -> Self {
        Self {
            rates,
            cases: Vec::new(),
            source,
            valid_from: None,
        }
    }

    /// What this use costs; `None` where something was used and the price lists nothing of it, or
    /// where nothing is known of the use.
    pub fn cost(&self, usage: &Usage, facts: Facts) -> Option<NanoUsd> {
        self.bill(usage, facts).total()
    }

    /// What this use costs, item by item.
    pub fn bill(&self, usage: &Usage, facts: Facts) -> Bill {
        let mut rates = self.rates;
        let input = super::bill::whole_input(usage);
        for case in &self.cases {
            if case.holds(input, facts) {
                rates = rates.overlay(&case.rates);
            }
        }
        Bill::new(rates, usage)
    }
}

impl Case {
    fn holds(&self, input: u64, facts: Facts) -> bool {
        let size = facts.search_context;
        self.tier.is_none_or(|tier| tier == facts.tier)
            && self.above.is_none_or(|above| input > above)
            && self.search_context.is_none_or(|wanted| wanted == size)
    }
}
