//! From a route to the plan: which targets are tried, in order, how often, and how long each may take.

pub mod config;
pub mod fault;
pub mod retry;
mod steps;
pub mod target;
pub mod pools;
pub mod pool;
pub mod affinity;
pub mod breaker;
pub mod standing;

use crate::stage::route::Gateway;
use config::{Fallback, IncludeUsage, OnClientGone, Timeout};
use fault::Fault;
use retry::Retry;
use std::sync::Arc;
use std::time::Duration;
use steps::Steps;
use target::{Step, Target};

/// How long the stretches of one request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    pub connect: Duration,
    pub first_byte: Duration,
    pub idle: Duration,
    pub total: Duration,
}

/// Where the client allows a target less time than its gateway does, which then says nothing about
/// the provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hurry {
    connect: bool,
    first_byte: bool,
}

impl Hurry {
    /// Whether the provider might have done better, had it had its time.
    pub const fn excuses(self, fault: Fault) -> bool {
        match fault {
            Fault::Timeout => self.first_byte,
            Fault::Resolve | Fault::Connect => self.connect,
            _ => false,
        }
    }
}

/// The attempts of one request, in the order in which they are made.
#[derive(Debug)]
pub struct Plan {
    pub on_client_gone: OnClientGone,
    /// Whether streams are asked for their usage where they tell it only then.
    pub include_usage: bool,
    patience: Patience,
    steps: Steps,
}

impl Plan {
    /// How long the present target may take.
    pub fn patience(&self) -> Patience {
        let mut patience = self.patience;
        if let Some(first_byte) = self.steps.first_byte() {
            patience.first_byte = first_byte;
            patience.connect = patience.connect.min(first_byte);
        }
        patience
    }

    /// The target of the next attempt, and how long to wait before it; `None` where nothing is left.
    pub fn next_target(&mut self) -> Option<(Arc<Target>, Duration)> {
        self.steps.next_target()
    }

    /// Whether an attempt that fails so would be followed by another one.
    pub fn would_go_on(&self, fault: Fault) -> bool {
        self.steps.would_go_on(fault)
    }

    /// The position of the present step, from 0.
    pub fn step(&self) -> Option<usize> {
        self.steps.present()
    }

    /// What of the present target's time the client cut short.
    pub fn hurry(&self) -> Hurry {
        let own = self.steps.first_byte();
        let is_less = |than| own.is_some_and(|own| own < than);
        Hurry {
            connect: is_less(self.patience.connect),
            first_byte: is_less(self.patience.first_byte),
        }
    }

    /// Whether the present step is the last one.
    pub fn is_last_step(&self) -> bool {
        self.steps.is_last()
    }

    /// Gives the present step up before it was tried; whether another one follows.
    pub fn skip_step(&mut self) -> bool {
        self.steps.skip()
    }

    /// Lets the present step be tried once more, elsewhere at the same provider.
    pub fn repeat_step(&mut self) {
        self.steps.repeat();
    }

    /// An answer has begun, whose provider wants to be asked again only then: too late, where the
    /// whole request has only so much time `left`.
    pub fn heed(&mut self, retry_after: Option<Duration>, left: Duration) {
        self.steps.heed(retry_after, left);
    }

    /// An attempt failed: decides what [`Plan::next_target`] gives, within `left`, the time that the whole
    /// request still has. `retry_after` is when the provider wants to be asked again. Returns
    /// whether there is anything left to try.
    pub fn fail(&mut self, fault: Fault, retry_after: Option<Duration>, left: Duration) -> bool {
        self.steps.fail(fault, retry_after, left)
    }
}

/// The rules of all gateways.
pub struct Plans {
    gateways: Vec<Rule>,
}

/// One gateway's rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    pub patience: Patience,
    pub retry: Retry,
    pub on_client_gone: OnClientGone,
    pub include_usage: IncludeUsage,
    pub fallback: Vec<Fallback>,
}

impl Default for Patience {
    fn default() -> Self {
        Self::from(&Timeout::default())
    }
}

impl Plans {
    /// One rule a gateway, in the order of the gateways.
    pub fn build(gateways: impl Iterator<Item = Rule>) -> Self {
        Self {
            gateways: gateways.collect(),
        }
    }

    /// What stands in for a failed target at a gateway, in order.
    pub fn fallback(&self, gateway: &Gateway) -> &[Fallback] {
        let rule = gateway.of(&self.gateways);
        rule.map_or(&[], |rule| &rule.fallback)
    }

    /// The plan for these steps at a gateway.
    pub fn plan(&self, gateway: &Gateway, steps: Vec<Step>) -> Plan {
        let default = Rule::default();
        let rule = gateway.of(&self.gateways).unwrap_or(&default);
        Plan {
            on_client_gone: rule.on_client_gone,
            include_usage: rule.include_usage.0,
            patience: rule.patience,
            steps: Steps::new(steps, rule.retry),
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
