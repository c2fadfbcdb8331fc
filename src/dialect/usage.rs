//! Reads from the bytes of an answer, as they pass, what it used.

use super::Dialect;
use super::body::Body;
use super::encoding::Decoder;
use super::tree::Node;
use super::{
    anthropic, bedrock, cartesia, cohere, deepgram, elevenlabs, gemini, huggingface, ollama,
    openai, replicate, sniff, workers_ai,
};
use crate::llm::operation::Operation;
use crate::llm::usage::Usage;

/// What the reader wants to know of an answer's head.
pub struct Head<'a> {
    pub status: u16,
    /// Looks a header up by its name in lower case.
    pub header: &'a dyn Fn(&str) -> Option<&'a str>,
}

/// What was read of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// `None` if the provider reported nothing.
    pub usage: Option<Usage>,
    /// The model that answered, if the answer names it.
    pub model: Option<String>,
    /// The answer's own end was seen: a plain answer's last bracket, a stream's terminator.
    /// Some providers' streams have none, so a missing end proves nothing by itself.
    pub complete: bool,
    /// The provider reported a failure within an answer that began well.
    pub error: bool,
    /// Bytes of generated text seen, with JSON's escapes undone as far as their length goes.
    pub output_bytes: u64,
    /// The reading stopped early: an unknown encoding, a corrupt body or one that unpacks to too much.
    pub unread: bool,
}

/// Listens to the body of one answer, in chunks cut anywhere. It holds some KiB, and of an odd one 150 KiB at most.
pub struct Reader {
    /// `None` if there is nothing to listen to, or no more.
    decoder: Option<Decoder<Body>>,
    /// What the head reports, which counts if the body reports nothing.
    head: Option<Box<Usage>>,
    operation: Operation,
    stopped: bool,
}

impl Reader {
    /// A reader for an answer in this dialect; without one it goes by what it finds.
    pub fn new(dialect: Option<Dialect>, operation: Operation, head: Head<'_>) -> Self {
        let mut reader = Self {
            decoder: None,
            head: None,
            operation,
            stopped: false,
        };
        // What is only counted or carried costs nothing, nor does a refusal.
        if head.status >= 400 || matches!(operation, Operation::CountTokens | Operation::Files) {
            return reader;
        }
        reader.head = read_head(dialect, &head).map(Box::new);
        let content_type = (head.header)("content-type").unwrap_or_default();
        let encoding = (head.header)("content-encoding").unwrap_or_default();
        let packed = !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity");
        let body = Body::new(tree(dialect), content_type, packed);
        reader.decoder = Decoder::new(encoding, body);
        reader.stopped = reader.decoder.is_none();
        reader
    }

    /// Reads the next chunk of the body, as it came over the wire.
    pub fn read(&mut self, chunk: &[u8]) {
        let Some(decoder) = self.decoder.as_mut().filter(|_| !self.stopped) else {
            return;
        };
        // Compression tells how much it holds only by being undone: the body refuses what is too much.
        self.stopped = decoder.write(chunk).is_err();
    }

    /// Whether a token was seen yet: generated text or a call, not a mere greeting of the stream.
    pub fn first_token(&self) -> bool {
        let body = self.decoder.as_ref().and_then(Decoder::inner);
        body.is_some_and(|body| body.tally().first_token)
    }

    /// Whether the answer has reported a failure so far.
    pub fn failed(&self) -> bool {
        let body = self.decoder.as_ref().and_then(Decoder::inner);
        body.is_some_and(|body| body.tally().error)
    }

    /// Ends the reading where the body ends, or was cut.
    pub fn finish(mut self) -> Reading {
        let mut usage = self.head.map(|usage| *usage);
        let mut reading = Reading {
            unread: self.stopped,
            ..Reading::default()
        };
        if let Some(body) = self.decoder.as_mut().and_then(Decoder::inner_mut) {
            let (reported, complete) = body.finish();
            reading.complete = complete;
            reading.unread |= body.is_corrupt();
            let tally = body.tally_mut();
            reading.model = tally.model.take();
            reading.error = tally.error;
            reading.output_bytes = tally.output_bytes;
            if reported.is_reported() {
                usage = Some(reported);
            }
        }
        if self.operation == Operation::Image
            && let Some(usage) = &mut usage
            && usage.image_output.is_none()
        {
            // An image model writes nothing but images.
            usage.image_output = usage.output;
        }
        reading.usage = usage;
        reading
    }
}

fn tree(dialect: Option<Dialect>) -> &'static Node {
    match dialect {
        Some(Dialect::Openai) => &openai::usage::ROOT,
        Some(Dialect::Anthropic) => &anthropic::usage::ROOT,
        Some(Dialect::Gemini) => &gemini::usage::ROOT,
        Some(Dialect::Bedrock) => &bedrock::usage::ROOT,
        Some(Dialect::Cohere) => &cohere::usage::ROOT,
        Some(Dialect::WorkersAi) => &workers_ai::usage::ROOT,
        Some(Dialect::Huggingface) => &huggingface::usage::ROOT,
        Some(Dialect::Replicate) => &replicate::usage::ROOT,
        Some(Dialect::Elevenlabs) => &elevenlabs::usage::ROOT,
        Some(Dialect::Deepgram) => &deepgram::usage::ROOT,
        Some(Dialect::Cartesia) => &cartesia::usage::ROOT,
        Some(Dialect::Ollama) => &ollama::usage::ROOT,
        None => &sniff::ROOT,
    }
}

fn read_head(dialect: Option<Dialect>, head: &Head<'_>) -> Option<Usage> {
    let usage = match dialect? {
        Dialect::Bedrock => bedrock::usage::read_head(head.header),
        Dialect::Elevenlabs => elevenlabs::usage::read_head(head.header),
        Dialect::Deepgram => deepgram::usage::read_head(head.header),
        _ => return None,
    };
    Some(usage).filter(Usage::is_reported)
}

#[cfg(test)]
mod tests;
