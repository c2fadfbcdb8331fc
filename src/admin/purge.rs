//! `POST /cache/purge?…`: forgets what is kept.

use crate::stage::cache::archive::CacheStore;
use crate::stage::cache::purge::Scope;
use http::StatusCode;
use thiserror::Error;
use tokio::task::spawn_blocking;

const HOW: &str =
    "use one of ?all, ?gateway=NAME, ?provider=SLUG, ?model=NAME and ?key=CF-AIG-CACHE-KEY";

/// Why nothing, or not all, was purged. Before the `;` what is wrong, after it how to mend it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PurgeFault {
    #[error("there is nothing of this kind to purge; {HOW}")]
    Scope,
    #[error(
        "purged here, but that cannot be noted on disk ({0}), so that a new process may find it \
         again; mend the cache's directory and purge once more"
    )]
    Disk(String),
}

impl PurgeFault {
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Scope => StatusCode::BAD_REQUEST,
            Self::Disk(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Purges what the query names.
///
/// # Errors
/// The query names nothing, or the disk cannot be written.
pub async fn purge(store: &'static CacheStore, query: &str) -> Result<(), PurgeFault> {
    let scope = parse_scope(query).ok_or(PurgeFault::Scope)?;
    tracing::info!(?scope, "the cache is purged");
    let noted = spawn_blocking(move || store.purge(&scope)).await;
    let noted = noted.unwrap_or_else(|fault| Err(std::io::Error::other(fault)));
    noted.map_err(|fault| PurgeFault::Disk(fault.to_string()))
}

fn parse_scope(query: &str) -> Option<Scope> {
    let (name, value) = query.split_once('=').unwrap_or((query, ""));
    let value = decode(value)?;
    match (name, value.is_empty()) {
        ("all", true) => Some(Scope::All),
        ("gateway", false) => Some(Scope::Gateway(value)),
        ("provider", false) => Some(Scope::Provider(value)),
        ("model", false) => Some(Scope::Model(value)),
        ("key", false) => Some(Scope::Key(value)),
        _ => None,
    }
}

/// Undoes the coding of a query's value (RFC 3986, 2.1). One that goes on with `&` is refused: two
/// conditions at once would mean what both have in common.
fn decode(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'&' => return None,
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let value = digit()? * 16 + digit()?;
                bytes.push(u8::try_from(value).ok()?);
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_one_scope() {
        let check =
            |query: &str, expect: Option<Scope>| assert_eq!(parse_scope(query), expect, "{query}");
        check("all", Some(Scope::All));
        check("gateway=default", Some(Scope::Gateway("default".into())));
        check("provider=openai", Some(Scope::Provider("openai".into())));
        check(
            "model=meta%2Fllama+3",
            Some(Scope::Model("meta/llama 3".into())),
        );
        check("key=%C3%BC", Some(Scope::Key("ü".into())));
        for query in [
            "",
            "all=1",
            "model=",
            "model",
            "model=a&gateway=b",
            "model=%",
            "model=%2",
            "model=%FF",
            "x=1",
        ] {
            check(query, None);
        }
    }
}
