//! The price book against what providers themselves say that the recorded answers cost.
#![cfg(test)]

mod support;

use std::collections::BTreeMap;
use std::time::SystemTime;

use support::corpus::{self, Exchange};
use tollgate::base::money::NanoUsd;
use tollgate::dialect::Dialect;
use tollgate::dialect::usage::{Head, Reader};
use tollgate::llm::operation::Operation;
use tollgate::llm::usage::Usage;
use tollgate::provider::config::own_prices;
use tollgate::provider::prices::book::Book;
use tollgate::provider::prices::price::{Facts, SearchContext, Tier};

/// One answer that reports its usage.
struct Answer {
    id: String,
    slug: Option<&'static str>,
    provider: String,
    /// As the answer names it, then as the request does; at Bedrock the other way round.
    models: Vec<String>,
    region: Option<String>,
    usage: Usage,
    facts: Facts,
}

/// The answers that report their usage, or nothing where the corpus is not at hand.
fn open_corpus() -> Option<impl Iterator<Item = Answer>> {
    Some(corpus::open()?.filter_map(read))
}

fn slug(provider: &str) -> Option<&'static str> {
    Some(match provider {
        "openai" => "openai",
        "anthropic" => "anthropic",
        "gemini" => "google-ai-studio",
        "vertex" => "google-vertex-ai",
        "azure" => "azure-openai",
        "bedrock" => "aws-bedrock",
        "cohere" => "cohere",
        "mistral" => "mistral",
        "openrouter" => "openrouter",
        "deepseek" => "deepseek",
        "xai" => "grok",
        "groq" => "groq",
        "huggingface" => "huggingface",
        "perplexity" => "perplexity-ai",
        "replicate" => "replicate",
        "cerebras" => "cerebras",
        "workers-ai" => "workers-ai",
        "deepgram" => "deepgram",
        _ => return None,
    })
}

fn read(mut exchange: Exchange) -> Option<Answer> {
    let expected = exchange.expected.take()?;
    if expected.family == "count" {
        return None;
    }
    let dialect = match exchange.provider.as_str() {
        "bedrock" if !exchange.url.contains("bedrock-mantle") => Some(Dialect::Bedrock),
        _ => None,
    };
    let header = |name: &str| exchange.answer_field(name);
    let operation = match exchange.url.contains("/images/") {
        true => Operation::Image,
        false => Operation::Chat,
    };
    let head = Head {
        status: exchange.status,
        header: &header,
    };
    let mut reader = Reader::new(dialect, operation, head);
    reader.read(&exchange.response_body);
    let usage = reader.finish().usage?;
    let mut models = vec![expected.model, expected.requested_model];
    if exchange.provider == "bedrock" {
        models.reverse();
    }
    let raw = |key: &str| expected.raw_usage.get(key).and_then(|value| value.as_str());
    Some(Answer {
        id: exchange.id,
        slug: slug(&exchange.provider),
        provider: exchange.provider,
        models: models.into_iter().flatten().collect(),
        region: region(&exchange.url),
        usage,
        facts: Facts {
            tier: raw("service_tier").map(Tier::named).unwrap_or_default(),
            search_context: SearchContext::named(raw("search_context_size").unwrap_or_default()),
        },
    })
}

/// `us-east-1` of Bedrock's host, `us-central1` of Vertex' path.
fn region(url: &str) -> Option<String> {
    let after = |mark: &str| url.split_once(mark).map(|(_, rest)| rest);
    let end = |rest: &str| rest.split(['.', '/']).next().map(str::to_owned);
    let start = ["bedrock-runtime.", "bedrock-mantle.", "/locations/"];
    start.into_iter().find_map(after).and_then(end)
}

/// The cost by the price book; `None` if it does not know the model.
fn price(book: &Book, answer: &Answer) -> Option<Option<NanoUsd>> {
    let slug = answer.slug?;
    let region = answer.region.as_deref();
    let now = SystemTime::now();
    let mut prices = answer.models.iter();
    let price = prices.find_map(|model| book.find(slug, model, region, now))?;
    Some(price.cost(&answer.usage, answer.facts))
}

