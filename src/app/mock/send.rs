//! Sending an answer, with every fault of head, framing, pace and ending.

use super::answer::{Answer, Body, Piece};
use super::fault::{Ending, Faults, Framing, Split};
use super::link::Link;
use std::borrow::Cow;
use std::io::{self, Write};
use std::time::Duration;

/// Up to here a body's bytes travel in the same write as what is before them.
const JOINED_BYTES: usize = 32 << 10;
/// `endless` without `chunk-delay` is paced by this.
const ENDLESS_PACE: Duration = Duration::from_millis(1);
/// Pieces into which a paced whole body is cut when `chunks` does not say.
const PARTS: usize = 5;

/// What the request wants of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// The client speaks HTTP/1.0 and knows no chunks.
    pub http10: bool,
    /// The client wants the connection closed.
    pub closes: bool,
    /// The answer has no body (HEAD).
    pub bodiless: bool,
}

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Again,
    Close,
    Reset,
    /// Nothing more to say or to read.
    Drop,
}

/// Sends one answer. An error means that the client left before it was finished.
pub async fn send(
    link: &mut Link,
    answer: Answer,
    faults: &Faults,
    manner: Manner,
) -> io::Result<Next> {
    link.pause(faults.wire.delay).await?;
    match faults.wire.ending {
        Ending::Close => return Ok(Next::Close),
        Ending::Hang => return Err(link.outlast().await),
        _ => {}
    }
    if faults.head.interim {
        link.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </mock>; rel=preload\r\n\r\n")
            .await?;
    }
    if faults.head.garbage_head {
        link.send(b"\x00\x01\x02 this is not HTTP \xff\xfe\r\n\r\n")
            .await?;
        return Ok(Next::Close);
    }
    let answer = pace(answer, faults);
    let pieces = encode(&answer.body, faults);
    let framing = choose_framing(&answer, faults, manner);
    let (pieces, length): (Pieces<'_>, u64) = match framing {
        Framing::Length => {
            let pieces: Vec<_> = pieces.collect();
            let length = pieces.iter().map(|piece| piece.len() as u64).sum();
            (Box::new(pieces.into_iter()), length)
        }
        _ => (pieces, 0),
    };
    let promised = faults.head.content_length.unwrap_or(length);
    let closes = manner.closes || framing == Framing::Eof || faults.head.http10;
    let head = write_head(&answer, faults, framing, promised, closes);
    if faults.wire.ending == Ending::HalfClose {
        link.send(&head).await?;
        link.half_close().await?;
        return Ok(Next::Drop);
    }
    if manner.bodiless || matches!(answer.status, 204 | 304) {
        link.send(&head).await?;
        return Ok(if closes { Next::Close } else { Next::Again });
    }
    let mut sender = Sender::new(link, head, framing, faults);
    sender.send_body(pieces).await?;
    match faults.wire.ending {
        Ending::ResetAt(_) => return Ok(Next::Reset),
        Ending::CutAt(_) => return Ok(Next::Close),
        Ending::HangAt(_) => return Err(link.outlast().await),
        _ => {}
    }
    let short = framing == Framing::Length && promised > length;
    Ok(if closes || short {
        Next::Close
    } else {
        Next::Again
    })
}

type Pieces<'a> = Box<dyn Iterator<Item = Piece<'a>> + Send + 'a>;

fn pace(mut answer: Answer, faults: &Faults) -> Answer {
    if faults.wire.chunk_delay.is_some() {
        answer.body = answer.body.in_parts(faults.content.chunks.unwrap_or(PARTS));
    }
    answer
}

fn encode<'a>(body: &'a Body, faults: &Faults) -> Pieces<'a> {
    let pieces = body.pieces(faults.content.endless);
    match faults.head.coding {
        Some(coding) => Box::new(coding.encode(pieces)),
        None => Box::new(pieces.map(Cow::Borrowed)),
    }
}

fn choose_framing(answer: &Answer, faults: &Faults, manner: Manner) -> Framing {
    let old = faults.head.http10 || manner.http10;
    let wanted = match (&answer.body, faults.head.framing) {
        _ if faults.head.content_length.is_some() => Framing::Length,
        _ if faults.head.trailers => Framing::Chunked,
        (_, Some(framing)) => framing,
        (Body::Whole(_), None) => Framing::Length,
        (Body::Stream(_), None) => Framing::Chunked,
    };
    match wanted {
        Framing::Length if faults.content.endless && faults.head.content_length.is_none() => {
            if old { Framing::Eof } else { Framing::Chunked }
        }
        Framing::Chunked if old => Framing::Eof,
        wanted => wanted,
    }
}

