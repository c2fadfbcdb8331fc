//! The load: clients that send one request after the other and look at every answer.

use super::scenario::{SERIAL_DIGITS, Scenario, Template};
use anyhow::{Context, Result, bail, ensure};
use memchr::memmem;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// An answer that takes longer is an error.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// A longer answer is an error.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// A client that saw so many errors gives up.
const ERRORS_MAX: u64 = 20;
/// How long a server may take to give its first answer, and between two tries to reach it.
const START_MAX: Duration = Duration::from_secs(20);
const START_TRY: Duration = Duration::from_micros(500);

/// Numbers all requests of the process.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// Where requests are sent.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    method: &'static str,
    path: String,
}

/// Whichever comes first ends the load.
pub struct Bounds {
    pub time: Duration,
    pub count: u64,
}

/// What came of a load.
#[derive(Default)]
pub struct Tally {
    pub answered: u64,
    pub errors: u64,
    /// How long each answer took, from the first byte sent to the last one read.
    pub times: Vec<Duration>,
    /// The first error, in words.
    pub fault: Option<String>,
}

impl Target {
    pub fn new(address: SocketAddr, path: &str) -> Self {
        Self {
            address,
            method: "POST",
            path: path.to_owned(),
        }
    }

    /// The same by another method.
    pub fn with_method(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    fn request(&self, scenario: &Scenario) -> Template {
        scenario.request(&self.address.to_string(), self.method, &self.path)
    }
}

/// The body length of an answer to this scenario.
pub async fn probe(target: &Target, scenario: &Scenario) -> Result<usize> {
    let mut client = Client::connect(target, scenario, None).await?;
    client.exchange().await
}

/// How long after `begun` the server answers its first request.
pub fn first_answer(target: &Target, begun: Instant) -> Result<Duration> {
    let scenario = Scenario::named("1k")?;
    let template = target.request(scenario);
    while begun.elapsed() < START_MAX {
        let Ok(mut stream) = std::net::TcpStream::connect(target.address) else {
            std::thread::park_timeout(START_TRY);
            continue;
        };
        stream.set_read_timeout(Some(START_MAX))?;
        stream.write_all(&template.bytes)?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        ensure!(&answer == b"HTTP/1.1 200", "{}", answer.escape_ascii());
        return Ok(begun.elapsed());
    }
    bail!("no answer within {START_MAX:?}")
}

/// Clients whose connections are open and have carried a request.
pub struct Crew {
    clients: Vec<Client>,
}

impl Crew {
    /// Every answer has to have a body of `length` bytes.
    pub async fn gather(target: &Target, scenario: &Scenario, length: usize) -> Result<Self> {
        let mut clients = Vec::new();
        for _ in 0..scenario.connections {
            clients.push(Client::connect(target, scenario, Some(length)).await?);
        }
        let mut crew = Self { clients };
        let once = Bounds {
            time: ANSWER_MAX,
            count: scenario.connections as u64,
        };
        match crew.work(&once).await.fault {
            Some(fault) => bail!(fault),
            None => Ok(crew),
        }
    }

    /// Sends until a bound is reached, and waits for the last answers.
    pub async fn work(&mut self, bounds: &Bounds) -> Tally {
        let until = Instant::now() + bounds.time;
        let left = Arc::new(AtomicU64::new(bounds.count));
        let mut working = JoinSet::new();
        for client in self.clients.drain(..) {
            working.spawn(client.work(until, left.clone()));
        }
        let mut all = Tally::default();
        while let Some(ended) = working.join_next().await {
            match ended {
                Ok((client, tally)) => {
                    self.clients.push(client);
                    all.add(tally);
                }
                Err(fault) => all.add(Tally::failed(fault.to_string())),
            }
        }
        all
    }
}

impl Tally {
    fn failed(fault: String) -> Self {
        Self {
            errors: 1,
            fault: Some(fault),
            ..Self::default()
        }
    }

    fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.errors += other.errors;
        self.times.extend(other.times);
        self.fault = self.fault.take().or(other.fault);
    }
}

/// One connection.
struct Client {
    stream: TcpStream,
    address: SocketAddr,
    request: Template,
    answer: Vec<u8>,
    length: Option<usize>,
}

