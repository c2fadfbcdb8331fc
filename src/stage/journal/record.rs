//! The record of one request, as it stands in the log.

use super::line::{Json, Plain, Value, members};
use crate::base::clock::Moment;
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
        let arrived = Moment::now();
        Self {
            id: RequestId::mint(arrived.wall),
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
        // Mostly there is one, and nothing to add up.
        if let [attempt] = &*self.attempts {
            return attempt.bill;
        }
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

impl Value for &[AttemptRecord] {
    fn write(self, line: &mut Vec<u8>) {
        line.push(b'[');
        for (place, attempt) in self.iter().enumerate() {
            if place > 0 {
                line.push(b',');
            }
            attempt.write(line);
        }
        line.push(b']');
    }
}

impl Value for &AttemptRecord {
    fn write(self, line: &mut Vec<u8>) {
        members!(
            line,
            "{" "provider": &*self.provider,
            "model": self.model.as_deref(),
            "status": self.status.map(u64::from),
            "error": self.error.as_deref(),
            "started": self.started,
            "duration": self.duration,
        );
        write_bill(line, self.bill.as_ref());
        line.push(b'}');
    }
}

/// Tokens and cost by Cloudflare's names and, for the parts, our own.
fn write_bill(line: &mut Vec<u8>, bill: Option<&Bill>) {
    let usage = bill.map(|bill| &bill.usage);
    let source = bill.map_or("none", |bill| bill.usage_source.name());
    members!(
        line,
        "," "tokens_in": usage.and_then(|usage| usage.input),
        "tokens_out": usage.and_then(|usage| usage.output),
        "tokens_cached_in": usage.and_then(|usage| usage.cached_input),
        "tokens_cache_write": usage.and_then(|usage| usage.cache_write),
        "tokens_reasoning": usage.and_then(|usage| usage.reasoning),
        "tokens_audio_in": usage.and_then(|usage| usage.audio_input),
        "tokens_audio_out": usage.and_then(|usage| usage.audio_output),
        "usage_source": Plain(source),
        "cost": bill.and_then(|bill| bill.cost),
    );
}

impl Record {
    /// The record as a line of the log, with its line feed.
    pub fn write(&self, line: &mut Vec<u8>) {
        let id = self.id.text();
        self.write_asked(line, &id);
        self.write_answered(line);
        let bill = self.bill();
        let cached = self.cache.outcome.is_cached();
        let shown = bill.or_else(|| cached.then(Bill::free));
        write_bill(line, shown.as_ref());
        let price = bill.map(|bill| bill.price_source);
        members!(
            line,
            "," "price_source": price.map(PriceSource::name).map(Plain),
            "custom_cost": price == Some(PriceSource::Request),
        );
        self.write_end(line, &id);
        line.extend_from_slice(b"}\n");
    }

    fn write_asked(&self, line: &mut Vec<u8>, id: &[u8]) {
        let Self {
            received, asked, ..
        } = self;
        let method = received.method.as_ref().map(Method::as_str);
        let method = method.map(|method| method.get(..METHOD_BYTES_MAX).unwrap_or(method));
        members!(
            line,
            "{" "id": Plain(id),
            "created_at": self.arrived.wall,
            "account": asked.account.as_deref(),
            "gateway": asked.gateway.as_deref(),
            "provider": asked.provider.as_deref(),
            "model": asked.model.as_deref(),
            "model_type": asked.operation.map(Operation::name).map(Plain),
            "path": &*received.path,
            "method": method,
        );
    }

    fn write_answered(&self, line: &mut Vec<u8>) {
        let outcome = self.cache.outcome;
        members!(
            line,
            "," "status_code": self.answered.status.map(u64::from),
            "success": self.success(),
            "cached": outcome.is_cached(),
            "cache": Plain(outcome.name()),
            "saved": self.cache.saved,
            "stream": self.asked.stream,
            "duration": self.duration,
            "ttft": self.ttft(),
        );
    }

    fn write_end(&self, line: &mut Vec<u8>, id: &[u8]) {
        let Self {
            received,
            asked,
            answered,
            ..
        } = self;
        members!(
            line,
            "," "end": Plain(self.end.name()),
            "refusal": answered.refusal.as_deref(),
            "limit": answered.limit.as_deref(),
            "key": asked.key.as_deref(),
            "step": answered.step as u64,
        );
        match asked.event_id.as_deref() {
            Some(event_id) => members!(line, "," "event_id": event_id),
            None => members!(line, "," "event_id": Plain(id)),
        }
        let metadata = Some(&asked.metadata).filter(|metadata| !metadata.is_empty());
        members!(
            line,
            "," "metadata": metadata.map(Json),
            "request_content_type": received.content_type.as_deref(),
            "response_content_type": answered.content_type.as_deref(),
            "bytes_in": received.bytes,
            "bytes_out": answered.bytes,
            "client": received.client,
            "user_agent": received.user_agent.as_deref(),
            "attempts": &*self.attempts,
        );
    }
}
