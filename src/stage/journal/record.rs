//! The record of one request, as it stands in the log.

use crate::base::clock::{self, Moment};
use crate::base::id::RequestId;
use crate::base::money::NanoUsd;
use crate::llm::metadata::Metadata;
use crate::llm::operation::Operation;
use crate::provider::prices::price::PriceSource;
use crate::stage::cache::Outcome;
use crate::stage::metadata::faults::Faults;
use crate::stage::meter::Bill;
use http::Method;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The longest method that is kept; the registered ones have at most 17 letters.
const METHOD_BYTES_MAX: usize = 32;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The whole answer went out; a provider's own error is one.
    Complete,
    ClientGone,
    UpstreamCut,
    Timeout,
    /// Answered by the gateway before any provider was asked.
    Refused,
    /// No provider gave an answer.
    Error,
}

impl End {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ClientGone => "client_gone",
            Self::UpstreamCut => "upstream_cut",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Error => "error",
        }
    }
}

/// One attempt at one provider.
#[derive(Clone, Debug)]
pub struct AttemptRecord {
    pub provider: Arc<str>,
    pub model: Option<String>,
    pub status: Option<u16>,
    /// What went wrong, in words; none where an answer came.
    pub error: Option<String>,
    /// What it used, and what that costs.
    pub bill: Option<Bill>,
    /// From the request's arrival to the attempt's start.
    pub started: Duration,
    pub duration: Duration,
}

/// What the client asked, as far as it was understood.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub account: Option<String>,
    pub gateway: Option<Arc<str>>,
    pub provider: Option<Arc<str>>,
    pub model: Option<String>,
    pub operation: Option<Operation>,
    pub stream: bool,
    pub key: Option<Arc<str>>,
    pub event_id: Option<String>,
    pub metadata: Metadata,
    pub metadata_faults: Faults,
    /// The most tokens that it lets its answer have.
    pub output_max: Option<u64>,
}

/// What the cache had to do with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shared {
    pub outcome: Outcome,
    /// What the answer out of the cache cost when it was made; `None` where nobody knows.
    pub saved: Option<NanoUsd>,
}

/// What the client sent.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub method: Option<Method>,
    /// Without the query, which may hold keys.
    pub path: String,
    pub client: Option<IpAddr>,
    pub user_agent: Option<String>,
    pub content_type: Option<String>,
    pub bytes: u64,
    /// Spent waiting for the client's body.
    pub waited: Duration,
}

/// What the client got.
#[derive(Clone, Debug, Default)]
pub struct Answered {
    pub status: Option<u16>,
    pub content_type: Option<String>,
    pub bytes: u64,
    /// The position of the step that answered, from 0.
    pub step: usize,
    /// To the first byte of the provider's body.
    pub first_byte: Option<Duration>,
    /// To the first generated text or call.
    pub first_token: Option<Duration>,
    /// The first limit that the request ran into.
    pub limit: Option<Arc<str>>,
    /// Stage and code of a refusal, `auth:2009`.
    pub refusal: Option<String>,
}

/// One request, from its arrival to its end.
#[derive(Clone, Debug)]
pub struct Record {
    pub id: RequestId,
    pub arrived: Moment,
    pub received: Received,
    pub asked: Asked,
    pub answered: Answered,
    pub cache: Shared,
    pub attempts: Vec<AttemptRecord>,
    pub end: End,
    /// From the arrival to the end; set when the record is closed.
    pub duration: Duration,
}

impl Record {
    pub fn begin() -> Self {
        Self::of(RequestId::mint(), Moment::now())
    }

    /// Hands the record over; what stays behind is empty.
    pub fn take(&mut self) -> Self {
        let empty = Self::of(self.id, self.arrived);
        std::mem::replace(self, empty)
    }

    fn of(id: RequestId, arrived: Moment) -> Self {
        Self {
            id,
            arrived,
            received: Received::default(),
            asked: Asked::default(),
            answered: Answered::default(),
            cache: Shared::default(),
            attempts: Vec::new(),
            end: End::Complete,
            duration: Duration::ZERO,
        }
    }

    /// A 2xx or 3xx that went out whole.
    pub fn success(&self) -> bool {
        self.end == End::Complete && self.answered.status.is_some_and(|status| status < 400)
    }

    /// Whether a provider began a good answer, which shows that its model exists.
    pub fn was_served(&self) -> bool {
        let mut statuses = self.attempts.iter().filter_map(|attempt| attempt.status);
        statuses.any(|status| status < 400)
    }

    /// What all attempts used and cost together.
    pub fn bill(&self) -> Option<Bill> {
        let bills = self.attempts.iter().filter_map(|attempt| attempt.bill);
        bills.reduce(Bill::and)
    }

