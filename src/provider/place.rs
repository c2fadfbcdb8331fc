//! Where a path of a provider leads: the origin, the path there, and what is spoken at it.

use super::decode;
use super::key::KeyField;
use super::origin::{Base, Origin};
use super::pattern::{Captures, Pattern, Segments};
use super::row::OnRequest;
use crate::dialect::Dialect;
use crate::llm::operation::Operation;
use std::sync::Arc;
use thiserror::Error;

/// The end of the road for one request: everything that the path decides.
#[derive(Clone, Debug)]
pub struct Place {
    pub origin: Arc<Origin>,
    /// Path at the provider, from its first slash, without the query.
    pub path: String,
    /// `None` where the catalogue does not say what is spoken there.
    pub dialect: Option<Dialect>,
    pub operation: Operation,
    /// The model, where the path names it.
    pub model: Option<String>,
    /// Where the endpoint stands, where the path chooses that.
    pub region: Option<String>,
    /// Whether the path itself asks for the answer in pieces.
    pub streams: bool,
    /// How the path is made, where the provider has several endpoints to choose from.
    pub(super) road: Option<Arc<Road>>,
    /// Set where a stream has to be asked for its usage.
    pub usage_on_request: Option<&'static OnRequest>,
}

/// A path at a provider before it is known from which base it starts.
#[derive(Clone, Debug)]
pub(super) struct Road {
    /// What stands between a base's own path and the request's: a row's with routes, filled.
    pub(super) between: String,
    /// The request's path, with whatever of a base's it may repeat.
    pub(super) rest: String,
    /// Put before the path where it holds none.
    version: Option<String>,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum PlaceError {
    #[error("the path does not say enough; expected {0}")]
    Short(String),
    #[error("`{0}` cannot be part of a host name")]
    Host(String),
    #[error(
        "the URL names no account, which this provider's address needs; use /v1/{{account}}/{{gateway}}/…"
    )]
    Account,
}

/// One endpoint of a wire format.
#[derive(Debug)]
pub struct Endpoint {
    pub pattern: Pattern,
    /// `None` where nobody said what the provider speaks.
    pub dialect: Option<Dialect>,
    pub operation: Operation,
    pub streams: bool,
}

/// One way from a path to a base: the first whose pattern fits is taken.
#[derive(Debug)]
pub struct Way {
    pub pattern: Pattern,
    pub keep: bool,
    pub to: Destination,
}

impl Place {
    /// The same place at another of its provider's endpoints. A provider without several has one
    /// place only.
    pub fn at(&self, base: &Base) -> Self {
        let mut place = self.clone();
        if let Some(road) = &self.road {
            place.origin = base.origin.clone();
            place.path = road.path(&base.prefix);
        }
        place
    }
}

impl Road {
    fn path(&self, prefix: &str) -> String {
        let prefix = format!("{prefix}{}", self.between);
        let rest = strip_doubled(&self.rest, &prefix);
        versioned(&prefix, self.version.as_deref(), rest)
    }
}

/// A base whose parts the path may choose.
#[derive(Debug)]
pub enum Destination {
    Fixed {
        origin: Arc<Origin>,
        prefix: String,
    },
    /// Texts with `{name}` in them, filled from the path.
    Template {
        host: String,
        prefix: String,
    },
    /// The user's own base in place of a templated host; the template's path stays.
    Override {
        base: Base,
        prefix: String,
    },
}

/// A provider that requests can be sent to.
#[derive(Debug)]
pub struct Provider {
    pub slug: Arc<str>,
    /// Lower-case names of the header fields in which this provider takes its key.
    pub key_fields: Vec<http::HeaderName>,
    /// How a key of ours is sent to it.
    pub key: KeyField,
    /// The endpoints to choose from; none where there is but one.
    pub bases: Vec<Arc<Base>>,
    pub(super) dialect: Option<Dialect>,
    pub(super) endpoints: Arc<[Endpoint]>,
    pub(super) version: Option<String>,
    pub(super) usage_on_request: Option<&'static OnRequest>,
    pub(super) ways: Vec<Way>,
    /// What a path has to look like, for the error that says so.
    pub(super) shape: String,
}