fn write_head(
    answer: &Answer,
    faults: &Faults,
    framing: Framing,
    length: u64,
    closes: bool,
) -> Vec<u8> {
    let mut head = Vec::with_capacity(1024);
    let version = if faults.head.http10 {
        "HTTP/1.0"
    } else {
        "HTTP/1.1"
    };
    let reason = http::StatusCode::from_u16(answer.status).ok();
    let reason = reason
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Mock");
    // Writing to memory cannot fail, here and below.
    let _ = write!(head, "{version} {} {reason}\r\n", answer.status);
    let bodiless = matches!(answer.status, 204 | 304);
    if !bodiless {
        let _ = write!(head, "content-type: {}\r\n", answer.content_type);
    }
    match framing {
        Framing::Length if !bodiless => {
            let _ = write!(head, "content-length: {length}\r\n");
        }
        Framing::Chunked if !bodiless => head.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        _ => {}
    }
    if let Some(coding) = faults.head.coding.filter(|_| !bodiless) {
        let _ = write!(head, "content-encoding: {}\r\n", coding.name());
    }
    if let Some(seconds) = faults.content.retry_after_s {
        let _ = write!(head, "retry-after: {seconds}\r\n");
    }
    if faults.head.trailers {
        head.extend_from_slice(b"trailer: x-mock-trailer\r\n");
    }
    if closes {
        head.extend_from_slice(b"connection: close\r\n");
    }
    for (name, value) in &answer.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    for index in 0..faults.head.many_headers {
        let _ = write!(head, "x-mock-{index}: {index}\r\n");
    }
    if faults.head.huge_header_kib > 0 {
        head.extend_from_slice(b"x-mock-huge: ");
        head.resize(head.len() + (faults.head.huge_header_kib << 10), b'h');
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// A body under way: what is written next, and how far it may go.
struct Sender<'a> {
    link: &'a mut Link,
    /// Written but not sent.
    waiting: Vec<u8>,
    faults: &'a Faults,
    framing: Framing,
    /// Body bytes that may still be sent.
    left: u64,
    cutter: Option<Cutter>,
}

impl<'a> Sender<'a> {
    fn new(link: &'a mut Link, head: Vec<u8>, framing: Framing, faults: &'a Faults) -> Self {
        let left = faults.wire.ending.limit().unwrap_or(u64::MAX);
        let cutter = faults
            .wire
            .split
            .map(|split| Cutter::new(split, faults.wire.seed));
        Self {
            link,
            waiting: head,
            faults,
            framing,
            left,
            cutter,
        }
    }

    async fn send_body(&mut self, pieces: Pieces<'_>) -> io::Result<()> {
        let pace = match self.faults.wire.chunk_delay {
            None if self.faults.content.endless => ENDLESS_PACE,
            delay => delay.unwrap_or_default(),
        };
        let mut first = true;
        for piece in pieces {
            if !std::mem::take(&mut first) {
                if !pace.is_zero() {
                    self.flush().await?;
                }
                self.link.pause(pace).await?;
            }
            self.send_piece(&piece).await?;
            if self.left == 0 {
                return self.flush().await;
            }
        }
        if let Some(rest) = self
            .cutter
            .as_mut()
            .map(|cutter| std::mem::take(&mut cutter.kept))
        {
            self.send_part(&rest).await?;
        }
        if self.framing == Framing::Chunked && self.faults.wire.ending.limit().is_none() {
            self.waiting.extend_from_slice(b"0\r\n");
            if self.faults.head.trailers {
                self.waiting
                    .extend_from_slice(b"x-mock-trailer: the end\r\n");
            }
            self.waiting.extend_from_slice(b"\r\n");
        }
        self.flush().await
    }

    async fn send_piece(&mut self, piece: &[u8]) -> io::Result<()> {
        let Some(mut cutter) = self.cutter.take() else {
            return self.send_part(piece).await;
        };
        cutter.kept.extend_from_slice(piece);
        while let Some(part) = cutter.cut() {
            self.send_part(&part).await?;
            self.flush().await?;
            // Lets the reader run in between, even on one thread.
            tokio::task::yield_now().await;
        }
        self.cutter = Some(cutter);
        Ok(())
    }

    /// Sends bytes as one chunk, and as one write with what waits before them.
    async fn send_part(&mut self, part: &[u8]) -> io::Result<()> {
        let length = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(part.len());
        let (part, _) = part.split_at(length);
        if part.is_empty() {
            return Ok(());
        }
        self.left -= length as u64;
        if self.framing == Framing::Chunked {
            let _ = write!(self.waiting, "{length:x}\r\n");
        }
        let (joined, rest) = part.split_at(length.min(JOINED_BYTES));
        self.waiting.extend_from_slice(joined);
        if !rest.is_empty() {
            self.flush().await?;
            self.link.send(rest).await?;
        }
        if self.framing == Framing::Chunked {
            self.waiting.extend_from_slice(b"\r\n");
        }
        if self.faults.wire.burst && self.waiting.len() < JOINED_BYTES {
            return Ok(());
        }
        self.flush().await
    }

    async fn flush(&mut self) -> io::Result<()> {
        if !self.waiting.is_empty() {
            self.link.send(&self.waiting).await?;
            self.waiting.clear();
        }
        Ok(())
    }
}

/// Cuts a body anew, across the borders of its pieces.
struct Cutter {
    split: Split,
    state: u64,
    /// Not cut yet.
    kept: Vec<u8>,
    next: usize,
}

impl Cutter {
    fn new(split: Split, seed: u64) -> Self {
        // Odd, so never zero, and different for each seed.
        let state = seed
            .wrapping_mul(2)
            .wrapping_add(1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut cutter = Self {
            split,
            state,
            kept: Vec::new(),
            next: 1,
        };
        cutter.draw();
        cutter
    }

    /// The next part, once enough bytes for it are there.
    fn cut(&mut self) -> Option<Vec<u8>> {
        if self.kept.len() < self.next {
            return None;
        }
        let rest = self.kept.split_off(self.next);
        self.draw();
        Some(std::mem::replace(&mut self.kept, rest))
    }

    /// Mostly a few bytes, now and then some hundreds (xorshift64).
    fn draw(&mut self) {
        if self.split == Split::Byte {
            return;
        }
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let most = match self.state >> 60 {
            0..8 => 8,
            8..14 => 64,
            _ => 512,
        };
        self.next = 1 + usize::try_from((self.state >> 8) % most).unwrap_or(0);
    }
}
