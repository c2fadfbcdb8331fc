//! One kind of hostile input: what is sent, what has to come back, and how both are compared.

use crate::support::client::{Answer, Client, End};
use crate::support::gateway::Gateway;
use crate::support::{CHAT, CHAT_PATH, Mock, Request, wait};
use std::thread;
use std::time::Duration;

/// A request that must never reach the provider: it stands where only a wrong idea of the former
/// request's end makes it one.
pub const SMUGGLED: &[u8] =
    b"GET /v1/acc/default/openai/smuggled HTTP/1.1\r\nhost: gateway.test\r\n\r\n";
/// Between the parts of a script, so that they come in reads of their own.
const APART: Duration = Duration::from_millis(60);

pub enum Step {
    Send(Vec<u8>),
    Pause,
    HalfClose,
    /// Ends the connection with RST.
    Reset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Our envelope with this status, then the end of the connection and nothing else.
    Closes(u16),
    /// Our envelope with this status.
    Refuses(u16),
    /// The same for a request whose head has reached the provider.
    Streams(u16),
    /// The provider's answer with this status.
    Passes(u16),
    /// The end of the connection without a byte, as there is nobody or nothing to answer.
    HangsUp,
    /// Nothing is asked for but that the gateway lives on.
    Survives,
}

pub struct Case {
    pub name: String,
    pub script: Vec<Step>,
    pub expect: Expect,
}

impl Case {
    pub fn new(name: &str, bytes: impl Into<Vec<u8>>, expect: Expect) -> Self {
        Self::script(name, vec![Step::Send(bytes.into())], expect)
    }

    pub fn script(name: &str, script: Vec<Step>, expect: Expect) -> Self {
        let name = name.to_owned();
        Self {
            name,
            script,
            expect,
        }
    }

    fn closes(&self) -> bool {
        matches!(self.expect, Expect::Closes(_) | Expect::Streams(_))
    }

    fn is_head(&self) -> bool {
        matches!(self.script.first(), Some(Step::Send(bytes)) if bytes.starts_with(b"HEAD "))
    }
}

/// A chat request with these lines in its head, and no framing but what they give.
pub fn chat(lines: &[u8], body: &[u8]) -> Vec<u8> {
    let line = format!("POST {CHAT_PATH} HTTP/1.1\r\nhost: gateway.test\r\n");
    let lines = [b"content-type: application/json\r\n", lines].concat();
    [line.as_bytes(), &lines, b"\r\n", body].concat()
}

/// A chat request that is sound but for one more line.
pub fn chat_with(line: &[u8]) -> Vec<u8> {
    let length = format!("content-length: {}\r\n", CHAT.len());
    chat(
        &[length.as_bytes(), line, b"\r\n"].concat(),
        CHAT.as_bytes(),
    )
}

/// A GET with this request line and a host.
pub fn line(line: impl AsRef<[u8]>) -> Vec<u8> {
    [line.as_ref(), b"\r\nhost: gateway.test\r\n\r\n"].concat()
}

/// Throws every case at one gateway, and tells of all that went wrong together.
pub fn throw(cases: Vec<Case>, mut gateway: Gateway, mock: &Mock) {
    let mut faults = Vec::new();
    for case in &cases {
        if let Err(fault) = try_case(case, &gateway, mock) {
            faults.push(format!("{}: {fault}", case.name));
        }
        assert!(gateway.process.ended().is_none(), "{} ended it", case.name);
    }
    let notes = gateway.process.stderr();
    assert!(!notes.contains("panicked"), "{notes}");
    let count = faults.len();
    let total = cases.len();
    assert!(
        faults.is_empty(),
        "{count} of {total} cases:\n{}",
        faults.join("\n")
    );
}

