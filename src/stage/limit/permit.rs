//! Leave to ask a provider: room reserved under every limit that applies.

use super::rule::{Rule, Spent};
use crate::store::counters::Grant;
use crate::store::counters::clock::Now;
use std::sync::Arc;

/// Room that was reserved. It gives itself back when it is dropped without having been settled.
#[derive(Default)]
pub struct Permit {
    grants: Vec<(Arc<Rule>, Grant)>,
}

impl Permit {
    pub(super) fn new(grants: Vec<(Arc<Rule>, Grant)>) -> Self {
        Self { grants }
    }

    /// Turns what was reserved into what was used; the rest is given back.
    pub fn settle(self, now: Now, spent: &Spent) {
        for (rule, grant) in self.grants {
            grant.settle(now, rule.used(spent));
        }
    }
}
