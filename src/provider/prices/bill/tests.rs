//! Charges worked out by hand for each shape of price, and laws that hold for all.

use super::*;
use crate::llm::usage::Units;
use crate::provider::prices::price::{Case, Facts, Price, PriceSource, SearchContext, Tier};
use proptest::prelude::*;

fn rates(words: &str) -> Rates {
    let mut rates = Rates::default();
    for word in words.split_whitespace() {
        let (word, number) = word.split_once('=').unwrap();
        let item = Item::from_word(word).unwrap();
        rates.set(item, item.read_rate(number).unwrap());
    }
    rates
}

fn price(words: &str) -> Price {
    Price::flat(rates(words), PriceSource::Book)
}

fn check(price: &Price, usage: Usage, expect: &str) {
    let cost = price.cost(&usage, Facts::default());
    let shown = cost.map_or_else(|| "unknown".to_owned(), |cost| cost.to_string());
    assert_eq!(shown, expect, "{:?}", price.bill(&usage, Facts::default()));
}

fn tokens(input: u64, output: u64) -> Usage {
    Usage {
        input: Some(input),
        output: Some(output),
        ..Usage::default()
    }
}

#[test]
fn input_and_output() {
    // 1200 x 2.5e-6 + 300 x 1e-5 = 0.003 + 0.003
    check(&price("in=2.5 out=10"), tokens(1_200, 300), "0.006");
    // 1 x 6.25e-9 = 6.25 nano-dollars, and 2 x 0.4 nano-dollars = 0.8: 7.05 is 7
    check(&price("in=0.00625 out=0.0004"), tokens(1, 2), "0.000000007");
    check(&price("in=0 out=0"), tokens(5, 5), "0");
}

#[test]
fn cached_input_at_its_own_rate_or_at_the_inputs() {
    let usage = Usage {
        cached_input: Some(400),
        ..tokens(1_000, 0)
    };
    // 600 x 2.5e-6 + 400 x 1.25e-6 = 0.0015 + 0.0005
    check(&price("in=2.5 out=10 read=1.25"), usage, "0.002");
    // 1000 x 2.5e-6
    check(&price("in=2.5 out=10"), usage, "0.0025");
}

#[test]
fn cache_writes_for_five_minutes_and_an_hour() {
    let usage = Usage {
        cached_input: Some(1_150),
        cache_write: Some(3_522),
        cache_write_1h: Some(522),
        ..tokens(4_676, 113)
    };
    // Uncached: 4676 - 1150 - 3522 = 4.
    // 4 x 3e-6 + 1150 x 3e-7 + 3000 x 3.75e-6 + 522 x 6e-6 + 113 x 1.5e-5
    // = 0.000012 + 0.000345 + 0.01125 + 0.003132 + 0.001695
    let claude = price("in=3 out=15 read=0.3 write=3.75 write1h=6");
    check(&claude, usage, "0.016434");
    // Without a rate for the hour all 3522 cost 3.75e-6: 0.000012 + 0.000345 + 0.0132075 + 0.001695
    check(
        &price("in=3 out=15 read=0.3 write=3.75"),
        usage,
        "0.0152595",
    );
}

#[test]
fn reasoning_at_its_own_rate_or_within_the_output() {
    let usage = Usage {
        reasoning: Some(700),
        ..tokens(0, 1_000)
    };
    // 300 x 8e-6 + 700 x 3e-6 = 0.0024 + 0.0021
    check(&price("in=2 out=8 think=3"), usage, "0.0045");
    check(&price("in=2 out=8"), usage, "0.008");
}

#[test]
fn audio_and_image_tokens() {
    let usage = Usage {
        audio_input: Some(100),
        image_input: Some(200),
        audio_output: Some(50),
        image_output: Some(10),
        ..tokens(1_000, 80)
    };
    // In: 700 x 1e-6 + 100 x 4e-5 + 200 x 5e-6 = 0.0007 + 0.004 + 0.001
    // Out: 20 x 2e-6 + 50 x 8e-5 + 10 x 3e-5 = 0.00004 + 0.004 + 0.0003
    let all = price("in=1 out=2 audio_in=40 audio_out=80 image_in=5 image_out=30");
    check(&all, usage, "0.01004");
    // 1000 x 1e-6 + 80 x 2e-6
    check(&price("in=1 out=2"), usage, "0.00116");
}

