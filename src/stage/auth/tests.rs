//! Who is let in, and what must not go on.

use super::config::Token;
use super::*;
use crate::base::secret::Secret;
use crate::provider::catalogue::Catalogue;
use crate::stage::route::{Bindings, Found, Routes, Target};
use std::collections::BTreeMap;

/// `Ok((key, spent))` of a request with `fields` to a gateway with one token `t-secret`.
fn check(required: bool, fields: &[(&str, &str)], expect: Result<(bool, Option<&str>), ()>) {
    let config = Config {
        required,
        tokens: vec![Token {
            name: "app".to_owned(),
            token: Secret::new("t-secret".to_owned()),
        }],
    };
    let catalogue = Catalogue::build(&BTreeMap::new()).unwrap();
    let routes = Routes::build(&["default".to_owned()], Bindings::default(), catalogue);
    let target = Target {
        path: "/v1/a/default/anthropic/v1/messages",
        host: None,
        local: None,
    };
    let Found::Place(route) = routes.find(target).unwrap() else {
        panic!("no provider in the path");
    };
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, value.parse().unwrap());
    }
    let auth = Auth::build(std::iter::once(&config));
    let found = auth
        .authenticate(&route.gateway, &headers, &route.provider.key_fields)
        .map(|caller| (caller.key().is_some(), caller.spent().first().cloned()))
        .map_err(|_| ());
    let expect = expect.map(|(key, spent)| (key, spent.map(HeaderName::from_static_lower)));
    assert_eq!(found, expect, "{fields:?}");
}

trait FromStaticLower {
    fn from_static_lower(name: &str) -> HeaderName;
}

impl FromStaticLower for HeaderName {
    fn from_static_lower(name: &str) -> HeaderName {
        HeaderName::from_bytes(name.as_bytes()).unwrap()
    }
}

#[test]
fn the_token_is_taken_with_or_without_bearer() {
    for value in ["Bearer t-secret", "bearer  t-secret ", "t-secret"] {
        check(true, &[("cf-aig-authorization", value)], Ok((true, None)));
    }
    for value in [
        "Bearer t-secre",
        "t-secret2",
        "",
        "Bearer",
        "Basic t-secret",
    ] {
        check(true, &[("cf-aig-authorization", value)], Err(()));
    }
    check(true, &[], Err(()));
}

#[test]
fn the_providers_own_field_may_hold_the_token_when_nothing_else_was_sent() {
    check(
        true,
        &[("x-api-key", "t-secret")],
        Ok((true, Some("x-api-key"))),
    );
    check(
        true,
        &[("authorization", "Bearer t-secret")],
        Ok((true, Some("authorization"))),
    );
    check(
        true,
        &[("x-api-key", "t-secret"), ("cf-aig-authorization", "wrong")],
        Err(()),
    );
    check(true, &[("x-goog-api-key", "t-secret")], Err(()));
}

#[test]
fn where_none_is_required_a_known_token_is_still_named_and_kept_back() {
    check(false, &[], Ok((false, None)));
    check(
        false,
        &[("cf-aig-authorization", "wrong")],
        Ok((false, None)),
    );
    check(
        false,
        &[("authorization", "Bearer sk-1")],
        Ok((false, None)),
    );
    check(
        false,
        &[("x-api-key", "t-secret")],
        Ok((true, Some("x-api-key"))),
    );
}
