//! The decoded body of an answer: finds out how its texts are framed, and has them scanned.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Deserialize;

use super::base64;
use super::eventstream::{Frames, Message};
use super::members::Scanner;
use super::sse::{Events, Piece};
use super::tally::Tally;
use super::tree::Node;
use crate::llm::usage::Usage;

/// The most that a compressed answer may unpack to.
const UNPACKED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The data with which OpenAI and its kin end a stream.
const DONE: &[u8] = b"[DONE]";

pub(super) struct Body {
    framing: Framing,
    texts: Texts,
    /// Bytes that may still come; `None` if they come as they are, unpacked from nothing.
    allowance: Option<u64>,
}

enum Framing {
    /// Nothing but blanks yet; whether the head announced server-sent events.
    Unknown {
        events: bool,
    },
    /// JSON texts one after the other; whether the head announced several.
    Json {
        lines: bool,
    },
    Events(Events),
    Frames(Frames),
    /// Sound, images and whatever else reports nothing.
    Opaque,
}

/// The JSON texts of the answer, and what they say.
struct Texts {
    scanner: Scanner,
    tally: Tally,
    /// The data of the present event, as far as it may be `[DONE]`.
    start: Vec<u8>,
    data_len: u64,
}

impl Body {
    pub fn new(tree: &'static Node, content_type: &str, packed: bool) -> Self {
        let content_type = content_type.as_bytes();
        let is = |part: &str| {
            let mut windows = content_type.windows(part.len());
            windows.any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
        };
        let begins = |kind: &str| {
            let lead = content_type.get(..kind.len());
            lead.is_some_and(|lead| lead.eq_ignore_ascii_case(kind.as_bytes()))
        };
        let framing = if content_type == b"application/json" {
            Framing::Unknown { events: false }
        } else if is("vnd.amazon.eventstream") {
            Framing::Frames(Frames::default())
        } else if is("ndjson") || is("stream+json") || is("jsonl") {
            Framing::Json { lines: true }
        } else if ["audio/", "image/", "video/"].into_iter().any(begins) {
            Framing::Opaque
        } else {
            Framing::Unknown {
                events: is("event-stream"),
            }
        };
        let mut texts = Texts {
            scanner: Scanner::new(tree),
            tally: Tally::default(),
            start: Vec::new(),
            data_len: 0,
        };
        texts.tally.streamed = !matches!(framing, Framing::Unknown { .. } | Framing::Opaque);
        Self {
            framing,
            texts,
            allowance: packed.then_some(UNPACKED_BYTES_MAX),
        }
    }

    pub fn tally(&self) -> &Tally {
        &self.texts.tally
    }

    pub fn tally_mut(&mut self) -> &mut Tally {
        &mut self.texts.tally
    }

    pub fn is_corrupt(&self) -> bool {
        matches!(&self.framing, Framing::Frames(frames) if frames.corrupt || !frames.is_between_frames())
    }

    /// Ends the reading: the usage reported, and whether the answer was complete by its own account.
    pub fn finish(&mut self) -> (Usage, bool) {
        if let Framing::Events(events) = &mut self.framing {
            events.finish(|piece| self.texts.read_piece(piece));
        }
        let tally = &self.texts.tally;
        let usage = tally.usage();
        let alone = matches!(self.framing, Framing::Json { lines: false }) && tally.texts == 1;
        (usage, alone || tally.is_ended(&usage))
    }

    fn read(&mut self, mut bytes: &[u8]) {
        if let Framing::Unknown { events } = self.framing {
            // Blanks before all else are dropped, since a chunk of nothing else is dropped as well.
            bytes = bytes.trim_ascii_start();
            let Some(first) = bytes.first() else {
                return;
            };
            self.framing = match first {
                b'{' | b'[' => Framing::Json { lines: false },
                _ if events => Framing::Events(Events::default()),
                // Field names of server-sent events, their comments and the byte order mark.
                b'd' | b'e' | b'i' | b'r' | b':' | 0xef => Framing::Events(Events::default()),
                _ => Framing::Opaque,
            };
            self.texts.tally.streamed = matches!(self.framing, Framing::Events(_));
        }
        let texts = &mut self.texts;
        match &mut self.framing {
            Framing::Json { .. } => texts.scanner.read(bytes, &mut texts.tally),
            Framing::Events(events) => events.read(bytes, |piece| texts.read_piece(piece)),
            Framing::Frames(frames) => frames.read(bytes, |message| texts.read_message(&message)),
            Framing::Unknown { .. } | Framing::Opaque => {}
        }
    }
}

impl Write for Body {
    /// Fails once a compressed answer has unpacked to more than is allowed.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(allowance) = &mut self.allowance {
            let left = allowance.checked_sub(bytes.len() as u64);
            *allowance = left.ok_or_else(|| io::Error::other("the answer unpacks to too much"))?;
        }
        self.read(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How Bedrock wraps the events of other providers.
#[derive(Deserialize)]
struct Wrapped<'a> {
    #[serde(borrow)]
    bytes: Cow<'a, str>,
}

impl Texts {
    fn read_piece(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Data(data) => {
                let missing = (DONE.len() + 1)
                    .saturating_sub(self.start.len())
                    .min(data.len());
                self.start
                    .extend_from_slice(data.get(..missing).unwrap_or_default());
                self.data_len += data.len() as u64;
                self.scanner.read(data, &mut self.tally);
            }
            Piece::End(name) => {
                match name {
                    b"error" => self.tally.error = true,
                    // Replicate writes bare text.
                    b"output" => self.tally.note_output(self.data_len),
                    b"done" => self.tally.ended = true,
                    _ => self.tally.ended |= self.start.trim_ascii() == DONE,
                }
                self.start.clear();
                self.data_len = 0;
                self.scanner.reset();
            }
            Piece::Error => self.tally.error = true,
        }
    }

    fn read_message(&mut self, message: &Message<'_>) {
        self.tally.error |= message.failed;
        // Converse ends with the event that has the usage.
        self.tally.ended |= message.event == "metadata";
        if message.event == "chunk" {
            let wrapped = serde_json::from_slice::<Wrapped>(message.payload).ok();
            if let Some(text) = wrapped.and_then(|wrapped| base64::decode(wrapped.bytes.as_bytes()))
            {
                self.scanner.read(&text, &mut self.tally);
            }
        } else {
            self.scanner.read(message.payload, &mut self.tally);
        }
        self.scanner.reset();
    }
}
