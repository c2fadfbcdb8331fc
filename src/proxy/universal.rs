//! The universal endpoint: one request that lists the steps to try, in order.

use super::faults::FieldFault;
use super::text;
use super::wishes::{self, Wishes};
use crate::base::period::Period;
use crate::dialect;
use crate::stage::plan::retry::{ATTEMPTS_MAX, Backoff, DELAY_MAX, Wish};
use crate::stage::plan::target::{Fields, Own, Step, Target};
use crate::stage::route::{RouteError, Routes, Trunk};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// The most steps of one request.
const STEPS_MAX: usize = 20;

/// What is wrong with a list of steps.
#[derive(Debug, Error)]
#[error("step {step}: {fault}")]
pub struct UniversalFault {
    /// The position of the step, from 0.
    pub step: usize,
    pub fault: StepFault,
}

#[derive(Debug, Error)]
pub enum StepFault {
    #[error(
        "not a step; expected {{\"provider\", \"endpoint\", \"headers\", \"query\"}} or an array of such ({0})"
    )]
    Shape(String),
    #[error("a request may have at most {STEPS_MAX} steps, and at least one")]
    Count,
    #[error("provider `compat` is not supported yet; name the provider itself")]
    Compat,
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error("`endpoint` cannot be sent; expected a path, with spaces and the like escaped")]
    Endpoint,
    #[error("header `{0}` cannot be sent")]
    Header(String),
    #[error("`query` has to be a JSON object, the body for the provider")]
    Query,
    #[error("config.{0}")]
    Config(&'static str),
    #[error(transparent)]
    Field(#[from] FieldFault),
}

/// A step as the client writes it (Cloudflare's universal endpoint).
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    provider: Cow<'a, str>,
    #[serde(borrow)]
    endpoint: Cow<'a, str>,
    #[serde(borrow, default)]
    headers: BTreeMap<Cow<'a, str>, &'a RawValue>,
    /// The value of the header field, in the older form.
    #[serde(borrow, default)]
    authorization: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    query: Option<&'a RawValue>,
    #[serde(borrow, default)]
    config: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Config {
    /// Milliseconds to the first byte.
    request_timeout: Option<u64>,
    max_attempts: Option<u32>,
    /// Milliseconds.
    retry_delay: Option<u64>,
    backoff: Option<Backoff>,
}

/// What the steps are made from, beside their own words.
pub struct Universal<'a> {
    pub body: &'a Bytes,
    pub routes: &'a Routes,
    pub trunk: &'a Trunk,
    /// The whole request's, where a step has none of its own.
    pub wishes: &'a Wishes,
}

/// The steps that the body lists, each with what it sends.
///
/// # Errors
/// The first step that cannot be made; nothing was sent then.
pub fn steps(universal: &Universal<'_>) -> Result<Vec<Step>, UniversalFault> {
    let raw = split(universal.body)?;
    let mut steps = Vec::with_capacity(raw.len());
    for (step, raw) in raw.into_iter().enumerate() {
        let at = |fault| UniversalFault { step, fault };
        if step >= STEPS_MAX {
            return Err(at(StepFault::Count));
        }
        if !raw.get().starts_with('{') {
            return Err(at(StepFault::Shape("this is no object".to_owned())));
        }
        let wire: Wire<'_> = serde_json::from_str(raw.get())
            .map_err(|error| at(StepFault::Shape(error.to_string())))?;
        steps.push(build(step, &wire, universal).map_err(at)?);
    }
    if steps.is_empty() {
        let fault = StepFault::Count;
        return Err(UniversalFault { step: 0, fault });
    }
    Ok(steps)
}

fn build(step: usize, wire: &Wire<'_>, universal: &Universal<'_>) -> Result<Step, StepFault> {
    let Universal {
        body,
        routes,
        trunk,
        wishes,
    } = universal;
    if wire.provider == "compat" {
        return Err(StepFault::Compat);
    }
    let (endpoint, query) = match wire.endpoint.split_once('?') {
        Some((endpoint, query)) => (endpoint, format!("?{query}")),
        None => (&*wire.endpoint, String::new()),
    };
    let (provider, place) = routes.place(trunk, &wire.provider, endpoint)?;
    if PathAndQuery::try_from([&place.path, &*query].concat()).is_err() {
        return Err(StepFault::Endpoint);
    }
    let headers = headers(wire)?;
    let own = wishes::read(&headers)?;
    let (wish, first_byte) = config(wire)?.read()?;
    let own_body = match wire.query {
        Some(raw) if raw.get().starts_with('{') => body.slice_ref(raw.get().as_bytes()),
        None => Bytes::new(),
        Some(_) => return Err(StepFault::Query),
    };
    let call = dialect::call::read(&own_body);
    Ok(Step {
        target: Target {
            provider,
            model: place
                .model
                .clone()
                .or(call.model.as_deref().map(text::plain)),
            streams: place.streams || call.stream,
            place,
            step,
            once: false,
            custom_cost: own.custom_cost.or_else(|| wishes.custom_cost.clone()),
            own: Some(Own {
                fields: Fields::Step(headers),
                query,
                body: own_body,
            }),
        },
        wish: wish.over(own.retry).over(wishes.retry),
        first_byte: first_byte.or(own.timeout).or(wishes.timeout),
    })
}

