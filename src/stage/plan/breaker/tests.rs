//! Tests of the breaker: one by one, at random, and from several threads.

use super::*;
use proptest::prelude::*;

const RULES: Rules = Rules {
    failures_min: 50,
    requests_min: 4,
    window_ms: 1000,
    rest: Duration::from_millis(500),
};

const BAD: Word = Word::Bad(Duration::ZERO);

/// Sends one request that ends at once; whether it was let through.
fn send(breaker: &Breaker, word: Word, now_ms: u64) -> bool {
    let pass = breaker.enter(now_ms);
    pass.inspect(|pass| {
        breaker.settle(*pass, word, &RULES, now_ms);
    });
    pass.is_some()
}

fn opened(now_ms: u64) -> Breaker {
    let breaker = Breaker::default();
    (0..4).for_each(|_| assert!(send(&breaker, BAD, now_ms)));
    assert_eq!(breaker.state(now_ms), State::Open);
    breaker
}

#[test]
fn it_opens_at_the_rate_and_not_before_the_least_number() {
    let breaker = Breaker::default();
    for _ in 0..3 {
        send(&breaker, BAD, 1);
        assert_eq!(breaker.state(1), State::Closed);
    }
    send(&breaker, BAD, 1);
    assert_eq!((breaker.state(1), breaker.until_ms()), (State::Open, 501));

    let half = Breaker::default();
    (0..5).for_each(|_| assert!(send(&half, Word::Good, 1)));
    (0..4).for_each(|_| assert!(send(&half, BAD, 2)));
    assert_eq!(half.state(2), State::Closed);
    send(&half, BAD, 3);
    assert_eq!(half.state(3), State::Open);
}

#[test]
fn failures_far_apart_do_not_add_up() {
    let breaker = Breaker::default();
    for step in 0..100 {
        send(&breaker, BAD, 1 + step * 400);
        assert_eq!(breaker.state(1 + step * 400), State::Closed);
    }
}

#[test]
fn after_its_rest_one_probe_decides() {
    let breaker = opened(1);
    assert_eq!(breaker.enter(500), None);
    let probe = breaker.enter(501).unwrap();
    assert_eq!((probe, breaker.enter(501)), (Pass::Probe(1), None));
    assert!(!breaker.is_passable(501));
    breaker.settle(probe, BAD, &RULES, 600);
    assert_eq!(
        (breaker.state(600), breaker.until_ms()),
        (State::Open, 1100)
    );
    let probe = breaker.enter(1100).unwrap();
    let change = breaker.settle(probe, Word::Good, &RULES, 1200);
    assert_eq!(
        (change, breaker.state(1200)),
        (Change::Closed, State::Closed)
    );
    // The failures from before are forgotten.
    assert!(send(&breaker, BAD, 1200) && breaker.state(1200) == State::Closed);
}

#[test]
fn a_probe_that_learns_nothing_makes_room_for_another() {
    let breaker = opened(1);
    let probe = breaker.enter(501).unwrap();
    breaker.give_back(probe);
    let second = breaker.enter(501).unwrap();
    // What was given back cannot be given back again.
    breaker.give_back(probe);
    assert_eq!(breaker.enter(501), None);
    breaker.settle(second, Word::Rest(Duration::ZERO), &RULES, 501);
    let third = breaker.enter(501).unwrap();
    breaker.give_back(second);
    assert_eq!((breaker.enter(501), third), (None, Pass::Probe(3)));
}

#[test]
fn what_began_before_it_opened_does_not_judge_after() {
    let breaker = Breaker::default();
    let old: Vec<_> = (0..9).filter_map(|_| breaker.enter(1)).collect();
    (0..4).for_each(|_| assert!(send(&breaker, BAD, 1)));
    breaker.settle(old[0], Word::Good, &RULES, 100);
    assert_eq!(breaker.state(100), State::Open);
    for pass in &old {
        breaker.settle(*pass, BAD, &RULES, 400);
    }
    assert_eq!(breaker.until_ms(), 501);
    let probe = breaker.enter(501).unwrap();
    breaker.settle(probe, Word::Good, &RULES, 501);
    for pass in &old {
        breaker.settle(*pass, BAD, &RULES, 502);
    }
    assert_eq!(breaker.state(502), State::Closed);
}

