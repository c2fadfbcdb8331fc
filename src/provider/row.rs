//! The catalogue file's form; what its members mean stands at the top of `catalogue.yaml`.

use crate::dialect::Dialect;
use crate::llm::operation::Operation;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub formats: BTreeMap<Dialect, Vec<EndpointRow>>,
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
    pub key: Vec<String>,
    #[serde(default)]
    pub routes: Vec<RouteRow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteRow {
    pub path: String,
    pub base_url: String,
    #[serde(default)]
    pub keep: bool,
}
