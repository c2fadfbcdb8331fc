//! A blocking HTTP/1.1 client that hides nothing: raw bytes out; heads, chunks and ends in.

use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// No test waits longer than this for a byte.
const READ_MAX: Duration = Duration::from_secs(20);

/// A connection.
pub struct Client {
    pub stream: TcpStream,
    received: Vec<u8>,
    body: Body,
    pub trailers: Vec<(String, String)>,
}

/// What is still to come of the current answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

/// An answer's status line and fields.
#[derive(Clone, Debug)]
pub struct Head {
    pub status: u16,
    pub line: String,
    /// In their order, names as they came.
    pub fields: Vec<(String, String)>,
}

/// How an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// As its framing promised.
    Whole,
    /// With the connection, which is the end that was announced.
    Closed,
    /// Before its end.
    Broken(String),
}

/// A whole answer, or as much of it as came.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The body's chunks, or the pieces in which it was read.
    pub pieces: Vec<Vec<u8>>,
    /// The status of each interim answer that came before.
    pub interim: Vec<u16>,
    pub end: End,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).unwrap()
    }

    pub fn try_connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, READ_MAX)?;
        stream.set_read_timeout(Some(READ_MAX))?;
        stream.set_write_timeout(Some(READ_MAX))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::new(),
            body: Body::None,
            trailers: Vec::new(),
        })
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap();
    }

    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends while another thread of control reads, so that neither waits for the other.
    pub fn send_aside(&self, bytes: Vec<u8>) -> std::thread::JoinHandle<io::Result<()>> {
        let mut stream = self.stream.try_clone().unwrap();
        std::thread::spawn(move || stream.write_all(&bytes))
    }

    /// Ends our side; the other may still answer.
    pub fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The next head, interim ones too. `bodiless` is true for the answer to HEAD.
    pub fn read_head(&mut self, bodiless: bool) -> Head {
        self.try_read_head(bodiless).unwrap()
    }

    pub fn try_read_head(&mut self, bodiless: bool) -> io::Result<Head> {
        let end = loop {
            if let Some(end) = find(&self.received, b"\r\n\r\n") {
                break end;
            }
            self.fill()?;
        };
        let raw: Vec<u8> = self.received.drain(..end + 4).collect();
        let head = Head::parse(&String::from_utf8_lossy(&raw));
        self.body = if bodiless || head.status < 200 || matches!(head.status, 204 | 304) {
            Body::None
        } else if head.all("transfer-encoding").contains(&"chunked") {
            Body::Chunked
        } else if let Some(length) = head.field("content-length") {
            Body::Length(length.parse().unwrap())
        } else {
            Body::UntilClose
        };
        Ok(head)
    }

    /// The next chunk, or what came next of a body without chunks; `None` at its proper end.
    pub fn next_piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.body {
            Body::None | Body::Length(0) => Ok(None),
            Body::Length(left) => {
                if self.received.is_empty() {
                    self.fill()?;
                }
                let count = self.received.len().min(usize::try_from(left).unwrap());
                self.body = Body::Length(left - count as u64);
                Ok(Some(self.received.drain(..count).collect()))
            }
            Body::UntilClose => {
                if self.received.is_empty()
                    && let Err(error) = self.fill()
                {
                    self.body = Body::None;
                    return match error.kind() {
                        io::ErrorKind::UnexpectedEof => Ok(None),
                        _ => Err(error),
                    };
                }
                Ok(Some(std::mem::take(&mut self.received)))
            }
            Body::Chunked => self.next_chunk(),
        }
    }

    fn next_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.read_line()?;
        let digits = line.split(';').next().unwrap().trim();
        let size = usize::from_str_radix(digits, 16);
        let size = size.map_err(|_| io::Error::other(format!("no chunk size: {line:?}")))?;
        if size > 0 {
            while self.received.len() < size + 2 {
                self.fill()?;
            }
            let chunk = self.received.drain(..size).collect();
            assert_eq!(self.read_line()?, "", "a chunk is longer than its size");
            return Ok(Some(chunk));
        }
        self.body = Body::None;
        loop {
            let line = self.read_line()?;
            let Some((name, value)) = line.split_once(':') else {
                return Ok(None);
            };
            let trailer = (name.to_owned(), value.trim().to_owned());
            self.trailers.push(trailer);
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.received, b"\r\n") {
                let line: Vec<u8> = self.received.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.fill()?;
        }
    }

    /// A whole answer; fails when no head came.
    pub fn read_answer(&mut self, bodiless: bool) -> Answer {
        self.try_read_answer(bodiless).unwrap()
    }

    pub fn try_read_answer(&mut self, bodiless: bool) -> io::Result<Answer> {
        let mut interim = Vec::new();
        let head = loop {
            let head = self.try_read_head(bodiless)?;
            if head.status >= 200 {
                break head;
            }
            interim.push(head.status);
        };
        let until_close = self.body == Body::UntilClose;
        let mut pieces = Vec::new();
        let end = loop {
            match self.next_piece() {
                Ok(Some(piece)) => pieces.push(piece),
                Ok(None) if until_close => break End::Closed,
                Ok(None) => break End::Whole,
                Err(error) => break End::Broken(error.to_string()),
            }
        };
        Ok(Answer {
            status: head.status,
            fields: head.fields,
            body: pieces.concat(),
            pieces,
            interim,
            end,
        })
    }

    /// Whether the other side has closed; whatever it sends before is dropped.
    pub fn is_closed(&mut self) -> bool {
        loop {
            match self.fill() {
                Ok(()) => self.received.clear(),
                Err(error) => {
                    return !matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    );
                }
            }
        }
    }

    /// Whether nothing comes within this time.
    pub fn is_silent_for(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).unwrap();
        let silent = self.received.is_empty()
            && self.fill().is_err_and(|error| {
                matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                )
            });
        self.stream.set_read_timeout(Some(READ_MAX)).unwrap();
        silent
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut piece = [0; 64 << 10];
        match self.stream.read(&mut piece)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.received.extend_from_slice(&piece[..count]);
                Ok(())
            }
        }
    }
}

impl Head {
    fn parse(text: &str) -> Self {
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
        let fields = lines.filter_map(|line| line.split_once(':'));
        Self {
            status: status.unwrap_or_else(|| panic!("no status line: {text:?}")),
            line,
            fields: fields
                .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
                .collect(),
        }
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        all(&self.fields, name)
    }
}

impl Answer {
    /// The only value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} came {} times", all.len());
        all.first().copied()
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        all(&self.fields, name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        let read = serde_json::from_slice(&self.body);
        read.unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    /// The status and the code of a refusal.
    pub fn refusal(&self) -> (u16, u64) {
        let code = self.json()["error"][0]["code"].as_u64();
        (
            self.status,
            code.unwrap_or_else(|| panic!("{}", self.text())),
        )
    }
}

fn all<'a>(fields: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    let named = fields
        .iter()
        .filter(|(own, _)| own.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.as_str()).collect()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
