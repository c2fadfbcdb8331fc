//! From a request's header fields to the caller: who may use a gateway.

pub mod config;

use crate::stage::route::Gateway;
use config::Config;
use http::{HeaderMap, HeaderName, header::AUTHORIZATION};
use std::sync::Arc;
use thiserror::Error;

/// The field that carries the gateway's token and nothing else.
pub const GATEWAY_FIELD: HeaderName = HeaderName::from_static("cf-aig-authorization");

/// Whoever sent the request. Only [`Auth::authenticate`] makes one, so holding it means that the
/// gateway's rule was applied.
#[derive(Clone, Debug)]
pub struct Caller {
    key: Option<Arc<str>>,
    spent: Vec<HeaderName>,
}

impl Caller {
    /// The name of the token that was shown; `None` where none was needed or known.
    pub fn key(&self) -> Option<&Arc<str>> {
        self.key.as_ref()
    }

    /// The provider's own fields that held a token of the gateway: they must not go on.
    pub fn spent(&self) -> &[HeaderName] {
        &self.spent
    }
}

/// The gateway wants a token, and none of its own was shown.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("no valid gateway token")]
pub struct Unauthorized;

/// The rules of all gateways.
pub struct Auth {
    gateways: Vec<Rule>,
}

struct Rule {
    required: bool,
    tokens: Vec<(Arc<str>, crate::base::secret::Secret)>,
}

impl Auth {
    /// One rule a gateway, in the order of the gateways.
    pub fn build<'a>(gateways: impl Iterator<Item = &'a Config>) -> Self {
        let gateways = gateways.map(|config| Rule {
            required: config.required,
            tokens: config
                .tokens
                .iter()
                .map(|token| (token.name.as_str().into(), token.token.clone()))
                .collect(),
        });
        Self {
            gateways: gateways.collect(),
        }
    }

    /// Accepts the token in `cf-aig-authorization`, with or without `Bearer`; or, where that field
    /// is absent, in one of the provider's own `key_fields`.
    ///
    /// # Errors
    /// The gateway requires a token and none that it knows was shown.
    pub fn authenticate(
        &self,
        gateway: &Gateway,
        headers: &HeaderMap,
        key_fields: &[HeaderName],
    ) -> Result<Caller, Unauthorized> {
        let Some(rule) = gateway.of(&self.gateways) else {
            return Err(Unauthorized);
        };
        let (own, spent) = rule.find_in_provider_fields(headers, key_fields);
        let key = match headers.get(&GATEWAY_FIELD) {
            Some(value) => rule.recognise(value.as_bytes()),
            None => own,
        };
        if key.is_none() && rule.required {
            return Err(Unauthorized);
        }
        Ok(Caller { key, spent })
    }
}

impl Auth {
    /// The fields among `key_fields` and `authorization` that hold a token of the gateway.
    pub fn fields_with_token(
        &self,
        gateway: &Gateway,
        headers: &HeaderMap,
        key_fields: &[HeaderName],
    ) -> Vec<HeaderName> {
        let rule = gateway.of(&self.gateways);
        let found = rule.map(|rule| rule.find_in_provider_fields(headers, key_fields));
        found.map(|(_, fields)| fields).unwrap_or_default()
    }
}

impl Rule {
    /// The first token in the provider's own fields, and every field that holds one.
    fn find_in_provider_fields(
        &self,
        headers: &HeaderMap,
        key_fields: &[HeaderName],
    ) -> (Option<Arc<str>>, Vec<HeaderName>) {
        let (mut key, mut spent) = (None, Vec::new());
        if self.tokens.is_empty() {
            return (key, spent);
        }
        for field in key_fields.iter().chain(std::iter::once(&AUTHORIZATION)) {
            for value in headers.get_all(field) {
                if let Some(found) = self.recognise(value.as_bytes()) {
                    key = key.or(Some(found));
                    spent.push(field.clone());
                }
            }
        }
        (key, spent)
    }

    /// Compares with every token, so that the time says nothing about which one matched.
    fn recognise(&self, value: &[u8]) -> Option<Arc<str>> {
        let token = credential(value);
        let mut found = None;
        for (name, secret) in &self.tokens {
            if secret.is(token) {
                found = Some(name);
            }
        }
        found.cloned()
    }
}

/// The credential without its scheme (`Bearer`, `Token`, `Key`; RFC 9110, 11.4).
fn credential(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    for scheme in ["bearer", "token", "key"] {
        if let Some((lead, rest)) = value.split_at_checked(scheme.len())
            && lead.eq_ignore_ascii_case(scheme.as_bytes())
            && rest.first().is_some_and(u8::is_ascii_whitespace)
        {
            return rest.trim_ascii();
        }
    }
    value
}

#[cfg(test)]
mod tests;
