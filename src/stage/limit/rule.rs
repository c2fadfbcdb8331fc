//! One limit of one gateway: what it measures, whose counter it means, and what a request wants of it.

use super::by::{By, Caller};
use super::config::{Limit, Over, Technique, Tokens, Wait, When};
use super::wait::Line;
use crate::base::money::NanoUsd;
use crate::store::counters::account::{Identity, Kind};
use crate::store::counters::hold::Charge;
use crate::store::counters::span::Span;
use crate::store::counters::window::{self, Terms};
use crate::store::counters::{self, Counters, Want};
use std::sync::Arc;

/// The longest window that is a rate and not a budget, for requests.
const RATE_MS_MAX: u64 = 60_000;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    Requests,
    Tokens(Tokens),
    Cost,
    Concurrent,
}

/// The most that a request may use, as far as can be known before it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worst {
    /// Tokens; zero where a request uses none.
    pub input: u64,
    pub output: u64,
    pub cost: NanoUsd,
    /// The request itself bounds its output; else it is a guess, which alone keeps no request from
    /// an unused budget.
    pub bounded: bool,
}

impl Worst {
    /// What covers both.
    pub fn or_worse(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cost: self.cost.max(other.cost),
            bounded: self.bounded && other.bounded,
        }
    }
}

/// What a request used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    pub input: u64,
    pub output: u64,
    pub cost: NanoUsd,
}

/// A limit that is in force.
pub struct Rule {
    pub gateway: Arc<str>,
    pub name: Arc<str>,
    pub measure: Measure,
    pub technique: Technique,
    pub span: Span,
    pub by: Vec<By>,
    pub when: When,
    pub over: Over,
    pub expose: bool,
    pub line: Option<Arc<Line>>,
    pub counters: counters::Rule,
}

impl Rule {
    /// `None` where the limit does not say one thing: the configuration was checked for that.
    pub fn build(gateway: &Arc<str>, limit: &Limit, counters: &Counters) -> Option<Self> {
        let (measure, amount) = measure(limit)?;
        let technique = limit.technique.unwrap_or_default();
        let span = limit.per.map_or(Span::Millis(1), |per| per.0);
        let terms = Terms {
            technique: match (measure, technique) {
                (Measure::Concurrent, _) => window::Technique::Running,
                (_, Technique::Fixed) => window::Technique::Fixed,
                (_, Technique::Sliding) => window::Technique::Sliding,
                (_, Technique::Burst) => window::Technique::Burst,
            },
            span,
            limit: amount,
        };
        let kind = match measure {
            Measure::Concurrent => Kind::Rate,
            Measure::Requests if span.millis() <= RATE_MS_MAX => Kind::Rate,
            _ => Kind::Budget,
        };
        let by: Vec<_> = limit.by.iter().map(By::name).collect();
        // Its amount is no part of what it is: one that is raised keeps its counters.
        let identity = (gateway, &limit.name, measure, terms.technique, span, by);
        let identity = Identity(counters.hash(format!("{identity:?}").as_bytes()));
        let counters = counters.rule(identity, kind, terms);
        let line = match limit.over {
            Over::Wait(Wait { queue, .. }) => {
                Some(Arc::new(Line::new(counters.account.clone(), queue)))
            }
            Over::Reject | Over::Model(_) => None,
        };
        Some(Self {
            gateway: gateway.clone(),
            name: limit.name.as_str().into(),
            measure,
            technique,
            span,
            by: limit.by.clone(),
            when: limit.when.clone(),
            over: limit.over.clone(),
            expose: limit.expose,
            line,
            counters,
        })
    }

    /// Takes over what hangs on the same rule of an earlier configuration: the line before it, unless
    /// that is of another length now, and the estimates.
    pub fn go_on_from(&mut self, earlier: &Self) {
        self.counters.go_on_from(&earlier.counters);
        if let (Some(line), Some(known)) = (&mut self.line, &earlier.line)
            && line.is_like(known)
        {
            *line = known.clone();
        }
    }

    /// The id of the counter that this request counts on. `bytes` is room to work in.
    pub fn id(&self, caller: &Caller<'_>, counters: &Counters, bytes: &mut Vec<u8>) -> u128 {
        bytes.clear();
        bytes.extend_from_slice(&self.counters.account.identity.0.to_le_bytes());
        for by in &self.by {
            by.write(caller, bytes);
        }
        counters.hash(bytes)
    }

    /// Whose counter that is, in words.
    pub fn label(&self, caller: &Caller<'_>) -> String {
        let values: Vec<_> = self.by.iter().map(|by| by.show(caller)).collect();
        values.join(" ")
    }

    pub fn want<'a>(&'a self, id: u128, worst: &Worst, label: &'a dyn Fn() -> String) -> Want<'a> {
        let (amount, charge) = match self.measure {
            Measure::Requests => (1, Charge::AtOnce),
            Measure::Concurrent => (1, Charge::AtEnd),
            Measure::Tokens(_) | Measure::Cost => {
                let amount = self.amount(worst.input, worst.output, worst.cost);
                let limit = self.counters.account.terms().limit;
                let amount = match worst.bounded {
                    true => amount,
                    false => amount.min(limit),
                };
                (amount, Charge::AtEnd)
            }
        };
        Want {
            rule: &self.counters,
            id,
            label,
            amount,
            charge,
        }
    }

    /// What counts of what was used, where that is known only at the end.
    pub fn used(&self, spent: &Spent) -> u64 {
        match self.measure {
            Measure::Requests | Measure::Concurrent => 0,
            _ => self.amount(spent.input, spent.output, spent.cost),
        }
    }

    fn amount(&self, input: u64, output: u64, cost: NanoUsd) -> u64 {
        match self.measure {
            Measure::Requests | Measure::Concurrent => 1,
            Measure::Tokens(Tokens::In) => input,
            Measure::Tokens(Tokens::Out) => output,
            Measure::Tokens(Tokens::Both) => input.saturating_add(output),
            Measure::Cost => cost.nanos(),
        }
    }

    /// An amount as people write it: money in dollars.
    pub fn show(&self, amount: u64) -> String {
        match self.measure {
            Measure::Cost => NanoUsd::new(amount).to_string(),
            _ => amount.to_string(),
        }
    }

    /// Whether it is a budget, which metrics and the disk care for.
    pub fn is_budget(&self) -> bool {
        self.counters.account.kind == Kind::Budget
    }
}

impl Measure {
    /// Whether what a request uses of it is known only at its end.
    pub const fn is_metered(self) -> bool {
        matches!(self, Self::Tokens(_) | Self::Cost)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens(_) => "tokens",
            Self::Cost => "cost",
            Self::Concurrent => "concurrent",
        }
    }
}

impl Technique {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Sliding => "sliding",
            Self::Burst => "burst",
        }
    }
}

fn measure(limit: &Limit) -> Option<(Measure, u64)> {
    let tokens = Measure::Tokens(limit.count.unwrap_or_default());
    let mut amounts = [
        limit.requests.map(|count| (Measure::Requests, count.get())),
        limit.tokens.map(|count| (tokens, count.get())),
        limit.cost.map(|cost| (Measure::Cost, cost.nanos())),
        limit
            .concurrent
            .map(|count| (Measure::Concurrent, count.get())),
    ]
    .into_iter()
    .flatten();
    let first = amounts.next();
    first.filter(|_| amounts.next().is_none())
}
