//! One request at its endpoint and with its key, from the choice to its end, and what it says of them.

use super::member::{Hold, Member};
use super::{Asked, Pool, Tried, spread};
use crate::provider::config::breaker::Breaker as Config;
use crate::provider::origin::Origin;
use crate::stage::plan::breaker::{Change, Pass, REST_MAX, Rules, Word};
use crate::stage::plan::fault::{Blame, Fault};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// So many requests without the model at an endpoint are enough, as long as none had it.
const MODEL_REQUESTS_MIN: u64 = 3;
/// From so many 403 in a row on a key is refused, and not what was asked with it: providers answer
/// 403 to forbidden prompts and models as well.
const FORBIDDEN_MIN: u64 = 3;
/// The longest name of a model that becomes a label of a metric.
const MODEL_BYTES_MAX: usize = 128;

/// How an attempt ended, or how it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// `None`: well.
    pub fault: Option<Fault>,
    /// From the attempt's start to the first token, or to the first byte of a plain answer.
    pub first_token: Option<Duration>,
    /// The answer's `Retry-After`.
    pub retry_after: Option<Duration>,
}

/// Holds the request's place at its endpoint and its key for as long as it lives. What is dropped
/// without a report says neither good nor bad.
#[derive(Debug)]
pub struct Ticket {
    pool: Arc<Pool>,
    origin: Arc<Origin>,
    asked_model: Option<Box<str>>,
    /// The index of the endpoint, where there are several.
    pub(super) listed: Option<usize>,
    pub(super) endpoint: Option<Hold>,
    pub(super) model: Option<Hold>,
    pub(super) key: Option<(usize, Hold)>,
    told: AtomicU8,
}

const NOTHING: u8 = 0;
const GOOD: u8 = 1;
const BAD: u8 = 2;

impl Ticket {
    pub(super) fn new(pool: Arc<Pool>, asked: &Asked<'_>) -> Self {
        Self {
            pool,
            origin: asked.origin.clone(),
            asked_model: asked.model.map(Box::from),
            listed: None,
            endpoint: None,
            model: None,
            key: None,
            told: AtomicU8::new(NOTHING),
        }
    }

    pub(super) fn endpoint_index(&self) -> Option<usize> {
        self.listed
    }

    pub(super) fn key_index(&self) -> Option<usize> {
        self.key.as_ref().map(|(at, _)| *at)
    }

    /// Whether, once this attempt has failed so, there is another endpoint or key in its place that
    /// does not rest and that the request, which `tried` those before, did not have yet.
    pub fn has_another(&self, mut tried: Tried, fault: Fault) -> bool {
        tried.note(self, fault);
        let pool = &self.pool;
        let (members, used) = match fault.blame() {
            Blame::Endpoint | Blame::Model => (&pool.endpoints, tried.endpoints),
            Blame::Key if self.key.is_some() => (&pool.key_members, tried.keys.or(tried.barred)),
            Blame::Key | Blame::Client | Blame::Nobody => return false,
        };
        let now_ms = pool.ticks.now_ms();
        let mut members = members.iter().enumerate();
        members.any(|(at, member)| !used.has(at) && member.breaker.is_passable(now_ms))
    }

    /// Says how the attempt ended. The first report counts; of later ones only a fault after all
    /// went well, which is taken in its place.
    pub fn report(&self, outcome: Outcome) {
        let told = match outcome.fault {
            None => GOOD,
            Some(_) => BAD,
        };
        let before = self.told.fetch_max(told, Ordering::AcqRel);
        let now_ms = self.pool.ticks.now_ms();
        if let Some(first_token) = outcome.first_token.filter(|_| before == NOTHING) {
            let key = self.key.as_ref().map(|(_, hold)| hold);
            for hold in self.endpoint.iter().chain(key) {
                hold.member.sample(first_token, now_ms);
            }
        }
        if !self.pool.rules.enabled || before >= told {
            return;
        }
        self.judge_endpoint(outcome, before == GOOD, now_ms);
        if before == NOTHING {
            self.judge_model(outcome, now_ms);
            self.judge_key(outcome, now_ms);
        }
    }

