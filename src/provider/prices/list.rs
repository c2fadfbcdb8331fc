//! The price book as it was compiled in: sorted lines, of which only the one asked for is read.

use super::price::{Case, Price, PriceSource, SearchContext, Tier};
use super::rates::{Item, Rates};
use jiff::civil::{Date, DateTime};
use std::cmp::Ordering;
use std::sync::LazyLock;

/// See its head for the columns; build.py writes it.
const TEXT: &str = include_str!("book.tsv");

/// The day from which the prices are known to hold, as the head says.
static VALID_FROM: LazyLock<Option<Date>> = LazyLock::new(|| {
    let mut head = TEXT.lines().take_while(|line| line.starts_with('#'));
    head.find_map(|line| line.strip_prefix("# valid from ")?.parse().ok())
});

/// One line: a model and its prices, still as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub slug: &'static str,
    pub model: &'static str,
    prices: &'static str,
}

/// Where and when a price is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Circumstance {
    /// In UTC.
    pub at: DateTime,
    /// The endpoint is bound to a region.
    pub regional: bool,
}

/// All lines.
pub fn lines() -> impl Iterator<Item = Line> {
    TEXT.lines().filter_map(Line::split)
}

/// The line of exactly this model, in lower case.
pub fn find(slug: &str, model: &str) -> Option<Line> {
    let key = format!("{slug}\t{model}\t");
    let line = rest_from(&key).lines().next()?;
    line.starts_with(&key).then(|| Line::split(line)).flatten()
}

/// The lines whose models begin with `start`.
pub fn find_start(slug: &str, start: &str) -> impl Iterator<Item = Line> {
    let key = format!("{slug}\t{start}");
    let rest = rest_from(&key);
    rest.lines()
        .take_while(move |line| line.starts_with(&key))
        .filter_map(Line::split)
}

/// The text from the first line on that is not below `key`.
fn rest_from(key: &str) -> &'static str {
    let (mut low, mut high) = (0, TEXT.len());
    let bytes = TEXT.as_bytes();
    let is_end = |byte: &u8| *byte == b'\n';
    while low < high {
        let middle = low + (high - low) / 2;
        let before = bytes.get(low..middle).unwrap_or_default();
        let start = before
            .iter()
            .rposition(is_end)
            .map_or(low, |at| low + at + 1);
        let after = bytes.get(middle..high).unwrap_or_default();
        let end = after.iter().position(is_end).map_or(high, |at| middle + at);
        let line = bytes.get(start..end).unwrap_or_default();
        match line.cmp(key.as_bytes()) {
            Ordering::Less => low = (end + 1).min(high),
            _ => high = start,
        }
    }
    TEXT.get(low..).unwrap_or_default()
}

impl Line {
    fn split(line: &'static str) -> Option<Self> {
        let mut columns = line.splitn(3, '\t');
        let slug = columns.next().filter(|slug| !slug.starts_with('#'))?;
        Some(Self {
            slug,
            model: columns.next()?,
            prices: columns.next()?,
        })
    }

    /// Whether both cost the same.
    pub fn costs_as(&self, other: &Self) -> bool {
        self.prices == other.prices
    }

    /// Reads the prices; `None` if the line is damaged.
    pub fn read(&self, circumstance: Circumstance) -> Option<Price> {
        let mut sets = self.prices.split('\t');
        let base = Set::read(sets.next()?)?;
        let factor = base.regional.filter(|_| circumstance.regional);
        let scale = |rates: Rates| factor.map_or(rates, |factor| rates.scale_tokens(factor));
        let mut cases = Vec::with_capacity(sets.clone().count());
        for set in sets {
            let set = Set::read(set)?;
            if set.off.is_none_or(|off| is_within(off, circumstance.at)) {
                let rates = scale(set.case.rates);
                cases.push(Case { rates, ..set.case });
            }
        }
        Some(Price {
            rates: scale(base.case.rates),
            cases,
            source: PriceSource::Book,
            valid_from: *VALID_FROM,
        })
    }
}

/// One column of prices.
#[derive(Default)]
struct Set {
    case: Case,
    /// The windows of time in which it holds.
    off: Option<&'static str>,
    /// The factor for regional endpoints, in thousandths.
    regional: Option<u64>,
}

