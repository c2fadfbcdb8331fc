//! What a user writes under `providers.SLUG`.

pub mod balance;
pub mod breaker;
pub mod key;

use super::prices::config::OwnPrice;
use crate::dialect::Dialect;
use balance::{Balance, Endpoint};
use breaker::Breaker;
use key::Key;
use serde::Deserialize;
use std::collections::BTreeMap;

/// One provider: an override of a built-in row, or a `custom-…` provider of the user's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `http://` or `https://`, host, optional port and path. Replaces the built-in base, and for
    /// azure-openai, aws-bedrock and google-vertex-ai the host that the path would choose. A custom
    /// provider has to have one.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Several base URLs in place of the one.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    /// The keys for requests that come without one of their own.
    #[serde(default, deserialize_with = "key::read_keys")]
    pub keys: Vec<Key>,
    /// How requests are shared out among several endpoints and among several keys.
    #[serde(default)]
    pub balance: Balance,
    #[serde(default)]
    pub breaker: Breaker,
    /// The wire format that the provider speaks; custom providers only. Absent: told from the path.
    #[serde(default)]
    pub dialect: Option<Dialect>,
    /// Prices by model, in dollars per MILLION tokens, over those of the price book. A name may end
    /// in `*`; the longest that fits is taken.
    #[serde(default)]
    pub prices: BTreeMap<String, OwnPrice>,
}

impl Config {
    /// The base URL by which the paths are read: the only one, or the first of several.
    pub fn first_base_url(&self) -> Option<&str> {
        let first = self.endpoints.first().map(|endpoint| &endpoint.base_url);
        first.or(self.base_url.as_ref()).map(String::as_str)
    }
}

/// The users' own prices by provider, as the price book takes them.
pub fn own_prices(
    providers: &BTreeMap<String, Config>,
) -> impl Iterator<Item = (&str, &BTreeMap<String, OwnPrice>)> {
    let providers = providers.iter();
    providers.map(|(slug, config)| (slug.as_str(), &config.prices))
}