#[test]
fn the_provider_may_ask_for_a_longer_rest_within_reason() {
    for (asked, until_ms) in [(2, 2001), (0, 501), (100_000, 3_600_001)] {
        let breaker = Breaker::default();
        let word = Word::Bad(Duration::from_secs(asked));
        (0..4).for_each(|_| assert!(send(&breaker, word, 1)));
        assert_eq!(breaker.until_ms(), until_ms);
    }
}

#[test]
fn a_rest_begins_at_once_and_only_grows() {
    let breaker = Breaker::default();
    let [first, second] = [breaker.enter(1), breaker.enter(1)].map(Option::unwrap);
    let rest = |seconds| Word::Rest(Duration::from_secs(seconds));
    assert_eq!(breaker.settle(first, rest(0), &RULES, 1), Change::None);
    assert_eq!(breaker.settle(first, rest(9), &RULES, 1), Change::Opened);
    assert_eq!(breaker.settle(second, rest(2), &RULES, 1), Change::None);
    assert_eq!(breaker.until_ms(), 9001);
    assert_eq!(breaker.settle(second, rest(20), &RULES, 1), Change::Opened);
    let probe = breaker.enter(20_001).unwrap();
    assert_eq!(
        breaker.settle(probe, rest(1), &RULES, 20_001),
        Change::Opened
    );
    assert_eq!(breaker.until_ms(), 21_001);
}

#[test]
fn a_last_resort_closes_by_success_and_changes_nothing_by_failure() {
    let breaker = opened(1);
    breaker.settle(Pass::Resort, BAD, &RULES, 300);
    assert_eq!(breaker.until_ms(), 501);
    breaker.settle(Pass::Resort, Word::Good, &RULES, 300);
    assert_eq!(breaker.state(300), State::Closed);
}

#[test]
fn a_good_word_that_was_wrong_counts_as_a_bad_one() {
    let breaker = Breaker::default();
    for turn in 0..4 {
        assert_eq!(breaker.state(1), State::Closed, "{turn}");
        let pass = breaker.enter(1).unwrap();
        breaker.settle(pass, Word::Good, &RULES, 1);
        breaker.recant(pass, &RULES, 1);
    }
    assert_eq!(breaker.state(1), State::Open);
}

#[test]
fn of_many_threads_one_is_let_through_to_probe() {
    for round in 0..200 {
        let breaker = opened(1);
        let passed = AtomicU64::new(0);
        let start = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..50 {
                        let pass = breaker.enter(501);
                        passed.fetch_add(u64::from(pass.is_some()), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 1, "round {round}");
    }
}

#[test]
fn threads_that_probe_and_fail_never_get_two_probes_in_one_rest() {
    let breaker = opened(1);
    let clock = AtomicU64::new(501);
    let probing = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5000 {
                    let now_ms = clock.fetch_add(7, Ordering::Relaxed);
                    let Some(pass) = breaker.enter(now_ms) else {
                        continue;
                    };
                    assert!(matches!(pass, Pass::Probe(_)), "{pass:?}");
                    assert_eq!(probing.fetch_add(1, Ordering::AcqRel), 0);
                    probing.fetch_sub(1, Ordering::AcqRel);
                    breaker.settle(pass, BAD, &RULES, now_ms);
                }
            });
        }
    });
    assert_ne!(breaker.until_ms(), 0);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Enter,
    Settle(usize, Word),
    GiveBack(usize),
    Resort(Word),
    Wait(u64),
}

