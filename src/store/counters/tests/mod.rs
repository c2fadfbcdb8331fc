//! Counters against a reference, over restarts, between processes, and when the room is full.

mod disk;
mod model;
mod rooms;

use super::account::{Identity, Kind};
use super::clock::{Clock, Now};
use super::hold::{Charge, Lack};
use super::span::Span;
use super::window::{Technique, Terms};
use super::{Counters, Grant, Rule, Want};
use std::sync::Mutex;

const ROOMY: usize = 64 << 20;
/// A Friday.
const START_MS: u64 = 1_795_000_000_000;

fn set(clock: &Clock, change: impl FnOnce(&mut Now)) {
    match clock {
        Clock::Set(now) => change(&mut now.lock().unwrap()),
        Clock::System { .. } => panic!("this clock runs by itself"),
    }
}

fn still_clock() -> Clock {
    Clock::Set(Mutex::new(Now {
        steady_ms: START_MS,
        wall_ms: START_MS,
    }))
}

fn advance(counters: &Counters, millis: u64) {
    set(&counters.clock, |now| {
        now.steady_ms += millis;
        now.wall_ms += millis;
    });
}

fn terms(technique: Technique, millis: u64, limit: u64) -> Terms {
    let span = Span::Millis(millis);
    Terms {
        technique,
        span,
        limit,
    }
}

fn take(counters: &Counters, rule: &Rule, id: u128, amount: u64) -> Result<Grant, Lack> {
    let want = Want {
        rule,
        id,
        label: &|| format!("key={id}"),
        amount,
        charge: Charge::AtEnd,
    };
    match counters.take(&[want]) {
        Ok(mut grants) => Ok(grants.pop().unwrap()),
        Err(lacks) => Err(lacks[0]),
    }
}

/// What a counter says: used and held.
fn stands(counters: &Counters, id: u128) -> Option<(u64, u64)> {
    let mut found = None;
    counters.each(|counter| {
        if counter.id == id {
            let reading = counter.read(counters.now());
            found = Some((reading.used, reading.held));
        }
    });
    found
}

fn budget(counters: &Counters, identity: u128, terms: Terms) -> Rule {
    counters.rule(Identity(identity), Kind::Budget, terms)
}