/// Prices of models that have become dearer since they were recorded, or are no longer sold.
const OF_THEIR_DAY: &str = "
grok:
  prices:
    grok-code-fast-1: {input: $0.20, output: $1.50, cached_input: $0.02}
    grok-3-mini*: {input: $0.30, output: $0.50, cached_input: $0.075}
    grok-4-fast*: {input: $0.20, output: $0.50, cached_input: $0.05}
";

/// Answers whose provider states something else than it charges by its own list.
const EXCEPTIONS: [(&str, &str); 1] =
    [("b777be8d3deb1e96a7bd", "states nothing for its 137 tokens")];

/// How the book's cost and the stated one compare.
fn compare(cost: Option<NanoUsd>, stated: u64, provider: &str) -> Option<&'static str> {
    let difference = cost?.nanos().abs_diff(stated);
    match difference {
        0 => Some("equal"),
        // Two parts, of which each is rounded to a thousandth of a cent.
        ..=10_000 if provider == "perplexity" => Some("equal as Perplexity rounds"),
        _ => None,
    }
}

#[test]
fn costs_are_what_the_providers_themselves_state() {
    let Some(corpus) = open_corpus() else { return };
    let book = Book::default();
    let providers = serde_yaml::from_str(OF_THEIR_DAY).unwrap();
    let of_their_day = Book::build(own_prices(&providers));
    let mut tally = BTreeMap::<(String, String), u32>::new();
    let mut faults = Vec::new();
    for answer in corpus {
        let provider = answer.provider.as_str();
        let stating = ["xai", "perplexity", "openrouter"].contains(&provider);
        let Some(stated) = answer.usage.stated_cost_nano_usd.filter(|_| stating) else {
            continue;
        };
        let cost = price(&book, &answer);
        let found = cost.and_then(|cost| compare(cost, stated, provider));
        let earlier = || compare(price(&of_their_day, &answer)?, stated, provider);
        let excepted = EXCEPTIONS.iter().find(|(id, _)| *id == answer.id);
        let model = answer.models.first().map_or("", String::as_str);
        let verdict = if let Some(found) = found {
            found.to_owned()
        } else if let Some(found) = earlier() {
            format!("{found} at the price of its day: {model}")
        } else if let Some((_, reason)) = excepted {
            format!("excepted: {reason}")
        } else if cost.is_none() {
            let vendor = if provider == "openrouter" { "" } else { model };
            format!("not in the book {vendor}")
        } else {
            let told = NanoUsd::new(stated);
            faults.push(format!(
                "{} {provider} {model}: {cost:?}, stated {told}; {:?}",
                answer.id, answer.usage
            ));
            "different".to_owned()
        };
        *tally.entry((answer.provider, verdict)).or_default() += 1;
    }
    for ((provider, verdict), count) in &tally {
        println!("{provider}: {count} {verdict}");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(tally.contains_key(&("xai".to_owned(), "equal".to_owned())));
}

#[test]
fn the_book_knows_most_of_the_recorded_models() {
    let Some(corpus) = open_corpus() else { return };
    let book = Book::default();
    let mut known = BTreeMap::<String, (u32, u32, u32)>::new();
    let mut unknown = BTreeMap::<(String, String), u32>::new();
    for answer in corpus {
        let found = price(&book, &answer);
        let counts = known.entry(answer.provider.clone()).or_default();
        counts.2 += 1;
        match found {
            Some(Some(_)) => counts.0 += 1,
            Some(None) => counts.1 += 1,
            None => {
                let model = answer.models.into_iter().next().unwrap_or_default();
                *unknown.entry((answer.provider, model)).or_default() += 1;
            }
        }
    }
    for (provider, (priced, unpriced, all)) in &known {
        println!("{provider}: {priced} of {all} priced, {unpriced} with nothing that is priced");
    }
    let mut unknown: Vec<_> = unknown.into_iter().collect();
    unknown.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for ((provider, model), count) in unknown.iter().take(60) {
        println!("unknown: {count} {provider} {model}");
    }
    let share = |provider: &str| {
        let (priced, _, all) = known[provider];
        f64::from(priced) / f64::from(all)
    };
    for provider in ["openai", "anthropic", "gemini", "bedrock", "xai"] {
        assert!(share(provider) > 0.5, "{provider}");
    }
}
