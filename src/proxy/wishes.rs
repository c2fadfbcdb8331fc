//! What a client asks of the gateway for one request, in `cf-aig-` fields.

use super::faults::FieldFault;
use super::fields::OWN_PREFIX;
use super::text;
use crate::base::period::Period;
use crate::provider::prices::custom::CustomCost;
use crate::stage::cache::control;
use crate::stage::journal::record::Asked;
use crate::stage::plan::retry::{ATTEMPTS_MAX, Backoff, DELAY_MAX, Wish};
use crate::stage::plan::target::{Step, Target};
use crate::stage::route::Route;
use http::{HeaderMap, HeaderName};
use std::time::Duration;

/// The client's time to the first byte, in milliseconds.
const REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("cf-aig-request-timeout");
/// What the client says the request costs, as JSON.
const CUSTOM_COST: HeaderName = HeaderName::from_static("cf-aig-custom-cost");
/// Bounds of [`REQUEST_TIMEOUT`]: a day, beyond which it is surely another unit.
pub const REQUEST_TIMEOUT_MS_MAX: u64 = 86_400_000;
const MAX_ATTEMPTS: HeaderName = HeaderName::from_static("cf-aig-max-attempts");
/// In milliseconds.
const RETRY_DELAY: HeaderName = HeaderName::from_static("cf-aig-retry-delay");
const BACKOFF: HeaderName = HeaderName::from_static("cf-aig-backoff");

/// What a client asks of the gateway for this request.
#[derive(Default)]
pub struct Wishes {
    /// To the first byte of the answer.
    pub timeout: Option<Duration>,
    pub custom_cost: Option<CustomCost>,
    pub cache: control::Wishes,
    pub retry: Wish,
}

impl Wishes {
    /// The only step of a request at one provider; `once` where it cannot be sent a second time.
    pub fn step(&self, route: Route, asked: &Asked, once: bool) -> Step {
        let mut wish = self.retry;
        if once {
            wish.attempts = Some(1);
        }
        Step {
            target: Target {
                provider: route.provider,
                place: route.place,
                model: asked.model.clone(),
                streams: asked.stream,
                once,
                step: 0,
                custom_cost: self.custom_cost.clone(),
                own: None,
            },
            wish,
            first_byte: self.timeout,
        }
    }
}

/// # Errors
/// A field that holds something else.
pub fn read(headers: &HeaderMap) -> Result<Wishes, FieldFault> {
    let mut names = headers.keys().map(HeaderName::as_str);
    if !names.any(|name| name.starts_with(OWN_PREFIX)) {
        return Ok(Wishes::default());
    }
    Ok(Wishes {
        timeout: request_timeout(headers)?,
        custom_cost: custom_cost(headers)?,
        cache: cache(headers)?,
        retry: retry(headers)?,
    })
}

/// What a request, or a step of it, says about the cache.
///
/// # Errors
/// A field that holds something else.
pub fn cache(headers: &HeaderMap) -> Result<control::Wishes, FieldFault> {
    control::Wishes::read(headers).map_err(|fault| FieldFault {
        field: fault.field.to_owned(),
        value: fault.value,
        expected: fault.expected.into(),
    })
}

fn request_timeout(headers: &HeaderMap) -> Result<Option<Duration>, FieldFault> {
    let ms = number(
        headers,
        &REQUEST_TIMEOUT,
        " of milliseconds",
        1,
        REQUEST_TIMEOUT_MS_MAX,
    )?;
    Ok(ms.map(Duration::from_millis))
}

fn custom_cost(headers: &HeaderMap) -> Result<Option<CustomCost>, FieldFault> {
    let Some(value) = headers.get(CUSTOM_COST) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    match text.parse() {
        Ok(cost) => Ok(Some(cost)),
        Err(_) => Err(FieldFault {
            field: CUSTOM_COST.as_str().to_owned(),
            value: text::cut(&text, 128),
            expected: "has to be JSON with total_cost, or with per_token_in and per_token_out"
                .into(),
        }),
    }
}

fn retry(headers: &HeaderMap) -> Result<Wish, FieldFault> {
    let attempts = number(headers, &MAX_ATTEMPTS, "", 1, ATTEMPTS_MAX.into())?;
    let delay = number(
        headers,
        &RETRY_DELAY,
        " of milliseconds",
        0,
        DELAY_MAX.as_millis() as u64,
    )?;
    let backoff = match headers.get(BACKOFF) {
        None => None,
        Some(value) => Some(match value.as_bytes().trim_ascii() {
            b"constant" => Backoff::Constant,
            b"linear" => Backoff::Linear,
            b"exponential" => Backoff::Exponential,
            other => {
                let value = text::cut(&String::from_utf8_lossy(other), 64);
                return Err(FieldFault {
                    field: BACKOFF.as_str().to_owned(),
                    value,
                    expected: "has to be constant, linear or exponential".into(),
                });
            }
        }),
    };
    Ok(Wish {
        attempts: attempts.and_then(|count| u32::try_from(count).ok()),
        delay: delay.map(Period::from_millis),
        backoff,
    })
}

/// A field that holds a whole number within bounds.
fn number(
    headers: &HeaderMap,
    name: &HeaderName,
    unit: &str,
    min: u64,
    max: u64,
) -> Result<Option<u64>, FieldFault> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    match text.trim().parse() {
        Ok(number) if (min..=max).contains(&number) => Ok(Some(number)),
        _ => Err(FieldFault {
            field: name.as_str().to_owned(),
            value: text::cut(text.trim(), 64),
            expected: format!("has to be a number{unit} from {min} to {max}").into(),
        }),
    }
}
