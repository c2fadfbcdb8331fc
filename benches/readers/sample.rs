//! What is read: an answer of each dialect, small, streamed and large.

use super::frame::frame;
use tollgate::dialect::Dialect;

/// Content chunks of a stream.
const CHUNKS: usize = 100;
/// A large answer comes in chunks of this length, as sockets give them.
const CHUNK_LEN: usize = 16 << 10;
/// The text's greater part.
macro_rules! paragraph {
    () => {
        r"Who pays may pass — those who do not, wait. The road behind the gate runs north for a day, along the river, and then climbs; naïve travellers ask why it does not go straight on. Carry water, a second pair of boots, and enough silver for both bridges, since the keepers give no change. In winter the upper half is closed, and whoever is on it then stays until spring.\n\n"
    };
}

/// Text as models write it, in JSON: in recorded answers an escaped quote comes about once a thousand bytes, an
/// escape of any kind once in four hundred.
const PROSE: &str = concat!(
    paragraph!(),
    paragraph!(),
    paragraph!(),
    paragraph!(),
    r#"At the top stands a house that people call \"the lantern\": the keeper sells bread there, and tells who went before.\n- Who pays may pass.\n"#,
);

/// One answer as it comes over the wire.
pub struct Sample {
    pub name: &'static str,
    pub kind: &'static str,
    pub dialect: Option<Dialect>,
    pub content_type: &'static str,
    pub chunks: Vec<Vec<u8>>,
}

impl Sample {
    /// In bytes.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Vec::len).sum()
    }
}

/// How a dialect wraps text; `@` stands for it.
struct Form {
    name: &'static str,
    dialect: Option<Dialect>,
    plain: &'static str,
    /// Content type, what opens a stream, one chunk of it, and what ends it.
    stream: Option<(&'static str, &'static str, &'static str, &'static str)>,
}

const SSE: &str = "text/event-stream";
const AWS: &str = "application/vnd.amazon.eventstream";
const LINES: &str = "application/x-ndjson";

const OPENAI: Form = Form {
    name: "openai",
    dialect: Some(Dialect::Openai),
    plain: r#"{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"@","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":120,"completion_tokens":256,"total_tokens":376,"prompt_tokens_details":{"cached_tokens":64}}}"#,
    stream: Some((
        SSE,
        "",
        "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"@\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n",
        "data: {\"id\":\"chatcmpl-1\",\"model\":\"gpt-4o-mini\",\"choices\":[],\"usage\":{\"prompt_tokens\":120,\"completion_tokens\":256,\"total_tokens\":376}}\n\ndata: [DONE]\n\n",
    )),
};

