//! The state of asking providers: the plan and the attempt that runs.

use super::failure::Failure;
use super::peer::Addresses;
use super::replay::Seat;
use crate::dialect::usage::Reader;
use crate::provider::prices::custom::CustomCost;
use crate::stage::auth::Caller;
use crate::stage::journal::record::AttemptRecord;
use crate::stage::meter::Bill;
use crate::stage::plan::{Patience, Plan, Target};
use prometheus::IntGauge;
use std::sync::Arc;
use std::time::Instant;

/// One request on its way to one provider after the other.
pub struct Exchange {
    pub plan: Plan,
    pub seat: Arc<Seat>,
    /// The path's query with its `?`, empty where there is none.
    pub query: String,
    pub caller: Caller,
    /// What the client says the request costs.
    pub custom_cost: Option<CustomCost>,
    pub attempt: Option<Attempt>,
    /// What went wrong last; the answer's reason where nothing went right.
    pub failure: Option<Failure>,
    /// Counts the open stream while the answer comes in pieces.
    pub streaming: Option<OpenStream>,
}

/// One try at one target; born and dropped whole.
pub struct Attempt {
    pub target: Target,
    pub addresses: Addresses,
    pub started: Instant,
    pub status: Option<u16>,
    /// Listens to the answer for what it used.
    pub reader: Option<Box<Reader>>,
    /// When the end of the answer came.
    pub ended: Option<Instant>,
}

/// What became of an event in an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Pingora may ask for the next peer.
    TryNext,
    GiveUp,
}

impl Exchange {
    pub fn begin(plan: Plan, seat: Arc<Seat>, query: String, caller: Caller) -> Self {
        Self {
            plan,
            seat,
            query,
            caller,
            custom_cost: None,
            attempt: None,
            failure: None,
            streaming: None,
        }
    }

    pub fn patience(&self) -> Patience {
        self.plan.patience
    }
}

impl Attempt {
    pub fn begin(target: Target) -> Self {
        Self {
            target,
            addresses: Addresses::default(),
            started: Instant::now(),
            status: None,
            reader: None,
            ended: None,
        }
    }

    /// The attempt as it stands in the log.
    pub fn record(
        &self,
        arrived: Instant,
        model: Option<&str>,
        error: Option<String>,
        bill: Option<Bill>,
    ) -> AttemptRecord {
        let ended = self.ended.unwrap_or_else(Instant::now);
        let model = self.target.place.model.as_deref().or(model);
        AttemptRecord {
            provider: self.target.provider.clone(),
            model: model.map(str::to_owned),
            status: self.status,
            error,
            bill,
            started: self.started.saturating_duration_since(arrived),
            duration: ended.saturating_duration_since(self.started),
        }
    }
}

/// Counts one open stream for as long as it lives.
pub struct OpenStream(IntGauge);

impl OpenStream {
    pub fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.dec();
    }
}
