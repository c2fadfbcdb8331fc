//! All counters as the operator sees them.

use super::Limits;
use super::exceeded::left;
use super::rule::Rule;
use crate::base::clock::rfc3339;
use crate::store::counters::account::Identity;
use crate::store::counters::span::Span;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The most counters that one page shows.
pub const SHOWN_MAX: usize = 10_000;

/// Counters by their rules, those nearest to their limits first.
#[derive(Debug, Serialize)]
pub struct Page {
    pub counters: Vec<Row>,
    /// Counters that did not fit on the page.
    pub left_out: usize,
}

/// One counter.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Names it where it is to be reset.
    pub id: String,
    pub gateway: Arc<str>,
    pub limit: Arc<str>,
    /// Whose it is: `metadata.team=red`.
    pub by: Box<str>,
    pub measure: &'static str,
    /// Money is in dollars.
    pub used: String,
    /// By requests that run.
    pub held: String,
    pub allowed: String,
    pub remaining: String,
    pub technique: Option<&'static str>,
    /// In seconds; `None` for a month and for what runs at once.
    pub per: Option<u64>,
    /// When nothing used so far counts any more.
    pub resets_at: Option<String>,
}

impl Limits {
    /// What stands on all counters of rules that are in force.
    pub fn page(&self) -> Page {
        let rules = self.by_identity();
        let (now, wall) = (self.counters.now(), SystemTime::now());
        let (mut rows, mut live) = (Vec::new(), 0);
        self.counters.each(|counter| {
            let Some(rule) = rules.get(&counter.account.identity) else {
                return;
            };
            let reading = counter.read(now);
            if reading.used == 0 && reading.held == 0 {
                return;
            }
            let resets_in = Duration::from_millis(reading.resets_in_ms);
            let share = left(&reading) as f64 / reading.limit.max(1) as f64;
            let (technique, per) = rule.window();
            let row = Row {
                id: format!("{:032x}", counter.id),
                gateway: rule.gateway.clone(),
                limit: rule.name.clone(),
                by: counter.label.clone(),
                measure: rule.measure.name(),
                used: rule.show(reading.used),
                held: rule.show(reading.held),
                allowed: rule.show(reading.limit),
                remaining: rule.show(left(&reading)),
                technique,
                per,
                resets_at: technique.and(wall.checked_add(resets_in)).map(rfc3339),
            };
            rows.push((share, row));
            live += 1;
            if rows.len() >= 2 * SHOWN_MAX {
                keep_fullest(&mut rows);
            }
        });
        keep_fullest(&mut rows);
        let left_out = live - rows.len();
        let rows = rows.into_iter();
        Page {
            counters: rows.map(|(_, row)| row).collect(),
            left_out,
        }
    }

    /// Forgets what the counter of this id counted; `false` where there is none.
    pub fn reset(&self, id: &str) -> bool {
        let digits = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
        let id = u128::from_str_radix(id, 16).ok().filter(|_| digits);
        id.is_some_and(|id| self.counters.reset(id))
    }

    /// How much of each budget is used, from 0 on, by the fullest of its counters.
    pub fn budgets(&self) -> Vec<(Arc<Rule>, f64)> {
        let now = self.counters.now();
        let mut fullest: HashMap<Identity, f64> = HashMap::new();
        self.counters.each_budget(|counter| {
            let reading = counter.read(now);
            let ratio = reading.used as f64 / reading.limit.max(1) as f64;
            let most = fullest.entry(counter.account.identity).or_default();
            *most = most.max(ratio);
        });
        let budgets = self.rules().filter(|rule| rule.is_budget());
        let budgets = budgets.map(|rule| {
            let ratio = fullest.get(&rule.counters.account.identity);
            (rule.clone(), ratio.copied().unwrap_or_default())
        });
        budgets.collect()
    }

    fn by_identity(&self) -> HashMap<Identity, &Arc<Rule>> {
        let rules = self.rules();
        rules
            .map(|rule| (rule.counters.account.identity, rule))
            .collect()
    }
}

/// Those with the smallest share left come first, and the page's end cuts the others off.
fn keep_fullest(rows: &mut Vec<(f64, Row)>) {
    rows.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    rows.truncate(SHOWN_MAX);
}

impl Rule {
    fn window(&self) -> (Option<&'static str>, Option<u64>) {
        use super::rule::Measure;
        match (self.measure, self.span) {
            (Measure::Concurrent, _) => (None, None),
            (_, Span::Month) => (Some(self.technique.name()), None),
            (_, Span::Millis(millis)) => (Some(self.technique.name()), Some(millis / 1_000)),
        }
    }
}
