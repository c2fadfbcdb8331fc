//! What the mock has seen: counters, and the last request in full.

use super::head::Head;
use super::upload::Body;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many paths are counted apart; the rest together.
const PATHS_MAX: usize = 1000;

/// Counters since the start or the last reset.
#[derive(Debug, Default)]
pub struct Stats {
    accepted: AtomicU64,
    open: AtomicU64,
    requests: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    aborted: AtomicU64,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    paths: BTreeMap<String, u64>,
    /// The head as received, its body's bytes and CRC-32.
    last: Option<(Vec<u8>, u64, u32)>,
}

impl Stats {
    pub fn open(&self) {
        self.accepted.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
    }

    pub fn close(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    pub fn count_in(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Relaxed);
    }

    pub fn count_out(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Relaxed);
    }

    /// A client left before its answer was finished.
    pub fn count_aborted(&self) {
        self.aborted.fetch_add(1, Relaxed);
    }

    /// A request's head has come.
    pub fn count_request(&self, path: &str) {
        self.requests.fetch_add(1, Relaxed);
        let mut seen = self.seen();
        if let Some(count) = seen.paths.get_mut(path) {
            *count += 1;
        } else {
            let name = if seen.paths.len() < PATHS_MAX {
                path
            } else {
                "(others)"
            };
            *seen.paths.entry(name.to_owned()).or_default() += 1;
        }
    }

    /// A request has come whole, or as far as it is read.
    pub fn keep_last(&self, head: &[u8], body: &Body) {
        let mut seen = self.seen();
        // A copy, so that the connection's buffer can be used again.
        let mut kept = seen.last.take().map_or_else(Vec::new, |last| last.0);
        kept.clear();
        kept.extend_from_slice(head);
        seen.last = Some((kept, body.count, body.crc));
    }

    /// Zeroes everything but the connections that are open.
    pub fn reset(&self) {
        for count in [
            &self.accepted,
            &self.requests,
            &self.bytes_in,
            &self.bytes_out,
            &self.aborted,
        ] {
            count.store(0, Relaxed);
        }
        *self.seen() = Seen::default();
    }

    pub fn show(&self) -> Value {
        json!({
            "connections": {"accepted": self.accepted.load(Relaxed), "open": self.open.load(Relaxed)},
            "requests": self.requests.load(Relaxed),
            "bytes_in": self.bytes_in.load(Relaxed),
            "bytes_out": self.bytes_out.load(Relaxed),
            "aborted": self.aborted.load(Relaxed),
            "paths": self.seen().paths,
        })
    }

    /// The last request's method, path, query, headers, body bytes and hash; null before the first.
    pub fn show_last(&self) -> Value {
        let last = self.seen().last.clone();
        let Some((raw, count, crc)) = last else {
            return Value::Null;
        };
        Head::parse(&raw).map_or(Value::Null, |head| show_request(&head, count, crc))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request mirrored as JSON.
pub fn show_request(head: &Head<'_>, body_bytes: u64, body_crc: u32) -> Value {
    let headers: Vec<_> = head
        .headers()
        .map(|(name, value)| {
            [
                String::from_utf8_lossy(name),
                String::from_utf8_lossy(value),
            ]
        })
        .collect();
    json!({
        "method": head.method,
        "path": head.path,
        "query": head.query,
        "headers": headers,
        "body_bytes": body_bytes,
        "body_crc32": format!("{body_crc:08x}"),
    })
}
