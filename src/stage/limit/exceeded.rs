//! A request for which there is no room, and how much room is left for others.

use super::rule::{Measure, Rule};
use crate::store::counters::hold::Lack;
use crate::store::counters::sheet::Reading;
use crate::store::counters::span::Span;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// There is no room under a limit.
#[derive(Debug, Error)]
pub struct Exceeded {
    /// The limit's name.
    pub limit: Arc<str>,
    pub measure: Measure,
    /// In whole seconds, until it can succeed; `None` where it never can.
    pub retry_after: Option<u64>,
    /// What is left, where the limit says it.
    pub standing: Option<Standing>,
    terms: String,
    subject: String,
    waited: bool,
}

/// What is left under a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub limit: String,
    pub remaining: String,
    /// In whole seconds, until all of it is there again.
    pub resets_in: u64,
}

impl Exceeded {
    /// `provider` and `model` are those that were asked for; `waited` says that it was tried.
    pub fn new(rule: &Rule, lack: &Lack, asked: (&str, Option<&str>), waited: bool) -> Self {
        let amount = rule.show(lack.reading.limit);
        let technique = rule.technique.name();
        let seconds = seconds(rule.span.millis());
        let terms = match rule.measure {
            Measure::Concurrent => format!("{amount} at the same time"),
            Measure::Cost => format!("cost limit {amount} per {seconds}s, {technique}"),
            measure => format!(
                "{amount} {} per {}, {technique}",
                measure.name(),
                shown(rule.span)
            ),
        };
        let (provider, model) = asked;
        Self {
            limit: rule.name.clone(),
            measure: rule.measure,
            retry_after: retry_after(lack),
            standing: rule.expose.then(|| Standing::new(rule, &lack.reading)),
            terms,
            subject: format!("{provider} {}", model.unwrap_or("(no model)")),
            waited,
        }
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            limit,
            terms,
            subject,
            ..
        } = self;
        match self.measure {
            Measure::Cost => {
                write!(
                    f,
                    "Spend limit exceeded: rule '{limit}' ({terms}) for {subject}"
                )?;
            }
            _ => write!(f, "the limit `{limit}` is reached ({terms}) for {subject}")?,
        }
        if self.waited {
            f.write_str("; the request waited in vain")?;
        }
        if self.retry_after.is_none() {
            f.write_str("; the request may use more than the limit allows in all")?;
        }
        Ok(())
    }
}

impl Standing {
    pub fn new(rule: &Rule, reading: &Reading) -> Self {
        Self {
            limit: rule.show(reading.limit),
            remaining: rule.show(left(reading)),
            resets_in: seconds(reading.resets_in_ms),
        }
    }
}

pub fn left(reading: &Reading) -> u64 {
    let taken = reading.used.saturating_add(reading.held);
    reading.limit.saturating_sub(taken)
}

/// Where only the end of what runs makes room, nobody knows when; a second is soon enough to ask.
fn retry_after(lack: &Lack) -> Option<u64> {
    match lack.room_in_ms {
        _ if lack.hopeless => None,
        Some(room_in_ms) => Some(seconds(room_in_ms).max(1)),
        None => Some(1),
    }
}

fn seconds(millis: u64) -> u64 {
    millis.div_ceil(1_000)
}

fn shown(span: Span) -> String {
    match span {
        Span::Month => "month".to_owned(),
        Span::Millis(millis) => format!("{}s", seconds(millis)),
    }
}
