//! Which key is taken, and which one rests.

use super::*;

#[test]
fn a_refused_key_is_not_tried_again_and_a_busy_one_last() {
    let keys = bench(KEYS);
    let choose = |tried: &Tried| keys.pool.choose(&keys.asked(), tried, Resort::LeastBad);
    for status in [401, 429] {
        let mut tried = Tried::default();
        let first = choose(&tried).unwrap();
        tried.note(&first.ticket, Fault::Status(status));
        let second = choose(&tried).unwrap();
        assert_ne!(key(&first), key(&second));
        tried.note(&second.ticket, Fault::Status(status));
        let third = choose(&tried);
        assert_eq!(third.is_ok(), status == 429);
    }
}

#[test]
fn a_refused_key_is_parked_and_a_busy_one_cools_down() {
    for (fault, rest) in [
        (Fault::Status(401), 3600),
        (Fault::Status(402), 3600),
        (Fault::Quota, 3600),
        (Fault::Status(429), 10),
    ] {
        let keys = bench(KEYS);
        keys.send(1, fault);
        let left: Vec<_> = (0..50)
            .map(|_| key(&keys.choose(Resort::Healthy).unwrap()).to_owned())
            .collect();
        assert!(left.iter().all(|name| *name == left[0]), "{fault:?}");
        let other = if left[0] == "key-1" { "key-2" } else { "key-1" };
        let parked = keys.parked.with_label_values(&["custom-x", other]);
        assert_eq!(parked.get(), u64::from(rest == 3600));
        keys.wait(rest - 1);
        keys.send(1, Fault::Status(401));
        let rests = keys.choose(Resort::Healthy).unwrap_err();
        assert_eq!(rests, Unfit::Resting(Duration::from_secs(1)));
        keys.wait(1);
        assert_eq!(key(&keys.choose(Resort::Healthy).unwrap()), other);
    }
}

#[test]
fn a_key_cools_down_for_as_long_as_the_provider_says() {
    let keys = bench("{base_url: 'http://a', keys: [zq1]}");
    let choice = keys.choose(Resort::Healthy).unwrap();
    choice.ticket.report(Outcome {
        fault: Some(Fault::Status(429)),
        retry_after: Some(Duration::from_secs(42)),
        first_token: None,
    });
    let rests = Unfit::Resting(Duration::from_secs(42));
    assert_eq!(keys.choose(Resort::Healthy).unwrap_err(), rests);
    assert_eq!(keys.states()[0].1, State::Open);
}

#[test]
fn a_forbidden_prompt_does_not_park_a_key() {
    let keys = bench("{base_url: 'http://a', keys: [{name: only, key: zq1}]}");
    for _ in 0..10 {
        keys.send(2, Fault::Status(403));
        assert_eq!(keys.states(), [("key only".to_owned(), State::Closed)]);
        keys.send(1, None);
    }
    keys.send(3, Fault::Status(403));
    assert_eq!(keys.states(), [("key only".to_owned(), State::Open)]);
}

#[test]
fn a_clients_own_key_is_neither_replaced_nor_blamed_on_us() {
    let keys = bench(KEYS);
    let asked = Asked {
        own_key: true,
        ..keys.asked()
    };
    for _ in 0..50 {
        let choice = keys.pool.choose(&asked, &Tried::default(), Resort::Healthy);
        let choice = choice.unwrap();
        assert!(choice.key.is_none());
        choice.ticket.report(Outcome {
            fault: Some(Fault::Status(401)),
            ..Outcome::default()
        });
    }
    assert!(
        keys.states()
            .iter()
            .all(|(_, state)| *state == State::Closed)
    );
}

#[test]
fn keys_are_never_shown() {
    let keys = bench("{base_url: 'http://a', keys: [zqzqzq]}");
    let choice = keys.choose(Resort::Healthy).unwrap();
    assert_eq!(choice.key.as_ref().unwrap().value, "Bearer zqzqzq");
    assert!(!format!("{choice:?}").contains("zqzq"));
}

#[test]
fn a_key_that_stays_refused_is_told_of_once() {
    let keys = bench("{base_url: 'http://a', keys: [zq1]}");
    let parked = || keys.parked.with_label_values(&["custom-x", "key-1"]).get();
    keys.send(20, Fault::Status(401));
    keys.wait(3600);
    keys.send(1, Fault::Status(401));
    assert_eq!(parked(), 1);
    keys.send(1, None);
    assert_eq!(keys.states()[0].1, State::Closed);
    keys.send(1, Fault::Status(429));
    keys.send(1, Fault::Status(402));
    assert_eq!(parked(), 2);
}