const FORMS: [Form; 13] = [
    OPENAI,
    Form {
        name: "sniffing",
        dialect: None,
        ..OPENAI
    },
    Form {
        name: "anthropic",
        dialect: Some(Dialect::Anthropic),
        plain: r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"text","text":"@"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":12,"cache_creation_input_tokens":3,"cache_read_input_tokens":5,"output_tokens":50}}"#,
        stream: Some((
            SSE,
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5\",\"content\":[],\"usage\":{\"input_tokens\":12,\"cache_read_input_tokens\":5,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"@\"}}\n\n",
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":50}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        )),
    },
    Form {
        name: "gemini",
        dialect: Some(Dialect::Gemini),
        plain: r#"{"candidates":[{"content":{"parts":[{"text":"@"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":12,"candidatesTokenCount":40,"thoughtsTokenCount":10,"totalTokenCount":62},"modelVersion":"gemini-2.5-flash"}"#,
        stream: Some((
            SSE,
            "",
            "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"@\"}],\"role\": \"model\"},\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 12,\"totalTokenCount\": 12,\"promptTokensDetails\": [{\"modality\": \"TEXT\",\"tokenCount\": 12}]},\"modelVersion\": \"gemini-2.5-flash\"}\r\n\r\n",
            "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"\"}],\"role\": \"model\"},\"finishReason\": \"STOP\"}],\"usageMetadata\": {\"promptTokenCount\": 12,\"candidatesTokenCount\": 40,\"totalTokenCount\": 52}}\r\n\r\n",
        )),
    },
    Form {
        name: "bedrock",
        dialect: Some(Dialect::Bedrock),
        plain: r#"{"metrics":{"latencyMs":400},"output":{"message":{"content":[{"text":"@"}],"role":"assistant"}},"stopReason":"end_turn","usage":{"inputTokens":12,"outputTokens":50,"totalTokens":62}}"#,
        stream: Some((
            AWS,
            "event: messageStart\ndata: {\"role\":\"assistant\"}\n\n",
            "event: contentBlockDelta\ndata: {\"contentBlockIndex\":0,\"delta\":{\"text\":\"@\"},\"p\":\"abcdefghijklmn\"}\n\n",
            "event: messageStop\ndata: {\"stopReason\":\"end_turn\"}\n\nevent: metadata\ndata: {\"metrics\":{\"latencyMs\":400},\"usage\":{\"inputTokens\":12,\"outputTokens\":50,\"totalTokens\":62}}\n\n",
        )),
    },
    Form {
        name: "bedrock invoke",
        dialect: Some(Dialect::Bedrock),
        plain: r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"@"}],"usage":{"input_tokens":12,"output_tokens":50}}"#,
        stream: Some((
            AWS,
            "event: chunk\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":12,\"output_tokens\":1}}}\n\n",
            "event: chunk\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"@\"}}\n\n",
            "event: chunk\ndata: {\"type\":\"message_stop\",\"amazon-bedrock-invocationMetrics\":{\"inputTokenCount\":12,\"outputTokenCount\":50}}\n\n",
        )),
    },
    Form {
        name: "cohere",
        dialect: Some(Dialect::Cohere),
        plain: r#"{"id":"1","message":{"role":"assistant","content":[{"type":"text","text":"@"}]},"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":5,"output_tokens":50},"tokens":{"input_tokens":70,"output_tokens":51}}}"#,
        stream: Some((
            SSE,
            "event: message-start\ndata: {\"id\":\"1\",\"type\":\"message-start\",\"delta\":{\"message\":{\"role\":\"assistant\",\"content\":[]}}}\n\n",
            "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\"@\"}}}}\n\n",
            "event: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"COMPLETE\",\"usage\":{\"tokens\":{\"input_tokens\":70,\"output_tokens\":51}}}}\n\n",
        )),
    },
    Form {
        name: "workers-ai",
        dialect: Some(Dialect::WorkersAi),
        plain: r#"{"result":{"response":"@","usage":{"prompt_tokens":12,"completion_tokens":50,"total_tokens":62}},"success":true,"errors":[],"messages":[]}"#,
        stream: Some((
            SSE,
            "",
            "data: {\"response\":\"@\",\"p\":\"abdefghijklmnopqrstuvwxyz\"}\n\n",
            "data: {\"response\":\"\",\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":50}}\n\ndata: [DONE]\n\n",
        )),
    },
    Form {
        name: "huggingface",
        dialect: Some(Dialect::Huggingface),
        plain: r#"[{"generated_text":"@","details":{"finish_reason":"length","generated_tokens":20,"prefill":[{},{}]}}]"#,
        stream: Some((
            SSE,
            "",
            "data:{\"index\":1,\"token\":{\"id\":279,\"text\":\"@\",\"logprob\":-0.5,\"special\":false},\"generated_text\":null,\"details\":null}\n\n",
            "data:{\"index\":2,\"token\":{\"id\":2,\"text\":\"\",\"special\":true},\"generated_text\":\"x\",\"details\":{\"generated_tokens\":20,\"input_length\":7}}\n\n",
        )),
    },
    Form {
        name: "replicate",
        dialect: Some(Dialect::Replicate),
        plain: r#"{"id":"1","model":"meta/llama","input":{"prompt":"x"},"output":["@"],"error":null,"status":"succeeded","metrics":{"input_token_count":12,"output_token_count":50,"predict_time":1.5}}"#,
        stream: Some((
            SSE,
            "",
            "event: output\nid: 1690212292:0\ndata: @\n\n",
            "event: done\nid: 1690212293:0\ndata: {}\n\n",
        )),
    },
    Form {
        name: "deepgram",
        dialect: Some(Dialect::Deepgram),
        plain: r#"{"metadata":{"request_id":"1","duration":25.9,"channels":1},"results":{"channels":[{"alternatives":[{"transcript":"@","confidence":0.99}]}]}}"#,
        stream: None,
    },
    Form {
        name: "cartesia",
        dialect: Some(Dialect::Cartesia),
        plain: r#"{"type":"transcript","text":"@","language":"en","duration":25.9}"#,
        stream: None,
    },
    Form {
        name: "ollama",
        dialect: Some(Dialect::Ollama),
        plain: r#"{"model":"llama3.2","message":{"role":"assistant","content":"@"},"done":true,"prompt_eval_count":12,"eval_count":50}"#,
        stream: Some((
            LINES,
            "",
            "{\"model\":\"llama3.2\",\"created_at\":\"2026-01-01T00:00:00Z\",\"message\":{\"role\":\"assistant\",\"content\":\"@\"},\"done\":false}\n",
            "{\"model\":\"llama3.2\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"prompt_eval_count\":12,\"eval_count\":50}\n",
        )),
    },
];

/// ElevenLabs speaks: its answers are sound, which nobody reads.
const SOUND: &str = "audio/mpeg";

/// Every sample, small ones first within each dialect.
pub fn all() -> Vec<Sample> {
    let mut samples = Vec::new();
    for form in &FORMS {
        samples.push(form.plain_sample("1 KB", 1 << 10));
        samples.extend(form.stream_sample());
        samples.push(form.plain_sample("1 MB", 1 << 20));
    }
    samples.push(Sample {
        name: "elevenlabs",
        kind: "1 MB",
        dialect: Some(Dialect::Elevenlabs),
        content_type: SOUND,
        chunks: vec![vec![0xff; CHUNK_LEN]; (1 << 20) / CHUNK_LEN],
    });
    samples
}

impl Form {
    fn plain_sample(&self, kind: &'static str, len: usize) -> Sample {
        let mut text = String::new();
        for word in PROSE.split_inclusive(' ').cycle() {
            if self.plain.len() + text.len() >= len {
                break;
            }
            text.push_str(word);
        }
        let body = self.plain.replace('@', &text);
        Sample {
            name: self.name,
            kind,
            dialect: self.dialect,
            content_type: "application/json",
            chunks: body
                .as_bytes()
                .chunks(CHUNK_LEN)
                .map(<[u8]>::to_vec)
                .collect(),
        }
    }

    fn stream_sample(&self) -> Option<Sample> {
        let (content_type, first, chunk, last) = self.stream?;
        let words = PROSE.split_inclusive(' ').cycle().take(CHUNKS);
        let chunks = words.map(|word| chunk.replace('@', word));
        let chunks = [first.to_owned()].into_iter().chain(chunks);
        let chunks = chunks.chain([last.to_owned()]);
        let pack = |text: String| match content_type {
            AWS => frame(text.as_bytes()),
            _ => text.into_bytes(),
        };
        Some(Sample {
            name: self.name,
            kind: "stream",
            dialect: self.dialect,
            content_type,
            chunks: chunks.map(pack).collect(),
        })
    }
}