#[test]
fn images_seconds_characters_and_searches() {
    let units = |units| Usage {
        units,
        ..Usage::default()
    };
    let images = Units {
        images: Some(3),
        ..Units::default()
    };
    // 3 x 0.04
    check(&price("image=0.04"), units(images), "0.12");
    let audio = Units {
        audio_ms: Some(2_500),
        ..Units::default()
    };
    // 2.5 s x 0.0001
    check(&price("second=0.0001"), units(audio), "0.00025");
    let spoken = Units {
        characters: Some(1_000),
        ..Units::default()
    };
    // 1000 x 1.5e-5
    check(&price("char=15"), units(spoken), "0.015");
    let searched = Units {
        searches: Some(2),
        ..Units::default()
    };
    // 2 x 0.002
    check(&price("in=0 out=0 search=0.002"), units(searched), "0.004");
}

#[test]
fn tokens_and_units_are_not_charged_twice() {
    let mut usage = tokens(10, 1_290);
    usage.units.images = Some(1);
    // 10 x 3e-7 + 1290 x 3e-5; the image is these tokens
    check(&price("in=0.3 out=30 image=0.039"), usage, "0.038703");
    usage.output = None;
    // 10 x 3e-7 + 1 x 0.039
    check(&price("in=0.3 out=30 image=0.039"), usage, "0.039003");
    let mut usage = tokens(100, 0);
    usage.units.audio_ms = Some(10_000);
    check(&price("in=2.5 out=10 second=0.0001"), usage, "0.00025");
}

#[test]
fn searches_and_requests_come_on_top_of_tokens() {
    let mut usage = tokens(4, 113);
    usage.units.searches = Some(1);
    // 4 x 3e-6 + 113 x 1.5e-5 + 0.01
    check(&price("in=3 out=15 search=0.01"), usage, "0.011707");
    // 4365 x 1e-6 + 3 x 1e-6 + 0.005
    check(
        &price("in=1 out=1 request=0.005"),
        tokens(4_365, 3),
        "0.009368",
    );
}

#[test]
fn the_size_of_a_search_and_the_tier_choose_the_case() {
    let mut sonar = price("in=1 out=1 request=0.005");
    sonar.cases.push(Case {
        search_context: Some(SearchContext::High),
        rates: rates("request=0.012"),
        ..Case::default()
    });
    sonar.cases.push(Case {
        tier: Some(Tier::Batch),
        rates: rates("in=0.5 out=0.5"),
        ..Case::default()
    });
    let cost = |tier, search_context| {
        let facts = Facts {
            tier,
            search_context,
        };
        sonar.cost(&tokens(1_000, 0), facts).unwrap().to_string()
    };
    // 1000 x 1e-6 + 0.005; with 0.012; 1000 x 5e-7 + 0.012
    assert_eq!(cost(Tier::Standard, SearchContext::Low), "0.006");
    assert_eq!(cost(Tier::Priority, SearchContext::High), "0.013");
    assert_eq!(cost(Tier::Batch, SearchContext::High), "0.0125");
}

#[test]
fn a_long_input_changes_the_price_of_the_whole_request() {
    let mut gemini = price("in=1.25 out=10 read=0.125");
    gemini.cases.push(Case {
        tier: Some(Tier::Batch),
        rates: rates("in=0.625 out=5"),
        ..Case::default()
    });
    gemini.cases.push(Case {
        above: Some(200_000),
        rates: rates("in=2.5 out=15 read=0.25"),
        ..Case::default()
    });
    // 200000 x 1.25e-6 + 100 x 1e-5
    check(&gemini, tokens(200_000, 100), "0.251");
    // 200001 x 2.5e-6 + 100 x 1.5e-5 = 0.5000025 + 0.0015
    check(&gemini, tokens(200_001, 100), "0.5015025");
    let cached = Usage {
        cached_input: Some(200_000),
        ..tokens(200_001, 0)
    };
    // 1 x 2.5e-6 + 200000 x 2.5e-7: cached tokens count for the length
    check(&gemini, cached, "0.0500025");
}

