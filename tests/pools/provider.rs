//! A provider within the test, which keeps every request to the byte and answers as it is told.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub head: String,
    pub body: Vec<u8>,
}

/// What is answered: a status, and fields, each with its line's end.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub fields: String,
}

/// Serves until the process ends.
pub struct Provider {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Seen {
    /// All values of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let named = lines.filter(|(own, _)| own.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value).collect()
    }

    /// The request line's target.
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    /// The key, whichever field it is in, without `Bearer`.
    pub fn key(&self) -> Option<&str> {
        let value = *self.all("authorization").first()?;
        Some(value.trim_start_matches("Bearer "))
    }
}

impl From<u16> for Reply {
    fn from(status: u16) -> Self {
        let fields = String::new();
        Self { status, fields }
    }
}

impl Provider {
    pub fn start<R: Into<Reply>>(answer: impl Fn(&Seen) -> R + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (kept, answer) = (seen.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, answer) = (kept.clone(), answer.clone());
                thread::spawn(move || {
                    while let Some(request) = read(&stream) {
                        kept.lock().unwrap().push(request.clone());
                        let reply = answer(&request).into();
                        if send(&stream, &reply).is_none() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, seen }
    }

    /// One that is always well.
    pub fn well() -> Self {
        Self::start(|_| 200)
    }

    /// What came since this was asked last.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// How many came with this key.
    pub fn seen_with(&self, key: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|one| one.key() == Some(key)).count()
    }

    /// The only request that came since this was asked last.
    pub fn take_one(&self) -> Seen {
        let mut seen = self.take();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }
}

fn read(mut stream: &TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let body = Vec::new();
            let mut seen = Seen { head, body };
            let length = seen.all("content-length").first().map_or("0", |text| *text);
            let length: usize = length.parse().ok()?;
            if bytes.len() >= end + 4 + length {
                seen.body = bytes[end + 4..].to_vec();
                return Some(seen);
            }
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

fn send(mut stream: &TcpStream, reply: &Reply) -> Option<()> {
    let body = if reply.status < 400 {
        r#"{"choices":[{"message":{"content":"word"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#
    } else {
        r#"{"error":{"message":"no"}}"#
    };
    let head = format!(
        "HTTP/1.1 {} Any\r\ncontent-type: application/json\r\n{}content-length: {}\r\n\r\n",
        reply.status,
        reply.fields,
        body.len()
    );
    stream.write_all((head + body).as_bytes()).ok()
}
