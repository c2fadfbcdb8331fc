//! Requests and the very bytes that must come back.
//!
//! The mock's answer depends on its question only through the question's CRC-32, so one answer of each sort, fetched
//! from the mock itself, tells all others.

use crate::support::client::Client;
use crate::support::{CHAT_PATH, ECHO_PATH, Request, noise};
use std::net::SocketAddr;
use std::time::Duration;

/// Between two events of a long stream; others are two and four times as fast.
const STREAM_PACE: Duration = Duration::from_millis(200);
/// An upload's pieces, and the pause between two.
pub const PIECE_BYTES: usize = 8 << 10;
pub const PIECES: usize = 12;
pub const PIECE_PACE: Duration = Duration::from_millis(100);

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    Short,
    Stream,
    Upload,
}

/// One request.
pub struct Question {
    pub event: String,
    pub target: &'static str,
    pub fields: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// The body goes out in pieces, with pauses.
    pub slow: bool,
    pub expect: Expect,
}

/// What must come back.
pub enum Expect {
    /// These bytes.
    Body(Vec<u8>),
    /// The mock's echo of a body with this length and CRC-32.
    Echo(usize, u32),
}

/// Knows the answers.
pub struct Book {
    run: String,
    short: Template,
    stream: Template,
    /// What is asked of the mock for a long stream.
    stream_faults: String,
}

/// An answer of the mock, and the CRC-32 that stands in it.
struct Template {
    body: Vec<u8>,
    crc: String,
}

impl Book {
    /// Asks the mock for one answer of each sort.
    pub fn new(mock: SocketAddr, stream_time: Duration) -> Self {
        let events = stream_time.as_millis() / STREAM_PACE.as_millis();
        // A text of a given size is the same for all, so that the CRC is not cut in two.
        let stream_faults = format!("chunks={events},size={}", 6 * events);
        let ask = |body: Vec<u8>, faults: &str| {
            let crc = format!("{:08x}", crc32fast::hash(&body));
            let request = Request::json("/v1/chat/completions", body);
            let mut client = Client::connect(mock);
            client.send(&request.mock(faults).bytes());
            let answer = client.read_answer(false);
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(answer.text().contains(&crc), "{}", answer.text());
            Template {
                body: answer.body,
                crc,
            }
        };
        Self {
            run: format!("{:08x}", fastrand::u32(..)),
            short: ask(chat(0, false), "none"),
            stream: ask(chat(0, true), &stream_faults),
            stream_faults,
        }
    }

    /// The next question of this sort.
    pub fn question(&self, asks: Asks, kind: &str, number: u64) -> Question {
        let event = format!("{}-{}-{number}", self.run, kind.replace(' ', "-"));
        let json = ("content-type", "application/json".to_owned());
        let event_field = ("cf-aig-event-id", event.clone());
        let mut fields = vec![event_field];
        let (target, body, expect) = match asks {
            Asks::Short => {
                fields.push(json);
                let body = chat(number, false);
                let expect = self.short.fill(&body);
                (CHAT_PATH, body, expect)
            }
            Asks::Stream => {
                let pace = STREAM_PACE.as_millis() >> fastrand::u32(0..3);
                fields.push(json);
                let faults = format!("{},chunk-delay={pace}", self.stream_faults);
                fields.push(("x-mock", faults));
                let body = chat(number, true);
                let expect = self.stream.fill(&body);
                (CHAT_PATH, body, expect)
            }
            Asks::Upload => {
                fields.push(("content-type", "application/octet-stream".to_owned()));
                fields.push(("x-mock", "echo".to_owned()));
                let body = noise(PIECE_BYTES * PIECES, number);
                let expect = Expect::Echo(body.len(), crc32fast::hash(&body));
                (ECHO_PATH, body, expect)
            }
        };
        Question {
            event,
            target,
            fields,
            body,
            slow: asks == Asks::Upload,
            expect,
        }
    }
}

impl Template {
    fn fill(&self, question: &[u8]) -> Expect {
        let crc = format!("{:08x}", crc32fast::hash(question));
        let text = String::from_utf8_lossy(&self.body);
        Expect::Body(text.replace(&self.crc, &crc).into_bytes())
    }
}

impl Expect {
    /// What is wrong with so much of a body, if anything.
    pub fn fault(&self, body: &[u8], whole: bool) -> Option<String> {
        match self {
            Self::Body(expected) => {
                let right = match whole {
                    true => expected == body,
                    false => expected.starts_with(body),
                };
                (!right).then(|| {
                    let same = expected.iter().zip(body).take_while(|(a, b)| a == b);
                    format!(
                        "{} bytes of {}, wrong from {} on: {:?}",
                        body.len(),
                        expected.len(),
                        same.count(),
                        String::from_utf8_lossy(&body[body.len().saturating_sub(200)..])
                    )
                })
            }
            Self::Echo(length, crc) => {
                if !whole {
                    return None;
                }
                let shown: Option<serde_json::Value> = serde_json::from_slice(body).ok();
                let right = shown.is_some_and(|shown| {
                    shown["body_bytes"] == *length && shown["body_crc32"] == format!("{crc:08x}")
                });
                (!right).then(|| format!("no echo: {}", String::from_utf8_lossy(body)))
            }
        }
    }
}

/// A chat request, of the same length for every number. It asks for its usage by itself, so that the gateway has
/// nothing to add.
fn chat(number: u64, stream: bool) -> Vec<u8> {
    let stream = match stream {
        true => r#""stream":true,"stream_options":{"include_usage":true},"#,
        false => "",
    };
    let messages = format!(r#"[{{"role":"user","content":"question {number:016}"}}]"#);
    format!(r#"{{"model":"gpt-4o-mini",{stream}"messages":{messages}}}"#).into_bytes()
}
