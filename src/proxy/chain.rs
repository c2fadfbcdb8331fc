//! The configured stand-ins of a request that names one provider.

use super::switch;
use super::wishes::Wishes;
use crate::stage::Stages;
use crate::stage::journal::record::Asked;
use crate::stage::plan::config::Fallback;
use crate::stage::plan::target::{Fields, Own, Step, Target};
use crate::stage::route::{Route, Trunk};
use bytes::Bytes;

/// What the stand-ins of one request are made from.
pub struct Chain<'a> {
    pub stages: &'a Stages,
    pub route: &'a Route,
    /// With its `?`, empty where there is none.
    pub query: &'a str,
    pub body: &'a Bytes,
    pub asked: &'a Asked,
    pub wishes: &'a Wishes,
}

impl Chain<'_> {
    /// The gateway's fallbacks, as far as they fit: what answers in another format, or does
    /// something else, cannot stand in.
    pub fn steps(&self) -> Vec<Step> {
        let fallbacks = self.stages.plans.fallback(&self.route.gateway);
        let steps = fallbacks.iter().filter_map(|fallback| self.step(fallback));
        let numbered = steps.zip(1..).map(|(mut step, number)| {
            step.target.step = number;
            step
        });
        numbered.collect()
    }

    fn step(&self, fallback: &Fallback) -> Option<Step> {
        let route = self.route;
        let trunk = Trunk {
            account: self.asked.account.clone(),
            gateway: route.gateway.clone(),
        };
        let endpoint = fallback.endpoint.as_deref().unwrap_or(&route.endpoint);
        let (endpoint, own_query) = match endpoint.split_once('?') {
            Some((endpoint, query)) => (endpoint, Some(format!("?{query}"))),
            None => (endpoint, None),
        };
        let placed = self
            .stages
            .routes
            .place(&trunk, &fallback.provider, endpoint);
        let (provider, mut place) = placed.ok()?;
        let was = (route.place.dialect, route.place.operation);
        if (place.dialect, place.operation) != was || place.dialect.is_none() {
            return None;
        }
        let is_same = provider.slug == route.provider.slug;
        let mut body = self.body.clone();
        if let Some(model) = &fallback.model {
            // With the model that failed it would be no other target.
            if !switch::can(&place, Some(&body)) {
                return None;
            }
            body = switch::model(&mut place, Some(body), model)?;
        }
        let model = place.model.clone();
        let model = model
            .or(fallback.model.clone())
            .or(self.asked.model.clone());
        let without = if is_same {
            Vec::new()
        } else {
            route.provider.key_fields.clone()
        };
        let query = if is_same {
            self.query.to_owned()
        } else {
            form(self.query)
        };
        Some(Step {
            target: Target {
                provider,
                place,
                model,
                step: 0,
                streams: self.asked.stream,
                once: false,
                custom_cost: self.wishes.custom_cost.clone(),
                own: Some(Own {
                    fields: Fields::Client { without },
                    query: own_query.unwrap_or(query),
                    body,
                }),
            },
            wish: self.wishes.retry,
            first_byte: self.wishes.timeout,
        })
    }
}

/// The part of a query that says in which form the answer is wanted (Gemini's `alt=sse`). The rest,
/// such as a key, is for one provider and no other.
fn form(query: &str) -> String {
    let mut pairs = query.trim_start_matches('?').split('&');
    let form = pairs.find(|pair| pair.starts_with("alt="));
    form.map_or_else(String::new, |form| format!("?{form}"))
}
