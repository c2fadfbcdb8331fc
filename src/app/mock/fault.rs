//! The faults a request can ask for: a comma-separated list of `name` or `name=value`.

use std::time::Duration;
use thiserror::Error;

/// Everything asked of one answer. The default is a healthy provider.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    pub content: Content,
    pub head: Head,
    pub wire: Wire,
}

/// What the answer says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    pub status: Option<u16>,
    pub retry_after_s: Option<u64>,
    /// How many content chunks a stream has.
    pub chunks: Option<usize>,
    /// Bytes of answer text, about.
    pub size_bytes: Option<usize>,
    /// Break off with the shape's own error after `chunks_before` content chunks.
    pub error_event: bool,
    pub chunks_before: usize,
    /// Keep the stream's opening before an error event that no content precedes.
    pub greeting: bool,
    pub garbage: bool,
    pub endless: bool,
    pub tool: bool,
    pub no_usage: bool,
    pub echo: bool,
}

/// How the answer is wrapped: its head, its framing, its coding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Head {
    /// A `content-length` that need not be true.
    pub content_length: Option<u64>,
    pub garbage_head: bool,
    pub huge_header_kib: usize,
    pub many_headers: usize,
    pub framing: Option<Framing>,
    pub http10: bool,
    /// Send 100 and 103 before the answer.
    pub interim: bool,
    pub trailers: bool,
    pub coding: Option<Coding>,
}

/// How and when the bytes travel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wire {
    pub delay: Duration,
    pub chunk_delay: Option<Duration>,
    pub split: Option<Split>,
    pub seed: u64,
    /// As few writes as possible instead of one per piece.
    pub burst: bool,
    /// Answer before the request body was read.
    pub early: bool,
    pub ending: Ending,
}

/// How an answer comes to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    #[default]
    Whole,
    /// Never a byte, the connection closed.
    Close,
    /// Never a byte, the connection kept.
    Hang,
    /// FIN after the head, still reading.
    HalfClose,
    /// RST after that many body bytes, or after all of them but before the end mark.
    ResetAt(u64),
    /// FIN there, although more was promised.
    CutAt(u64),
    /// Silence there.
    HangAt(u64),
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Chunked,
    Length,
    /// Until the connection closes.
    Eof,
}

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Brotli,
    Deflate,
    Zstd,
}

/// Where the body is cut into writes and chunks, whatever its pieces were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    Byte,
    Random,
}

/// Why a list of faults was not understood.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FaultError {
    #[error("unknown fault \"{0}\"")]
    Unknown(String),
    #[error("fault \"{name}\" needs {wants}, not \"{value}\"")]
    Value {
        name: String,
        wants: &'static str,
        value: String,
    },
}

/// Every fault with the value it takes and what it does, for error messages and documentation.
pub const KNOWN: [(&str, &str); 42] = [
    (
        "status=N",
        "answer with this status (200 to 599), in the shape's own error format",
    ),
    ("overloaded", "status 529, Anthropic's overloaded_error"),
    ("retry-after=SECONDS", "add a retry-after header"),
    ("delay=MS", "wait before the head"),
    ("chunk-delay=MS", "wait between the pieces of the body"),
    ("chunks=N", "content chunks in a stream (5)"),
    ("size=BYTES", "about that much answer text"),
    ("error-event", "200, then an error event in the stream"),
    (
        "chunks-before=N",
        "content chunks before the error event (0)",
    ),
    (
        "greeting",
        "the stream's opening before the error event, too",
    ),
    ("garbage", "200 with a body that is no JSON"),
    (
        "endless",
        "a stream without end, paced by chunk-delay (1 ms)",
    ),
    ("tool", "answer with a call of the request's first tool"),
    ("no-usage", "leave the usage out"),
    ("echo", "answer with what was received"),
    ("reset-at=N", "RST after N body bytes"),
    ("cut-at=N", "FIN after N body bytes"),
    ("hang-at=N", "silence after N body bytes"),
    ("half-close", "FIN after the head, reading on"),
    ("hang", "never answer"),
    ("close", "close before any byte"),
    ("content-length=N", "promise N bytes, whatever comes"),
    ("garbage-head", "bytes that are not HTTP"),
    ("huge-headers=KIB", "one header of that size"),
    ("many-headers=N", "that many small headers"),
    ("chunked", "chunked framing"),
    ("length", "content-length framing"),
    ("eof", "no framing, the body ends with the connection"),
    ("http10", "answer as HTTP/1.0"),
    ("100-twice", "100 and 103 before the answer"),
    ("trailers", "chunked with a trailer field"),
    ("gzip", "compress the body"),
    ("br", "compress the body"),
    ("deflate", "compress the body"),
    ("zstd", "compress the body"),
    ("identity", "do not compress the body"),
    ("split=byte", "every byte its own write and chunk"),
    ("split=random", "writes and chunks of random size"),
    ("seed=N", "the seed of split=random (0)"),
    ("burst", "as few writes as possible"),
    ("early", "answer before the request body was read"),
    ("none", "no fault; also shields the request from the script"),
];

