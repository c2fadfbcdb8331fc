//! All providers that requests can be sent to: the built-in rows, with the user's own over them.

use super::config::Config;
use super::key::KeyField;
use super::origin::{Base, BaseError};
use super::pattern::Pattern;
use super::place::{Destination, Endpoint, Provider, Way};
use super::row::{EndpointRow, File, OnRequest, RouteRow, Row};
use crate::dialect::Dialect;
use http::HeaderName;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};
use thiserror::Error;

/// The built-in rows, as they stand in the data file.
const BUILT_IN: &str = include_str!("catalogue.yaml");

/// What a user's own provider has to be called.
pub const CUSTOM_PREFIX: &str = "custom-";

/// Where a provider of the user's own may take its key.
const CUSTOM_KEY_FIELDS: [HeaderName; 4] = [
    http::header::AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

/// Of the user's own providers: whatever version they have.
static ON_REQUEST: OnRequest = OnRequest { since: None };

static FILE: LazyLock<Result<File, String>> =
    LazyLock::new(|| serde_yaml::from_str(BUILT_IN).map_err(|fault| fault.to_string()));

/// The providers by slug.
#[derive(Debug)]
pub struct Catalogue {
    providers: HashMap<Arc<str>, Arc<Provider>>,
}

#[derive(Debug, Error)]
pub enum CatalogueError {
    #[error("the built-in provider catalogue is damaged: {0}")]
    BuiltIn(String),
    #[error("providers.{slug}: a base URL {fault}")]
    BaseUrl { slug: String, fault: BaseError },
    #[error("providers.{0} is neither a built-in provider nor called custom-…")]
    Unknown(String),
}

/// The built-in slugs, sorted.
///
/// # Errors
/// The data file that was compiled in is damaged.
pub fn slugs() -> Result<Vec<&'static str>, CatalogueError> {
    Ok(file()?.providers.keys().map(String::as_str).collect())
}

fn file() -> Result<&'static File, CatalogueError> {
    FILE.as_ref()
        .map_err(|fault| CatalogueError::BuiltIn(fault.clone()))
}

impl Catalogue {
    /// Builds the built-in rows with `own` merged over them.
    ///
    /// # Errors
    /// A slug is unknown or a base URL unusable.
    pub fn build(own: &BTreeMap<String, Config>) -> Result<Self, CatalogueError> {
        let file = file()?;
        let formats: BTreeMap<Dialect, Arc<[Endpoint]>> = file
            .formats
            .iter()
            .map(|(dialect, rows)| (*dialect, endpoints(*dialect, rows)))
            .collect();
        let mut providers = HashMap::new();
        for (slug, row) in &file.providers {
            let config = own.get(slug);
            let provider = built_in(slug, row, &formats, config)?;
            providers.insert(provider.slug.clone(), Arc::new(provider));
        }
        for (slug, config) in own {
            if slug.starts_with(CUSTOM_PREFIX) {
                let provider = custom(slug, config, file, &formats)?;
                providers.insert(provider.slug.clone(), Arc::new(provider));
            } else if !file.providers.contains_key(slug) {
                return Err(CatalogueError::Unknown(slug.clone()));
            }
        }
        Ok(Self { providers })
    }

    /// All providers, in no order.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values()
    }

    pub fn provider(&self, slug: &str) -> Option<&Arc<Provider>> {
        self.providers.get(slug)
    }
}

fn built_in(
    slug: &str,
    row: &'static Row,
    formats: &BTreeMap<Dialect, Arc<[Endpoint]>>,
    config: Option<&Config>,
) -> Result<Provider, CatalogueError> {
    let base = config
        .and_then(Config::first_base_url)
        .map(|url| base(slug, url))
        .transpose()?;
    let mut ways = Vec::new();
    if let Some(url) = &row.base_url {
        ways.push(way("", url, false, base.as_ref().map(Own::Whole))?);
    }
    for RouteRow {
        path,
        base_url,
        keep,
    } in &row.routes
    {
        ways.push(way(path, base_url, *keep, base.as_ref().map(Own::Host))?);
    }
    let shapes: Vec<_> = row.routes.iter().map(|route| route.path.as_str()).collect();
    let endpoints = row.speaks.and_then(|dialect| formats.get(&dialect));
    Ok(Provider {
        slug: slug.into(),
        key_fields: row.key.iter().map(|field| field.name.clone()).collect(),
        key: row.key.first().cloned().unwrap_or_else(KeyField::bearer),
        bases: bases(slug, config)?,
        dialect: row.speaks,
        endpoints: endpoints.cloned().unwrap_or_default(),
        version: row.version.clone(),
        usage_on_request: row.usage_on_request.as_ref(),
        ways,
        shape: format!("/{slug}/{}/…", shapes.join(" or ")),
    })
}

