//! How a provider takes its key: the header field, and the word before the key.

use crate::base::secret::Secret;
use http::header::InvalidHeaderValue;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;

/// A header field for keys, as the catalogue spells it: `authorization: Bearer` or `x-api-key`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyField {
    pub name: HeaderName,
    /// The word before the key (RFC 9110, 11.1).
    pub scheme: Option<Box<str>>,
}

impl KeyField {
    /// `Authorization: Bearer` (RFC 6750), as most providers have it.
    pub fn bearer() -> Self {
        Self {
            name: http::header::AUTHORIZATION,
            scheme: Some("Bearer".into()),
        }
    }

    /// The field that carries `key`; its value is marked as sensitive.
    ///
    /// # Errors
    /// No header field can carry this key.
    pub fn write(&self, key: &Secret) -> Result<(HeaderName, HeaderValue), InvalidHeaderValue> {
        let value = key.header_value(self.scheme.as_deref())?;
        Ok((self.name.clone(), value))
    }
}

impl TryFrom<String> for KeyField {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (name, scheme) = match text.split_once(':') {
            Some((name, scheme)) => (name, Some(scheme.trim().into())),
            None => (text.as_str(), None),
        };
        let name = HeaderName::from_bytes(name.as_bytes());
        let name = name.map_err(|_| format!("`{text}` is not a header field"))?;
        Ok(Self { name, scheme })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_with_its_scheme_and_never_shown() {
        let written = |field: &str| {
            let field = KeyField::try_from(field.to_owned()).unwrap();
            let (name, value) = field.write(&Secret::new("zqzqzq".to_owned())).unwrap();
            assert!(!format!("{value:?}").contains("zq"));
            format!("{name}: {}", value.to_str().unwrap())
        };
        assert_eq!(
            written("authorization: Bearer"),
            "authorization: Bearer zqzqzq"
        );
        assert_eq!(written("x-api-key"), "x-api-key: zqzqzq");
        assert!(KeyField::try_from("a b".to_owned()).is_err());
        let broken = Secret::new("zq\nzq".to_owned());
        assert!(KeyField::bearer().write(&broken).is_err());
    }
}
