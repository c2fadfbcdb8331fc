//! `tollgate prices`: what models cost, since when, and who says so.

use super::exit::Failure;
use crate::config;
use crate::provider::config::own_prices;
use crate::provider::prices::book::{Book, Entry};
use crate::provider::prices::price::{Case, Price};
use crate::provider::prices::rates::{Item, Rates};
use anyhow::anyhow;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::SystemTime;

/// What the user asks for.
#[derive(Debug, Default)]
pub struct Options {
    /// As a client would name it; with `*` at its end, all that begin so.
    pub model: Option<String>,
    pub provider: Option<String>,
    pub config: Option<PathBuf>,
}

const HEAD: [&str; 11] = [
    "PROVIDER", "MODEL", "WHEN", "INPUT", "OUTPUT", "CACHED", "WRITE", "WRITE 1H", "OTHER",
    "SINCE", "FROM",
];
/// The items that have a column.
const COLUMNS: [Item; 5] = [
    Item::Input,
    Item::Output,
    Item::CachedInput,
    Item::CacheWrite,
    Item::CacheWrite1h,
];
/// How many near misses are named.
const SUGGESTIONS_MAX: usize = 5;

/// The table, for stdout.
///
/// # Errors
/// The configuration has faults, or no price matches.
pub fn list(options: &Options) -> Result<String, Failure> {
    let settings = config::load(options.config.as_deref())?;
    let book = Book::build(own_prices(&settings.providers));
    let now = SystemTime::now();
    let of_provider = |slug: &str| options.provider.as_deref().is_none_or(|own| own == slug);
    let entries = || book.entries(now).filter(|entry| of_provider(&entry.slug));
    let found: Vec<Entry> = match options.model.as_deref() {
        None => entries().collect(),
        Some(model) => match model.to_lowercase().strip_suffix('*') {
            Some(start) => entries()
                .filter(|entry| entry.model.starts_with(start))
                .collect(),
            None => resolve(&book, entries(), model, now),
        },
    };
    if found.is_empty() {
        return Err(miss(options, entries()).into());
    }
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(found.iter().flat_map(show));
    let note = "US dollars per million tokens; what is marked `each` is for one.";
    Ok(format!("{}{note}", align(&rows)))
}

/// The price of this model at each provider that has one.
fn resolve(
    book: &Book,
    entries: impl Iterator<Item = Entry>,
    model: &str,
    now: SystemTime,
) -> Vec<Entry> {
    let slugs: BTreeSet<String> = entries.map(|entry| entry.slug).collect();
    let found = slugs.into_iter().filter_map(|slug| {
        let price = book.find(&slug, model, None, now)?;
        let model = model.to_owned();
        Some(Entry { slug, model, price })
    });
    found.collect()
}

/// Says that nothing matches, and what comes near.
fn miss(options: &Options, entries: impl Iterator<Item = Entry>) -> anyhow::Error {
    let provider = match &options.provider {
        Some(slug) => format!(" at {slug}"),
        None => String::new(),
    };
    let Some(model) = &options.model else {
        return anyhow!("no prices are known{provider}");
    };
    let near = near_misses(&model.to_lowercase(), entries);
    let hint = match near.is_empty() {
        true => "`tollgate prices` lists them all".to_owned(),
        false => format!("did you mean {}?", near.join(", ")),
    };
    anyhow!("no price is known of {model}{provider}\n  {hint}")
}

fn near_misses(model: &str, entries: impl Iterator<Item = Entry>) -> Vec<String> {
    let reach = 1 + model.len() / 4;
    let names: BTreeSet<String> = entries.map(|entry| entry.model).collect();
    let distances = names.into_iter().filter_map(|name| {
        let distance = match name.contains(model) || model.contains(name.as_str()) {
            true => 0,
            false => strsim::osa_distance(&name, model),
        };
        (distance <= reach).then_some((distance, name.len().abs_diff(model.len()), name))
    });
    let mut near: Vec<_> = distances.collect();
    near.sort();
    let names = near.into_iter().map(|(_, _, name)| name);
    names.take(SUGGESTIONS_MAX).collect()
}

