//! One request's dealings with the cache: what it asks there, and where its answer comes from.

use super::deadline::Lapse;
use super::failure::{Failure, cause_of};
use super::text;
use crate::base::money::NanoUsd;
use crate::stage::cache::Outcome;
use crate::stage::cache::fill::Fill;
use crate::stage::cache::question::Question;
use crate::stage::cache::reading::Recalled;
use crate::stage::cache::whole::Matter;
use crate::stage::journal::record::Shared;
use crate::stage::plan::Patience;
use pingora::{Error, ErrorSource};
use std::sync::Arc;
use std::time::Duration;

/// Nothing, where the cache is not used.
#[derive(Default)]
pub struct Dealings {
    pub outcome: Outcome,
    /// What may be kept; `None` where the cache is not used.
    pub question: Option<Arc<Question>>,
    pub source: Source,
    /// Whether it has waited in vain for somebody else's answer.
    pub has_waited: bool,
    /// A kept answer was given in the place of one that failed.
    pub has_stood_in: bool,
}

/// Where the answer comes from.
#[derive(Default)]
pub enum Source {
    #[default]
    Provider,
    /// From the provider, into the cache.
    Filling(Arc<Fill>, Matter),
    /// From another request, while it arrives.
    Following(Arc<Fill>),
    Kept {
        fresh: Duration,
        cost: Option<NanoUsd>,
    },
}

impl Dealings {
    pub fn new(outcome: Outcome, question: Option<Question>) -> Self {
        Self {
            outcome,
            question: question.map(Arc::new),
            source: Source::Provider,
            has_waited: false,
            has_stood_in: false,
        }
    }

    /// A kept answer is given in the place of one that failed.
    pub fn stand_in(&mut self, outcome: Outcome, kept: &Recalled) {
        self.outcome = outcome;
        self.source = Source::Kept {
            fresh: kept.entry.fresh,
            cost: kept.cost,
        };
        self.has_stood_in = true;
    }

    /// Lets others read the answer while it arrives: no other attempt will take its place.
    pub fn share(&self) {
        if let Source::Filling(fill, _) = &self.source {
            fill.share();
        }
    }

    /// Whether others may have read of the answer.
    pub fn is_shared(&self) -> bool {
        matches!(&self.source, Source::Filling(fill, _) if fill.is_shared())
    }

    /// What the journal is to know.
    pub fn record(&self) -> Shared {
        let saved = match &self.source {
            Source::Following(fill) => fill.cost(),
            Source::Kept { cost, .. } => *cost,
            Source::Provider | Source::Filling(..) => None,
        };
        Shared {
            outcome: self.outcome,
            saved: saved.filter(|_| self.outcome.is_cached()),
        }
    }

    /// Whether what the answer used has to be known at its end.
    pub const fn is_filling(&self) -> bool {
        matches!(self.source, Source::Filling(..))
    }

    /// Why an answer out of the cache broke off: the request that it was shared with lost it, or it took
    /// too long.
    pub fn failure(&self, error: Option<&Error>, patience: Patience) -> Option<Failure> {
        let error = error.filter(|_| self.outcome.is_cached())?;
        let origin = "the cache".to_owned();
        if Lapse::of(error).is_some() {
            return Some(Failure::of(error, origin, patience, true));
        }
        let cause = text::cut(&cause_of(error), text::CHARS_MAX);
        (*error.esource() == ErrorSource::Upstream).then_some(Failure::Cut { origin, cause })
    }
}
