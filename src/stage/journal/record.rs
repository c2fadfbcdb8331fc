//! The record of one request, as it stands in the log.

use super::line::Object;
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
        Self {
            id: RequestId::mint(),
            arrived: Moment::now(),
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

impl AttemptRecord {
    fn write(&self, line: &mut Vec<u8>) {
        let mut object = Object::open(line);
        object.text("provider", &*self.provider);
        object.text("model", self.model.as_deref());
        object.number("status", self.status.map(u64::from));
        object.text("error", self.error.as_deref());
        object.duration("started", self.started);
        object.duration("duration", self.duration);
        write_bill(&mut object, self.bill.as_ref());
        object.close();
    }
}

/// Tokens and cost by Cloudflare's names and, for the parts, our own.
fn write_bill(object: &mut Object<'_>, bill: Option<&Bill>) {
    let usage = bill.map(|bill| bill.usage).unwrap_or_default();
    object.number("tokens_in", usage.input);
    object.number("tokens_out", usage.output);
    object.number("tokens_cached_in", usage.cached_input);
    object.number("tokens_cache_write", usage.cache_write);
    object.number("tokens_reasoning", usage.reasoning);
    object.number("tokens_audio_in", usage.audio_input);
    object.number("tokens_audio_out", usage.audio_output);
    let source = bill.map_or("none", |bill| bill.usage_source.name());
    object.text("usage_source", source);
    write_money(object, "cost", bill.and_then(|bill| bill.cost));
}

/// A number of all its digits; a float would be shown as `4.2e-7`.
fn write_money(object: &mut Object<'_>, name: &'static str, money: Option<NanoUsd>) {
    match money {
        Some(money) => object.shown(name, "", money),
        None => object.text(name, None),
    }
}

impl Record {
    /// The record as a line of the log, with its line feed.
    pub fn write(&self, line: &mut Vec<u8>) {
        let mut object = Object::open(line);
        self.write_asked(&mut object);
        self.write_answered(&mut object);
        let bill = self.bill();
        let cached = self.cache.outcome.is_cached();
        let shown = bill.or_else(|| cached.then(Bill::free));
        write_bill(&mut object, shown.as_ref());
        let price = bill.map(|bill| bill.price_source);
        object.text("price_source", price.map(PriceSource::name));
        object.flag("custom_cost", price == Some(PriceSource::Request));
        self.write_end(&mut object);
        object.close();
        line.push(b'\n');
    }

    fn write_asked(&self, object: &mut Object<'_>) {
        let Self {
            received, asked, ..
        } = self;
        object.plain("id", &self.id.text());
        object.text("created_at", &*clock::rfc3339(self.arrived.wall));
        object.text("account", asked.account.as_deref());
        object.text("gateway", asked.gateway.as_deref());
        object.text("provider", asked.provider.as_deref());
        object.text("model", asked.model.as_deref());
        object.text("model_type", asked.operation.map(Operation::name));
        object.text("path", &*received.path);
        let method = received.method.as_ref().map(Method::as_str);
        let method = method.map(|method| method.get(..METHOD_BYTES_MAX).unwrap_or(method));
        object.text("method", method);
    }

    fn write_answered(&self, object: &mut Object<'_>) {
        let cache = &self.cache;
        object.number("status_code", self.answered.status.map(u64::from));
        object.flag("success", self.success());
        object.flag("cached", cache.outcome.is_cached());
        object.text("cache", cache.outcome.name());
        write_money(object, "saved", cache.saved);
        object.flag("stream", self.asked.stream);
        object.duration("duration", self.duration);
        object.duration("ttft", self.ttft());
    }

    fn write_end(&self, object: &mut Object<'_>) {
        let Self {
            received,
            asked,
            answered,
            ..
        } = self;
        object.text("end", self.end.name());
        object.text("refusal", answered.refusal.as_deref());
        object.text("limit", answered.limit.as_deref());
        object.text("key", asked.key.as_deref());
        object.number("step", answered.step as u64);
        match &asked.event_id {
            Some(event_id) => object.text("event_id", &**event_id),
            None => object.plain("event_id", &self.id.text()),
        }
        let metadata = Some(&asked.metadata).filter(|metadata| !metadata.is_empty());
        object.json("metadata", &metadata);
        object.text("request_content_type", received.content_type.as_deref());
        object.text("response_content_type", answered.content_type.as_deref());
        object.number("bytes_in", received.bytes);
        object.number("bytes_out", answered.bytes);
        match received.client {
            Some(client) => object.shown("client", "\"", client),
            None => object.text("client", None),
        }
        object.text("user_agent", received.user_agent.as_deref());
        let line = object.member("attempts");
        line.push(b'[');
        for (place, attempt) in self.attempts.iter().enumerate() {
            if place > 0 {
                line.push(b',');
            }
            attempt.write(line);
        }
        line.push(b']');
    }
}
