//! The state of asking providers: the plan and the attempt that runs.

use super::dealings::Dealings;
use super::failure::Failure;
use super::peer::Addresses;
use super::seat::Seat;
use super::text;
use crate::dialect::openai::include_usage;
use crate::dialect::openai::usage_filter::UsageFilter;
use crate::dialect::usage::{Reader, Reading};
use crate::provider::place::Place;
use crate::stage::auth::Caller;
use crate::stage::journal::record::AttemptRecord;
use crate::stage::limit::Admission;
use crate::stage::meter::{Attempted, Bill, Course, Meter};
use crate::stage::plan::fault::Fault;
use crate::stage::plan::pool::{Choice, Key, Outcome, Ticket, Tried};
use crate::stage::plan::target::Target;
use crate::stage::plan::{Hurry, Patience, Plan};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use pingora::http::ResponseHeader;
use pingora::{Error, ErrorType};
use prometheus::IntGauge;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One request on its way to one provider after the other.
pub struct Exchange {
    pub plan: Plan,
    pub seat: Arc<Seat>,
    /// The path's query with its `?`, empty where there is none.
    pub query: String,
    pub caller: Caller,
    pub caching: Dealings,
    /// Room under the gateway's limits, to be settled at the end.
    pub admission: Admission,
    pub attempt: Option<Attempt>,
    /// What the attempts at the present step showed.
    pub tried: Tried,
    /// Why we break the running attempt off by ourselves.
    pub fault: Option<Fault>,
    /// What went wrong last; the answer's reason where nothing went right.
    pub failure: Option<Failure>,
    /// Counts the open stream while the answer comes in pieces.
    pub streaming: Option<OpenStream>,
}

/// One try at one target; born and dropped whole.
pub struct Attempt {
    pub target: Arc<Target>,
    pub chosen: Chosen,
    pub addresses: Addresses,
    pub hurry: Hurry,
    pub started: Instant,
    pub status: Option<u16>,
    /// When the provider wants to be asked again, from its answer on.
    pub retry_after: Option<Duration>,
    /// The provider has a connection that the request goes to.
    pub sent: bool,
    /// What the answer used.
    pub metering: Metering,
    /// The attempt's own body, where it is not the client's.
    pub body: Option<Bytes>,
    /// Takes out of the answer what was asked for beyond the client's wish.
    pub usage_filter: Option<Box<UsageFilter>>,
    /// When the end of the answer came.
    pub ended: Option<Instant>,
}

/// What was chosen for an attempt among the endpoints and keys of its provider.
pub struct Chosen {
    /// The target's place at this endpoint, where there are several.
    place: Option<Place>,
    /// The key of ours that is sent.
    pub key: Option<Arc<Key>>,
    pub ticket: Ticket,
}

/// How far the metering of an attempt is.
pub enum Metering {
    /// Nothing to listen to, yet or at all.
    Silent,
    Listening(Box<Reader>),
    /// The answer was heard as far as it came.
    Heard(Box<Reading>),
    Billed {
        complete: bool,
        bill: Option<Box<Bill>>,
    },
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
            caching: Dealings::default(),
            admission: Admission::default(),
            attempt: None,
            tried: Tried::default(),
            fault: None,
            failure: None,
            streaming: None,
        }
    }

    /// Begins an attempt. Its stream is asked for its usage where it would not tell by itself.
    pub fn begin_attempt(&mut self, target: Arc<Target>, choice: Choice) -> &mut Attempt {
        let mut attempt = Attempt::begin(target, choice);
        attempt.hurry = self.plan.hurry();
        let body = attempt.own_body().or(self.seat.body());
        if self.can_ask_usage(&attempt.target)
            && let Some(body) = body.and_then(|body| include_usage::ask(body))
        {
            attempt.body = Some(Bytes::from(body));
            attempt.usage_filter = Some(Box::default());
        }
        self.attempt.insert(attempt)
    }

    fn can_ask_usage(&self, target: &Target) -> bool {
        let on_request = target.place.usage_on_request;
        let own = target.own.as_ref().map(|own| &own.query);
        self.plan.include_usage
            && target.streams
            && on_request.is_some_and(|on_request| on_request.fits(own.unwrap_or(&self.query)))
    }

    /// Puts the attempt's own body in the place of the client's.
    pub fn dress_body(&self, body: &mut Option<Bytes>) {
        let attempt = self.attempt.as_ref();
        if let Some(own) = attempt.and_then(Attempt::own_body) {
            *body = Some(own.clone());
        }
    }

    pub fn patience(&self) -> Patience {
        self.plan.patience()
    }

    /// Whether a running attempt that fails so would be followed by another one.
    pub fn would_go_on(&self, fault: Fault) -> bool {
        self.plan.would_go_on(fault) || self.has_another(fault)
    }

    /// Whether the present target has another endpoint or key in the place of the one that failed so.
    pub fn has_another(&self, fault: Fault) -> bool {
        let Some(attempt) = &self.attempt else {
            return false;
        };
        !attempt.target.once && attempt.chosen.ticket.has_another(self.tried, fault)
    }

    /// The error that ends the running attempt for the sake of another one.
    pub fn give_up_on(&mut self, fault: Fault) -> Box<Error> {
        self.fault = Some(fault);
        Error::new_up(ErrorType::new("AttemptFailed"))
    }

    /// Bills the running attempt, once: later calls give the first one's bill. `fault` is
    /// what went wrong with it.
    pub fn bill(&mut self, meter: &Meter, fault: Option<Fault>) -> Option<Bill> {
        let attempt = self.attempt.as_mut()?;
        let complete = attempt.hear_out();
        let silent = Reading::default();
        let reading = match &attempt.metering {
            Metering::Billed { bill, .. } => return bill.as_deref().copied(),
            Metering::Heard(reading) => reading,
            Metering::Silent | Metering::Listening(_) => &silent,
        };
        let target = &attempt.target;
        let body = attempt.own_body().or(self.seat.body());
        let bill = meter.bill(&Attempted {
            slug: &target.provider.slug,
            place: attempt.place(),
            model: target.model.as_deref(),
            body: body.map(Bytes::as_ref).unwrap_or_default(),
            reading,
            course: attempt.course(fault),
            custom: target.custom_cost.as_ref(),
        });
        attempt.metering = Metering::Billed {
            complete,
            bill: bill.map(Box::new),
        };
        bill
    }
}

