//! A circuit breaker: lets requests through until too many fail, rests, then lets one probe pass.

mod window;

use super::standing::OfBreaker;
use crate::provider::config::breaker::Breaker as Config;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use window::Window;

/// The longest rest that a provider can ask for.
pub const REST_MAX: Duration = Duration::from_secs(60 * 60);

/// One endpoint's, key's or model's health. Asking it takes no lock while all is well.
#[derive(Debug, Default)]
pub struct Breaker {
    /// When the rest is over, in ticks; 0 while closed. Written under the lock only.
    until_ms: AtomicU64,
    /// Counts openings, closings and probes, so that what began before one does not judge after it.
    /// Written under the lock only.
    era: AtomicU32,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    window: Window,
    probing: bool,
}

/// What a breaker says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Closed,
    /// The rest is over: one request may pass, or is on its way.
    HalfOpen,
    Open,
}

/// The leave to send one request. It is told how the request ended, or given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    Free(u32),
    /// The only one of its rest.
    Probe(u32),
    /// Taken although the breaker gave none.
    Resort,
}

/// What a request's end says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Good,
    /// One failure, to be weighed against the rest; where it opens the breaker, for at least this
    /// long.
    Bad(Duration),
    /// Reason enough to rest for this long; for none at all where it is zero.
    Rest(Duration),
}

/// What a word changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    None,
    Opened,
    Closed,
}

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// In percent of the requests in the window.
    pub failures_min: u64,
    pub requests_min: u64,
    pub window_ms: u64,
    pub rest: Duration,
}

impl From<&Config> for Rules {
    fn from(config: &Config) -> Self {
        Self {
            failures_min: config.failure_percent,
            requests_min: config.min_requests,
            window_ms: ms(config.window.duration()),
            rest: config.open.duration(),
        }
    }
}

impl Breaker {
    pub fn state(&self, now_ms: u64) -> State {
        match self.until_ms.load(Ordering::Acquire) {
            0 => State::Closed,
            until if now_ms < until => State::Open,
            _ => State::HalfOpen,
        }
    }

    /// When the rest is over or was, in ticks; 0 while closed.
    pub fn until_ms(&self) -> u64 {
        self.until_ms.load(Ordering::Acquire)
    }

    /// Whether [`Breaker::enter`] would give a pass now.
    pub fn is_passable(&self, now_ms: u64) -> bool {
        match self.state(now_ms) {
            State::Closed => true,
            State::Open => false,
            State::HalfOpen => !self.lock().probing,
        }
    }

    /// A pass while closed; after the rest, one probe's.
    pub fn enter(&self, now_ms: u64) -> Option<Pass> {
        let era = self.era.load(Ordering::Acquire);
        if self.state(now_ms) == State::Closed {
            return Some(Pass::Free(era));
        }
        let mut inner = self.lock();
        // What was read before the lock may be over.
        let era = self.era.load(Ordering::Acquire);
        match self.state(now_ms) {
            State::Closed => Some(Pass::Free(era)),
            State::HalfOpen if !inner.probing => {
                inner.probing = true;
                Some(Pass::Probe(era))
            }
            State::HalfOpen | State::Open => None,
        }
    }

    /// Gives a pass back with which nothing was learned, so that another may probe.
    pub fn give_back(&self, pass: Pass) {
        let mut inner = self.lock();
        if pass == Pass::Probe(self.era.load(Ordering::Acquire)) {
            self.end_probe(&mut inner);
        }
    }

