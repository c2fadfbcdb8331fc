//! From a request's target to the gateway, the provider and the place there.

use crate::provider::catalogue::Catalogue;
use crate::provider::place::{Place, PlaceError, Provider};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use thiserror::Error;

/// The most bytes that an account or a gateway name may have in a URL.
const NAME_BYTES_MAX: usize = 64;

/// A gateway that exists. `index` is its row in every stage's table.
#[derive(Clone, Debug)]
pub struct Gateway {
    pub name: Arc<str>,
    index: usize,
}

impl Gateway {
    /// This gateway's row in a table that was built from [`Routes::gateways`].
    pub fn of<'a, T>(&self, table: &'a [T]) -> Option<&'a T> {
        table.get(self.index)
    }
}

/// What the target of a request says.
#[derive(Debug)]
pub struct Route {
    /// The account segment of the long form; any is accepted.
    pub account: Option<String>,
    pub gateway: Gateway,
    pub provider: Arc<Provider>,
    pub place: Place,
    /// The path after the provider, as the client sent it.
    pub endpoint: String,
}

/// The part of a target before the provider: all that the universal endpoint's has.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// The account segment of the long form; any is accepted.
    pub account: Option<String>,
    pub gateway: Gateway,
}

/// Where a target leads.
#[derive(Debug)]
pub enum Found {
    Place(Route),
    /// The gateway itself, whose universal endpoint this is.
    Universal(Trunk),
}

