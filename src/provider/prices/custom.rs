//! The price that a request brings along in `cf-aig-custom-cost`.

use super::price::{Facts, Price, PriceSource};
use super::rates::{Item, Rates};
use crate::base::money::{MoneyError, NanoUsd, Rate};
use crate::llm::usage::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::str::FromStr;

/// What the client says the request costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomCost {
    PerToken(Box<Price>),
    Total(NanoUsd),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CustomCostError {
    #[error("cf-aig-custom-cost is not a JSON object")]
    Malformed,
    #[error("cf-aig-custom-cost has neither total_cost nor both per_token_in and per_token_out")]
    Incomplete,
    #[error("cf-aig-custom-cost: {key}: {fault}")]
    Number {
        key: &'static str,
        fault: MoneyError,
    },
}

/// US dollars, for one token or in all. Numbers are kept as text: a float would not be exact.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    per_token_in: Option<&'a RawValue>,
    #[serde(borrow)]
    per_token_out: Option<&'a RawValue>,
    #[serde(borrow)]
    per_cache_read_token: Option<&'a RawValue>,
    #[serde(borrow)]
    per_cache_write_token: Option<&'a RawValue>,
    #[serde(borrow)]
    total_cost: Option<&'a RawValue>,
}

impl FromStr for CustomCost {
    type Err = CustomCostError;

    /// Reads the header's value. `total_cost` goes before prices by the token.
    fn from_str(text: &str) -> Result<Self, CustomCostError> {
        let wire: Wire<'_> = match serde_json::from_str(text) {
            Ok(wire) if text.trim_start().starts_with('{') => wire,
            _ => return Err(CustomCostError::Malformed),
        };
        if let Some(total) = wire.total_cost {
            return match NanoUsd::from_decimal(total.get()) {
                Ok(total) => Ok(Self::Total(total)),
                Err(fault) => {
                    let key = "total_cost";
                    Err(CustomCostError::Number { key, fault })
                }
            };
        }
        let (Some(input), Some(output)) = (wire.per_token_in, wire.per_token_out) else {
            return Err(CustomCostError::Incomplete);
        };
        let mut rates = Rates::default();
        for (item, key, number) in [
            (Item::Input, "per_token_in", Some(input)),
            (Item::Output, "per_token_out", Some(output)),
            // A cached token without a rate of its own costs what any other costs.
            (
                Item::CachedInput,
                "per_cache_read_token",
                wire.per_cache_read_token,
            ),
            (
                Item::CacheWrite,
                "per_cache_write_token",
                wire.per_cache_write_token,
            ),
        ] {
            if let Some(number) = number {
                let rate = Rate::per_one(number.get());
                let rate = rate.map_err(|fault| CustomCostError::Number { key, fault })?;
                rates.set(item, rate);
            }
        }
        let price = Price::flat(rates, PriceSource::Request);
        Ok(Self::PerToken(Box::new(price)))
    }
}

impl CustomCost {
    /// What the request costs; `None` where it depends on tokens and nothing is known of them.
    pub fn cost(&self, usage: &Usage) -> Option<NanoUsd> {
        match self {
            Self::PerToken(price) => price.cost(usage, Facts::default()),
            Self::Total(total) => Some(*total),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage() -> Usage {
        Usage {
            input: Some(1_000),
            output: Some(200),
            cached_input: Some(300),
            cache_write: Some(100),
            ..Usage::default()
        }
    }

    fn check(header: &str, expect: &str) {
        let cost: CustomCost = header.parse().unwrap();
        assert_eq!(cost.cost(&usage()).unwrap().to_string(), expect, "{header}");
    }

    #[test]
    fn both_shapes_are_read() {
        check(r#"{"total_cost": 0.0125}"#, "0.0125");
        check(r#"{"total_cost": 0}"#, "0");
        // 1000 x 1e-6 + 200 x 2e-6: cached tokens cost what others cost.
        check(
            r#"{"per_token_in": 0.000001, "per_token_out": 2e-6}"#,
            "0.0014",
        );
        // 700 x 1e-6 (written ones too) + 300 x 1e-7 + 200 x 2e-6.
        check(
            r#"{"per_token_in":1E-6,"per_token_out":0.000002,"per_cache_read_token":1e-7}"#,
            "0.00113",
        );
        // 600 x 1e-6 + 300 x 1e-7 + 100 x 1.25e-6 + 200 x 2.5e-6.
        check(
            r#"{"per_token_in":1e-6,"per_token_out":2.5e-6,"per_cache_read_token":1e-7,"per_cache_write_token":1.25e-6}"#,
            "0.001255",
        );
    }

    #[test]
    fn numbers_made_by_floats_are_taken() {
        // 1000 x 3.3e-6, as JavaScript writes 1.1 * 3e-6.
        check(
            r#"{"per_token_in":0.0000033000000000000006,"per_token_out":0}"#,
            "0.0033",
        );
    }

    #[test]
    fn what_is_no_cost_says_why() {
        let fault = |header: &str| header.parse::<CustomCost>().unwrap_err();
        for header in ["", "0.1", "[]", "[1,2,3,4,5]", "null", "{", r#""x""#] {
            assert_eq!(fault(header), CustomCostError::Malformed, "{header}");
        }
        for header in ["{}", r#"{"per_token_in":1}"#, r#"{"total_cost":null}"#] {
            assert_eq!(fault(header), CustomCostError::Incomplete, "{header}");
        }
        let number = |key, fault| CustomCostError::Number { key, fault };
        assert_eq!(
            fault(r#"{"total_cost":-1}"#),
            number("total_cost", MoneyError::Negative)
        );
        assert_eq!(
            fault(r#"{"total_cost":"1"}"#),
            number("total_cost", MoneyError::Malformed)
        );
        assert_eq!(
            fault(r#"{"per_token_in":1e-6,"per_token_out":1e9}"#),
            number("per_token_out", MoneyError::TooLarge)
        );
    }
}
