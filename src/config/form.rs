//! What the user wrote, whole.

use crate::{provider, proxy, stage, store};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What the user wrote, whole; absent parts hold their defaults.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub server: proxy::config::Config,
    /// Merged over the built-in catalogue.
    pub providers: BTreeMap<String, provider::config::Config>,
    /// `default` exists even where it is not named.
    pub gateways: BTreeMap<String, Gateway>,
    /// What all gateways share to keep answers in.
    pub cache: stage::cache::config::Room,
    pub log: stage::journal::config::Config,
    pub counters: store::counters::config::Config,
}

/// One gateway: a name in the URL with rules of its own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
    /// Host names whose requests use short paths (`/{provider}/…`) of this gateway.
    pub hosts: Vec<String>,
    pub auth: stage::auth::config::Config,
    pub limits: Vec<stage::limit::config::Limit>,
    pub timeout: stage::plan::config::Timeout,
    pub retry: stage::plan::retry::Retry,
    /// Tried in order where a request's own target failed.
    pub fallback: Vec<stage::plan::config::Fallback>,
    pub on_client_gone: stage::plan::config::OnClientGone,
    pub include_usage: stage::plan::config::IncludeUsage,
    pub metadata: stage::metadata::config::Config,
    pub cache: stage::cache::config::Config,
}