/// What routing looks at.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The path as the client sent it, without the query.
    pub path: &'a str,
    /// The `Host` or `:authority`, with or without a port.
    pub host: Option<&'a str>,
    /// The address that the client connected to.
    pub local: Option<SocketAddr>,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum RouteError {
    #[error("no such gateway: `{0}`")]
    Gateway(String),
    #[error("no such provider: `{0}`")]
    Provider(String),
    #[error("nothing here; expected /v1/{{account}}/{{gateway}}/{{provider}}/…")]
    Path,
    #[error("the path may not hold `..` segments or control characters")]
    Malformed,
    #[error("{0}")]
    Place(#[from] PlaceError),
}

/// What came of the road before the error: for the log.
#[derive(Debug)]
pub struct Lost {
    pub account: Option<String>,
    pub gateway: Option<Gateway>,
    pub error: RouteError,
}

/// The table of gateways, hosts and providers.
pub struct Routes {
    gateways: HashMap<Arc<str>, Gateway>,
    hosts: HashMap<String, Gateway>,
    listeners: Vec<(SocketAddr, Gateway)>,
    catalogue: Catalogue,
}

/// Which short paths mean which gateway.
#[derive(Debug, Default)]
pub struct Bindings {
    /// Host names, lower case, and the gateway each stands for.
    pub hosts: Vec<(String, String)>,
    pub listeners: Vec<(SocketAddr, String)>,
}

impl Routes {
    /// `names` become the gateways, in this order; bindings to other names are left out.
    pub fn build(names: &[String], bindings: Bindings, catalogue: Catalogue) -> Self {
        let gateways: HashMap<Arc<str>, Gateway> = names
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let name: Arc<str> = name.as_str().into();
                (name.clone(), Gateway { name, index })
            })
            .collect();
        let known = |name: &String| gateways.get(name.as_str()).cloned();
        let hosts = bindings.hosts.into_iter();
        let hosts = hosts.filter_map(|(host, name)| Some((host, known(&name)?)));
        let listeners = bindings.listeners.into_iter();
        let listeners = listeners.filter_map(|(address, name)| Some((address, known(&name)?)));
        Self {
            hosts: hosts.collect(),
            listeners: listeners.collect(),
            gateways,
            catalogue,
        }
    }

    /// Finds where a request goes.
    ///
    /// # Errors
    /// The path leads nowhere; what it did say comes with the error.
    pub fn find(&self, target: Target<'_>) -> Result<Found, Box<Lost>> {
        let lost = |account: Option<&str>, gateway, error| {
            let account = account.map(str::to_owned);
            Box::new(Lost {
                account,
                gateway,
                error,
            })
        };
        if !target.path.starts_with('/') || is_unclean(target.path) {
            return Err(lost(None, None, RouteError::Malformed));
        }
        let path = target.path.trim_start_matches('/');
        let (account, gateway, rest) = match path.strip_prefix("v1/") {
            Some(long) => {
                let (account, rest) = split(long);
                let (name, rest) = split(rest);
                if !is_name(account) || name.is_empty() {
                    return Err(lost(None, None, RouteError::Path));
                }
                let gateway = self.gateways.get(name);
                let unknown = || lost(Some(account), None, RouteError::Gateway(shorten(name)));
                (Some(account), gateway.ok_or_else(unknown)?, rest)
            }
            None => {
                let bound = self.bound(&target);
                let none = || lost(None, None, RouteError::Path);
                (None, bound.ok_or_else(none)?, path)
            }
        };
        let trunk = Trunk {
            account: account.map(str::to_owned),
            gateway: gateway.clone(),
        };
        let (slug, rest) = split(rest);
        if slug.is_empty() && rest.is_empty() {
            return Ok(Found::Universal(trunk));
        }
        let (provider, place) = match self.clean_place(&trunk, slug, rest) {
            Ok(found) => found,
            Err(error) => return Err(lost(account, Some(trunk.gateway), error)),
        };
        Ok(Found::Place(Route {
            account: trunk.account,
            gateway: trunk.gateway,
            provider,
            place,
            endpoint: rest.to_owned(),
        }))
    }

    /// The place of a provider's endpoint, given without the query.
    ///
    /// # Errors
    /// No such provider, or the path leads nowhere there.
    pub fn place(
        &self,
        trunk: &Trunk,
        slug: &str,
        endpoint: &str,
    ) -> Result<(Arc<Provider>, Place), RouteError> {
        if is_unclean(endpoint) {
            return Err(RouteError::Malformed);
        }
        self.clean_place(trunk, slug, endpoint)
    }

    fn clean_place(
        &self,
        trunk: &Trunk,
        slug: &str,
        endpoint: &str,
    ) -> Result<(Arc<Provider>, Place), RouteError> {
        let endpoint = endpoint.trim_start_matches('/');
        if slug.is_empty() {
            return Err(RouteError::Path);
        }
        let found = self.catalogue.provider(slug);
        let provider = found.ok_or_else(|| RouteError::Provider(shorten(slug)))?;
        let place = provider.place(endpoint, trunk.account.as_deref())?;
        Ok((provider.clone(), place))
    }

    /// The gateway that short paths mean here: the host's, else the listener's.
    fn bound(&self, target: &Target<'_>) -> Option<&Gateway> {
        if !self.hosts.is_empty()
            && let Some(host) = target.host
        {
            let name = host_name(host).to_ascii_lowercase();
            if let Some(gateway) = self.hosts.get(&name) {
                return Some(gateway);
            }
        }
        let local = target.local?;
        let exact = self.listeners.iter().find(|(address, _)| *address == local);
        let any = || {
            let mut listeners = self.listeners.iter();
            listeners.find(|(address, _)| {
                address.ip().is_unspecified() && address.port() == local.port()
            })
        };
        exact.or_else(any).map(|(_, gateway)| gateway)
    }
}

/// A host without its port; IPv6 literals keep their brackets.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn split(path: &str) -> (&str, &str) {
    path.split_once('/').unwrap_or((path, ""))
}

fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
}

/// What a client sent, fit to be repeated to it.
fn shorten(text: &str) -> String {
    text.chars().take(NAME_BYTES_MAX).collect()
}

