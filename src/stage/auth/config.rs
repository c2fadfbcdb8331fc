//! What a user writes under `gateways.NAME.auth`.

use crate::base::secret::Secret;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The fewest bytes that a token may have.
const TOKEN_BYTES_MIN: usize = 8;

/// Who may use a gateway.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether a request without a valid token is refused. Off: anything passes.
    pub required: bool,
    #[serde(deserialize_with = "read_tokens")]
    pub tokens: Vec<Token>,
}

/// One gateway token: a bare string, or `{name, token}` where the log should name its owner.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// As the log shows it: 1 to 64 of `A-Z a-z 0-9 . _ -`; `token-N` where the user gave none.
    pub name: String,
    /// At least 8 bytes of visible ASCII.
    pub token: Secret,
}

fn read_tokens<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Token>, D::Error> {
    deserializer.deserialize_seq(TokensVisitor)
}

struct TokensVisitor;

impl<'de> Visitor<'de> for TokensVisitor {
    type Value = Vec<Token>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tokens")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Token>, A::Error> {
        let mut tokens = Vec::new();
        while let Some(Entry {
            name,
            token: TokenText(token),
        }) = list.next_element()?
        {
            let name = match name {
                Some(TokenName(name)) => name,
                None => format!("token-{}", tokens.len() + 1),
            };
            tokens.push(Token { name, token });
        }
        Ok(tokens)
    }
}

/// A token as it is written, before it has a name.
struct Entry {
    name: Option<TokenName>,
    token: TokenText,
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token in quotes, or {name: NAME, token: TOKEN}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Entry, E> {
        TokenText::parse(text).map(|token| Entry { name: None, token })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
        let Map { name, token } = Map::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Entry { name, token })
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Map {
    #[serde(default)]
    name: Option<TokenName>,
    token: TokenText,
}

#[derive(serde::Deserialize)]
#[serde(try_from = "String")]
struct TokenName(String);

impl TryFrom<String> for TokenName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let fit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        match (1..=64).contains(&name.len()) && name.bytes().all(fit) {
            true => Ok(Self(name)),
            false => {
                Err("this is not a token's name; use 1 to 64 letters, digits, `.`, `_` or `-`")
            }
        }
    }
}

struct TokenText(Secret);

impl TokenText {
    fn parse<E: Error>(text: &str) -> Result<Self, E> {
        if text.is_empty() {
            return Err(E::custom(
                "the token is empty; write one, as in ${env:TOLLGATE_TOKEN}",
            ));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(E::custom(
                "the token holds a character that no header can carry; use visible ASCII without spaces",
            ));
        }
        if text.len() < TOKEN_BYTES_MIN {
            return Err(E::custom(
                "the token is shorter than 8 bytes; use a longer one, such as `openssl rand -hex 16` prints",
            ));
        }
        Ok(Self(Secret::new(text.to_owned())))
    }
}

impl<'de> Deserialize<'de> for TokenText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = zeroize::Zeroizing::new(String::deserialize(deserializer)?);
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_without_a_name_are_named_by_position() {
        let text = "tokens: [first-token, {name: ci, token: second-token}, {token: third-token}]";
        let config: Config = serde_yaml::from_str(text).unwrap();
        let names: Vec<_> = config
            .tokens
            .iter()
            .map(|token| token.name.as_str())
            .collect();
        assert_eq!(names, ["token-1", "ci", "token-3"]);
        assert!(config.tokens[1].token.is(b"second-token"));
    }

    #[test]
    fn tokens_that_are_no_tokens_are_refused_without_showing_them() {
        for token in [
            "''",
            "zq",
            "'zq zq zq zq'",
            "'zqzqzqzqé'",
            "{name: zq}",
            "{name: 'a b', token: zqzqzqzq}",
        ] {
            let error = serde_yaml::from_str::<Config>(&format!("tokens: [{token}]")).unwrap_err();
            assert!(!error.to_string().contains("zq"), "{token}: {error}");
        }
    }
}
