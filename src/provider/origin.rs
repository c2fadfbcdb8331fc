//! Where a provider listens: scheme, host and port, and the path that stands before its own.

use http::HeaderValue;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// Scheme, host and port of a provider (RFC 9110, 4.3.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    pub tls: bool,
    /// Without brackets where it is an IPv6 address.
    pub host: String,
    pub port: u16,
    authority: HeaderValue,
}

/// A base URL: an origin and a path prefix without a trailing slash (`/v1` or empty).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    pub origin: Arc<Origin>,
    pub prefix: String,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum BaseError {
    #[error("has to start with http:// or https://")]
    Scheme,
    #[error("has no valid host name")]
    Host,
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
    #[error("may not hold a user, a query or a fragment")]
    Extra,
}

impl Base {
    /// Reads `http[s]://host[:port][/path]`.
    ///
    /// # Errors
    /// Says which part is wrong; the text itself is not repeated.
    pub fn parse(url: &str) -> Result<Self, BaseError> {
        let (tls, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(BaseError::Scheme),
        };
        if rest.contains(['?', '#', '@']) {
            return Err(BaseError::Extra);
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let origin = Origin::parse(tls, authority)?;
        let prefix = path.trim_end_matches('/').to_owned();
        let origin = Arc::new(origin);
        Ok(Self { origin, prefix })
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.prefix)
    }
}

impl Origin {
    fn parse(tls: bool, authority: &str) -> Result<Self, BaseError> {
        let default_port = if tls { 443 } else { 80 };
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or(BaseError::Host)?;
                host.parse::<std::net::Ipv6Addr>()
                    .map_err(|_| BaseError::Host)?;
                (host, after.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = match port {
            Some(port) => match port.parse::<u16>() {
                Ok(port) if port > 0 => port,
                _ => return Err(BaseError::Port),
            },
            None => default_port,
        };
        if !authority.starts_with('[') && !is_host_name(host) {
            return Err(BaseError::Host);
        }
        Self::new(tls, host.to_ascii_lowercase(), port).ok_or(BaseError::Host)
    }

    /// `None` where the host cannot stand in a header field.
    pub fn new(tls: bool, host: String, port: u16) -> Option<Self> {
        let usual = port == if tls { 443 } else { 80 };
        let authority = match (host.contains(':'), usual) {
            (true, true) => format!("[{host}]"),
            (true, false) => format!("[{host}]:{port}"),
            (false, true) => host.clone(),
            (false, false) => format!("{host}:{port}"),
        };
        Some(Self {
            tls,
            host,
            port,
            authority: HeaderValue::try_from(authority).ok()?,
        })
    }

    /// The `Host` field for this origin: the port only where it is not the scheme's own.
    pub fn authority(&self) -> &HeaderValue {
        &self.authority
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        let authority = self.authority.to_str().map_err(|_| fmt::Error)?;
        write!(f, "{scheme}://{authority}")
    }
}

/// Letters, digits, dashes and underscores in labels of 1 to 63, 253 in all (RFC 1035, 2.3.4;
/// underscores because container networks use them).
pub fn is_host_name(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= 253
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expect: Result<(&str, &str), BaseError>) {
        let read = Base::parse(url).map(|base| (base.origin.to_string(), base.prefix));
        let expect = expect.map(|(origin, prefix)| (origin.to_owned(), prefix.to_owned()));
        assert_eq!(read, expect, "{url}");
    }

    #[test]
    fn base_urls_are_read_or_refused() {
        check(
            "https://api.openai.com/v1",
            Ok(("https://api.openai.com", "/v1")),
        );
        check(
            "http://10.0.0.5:8000/v1/",
            Ok(("http://10.0.0.5:8000", "/v1")),
        );
        check("https://Example.COM:443", Ok(("https://example.com", "")));
        check("http://[::1]:80/a/b", Ok(("http://[::1]", "/a/b")));
        check("ftp://x", Err(BaseError::Scheme));
        check("https://", Err(BaseError::Host));
        check("https://a b", Err(BaseError::Host));
        check("https://a..b", Err(BaseError::Host));
        check("https://[::1", Err(BaseError::Host));
        check("https://x:0", Err(BaseError::Port));
        check("https://x:99999", Err(BaseError::Port));
        check("https://user@x", Err(BaseError::Extra));
        check("https://x/?a=1", Err(BaseError::Extra));
    }
}
