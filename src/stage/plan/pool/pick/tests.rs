//! Tests of the four ways to pick.

use super::*;
use crate::provider::config::balance::By as StickyBy;
use crate::stage::plan::breaker::Pass;
use crate::stage::plan::pool::member::Hold;
use proptest::prelude::*;
use std::time::Duration;

fn members(weights: &[u64]) -> Vec<Arc<Member>> {
    let weights = weights.iter().enumerate();
    let members = weights.map(|(at, weight)| Member::new(&format!("m{at}"), at as u64, *weight));
    members.map(Arc::new).collect()
}

fn all(members: &[Arc<Member>]) -> Set {
    (0..members.len()).collect()
}

fn by<'a>(balance: &'a Balance, dice: &'a Dice) -> By<'a> {
    By {
        balance,
        affinity: None,
        dice,
        now_ms: 1,
    }
}

#[test]
fn weights_are_kept_in_the_long_run() {
    let members = members(&[1, 3, 6]);
    let dice = Dice::new(7);
    let mut counts = [0; 3];
    for _ in 0..10_000 {
        let at = pick(&members, all(&members), by(&Balance::Weighted, &dice));
        counts[at.unwrap()] += 1;
    }
    for (count, expect) in counts.into_iter().zip([1000, 3000, 6000i32]) {
        assert!((count - expect).abs() < 300, "{counts:?}");
    }
}

#[test]
fn the_least_busy_for_its_weight_is_picked() {
    let members = members(&[1, 2, 1]);
    let dice = Dice::new(7);
    let mut holds = Vec::new();
    for _ in 0..400 {
        let at = pick(&members, all(&members), by(&Balance::LeastBusy, &dice)).unwrap();
        holds.push(Hold::new(members[at].clone(), Pass::Free(0)));
    }
    let running: Vec<_> = members.iter().map(|member| member.running()).collect();
    assert_eq!(running, [100, 200, 100]);
    holds.clear();
    let mut seen = Set::default();
    for _ in 0..100 {
        let equals = [0, 2].into_iter().collect();
        seen.add(pick(&members, equals, by(&Balance::LeastBusy, &dice)).unwrap());
    }
    assert_eq!(seen, [0, 2].into_iter().collect(), "ties are shared out");
    assert_eq!(members[0].running(), 0);
}

#[test]
fn the_fastest_gets_most_and_the_unknown_are_tried_once_at_a_time() {
    let members = members(&[1, 1, 1]);
    let dice = Dice::new(7);
    members[0].sample(Duration::from_millis(10), 1);
    members[1].sample(Duration::from_millis(100), 1);
    let fastest = |among| pick(&members, among, by(&Balance::Fastest, &dice)).unwrap();
    let unknown_and_slow = [1, 2].into_iter().collect();
    assert_eq!(fastest(unknown_and_slow), 2);
    let hold = Hold::new(members[2].clone(), Pass::Free(0));
    assert_eq!(fastest(unknown_and_slow), 1);
    drop(hold);
    members[2].sample(Duration::from_millis(1000), 1);
    let mut counts = [0; 3];
    (0..3000).for_each(|_| counts[fastest(all(&members))] += 1);
    // Of three pairs two have the fastest in them, and no pair prefers the slowest.
    assert!((1800..2200).contains(&counts[0]), "{counts:?}");
    assert_eq!(counts[2], 0);
    // A busy one waits in its own line.
    let holds: Vec<_> = (0..20)
        .map(|_| Hold::new(members[0].clone(), Pass::Free(0)))
        .collect();
    assert_eq!(fastest([0, 1].into_iter().collect()), 1);
    drop(holds);
}

proptest! {
    #[test]
    fn a_lost_member_moves_only_its_own(
        weights in proptest::collection::vec(1..10u64, 1..=20),
        lost in any::<prop::sample::Index>(),
        affinities in proptest::collection::vec(any::<u64>(), 1..50),
    ) {
        let members = members(&weights);
        let lost = lost.index(members.len());
        let mut left = all(&members);
        left.remove(lost);
        for affinity in affinities {
            let before = sticky(&members, all(&members), affinity);
            prop_assert_eq!(before, sticky(&members, all(&members), affinity));
            let after = sticky(&members, left, affinity);
            if before != Some(lost) {
                prop_assert_eq!(before, after);
            } else {
                prop_assert_ne!(after, Some(lost));
                prop_assert_ne!(after.is_some(), left.is_empty());
            }
        }
    }

    #[test]
    fn whatever_is_picked_is_one_of_those_that_may_be(
        weights in proptest::collection::vec(1..10u64, 0..=64),
        among in any::<u64>(),
        seed in any::<u64>(),
        affinity in any::<Option<u64>>(),
    ) {
        let members = members(&weights);
        let among = Set(among).and(all(&members));
        let dice = Dice::new(seed);
        let ways = [
            Balance::Weighted,
            Balance::LeastBusy,
            Balance::Fastest,
            Balance::Sticky(StickyBy::Prompt),
        ];
        for balance in &ways {
            let picked = pick(&members, among, By { affinity, ..by(balance, &dice) });
            prop_assert_eq!(picked.is_some(), !among.is_empty());
            prop_assert!(picked.is_none_or(|at| among.has(at)), "{:?}", picked);
        }
    }
}

#[test]
fn affinities_are_spread_by_weight() {
    let members = members(&[1, 3]);
    let mut counts = [0; 2];
    for affinity in 0..4000 {
        counts[sticky(&members, all(&members), affinity).unwrap()] += 1;
    }
    assert!((900..1100).contains(&counts[0]), "{counts:?}");
}
