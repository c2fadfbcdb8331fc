//! Keeps an answer back until it may go out: a plain one, until what it used can stand in its head.

use super::parts;
use http::header::{HeaderName, HeaderValue};
use pingora::protocols::http::HttpTask;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An answer that grows beyond this goes out as it is: clients should not wait for what is long,
/// nor memory be spent on it.
pub const HELD_BYTES_MAX: usize = 256 << 10;

/// Nothing stands in the way, nor ever did or no longer does.
const CLEAR: u8 = 0;
const SHUT: u8 = 1;
/// The answer may go, once it got its late fields.
const OPENED: u8 = 2;

/// What pipeline and session agree on about one answer. Open unless it was shut.
#[derive(Debug, Default)]
pub struct Gate {
    state: AtomicU8,
    /// Answers that were given up before they went out.
    discarded: AtomicU32,
    until: Mutex<Option<Instant>>,
    late: Mutex<Vec<(HeaderName, HeaderValue)>>,
}

impl Gate {
    /// From now on nothing goes out, until [`Gate::open`], the answer's end, [`HELD_BYTES_MAX`], or
    /// the first piece after this time.
    pub fn shut(&self, within: Option<Duration>) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = within.map(|within| Instant::now() + within);
        self.state.store(SHUT, Ordering::Release);
    }

    /// The answer was given up; another one will come.
    pub fn reset(&self) {
        self.discarded.fetch_add(1, Ordering::AcqRel);
        self.clear();
    }

    fn is_over(&self) -> bool {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() > until)
    }

    pub fn is_shut(&self) -> bool {
        self.state.load(Ordering::Acquire) == SHUT
    }

    /// Lets the answer go, with these fields in its head.
    pub fn open(&self, late: Vec<(HeaderName, HeaderValue)>) {
        let mut fields = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        fields.extend(late);
        self.state.store(OPENED, Ordering::Release);
    }

    fn is_clear(&self) -> bool {
        self.state.load(Ordering::Acquire) == CLEAR
    }

    /// The answer goes out now.
    fn clear(&self) -> Vec<(HeaderName, HeaderValue)> {
        self.state.store(CLEAR, Ordering::Release);
        std::mem::take(&mut self.late.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is kept back.
#[derive(Default)]
pub struct Held {
    tasks: Vec<HttpTask>,
    bytes: usize,
    discarded: u32,
}

impl Held {
    /// Takes the next pieces of an answer, and gives what may go out now. An answer that breaks off
    /// before its gate opened was never begun, as far as the client can tell.
    pub fn pass(&mut self, tasks: Vec<HttpTask>, gate: &Gate) -> Option<Vec<HttpTask>> {
        let discarded = gate.discarded.load(Ordering::Acquire);
        if discarded != self.discarded {
            self.discarded = discarded;
            self.tasks.clear();
            self.bytes = 0;
        }
        if gate.is_clear() {
            return Some(tasks);
        }
        let mut ended = false;
        for task in tasks {
            if matches!(task, HttpTask::Failed(_)) {
                self.tasks.clear();
                return Some(vec![task]);
            }
            if let HttpTask::Body(Some(piece), _) = &task {
                self.bytes += piece.len();
            }
            ended |= task.is_end();
            self.tasks.push(task);
        }
        if gate.is_shut() && !ended && self.bytes <= HELD_BYTES_MAX && !gate.is_over() {
            return None;
        }
        let late = gate.clear();
        let head = self.tasks.iter_mut().find_map(|task| match task {
            HttpTask::Header(head, _) if !head.status.is_informational() => Some(head),
            _ => None,
        });
        if let Some(head) = head.filter(|_| !late.is_empty()) {
            parts::amend(head, |parts| {
                for (name, value) in late {
                    parts.headers.insert(name, value);
                }
            });
        }
        Some(std::mem::take(&mut self.tasks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use pingora::http::ResponseHeader;
    use pingora::{Error, ErrorType};

    fn head() -> HttpTask {
        HttpTask::Header(Box::new(ResponseHeader::build(200, None).unwrap()), false)
    }

    fn piece(length: usize, last: bool) -> HttpTask {
        HttpTask::Body(Some(Bytes::from(vec![b'x'; length])), last)
    }

    #[test]
    fn an_open_gate_keeps_nothing() {
        let (gate, mut held) = (Gate::default(), Held::default());
        assert_eq!(held.pass(vec![head()], &gate).unwrap().len(), 1);
        assert_eq!(held.pass(vec![piece(9, true)], &gate).unwrap().len(), 1);
    }

    #[test]
    fn a_shut_gate_keeps_all_until_the_end() {
        let (gate, mut held) = (Gate::default(), Held::default());
        gate.shut(None);
        assert!(held.pass(vec![head()], &gate).is_none());
        assert!(held.pass(vec![piece(9, false)], &gate).is_none());
        gate.open(vec![(
            HeaderName::from_static("x-late"),
            HeaderValue::from_static("1"),
        )]);
        let out = held.pass(vec![piece(9, true)], &gate).unwrap();
        assert_eq!(out.len(), 3);
        let HttpTask::Header(head, false) = &out[0] else {
            panic!("no head");
        };
        assert_eq!(head.headers.get("x-late").unwrap(), "1");
    }

    #[test]
    fn a_gate_that_opens_before_anything_was_kept_still_adds_its_fields() {
        let (gate, mut held) = (Gate::default(), Held::default());
        gate.shut(None);
        gate.open(vec![(
            HeaderName::from_static("x-late"),
            HeaderValue::from_static("1"),
        )]);
        let out = held.pass(vec![head(), piece(9, true)], &gate).unwrap();
        assert!(
            matches!(&out[0], HttpTask::Header(head, _) if head.headers.contains_key("x-late"))
        );
    }

    #[test]
    fn an_answer_that_ends_or_grows_goes_out_though_nobody_opened() {
        let (gate, mut held) = (Gate::default(), Held::default());
        gate.shut(None);
        assert!(held.pass(vec![head()], &gate).is_none());
        assert_eq!(held.pass(vec![HttpTask::Done], &gate).unwrap().len(), 2);
        let (gate, mut held) = (Gate::default(), Held::default());
        gate.shut(None);
        assert!(
            held.pass(vec![head(), piece(HELD_BYTES_MAX, false)], &gate)
                .is_none()
        );
        assert_eq!(held.pass(vec![piece(1, false)], &gate).unwrap().len(), 3);
        assert_eq!(held.pass(vec![piece(1, false)], &gate).unwrap().len(), 1);
    }

    #[test]
    fn an_answer_that_breaks_off_was_never_begun() {
        let (gate, mut held) = (Gate::default(), Held::default());
        gate.shut(None);
        assert!(held.pass(vec![head(), piece(9, false)], &gate).is_none());
        let broken = HttpTask::Failed(Error::new(ErrorType::ReadError));
        let out = held.pass(vec![broken], &gate).unwrap();
        assert!(matches!(out.as_slice(), [HttpTask::Failed(_)]));
    }
}
