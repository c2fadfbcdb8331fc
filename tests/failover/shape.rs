//! The forms in which the same question is put to the mock, and steps made of them.

use serde_json::{Value, json};

/// The universal endpoint.
pub const PATH: &str = "/v1/acc/default";

/// A provider's dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    OpenAi,
    Anthropic,
    Gemini,
    Bedrock,
}

impl Shape {
    pub const ALL: [Self; 4] = [Self::OpenAi, Self::Anthropic, Self::Gemini, Self::Bedrock];

    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
        }
    }

    pub const fn provider(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "google-ai-studio",
            Self::Bedrock => "aws-bedrock",
        }
    }

    /// The endpoint as the gateway knows it.
    pub fn endpoint(self, model: &str, stream: bool) -> String {
        match self {
            Self::OpenAi => "chat/completions".to_owned(),
            Self::Bedrock => {
                let there = self.at_provider(model, stream);
                format!("bedrock-runtime/us-east-1{there}")
            }
            // A slash before it is as good as none.
            Self::Anthropic | Self::Gemini => self.at_provider(model, stream),
        }
    }

    /// The target as the provider gets it.
    pub fn at_provider(self, model: &str, stream: bool) -> String {
        match (self, stream) {
            (Self::OpenAi, _) => "/v1/chat/completions".to_owned(),
            (Self::Anthropic, _) => "/v1/messages".to_owned(),
            (Self::Gemini, false) => format!("/v1beta/models/{model}:generateContent"),
            (Self::Gemini, true) => {
                format!("/v1beta/models/{model}:streamGenerateContent?alt=sse")
            }
            (Self::Bedrock, false) => format!("/model/{model}/converse"),
            (Self::Bedrock, true) => format!("/model/{model}/converse-stream"),
        }
    }

    /// The body. A stream asks for its usage by itself, so that nothing is taken out of it.
    pub fn query(self, model: &str, stream: bool) -> Value {
        let said = "Say naïve in 東京.";
        let messages = json!([{"role": "user", "content": said}]);
        match (self, stream) {
            (Self::OpenAi, false) => json!({"model": model, "messages": messages}),
            (Self::OpenAi, true) => json!({"model": model, "messages": messages, "stream": true,
                "stream_options": {"include_usage": true}}),
            (Self::Anthropic, _) => json!({"model": model, "messages": messages, "stream": stream,
                "max_tokens": 4096}),
            (Self::Gemini, _) => {
                json!({"contents": [{"role": "user", "parts": [{"text": said}]}]})
            }
            (Self::Bedrock, _) => {
                json!({"messages": [{"role": "user", "content": [{"text": said}]}]})
            }
        }
    }

    /// A step that asks so, with these faults.
    pub fn step(self, model: &str, stream: bool, faults: &str) -> Value {
        json!({
            "provider": self.provider(),
            "endpoint": self.endpoint(model, stream),
            "headers": {"x-mock": faults},
            "query": self.query(model, stream),
        })
    }
}

/// A step of a chat, plain or streamed.
pub fn chat(stream: bool, faults: &str) -> Value {
    Shape::OpenAi.step("m", stream, faults)
}

/// `step` with one member changed; null takes it away.
pub fn with(mut step: Value, member: &str, value: Value) -> Value {
    match value {
        Value::Null => {
            step.as_object_mut().unwrap().remove(member);
        }
        value => step[member] = value,
    }
    step
}
