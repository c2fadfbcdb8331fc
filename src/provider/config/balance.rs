//! What a user writes under `providers.SLUG.endpoints` and `providers.SLUG.balance`.

use http::HeaderName;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt;

/// One of a provider's endpoints: a bare URL, or `{base_url, weight}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `http://` or `https://`, host, optional port and path.
    pub base_url: String,
    /// Its share of the requests, against those of the other endpoints.
    pub weight: u64,
}

/// How a request gets its endpoint, and its key, among several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// By chance, in proportion to the weights.
    #[default]
    Weighted,
    /// The one with the fewest running requests for its weight.
    LeastBusy,
    /// Of two by chance the one whose first token came sooner of late.
    Fastest,
    /// The same for all requests that have this in common.
    Sticky(By),
}

/// What requests may have in common.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub enum By {
    Header(HeaderName),
    /// An entry of `cf-aig-metadata`.
    Metadata(String),
    /// How the prompt begins.
    Prompt,
}

impl TryFrom<String> for By {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "prompt" {
            return Ok(Self::Prompt);
        }
        if let Some(("header", name)) = text.split_once(':') {
            return match name.trim().parse() {
                Ok(name) => Ok(Self::Header(name)),
                Err(_) => Err("this is not the name of a header; write for instance header:x-user"),
            };
        }
        match text.strip_prefix("metadata.") {
            Some(name) if !name.is_empty() => Ok(Self::Metadata(name.to_owned())),
            _ => Err("no request sticks by this; write header:NAME, metadata.NAME or prompt"),
        }
    }
}

impl<'de> Deserialize<'de> for Balance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BalanceVisitor)
    }
}

struct BalanceVisitor;

impl<'de> Visitor<'de> for BalanceVisitor {
    type Value = Balance;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("weighted, least_busy, fastest or {sticky: WHAT}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Balance, E> {
        match text {
            "weighted" => Ok(Balance::Weighted),
            "least_busy" => Ok(Balance::LeastBusy),
            "fastest" => Ok(Balance::Fastest),
            _ => Err(E::custom(
                "there is no such balance; write weighted, least_busy, fastest or {sticky: prompt}",
            )),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Balance, A::Error> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Map {
            sticky: By,
        }
        let Map { sticky } = Map::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Balance::Sticky(sticky))
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EndpointVisitor)
    }
}

struct EndpointVisitor;

impl<'de> Visitor<'de> for EndpointVisitor {
    type Value = Endpoint;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a base URL, or {base_url: URL, weight: 1}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Endpoint, E> {
        Ok(Endpoint {
            base_url: text.to_owned(),
            weight: 1,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Endpoint, A::Error> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Map {
            base_url: String,
            weight: Option<u64>,
        }
        let Map { base_url, weight } = Map::deserialize(MapAccessDeserializer::new(map))?;
        let weight = weight.unwrap_or(1);
        Ok(Endpoint { base_url, weight })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balance_is_a_word_or_says_what_requests_stick_by() {
        let read = |text| serde_yaml::from_str::<Balance>(text).unwrap();
        assert_eq!(read("weighted"), Balance::default());
        assert_eq!(read("least_busy"), Balance::LeastBusy);
        assert_eq!(read("fastest"), Balance::Fastest);
        assert_eq!(read("{sticky: prompt}"), Balance::Sticky(By::Prompt));
        let user = HeaderName::from_static("x-user");
        assert_eq!(
            read("{sticky: header:X-User}"),
            Balance::Sticky(By::Header(user))
        );
        let user = By::Metadata("user".to_owned());
        assert_eq!(read("{sticky: metadata.user}"), Balance::Sticky(user));
        for text in [
            "random",
            "{sticky: user}",
            "{sticky: 'header:a b'}",
            "{}",
            "[]",
        ] {
            assert!(serde_yaml::from_str::<Balance>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_endpoint_is_a_url_with_or_without_a_weight() {
        let read = |text| serde_yaml::from_str::<Endpoint>(text).unwrap();
        assert_eq!(read("http://a").weight, 1);
        assert_eq!(read("{base_url: 'http://a'}"), read("http://a"));
        assert_eq!(read("{base_url: 'http://a', weight: 7}").weight, 7);
    }
}
