//! A provider that does what each request's `x-way` asks, and reports what its `x-usage` says.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Between two pieces of a stream whose client leaves.
const PACE: Duration = Duration::from_millis(10);
/// Pieces of such a stream: they take far longer than a client needs to leave.
const PIECES: usize = 200;

pub struct Provider {
    pub address: SocketAddr,
    seen: Seen,
}

/// The numbers of the requests that have come.
type Seen = Arc<Mutex<HashSet<String>>>;

impl Provider {
    /// Serves until the process ends.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let provider = Self {
            address,
            seen: Seen::default(),
        };
        let seen = Arc::clone(&provider.seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                thread::spawn(move || serve(&stream, &seen));
            }
        });
        provider
    }

    pub fn has_seen(&self, number: usize) -> bool {
        self.seen.lock().unwrap().contains(&number.to_string())
    }
}

/// One request, with which its connection ends: on one that was used before, a gateway would send a request again
/// that got no answer, and count it once.
fn serve(mut stream: &TcpStream, seen: &Seen) -> Option<()> {
    let head = read_request(stream)?;
    let field = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.filter(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned()).next()
    };
    let usage = field("x-usage")?;
    let (input, output) = usage.split_once(',')?;
    let usage = format!(r#""usage":{{"prompt_tokens":{input},"completion_tokens":{output}}}"#);
    let is_first = seen.lock().ok()?.insert(field("x-number")?);
    let way = field("x-way")?;
    let way = match way.split_once(" then ") {
        Some((first, _)) if is_first => first,
        Some((_, then)) => then,
        None => &way,
    };
    match way {
        "Plain" => send_plain(
            stream,
            200,
            &format!(
                r#"{{"choices":[{{"message":{{"content":"word"}},"finish_reason":"stop"}}],{usage}}}"#
            ),
        ),
        "CutPlain" => {
            let text = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 400\r\n\r\n\
                {\"choices\":[{\"message\":{\"content\":\"word word word\"}}";
            stream.write_all(text.as_bytes()).ok()
        }
        "ServerError" => send_plain(stream, 500, r#"{"error":{"message":"broken"}}"#),
        "Close" => Some(()),
        "Hang" | "LeaveEarly" => {
            let _ = stream.read(&mut [0; 1]);
            Some(())
        }
        "Stream" => {
            begin_stream(stream)?;
            send_words(stream, 3, Duration::ZERO)?;
            end_stream(stream, Some(&usage))
        }
        "SilentStream" => {
            begin_stream(stream)?;
            send_words(stream, 3, Duration::ZERO)?;
            end_stream(stream, None)
        }
        "Leave" | "LeaveDrained" => {
            begin_stream(stream)?;
            send_words(stream, PIECES, PACE)?;
            end_stream(stream, Some(&usage))
        }
        cut => {
            let pieces = cut.strip_prefix("CutStream(")?.strip_suffix(')')?;
            begin_stream(stream)?;
            send_words(stream, pieces.parse().ok()?, Duration::ZERO)
        }
    }
}

/// The head as text; the body is read and dropped.
fn read_request(mut stream: &TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = text.to_lowercase();
            let length = length.split("content-length: ").nth(1)?;
            let length: usize = length.split("\r\n").next()?.parse().ok()?;
            if bytes.len() >= head.len() + 4 + length {
                return Some(head.to_owned());
            }
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

fn send_plain(mut stream: &TcpStream, status: u16, body: &str) -> Option<()> {
    let head = format!(
        "HTTP/1.1 {status} Any\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).ok()
}

fn begin_stream(mut stream: &TcpStream) -> Option<()> {
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\
        transfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).ok()
}

fn send_event(mut stream: &TcpStream, data: &str) -> Option<()> {
    let event = format!("data: {data}\n\n");
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    stream.write_all(chunk.as_bytes()).ok()
}

fn send_words(stream: &TcpStream, count: usize, pace: Duration) -> Option<()> {
    for _ in 0..count {
        send_event(stream, r#"{"choices":[{"delta":{"content":"word "}}]}"#)?;
        thread::park_timeout(pace);
    }
    Some(())
}

fn end_stream(mut stream: &TcpStream, usage: Option<&str>) -> Option<()> {
    send_event(
        stream,
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
    )?;
    if let Some(usage) = usage {
        send_event(stream, &format!(r#"{{"choices":[],{usage}}}"#))?;
    }
    send_event(stream, "[DONE]")?;
    stream.write_all(b"0\r\n\r\n").ok()
}