impl Client {
    async fn connect(target: &Target, scenario: &Scenario, length: Option<usize>) -> Result<Self> {
        Ok(Self {
            stream: open(target.address).await?,
            address: target.address,
            request: target.request(scenario),
            answer: Vec::with_capacity(64 << 10),
            length,
        })
    }

    async fn work(mut self, until: Instant, left: Arc<AtomicU64>) -> (Self, Tally) {
        let mut tally = Tally::default();
        while Instant::now() < until && tally.errors < ERRORS_MAX {
            let take = |left: u64| left.checked_sub(1);
            let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
            if taken.is_err() {
                break;
            }
            let begun = Instant::now();
            let fault = match timeout(ANSWER_MAX, self.exchange()).await {
                Ok(Ok(_)) => {
                    tally.answered += 1;
                    tally.times.push(begun.elapsed());
                    continue;
                }
                Ok(Err(fault)) => format!("{fault:#}"),
                Err(_) => format!("no answer within {ANSWER_MAX:?}"),
            };
            tally.add(Tally::failed(fault));
            match open(self.address).await {
                Ok(stream) => self.stream = stream,
                Err(fault) => tally.add(Tally::failed(fault.to_string())),
            }
        }
        (self, tally)
    }

    /// One request and its answer; the length of the answer's body.
    async fn exchange(&mut self) -> Result<usize> {
        if let Some(at) = self.request.serial_at {
            let number = SERIAL.fetch_add(1, Ordering::Relaxed);
            let digits = format!("{number:0SERIAL_DIGITS$}");
            let place = self.request.bytes.get_mut(at..at + SERIAL_DIGITS);
            let place = place.context("the request has no place for its number")?;
            place.copy_from_slice(digits.as_bytes());
        }
        self.stream.write_all(&self.request.bytes).await?;
        let length = self.read_answer().await?;
        if let Some(expected) = self.length {
            ensure!(
                length == expected,
                "a body of {length} bytes, not {expected}"
            );
        }
        Ok(length)
    }

    async fn read_answer(&mut self) -> Result<usize> {
        self.answer.clear();
        let mut head = None;
        loop {
            if head.is_none() {
                head = Head::read(&self.answer)?;
            }
            if let Some(head) = &head
                && let Some(length) = head.body_length(&self.answer)?
            {
                return Ok(length);
            }
            ensure!(
                self.answer.len() < ANSWER_BYTES_MAX,
                "the answer does not end"
            );
            let count = self.stream.read_buf(&mut self.answer).await?;
            ensure!(
                count > 0,
                "the connection closed after {} bytes",
                self.answer.len()
            );
        }
    }
}

async fn open(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What the head of an answer says about its body.
struct Head {
    body_at: usize,
    /// `None` where it comes in chunks.
    length: Option<usize>,
}

impl Head {
    fn read(answer: &[u8]) -> Result<Option<Self>> {
        let Some(end) = memmem::find(answer, b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = std::str::from_utf8(answer.get(..end).unwrap_or_default())?;
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or_default();
        ensure!(status.starts_with("HTTP/1.1 200"), "{status}");
        let lengths = lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then_some(value)
        });
        let length = lengths.map(|value| value.trim().parse()).next();
        Ok(Some(Self {
            body_at: end + 4,
            length: length.transpose()?,
        }))
    }

    /// The body's length, once it is there whole.
    fn body_length(&self, answer: &[u8]) -> Result<Option<usize>> {
        let body = answer.get(self.body_at..).unwrap_or_default();
        match self.length {
            Some(length) => Ok((body.len() >= length).then_some(length)),
            None if body.ends_with(b"\r\n0\r\n\r\n") => Ok(Some(count_chunks(body)?)),
            None => Ok(None),
        }
    }
}

/// The bytes inside the chunks (RFC 9112, 7.1).
fn count_chunks(mut body: &[u8]) -> Result<usize> {
    let mut total = 0;
    loop {
        let end = memmem::find(body, b"\r\n").context("a chunk without a size")?;
        let digits = std::str::from_utf8(body.get(..end).unwrap_or_default())?;
        let size = usize::from_str_radix(digits, 16)?;
        if size == 0 {
            return Ok(total);
        }
        total += size;
        body = body.get(end + 2 + size + 2..).context("a chunk cut off")?;
    }
}