impl Provider {
    /// Finds where `path` (what follows the slug, without leading slash and query) leads.
    ///
    /// # Errors
    /// The path is too short for this provider, or chooses a host that is none.
    pub fn place(&self, path: &str, account: Option<&str>) -> Result<Place, PlaceError> {
        let (way, captures, rest) = self
            .ways
            .iter()
            .find_map(|way| {
                let (captures, rest) = way.pattern.match_start(path)?;
                Some((way, captures, if way.keep { path } else { rest }))
            })
            .ok_or_else(|| PlaceError::Short(self.shape.clone()))?;
        let (origin, prefix, between) = way.to.fill(&captures, account)?;
        let whole = rest;
        let rest = strip_doubled(rest, &prefix);
        let path = join(&prefix, None, rest);
        let segments = Segments::new(path.trim_start_matches('/'));
        let found = self.endpoints.iter().find_map(|endpoint| {
            let captures = endpoint.pattern.match_end(&segments)?;
            Some((endpoint, named(&captures, "model")))
        });
        let (endpoint, model) = found.unzip();
        let model = model.flatten().or_else(|| named(&captures, "model"));
        let version = self.version.as_ref().filter(|_| endpoint.is_some());
        let path = match version {
            Some(version) => versioned(&prefix, Some(version), rest),
            None => path,
        };
        let road = (!self.bases.is_empty()).then(|| {
            Arc::new(Road {
                between,
                rest: whole.to_owned(),
                version: version.cloned(),
            })
        });
        let dialect = endpoint.and_then(|found| found.dialect).or(self.dialect);
        let operation = endpoint.map_or(Operation::Other, |found| found.operation);
        let can_ask = dialect == Some(Dialect::Openai)
            && matches!(operation, Operation::Chat | Operation::Completion);
        Ok(Place {
            origin,
            path,
            road,
            dialect,
            operation,
            model,
            region: named(&captures, "region"),
            streams: endpoint.is_some_and(|found| found.streams),
            usage_on_request: self.usage_on_request.filter(|_| can_ask),
        })
    }
}

fn named(captures: &Captures<'_>, name: &str) -> Option<String> {
    let capture = captures.iter().find(|(known, _)| *known == name);
    capture.map(|(_, value)| decode::text(value))
}

impl Destination {
    /// The origin, the path before the request's own, and which part of that is not the base's.
    fn fill(
        &self,
        captures: &Captures<'_>,
        account: Option<&str>,
    ) -> Result<(Arc<Origin>, String, String), PlaceError> {
        let none = String::new;
        match self {
            Self::Fixed { origin, prefix } => {
                let prefix = fill_template(prefix, captures, account)?;
                Ok((origin.clone(), prefix, none()))
            }
            Self::Template { host, prefix } => {
                let host = fill_template(host, captures, account)?;
                if !super::origin::is_host_name(&host) {
                    return Err(PlaceError::Host(host));
                }
                let Some(origin) = Origin::new(true, host, 443) else {
                    return Err(PlaceError::Host(String::new()));
                };
                let prefix = fill_template(prefix, captures, account)?;
                Ok((Arc::new(origin), prefix, none()))
            }
            Self::Override { base, prefix } => {
                let own = fill_template(prefix, captures, account)?;
                let prefix = format!("{}{own}", base.prefix);
                Ok((base.origin.clone(), prefix, own))
            }
        }
    }
}

/// Puts what the path captured into a template. What goes into a host is one label of letters,
/// digits and dashes, so that a path can never choose a domain of its own.
fn fill_template(
    template: &str,
    captures: &Captures<'_>,
    account: Option<&str>,
) -> Result<String, PlaceError> {
    if !template.contains('{') {
        return Ok(template.to_owned());
    }
    let mut filled = String::with_capacity(template.len() + 16);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        filled.push_str(before);
        let (name, dash) = match name.strip_suffix('-') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let captured = captures.iter().find(|(known, _)| *known == name);
        let value = match captured.map(|(_, value)| *value) {
            Some(value) => value,
            None if name == "account" => account.ok_or(PlaceError::Account)?,
            None => "",
        };
        if dash && value != "global" {
            filled.push_str(value);
            filled.push('-');
        } else if !dash {
            filled.push_str(value);
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Takes off what the base already ends with: its whole path (`openai/v1`), or its version.
fn strip_doubled<'a>(path: &'a str, prefix: &str) -> &'a str {
    let prefix = prefix.trim_start_matches('/');
    if prefix.is_empty() {
        return path;
    }
    if let Some(rest) = strip_segments(path, prefix) {
        return rest;
    }
    let last = prefix.rsplit('/').next().unwrap_or(prefix);
    if is_version(last) {
        return strip_segments(path, last).unwrap_or(path);
    }
    path
}

fn strip_segments<'a>(path: &'a str, lead: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(lead)?;
    if rest.is_empty() {
        return Some(rest);
    }
    rest.strip_prefix('/')
}

/// The whole path, with the version where neither the base nor the request says one.
fn versioned(prefix: &str, version: Option<&str>, rest: &str) -> String {
    let told = has_version(rest) || prefix.rsplit('/').next().is_some_and(is_version);
    join(prefix, version.filter(|_| !told), rest)
}

fn has_version(path: &str) -> bool {
    path.split('/').next().is_some_and(is_version)
}

/// `v1`, `v2`, `v1beta`, `v1beta1`, `v1alpha`.
fn is_version(segment: &str) -> bool {
    let Some(rest) = segment.strip_prefix('v') else {
        return false;
    };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let tail = ["", "alpha", "beta"];
    segment.as_bytes().get(1).is_some_and(u8::is_ascii_digit)
        && tail.contains(&rest.trim_end_matches(|c: char| c.is_ascii_digit()))
}

fn join(prefix: &str, version: Option<&str>, rest: &str) -> String {
    let mut path = String::with_capacity(prefix.len() + rest.len() + 10);
    path.push_str(prefix);
    if let Some(version) = version {
        path.push('/');
        path.push_str(version);
    }
    if !rest.is_empty() || path.is_empty() {
        path.push('/');
        path.push_str(rest);
    }
    path
}