impl Attempt {
    pub fn begin(target: Arc<Target>, choice: Choice) -> Self {
        let chosen = Chosen {
            place: choice.endpoint.map(|base| target.place.at(&base)),
            key: choice.key,
            ticket: choice.ticket,
        };
        Self {
            target,
            chosen,
            addresses: Addresses::default(),
            hurry: Hurry::default(),
            started: Instant::now(),
            status: None,
            retry_after: None,
            sent: false,
            metering: Metering::Silent,
            body: None,
            usage_filter: None,
            ended: None,
        }
    }

    pub fn place(&self) -> &Place {
        self.chosen.place.as_ref().unwrap_or(&self.target.place)
    }

    /// Tells those who chose the endpoint and the key how it went.
    pub fn report(&self, fault: Option<Fault>) {
        self.chosen.ticket.report(Outcome {
            fault,
            first_token: fault.is_none().then(|| self.started.elapsed()),
            retry_after: self.retry_after,
        });
    }

    /// What is sent in place of the client's body.
    pub fn own_body(&self) -> Option<&Bytes> {
        let own = self.target.own.as_ref().map(|own| &own.body);
        self.body.as_ref().or(own)
    }

    /// Ends the listening; whether the answer was complete by its own account.
    pub fn hear_out(&mut self) -> bool {
        self.metering = match std::mem::replace(&mut self.metering, Metering::Silent) {
            Metering::Listening(reader) => Metering::Heard(Box::new(reader.finish())),
            other => other,
        };
        self.is_complete()
    }

    fn is_complete(&self) -> bool {
        match &self.metering {
            Metering::Heard(reading) => reading.complete,
            Metering::Billed { complete, .. } => *complete,
            Metering::Silent | Metering::Listening(_) => false,
        }
    }

    /// How far it came, given what went wrong.
    fn course(&self, fault: Option<Fault>) -> Course {
        // It was us or the client who did not wait.
        let unawaited = matches!(
            fault,
            Some(Fault::ClientGone | Fault::Timeout | Fault::Idle | Fault::Total)
        );
        match self.status {
            Some(200..=299) if matches!(self.metering, Metering::Silent) => Course::Unserved,
            Some(200..=299) if fault.is_none() || self.is_complete() || self.ended.is_some() => {
                Course::Whole
            }
            Some(200..=299) => Course::Broken,
            None if self.sent && unawaited => Course::Unheard,
            Some(_) | None => Course::Unserved,
        }
    }

    /// Lets the filter go where the answer is no stream of events, or one that the provider packed
    /// although it was asked not to: the extra event then stays in it.
    pub fn fit_filter(&mut self, head: &mut ResponseHeader) {
        let fields = &head.headers;
        let is = |name, value: &[u8]| {
            let field = fields.get(name).map(http::HeaderValue::as_bytes);
            let field = field.and_then(|field| field.split(|byte| *byte == b';').next());
            field.is_some_and(|field| field.trim_ascii().eq_ignore_ascii_case(value))
        };
        let packed = fields.contains_key(CONTENT_ENCODING) && !is(CONTENT_ENCODING, b"identity");
        if head.status != http::StatusCode::OK || packed || !is(CONTENT_TYPE, b"text/event-stream")
        {
            self.usage_filter = None;
        }
        if self.usage_filter.is_some() {
            // The client gets another length than was announced.
            head.remove_header(&CONTENT_LENGTH);
        }
    }

    /// The attempt as it stands in the log.
    pub fn record(
        &self,
        arrived: Instant,
        error: Option<String>,
        bill: Option<Bill>,
    ) -> AttemptRecord {
        let ended = self.ended.unwrap_or_else(Instant::now);
        AttemptRecord {
            provider: self.target.provider.slug.clone(),
            model: self.target.model.as_deref().map(text::plain),
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
