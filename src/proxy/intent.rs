//! What a request wants to be tried: its own target and the stand-ins, or the steps that it lists.

use super::chain::Chain;
use super::context::Context;
use super::refusal::Refusal;
use super::universal::{self, Universal};
use super::wishes::Wishes;
use super::{arrival, intake};
use crate::llm::operation::Operation;
use crate::stage::plan::target::Step;
use crate::stage::route::{Found, Gateway};
use bytes::Bytes;
use pingora::protocols::http::ServerSession;

/// What the head says beside the target.
pub struct Terms<'a> {
    /// With its `?`, empty where there is none.
    pub query: &'a str,
    pub wishes: &'a Wishes,
}

/// What is to be done.
pub struct Intent {
    pub gateway: Gateway,
    /// At least one.
    pub steps: Vec<Step>,
    /// Where it was read; what streams through was not.
    pub body: Option<Bytes>,
}

/// Reads the body where it has to be known, and makes the steps.
///
/// # Errors
/// The body cannot be read, or a step cannot be made.
pub async fn read(
    session: &mut ServerSession,
    context: &mut Context,
    found: Found,
    terms: &Terms<'_>,
) -> Result<Intent, Refusal> {
    let stages = context.stages.clone();
    let record = &mut context.record;
    match found {
        Found::Place(route) => {
            let mut body = None;
            if route.place.operation != Operation::Files
                && intake::is_json(&session.req_header().headers)
            {
                body = Some(arrival::read_call(session, record, &stages.conduct).await?);
            } else {
                intake::give_leave(session).await?;
            }
            let once = body.is_none() && !session.is_body_empty();
            let chain = body.as_ref().map(|body| Chain {
                stages: &stages,
                route: &route,
                query: terms.query,
                body,
                asked: &record.asked,
                wishes: terms.wishes,
            });
            let stand_ins = chain.map(|chain| chain.steps()).unwrap_or_default();
            let gateway = route.gateway.clone();
            let mut steps = vec![terms.wishes.step(route, &record.asked, once)];
            steps.extend(stand_ins);
            Ok(Intent {
                gateway,
                steps,
                body,
            })
        }
        Found::Universal(trunk) => {
            let list = arrival::read_call(session, record, &stages.conduct).await?;
            let mut steps = universal::steps(&Universal {
                body: &list,
                routes: &stages.routes,
                trunk: &trunk,
                wishes: terms.wishes,
            })?;
            for Step { target, .. } in &mut steps {
                let provider = target.provider.clone();
                if let Some(fields) = target.written_fields_mut() {
                    let keys = &provider.key_fields;
                    let auth = &stages.auth;
                    for name in auth.fields_with_token(&trunk.gateway, fields, keys) {
                        fields.remove(name);
                    }
                }
            }
            Ok(Intent {
                gateway: trunk.gateway,
                steps,
                body: Some(list),
            })
        }
    }
}
