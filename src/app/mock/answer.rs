//! What is answered, before it is known how it will be sent.

use serde_json::Value;
use std::borrow::Cow;

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
}

/// An answer's body.
#[derive(Debug)]
pub enum Body {
    Whole(Vec<u8>),
    Stream(Stream),
}

/// A body that comes in pieces, each an event or the like.
#[derive(Debug, Default)]
pub struct Stream {
    pub opening: Vec<Vec<u8>>,
    /// What may be repeated or broken off.
    pub content: Vec<Vec<u8>>,
    pub closing: Vec<Vec<u8>>,
}

impl Answer {
    /// 200 with JSON text.
    pub fn json(text: impl Into<Vec<u8>>) -> Self {
        Self::new("application/json", Body::Whole(text.into()))
    }

    /// 200 with a JSON value.
    pub fn value(value: &Value) -> Self {
        Self::json(value.to_string())
    }

    /// 200 with server-sent events.
    pub fn events(stream: Stream) -> Self {
        Self::new("text/event-stream", Body::Stream(stream))
    }

    /// 200 with any body.
    pub fn new(content_type: &'static str, body: Body) -> Self {
        Self {
            status: 200,
            content_type,
            headers: Vec::new(),
            body,
        }
    }

    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Body {
    /// The pieces in their order; endless repeats the content and never closes.
    pub fn pieces(&self, endless: bool) -> Box<dyn Iterator<Item = &[u8]> + Send + '_> {
        match self {
            Self::Whole(bytes) if endless => Box::new(std::iter::repeat(bytes.as_slice())),
            Self::Whole(bytes) => Box::new(std::iter::once(bytes.as_slice())),
            Self::Stream(stream) => {
                let content = stream.content.iter();
                let rest: Box<dyn Iterator<Item = &Vec<u8>> + Send> = match endless {
                    true => Box::new(content.cycle()),
                    false => Box::new(content.chain(&stream.closing)),
                };
                Box::new(stream.opening.iter().chain(rest).map(Vec::as_slice))
            }
        }
    }

    /// A whole body cut into as many pieces, so that it can be paced; a stream as it is.
    pub fn in_parts(self, count: usize) -> Self {
        match self {
            Self::Whole(bytes) => {
                let size = bytes.len().div_ceil(count.max(1)).max(1);
                let content = bytes.chunks(size).map(<[u8]>::to_vec).collect();
                Self::Stream(Stream {
                    content,
                    ..Stream::default()
                })
            }
            stream => stream,
        }
    }
}

/// A piece on its way, borrowed from the answer or made by a coding.
pub type Piece<'a> = Cow<'a, [u8]>;