fn config(wire: &Wire<'_>) -> Result<Config, StepFault> {
    let Some(raw) = wire.config else {
        return Ok(Config::default());
    };
    if !raw.get().starts_with('{') {
        return Err(StepFault::Shape("`config` is no object".to_owned()));
    }
    serde_json::from_str(raw.get()).map_err(|error| StepFault::Shape(error.to_string()))
}

fn headers(wire: &Wire<'_>) -> Result<HeaderMap, StepFault> {
    let mut headers = HeaderMap::new();
    for (name, value) in &wire.headers {
        let wrong = || StepFault::Header(name.chars().take(64).collect());
        let text = serde_json::from_str::<String>(value.get());
        // Numbers and booleans are sent as they are written.
        let text = text.unwrap_or_else(|_| value.get().to_owned());
        if value.get().starts_with(['{', '[']) {
            return Err(wrong());
        }
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        headers.append(name, HeaderValue::from_str(&text).map_err(|_| wrong())?);
    }
    if let Some(text) = &wire.authorization {
        let value = HeaderValue::from_str(text);
        let value = value.map_err(|_| StepFault::Header("authorization".to_owned()))?;
        headers.insert(AUTHORIZATION, value);
    }
    let json = || HeaderValue::from_static("application/json");
    headers.entry(CONTENT_TYPE).or_insert_with(json);
    Ok(headers)
}

impl Config {
    fn read(&self) -> Result<(Wish, Option<Duration>), StepFault> {
        let timeout = self.request_timeout;
        if timeout.is_some_and(|ms| !(1..=wishes::REQUEST_TIMEOUT_MS_MAX).contains(&ms)) {
            return Err(StepFault::Config(
                "requestTimeout has to be 1 to 86400000 ms",
            ));
        }
        if self
            .max_attempts
            .is_some_and(|count| !(1..=ATTEMPTS_MAX).contains(&count))
        {
            return Err(StepFault::Config("maxAttempts has to be 1 to 5"));
        }
        if self
            .retry_delay
            .is_some_and(|ms| Duration::from_millis(ms) > DELAY_MAX)
        {
            return Err(StepFault::Config("retryDelay has to be 0 to 60000 ms"));
        }
        let wish = Wish {
            attempts: self.max_attempts,
            delay: self.retry_delay.map(Period::from_millis),
            backoff: self.backoff,
        };
        Ok((wish, timeout.map(Duration::from_millis)))
    }
}

/// The texts of the steps: of an array's, or of the one object.
fn split(body: &Bytes) -> Result<Vec<&RawValue>, UniversalFault> {
    let wrong = |step: usize, error: serde_json::Error| UniversalFault {
        step,
        fault: StepFault::Shape(error.to_string()),
    };
    if body.trim_ascii_start().first() != Some(&b'[') {
        let one = serde_json::from_slice(body).map_err(|error| wrong(0, error))?;
        return Ok(vec![one]);
    }
    let mut found = Vec::new();
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = json.deserialize_seq(Steps(&mut found));
    let read = read.and_then(|()| json.end());
    match read {
        Ok(()) => Ok(found),
        Err(_) if found.len() > STEPS_MAX => Err(UniversalFault {
            step: STEPS_MAX,
            fault: StepFault::Count,
        }),
        Err(error) => Err(wrong(found.len(), error)),
    }
}

/// Keeps what was read before an error, which tells the step that it is in.
struct Steps<'f, 'a>(&'f mut Vec<&'a RawValue>);

impl<'a> Visitor<'a> for Steps<'_, 'a> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of steps")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(raw) = items.next_element()? {
            if self.0.len() > STEPS_MAX {
                return Err(A::Error::custom("too many steps"));
            }
            self.0.push(raw);
        }
        Ok(())
    }
}
