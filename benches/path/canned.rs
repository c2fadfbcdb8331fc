//! A provider that gives ready-made answers, to any method alike: the least that can stand behind a gateway.

use anyhow::{Context, Result, ensure};
use memchr::memmem;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The field in which a request names its answer.
pub const FIELD: &str = "x-mock";
/// A query that asks for the same answers in a coding that nobody reads.
pub const SEALED: &str = "?sealed";
const SEALED_LINE: &str = "content-encoding: sealed\r\n";
/// Content chunks of a stream.
const CHUNKS: usize = 100;
/// The text's greater part.
macro_rules! paragraph {
    () => {
        r"Who pays may pass — those who do not, wait. The road behind the gate runs north for a day, along the river, and then climbs; naïve travellers ask why it does not go straight on. Carry water, a second pair of boots, and enough silver for both bridges, since the keepers give no change. In winter the upper half is closed, and whoever is on it then stays until spring.\n\n"
    };
}

/// Text as models write it, in JSON: in recorded answers an escaped quote comes about once a thousand bytes, an
/// escape of any kind once in four hundred.
const PROSE: &str = concat!(
    paragraph!(),
    paragraph!(),
    paragraph!(),
    paragraph!(),
    r#"At the top stands a house that people call \"the lantern\": the keeper sells bread there, and tells who went before.\n- Who pays may pass.\n"#,
);
const PADDING: &str = "q3Vd0xLm7Tz";
const USAGE: &str = r#"{"prompt_tokens":120,"completion_tokens":256,"total_tokens":376,"prompt_tokens_details":{"cached_tokens":64,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}"#;
const NAMES: &str = r#""created":1700000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_1f35c1788c""#;

/// The answers by their names, head and body.
struct Answers {
    plain_1k: Vec<u8>,
    plain_1m: Vec<u8>,
    /// What is written at once: the head with the first chunk, then each chunk by itself.
    stream: Vec<Vec<u8>>,
}

impl Answers {
    /// With one more line in their heads, or none.
    fn new(line: &str) -> Self {
        Self {
            plain_1k: plain(1 << 10, line),
            plain_1m: plain(1 << 20, line),
            stream: stream(line),
        }
    }

    fn named(&self, name: &str) -> Result<&[Vec<u8>]> {
        Ok(match name {
            "1k" => std::slice::from_ref(&self.plain_1k),
            "1m" => std::slice::from_ref(&self.plain_1m),
            _ => {
                ensure!(name == "stream", "no such answer: {name:?}");
                &self.stream
            }
        })
    }
}

/// An answer's type, and its body in the pieces in which it is written.
pub fn pieces(name: &str) -> Result<(&'static str, Vec<Vec<u8>>)> {
    Ok(match name {
        "1k" => ("application/json", vec![body(1 << 10).into_bytes()]),
        "1m" => ("application/json", vec![body(1 << 20).into_bytes()]),
        _ => {
            ensure!(name == "stream", "no such answer: {name:?}");
            let events = events().into_iter().map(String::into_bytes);
            ("text/event-stream", events.collect())
        }
    })
}

fn plain(length: usize, line: &str) -> Vec<u8> {
    let body = body(length);
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{line}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

/// The body of an answer, of `length` bytes as far as its text can be cut.
fn body(length: usize) -> String {
    let lead = format!(
        r#"{{"id":"chatcmpl-0123456789","object":"chat.completion",{NAMES},"choices":[{{"index":0,"message":{{"role":"assistant","content":""#
    );
    let tail = format!(
        r#"","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"}}],"usage":{USAGE}}}"#
    );
    let room = length.saturating_sub(lead.len() + tail.len());
    let mut text = String::new();
    for word in PROSE.split_inclusive(' ').cycle() {
        if text.len() + word.len() > room {
            break;
        }
        text.push_str(word);
    }
    text.push_str(&".".repeat(room - text.len()));
    [lead, text, tail].concat()
}

/// The events of a stream. Each is padded by another length, as OpenAI's are.
fn events() -> Vec<String> {
    let mut number = 0;
    let mut event = |choices: &str, usage: &str| {
        let id = r#""id":"chatcmpl-0123456789","object":"chat.completion.chunk""#;
        let padding = PADDING.get(number % PADDING.len()..).unwrap_or_default();
        number += 5;
        format!(
            "data: {{{id},{NAMES},\"choices\":[{choices}],\"usage\":{usage},\"obfuscation\":\"{padding}\"}}\n\n"
        )
    };
    let choice = |delta: &str, finish: &str| {
        format!(r#"{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}"#)
    };
    let mut events = vec![event(
        &choice(
            r#"{"role":"assistant","content":"","refusal":null}"#,
            "null",
        ),
        "null",
    )];
    let words: Vec<&str> = PROSE.split_inclusive(' ').collect();
    let words = words.iter().cycle().take(CHUNKS);
    events.extend(words.map(|word| {
        let delta = format!(r#"{{"content":"{word}"}}"#);
        event(&choice(&delta, "null"), "null")
    }));
    events.push(event(&choice("{}", "\"stop\""), "null"));
    events.push(event("", USAGE));
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn stream(line: &str) -> Vec<Vec<u8>> {
    let chunk = |event: String| format!("{:x}\r\n{event}\r\n", event.len()).into_bytes();
    let mut writes: Vec<Vec<u8>> = events().into_iter().map(chunk).collect();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{line}transfer-encoding: chunked\r\n\r\n"
    );
    writes.insert(0, head.into_bytes());
    writes.push(b"0\r\n\r\n".to_vec());
    writes
}

/// Serves on `listen` until killed.
pub fn run(listen: &str) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        let answers = Arc::new([Answers::new(""), Answers::new(SEALED_LINE)]);
        loop {
            let (stream, _) = listener.accept().await?;
            let answers = answers.clone();
            tokio::spawn(async move {
                // Who cannot be answered sees the connection close, and counts an error.
                let _ = serve(stream, &answers).await;
            });
        }
    })
}

async fn serve(mut stream: TcpStream, [open, sealed]: &[Answers; 2]) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::with_capacity(16 << 10);
    loop {
        let Some(end) = memmem::find(&received, b"\r\n\r\n") else {
            if stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let head = std::str::from_utf8(received.get(..end).unwrap_or_default())?;
        let length: usize = field(head, "content-length")
            .context("no length")?
            .parse()?;
        let name = field(head, FIELD).context("no answer named")?.to_owned();
        let target = head.lines().next().unwrap_or_default();
        let answers = if target.contains(SEALED) {
            sealed
        } else {
            open
        };
        let whole = end + 4 + length;
        while received.len() < whole {
            ensure!(stream.read_buf(&mut received).await? > 0, "cut off");
        }
        received.drain(..whole);
        for bytes in answers.named(&name)? {
            stream.write_all(bytes).await?;
        }
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = fields.find(|(own, _)| own.eq_ignore_ascii_case(name))?;
    Some(value.trim())
}
