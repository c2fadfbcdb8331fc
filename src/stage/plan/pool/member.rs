//! One endpoint or one key among several, and what was seen of it.

use crate::stage::plan::breaker::{Breaker, Pass, Rules};
use crate::stage::plan::standing::{OfMember, Speed};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// After this long without a sample a member's speed is unknown again, so that one that was slow
/// once gets another chance.
const FORGET_MS: u64 = 60_000;
/// A new sample's weight in the average is one in so many.
const SAMPLES: u64 = 5;

#[derive(Debug)]
pub struct Member {
    /// For metrics: an endpoint's URL, a key's name.
    pub label: Box<str>,
    /// A number of its own, the same in every process.
    pub spread: u64,
    /// At least 1.
    pub weight: u64,
    pub breaker: Breaker,
    /// Answers of 403 since the last good one.
    pub forbidden: AtomicU64,
    /// A key that its provider refuses.
    pub parked: AtomicBool,
    running: AtomicU64,
    /// Of the first token; 0 where it is unknown.
    average_us: AtomicU64,
    sampled_ms: AtomicU64,
}

impl Member {
    pub fn new(label: &str, spread: u64, weight: u64) -> Self {
        Self {
            label: label.into(),
            spread,
            weight: weight.max(1),
            breaker: Breaker::default(),
            forbidden: AtomicU64::new(0),
            parked: AtomicBool::new(false),
            running: AtomicU64::new(0),
            average_us: AtomicU64::new(0),
            sampled_ms: AtomicU64::new(0),
        }
    }

    /// Requests that run there now.
    pub fn running(&self) -> u64 {
        self.running.load(Ordering::Relaxed)
    }

    /// How long the first token takes, as a moving average in µs.
    pub fn average_us(&self, now_ms: u64) -> Option<u64> {
        let average = self.average_us.load(Ordering::Relaxed);
        let age_ms = now_ms.saturating_sub(self.sampled_ms.load(Ordering::Relaxed));
        (average > 0 && age_ms < FORGET_MS).then_some(average)
    }

    pub fn sample(&self, first_token: Duration, now_ms: u64) {
        let sample = u64::try_from(first_token.as_micros()).unwrap_or(u64::MAX);
        let sample = sample.max(1);
        let average = match self.average_us(now_ms) {
            Some(average) => average - average / SAMPLES + sample / SAMPLES,
            None => sample,
        };
        // Of two samples at once one may be lost: the average does not miss it.
        self.average_us.store(average.max(1), Ordering::Relaxed);
        self.sampled_ms.store(now_ms, Ordering::Relaxed);
    }

    /// What was seen of it, for a successor.
    pub fn standing(&self, of: String, rules: &Rules, now_ms: u64) -> OfMember {
        let sampled_ms = self.sampled_ms.load(Ordering::Relaxed);
        let speed = self.average_us(now_ms).map(|average_us| Speed {
            average_us,
            ago_ms: now_ms.saturating_sub(sampled_ms),
        });
        OfMember {
            name: self.label.to_string(),
            of,
            breaker: self.breaker.standing(rules, now_ms),
            forbidden: self.forbidden.load(Ordering::Relaxed),
            parked: self.parked.load(Ordering::Relaxed),
            speed,
        }
    }

    /// Goes on where a predecessor stood.
    pub fn resume(&self, told: &OfMember, rules: &Rules, now_ms: u64) {
        self.breaker.resume(&told.breaker, rules, now_ms);
        self.forbidden.store(told.forbidden, Ordering::Relaxed);
        self.parked.store(told.parked, Ordering::Relaxed);
        if let Some(Speed { average_us, ago_ms }) = told.speed {
            self.average_us.store(average_us, Ordering::Relaxed);
            let sampled_ms = now_ms.saturating_sub(ago_ms);
            self.sampled_ms.store(sampled_ms, Ordering::Relaxed);
        }
    }
}

/// A request that runs at a member, for as long as this lives.
#[derive(Debug)]
pub struct Hold {
    pub member: Arc<Member>,
    pub pass: Pass,
}

impl Hold {
    pub fn new(member: Arc<Member>, pass: Pass) -> Self {
        member.running.fetch_add(1, Ordering::Relaxed);
        Self { member, pass }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.member.running.fetch_sub(1, Ordering::Relaxed);
        if let Pass::Probe(_) = self.pass {
            self.member.breaker.give_back(self.pass);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_follows_the_samples_and_is_forgotten() {
        let member = Member::new("a", 1, 0);
        assert_eq!((member.weight, member.average_us(1)), (1, None));
        member.sample(Duration::from_millis(100), 1);
        assert_eq!(member.average_us(1), Some(100_000));
        member.sample(Duration::from_millis(200), 2);
        assert_eq!(member.average_us(2), Some(120_000));
        for now_ms in 3..60 {
            member.sample(Duration::from_millis(200), now_ms);
        }
        assert!(member.average_us(60).unwrap() > 195_000);
        assert_eq!(member.average_us(60 + FORGET_MS), None);
        member.sample(Duration::ZERO, 70_000);
        assert_eq!(member.average_us(70_000), Some(1));
    }
}