    /// To the first token; to the first byte where the answer's form does not show its tokens.
    pub fn ttft(&self) -> Option<Duration> {
        self.answered.first_token.or(self.answered.first_byte)
    }

    /// The time that neither the provider nor the client's upload took.
    pub fn overhead(&self) -> Duration {
        let attempts: Duration = self.attempts.iter().map(|attempt| attempt.duration).sum();
        self.duration
            .saturating_sub(attempts)
            .saturating_sub(self.received.waited)
    }
}

/// Milliseconds with microseconds behind the point.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

impl Serialize for AttemptRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("provider", &*self.provider)?;
        map.serialize_entry("model", &self.model)?;
        map.serialize_entry("status", &self.status)?;
        map.serialize_entry("error", &self.error)?;
        map.serialize_entry("started", &milliseconds(self.started))?;
        map.serialize_entry("duration", &milliseconds(self.duration))?;
        serialize_bill::<S>(&mut map, self.bill.as_ref())?;
        map.end()
    }
}

/// Tokens and cost by Cloudflare's names and, for the parts, our own.
fn serialize_bill<S: Serializer>(
    map: &mut S::SerializeMap,
    bill: Option<&Bill>,
) -> Result<(), S::Error> {
    let usage = bill.map(|bill| bill.usage).unwrap_or_default();
    map.serialize_entry("tokens_in", &usage.input)?;
    map.serialize_entry("tokens_out", &usage.output)?;
    map.serialize_entry("tokens_cached_in", &usage.cached_input)?;
    map.serialize_entry("tokens_cache_write", &usage.cache_write)?;
    map.serialize_entry("tokens_reasoning", &usage.reasoning)?;
    map.serialize_entry("tokens_audio_in", &usage.audio_input)?;
    map.serialize_entry("tokens_audio_out", &usage.audio_output)?;
    let source = bill.map_or("none", |bill| bill.usage_source.name());
    map.serialize_entry("usage_source", source)?;
    map.serialize_entry("cost", &bill.and_then(|bill| bill.cost))
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            received,
            asked,
            answered,
            ..
        } = self;
        let id = self.id.to_string();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &id)?;
        map.serialize_entry("created_at", &clock::rfc3339(self.arrived.wall))?;
        map.serialize_entry("account", &asked.account)?;
        map.serialize_entry("gateway", &asked.gateway.as_deref())?;
        map.serialize_entry("provider", &asked.provider.as_deref())?;
        map.serialize_entry("model", &asked.model)?;
        map.serialize_entry("model_type", &asked.operation.map(Operation::name))?;
        map.serialize_entry("path", &received.path)?;
        let method = received.method.as_ref().map(Method::as_str);
        let method = method.map(|method| method.get(..METHOD_BYTES_MAX).unwrap_or(method));
        map.serialize_entry("method", &method)?;
        map.serialize_entry("status_code", &answered.status)?;
        map.serialize_entry("success", &self.success())?;
        map.serialize_entry("cached", &self.cache.outcome.is_cached())?;
        map.serialize_entry("cache", self.cache.outcome.name())?;
        map.serialize_entry("saved", &self.cache.saved)?;
        map.serialize_entry("stream", &asked.stream)?;
        map.serialize_entry("duration", &milliseconds(self.duration))?;
        map.serialize_entry("ttft", &self.ttft().map(milliseconds))?;
        let cached = self.cache.outcome.is_cached();
        let bill = self.bill().or_else(|| cached.then(Bill::free));
        serialize_bill::<S>(&mut map, bill.as_ref())?;
        let price = self.bill().map(|bill| bill.price_source);
        map.serialize_entry("price_source", &price)?;
        map.serialize_entry("custom_cost", &(price == Some(PriceSource::Request)))?;
        map.serialize_entry("end", self.end.name())?;
        map.serialize_entry("refusal", &answered.refusal)?;
        map.serialize_entry("limit", &answered.limit.as_deref())?;
        map.serialize_entry("key", &asked.key.as_deref())?;
        map.serialize_entry("step", &answered.step)?;
        let event_id = asked.event_id.as_deref().unwrap_or(&id);
        map.serialize_entry("event_id", event_id)?;
        let metadata = Some(&asked.metadata).filter(|metadata| !metadata.is_empty());
        map.serialize_entry("metadata", &metadata)?;
        map.serialize_entry("request_content_type", &received.content_type)?;
        map.serialize_entry("response_content_type", &answered.content_type)?;
        map.serialize_entry("bytes_in", &received.bytes)?;
        map.serialize_entry("bytes_out", &answered.bytes)?;
        map.serialize_entry("client", &received.client)?;
        map.serialize_entry("user_agent", &received.user_agent)?;
        map.serialize_entry("attempts", &self.attempts)?;
        map.end()
    }
}
