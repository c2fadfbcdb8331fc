//! The price book: the user's own prices, and those that tollgate brings along.

use super::alias::{Names, is_dated};
use super::config::{OwnPrice, OwnPrices};
use super::list::{self, Circumstance, Line};
use super::price::Price;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// Prices by provider and model.
#[derive(Clone, Debug, Default)]
pub struct Book {
    own: BTreeMap<String, OwnPrices>,
}

/// A price and the name under which it is listed.
#[derive(Clone, Debug)]
pub struct Entry {
    pub slug: String,
    /// In lower case; of the user's own it may end in `*`.
    pub model: String,
    pub price: Price,
}

impl Book {
    /// The built-in prices, with the users' own over them: prices by model, by provider.
    pub fn build<'a>(own: impl Iterator<Item = (&'a str, &'a BTreeMap<String, OwnPrice>)>) -> Self {
        let own = own.filter(|(_, prices)| !prices.is_empty());
        let own = own.map(|(slug, prices)| (slug.to_owned(), OwnPrices::build(prices)));
        Self { own: own.collect() }
    }

    /// The price of a model as it was called, at a moment. `region` is where the endpoint stands, if
    /// it is bound to a place: a Bedrock or Vertex region, `eu` for a European data zone.
    ///
    /// The user's own prices come first. A name that is not listed is looked for without what says
    /// where it runs, then without its date; a name without a date stands for those with one where
    /// they all cost the same. Whatever else is not listed is `None`.
    pub fn find(
        &self,
        slug: &str,
        model: &str,
        region: Option<&str>,
        at: SystemTime,
    ) -> Option<Price> {
        let at = in_utc(at);
        let own = self.own.get(slug);
        let circumstance = |region: Option<&str>| Circumstance {
            at,
            regional: region.is_some_and(|region| region != "global"),
        };
        // Most models are called as they are listed.
        if own.is_none()
            && region.is_none()
            && let Some(line) = list::find(slug, model)
        {
            return line.read(circumstance(None));
        }
        let names = Names::new(slug, model, region);
        if let Some(price) = own.and_then(|own| own.find(&names.names, at.date())) {
            return Some(price.clone());
        }
        let line = find_listed(slug, &names).or_else(|| find_dated(slug, &names))?;
        line.read(circumstance(names.region.as_deref()))
    }

    /// All prices at a moment, at endpoints that are bound to no region: the user's own first.
    pub fn entries(&self, at: SystemTime) -> impl Iterator<Item = Entry> {
        let circumstance = Circumstance {
            at: in_utc(at),
            regional: false,
        };
        let own = self.own.iter().flat_map(|(slug, own)| {
            own.listed().map(|(model, price)| Entry {
                slug: slug.clone(),
                model,
                price: price.clone(),
            })
        });
        let built_in = list::lines().filter_map(move |line| {
            Some(Entry {
                slug: line.slug.to_owned(),
                model: line.model.to_owned(),
                price: line.read(circumstance)?,
            })
        });
        own.chain(built_in)
    }
}

/// The first name that is listed, under its region before it is without.
fn find_listed(slug: &str, names: &Names) -> Option<Line> {
    let region = names.region.as_deref();
    names.names.iter().find_map(|name| {
        let regional = region.and_then(|region| list::find(slug, &format!("{region}/{name}")));
        regional.or_else(|| list::find(slug, name))
    })
}

/// A line that is one of the names with a date behind it, if all such lines cost the same.
fn find_dated(slug: &str, names: &Names) -> Option<Line> {
    names.names.iter().find_map(|name| {
        let mut dated = list::find_start(slug, name)
            .filter(|line| line.model.get(name.len()..).is_some_and(is_dated));
        let first = dated.next()?;
        dated.all(|line| line.costs_as(&first)).then_some(first)
    })
}

