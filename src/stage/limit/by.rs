//! Whose counter a request counts on.

use crate::llm::metadata::Metadata;
use http::{HeaderMap, HeaderName};
use serde::Deserialize;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

/// The longest value that tells counters apart as it is; of longer ones the start does.
const VALUE_BYTES_MAX: usize = 1024;
/// What of a value the operator sees.
const SHOWN_CHARS_MAX: usize = 64;
/// What is shown of a secret: enough to tell it from others.
const DIGEST_CHARS: usize = 12;

/// Something that tells requests apart.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum By {
    /// Every limit is a gateway's own already: this is for those who want to say it.
    Gateway,
    Key,
    /// An IPv4 address, or the 64 bits of an IPv6 address that one subscriber has.
    Client,
    Provider,
    Model,
    Header(HeaderName),
    Metadata(String),
}

impl TryFrom<String> for By {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Ok(match text.as_str() {
            "gateway" => Self::Gateway,
            "key" => Self::Key,
            "client" => Self::Client,
            "provider" => Self::Provider,
            "model" => Self::Model,
            _ => match text.split_once(':') {
                Some(("header", name)) => {
                    let name = name.trim().parse();
                    Self::Header(name.map_err(
                        |_| "this is not the name of a header; write for instance header:x-user",
                    )?)
                }
                _ => match text.strip_prefix("metadata.") {
                    Some(name) if !name.is_empty() => Self::Metadata(name.to_owned()),
                    _ => {
                        return Err(
                            "requests are not told apart by this; write gateway, key, client, provider, model, header:NAME or metadata.NAME",
                        );
                    }
                },
            },
        })
    }
}

/// What limits look at.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// The name of the token that was shown.
    pub key: Option<&'a str>,
    pub client: Option<IpAddr>,
    pub provider: &'a str,
    pub model: Option<&'a str>,
    pub headers: &'a HeaderMap,
    pub metadata: &'a Metadata,
    /// Provider and model of what may be asked instead: limits by these apply as well.
    pub others: &'a [(&'a str, Option<&'a str>)],
}

impl<'a> Caller<'a> {
    /// The request itself for 0, and with the names of its others from 1 on.
    pub fn variant(&self, of: usize) -> Self {
        match of.checked_sub(1).and_then(|other| self.others.get(other)) {
            Some((provider, model)) => Self {
                provider,
                model: *model,
                ..*self
            },
            None => *self,
        }
    }
}

impl By {
    /// As the user wrote it.
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            Self::Gateway => "gateway".into(),
            Self::Key => "key".into(),
            Self::Client => "client".into(),
            Self::Provider => "provider".into(),
            Self::Model => "model".into(),
            Self::Header(name) => format!("header:{name}").into(),
            Self::Metadata(name) => format!("metadata.{name}").into(),
        }
    }

    /// The request's value; `None` where it has none.
    fn value<'a>(&self, caller: &Caller<'a>) -> Option<Cow<'a, [u8]>> {
        fn bytes(text: &str) -> Cow<'_, [u8]> {
            Cow::Borrowed(text.as_bytes())
        }
        let value = match self {
            Self::Gateway => None,
            Self::Key => caller.key.map(bytes),
            Self::Client => caller.client.map(|client| Cow::Owned(subscriber(client))),
            Self::Provider => Some(bytes(caller.provider)),
            Self::Model => caller.model.map(bytes),
            Self::Header(name) => {
                let value = caller.headers.get(name);
                value.map(|value| Cow::Borrowed(value.as_bytes()))
            }
            Self::Metadata(name) => match caller.metadata.get(name)?.text() {
                Cow::Borrowed(text) => Some(bytes(text)),
                Cow::Owned(text) => Some(Cow::Owned(text.into_bytes())),
            },
        };
        value.filter(|value| !value.is_empty())
    }

    /// Writes the value so that no two requests that differ write the same.
    pub fn write(&self, caller: &Caller<'_>, out: &mut Vec<u8>) {
        let value = self.value(caller).unwrap_or_default();
        let value = value.get(..VALUE_BYTES_MAX).unwrap_or(&value);
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
        out.extend_from_slice(value);
    }

    /// The value for the operator's eyes.
    pub fn show(&self, caller: &Caller<'_>) -> String {
        let value = match self {
            Self::Client => match caller.client.map(|client| client.to_canonical()) {
                Some(IpAddr::V6(address)) => format!("{}/64", network(address)),
                Some(address) => address.to_string(),
                None => String::new(),
            },
            Self::Header(name) if is_secret(name.as_str()) => {
                let value = self.value(caller).unwrap_or_default();
                let digest = blake3::hash(&value).to_hex();
                format!("#{}", digest.get(..DIGEST_CHARS).unwrap_or_default())
            }
            _ => {
                let value = self.value(caller).unwrap_or_default();
                let value = String::from_utf8_lossy(&value);
                let plain = value.chars().filter(|c| !c.is_control());
                plain.take(SHOWN_CHARS_MAX).collect()
            }
        };
        format!("{}={value}", self.name())
    }
}

/// Whether a field of this name holds what nobody else may see.
fn is_secret(name: &str) -> bool {
    ["auth", "key", "token", "secret", "cookie", "session"]
        .iter()
        .any(|word| name.contains(word))
}

fn subscriber(client: IpAddr) -> Vec<u8> {
    match client.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => network(address).octets().to_vec(),
    }
}

fn network(address: Ipv6Addr) -> Ipv6Addr {
    let [a, b, c, d, ..] = address.segments();
    Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::metadata::Scalar;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in [
            "gateway",
            "key",
            "client",
            "provider",
            "model",
            "header:x-user",
            "metadata.team",
        ] {
            let by = By::try_from(name.to_owned()).unwrap();
            assert_eq!(by.name(), name);
        }
        for name in [
            "",
            "ip",
            "metadata",
            "metadata.",
            "header",
            "header:",
            "header:a b",
            "Key",
        ] {
            assert!(By::try_from(name.to_owned()).is_err(), "{name}");
        }
    }

    fn written(by: &By, caller: &Caller<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        by.write(caller, &mut out);
        out
    }

    #[test]
    fn values_tell_requests_apart() {
        let headers = HeaderMap::new();
        let mut metadata = Metadata::default();
        metadata.add("team".to_owned(), Scalar::Text("red".to_owned()));
        let caller = Caller {
            key: Some("ci"),
            client: Some("2001:db8:1:2:3:4:5:6".parse().unwrap()),
            provider: "openai",
            model: None,
            headers: &headers,
            metadata: &metadata,
            others: &[],
        };
        let neighbour = Caller {
            client: Some("2001:db8:1:2::1".parse().unwrap()),
            key: Some("other"),
            ..caller
        };
        let stranger = Caller {
            client: Some("2001:db8:1:3::1".parse().unwrap()),
            ..caller
        };
        let client = |caller| written(&By::Client, caller);
        assert_eq!(client(&caller), client(&neighbour));
        assert_ne!(client(&caller), client(&stranger));
        assert_eq!(By::Client.show(&caller), "client=2001:db8:1:2::/64");
        assert_ne!(written(&By::Key, &caller), written(&By::Key, &neighbour));
        let team = By::Metadata("team".to_owned());
        assert_eq!(team.show(&caller), "metadata.team=red");
        // No value, and nothing that looks like it.
        assert_eq!(written(&By::Model, &caller), 0_u64.to_le_bytes());
        let mapped = Caller {
            client: Some("::ffff:10.0.0.1".parse().unwrap()),
            ..caller
        };
        assert_eq!(By::Client.show(&mapped), "client=10.0.0.1");
    }
}