#[test]
fn cohere_bills_fewer_tokens_than_it_reads() {
    let mut usage = tokens(507, 12);
    usage.units.billed_input = Some(7);
    usage.units.billed_output = Some(10);
    // 7 x 2.5e-6 + 10 x 1e-5
    check(&price("in=2.5 out=10"), usage, "0.0001175");
}

#[test]
fn parts_larger_than_the_whole_cost_no_more_than_the_whole() {
    let usage = Usage {
        cached_input: Some(192),
        cache_write: Some(500),
        ..tokens(81, 0)
    };
    // 81 x 5e-8
    check(
        &price("in=0.2 out=0.5 read=0.05 write=1"),
        usage,
        "0.00000405",
    );
    let parts_only = Usage {
        cached_input: Some(100),
        ..Usage::default()
    };
    // 100 x 5e-8
    check(&price("in=0.2 out=0.5 read=0.05"), parts_only, "0.000005");
}

#[test]
fn what_has_no_rate_has_no_cost() {
    check(&price("in=1 out=2"), Usage::default(), "unknown");
    check(&price("image=0.04"), tokens(5, 0), "unknown");
    check(&price(""), tokens(5, 5), "unknown");
    check(&price("in=1 out=2"), tokens(0, 0), "0");
    let mut usage = Usage::default();
    usage.units.images = Some(1);
    check(&price("in=1 out=2"), usage, "unknown");
}

fn any_rates() -> impl Strategy<Value = Rates> {
    let small = prop_oneof![Just(None), (0..u64::MAX).prop_map(Some), Just(Some(1_000))];
    prop::collection::vec(small, Item::ALL.len()).prop_map(|femtos| {
        let mut rates = Rates::default();
        for (item, femto) in Item::ALL.into_iter().zip(femtos) {
            if let Some(femto) = femto {
                rates.set(item, Rate::from_femto(femto));
            }
        }
        rates
    })
}

/// Parts that do not overlap, of any size.
fn usage_of(parts: &[u64]) -> Usage {
    let part = |at: usize| Some(parts[at]);
    let whole = |range: std::ops::Range<usize>| {
        Some(
            parts[range]
                .iter()
                .fold(0_u64, |sum, part| sum.saturating_add(*part)),
        )
    };
    Usage {
        input: whole(0..6),
        cached_input: part(1),
        cache_write: Some(parts[2].saturating_add(parts[3])),
        cache_write_1h: part(3),
        audio_input: part(4),
        image_input: part(5),
        output: whole(6..10),
        reasoning: part(7),
        audio_output: part(8),
        image_output: part(9),
        units: Units {
            searches: part(10),
            ..Units::default()
        },
        ..Usage::default()
    }
}

proptest! {
    #[test]
    fn any_usage_costs_something_and_nothing_overflows(rates in any_rates(), parts in prop::collection::vec(any::<u64>(), 20)) {
        let mut usage = usage_of(&parts);
        usage.input = Some(parts[11]);
        usage.output = Some(parts[12]);
        usage.units.images = Some(parts[13]);
        usage.units.audio_ms = Some(parts[14]);
        usage.units.characters = Some(parts[15]);
        let bill = Bill::new(rates, &usage);
        let _ = bill.total();
        // No token is charged twice.
        let input = [Item::Input, Item::CachedInput, Item::CacheWrite, Item::CacheWrite1h, Item::AudioInput, Item::ImageInput];
        let sum: u128 = input.iter().map(|item| u128::from(bill.count(*item))).sum();
        prop_assert_eq!(sum, u128::from(parts[11]));
    }

    #[test]
    fn more_of_anything_never_costs_less(
        rates in any_rates(),
        mut parts in prop::collection::vec(0..1_u64 << 40, 11),
        at in 0..11_usize,
        more in 0..1_u64 << 40,
    ) {
        let before = Bill::new(rates, &usage_of(&parts)).total();
        parts[at] += more;
        let after = Bill::new(rates, &usage_of(&parts)).total();
        prop_assert!(after >= before, "{:?} then {:?}", before, after);
    }
}