    fn judge_endpoint(&self, outcome: Outcome, recants: bool, now_ms: u64) {
        let word = match outcome.fault {
            None => Word::Good,
            Some(fault) if fault.blame() == Blame::Endpoint => {
                Word::Bad(outcome.retry_after.unwrap_or_default())
            }
            // Whatever it says: it answers.
            Some(Fault::Status(_) | Fault::Quota) => Word::Good,
            Some(_) => return,
        };
        let rules = Rules::from(&self.pool.rules);
        let label = || self.origin.to_string();
        let stranger = match (&self.endpoint, word) {
            (None, Word::Bad(_)) => self.pool.hosts.enter(&self.origin, "", &label(), now_ms),
            _ => None,
        };
        let known = self.endpoint.as_ref().map(|hold| (&hold.member, hold.pass));
        let stranger = stranger.as_ref().map(|member| {
            let pass = member.breaker.enter(now_ms);
            (member, pass.unwrap_or(Pass::Resort))
        });
        let Some((member, pass)) = known.or(stranger) else {
            return;
        };
        let breaker = &member.breaker;
        let change = match (recants, word) {
            (true, Word::Good) => Change::None,
            (true, _) => breaker.recant(pass, &rules, now_ms),
            (false, word) => breaker.settle(pass, word, &rules, now_ms),
        };
        let provider = &self.pool.provider;
        match change {
            Change::None => {}
            Change::Opened => {
                tracing::warn!(%provider, endpoint = %member.label, "endpoint fails too often and rests");
            }
            Change::Closed => {
                tracing::info!(%provider, endpoint = %member.label, "endpoint is well")
            }
        }
    }

    fn judge_model(&self, outcome: Outcome, now_ms: u64) {
        let Some(name) = self.asked_model.as_deref() else {
            return;
        };
        let word = match outcome.fault {
            None => Word::Good,
            Some(fault) if fault.blame() == Blame::Model => Word::Bad(Duration::ZERO),
            Some(_) => return,
        };
        let mut rules = Rules::from(&self.pool.rules);
        rules.requests_min = rules.requests_min.min(MODEL_REQUESTS_MIN);
        if let Some(hold) = &self.model {
            hold.member.breaker.settle(hold.pass, word, &rules, now_ms);
        } else if word != Word::Good && name.len() <= MODEL_BYTES_MAX {
            let (endpoint, url) = match (&self.endpoint, self.listed) {
                (Some(hold), Some(_)) => (hold.member.spread, hold.member.label.to_string()),
                _ => (spread(&self.origin), self.origin.to_string()),
            };
            let label: String = name.chars().map(plain).collect();
            let models = &self.pool.models;
            let known = models.enter((endpoint, name), &url, &label, now_ms);
            if let Some(member) = known
                && let Some(pass) = member.breaker.enter(now_ms)
            {
                member.breaker.settle(pass, word, &rules, now_ms);
            }
        }
    }

    fn judge_key(&self, outcome: Outcome, now_ms: u64) {
        let Some((_, hold)) = &self.key else {
            return;
        };
        let config = &self.pool.rules;
        let Member {
            breaker, forbidden, ..
        } = &*hold.member;
        let word = match outcome.fault {
            None => Word::Good,
            Some(Fault::Status(403))
                if forbidden.fetch_add(1, Ordering::Relaxed) + 1 < FORBIDDEN_MIN =>
            {
                return;
            }
            Some(fault) if fault.blame() == Blame::Key => {
                Word::Rest(rest_of_key(fault, outcome, config))
            }
            Some(_) => return,
        };
        breaker.settle(hold.pass, word, &Rules::from(config), now_ms);
        match outcome.fault {
            Some(Fault::Status(429)) => {}
            Some(fault) => self.park(&hold.member, fault),
            None => {
                forbidden.store(0, Ordering::Relaxed);
                // Read first: most keys never were parked.
                if hold.member.parked.load(Ordering::Relaxed) {
                    hold.member.parked.store(false, Ordering::Relaxed);
                    let key = &hold.member.label;
                    tracing::info!(provider = %self.pool.provider, %key, "the provider takes this key again");
                }
            }
        }
    }

    /// Tells of a refused key, once until it is taken again.
    fn park(&self, key: &Member, fault: Fault) {
        if key.parked.swap(true, Ordering::AcqRel) {
            return;
        }
        let (provider, key) = (&*self.pool.provider, &*key.label);
        let parked = self.pool.parked.with_label_values(&[provider, key]);
        parked.inc();
        tracing::error!(%provider, %key, ?fault, "the provider refuses this key; it is parked");
    }
}

fn rest_of_key(fault: Fault, outcome: Outcome, config: &Config) -> Duration {
    match (fault, outcome.retry_after) {
        (Fault::Status(429), Some(retry_after)) => retry_after.min(REST_MAX),
        (Fault::Status(429), None) => config.cool_down.duration(),
        _ => config.park.duration(),
    }
}

/// A character of a made-up name, fit for a label.
fn plain(c: char) -> char {
    if c.is_ascii_graphic() { c } else { '?' }
}
