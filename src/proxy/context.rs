//! What Pingora carries for us from callback to callback.

use super::exchange::Exchange;
use super::seat::{SEAT, Seat};
use crate::stage::Stages;
use crate::stage::journal::record::Record;
use std::sync::Arc;

/// One request's state.
pub struct Context {
    /// The configuration that this request began with; a reload does not touch it.
    pub stages: Arc<Stages>,
    /// What happened so far; the pipeline alone writes it.
    pub record: Record,
    pub phase: Phase,
}

/// Where a request stands. What exists only while a provider is asked lives in the exchange.
pub enum Phase {
    /// Nothing is decided yet.
    Arrived(Arc<Seat>),
    /// The gateway has answered by itself.
    Answered,
    /// A provider is asked.
    Exchanging(Box<Exchange>),
    /// The record is written.
    Settled,
}

impl Context {
    pub fn new(stages: Arc<Stages>) -> Self {
        stages.journal.metrics.in_flight.inc();
        let seat = SEAT.try_with(Arc::clone).unwrap_or_default();
        Self {
            stages,
            record: Record::begin(),
            phase: Phase::Arrived(seat),
        }
    }

    /// What is shared with the client's session, until the gateway has answered by itself.
    pub fn seat(&self) -> Option<&Arc<Seat>> {
        match &self.phase {
            Phase::Arrived(seat) => Some(seat),
            Phase::Exchanging(exchange) => Some(&exchange.seat),
            Phase::Answered | Phase::Settled => None,
        }
    }

    /// The exchange, in the phase that has one.
    pub fn exchange(&mut self) -> Option<&mut Exchange> {
        match &mut self.phase {
            Phase::Exchanging(exchange) => Some(exchange),
            Phase::Arrived(_) | Phase::Answered | Phase::Settled => None,
        }
    }
}
