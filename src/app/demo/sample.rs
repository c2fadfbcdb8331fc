//! The requests that the demo sends: several wire formats, and several ways to fail.

use std::borrow::Cow;

/// One request.
pub struct Ask {
    pub path: &'static str,
    pub fields: &'static [(&'static str, &'static str)],
    pub body: Body,
    /// Bytes of the answer, head included, after which the client hangs up.
    pub leaves_after: Option<usize>,
}

/// What a request carries.
pub enum Body {
    Json(&'static str),
    /// A multipart form with a file of this many bytes.
    Upload(usize),
}

/// The token of the demo's gateway that wants one.
pub const TOKEN: &str = "demo-token";

const BOUNDARY: &str = "tollgate-demo";

pub const SAMPLE: &[Ask] = &[
    Ask::new(
        "/v1/demo/default/openai/chat/completions",
        &[],
        r#"{"model":"gpt-5-mini","messages":[{"role":"user","content":"Hello"}]}"#,
    ),
    Ask::new(
        "/v1/demo/default/openai/chat/completions",
        &[("x-mock", "chunks=8,chunk-delay=15")],
        r#"{"model":"gpt-5-mini","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#,
    ),
    Ask::new(
        "/v1/demo/default/anthropic/v1/messages",
        &[("x-mock", "chunks=8,chunk-delay=15")],
        r#"{"model":"claude-sonnet-4-5","max_tokens":64,"stream":true,"messages":[{"role":"user","content":"Hello"}]}"#,
    ),
    Ask::new(
        "/v1/demo/default/google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        &[("x-mock", "chunks=8,chunk-delay=15")],
        r#"{"contents":[{"role":"user","parts":[{"text":"Hello"}]}]}"#,
    ),
    Ask::new(
        "/v1/demo/default/aws-bedrock/bedrock-runtime/us-east-1/model/amazon.nova-lite-v1:0/converse-stream",
        &[("x-mock", "chunks=8,chunk-delay=15")],
        r#"{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}"#,
    ),
    // The short form: the demo's listener belongs to a gateway.
    Ask::new(
        "/cohere/v2/chat",
        &[],
        r#"{"model":"command-a-03-2025","messages":[{"role":"user","content":"Hello"}]}"#,
    ),
    Ask::new(
        "/mistral/v1/embeddings",
        &[],
        r#"{"model":"mistral-embed","input":["one","two"]}"#,
    ),
    Ask {
        path: "/v1/demo/default/openai/files",
        fields: &[],
        body: Body::Upload(1 << 20),
        leaves_after: None,
    },
    Ask::new(
        "/v1/demo/locked/openai/chat/completions",
        &[("cf-aig-authorization", "Bearer demo-token")],
        r#"{"model":"gpt-5-mini","messages":[{"role":"user","content":"Hello"}]}"#,
    ),
    Ask::new(
        "/v1/demo/locked/openai/chat/completions",
        &[("cf-aig-authorization", "Bearer a-wrong-one")],
        r#"{"model":"gpt-5-mini","messages":[{"role":"user","content":"Hello"}]}"#,
    ),
    // Asked twice: the second answer comes out of the cache.
    Ask::new(
        "/v1/demo/frugal/openai/chat/completions",
        &[],
        r#"{"model":"gpt-5-mini","messages":[{"role":"user","content":"What is a tollgate?"}]}"#,
    ),
    Ask::new(
        "/v1/demo/frugal/openai/chat/completions",
        &[],
        r#"{"model":"gpt-5-mini","messages":[{"role":"user","content":"What is a tollgate?"}]}"#,
    ),
    // More than its limit lets through in a minute.
    Ask::new(
        "/v1/demo/frugal/openai/chat/completions",
        &[],
        r#"{"model":"gpt-5-mini","messages":[{"role":"user","content":"And who pays?"}]}"#,
    ),
    // The universal endpoint: nobody listens at the first step, and the second answers.
    Ask::new(
        "/v1/demo/default",
        &[],
        r#"[{"provider":"custom-dead","endpoint":"chat/completions","query":{"model":"gone","messages":[]}},{"provider":"anthropic","endpoint":"v1/messages","query":{"model":"claude-sonnet-4-5","max_tokens":64,"messages":[{"role":"user","content":"Hello"}]}}]"#,
    ),
    Ask::new(
        "/v1/demo/default/groq/chat/completions",
        &[("x-mock", "status=429,retry-after=1")],
        r#"{"model":"llama-3.3-70b-versatile","messages":[{"role":"user","content":"Hello"}]}"#,
    ),
    Ask::new(
        "/v1/demo/default/custom-dead/chat/completions",
        &[],
        r#"{"model":"gone","messages":[{"role":"user","content":"Hello"}]}"#,
    ),
    Ask::new(
        "/v1/demo/default/mistral/chat/completions",
        &[("x-mock", "hang"), ("cf-aig-request-timeout", "250")],
        r#"{"model":"mistral-small-latest","messages":[{"role":"user","content":"Hello"}]}"#,
    ),
    Ask::new(
        "/v1/demo/default/openai/chat/completions",
        &[("x-mock", "chunk-delay=15,reset-at=700")],
        r#"{"model":"gpt-5-mini","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#,
    ),
    Ask {
        path: "/v1/demo/default/anthropic/v1/messages",
        fields: &[("x-mock", "endless,chunk-delay=15")],
        body: Body::Json(
            r#"{"model":"claude-sonnet-4-5","max_tokens":64,"stream":true,"messages":[{"role":"user","content":"Hello"}]}"#,
        ),
        leaves_after: Some(2048),
    },
];

impl Ask {
    const fn new(
        path: &'static str,
        fields: &'static [(&'static str, &'static str)],
        body: &'static str,
    ) -> Self {
        Self {
            path,
            fields,
            body: Body::Json(body),
            leaves_after: None,
        }
    }
}

impl Body {
    pub fn content_type(&self) -> Cow<'static, str> {
        match self {
            Self::Json(_) => "application/json".into(),
            Self::Upload(_) => format!("multipart/form-data; boundary={BOUNDARY}").into(),
        }
    }

    pub fn bytes(&self) -> Cow<'static, [u8]> {
        match self {
            Self::Json(text) => text.as_bytes().into(),
            Self::Upload(length) => {
                let lead = format!(
                    "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
                     --{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; \
                     filename=\"batch.jsonl\"\r\ncontent-type: application/jsonl\r\n\r\n"
                );
                let end = format!("\r\n--{BOUNDARY}--\r\n");
                let file = vec![b'.'; *length];
                [lead.as_bytes(), &file, end.as_bytes()].concat().into()
            }
        }
    }
}
