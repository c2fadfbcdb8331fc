//! The engine against a naive reference that remembers every single event.

use super::*;
use proptest::prelude::*;

const SPAN_MS: u64 = 10_000;
const LIMIT: u64 = 100;
const TECHNIQUES: [Technique; 4] = [
    Technique::Fixed,
    Technique::Sliding,
    Technique::Burst,
    Technique::Running,
];

#[derive(Clone, Debug)]
enum Event {
    /// The time passes on both clocks.
    Pass(u64),
    /// The wall clock is set.
    Jump(i64),
    /// A request wants so much of the rules in the mask; `true`: charged at once.
    Arrive(u64, u8, bool),
    /// One of those that run ends, having used so much.
    End(prop::sample::Index, u64),
    /// One of those that run fails, having used nothing.
    Fail(prop::sample::Index),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0..400_u64).prop_map(Event::Pass),
        1 => (0..25_000_u64).prop_map(Event::Pass),
        8 => (1..60_u64, 1..16_u8, any::<bool>()).prop_map(|(a, m, c)| Event::Arrive(a, m, c)),
        4 => (any::<prop::sample::Index>(), 0..70_u64).prop_map(|(i, a)| Event::End(i, a)),
        2 => any::<prop::sample::Index>().prop_map(Event::Fail),
    ];
    prop::collection::vec(event, 1..120)
}

fn events_with_jumps() -> impl Strategy<Value = Vec<Event>> {
    let jump = (-60_000..60_000_i64).prop_map(Event::Jump);
    let near = (-300..300_i64).prop_map(Event::Jump);
    (
        events(),
        prop::collection::vec(
            (any::<prop::sample::Index>(), prop_oneof![jump, near]),
            0..12,
        ),
    )
        .prop_map(|(mut events, jumps)| {
            for (at, jump) in jumps {
                events.insert(at.index(events.len()), jump);
            }
            events
        })
}

/// What one rule remembers: every charge with its moment, and what is held.
struct Reference {
    technique: Technique,
    charges: Vec<(Now, u64)>,
    held: u64,
    /// The window that has begun, where the wall clock decides.
    window: (u64, u64),
}

impl Reference {
    /// The least and the most that may count now: only a sliding window leaves any doubt, of 1 %
    /// and a part's edge.
    fn used(&mut self, now: Now) -> (u64, u64) {
        let since = |from: u64| {
            let charges = self.charges.iter();
            let late = charges.filter(|(at, _)| at.steady_ms > from);
            late.map(|(_, amount)| *amount).sum::<u64>()
        };
        match self.technique {
            Technique::Running => (0, 0),
            Technique::Sliding => {
                let from = now.steady_ms - SPAN_MS;
                (since(from), since(from - SPAN_MS / 100 - 1))
            }
            Technique::Fixed => {
                let (start, end) = self.window;
                let over = now.wall_ms >= end;
                if over {
                    self.charges.clear();
                }
                if over || now.wall_ms + SPAN_MS < start {
                    let start = now.wall_ms / SPAN_MS * SPAN_MS;
                    self.window = (start, start + SPAN_MS);
                }
                let used = self.charges.iter().map(|(_, amount)| *amount).sum();
                (used, used)
            }
            Technique::Burst => {
                // In thousandths of 1/SPAN: the bucket drains LIMIT in SPAN_MS.
                let (mut level, mut at) = (0_u64, 0);
                for (then, amount) in &self.charges {
                    level = level.saturating_sub((then.steady_ms - at) * LIMIT);
                    level += amount * SPAN_MS;
                    at = then.steady_ms;
                }
                let used = level.saturating_sub((now.steady_ms - at) * LIMIT);
                (used.div_ceil(SPAN_MS), used.div_ceil(SPAN_MS))
            }
        }
    }
}

struct Running {
    grants: Vec<Grant>,
    mask: u8,
    amount: u64,
    at_once: bool,
    since: Now,
}

struct World {
    counters: Counters,
    rules: Vec<Rule>,
    references: Vec<Reference>,
    running: Vec<Running>,
}

impl World {
    fn new() -> Self {
        let counters = Counters::with(ROOMY, None, still_clock()).unwrap();
        let rules = TECHNIQUES.iter().zip(1..);
        let rules = rules
            .map(|(technique, id)| budget(&counters, id, terms(*technique, SPAN_MS, LIMIT)))
            .collect();
        let reference = |technique: Technique| Reference {
            technique,
            charges: Vec::new(),
            held: 0,
            window: (0, 0),
        };
        Self {
            counters,
            rules,
            references: TECHNIQUES.map(reference).into(),
            running: Vec::new(),
        }
    }

