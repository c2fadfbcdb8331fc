//! What a user writes under `providers.SLUG.prices`: dollars per MILLION tokens.

use super::price::{Price, PriceSource};
use super::rates::{Item, Rates};
use crate::base::money::{self, Rate};
use jiff::civil::Date;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, de};
use std::collections::BTreeMap;

/// The price of one model, in place of all that the price book says of it. Tokens and characters
/// are in dollars per MILLION (`$2.50`), what begins with `per_` in dollars for one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Wire")]
pub struct OwnPrice {
    rates: Rates,
    valid_from: Option<Date>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    input: Option<PerMillion>,
    output: Option<PerMillion>,
    /// Absent: as `input`.
    cached_input: Option<PerMillion>,
    /// Absent: as `input`.
    cache_write: Option<PerMillion>,
    /// Absent: as `cache_write`.
    cache_write_1h: Option<PerMillion>,
    /// Absent: as `output`.
    reasoning: Option<PerMillion>,
    audio_input: Option<PerMillion>,
    audio_output: Option<PerMillion>,
    image_input: Option<PerMillion>,
    image_output: Option<PerMillion>,
    characters: Option<PerMillion>,
    per_request: Option<PerOne>,
    /// For an image made.
    per_image: Option<PerOne>,
    /// For a second of audio, or of the machine where the provider reports that.
    per_second: Option<PerOne>,
    per_search: Option<PerOne>,
    /// The first day, `YYYY-MM-DD`; before it the price book counts.
    #[serde(default, deserialize_with = "read_date")]
    valid_from: Option<Date>,
}

#[derive(Clone, Copy)]
struct PerMillion(Rate);

#[derive(Clone, Copy)]
struct PerOne(Rate);

#[derive(Debug, thiserror::Error)]
enum OwnPriceError {
    #[error("no price is written here; write input and output in dollars per million tokens")]
    Empty,
    #[error(
        "input and output are priced together; write both, in dollars per million tokens, and $0 for what is free"
    )]
    Half,
}

impl TryFrom<Wire> for OwnPrice {
    type Error = OwnPriceError;

    fn try_from(wire: Wire) -> Result<Self, OwnPriceError> {
        let millions = [
            (Item::Input, wire.input),
            (Item::Output, wire.output),
            (Item::CachedInput, wire.cached_input),
            (Item::CacheWrite, wire.cache_write),
            (Item::CacheWrite1h, wire.cache_write_1h),
            (Item::Reasoning, wire.reasoning),
            (Item::AudioInput, wire.audio_input),
            (Item::AudioOutput, wire.audio_output),
            (Item::ImageInput, wire.image_input),
            (Item::ImageOutput, wire.image_output),
            (Item::Character, wire.characters),
        ];
        let ones = [
            (Item::Request, wire.per_request),
            (Item::Image, wire.per_image),
            (Item::Second, wire.per_second),
            (Item::Search, wire.per_search),
        ];
        let millions = millions.map(|(item, price)| (item, price.map(|PerMillion(rate)| rate)));
        let ones = ones.map(|(item, price)| (item, price.map(|PerOne(rate)| rate)));
        let mut rates = Rates::default();
        for (item, rate) in millions.into_iter().chain(ones) {
            if let Some(rate) = rate {
                rates.set(item, rate);
            }
        }
        let tokens = rates.listed().any(|(item, _)| item.is_token());
        match () {
            () if rates == Rates::default() => Err(OwnPriceError::Empty),
            () if tokens && !(rates.has(Item::Input) && rates.has(Item::Output)) => {
                Err(OwnPriceError::Half)
            }
            () => Ok(Self {
                rates,
                valid_from: wire.valid_from,
            }),
        }
    }
}

impl<'de> Deserialize<'de> for PerMillion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        money::deserialize_dollars(deserializer, Rate::per_million_dollars).map(Self)
    }
}

impl<'de> Deserialize<'de> for PerOne {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        money::deserialize_dollars(deserializer, Rate::per_one_dollars).map(Self)
    }
}

fn read_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    let text = <Option<String> as de::Deserialize>::deserialize(deserializer)?;
    let fault = "this is not a date; write YYYY-MM-DD, as in 2026-11-21";
    let read = |text: String| text.parse().map_err(|_| D::Error::custom(fault));
    text.map(read).transpose()
}

/// One provider's own prices, ready to be asked.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnPrices {
    exact: BTreeMap<String, Price>,
    /// What stands before the `*`; the longest first.
    starts: Vec<(String, Price)>,
}

impl OwnPrices {
    pub fn build(config: &BTreeMap<String, OwnPrice>) -> Self {
        let mut own = Self::default();
        for (model, written) in config {
            let mut price = Price::flat(written.rates, PriceSource::Config);
            price.valid_from = written.valid_from;
            let model = model.to_lowercase();
            match model.strip_suffix('*') {
                Some(start) => own.starts.push((start.to_owned(), price)),
                None => {
                    own.exact.insert(model, price);
                }
            }
        }
        own.starts
            .sort_by_key(|(start, _)| std::cmp::Reverse(start.len()));
        own
    }

    /// The price under the first of these names that has one; else by the longest beginning.
    pub fn find(&self, names: &[String], on: Date) -> Option<&Price> {
        let holds = |price: &&Price| price.valid_from.is_none_or(|first| first <= on);
        let mut exact = names.iter().filter_map(|name| self.exact.get(name));
        exact.find(|price| holds(price)).or_else(|| {
            let fits = |start: &str| names.iter().any(|name| name.starts_with(start));
            let mut starts = self.starts.iter().filter(|(start, _)| fits(start));
            starts.find_map(|(_, price)| Some(price).filter(&holds))
        })
    }

    pub fn listed(&self) -> impl Iterator<Item = (String, &Price)> {
        let exact = self.exact.iter();
        let starts = self.starts.iter();
        exact
            .map(|(model, price)| (model.clone(), price))
            .chain(starts.map(|(start, price)| (format!("{start}*"), price)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str, expect: &str) {
        let fault = serde_yaml::from_str::<OwnPrice>(yaml).unwrap_err();
        assert!(fault.to_string().contains(expect), "{yaml}: {fault}");
    }

    #[test]
    fn prices_are_dollars_per_million_or_for_one() {
        let own: OwnPrice = serde_yaml::from_str(
            "{input: $2.50, output: $10, cached_input: $0.25, per_image: $0.04, valid_from: 2026-11-21}",
        )
        .unwrap();
        // $2.50 for a million tokens is 2.5e-6 dollars for one, 2.5e9 femto-dollars.
        let rate = |item| own.rates.find(item);
        assert_eq!(rate(Item::Input), Some(Rate::from_femto(2_500_000_000)));
        assert_eq!(
            rate(Item::Image),
            Some(Rate::from_femto(40_000_000_000_000))
        );
        assert_eq!(rate(Item::Reasoning), None);
        assert_eq!(own.valid_from, Some(jiff::civil::date(2026, 11, 21)));
    }

    #[test]
    fn what_is_no_price_says_why() {
        check("{}", "no price is written here");
        check("{input: $1}", "input and output are priced together");
        check("{cached_input: $1}", "input and output are priced together");
        check(
            "{input: 2.5, output: $1}",
            "money begins with a dollar sign",
        );
        check("{input: $x, output: $1}", "not a decimal number");
        check("{inptu: $1}", "unknown field `inptu`");
        check("{input: $0.0000000001, output: $1}", "more decimal places");
        check("{per_request: $1, valid_from: today}", "not a date");
    }
}