fn in_utc(at: SystemTime) -> DateTime {
    let stamp = Timestamp::try_from(at).unwrap_or_default();
    Offset::UTC.to_datetime(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::prices::price::PriceSource;
    use crate::provider::prices::rates::Item;
    use std::time::Duration;

    /// 2026-11-23, a Monday, at 08:00 in UTC.
    fn monday() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_420_800)
    }

    /// Input in dollars for a million, where a price is found.
    fn input(book: &Book, slug: &str, model: &str, region: Option<&str>) -> Option<String> {
        let price = book.find(slug, model, region, monday())?;
        Some(price.rates.find(Item::Input)?.show_per_million())
    }

    fn check(slug: &str, model: &str, expect: Option<&str>) {
        let found = input(&Book::default(), slug, model, None);
        assert_eq!(found.as_deref(), expect, "{slug} {model}");
    }

    #[test]
    fn models_are_found_by_their_names_and_aliases() {
        check("openai", "gpt-4o", Some("2.5"));
        check("openai", "GPT-4o", Some("2.5"));
        check("openai", "openai/gpt-4o", Some("2.5"));
        // An exact row goes before the alias: the first gpt-4o was dearer.
        check("openai", "gpt-4o-2024-05-13", Some("5"));
        check("openai", "gpt-4o-2024-08-06", Some("2.5"));
        check("openai", "gpt-4o-2031-01-01", Some("2.5"));
        check("anthropic", "claude-sonnet-4-5-20250929", Some("3"));
        check("google-ai-studio", "models/gemini-2.5-pro", Some("1.25"));
        let publisher = "publishers/google/models/gemini-2.5-pro";
        check("google-vertex-ai", publisher, Some("1.25"));
        check("google-vertex-ai", "claude-sonnet-4-5@20250929", Some("3"));
        let fireworks = "accounts/fireworks/models/deepseek-v4-pro";
        check("fireworks", fireworks, Some("1.2"));
        let bedrock = "anthropic.claude-3-opus-20240229-v1:0";
        check("aws-bedrock", bedrock, Some("15"));
        check("aws-bedrock", &format!("us.{bedrock}"), Some("15"));
        let arn = format!("arn:aws:bedrock:us-east-1::foundation-model/{bedrock}");
        check("aws-bedrock", &arn, Some("15"));
    }

    #[test]
    fn unknown_models_have_no_price() {
        for model in ["gpt-4o-mega", "gpt-9", "gpt-4o-2411", "", "*", "gpt"] {
            check("openai", model, None);
        }
        check("custom-vllm", "gpt-4o", None);
        check("openrouter", "openai/gpt-4o", None);
    }

    #[test]
    fn regions_and_hours_change_the_price() {
        let book = Book::default();
        let in_region = |model: &str, region| input(&book, "google-vertex-ai", model, region);
        assert_eq!(
            in_region("claude-sonnet-4-5", Some("us-east5")).unwrap(),
            "3.3"
        );
        assert_eq!(in_region("claude-sonnet-4-5", Some("global")).unwrap(), "3");
        let at = |seconds| {
            let price = book
                .find(
                    "deepseek",
                    "deepseek-v4-pro",
                    None,
                    monday() + Duration::from_secs(seconds),
                )
                .unwrap();
            price
                .bill(
                    &crate::llm::usage::Usage {
                        input: Some(1_000_000),
                        ..Default::default()
                    },
                    Default::default(),
                )
                .total()
                .unwrap()
                .to_string()
        };
        // 08:00 is a busy hour in DeepSeek's list, 10:00 is not.
        assert_eq!(at(0), "1.32");
        assert_eq!(at(2 * 3_600), "0.66");
    }

    #[test]
    fn the_users_own_prices_come_first() {
        let yaml = "
gpt-4o: {input: $1, output: $2}
gpt-4o-mini*: {input: $3, output: $4}
'gpt-*': {input: $5, output: $6}
o3: {input: $7, output: $8, valid_from: 2027-01-01}
";
        let own = serde_yaml::from_str(yaml).unwrap();
        let book = Book::build([("openai", &own)].into_iter());
        let check = |model: &str, expect: &str| {
            assert_eq!(
                input(&book, "openai", model, None).as_deref(),
                Some(expect),
                "{model}"
            );
        };
        check("gpt-4o", "1");
        check("openai/gpt-4o-2024-08-06", "1");
        check("gpt-4o-mini-tts", "3");
        check("gpt-99", "5");
        check("o3", "2");
        let price = book.find("openai", "gpt-4o", None, monday()).unwrap();
        assert_eq!(price.source, PriceSource::Config);
    }
}
