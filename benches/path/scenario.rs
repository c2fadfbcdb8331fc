//! What is sent: request bodies of every size, and streams.

use super::canned::FIELD;
use anyhow::{Context, Result};

/// One kind of load.
pub struct Scenario {
    pub name: &'static str,
    pub what: &'static str,
    pub body_bytes: usize,
    /// Connections, each with one request at a time.
    pub connections: usize,
    /// What the mock is asked for.
    pub mock: Option<&'static str>,
    pub streamed: bool,
    /// Whether all requests are the same.
    pub repeated: bool,
}

pub const ALL: [Scenario; 6] = [
    plain("1k", "1 KB body", 1 << 10),
    plain("16k", "16 KB body", 16 << 10),
    plain("128k", "128 KB body", 128 << 10),
    plain("1m", "1 MB body", 1 << 20),
    Scenario {
        name: "stream",
        what: "100 chunks, flat out",
        body_bytes: 1 << 10,
        connections: 16,
        mock: Some("chunks=100"),
        streamed: true,
        repeated: false,
    },
    Scenario {
        name: "paced",
        what: "100 chunks, 10 ms apart",
        body_bytes: 1 << 10,
        connections: 64,
        mock: Some("chunks=100,chunk-delay=10"),
        streamed: true,
        repeated: false,
    },
];

/// Answers to be read for their usage, by the names that the ready-made provider has for them.
pub const READINGS: [Scenario; 3] = [
    answer("read-1k", "1 KB answer", "1k"),
    answer("read-1m", "1 MB answer", "1m"),
    Scenario {
        streamed: true,
        ..answer("read-stream", "100 chunks, flat out", "stream")
    },
];

/// Requests past a dead provider: one at a time, for what each waits, and many at once.
pub const FAILOVERS: [Scenario; 4] = [
    alone("endpoint", "one of two endpoints"),
    answer("endpoint-16", "the same, 16 at once", "1k"),
    alone("chain", "the first of a chain"),
    answer("chain-16", "the same, 16 at once", "1k"),
];

/// Answers that are kept; each scenario asks for one and the same.
pub const HITS: [Scenario; 7] = [
    kept("floor-1k", "1 KB, a bare Pingora's", "1k"),
    kept("hit-1k", "1 KB", "1k"),
    kept("hit-1k-open", "1 KB, nginx's files open", "1k"),
    kept("hit-1m", "1 MB", "1m"),
    kept("hit-1m-open", "1 MB, nginx's files open", "1m"),
    kept("disk-1k", "1 KB, from a file", "1k"),
    kept("disk-1m", "1 MB, from a file", "1m"),
];

/// Text as people write it, in JSON: with quotation marks, line ends and letters beyond ASCII.
const PROSE: &str = r#"The \"gate\" stands at the end of the road.\nWho pays may pass — those who do not, wait; naïve travellers ask why. "#;
/// Digits of the number that makes each body unique.
pub const SERIAL_DIGITS: usize = 16;
/// Where those digits stand in a template.
const SERIAL: &[u8; SERIAL_DIGITS] = b"################";

const fn plain(name: &'static str, what: &'static str, body_bytes: usize) -> Scenario {
    Scenario {
        name,
        what,
        body_bytes,
        connections: 32,
        mock: None,
        streamed: false,
        repeated: false,
    }
}

const fn answer(name: &'static str, what: &'static str, answer: &'static str) -> Scenario {
    Scenario {
        name,
        what,
        body_bytes: 1 << 10,
        connections: 16,
        mock: Some(answer),
        streamed: false,
        repeated: false,
    }
}

const fn alone(name: &'static str, what: &'static str) -> Scenario {
    Scenario {
        connections: 1,
        ..answer(name, what, "1k")
    }
}

const fn kept(name: &'static str, what: &'static str, mock: &'static str) -> Scenario {
    Scenario {
        repeated: true,
        ..answer(name, what, mock)
    }
}

/// A request as bytes, with a place for its number.
#[derive(Clone)]
pub struct Template {
    pub bytes: Vec<u8>,
    /// Where the number's digits begin, if each is to have its own.
    pub serial_at: Option<usize>,
}

impl Scenario {
    pub fn named(name: &str) -> Result<&'static Self> {
        let mut known = ALL.iter().chain(&READINGS).chain(&HITS);
        let found = known.find(|known| known.name == name);
        found.with_context(|| format!("no such scenario: {name}"))
    }

    /// The request, head and body, for a server at `host`.
    pub fn request(&self, host: &str, method: &str, path: &str) -> Template {
        let body = self.body();
        let mock = match self.mock {
            Some(faults) => format!("{FIELD}: {faults}\r\n"),
            None => String::new(),
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
             accept: application/json\r\nauthorization: Bearer sk-bench-0123456789abcdef\r\n\
             user-agent: bench/1.0\r\n{mock}content-length: {}\r\n\r\n",
            body.len()
        );
        let bytes = [head.as_bytes(), &body].concat();
        let serial_at = memchr::memmem::find(&bytes, SERIAL).filter(|_| !self.repeated);
        Template { bytes, serial_at }
    }

    fn body(&self) -> Vec<u8> {
        let stream = if self.streamed {
            // Asked for by the client itself, the usage comes in the same answer to both sides.
            r#""stream":true,"stream_options":{"include_usage":true},"#
        } else {
            ""
        };
        let mut body = format!(
            r#"{{"model":"mock-model",{stream}"max_tokens":512,"messages":[{{"role":"user","content":""#
        )
        .into_bytes();
        body.extend_from_slice(SERIAL);
        body.extend_from_slice(self.name.as_bytes());
        let end = br#""}]}"#;
        while body.len() + PROSE.len() + end.len() <= self.body_bytes {
            body.extend_from_slice(PROSE.as_bytes());
        }
        body.resize(self.body_bytes.saturating_sub(end.len()), b'.');
        body.extend_from_slice(end);
        body
    }
}
