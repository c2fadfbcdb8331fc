//! From an origin to a connection's address: names resolved, remembered, and tried one by one.

use crate::provider::origin::Origin;
use crate::stage::plan::Patience;
use arc_swap::ArcSwapOption;
use pingora::protocols::ALPN;
use pingora::upstreams::peer::HttpPeer;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How long resolved addresses are used before they are looked up again, behind the requests.
const FRESH: Duration = Duration::from_secs(30);
/// How long a failed look-up stands, so that a storm of requests asks once.
const FAILED: Duration = Duration::from_secs(1);
/// Names that are remembered; with more, all are forgotten and begin anew.
const NAMES_MAX: usize = 4096;
/// How long an idle connection to a provider is kept for the next request.
const POOL_IDLE: Duration = Duration::from_secs(90);
/// Requests that share one HTTP/2 connection to a provider.
const H2_STREAMS_MAX: usize = 100;
/// HTTP/2 flow-control windows: wide enough that large answers do not wait for updates.
const H2_STREAM_WINDOW: u32 = 1 << 20;
const H2_CONNECTION_WINDOW: u32 = 4 << 20;

/// The addresses of one name, in the order in which they are tried.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    name: Arc<Name>,
    list: Arc<[SocketAddr]>,
    start: usize,
    tried: usize,
}

impl Addresses {
    /// The address to try now.
    pub fn current(&self) -> Option<SocketAddr> {
        let at = (self.start + self.tried) % self.list.len().max(1);
        self.list.get(at).copied()
    }

    /// Goes on to the next address, and lets later requests begin there. `false` after the last.
    pub fn advance(&mut self) -> bool {
        self.tried += 1;
        if self.tried >= self.list.len() {
            return false;
        }
        let next = (self.start + self.tried) % self.list.len();
        self.name.preferred.store(next, Ordering::Relaxed);
        true
    }
}

/// What is known of one host name.
#[derive(Debug, Default)]
struct Name {
    found: ArcSwapOption<Found>,
    /// The index of the address that worked last.
    preferred: AtomicUsize,
    refreshing: AtomicBool,
    /// Held while the first look-up runs, so that those who come meanwhile wait for it.
    first: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Found {
    at: Instant,
    outcome: Result<Arc<[SocketAddr]>, String>,
}

/// All names that requests went to.
#[derive(Default)]
pub struct Resolver {
    names: RwLock<HashMap<(String, u16), Arc<Name>>>,
}

impl Resolver {
    /// The addresses of an origin; those of a known name at once.
    ///
    /// # Errors
    /// The resolver's own words why there are none.
    pub async fn resolve(&self, origin: &Origin, within: Duration) -> Result<Addresses, String> {
        if let Ok(ip) = origin.host.parse::<IpAddr>() {
            let list = Arc::new([SocketAddr::new(ip, origin.port)]);
            return Ok(Addresses {
                name: Arc::default(),
                list,
                start: 0,
                tried: 0,
            });
        }
        let name = self.name(origin);
        if let Some(known) = name.found.load_full() {
            let age = known.at.elapsed();
            if known.outcome.is_ok() && age > FRESH {
                refresh(name.clone(), origin.clone());
            }
            if known.outcome.is_ok() || age < FAILED {
                return addresses(name, &known);
            }
        }
        let first = name.first.lock().await;
        if let Some(known) = name.found.load_full()
            && known.at.elapsed() < FAILED
        {
            drop(first);
            return addresses(name, &known);
        }
        let known = look_up(&name, origin, within).await;
        drop(first);
        addresses(name, &known)
    }

