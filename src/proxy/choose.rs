//! The endpoint and the key of one attempt.

use super::exchange::Exchange;
use crate::llm::metadata::Metadata;
use crate::llm::operation::Operation;
use crate::stage::Stages;
use crate::stage::plan::affinity::Clue;
use crate::stage::plan::pool::{Asked, Choice, Resort, Unfit};
use crate::stage::plan::target::{Fields, Target};
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use pingora::protocols::http::ServerSession;

/// Google takes it in the query, too.
const GOOGLE_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// Chooses among what the target's provider has. Where a later step could take over, nothing that
/// rests is asked.
///
/// # Errors
/// Nothing is fit to be asked.
pub fn choose(
    session: &ServerSession,
    exchange: &Exchange,
    target: &Target,
    stages: &Stages,
    metadata: &Metadata,
) -> Result<Choice, Unfit> {
    let pool = stages.pools.pool(&target.provider.slug);
    let pool = pool.ok_or(Unfit::Refused)?;
    let own = target.own.as_ref();
    let client = &session.req_header().headers;
    let spent = exchange.caller.spent();
    // Gateway tokens were taken out of what a step wrote.
    let (headers, others) = match own.map(|own| &own.fields) {
        Some(Fields::Step(headers)) => (headers, [[].as_slice(); 2]),
        Some(Fields::Client { without }) => (client, [spent, without.as_slice()]),
        None => (client, [spent, [].as_slice()]),
    };
    let body = own.map(|own| &own.body).or(exchange.seat.body());
    let affinity = pool.affinity(&Clue {
        headers,
        metadata,
        body: body.map(Bytes::as_ref).unwrap_or_default(),
    });
    let query = own.map_or(&exchange.query, |own| &own.query);
    let asked = Asked {
        origin: &target.place.origin,
        model: target.model.as_deref().filter(|_| names_model(target)),
        affinity,
        own_key: has_own_key(target, headers, &others, query),
    };
    let resort = if exchange.plan.is_last_step() {
        Resort::LeastBad
    } else {
        Resort::Healthy
    };
    pool.choose(&asked, &exchange.tried, resort)
}

/// Whether a 404 there means that the model is not.
fn names_model(target: &Target) -> bool {
    matches!(
        target.place.operation,
        Operation::Chat | Operation::Completion | Operation::Responses | Operation::Embeddings
    )
}

/// Whether the client sends a key for the provider, in a field that does not hold a key for `others`
/// or, as Google has it, in the query.
fn has_own_key(
    target: &Target,
    headers: &HeaderMap,
    others: &[&[HeaderName]],
    query: &str,
) -> bool {
    let mut fields = target.provider.key_fields.iter();
    let is_other = |field| others.iter().any(|fields| fields.contains(field));
    fields.any(|field| headers.contains_key(field) && !is_other(field))
        || target.provider.key_fields.contains(&GOOGLE_KEY)
            && query
                .trim_start_matches('?')
                .split('&')
                .any(|pair| pair.starts_with("key="))
}
