//! What Pingora carries for us from callback to callback.

use super::exchange::Exchange;
use super::seat::Seat;
use crate::stage::Stages;
use crate::stage::journal::record::Record;
use crate::stage::limit::Admission;
use std::cell::Cell;
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
    Arrived,
    /// The gateway answers by itself, where a limit let the request in under that.
    Answered(Admission),
    /// A provider is asked.
    Exchanging(Box<Exchange>),
    /// The record is written.
    Settled,
}

impl Context {
    pub fn new(stages: Arc<Stages>) -> Self {
        stages.journal.metrics.in_flight.inc();
        Self {
            stages,
            record: Record::begin(),
            phase: Phase::Arrived,
        }
    }

    /// What is shared with the client's session, in the phase that has one.
    pub fn seat(&self) -> Option<&Arc<Seat>> {
        match &self.phase {
            Phase::Exchanging(exchange) => Some(&exchange.seat),
            Phase::Arrived | Phase::Answered(_) | Phase::Settled => None,
        }
    }

    /// The exchange, in the phase that has one.
    pub fn exchange(&mut self) -> Option<&mut Exchange> {
        match &mut self.phase {
            Phase::Exchanging(exchange) => Some(exchange),
            Phase::Arrived | Phase::Answered(_) | Phase::Settled => None,
        }
    }
}

tokio::task_local! {
    /// The request that the task hands to Pingora: admitted at the door, it was begun before Pingora
    /// asks for its context.
    pub static ADMITTED: Cell<Option<Box<Context>>>;
}