impl Set {
    fn read(text: &'static str) -> Option<Self> {
        let mut set = Self::default();
        for word in text.split(' ') {
            let (key, value) = word.split_once('=')?;
            match key {
                "tier" => set.case.tier = Some(Tier::named(value)),
                "above" => set.case.above = Some(value.parse().ok()?),
                "context" => set.case.search_context = Some(SearchContext::named(value)),
                "off" => set.off = Some(value),
                "regional" => set.regional = Some(read_thousandths(value)?),
                _ => {
                    let item = Item::from_word(key)?;
                    set.case.rates.set(item, item.read_rate(value).ok()?);
                }
            }
        }
        Some(set)
    }
}

/// `1.1` as 1100.
fn read_thousandths(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction: u64 = format!("{fraction:0<3}").parse().ok()?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(1_000)?
        .checked_add(fraction)
}

/// Whether one of the windows, such as `12345@04:00-06:00,67@00:00-00:00`, holds this moment.
fn is_within(windows: &str, at: DateTime) -> bool {
    let day = char::from(b'0'.saturating_add_signed(at.weekday().to_monday_one_offset()));
    let now = i32::from(at.hour()) * 60 + i32::from(at.minute());
    windows.split(',').any(|window| {
        let read = || {
            let (days, span) = window.split_once('@')?;
            let (from, until) = span.split_once('-')?;
            let from = read_minute(from)?;
            // Midnight ends a day as well as it begins one.
            let until = match read_minute(until)? {
                0 => 24 * 60,
                until => until,
            };
            Some(days.contains(day) && (from..until).contains(&now))
        };
        read().unwrap_or(false)
    })
}

fn read_minute(text: &str) -> Option<i32> {
    let (hour, minute) = text.split_once(':')?;
    Some(hour.parse::<i32>().ok()? * 60 + minute.parse::<i32>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::money::Rate;

    fn noon_of(day: &str) -> Circumstance {
        Circumstance {
            at: format!("{day}T12:00:00").parse().unwrap(),
            regional: false,
        }
    }

    #[test]
    fn every_line_is_sound_and_found() {
        let mut last = String::new();
        let mut count = 0;
        for line in lines() {
            let key = format!("{}\t{}\t", line.slug, line.model);
            assert!(last < key, "{key:?} stands in its place, and once");
            assert_eq!(line.model, line.model.to_lowercase());
            let price = line.read(noon_of("2026-11-23"));
            assert!(price.is_some_and(|price| price.rates != Rates::default() || !price.cases.is_empty()), "{key:?} is sound");
            assert_eq!(find(line.slug, line.model), Some(line), "{key:?} is found");
            last = key;
            count += 1;
        }
        assert!(count > 2_000 && TEXT.len() < 600_000);
        assert_eq!(*VALID_FROM, Some(jiff::civil::date(2026, 11, 21)));
    }

    #[test]
    fn every_provider_is_in_the_catalogue() {
        let known = crate::provider::catalogue::slugs().unwrap();
        assert!(lines().all(|line| known.contains(&line.slug)));
    }

    #[test]
    fn what_is_not_listed_is_not_found() {
        for (slug, model) in [
            ("openai", "gpt-4"),
            ("", ""),
            ("openai", ""),
            ("zzz", "zzz"),
            ("# valid", ""),
            ("openai", "gpt-4o\tin=1"),
        ] {
            let found = find(slug, model);
            assert_eq!(found.is_some(), model == "gpt-4", "{slug} {model}");
        }
        assert!(find_start("openai", "gpt-4o-mini").count() > 1);
    }

    #[test]
    fn off_peak_hours_are_told_by_weekday() {
        let windows = "12345@00:00-01:00,12345@10:00-00:00,67@00:00-00:00";
        let within = |at: &str| is_within(windows, at.parse().unwrap());
        // 2026-11-23 is a Monday.
        assert!(within("2026-11-23T00:59:59"));
        assert!(!within("2026-11-23T01:00:00"));
        assert!(!within("2026-11-23T09:59:00"));
        assert!(within("2026-11-23T23:59:59"));
        assert!(within("2026-11-22T05:00:00"));
        assert!(!is_within(
            "nonsense",
            "2026-11-22T05:00:00".parse().unwrap()
        ));
    }

    #[test]
    fn a_regional_endpoint_costs_more() {
        let line = find("openai", "gpt-5.4").unwrap();
        let regional = Circumstance {
            regional: true,
            ..noon_of("2026-11-23")
        };
        let input = |price: Price| price.rates.find(Item::Input).unwrap();
        let plain = input(line.read(noon_of("2026-11-23")).unwrap());
        assert_eq!(plain, Rate::per_million("2.5").unwrap());
        let more = input(line.read(regional).unwrap());
        assert_eq!(more, Rate::per_million("2.75").unwrap());
    }
}