/// `.` and `..` could leave the path that a base URL stands for; no SDK sends them.
fn is_unclean(path: &str) -> bool {
    let bytes = path.as_bytes();
    // Without a way out, so that many bytes are looked at in one step.
    let controls = bytes.iter().filter(|byte| byte.is_ascii_control()).count();
    controls > 0 || (memchr::memchr2(b'.', b'%', bytes).is_some() && has_dots(path))
}

/// Whether a server that decodes the path once would find `.` or `..` in it.
fn has_dots(path: &str) -> bool {
    let plain = path.to_ascii_lowercase().replace("%2e", ".");
    let plain = plain.replace("%2f", "/").replace("%5c", "/");
    plain.split(['/', '\\']).any(|segment| {
        let name = segment.split(';').next().unwrap_or(segment);
        name == "." || name == ".."
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn routes() -> Routes {
        let bindings = Bindings {
            hosts: vec![("ai.example.com".to_owned(), "team".to_owned())],
            listeners: vec![("0.0.0.0:8788".parse().unwrap(), "default".to_owned())],
        };
        let catalogue = Catalogue::build(&BTreeMap::new()).unwrap();
        Routes::build(
            &["default".to_owned(), "team".to_owned()],
            bindings,
            catalogue,
        )
    }

    fn check(path: &str, host: Option<&str>, local: Option<&str>, expect: &str) {
        let target = Target {
            path,
            host,
            local: local.map(|address| address.parse().unwrap()),
        };
        let found = match routes().find(target) {
            Ok(Found::Universal(trunk)) => format!("{} universal", trunk.gateway.name),
            Ok(Found::Place(route)) => format!(
                "{} {} {}{}",
                route.gateway.name, route.provider.slug, route.place.origin, route.place.path
            ),
            Err(lost) => lost.error.to_string(),
        };
        assert_eq!(found, expect, "{path}");
    }

    #[test]
    fn the_long_form_names_account_and_gateway() {
        let url = "https://api.openai.com/v1/chat/completions";
        check(
            "/v1/acc/default/openai/chat/completions",
            None,
            None,
            &format!("default openai {url}"),
        );
        check(
            "/v1/acc/team/openai//v1/chat/completions",
            None,
            None,
            &format!("team openai {url}"),
        );
        check(
            "/v1/acc/other/openai/x",
            None,
            None,
            "no such gateway: `other`",
        );
        check(
            "/v1/acc/default/opnai/x",
            None,
            None,
            "no such provider: `opnai`",
        );
        check(
            "/v1/acc/default/compat/chat/completions",
            None,
            None,
            "no such provider: `compat`",
        );
        for path in ["/v1/acc/default", "/v1/acc/default/"] {
            check(path, None, None, "default universal");
        }
        check("/", Some("ai.example.com"), None, "team universal");
        let nothing = "nothing here; expected /v1/{account}/{gateway}/{provider}/…";
        for path in ["/", "/v1", "/v1/acc", "/v1//default/openai/x", "/openai/x"] {
            check(path, None, None, nothing);
        }
    }

    #[test]
    fn the_short_form_needs_a_bound_host_or_listener() {
        let url = "https://api.openai.com/v1/models";
        check(
            "/openai/models",
            Some("AI.example.com:443"),
            None,
            &format!("team openai {url}"),
        );
        check(
            "/openai/models",
            Some("x"),
            Some("127.0.0.1:8788"),
            &format!("default openai {url}"),
        );
        let nothing = "nothing here; expected /v1/{account}/{gateway}/{provider}/…";
        check("/openai/models", Some("x"), Some("127.0.0.1:8787"), nothing);
    }

    #[test]
    fn paths_that_could_leave_their_base_are_refused() {
        let fault = "the path may not hold `..` segments or control characters";
        check("/v1/acc/default/openai/../../x", None, None, fault);
        check("/v1/acc/default/openai/%2e%2E/x", None, None, fault);
        check(
            "/v1/acc/default/openai/.hidden",
            None,
            None,
            "default openai https://api.openai.com/v1/.hidden",
        );
    }
}
