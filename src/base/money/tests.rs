//! Money is read and shown without losing anything, and never overflows.

use super::*;
use proptest::prelude::*;

fn check(text: &str, expect: Result<u64, MoneyError>) {
    assert_eq!(
        text.parse::<NanoUsd>().map(NanoUsd::nanos),
        expect,
        "{text:?}"
    );
}

#[test]
fn dollars_are_read() {
    check("$20", Ok(20_000_000_000));
    check("$0.25", Ok(250_000_000));
    check("$.5", Ok(500_000_000));
    check("$0", Ok(0));
    check("$0.000000001", Ok(1));
    check("$1.5000000000000", Ok(1_500_000_000));
    check("$18446744073.709551615", Ok(u64::MAX));
}

#[test]
fn what_is_no_money_says_why() {
    check("20", Err(MoneyError::NoSign));
    check("€20", Err(MoneyError::NoSign));
    for text in [
        "$", "$.", "$x", "$1.2.3", "$1e3", "$ 1", "$1,000", "$--1", "$+1",
    ] {
        check(text, Err(MoneyError::Malformed));
    }
    check("$-1", Err(MoneyError::Negative));
    check("-$1", Err(MoneyError::Negative));
    check("$0.0000000001", Err(MoneyError::TooFine));
    check("$18446744073.709551616", Err(MoneyError::TooLarge));
    check(&format!("${}", "9".repeat(400)), Err(MoneyError::TooLarge));
}

#[test]
fn rates_keep_what_is_below_a_nano_dollar() {
    // $0.00625 for a million tokens is 6.25e-9 dollars for one.
    assert_eq!(
        Rate::per_million("0.00625"),
        Ok(Rate::from_femto(6_250_000))
    );
    assert_eq!(Rate::per_one("2.5e-6"), Ok(Rate::from_femto(2_500_000_000)));
    assert_eq!(Rate::per_one("2.5E-06"), Rate::per_million("2.5"));
    assert_eq!(Rate::per_one("1e-15"), Ok(Rate::from_femto(1)));
    // Half a femto-dollar is rounded up, and what is far below is nothing.
    assert_eq!(Rate::per_one("5e-16"), Ok(Rate::from_femto(1)));
    assert_eq!(Rate::per_one("4.9e-16"), Ok(Rate::ZERO));
    assert_eq!(Rate::per_one("1e-999999999999999999999"), Ok(Rate::ZERO));
    // What a float made of 3.3e-6 is 3.3e-6 again.
    assert_eq!(
        Rate::per_one("3.3000000000000006e-06"),
        Rate::per_one("0.0000033")
    );
    assert_eq!(Rate::per_one("1e99"), Err(MoneyError::TooLarge));
    assert_eq!(Rate::per_one("0e99"), Ok(Rate::ZERO));
    for text in ["", "e5", "1e", "1e+", "1e5.0", "NaN", "0x1", " 1", "1_0"] {
        assert_eq!(Rate::per_one(text), Err(MoneyError::Malformed), "{text:?}");
    }
}

#[test]
fn amounts_are_shown_in_plain_decimals() {
    let show = |nanos| NanoUsd::new(nanos).to_string();
    assert_eq!(show(420_000), "0.00042");
    assert_eq!(show(0), "0");
    assert_eq!(show(1), "0.000000001");
    assert_eq!(show(20_000_000_000), "20");
    assert_eq!(show(u64::MAX), "18446744073.709551615");
    assert_eq!(Rate::from_femto(6_250_000).show_per_million(), "0.00625");
    assert_eq!(Rate::from_femto(40_000_000_000_000).show_per_one(), "0.04");
}

#[test]
fn json_holds_the_exact_number() {
    #[derive(serde::Serialize)]
    struct Line {
        cost: Option<NanoUsd>,
        saved: NanoUsd,
    }
    let line = Line {
        cost: Some(NanoUsd::new(42)),
        saved: NanoUsd::new(u64::MAX),
    };
    assert_eq!(
        serde_json::to_string(&line).unwrap(),
        r#"{"cost":0.000000042,"saved":18446744073.709551615}"#
    );
}

#[test]
fn the_configuration_wants_a_dollar_sign() {
    let read = |yaml: &str| serde_yaml::from_str::<NanoUsd>(yaml).map_err(|e| e.to_string());
    assert_eq!(read("$0.25"), Ok(NanoUsd::new(250_000_000)));
    for yaml in ["20", "-1", "0.5"] {
        assert!(
            read(yaml)
                .unwrap_err()
                .contains("begins with a dollar sign")
        );
    }
}

#[test]
fn a_sum_is_rounded_once() {
    // Three times 0.4 nano-dollars are 1.2, not 0.
    let mut sum = Sum::default();
    for _ in 0..3 {
        sum.add(Rate::from_femto(400_000), 1);
    }
    assert_eq!(sum.round(), NanoUsd::new(1));
    // 1.5 nano-dollars are rounded up.
    sum.add(Rate::from_femto(300_000), 1);
    assert_eq!(sum.round(), NanoUsd::new(2));
    // 2.5 seconds at $0.0001.
    let mut sum = Sum::default();
    sum.add_thousandths(Rate::from_femto(100_000_000_000), 2_500);
    assert_eq!(sum.round(), NanoUsd::new(250_000));
}

proptest! {
    #[test]
    fn what_is_shown_is_read_again(nanos: u64, femto: u64) {
        let shown = NanoUsd::new(nanos).to_string();
        prop_assert_eq!(NanoUsd::from_decimal(&shown), Ok(NanoUsd::new(nanos)));
        prop_assert_eq!(format!("${shown}").parse(), Ok(NanoUsd::new(nanos)));
        let rate = Rate::from_femto(femto);
        prop_assert_eq!(Rate::per_one(&rate.show_per_one()), Ok(rate));
        prop_assert_eq!(Rate::per_million(&rate.show_per_million()), Ok(rate));
    }

    #[test]
    fn any_text_is_read_or_refused(text in r"\PC{0,60}|[-$0-9.eE+]{0,80}") {
        let _ = NanoUsd::from_decimal(&text);
        let _ = text.parse::<NanoUsd>();
        let _ = Rate::per_one(&text);
    }

    #[test]
    fn sums_never_overflow(rates in prop::collection::vec((any::<u64>(), any::<u64>()), 0..20)) {
        let mut sum = Sum::default();
        let mut last = NanoUsd::ZERO;
        for (femto, count) in rates {
            sum.add(Rate::from_femto(femto), count);
            sum.add_thousandths(Rate::from_femto(femto), count);
            prop_assert!(sum.round() >= last);
            last = sum.round();
        }
    }
}