fn custom(
    slug: &str,
    config: &Config,
    file: &File,
    formats: &BTreeMap<Dialect, Arc<[Endpoint]>>,
) -> Result<Provider, CatalogueError> {
    // An absent one is refused as an empty one would be.
    let base = base(slug, config.first_base_url().unwrap_or_default())?;
    let endpoints = match config.dialect {
        Some(dialect) => formats.get(&dialect).cloned().unwrap_or_default(),
        None => every_endpoint(file),
    };
    // Those who copy OpenAI mostly copy this, and those who do not ignore what they do not know.
    let asks = matches!(config.dialect, Some(Dialect::Openai | Dialect::Ollama));
    let to = Destination::Fixed {
        origin: base.origin,
        prefix: base.prefix,
    };
    let key = config
        .dialect
        .and_then(|dialect| file.own_keys.get(&dialect));
    Ok(Provider {
        slug: slug.into(),
        key_fields: CUSTOM_KEY_FIELDS.to_vec(),
        key: key.cloned().unwrap_or_else(KeyField::bearer),
        bases: bases(slug, Some(config))?,
        dialect: config.dialect,
        endpoints,
        version: None,
        usage_on_request: asks.then_some(&ON_REQUEST),
        ways: vec![Way {
            pattern: Pattern::parse(""),
            keep: false,
            to,
        }],
        shape: format!("/{slug}/…"),
    })
}

/// What a provider of unknown format may be asked: every format's endpoints, the commonest first. A
/// path alone does not tell who speaks there: the answer will.
fn every_endpoint(file: &File) -> Arc<[Endpoint]> {
    let rows = file.formats.values().flatten();
    rows.map(|row| endpoint(None, row)).collect()
}

fn endpoints(dialect: Dialect, rows: &[EndpointRow]) -> Arc<[Endpoint]> {
    let rows = rows.iter();
    rows.map(|row| endpoint(Some(row.dialect.unwrap_or(dialect)), row))
        .collect()
}

fn endpoint(dialect: Option<Dialect>, row: &EndpointRow) -> Endpoint {
    Endpoint {
        pattern: Pattern::parse(&row.path),
        dialect,
        operation: row.operation,
        streams: row.stream,
    }
}

/// The user's base in place of a row's.
#[derive(Clone, Copy)]
enum Own<'a> {
    Whole(&'a Base),
    Host(&'a Base),
}

fn base(slug: &str, url: &str) -> Result<Base, CatalogueError> {
    Base::parse(url).map_err(|fault| CatalogueError::BaseUrl {
        slug: slug.to_owned(),
        fault,
    })
}

/// The user's endpoints, where there are several to choose from.
fn bases(slug: &str, config: Option<&Config>) -> Result<Vec<Arc<Base>>, CatalogueError> {
    let endpoints = config.map_or(&[][..], |config| &config.endpoints);
    let bases = endpoints.iter();
    bases
        .map(|endpoint| base(slug, &endpoint.base_url).map(Arc::new))
        .collect()
}

/// One way of a built-in row. The user's `own` base replaces a row's `base_url` whole; of a row with
/// routes it replaces the host, and what the route makes of the path stays.
fn way(path: &str, url: &str, keep: bool, own: Option<Own<'_>>) -> Result<Way, CatalogueError> {
    let damaged = |fault: &str| CatalogueError::BuiltIn(format!("base_url {url} {fault}"));
    let rest = url
        .strip_prefix("https://")
        .ok_or_else(|| damaged("has to start with https://"))?;
    let (host, prefix) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let to = match (own, host.contains('{')) {
        (Some(Own::Host(own)), _) => Destination::Override {
            base: own.clone(),
            prefix: prefix.to_owned(),
        },
        (Some(Own::Whole(own)), _) => Destination::Fixed {
            origin: own.origin.clone(),
            prefix: own.prefix.clone(),
        },
        (None, true) => Destination::Template {
            host: host.to_owned(),
            prefix: prefix.to_owned(),
        },
        (None, false) => {
            let base = Base::parse(&format!("https://{host}"));
            let base = base.map_err(|fault| damaged(&fault.to_string()))?;
            Destination::Fixed {
                origin: base.origin,
                prefix: prefix.to_owned(),
            }
        }
    };
    Ok(Way {
        pattern: Pattern::parse(path),
        keep,
        to,
    })
}

#[cfg(test)]
mod tests;
