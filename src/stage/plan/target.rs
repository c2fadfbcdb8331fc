//! Where attempts are made, and with what.

use super::retry::Wish;
use crate::provider::place::{Place, Provider};
use crate::provider::prices::custom::CustomCost;
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use std::sync::Arc;
use std::time::Duration;

/// One place that attempts are made at.
#[derive(Debug)]
pub struct Target {
    pub provider: Arc<Provider>,
    pub place: Place,
    /// The model that is asked there, where path or body say so.
    pub model: Option<String>,
    /// The position in the request's own list of steps, from 0.
    pub step: usize,
    /// Whether the answer is asked for in pieces.
    pub streams: bool,
    /// It cannot be sent a second time.
    pub once: bool,
    /// What the client says it costs.
    pub custom_cost: Option<CustomCost>,
    /// A request of its own, in place of the client's.
    pub own: Option<Own>,
}

/// What a step sends in place of what the client sent.
#[derive(Debug)]
pub struct Own {
    pub fields: Fields,
    /// The path's query with its `?`, empty where there is none.
    pub query: String,
    pub body: Bytes,
}

/// The header fields of a step.
#[derive(Debug)]
pub enum Fields {
    /// Those that the client wrote for it.
    Step(HeaderMap),
    /// The client's, without these: they are keys for another provider.
    Client { without: Vec<HeaderName> },
}

impl Target {
    /// Whether the client wrote this step by itself, so that what is wrong with another one need
    /// not be wrong with it.
    pub fn is_written(&self) -> bool {
        self.written_fields().is_some()
    }

    /// The same, to be changed.
    pub fn written_fields_mut(&mut self) -> Option<&mut HeaderMap> {
        match &mut self.own.as_mut()?.fields {
            Fields::Step(fields) => Some(fields),
            Fields::Client { .. } => None,
        }
    }

    /// The header fields that the client wrote for this step.
    pub fn written_fields(&self) -> Option<&HeaderMap> {
        match &self.own.as_ref()?.fields {
            Fields::Step(fields) => Some(fields),
            Fields::Client { .. } => None,
        }
    }
}

/// A target, and what the client wishes for it.
#[derive(Debug)]
pub struct Step {
    pub target: Target,
    pub wish: Wish,
    /// The client's own time to the first byte; it wins over the gateway's.
    pub first_byte: Option<Duration>,
}
