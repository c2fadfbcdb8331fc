//! From a route to the plan: which targets are tried, in order, and how long each may take.

pub mod config;

use crate::provider::place::Place;
use crate::stage::route::Route;
use config::Timeout;
use std::sync::Arc;
use std::time::Duration;

/// One place that an attempt is made at.
#[derive(Debug)]
pub struct Target {
    pub provider: Arc<str>,
    pub place: Place,
}

/// How long the stretches of one request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    pub connect: Duration,
    pub first_byte: Duration,
    pub idle: Duration,
    pub total: Duration,
}

/// The targets of one request, in the order in which they are tried.
#[derive(Debug)]
pub struct Plan {
    pub patience: Patience,
    targets: std::vec::IntoIter<Target>,
}

impl Plan {
    /// The next target that was not tried yet.
    pub fn next_target(&mut self) -> Option<Target> {
        self.targets.next()
    }
}

/// The rules of all gateways.
pub struct Plans {
    gateways: Vec<Patience>,
}

impl Plans {
    /// One rule a gateway, in the order of the gateways.
    pub fn build<'a>(gateways: impl Iterator<Item = &'a Timeout>) -> Self {
        Self {
            gateways: gateways.map(Patience::from).collect(),
        }
    }

    /// `request_timeout` is the client's own time to the first byte; it wins over the gateway's.
    pub fn plan(&self, route: Route, request_timeout: Option<Duration>) -> Plan {
        let known = route.gateway.of(&self.gateways).copied();
        let mut patience = known.unwrap_or_else(|| Patience::from(&Timeout::default()));
        if let Some(first_byte) = request_timeout {
            patience.first_byte = first_byte;
            patience.connect = patience.connect.min(first_byte);
        }
        let target = Target {
            provider: route.provider.slug.clone(),
            place: route.place,
        };
        Plan {
            patience,
            targets: vec![target].into_iter(),
        }
    }
}

impl From<&Timeout> for Patience {
    fn from(timeout: &Timeout) -> Self {
        let total = timeout.total.duration();
        Self {
            connect: timeout.connect.duration().min(total),
            first_byte: timeout.first_byte.duration().min(total),
            idle: timeout.idle.duration(),
            total,
        }
    }
}
