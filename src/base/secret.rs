//! A text that must never be shown: printed as `***`, compared in constant time, wiped when dropped.

use http::HeaderValue;
use http::header::InvalidHeaderValue;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A token, key or password. `Debug` and `Display` show `***`.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Whether `candidate` is this secret. Takes the same time whichever byte differs; only the
    /// length can be learned.
    pub fn is(&self, candidate: &[u8]) -> bool {
        bool::from(self.0.as_bytes().ct_eq(candidate))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The secret as a header field's value, after `scheme` and a blank where there is one. The
    /// value is marked as sensitive, so it is not shown either.
    ///
    /// # Errors
    /// No header field can carry the text.
    pub fn header_value(&self, scheme: Option<&str>) -> Result<HeaderValue, InvalidHeaderValue> {
        let mut value = match scheme {
            None => HeaderValue::from_str(&self.0)?,
            Some(scheme) => {
                let text = Zeroizing::new(format!("{scheme} {}", self.0.as_str()));
                HeaderValue::from_str(&text)?
            }
        };
        value.set_sensitive(true);
        Ok(value)
    }

    /// A number that is the same for the same secret, in every process of this build; for spreading
    /// things out, never to be shown.
    pub fn spread(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        hasher.finish()
    }
}

impl Eq for Secret {}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.is(other.0.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}
