//! A provider that answers each request as it was answered when it was recorded.

use crate::asking;
use crate::exchange::Exchange;
use crate::support::request::chunk_of;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Names the exchange that a request replays.
pub const REPLAY_ID: &str = "x-replay-id";

/// Listens for as long as the test runs.
pub struct Upstream {
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    exchanges: Arc<BTreeMap<String, Exchange>>,
    /// How often each exchange was asked for.
    asked: Mutex<BTreeMap<String, u32>>,
    faults: Mutex<Vec<String>>,
}

/// A request as it came.
struct Received {
    line: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Upstream {
    pub fn start(exchanges: Arc<BTreeMap<String, Exchange>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            exchanges,
            asked: Mutex::default(),
            faults: Mutex::default(),
        });
        let own = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let state = own.clone();
                // A gateway that hangs up is seen where the answer is missing.
                thread::spawn(move || state.serve(stream.unwrap()).ok());
            }
        });
        Self { address, state }
    }

    /// What came otherwise than it was recorded.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.state.faults.lock().unwrap().clone();
        let asked = self.state.asked.lock().unwrap();
        let often = asked.iter().filter(|(_, count)| **count > 1);
        faults.extend(often.map(|(id, count)| format!("{id} was asked for {count} times")));
        faults
    }
}

impl State {
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(received) = Received::read(&mut reader)? {
            let id = received.field(REPLAY_ID).unwrap_or_default();
            let Some(exchange) = self.exchanges.get(id) else {
                self.blame(format!("no such exchange: {} {id:?}", received.line));
                stream.write_all(b"HTTP/1.1 421 Unknown\r\ncontent-length: 0\r\n\r\n")?;
                continue;
            };
            *self.asked.lock().unwrap().entry(id.to_owned()).or_default() += 1;
            self.compare(exchange, &received);
            answer(exchange, &mut stream)?;
        }
        Ok(())
    }

    fn compare(&self, exchange: &Exchange, received: &Received) {
        let told = format!("{} {}", exchange.id, exchange.provider);
        let (_, path) = exchange.address();
        let line = format!("{} {path} HTTP/1.1", exchange.method);
        if received.line != line {
            self.blame(format!("{told} asked {:?}, not {line:?}", received.line));
        }
        let asked = asking::body(exchange);
        let body = asked.as_ref().unwrap_or(&exchange.request_body);
        if received.body != *body {
            let (came, went) = (received.body.len(), body.len());
            self.blame(format!("{told} another body: {came} bytes of {went}"));
        }
        for (name, value) in &exchange.request_headers {
            let is_coding = asked.is_some() && name == "accept-encoding";
            let value = if is_coding { "identity" } else { value };
            let mut same = received.fields.iter().filter(|(own, _)| own == name);
            if !same.any(|(_, own)| own == value) {
                self.blame(format!("{told} the request lost {name}: {value:?}"));
            }
        }
    }

    fn blame(&self, fault: String) {
        self.faults.lock().unwrap().push(fault);
    }
}

/// Streams go in chunks, other answers in pieces of a known length; each is a write of its own.
fn answer(exchange: &Exchange, stream: &mut TcpStream) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Recorded\r\n", exchange.status);
    for (name, value) in &exchange.response_headers {
        head += &format!("{name}: {value}\r\n");
    }
    let told = asking::answer(exchange);
    let mut rest = told.as_ref().unwrap_or(&exchange.response_body).as_slice();
    head += &if exchange.streaming {
        "transfer-encoding: chunked\r\n\r\n".to_owned()
    } else {
        format!("content-length: {}\r\n\r\n", rest.len())
    };
    stream.write_all(head.as_bytes())?;
    for size in exchange.sizes(rest.len()) {
        let (piece, left) = rest.split_at(size);
        if exchange.streaming {
            stream.write_all(&chunk_of(piece))?;
        } else {
            stream.write_all(piece)?;
        }
        rest = left;
    }
    if exchange.streaming {
        stream.write_all(b"0\r\n\r\n")?;
    }
    Ok(())
}

impl Received {
    /// The next request, none where the connection ends.
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let line = read_line(reader)?;
        if line.is_empty() {
            return Ok(None);
        }
        let mut received = Self {
            line,
            fields: Vec::new(),
            body: Vec::new(),
        };
        while let Some((name, value)) = read_line(reader)?.split_once(':') {
            let field = (name.to_ascii_lowercase(), value.trim().to_owned());
            received.fields.push(field);
        }
        if let Some(length) = received.field("content-length") {
            received.body = vec![0; length.parse().unwrap()];
            reader.read_exact(&mut received.body)?;
        } else if received.field("transfer-encoding") == Some("chunked") {
            received.body = read_chunks(reader)?;
        }
        Ok(Some(received))
    }

    fn field(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(own, _)| own == name);
        field.map(|(_, value)| value.as_str())
    }
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = u64::from_str_radix(&read_line(reader)?, 16).unwrap();
        reader.by_ref().take(size).read_to_end(&mut body)?;
        assert_eq!(read_line(reader)?, "", "a chunk is longer than its size");
        if size == 0 {
            return Ok(body);
        }
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
