//! Clients of HTTP/1.1: one request after the other on a connection, or a connection for each.

use super::question::{PIECE_BYTES, PIECE_PACE, Question};
use super::tally::{Phase, Trouble};
use super::wire::{Stream, limit};
use super::{FAILURE_PAUSE, Group, Shared};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Until the load stops.
pub async fn work(shared: &Shared, group: &Group) {
    let mut idle: Option<Connection> = None;
    loop {
        shared.think(group.think.clone()).await;
        if !shared.is_running() {
            return;
        }
        let question = shared
            .book
            .question(group.asks, group.kind, shared.number());
        shared.tally.sent(group.kind, &question.event);
        let began = Instant::now();
        let result = ask(shared, group, idle.take(), &question, began).await;
        let result = result.map(|(head, connection)| {
            idle = connection;
            head
        });
        let failed = result.is_err();
        shared
            .tally
            .ended(group.kind, &question.event, began, result);
        if failed {
            tokio::time::sleep(FAILURE_PAUSE).await;
        }
    }
}

/// The time to the head of the answer, and the connection if it can be used again.
async fn ask(
    shared: &Shared,
    group: &Group,
    idle: Option<Connection>,
    question: &Question,
    began: Instant,
) -> Result<(Duration, Option<Connection>), Trouble> {
    let mut usable = idle;
    if let Some(connection) = &mut usable
        && !connection.stream.is_open().await?
    {
        usable = None;
    }
    let mut connection = match usable {
        Some(connection) => connection,
        None => {
            let stream = Stream::connect(&shared.target, group.wire).await?;
            shared.tally.connected(group.kind);
            Connection {
                stream,
                received: Vec::new(),
            }
        }
    };
    connection.write(question).await?;
    let (head, length) = connection.read_head().await?;
    let time = began.elapsed();
    connection.read_body(length, question).await?;
    let again = head.closes || group.fresh;
    Ok((time, (!again).then_some(connection)))
}

struct Connection {
    stream: Stream,
    /// Received and not consumed.
    received: Vec<u8>,
}

/// What an answer's head says of its connection.
struct Head {
    closes: bool,
}

/// How an answer's body ends.
enum Length {
    Bytes(usize),
    Chunked,
}

impl Connection {
    async fn write(&mut self, question: &Question) -> Result<(), Trouble> {
        let mut head = format!(
            "POST {} HTTP/1.1\r\nhost: gateway.test\r\n",
            question.target
        );
        for (name, value) in &question.fields {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("content-length: {}\r\n\r\n", question.body.len());
        let mut bytes = head.into_bytes();
        if !question.slow {
            bytes.extend_from_slice(&question.body);
            return self.send(&bytes).await;
        }
        self.send(&bytes).await?;
        for piece in question.body.chunks(PIECE_BYTES) {
            tokio::time::sleep(PIECE_PACE).await;
            self.send(piece).await?;
        }
        Ok(())
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        limit(Phase::Write, self.stream.write_all(bytes)).await?;
        limit(Phase::Write, self.stream.flush()).await
    }

    async fn read_head(&mut self) -> Result<(Head, Length), Trouble> {
        let trouble = |what: &str| Trouble::new(Phase::Head, what);
        let text = self.read_to(b"\r\n\r\n", Phase::Head).await?;
        let mut lines = text.split("\r\n");
        let status = lines.next().unwrap_or_default();
        if !status.starts_with("HTTP/1.1 200") {
            let rest = String::from_utf8_lossy(&self.received).into_owned();
            return Err(trouble(&format!("{status} {rest}")));
        }
        let fields = lines.filter_map(|line| line.split_once(':'));
        let fields = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim()));
        let (mut closes, mut length) = (false, None);
        for (name, value) in fields {
            match name.as_str() {
                "connection" => closes |= value.eq_ignore_ascii_case("close"),
                "content-length" => length = value.parse().ok().map(Length::Bytes),
                "transfer-encoding" => length = Some(Length::Chunked),
                _ => {}
            }
        }
        let length = length.ok_or_else(|| trouble("neither length nor chunks"))?;
        Ok((Head { closes }, length))
    }

    async fn read_body(&mut self, length: Length, question: &Question) -> Result<(), Trouble> {
        let mut body = Vec::new();
        let result = self.collect(length, question, &mut body).await;
        result.map_err(|trouble| Trouble {
            what: format!("{} after {} bytes of the body", trouble.what, body.len()),
            ..trouble
        })?;
        match question.expect.fault(&body, true) {
            Some(fault) => Err(Trouble::new(Phase::Body, fault)),
            None if !self.received.is_empty() => {
                Err(Trouble::new(Phase::Body, "bytes after the answer"))
            }
            None => Ok(()),
        }
    }

    async fn collect(
        &mut self,
        length: Length,
        question: &Question,
        body: &mut Vec<u8>,
    ) -> Result<(), Trouble> {
        if let Length::Bytes(length) = length {
            while self.received.len() < length {
                self.fill(Phase::Body).await?;
            }
            body.extend(self.received.drain(..length));
            return Ok(());
        }
        loop {
            let line = self.read_to(b"\r\n", Phase::Body).await?;
            let size = usize::from_str_radix(line.trim_end(), 16);
            let size =
                size.map_err(|_| Trouble::new(Phase::Body, format!("no chunk: {line:?}")))?;
            while self.received.len() < size + 2 {
                self.fill(Phase::Body).await?;
            }
            body.extend(self.received.drain(..size));
            self.received.drain(..2);
            if size == 0 {
                return Ok(());
            }
            if let Some(fault) = question.expect.fault(body, false) {
                return Err(Trouble::new(Phase::Body, fault));
            }
        }
    }

    /// Everything up to and with a mark.
    async fn read_to(&mut self, mark: &[u8], phase: Phase) -> Result<String, Trouble> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.received, mark) {
                let bytes: Vec<u8> = self.received.drain(..at + mark.len()).collect();
                return Ok(String::from_utf8_lossy(&bytes).into_owned());
            }
            self.fill(phase).await?;
        }
    }

    async fn fill(&mut self, phase: Phase) -> Result<(), Trouble> {
        let had = self.received.len();
        match limit(phase, self.stream.read_buf(&mut self.received)).await? {
            0 => Err(Trouble::new(
                phase,
                format!("closed, with {had} bytes unread"),
            )),
            _ => Ok(()),
        }
    }
}
