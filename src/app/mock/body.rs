//! Reading a request body: by length or chunked, kept or only counted.

use super::head::Framing;
use super::link::Link;
use super::upload::Body;
use bytes::{Buf, BytesMut};
use std::io;
use thiserror::Error;

/// A kept body may be this long, in bytes.
pub const BODY_BYTES_MAX: u64 = 64 << 20;
/// A chunk's size line, or a trailer line, may be this long.
const LINE_BYTES_MAX: usize = 8 << 10;

/// Why a body was not read to its end.
#[derive(Debug, Error)]
pub enum BodyError {
    #[error("the body is longer than {BODY_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the chunked body is malformed: {0}")]
    Chunk(&'static str),
    #[error(transparent)]
    Link(#[from] io::Error),
}

/// Reads the body that follows a head. What is not kept may have any size.
pub async fn read(link: &mut Link, framing: Framing, keep: bool) -> Result<Body, BodyError> {
    match framing {
        Framing::Length(0) => Ok(Body::default()),
        Framing::Length(count) if keep => read_whole(link, count).await,
        Framing::Length(count) => {
            let mut sink = Sink::new(keep);
            sink.take(link, count).await?;
            Ok(sink.finish())
        }
        Framing::Chunked => read_chunks(link, Sink::new(keep)).await,
    }
}

/// The usual case, without a copy: the body is split off the bytes received.
async fn read_whole(link: &mut Link, count: u64) -> Result<Body, BodyError> {
    if count > BODY_BYTES_MAX {
        return Err(BodyError::TooLarge);
    }
    let length = usize::try_from(count).map_err(|_| BodyError::TooLarge)?;
    if link.received.len() < length {
        link.received.reserve(length - link.received.len());
    }
    while link.received.len() < length {
        link.fill().await?;
    }
    let bytes = link.received.split_to(length).freeze();
    let crc = crc32fast::hash(&bytes);
    Ok(Body { bytes, count, crc })
}

async fn read_chunks(link: &mut Link, mut sink: Sink) -> Result<Body, BodyError> {
    loop {
        let line = read_line(link).await?;
        let digits = line
            .as_ref()
            .split(|byte: &u8| *byte == b';')
            .next()
            .unwrap_or_default()
            .trim_ascii();
        let digits = std::str::from_utf8(digits)
            .ok()
            .filter(|text| !text.starts_with('+'));
        let size = digits.and_then(|text| u64::from_str_radix(text, 16).ok());
        let size = size.ok_or(BodyError::Chunk("its size is not a hex number"))?;
        if size == 0 {
            break;
        }
        sink.take(link, size).await?;
        if !read_line(link).await?.is_empty() {
            return Err(BodyError::Chunk("longer than its size"));
        }
    }
    while !read_line(link).await?.is_empty() {}
    Ok(sink.finish())
}

async fn read_line(link: &mut Link) -> Result<BytesMut, BodyError> {
    loop {
        if let Some(end) = memchr::memmem::find(&link.received, b"\r\n") {
            let line = link.received.split_to(end);
            link.received.advance(2);
            return Ok(line);
        }
        if link.received.len() > LINE_BYTES_MAX {
            return Err(BodyError::Chunk("a line without end"));
        }
        link.fill().await?;
    }
}

struct Sink {
    kept: Option<BytesMut>,
    count: u64,
    crc: crc32fast::Hasher,
}

impl Sink {
    fn new(keep: bool) -> Self {
        Self {
            kept: keep.then(BytesMut::new),
            count: 0,
            crc: crc32fast::Hasher::new(),
        }
    }

    /// Takes exactly `count` bytes off the link.
    async fn take(&mut self, link: &mut Link, mut count: u64) -> Result<(), BodyError> {
        self.count = self.count.saturating_add(count);
        if self.kept.is_some() && self.count > BODY_BYTES_MAX {
            return Err(BodyError::TooLarge);
        }
        while count > 0 {
            if link.received.is_empty() {
                link.fill().await?;
            }
            let length = usize::try_from(count)
                .unwrap_or(usize::MAX)
                .min(link.received.len());
            let part = link.received.split_to(length);
            self.crc.update(&part);
            if let Some(kept) = &mut self.kept {
                kept.extend_from_slice(&part);
            }
            count -= length as u64;
        }
        Ok(())
    }

    fn finish(self) -> Body {
        Body {
            bytes: self.kept.unwrap_or_default().freeze(),
            count: self.count,
            crc: self.crc.finalize(),
        }
    }
}
