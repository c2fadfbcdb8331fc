//! The catalogue file's form; what its members mean stands at the top of `catalogue.yaml`.

use super::key::KeyField;
use crate::dialect::Dialect;
use crate::llm::operation::Operation;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub formats: BTreeMap<Dialect, Vec<EndpointRow>>,
    pub own_keys: BTreeMap<Dialect, KeyField>,
    pub providers: BTreeMap<String, Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointRow {
    pub path: String,
    pub dialect: Option<Dialect>,
    pub operation: Operation,
    #[serde(default)]
    pub stream: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub speaks: Option<Dialect>,
    pub base_url: Option<String>,
    pub version: Option<String>,
    pub key: Vec<KeyField>,
    pub usage_on_request: Option<OnRequest>,
    #[serde(default)]
    pub routes: Vec<RouteRow>,
}

/// That a provider's streams tell their usage only where the request asks for it.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnRequest {
    /// The first `api-version` of the query that lets itself be asked; none: all do.
    pub since: Option<String>,
}

impl OnRequest {
    /// Whether a request with this query can ask. Where it names no version, it is of the newest.
    pub fn fits(&self, query: &str) -> bool {
        let Some(since) = self.since.as_deref() else {
            return true;
        };
        let pairs = query.trim_start_matches('?').split('&');
        let mut versions = pairs.filter_map(|pair| pair.strip_prefix("api-version="));
        versions.all(|version| version >= since)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteRow {
    pub path: String,
    pub base_url: String,
    #[serde(default)]
    pub keep: bool,
}