    /// Takes in how a request ended.
    pub fn settle(&self, pass: Pass, word: Word, rules: &Rules, now_ms: u64) -> Change {
        let mut inner = self.lock();
        let until_ms = self.until_ms();
        let closed = until_ms == 0;
        let era = self.era.load(Ordering::Acquire);
        match (word, pass) {
            (Word::Rest(rest), _) => {
                let later = now_ms.saturating_add(ms(rest)).max(1);
                let ours = pass == Pass::Probe(era);
                if rest.is_zero() || (later <= until_ms && !ours) {
                    if ours {
                        self.end_probe(&mut inner);
                    }
                    return Change::None;
                }
                self.open(&mut inner, later);
                Change::Opened
            }
            (Word::Good, Pass::Free(told)) if told == era && closed => {
                inner.window.count(true, rules.window_ms, now_ms);
                Change::None
            }
            (Word::Bad(least), Pass::Free(told)) if told == era && closed => {
                inner.window.count(false, rules.window_ms, now_ms);
                if !self.fails_too_often(&inner, rules, now_ms) {
                    return Change::None;
                }
                self.open(&mut inner, now_ms.saturating_add(ms(rest(rules, least))));
                Change::Opened
            }
            (Word::Good, Pass::Probe(told)) if told == era && !closed => self.close(&mut inner),
            (Word::Good, Pass::Resort) if !closed => self.close(&mut inner),
            (Word::Bad(least), Pass::Probe(told)) if told == era && !closed => {
                self.open(&mut inner, now_ms.saturating_add(ms(rest(rules, least))));
                Change::None
            }
            // A last resort that fails leaves the rest as it is, lest requests that never cease keep
            // every probe away. What began in another era says nothing about this one.
            _ => Change::None,
        }
    }

    /// Takes back a good word that turned out to be wrong, in favour of a bad one.
    pub fn recant(&self, pass: Pass, rules: &Rules, now_ms: u64) -> Change {
        let mut inner = self.lock();
        let era = self.era.load(Ordering::Acquire);
        if pass != Pass::Free(era) || self.until_ms() != 0 {
            return Change::None;
        }
        inner.window.uncount();
        drop(inner);
        self.settle(pass, Word::Bad(Duration::ZERO), rules, now_ms)
    }

    /// Where it stands, for a successor.
    pub fn standing(&self, rules: &Rules, now_ms: u64) -> OfBreaker {
        let inner = self.lock();
        let until_ms = self.until_ms();
        OfBreaker {
            rest_ms: (until_ms != 0).then(|| until_ms.saturating_sub(now_ms)),
            window_ms: rules.window_ms,
            ends: inner.window.standing(rules.window_ms, now_ms),
        }
    }

    /// Goes on where a predecessor stood. What was counted over another window is forgotten.
    pub fn resume(&self, told: &OfBreaker, rules: &Rules, now_ms: u64) {
        let mut inner = self.lock();
        match told.rest_ms {
            Some(rest_ms) => self.open(&mut inner, now_ms.saturating_add(rest_ms)),
            None if told.window_ms == rules.window_ms => {
                inner.window.resume(&told.ends, rules.window_ms, now_ms);
            }
            None => {}
        }
    }

    fn fails_too_often(&self, inner: &Inner, rules: &Rules, now_ms: u64) -> bool {
        let (good, bad) = inner.window.sum(rules.window_ms, now_ms);
        let all = good + bad;
        all >= rules.requests_min && bad * 100 >= rules.failures_min * all
    }

    fn open(&self, inner: &mut Inner, until_ms: u64) {
        *inner = Inner::default();
        self.era.fetch_add(1, Ordering::AcqRel);
        self.until_ms.store(until_ms.max(1), Ordering::Release);
    }

    fn close(&self, inner: &mut Inner) -> Change {
        *inner = Inner::default();
        self.era.fetch_add(1, Ordering::AcqRel);
        self.until_ms.store(0, Ordering::Release);
        Change::Closed
    }

    /// The probe is over and nothing is known; its pass is of no more use.
    fn end_probe(&self, inner: &mut Inner) {
        inner.probing = false;
        self.era.fetch_add(1, Ordering::AcqRel);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The provider's own wish, where it is longer than ours and within reason.
fn rest(rules: &Rules, asked: Duration) -> Duration {
    rules.rest.max(asked.min(REST_MAX))
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
