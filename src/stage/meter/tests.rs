//! What is billed on each way that an attempt can end.

use super::*;
use crate::llm::operation::Operation;
use crate::provider::catalogue::Catalogue;

const BODY: &[u8] = br#"{"model":"gpt-4o","messages":[]}"#;

fn usage(input: u64, output: u64) -> Usage {
    Usage {
        input: Some(input),
        output: Some(output),
        ..Usage::default()
    }
}

fn reading(usage: Option<Usage>, output_bytes: u64) -> Reading {
    Reading {
        usage,
        output_bytes,
        ..Reading::default()
    }
}

/// The usage and its source, as `meter` bills a call of `operation`.
fn bill(
    meter: &Meter,
    operation: Operation,
    course: Course,
    reading: &Reading,
) -> Option<(Option<u64>, Option<u64>, UsageSource)> {
    let catalogue = Catalogue::build(&BTreeMap::new()).unwrap();
    let provider = catalogue.provider("openai").unwrap();
    let mut place = provider.place("chat/completions", None).unwrap();
    place.operation = operation;
    let bill = meter.bill(&Attempted {
        slug: &provider.slug,
        place: &place,
        model: Some("gpt-4o"),
        body: BODY,
        reading,
        course,
        custom: None,
    })?;
    Some((bill.usage.input, bill.usage.output, bill.usage_source))
}

#[test]
fn only_a_whole_answer_is_believed_as_it_is() {
    let meter = Meter::build(&BTreeMap::new(), None);
    let told = reading(Some(usage(10, 20)), 400);
    let nothing = reading(None, 400);
    let chat = |course, reading| bill(&meter, Operation::Chat, course, reading);
    let (reported, estimated) = (UsageSource::Reported, UsageSource::Estimated);
    assert_eq!(chat(Course::Unserved, &told), None);
    let by_rule = Some((Some(8), Some(100), estimated));
    assert_eq!(chat(Course::Broken, &nothing), by_rule);
    assert_eq!(chat(Course::Whole, &nothing), by_rule);
    // What was told before the end counts, and the bytes where they say more.
    let made_up = Some((Some(10), Some(100), estimated));
    assert_eq!(chat(Course::Broken, &told), made_up);
    let heard = Some((Some(10), Some(20), reported));
    assert_eq!(chat(Course::Whole, &told), heard);
    // The whole answer has taught how long this model's tokens are.
    assert_eq!(
        chat(Course::Broken, &nothing),
        Some((Some(10), Some(20), estimated))
    );
    let unheard = chat(Course::Unheard, &reading(None, 0));
    assert_eq!(unheard, Some((Some(10), Some(0), estimated)));
}

#[test]
fn what_is_no_text_is_never_guessed() {
    let meter = Meter::build(&BTreeMap::new(), None);
    for operation in [
        Operation::Image,
        Operation::Speech,
        Operation::Other,
        Operation::Inference,
    ] {
        let course = Course::Broken;
        assert_eq!(bill(&meter, operation, course, &reading(None, 0)), None);
    }
    let told = reading(Some(usage(3, 0)), 0);
    let image = bill(&meter, Operation::Image, Course::Broken, &told);
    assert_eq!(image, Some((Some(3), Some(0), UsageSource::Estimated)));
}

#[test]
fn a_failure_in_place_of_an_answer_costs_nothing() {
    let meter = Meter::build(&BTreeMap::new(), None);
    let mut failed = reading(None, 0);
    failed.error = true;
    for course in [Course::Whole, Course::Broken] {
        assert_eq!(bill(&meter, Operation::Chat, course, &failed), None);
    }
    failed.output_bytes = 40;
    let late = bill(&meter, Operation::Chat, Course::Whole, &failed);
    assert_eq!(late, Some((Some(8), Some(10), UsageSource::Estimated)));
}

#[test]
fn bills_add_up_and_the_doubtful_part_marks_the_sum() {
    let one = Bill {
        usage: usage(1, 2),
        usage_source: UsageSource::Reported,
        cost: Some(NanoUsd::new(5)),
        price_source: PriceSource::Book,
    };
    let both = one.and(one);
    assert_eq!(both.usage, usage(2, 4));
    assert_eq!(both.cost, Some(NanoUsd::new(10)));
    assert_eq!(both.usage_source, UsageSource::Reported);
    assert_eq!(both.tokens(), 6);
    let doubtful = Bill {
        usage_source: UsageSource::Estimated,
        cost: None,
        price_source: PriceSource::Unknown,
        ..one
    };
    for sum in [one.and(doubtful), doubtful.and(one)] {
        assert_eq!(sum.usage_source, UsageSource::Estimated);
        assert_eq!((sum.cost, sum.price_source), (None, PriceSource::Unknown));
    }
}
