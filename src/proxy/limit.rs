//! Between a request and the limits: what they look at, what it may use, and what it used.

use super::faults::BodyFault;
use super::parts::number;
use super::refusal::Refusal;
use super::switch;
use crate::base::money::NanoUsd;
use crate::dialect::call;
use crate::stage::Stages;
use crate::stage::journal::record::Record;
use crate::stage::limit::by::Caller;
use crate::stage::limit::exceeded::{Exceeded, Standing};
use crate::stage::limit::permit::Permit;
use crate::stage::limit::rule::{Spent, Worst};
use crate::stage::limit::{Admission, Limits, Means};
use crate::stage::meter::worst::Asking;
use crate::stage::plan::target::{Step, Target};
use crate::stage::route::Gateway;
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method};
use pingora::protocols::http::ServerSession;

/// The limit that a request ran into.
const LIMIT: HeaderName = HeaderName::from_static("x-tollgate-limit");
/// The model that took the place of the one that was asked for.
const MODEL: HeaderName = HeaderName::from_static("x-tollgate-model");
const RATE_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const RATE_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RATE_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Reserves room for a request under its gateway's limits: for the dearest of its steps, by the names
/// of the first. A limit may send it to another model, which then stands in its step and its body.
///
/// # Errors
/// There is no room, or the client left the line.
pub async fn admit(
    stages: &Stages,
    gateway: &Gateway,
    session: &mut ServerSession,
    (steps, body): (&mut [Step], &mut Option<Bytes>),
    record: &mut Record,
) -> Result<Admission, Refusal> {
    let first = steps.first().map(|step| &step.target);
    let Some(first) = first.filter(|_| stages.limits.apply_to(gateway)) else {
        return Ok(Admission::default());
    };
    // The client is watched while the request waits.
    let headers = session.req_header().headers.clone();
    let asked = &record.asked;
    let others = others(steps);
    let (provider, asked_model) = names(first);
    let caller = Caller {
        key: asked.key.as_deref(),
        client: record.received.client,
        provider,
        model: asked_model,
        headers: &headers,
        metadata: &asked.metadata,
        others: &others,
    };
    // Only a POST makes a model work.
    let posted = record.received.method == Some(Method::POST);
    let worst = |model: Option<&str>| {
        // Sent to another model, it has no stand-ins.
        let count = if model == asked_model { steps.len() } else { 1 };
        let steps = steps.iter().take(count).filter(|_| posted);
        let each = steps.map(|step| {
            let asking = asking(&step.target, body.as_ref(), asked.output_max);
            stages.meter.worst(&Asking {
                model: model.filter(|_| step.target.own.is_none()).or(asking.model),
                ..asking
            })
        });
        each.reduce(Worst::or_worse).unwrap_or_default()
    };
    let can_switch = || match steps.first() {
        Some(step) if step.target.own.is_none() => switch::can(&step.target.place, body.as_ref()),
        _ => false,
    };
    let means = Means {
        worst: &worst,
        can_switch: &can_switch,
    };
    let admit = stages.limits.admit(gateway, caller, &means);
    let admitted = if body.is_some() && stages.limits.may_wait(gateway) {
        tokio::select! {
            biased;
            admitted = admit => admitted,
            _ = session.read_body_or_idle(true) => {
                return Err(Refusal::Body(BodyFault::Gone));
            }
        }
    } else {
        admit.await
    };
    record.answered.limit = match &admitted {
        Ok(admission) => admission.hit.clone(),
        Err(exceeded) => Some(exceeded.limit.clone()),
    };
    let admission = admitted?;
    if let (Some(model), Some(step)) = (&admission.model, steps.first_mut()) {
        switch_to(model, &mut step.target, body);
    }
    Ok(admission)
}

fn switch_to(model: &str, target: &mut Target, body: &mut Option<Bytes>) {
    *body = switch::model(&mut target.place, body.take(), model);
    target.model = Some(model.to_owned());
}

/// What may be asked instead of the first step.
fn others(steps: &[Step]) -> Vec<(&str, Option<&str>)> {
    steps
        .iter()
        .skip(1)
        .map(|step| names(&step.target))
        .collect()
}

/// The provider and the model of a step.
fn names(target: &Target) -> (&str, Option<&str>) {
    let model = target.place.model.as_deref();
    (&target.provider.slug, model.or(target.model.as_deref()))
}

/// What a step sends, as the meter sees it.
fn asking<'a>(target: &'a Target, body: Option<&'a Bytes>, output_max: Option<u64>) -> Asking<'a> {
    let own = target.own.as_ref().map(|own| &own.body);
    Asking {
        slug: &target.provider.slug,
        place: &target.place,
        model: target.place.model.as_deref().or(target.model.as_deref()),
        body: own.or(body).map(Bytes::as_ref).unwrap_or_default(),
        output_max: match own {
            Some(body) => call::read(body).output_max,
            None => output_max,
        },
        custom: target.custom_cost.as_ref(),
    }
}

/// Puts what the attempts used in the place of what was reserved.
pub fn settle(limits: &Limits, permit: Permit, record: &Record) {
    let mut spent = Spent::default();
    for bill in record.attempts.iter().filter_map(|attempt| attempt.bill) {
        let add = |sum: u64, count: Option<u64>| sum.saturating_add(count.unwrap_or_default());
        spent.input = add(spent.input, bill.usage.input);
        spent.output = add(spent.output, bill.usage.output);
        let cost = bill.cost.unwrap_or(NanoUsd::ZERO);
        spent.cost = spent.cost.saturating_add(cost);
    }
    permit.settle(limits.counters.now(), &spent);
}

/// Lets an answer say what is left under the limits that its request passed.
pub fn tell(admission: &Admission, head: &mut HeaderMap) {
    let mut fields = standing(admission.standing.as_ref());
    fields.extend(field(LIMIT, admission.hit.as_deref()));
    fields.extend(field(MODEL, admission.model.as_deref()));
    for (name, value) in fields {
        head.insert(name, value);
    }
}

/// What a refusal says of the limit that the request ran into.
pub fn fields_of_refusal(exceeded: &Exceeded) -> Vec<(HeaderName, HeaderValue)> {
    let mut fields = standing(exceeded.standing.as_ref());
    fields.extend(field(LIMIT, Some(&exceeded.limit)));
    let retry_after = exceeded.retry_after.map(HeaderValue::from);
    fields.extend(retry_after.map(|seconds| (RETRY_AFTER, seconds)));
    fields
}

fn standing(standing: Option<&Standing>) -> Vec<(HeaderName, HeaderValue)> {
    let Some(standing) = standing else {
        return Vec::new();
    };
    let mut fields = vec![(RATE_RESET, number(standing.resets_in))];
    fields.extend(field(RATE_LIMIT, Some(&standing.limit)));
    fields.extend(field(RATE_REMAINING, Some(&standing.remaining)));
    fields
}

fn field(name: HeaderName, text: Option<&str>) -> Option<(HeaderName, HeaderValue)> {
    Some((name, HeaderValue::from_str(text?).ok()?))
}