/// The most that `chunks`, `many-headers` and the like may ask for.
const COUNT_MAX: usize = 1_000_000;
/// The most that `size` may ask for, in bytes.
const SIZE_MAX: usize = 256 << 20;

impl Faults {
    /// Reads a whole list. Fails on a name or a value that is not known.
    pub fn parse(list: &str) -> Result<Self, FaultError> {
        let mut faults = Self::default();
        faults.add(list)?;
        Ok(faults)
    }

    /// Adds a list to what is there already; the later value of a fault wins.
    pub fn add(&mut self, list: &str) -> Result<(), FaultError> {
        for item in list
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            let (name, value) = match item.split_once('=') {
                Some((name, value)) => (name.trim_end(), Some(value.trim_start())),
                None => (item, None),
            };
            let item = Item { name, value };
            let known = self.content.set(item)? || self.head.set(item)? || self.wire.set(item)?;
            if !known && name != "none" {
                return Err(FaultError::Unknown(name.to_owned()));
            }
        }
        Ok(())
    }
}

impl Content {
    fn set(&mut self, item: Item<'_>) -> Result<bool, FaultError> {
        match item.name {
            "status" => self.status = Some(item.status()?),
            "overloaded" => self.status = Some(item.flag(529)?),
            "retry-after" => self.retry_after_s = Some(item.number(u64::MAX)?),
            "chunks" => self.chunks = Some(item.count()?),
            "size" => self.size_bytes = Some(item.number(SIZE_MAX)?),
            "error-event" => self.error_event = item.flag(true)?,
            "chunks-before" => self.chunks_before = item.count()?,
            "greeting" => self.greeting = item.flag(true)?,
            "garbage" => self.garbage = item.flag(true)?,
            "endless" => self.endless = item.flag(true)?,
            "tool" => self.tool = item.flag(true)?,
            "no-usage" => self.no_usage = item.flag(true)?,
            "echo" => self.echo = item.flag(true)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Head {
    fn set(&mut self, item: Item<'_>) -> Result<bool, FaultError> {
        match item.name {
            "content-length" => self.content_length = Some(item.number(u64::MAX)?),
            "garbage-head" => self.garbage_head = item.flag(true)?,
            "huge-headers" => self.huge_header_kib = item.number(64 << 10)?,
            "many-headers" => self.many_headers = item.count()?,
            "chunked" => self.framing = Some(item.flag(Framing::Chunked)?),
            "length" => self.framing = Some(item.flag(Framing::Length)?),
            "eof" => self.framing = Some(item.flag(Framing::Eof)?),
            "http10" => self.http10 = item.flag(true)?,
            "100-twice" => self.interim = item.flag(true)?,
            "trailers" => self.trailers = item.flag(true)?,
            "gzip" => self.coding = Some(item.flag(Coding::Gzip)?),
            "br" => self.coding = Some(item.flag(Coding::Brotli)?),
            "deflate" => self.coding = Some(item.flag(Coding::Deflate)?),
            "zstd" => self.coding = Some(item.flag(Coding::Zstd)?),
            "identity" => self.coding = item.flag(None)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Wire {
    fn set(&mut self, item: Item<'_>) -> Result<bool, FaultError> {
        match item.name {
            "delay" => self.delay = item.millis()?,
            "chunk-delay" => self.chunk_delay = Some(item.millis()?),
            "split" => {
                self.split = Some(match item.value {
                    Some("byte") => Split::Byte,
                    Some("random") => Split::Random,
                    _ => return Err(item.wants("\"byte\" or \"random\"")),
                });
            }
            "seed" => self.seed = item.number(u64::MAX)?,
            "burst" => self.burst = item.flag(true)?,
            "early" => self.early = item.flag(true)?,
            "close" => self.ending = item.flag(Ending::Close)?,
            "hang" => self.ending = item.flag(Ending::Hang)?,
            "half-close" => self.ending = item.flag(Ending::HalfClose)?,
            "reset-at" => self.ending = Ending::ResetAt(item.number(u64::MAX)?),
            "cut-at" => self.ending = Ending::CutAt(item.number(u64::MAX)?),
            "hang-at" => self.ending = Ending::HangAt(item.number(u64::MAX)?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Ending {
    /// After how many body bytes the answer breaks off.
    pub fn limit(self) -> Option<u64> {
        match self {
            Self::ResetAt(at) | Self::CutAt(at) | Self::HangAt(at) => Some(at),
            _ => None,
        }
    }
}

#[derive(Clone, Copy)]
struct Item<'a> {
    name: &'a str,
    value: Option<&'a str>,
}

impl Item<'_> {
    fn flag<T>(self, on: T) -> Result<T, FaultError> {
        match self.value {
            None => Ok(on),
            Some(_) => Err(self.wants("no value")),
        }
    }

    fn number<T: std::str::FromStr + PartialOrd>(self, max: T) -> Result<T, FaultError> {
        let number = self.value.and_then(|value| value.parse::<T>().ok());
        number
            .filter(|number| *number <= max)
            .ok_or_else(|| self.wants("a number within bounds"))
    }

    fn count(self) -> Result<usize, FaultError> {
        self.number(COUNT_MAX)
    }

    fn millis(self) -> Result<Duration, FaultError> {
        self.number(86_400_000).map(Duration::from_millis)
    }

    fn status(self) -> Result<u16, FaultError> {
        let status = self.number(599)?;
        if status < 200 {
            Err(self.wants("a status from 200 to 599"))
        } else {
            Ok(status)
        }
    }

    fn wants(self, wants: &'static str) -> FaultError {
        let value = self.value.unwrap_or_default().to_owned();
        FaultError::Value {
            name: self.name.to_owned(),
            wants,
            value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_fault_is_understood() {
        for (example, _) in KNOWN {
            let (name, value) = example.split_once('=').unwrap_or((example, ""));
            let list = match value {
                "" => name.to_owned(),
                "byte" | "random" => example.to_owned(),
                _ => format!("{name}=200"),
            };
            assert!(Faults::parse(&list).is_ok(), "{list}");
        }
    }

    #[test]
    fn a_list_is_read_with_spaces_and_the_later_value_wins() {
        let faults = Faults::parse(" status=500 , delay = 20,status=429,, gzip").unwrap();
        assert_eq!(faults.content.status, Some(429));
        assert_eq!(faults.wire.delay, Duration::from_millis(20));
        assert_eq!(faults.head.coding, Some(Coding::Gzip));
    }

    #[test]
    fn a_wrong_list_names_the_fault() {
        let check = |list: &str, says: &str| {
            assert_eq!(Faults::parse(list).unwrap_err().to_string(), says);
        };
        check("delay=1,sttus=500", "unknown fault \"sttus\"");
        check(
            "status=99",
            "fault \"status\" needs a status from 200 to 599, not \"99\"",
        );
        check("gzip=9", "fault \"gzip\" needs no value, not \"9\"");
        check(
            "split=word",
            "fault \"split\" needs \"byte\" or \"random\", not \"word\"",
        );
        check(
            "chunks",
            "fault \"chunks\" needs a number within bounds, not \"\"",
        );
    }
}