fn any_word() -> impl Strategy<Value = Word> {
    let seconds = (0..5u64).prop_map(Duration::from_secs);
    prop_oneof![
        3 => Just(Word::Good),
        5 => seconds.clone().prop_map(Word::Bad),
        1 => seconds.prop_map(Word::Rest),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Enter),
        4 => (any::<usize>(), any_word()).prop_map(|(at, word)| Step::Settle(at, word)),
        1 => any::<usize>().prop_map(Step::GiveBack),
        1 => any_word().prop_map(Step::Resort),
        2 => (0..900u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn no_rest_sees_two_probes_at_once_and_all_end(
        steps in proptest::collection::vec(any_step(), 1..200)
    ) {
        let breaker = Breaker::default();
        let mut now_ms = 1;
        let mut running: Vec<Pass> = Vec::new();
        for step in steps {
            let state = breaker.state(now_ms);
            match step {
                Step::Enter => match (state, breaker.enter(now_ms)) {
                    (State::Open, pass) => prop_assert_eq!(pass, None),
                    (State::Closed, pass) => {
                        prop_assert!(matches!(pass, Some(Pass::Free(_))));
                        running.extend(pass);
                    }
                    (State::HalfOpen, pass) => {
                        if let Some(pass) = pass {
                            prop_assert!(matches!(pass, Pass::Probe(_)));
                            prop_assert!(!running.contains(&pass));
                        } else {
                            let probes = |pass: &Pass| matches!(pass, Pass::Probe(_));
                            prop_assert!(running.iter().any(probes));
                        }
                        running.extend(pass);
                    }
                },
                Step::Settle(at, word) if !running.is_empty() => {
                    let pass = running.swap_remove(at % running.len());
                    breaker.settle(pass, word, &RULES, now_ms);
                }
                Step::GiveBack(at) if !running.is_empty() => {
                    breaker.give_back(running.swap_remove(at % running.len()));
                }
                Step::Resort(word) => {
                    breaker.settle(Pass::Resort, word, &RULES, now_ms);
                }
                Step::Wait(ms) => now_ms += ms,
                Step::Settle(..) | Step::GiveBack(_) => {}
            }
        }
        // Whatever happened: once all have ended and the rest is over, one good request heals.
        running.into_iter().for_each(|pass| breaker.give_back(pass));
        now_ms = now_ms.max(breaker.until_ms());
        prop_assert!(send(&breaker, Word::Good, now_ms));
        prop_assert_eq!(breaker.state(now_ms), State::Closed);
    }
}

/// What may happen to a breaker: time passes, and a request ends.
fn events() -> impl Strategy<Value = Vec<(u64, Word)>> {
    let word = prop_oneof![
        Just(Word::Good),
        Just(BAD),
        (0..2000_u64).prop_map(|ms| Word::Bad(Duration::from_millis(ms))),
        (0..2000_u64).prop_map(|ms| Word::Rest(Duration::from_millis(ms))),
    ];
    proptest::collection::vec((0..300_u64, word), 0..60)
}

proptest! {
    /// A successor with a clock of its own behaves as its predecessor would have.
    #[test]
    fn a_successor_goes_on_where_its_predecessor_stood(
        before in events(), after in events(), start in 1_000_000..2_000_000_u64, turns in 0..50_u64
    ) {
        let old = Breaker::default();
        let mut now_ms = 1_000_000;
        for (passed, word) in before {
            now_ms += passed;
            send(&old, word, now_ms);
        }
        let told = serde_json::to_string(&old.standing(&RULES, now_ms)).unwrap();
        let told = serde_json::from_str(&told).unwrap();
        let new = Breaker::default();
        // Whole tenths of a window lie between the two clocks, so that slots begin together.
        let shift = start / 100 * 100 + turns * 100;
        new.resume(&told, &RULES, now_ms + shift);
        prop_assert_eq!(&told, &new.standing(&RULES, now_ms + shift));
        for (passed, word) in after {
            now_ms += passed;
            prop_assert_eq!(old.state(now_ms), new.state(now_ms + shift));
            let passed = (send(&old, word, now_ms), send(&new, word, now_ms + shift));
            prop_assert_eq!(passed.0, passed.1);
        }
    }
}

#[test]
fn what_was_counted_over_another_window_is_forgotten() {
    let old = Breaker::default();
    (0..3).for_each(|_| assert!(send(&old, BAD, 1_000_000)));
    let told = old.standing(&RULES, 1_000_000);
    let rules = Rules {
        window_ms: 2000,
        ..RULES
    };
    let new = Breaker::default();
    new.resume(&told, &rules, 1_000_000);
    assert_eq!(new.standing(&rules, 1_000_000).ends, []);
    // A rest is a rest, whatever it came of.
    let told = opened(1_000_000).standing(&RULES, 1_000_100);
    assert_eq!(told.rest_ms, Some(400));
    new.resume(&told, &rules, 5);
    assert_eq!(
        (new.state(404), new.state(405)),
        (State::Open, State::HalfOpen)
    );
}
