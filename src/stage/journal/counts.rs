//! How many requests and attempts there were, and how many said something wrong, as metrics.

use super::record::{AttemptRecord, Record};
use crate::base::key::Key;
use prometheus::{GaugeVec, IntCounter, IntCounterVec, Opts, Registry};
use std::sync::OnceLock;

/// The outcome of an attempt that came to an answer.
const OK: &str = "ok";

/// The instruments that count.
pub struct Counts {
    requests: IntCounterVec,
    attempts: IntCounterVec,
    metadata_faults: IntCounterVec,
    limited: IntCounterVec,
    /// By the fullest of its counters; told when the metrics are read.
    pub budget_used: GaugeVec,
}

/// The counters of what mostly happens.
#[derive(Default)]
pub struct Known {
    /// Requests with status 200.
    requests: OnceLock<IntCounter>,
    /// Attempts that came to an answer.
    attempts: OnceLock<IntCounter>,
}

impl Counts {
    /// # Errors
    /// Two instruments have one name.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counts = Self {
            requests: IntCounterVec::new(
                Opts::new(
                    "tollgate_requests_total",
                    "Requests that ended, by status code.",
                ),
                &["gateway", "provider", "model", "status"],
            )?,
            attempts: IntCounterVec::new(
                Opts::new(
                    "tollgate_attempts_total",
                    "Attempts at providers, by outcome.",
                ),
                &["provider", "outcome"],
            )?,
            metadata_faults: IntCounterVec::new(
                Opts::new(
                    "tollgate_metadata_faults_total",
                    "Requests whose cf-aig-metadata could not be kept whole, by what was wrong.",
                ),
                &["gateway", "reason"],
            )?,
            limited: IntCounterVec::new(
                Opts::new(
                    "tollgate_limited_total",
                    "Requests that ran into a limit: refused, made to wait, or sent to another model.",
                ),
                &["gateway", "limit"],
            )?,
            budget_used: GaugeVec::new(
                Opts::new(
                    "tollgate_budget_used_ratio",
                    "How much of a budget is used, from 0 on, by the one who used most of it.",
                ),
                &["gateway", "limit"],
            )?,
        };
        registry.register(Box::new(counts.requests.clone()))?;
        registry.register(Box::new(counts.attempts.clone()))?;
        registry.register(Box::new(counts.metadata_faults.clone()))?;
        registry.register(Box::new(counts.limited.clone()))?;
        registry.register(Box::new(counts.budget_used.clone()))?;
        Ok(counts)
    }

    /// Counts a finished request.
    pub fn observe(&self, labels: Key<'_, 3>, record: &Record, known: &Known) {
        let Key([gateway, provider, model]) = labels;
        let requests = |status| {
            let labels = [gateway, provider, model, status];
            self.requests.with_label_values(&labels)
        };
        match record.answered.status.unwrap_or(0) {
            200 => known.requests.get_or_init(|| requests("200")).inc(),
            status => requests(status_label(status, &mut [0; 3])).inc(),
        }
        for attempt in &record.attempts {
            let name = &*attempt.provider;
            let attempts = |outcome| self.attempts.with_label_values(&[name, outcome]);
            match outcome(attempt) {
                OK if name == provider => known.attempts.get_or_init(|| attempts(OK)).inc(),
                outcome => attempts(outcome).inc(),
            }
        }
        if let Some(limit) = &record.answered.limit {
            self.limited.with_label_values(&[gateway, limit]).inc();
        }
        for reason in record.asked.metadata_faults.reasons() {
            let labels = [gateway, reason.name()];
            self.metadata_faults.with_label_values(&labels).inc();
        }
    }
}

fn outcome(attempt: &AttemptRecord) -> &'static str {
    match (&attempt.error, attempt.status) {
        (Some(_), _) => "error",
        // The client left before the provider answered.
        (None, None) => "abandoned",
        (None, Some(500..)) => "status_5xx",
        (None, Some(400..)) => "status_4xx",
        (None, Some(_)) => OK,
    }
}

/// Three digits without an allocation; `0` where no answer was sent.
fn status_label(status: u16, digits: &mut [u8; 3]) -> &str {
    if !(100..1000).contains(&status) {
        return "0";
    }
    let digit = |value: u16| b'0' + u8::try_from(value % 10).unwrap_or(0);
    *digits = [digit(status / 100), digit(status / 10), digit(status)];
    std::str::from_utf8(digits).unwrap_or("0")
}