/// The rows of one price: itself, then its special cases.
fn show(entry: &Entry) -> Vec<[String; HEAD.len()]> {
    let Price {
        rates,
        cases,
        source,
        valid_from,
    } = &entry.price;
    let since = valid_from.map_or_else(|| "-".to_owned(), |date| date.to_string());
    let row = |when: String, rates: &Rates| {
        let [input, output, cached, write, write_1h] = COLUMNS.map(|item| {
            let rate = rates.find(item).map(|rate| item.show_rate(rate));
            rate.unwrap_or_else(|| "-".to_owned())
        });
        [
            entry.slug.clone(),
            entry.model.clone(),
            when,
            input,
            output,
            cached,
            write,
            write_1h,
            show_others(rates),
            since.clone(),
            source.name().to_owned(),
        ]
    };
    let first = row("-".to_owned(), rates);
    let cases = cases
        .iter()
        .map(|case| row(show_condition(case), &case.rates));
    std::iter::once(first).chain(cases).collect()
}

fn show_condition(case: &Case) -> String {
    let tier = case.tier.map(|tier| tier.as_str().to_owned());
    let above = case.above.map(|tokens| format!("input > {tokens}"));
    let size = case
        .search_context
        .map(|size| format!("{} search", size.as_str()));
    let parts: Vec<_> = [tier, above, size].into_iter().flatten().collect();
    match parts.is_empty() {
        true => "off-peak, now".to_owned(),
        false => parts.join(", "),
    }
}

fn show_others(rates: &Rates) -> String {
    let others = rates.listed().filter(|(item, _)| !COLUMNS.contains(item));
    let shown = others.map(|(item, rate)| {
        let each = if item.is_small() { "" } else { " each" };
        format!("{} {}{each}", name(item), item.show_rate(rate))
    });
    let shown: Vec<_> = shown.collect();
    match shown.is_empty() {
        true => "-".to_owned(),
        false => shown.join(", "),
    }
}

fn name(item: Item) -> &'static str {
    match item {
        Item::Reasoning => "reasoning",
        Item::AudioInput => "audio in",
        Item::AudioOutput => "audio out",
        Item::ImageInput => "image in",
        Item::ImageOutput => "image out",
        Item::Character => "characters",
        other => other.word(),
    }
}

fn align(rows: &[[String; HEAD.len()]]) -> String {
    let mut widths = [0; HEAD.len()];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut table = String::new();
    for row in rows {
        let cells: Vec<_> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        table.push_str(cells.join("  ").trim_end());
        table.push('\n');
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(model: &str, provider: Option<&str>) -> Result<String, String> {
        let options = Options {
            model: Some(model.to_owned()),
            provider: provider.map(str::to_owned),
            config: None,
        };
        list(&options).map_err(|failure| match failure {
            Failure::Input(fault) => fault.to_string(),
            Failure::Config(faults) => faults.to_string(),
        })
    }

    #[test]
    fn a_model_is_shown_with_its_cases() {
        let table = ask("gpt-4o", Some("openai")).unwrap();
        let lines: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let since = ["-", "-", "-", "2026-11-21", "book"];
        let row = |cells: &[&'static str]| [cells, &since].concat();
        assert_eq!(
            lines[1],
            row(&["openai", "gpt-4o", "-", "2.5", "10", "1.25"])
        );
        assert_eq!(
            lines[2],
            row(&["openai", "gpt-4o", "batch", "1.25", "5", "-"])
        );
    }

    #[test]
    fn a_near_miss_is_suggested() {
        let fault = ask("gpt-4p", Some("openai")).unwrap_err();
        assert!(fault.starts_with("no price is known of gpt-4p at openai"));
        assert!(fault.contains("gpt-4o"), "{fault}");
        let fault = ask("zzzzzzzzzz", None).unwrap_err();
        assert!(
            fault.contains("`tollgate prices` lists them all"),
            "{fault}"
        );
    }

    #[test]
    fn a_star_stands_for_any_end() {
        let table = ask("gpt-4o-mini*", Some("openai")).unwrap();
        assert!(table.contains("gpt-4o-mini-2024-07-18"), "{table}");
    }
}
