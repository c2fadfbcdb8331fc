//! Rooms that are full, many keys, and many threads.

use super::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const SMALL: usize = 256 << 10;

#[test]
fn random_keys_neither_grow_a_room_nor_push_out_a_live_budget() {
    let counters = Counters::with(2 * SMALL, None, still_clock()).unwrap();
    let rule = budget(&counters, 1, terms(Technique::Fixed, 3_600_000, 100));
    take(&counters, &rule, 7, 60)
        .ok()
        .unwrap()
        .settle(counters.now(), 60);
    let mut refused = 0;
    for id in 1_000..100_000 {
        match take(&counters, &rule, id, 1) {
            Ok(grant) => grant.settle(counters.now(), 1),
            Err(_) => refused += 1,
        }
    }
    // Those that found no room of their own share one counter with the rule's limit.
    let bytes = counters.rooms.budgets.yard.bytes.load(Ordering::Relaxed);
    assert!(bytes < SMALL + 1_000, "{bytes}");
    assert!(refused > 90_000, "{refused}");
    assert_eq!(stands(&counters, 7), Some((60, 0)));
    assert!(take(&counters, &rule, 7, 41).is_err());
    take(&counters, &rule, 7, 40)
        .ok()
        .unwrap()
        .settle(counters.now(), 40);
    // Rates have a room of their own.
    let rate = terms(Technique::Sliding, 1_000, 1);
    let rate = counters.rule(Identity(2), Kind::Rate, rate);
    assert!(take(&counters, &rate, 9, 1).is_ok());
}

#[test]
fn idle_counters_make_room() {
    let counters = Counters::with(2 * SMALL, None, still_clock()).unwrap();
    let rule = budget(&counters, 1, terms(Technique::Sliding, 60_000, 100));
    for id in 0..10_000 {
        if let Ok(grant) = take(&counters, &rule, id, 1) {
            grant.settle(counters.now(), 1);
        }
    }
    assert!(counters.rooms.budgets.is_full());
    let held = take(&counters, &rule, 3, 5).ok().unwrap();
    advance(&counters, 61_000);
    (0..256).for_each(|turn| counters.rooms.budgets.sweep(turn, counters.now()));
    assert_eq!(stands(&counters, 3), Some((0, 5)));
    let mut left = 0;
    counters.each(|_| left += 1);
    // The one that is held, and the shared one, whose rule has it at hand.
    assert_eq!(left, 2);
    drop(held);
    let bytes = counters.rooms.budgets.yard.bytes.load(Ordering::Relaxed);
    assert!(bytes < 2_000, "{bytes}");
}

#[test]
fn newcomers_to_a_full_room_of_rates_are_estimated() {
    let counters = Counters::with(2 * SMALL, None, still_clock()).unwrap();
    let terms = terms(Technique::Fixed, 60_000, 3);
    let rule = counters.rule(Identity(1), Kind::Rate, terms);
    let want = |id| Want {
        rule: &rule,
        id,
        label: &String::new,
        amount: 1,
        charge: Charge::AtOnce,
    };
    let passed = |id| {
        (0..5)
            .filter(|_| {
                counters
                    .take(&[want(id)])
                    .is_ok_and(|grants| keep(&counters, grants))
            })
            .count()
    };
    let each: Vec<usize> = (0..4_000).map(passed).collect();
    assert!(each.iter().all(|passed| *passed <= 3));
    let early = each.iter().filter(|passed| **passed < 3).count();
    assert!(early < 40, "{early} were refused early");
    let mut own = 0;
    counters.each(|_| own += 1);
    assert!(own < 2_000, "{own}");
}

/// They are settled, so that they count.
fn keep(counters: &Counters, grants: Vec<Grant>) -> bool {
    grants
        .into_iter()
        .for_each(|grant| grant.settle(counters.now(), 1));
    true
}

#[test]
fn threads_never_take_more_than_there_is_and_leave_nothing_behind() {
    const LIMIT: u64 = 7;
    let counters = Counters::with(ROOMY, None, Clock::system()).unwrap();
    let rules: Vec<_> = (1..=3)
        .map(|id| budget(&counters, id, terms(Technique::Running, 1, LIMIT)))
        .collect();
    let running: [AtomicU64; 3] = Default::default();
    let admitted = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..8_usize {
            let (counters, rules) = (&counters, &rules);
            let (running, admitted) = (&running, &admitted);
            scope.spawn(move || {
                for round in 0..5_000 {
                    // Two of the three, in changing order.
                    let (one, other) = ((thread + round) % 3, (thread + round + 1) % 3);
                    let want = |index: usize| Want {
                        rule: &rules[index],
                        id: index as u128,
                        label: &String::new,
                        amount: 1,
                        charge: Charge::AtEnd,
                    };
                    let Ok(grants) = counters.take(&[want(one), want(other)]) else {
                        continue;
                    };
                    admitted.fetch_add(1, Ordering::Relaxed);
                    for index in [one, other] {
                        assert!(running[index].fetch_add(1, Ordering::AcqRel) < LIMIT);
                    }
                    thread::yield_now();
                    for index in [one, other] {
                        running[index].fetch_sub(1, Ordering::AcqRel);
                    }
                    drop(grants);
                }
            });
        }
    });
    assert!(admitted.load(Ordering::Relaxed) > 0);
    for id in 0..3 {
        assert_eq!(stands(&counters, id), Some((0, 0)));
    }
}
