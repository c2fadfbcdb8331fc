//! A client over a real socket, which keeps what came back and how it ended.

mod requests;
mod wire;

use super::*;
use serde_json::Value;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const CHAT: &str = "/v1/chat/completions";
const PLAIN: &str = r#"{"model":"m","messages":[]}"#;
const STREAM: &str = r#"{"model":"m","stream":true,"messages":[]}"#;
/// A server that said nothing in so many rounds is silent. It runs in the same thread, which has one
/// round behind it however long it is held up.
const ROUNDS: usize = 20;
const ROUND: Duration = Duration::from_millis(10);

#[derive(Debug, PartialEq)]
enum End {
    Fin,
    Reset,
    Silence,
}

/// What came back, until the connection ended or fell silent.
struct Seen {
    head: String,
    body: Vec<u8>,
    end: End,
}

impl Seen {
    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The body of its chunks, and how many there were; panics unless it ends well.
    fn unchunk(&self) -> (Vec<u8>, usize) {
        let (mut rest, mut body, mut count) = (&self.body[..], Vec::new(), 0);
        loop {
            let end = memchr::memmem::find(rest, b"\r\n").unwrap();
            let size =
                usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
            if size == 0 {
                return (body, count);
            }
            body.extend_from_slice(&rest[end + 2..end + 2 + size]);
            rest = &rest[end + 2 + size + 2..];
            count += 1;
        }
    }
}

async fn start(script: Option<&str>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(
        listener,
        script.map(|script| Script::parse(script).unwrap()),
    ));
    address
}

async fn read(stream: &mut TcpStream) -> (Vec<u8>, End) {
    let mut bytes = Vec::new();
    loop {
        match read_some(stream, &mut bytes).await {
            None => return (bytes, End::Silence),
            Some(Ok(0)) => return (bytes, End::Fin),
            Some(Ok(_)) => {}
            Some(Err(error)) if error.kind() == ErrorKind::ConnectionReset => {
                return (bytes, End::Reset);
            }
            Some(Err(error)) => panic!("{error}"),
        }
    }
}

/// `None` where the server is silent.
async fn read_some(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<std::io::Result<usize>> {
    for _ in 0..ROUNDS {
        if let Ok(read) = timeout(ROUND, stream.read_buf(bytes)).await {
            return Some(read);
        }
    }
    None
}

fn write_request(path: &str, faults: &str, body: &str) -> String {
    let mock = if faults.is_empty() {
        String::new()
    } else {
        format!("x-mock: {faults}\r\n")
    };
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: mock\r\n{mock}content-length: {length}\r\n\r\n{body}")
}

async fn exchange(address: SocketAddr, request: &str) -> Seen {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut bytes, end) = read(&mut stream).await;
    let split = head::find_end(&bytes).unwrap_or(bytes.len());
    let body = bytes.split_off(split);
    Seen {
        head: String::from_utf8_lossy(&bytes).into_owned(),
        body,
        end,
    }
}

async fn chat(faults: &str, body: &str) -> Seen {
    exchange(start(None).await, &write_request(CHAT, faults, body)).await
}

async fn control(address: SocketAddr, path: &str) -> Value {
    let request = format!("GET /__mock/{path} HTTP/1.1\r\nconnection: close\r\n\r\n");
    serde_json::from_slice(&exchange(address, &request).await.body).unwrap()
}
