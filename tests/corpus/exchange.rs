//! How a recorded exchange is replayed: to which address, in which pieces, packed or not.

pub use crate::support::corpus::Exchange;

use crate::support::packing::Packing;
use crate::support::{corpus, random_sizes};
use std::collections::BTreeMap;

/// A body below this size is sometimes sent byte by byte.
const SMALL: usize = 1 << 10;

/// Every exchange by its id, or nothing where the corpus is not at hand.
pub fn load() -> Option<BTreeMap<String, Exchange>> {
    let mut all = BTreeMap::new();
    for exchange in corpus::open()? {
        let twin = all.insert(exchange.id.clone(), exchange);
        assert!(twin.is_none(), "an id stands for two exchanges");
    }
    Some(all)
}

impl Exchange {
    /// The URL's host, and what follows it: path and query. A slash that a base URL had too many is
    /// left out, as the gateway does.
    pub fn address(&self) -> (&str, &str) {
        let (_, rest) = self.url.split_once("://").unwrap();
        let (host, path) = rest.split_at(rest.find('/').unwrap());
        let doubled = path.starts_with("//");
        (host, path.get(usize::from(doubled)..).unwrap())
    }

    /// A number that is this exchange's own, and the same in each run.
    pub fn seed(&self) -> u64 {
        u64::from_str_radix(self.id.get(..16).unwrap(), 16).unwrap()
    }

    /// Random sizes that add up to `total`: small pieces for some exchanges, large ones for others.
    pub fn sizes(&self, total: usize) -> Vec<usize> {
        let seed = self.seed();
        let max = match seed % 4 {
            0 if total <= SMALL => 1,
            0 | 1 => 60,
            2 => 700,
            _ => 9000,
        };
        let max = max.max(total / 400);
        random_sizes(total, max, seed)
    }

    /// The same, its answer packed in the encoding that is its turn.
    pub fn packed(mut self) -> Self {
        let packings = [Packing::Gzip, Packing::Brotli, Packing::Zstd];
        let turn = self.seed() / 4 % packings.len() as u64;
        let packing = packings[turn as usize];
        if !self.response_body.is_empty() {
            self.response_body = packing.pack(&self.response_body);
            let field = ("content-encoding".to_owned(), packing.name().to_owned());
            self.response_headers.push(field);
        }
        self
    }
}