    fn arrive(&mut self, amount: u64, mask: u8, at_once: bool) {
        let now = self.counters.now();
        // A bucket's refund has no exact reference: what has drained is gone.
        let mask = if at_once { mask & 0b1011 } else { mask };
        let chosen = || (0..TECHNIQUES.len()).filter(move |index| mask & (1 << index) != 0);
        let wants: Vec<_> = chosen()
            .map(|index| Want {
                rule: &self.rules[index],
                id: index as u128 + 1,
                label: &String::new,
                amount,
                charge: match at_once {
                    true => Charge::AtOnce,
                    false => Charge::AtEnd,
                },
            })
            .collect();
        let outcome = self.counters.take(&wants);
        let (mut must, mut may) = (true, true);
        for index in chosen() {
            let reference = &mut self.references[index];
            let (least, most) = reference.used(now);
            may &= least + reference.held + amount <= LIMIT;
            must &= most + reference.held + amount <= LIMIT;
        }
        match outcome {
            Ok(grants) => {
                assert!(may, "admitted {amount} where there was no room");
                for index in chosen() {
                    let reference = &mut self.references[index];
                    match at_once {
                        true => reference.charges.push((now, amount)),
                        false => reference.held += amount,
                    }
                }
                self.running.push(Running {
                    grants,
                    mask,
                    amount,
                    at_once,
                    since: now,
                });
            }
            Err(lacks) => {
                assert!(!must, "refused {amount} where there was room");
                self.check_lacks(&wants_of(mask), &lacks, amount);
            }
        }
    }

    /// A refusal's promise: a moment before, there is no room; then, there is.
    fn check_lacks(&mut self, chosen: &[usize], lacks: &[Lack], amount: u64) {
        let now = self.counters.now();
        for lack in lacks {
            let index = chosen[lack.claim];
            let Some(wait) = lack.room_in_ms else {
                continue;
            };
            assert!(wait > 0);
            if index == 0 && self.references[0].window.0 > now.wall_ms {
                continue;
            }
            let mut fits = |after: u64| {
                let then = Now {
                    steady_ms: now.steady_ms + after,
                    wall_ms: now.wall_ms + after,
                };
                let reference = &mut self.references[index];
                let charges = reference.charges.clone();
                let window = reference.window;
                let (least, most) = reference.used(then);
                let held = reference.held + amount;
                reference.charges = charges;
                reference.window = window;
                (least + held <= LIMIT, most + held <= LIMIT)
            };
            assert!(fits(wait).0, "{index}: no room after {wait} ms");
            assert!(!fits(wait - 1).1, "{index}: room before {wait} ms");
        }
    }

    fn end(&mut self, at: prop::sample::Index, used: u64) {
        if self.running.is_empty() {
            return;
        }
        let now = self.counters.now();
        let ended = self.running.swap_remove(at.index(self.running.len()));
        for grant in ended.grants {
            grant.settle(now, used);
        }
        for index in wants_of(ended.mask) {
            let reference = &mut self.references[index];
            if !ended.at_once {
                reference.held -= ended.amount;
            }
            if !ended.at_once && used > 0 {
                reference.used(now);
                reference.charges.push((now, used));
            }
        }
    }

    fn fail(&mut self, at: prop::sample::Index) {
        if self.running.is_empty() {
            return;
        }
        let now = self.counters.now();
        let failed = self.running.swap_remove(at.index(self.running.len()));
        for index in wants_of(failed.mask) {
            let reference = &mut self.references[index];
            if !failed.at_once {
                reference.held -= failed.amount;
                continue;
            }
            reference.used(now);
            let own = (failed.since, failed.amount);
            let charges = &mut reference.charges;
            if let Some(at) = charges.iter().position(|charge| *charge == own) {
                charges.remove(at);
            }
        }
        drop(failed);
    }

    fn live(&mut self, event: Event) {
        match event {
            Event::Pass(millis) => advance(&self.counters, millis),
            Event::Jump(millis) => set(&self.counters.clock, |now| {
                now.wall_ms = now.wall_ms.saturating_add_signed(millis);
            }),
            Event::Arrive(amount, mask, at_once) => self.arrive(amount, mask, at_once),
            Event::End(at, used) => self.end(at, used),
            Event::Fail(at) => self.fail(at),
        }
    }
}

fn wants_of(mask: u8) -> Vec<usize> {
    let all = 0..TECHNIQUES.len();
    all.filter(|index| mask & (1 << index) != 0).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn never_more_than_allowed_and_never_less(events in events()) {
        let mut world = World::new();
        for event in events {
            world.live(event);
        }
    }

    #[test]
    fn a_clock_that_jumps_gives_nothing_away(events in events_with_jumps()) {
        let mut world = World::new();
        for event in events {
            world.live(event);
        }
    }
}

/// In any stretch of a window's length no more is admitted than the limit, at whatever moments.
#[test]
fn a_sliding_window_is_exact_within_one_percent() {
    let counters = Counters::with(ROOMY, None, still_clock()).unwrap();
    let rule = budget(&counters, 1, terms(Technique::Sliding, 60_000, 10));
    let mut admitted = Vec::new();
    for _ in 0..20_000 {
        advance(&counters, 37);
        if let Ok(grant) = take(&counters, &rule, 7, 1) {
            grant.settle(counters.now(), 1);
            admitted.push(counters.now().steady_ms);
        }
    }
    for ten in admitted.windows(11) {
        let length = ten[10] - ten[0];
        assert!((60_000..=60_700).contains(&length), "{length}");
    }
    assert!(admitted.len() > 110);
}

#[test]
fn a_request_that_used_more_than_it_held_is_counted_in_full() {
    let counters = Counters::with(ROOMY, None, still_clock()).unwrap();
    for (technique, id) in TECHNIQUES.into_iter().zip(1..).take(3) {
        let rule = budget(&counters, id, terms(technique, 60_000, 100));
        take(&counters, &rule, id, 10)
            .ok()
            .unwrap()
            .settle(counters.now(), 170);
        assert_eq!(stands(&counters, id), Some((170, 0)));
        assert!(take(&counters, &rule, id, 1).is_err());
    }
}