    fn name(&self, origin: &Origin) -> Arc<Name> {
        let key = (origin.host.clone(), origin.port);
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = names.get(&key) {
            return name.clone();
        }
        drop(names);
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= NAMES_MAX {
            names.clear();
        }
        names.entry(key).or_default().clone()
    }
}

fn addresses(name: Arc<Name>, known: &Found) -> Result<Addresses, String> {
    let list = known.outcome.clone()?;
    let start = name.preferred.load(Ordering::Relaxed);
    Ok(Addresses {
        name,
        list,
        start,
        tried: 0,
    })
}

/// Looks a name up behind the requests, which go on with what is known. A failure keeps the old
/// addresses: a resolver that is down must not take the providers down with it.
fn refresh(name: Arc<Name>, origin: Origin) {
    if name.refreshing.swap(true, Ordering::AcqRel) {
        return;
    }
    tokio::spawn(async move {
        let outcome = query(&origin, FRESH).await;
        let kept = name.found.load_full();
        let found = match (outcome, kept) {
            (Ok(list), _) => Ok(list),
            (Err(cause), Some(kept)) => {
                tracing::warn!(host = %origin.host, %cause, "name look-up failed; the old addresses stay in use");
                kept.outcome.clone()
            }
            (Err(cause), None) => Err(cause),
        };
        let at = Instant::now();
        name.found
            .store(Some(Arc::new(Found { at, outcome: found })));
        name.refreshing.store(false, Ordering::Release);
    });
}

async fn look_up(name: &Name, origin: &Origin, within: Duration) -> Arc<Found> {
    let outcome = query(origin, within).await;
    let at = Instant::now();
    let found = Arc::new(Found { at, outcome });
    name.found.store(Some(found.clone()));
    name.preferred.store(0, Ordering::Relaxed);
    found
}

async fn query(origin: &Origin, within: Duration) -> Result<Arc<[SocketAddr]>, String> {
    let asked = tokio::net::lookup_host((origin.host.as_str(), origin.port));
    let answered: io::Result<_> = match tokio::time::timeout(within, asked).await {
        Ok(answered) => answered,
        Err(_) => return Err(format!("no answer within {within:?}")),
    };
    let list: Arc<[SocketAddr]> = answered.map_err(|fault| fault.to_string())?.collect();
    if list.is_empty() {
        return Err("the name has no address".to_owned());
    }
    Ok(list)
}

/// The peer at `address`, as Pingora dials it.
pub fn peer(origin: &Origin, address: SocketAddr, patience: &Patience) -> HttpPeer {
    let sni = if origin.tls {
        origin.host.clone()
    } else {
        String::new()
    };
    let mut peer = HttpPeer::new(address, origin.tls, sni);
    let options = &mut peer.options;
    options.connection_timeout = Some(patience.connect);
    options.total_connection_timeout = Some(patience.connect);
    options.idle_timeout = Some(POOL_IDLE);
    options.write_timeout = Some(patience.idle);
    if origin.tls {
        options.alpn = ALPN::H2H1;
        options.max_h2_streams = H2_STREAMS_MAX;
        options.h2_stream_window_size = Some(H2_STREAM_WINDOW);
        options.h2_connection_window_size = Some(H2_CONNECTION_WINDOW);
    }
    peer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(host: &str) -> Origin {
        Origin::new(false, host.to_owned(), 80).unwrap()
    }

    #[tokio::test]
    async fn addresses_need_no_look_up() {
        let resolver = Resolver::default();
        let second = Duration::from_secs(1);
        let mut found = resolver.resolve(&origin("::1"), second).await.unwrap();
        assert_eq!(found.current(), Some("[::1]:80".parse().unwrap()));
        assert!(!found.advance());
    }

    #[tokio::test]
    async fn a_failing_address_gives_way_to_the_next_for_later_requests_too() {
        let resolver = Resolver::default();
        let name = resolver.name(&origin("two.test"));
        let list: Arc<[SocketAddr]> = Arc::new([
            "10.0.0.1:80".parse().unwrap(),
            "10.0.0.2:80".parse().unwrap(),
        ]);
        name.found.store(Some(Arc::new(Found {
            at: Instant::now(),
            outcome: Ok(list.clone()),
        })));
        let second = Duration::from_secs(1);
        let mut found = resolver.resolve(&origin("two.test"), second).await.unwrap();
        assert_eq!(found.current(), list.first().copied());
        assert!(found.advance());
        assert_eq!(found.current(), list.get(1).copied());
        assert!(!found.advance());
        let later = resolver.resolve(&origin("two.test"), second).await.unwrap();
        assert_eq!(later.current(), list.get(1).copied());
    }
}