fn try_case(case: &Case, gateway: &Gateway, mock: &Mock) -> Result<(), String> {
    mock.reset();
    let outcome = play(case, gateway);
    check(case, outcome)?;
    let reached = u64::from(matches!(
        case.expect,
        Expect::Passes(_) | Expect::Streams(_)
    ));
    let idle = || (gateway.metric("tollgate_in_flight") == 0.0).then_some(());
    if wait::within(wait::LONG, idle).is_none() {
        return Err("requests are still in flight".to_owned());
    }
    let stats = mock.stats();
    if stats["paths"]["/v1/smuggled"].is_u64() {
        return Err("a smuggled request reached the provider".to_owned());
    }
    if case.expect != Expect::Survives && stats["requests"] != reached {
        return Err(format!("the provider saw {}", stats["requests"]));
    }
    let healthy = gateway.send(&Request::json(CHAT_PATH, CHAT));
    if healthy.status != 200 {
        return Err(format!("afterwards a sound request got {}", healthy.status));
    }
    Ok(())
}

/// The answer, where one came, and whether anything came after it.
fn play(case: &Case, gateway: &Gateway) -> (Option<Answer>, Option<u16>) {
    let mut client = gateway.connect();
    let mut sending = Vec::new();
    for (index, step) in case.script.iter().enumerate() {
        match step {
            // The gateway may refuse and close before it has everything.
            Step::Send(bytes) if bytes.len() > 64 << 10 => {
                sending.push(client.send_aside(bytes.clone()));
            }
            Step::Send(bytes) => {
                if index > 0 {
                    thread::park_timeout(APART);
                }
                client.try_send(bytes).ok();
            }
            Step::Pause => thread::park_timeout(APART),
            Step::HalfClose => client.half_close(),
            Step::Reset => {
                let socket = socket2::SockRef::from(&client.stream);
                socket.set_linger(Some(Duration::ZERO)).unwrap();
                return (None, None);
            }
        }
    }
    let first = client.try_read_answer(case.is_head()).ok();
    let more = next_status(case, &mut client, first.as_ref());
    drop(client);
    for thread in sending {
        thread.join().unwrap().ok();
    }
    (first, more)
}

/// The status of a second answer, asked for only where there must be none.
fn next_status(case: &Case, client: &mut Client, first: Option<&Answer>) -> Option<u16> {
    let closing = first.is_some_and(|answer| answer.field("connection") == Some("close"));
    if !case.closes() || !closing {
        return None;
    }
    client.try_send(SMUGGLED).ok();
    client.stream.shutdown(std::net::Shutdown::Write).ok();
    client
        .try_read_answer(false)
        .ok()
        .map(|answer| answer.status)
}

fn check(case: &Case, (answer, more): (Option<Answer>, Option<u16>)) -> Result<(), String> {
    let (status, ours) = match case.expect {
        Expect::Survives => return Ok(()),
        Expect::HangsUp => {
            return answer.map_or(Ok(()), |answer| Err(format!("answered {}", answer.status)));
        }
        Expect::Closes(status) | Expect::Streams(status) | Expect::Refuses(status) => {
            (status, true)
        }
        Expect::Passes(status) => (status, false),
    };
    let answer = answer.ok_or_else(|| format!("no answer, expected {status}"))?;
    let text = answer.text().chars().take(600).collect::<String>();
    if answer.status != status {
        return Err(format!("{} instead of {status}: {text}", answer.status));
    }
    if answer.end != End::Whole || answer.all("cf-aig-log-id").len() != 1 {
        return Err(format!("{:?}, {:?}", answer.end, answer.fields));
    }
    if !ours {
        return Ok(());
    }
    let envelope = answer.json();
    if envelope["success"] != false || envelope["httpCode"] != status {
        return Err(format!("not our envelope: {text}"));
    }
    let description = envelope["description"].as_str().unwrap_or_default();
    if description.is_empty() || description.len() > 400 {
        return Err(format!("the description is no sentence: {text}"));
    }
    if case.closes() {
        if answer.field("connection") != Some("close") {
            return Err(format!("not closed: {:?}", answer.field("connection")));
        }
        if let Some(more) = more {
            return Err(format!("{more} came after the refusal"));
        }
    }
    Ok(())
}
