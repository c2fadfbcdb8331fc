//! What the gateway asks for beyond a recorded request, and what the provider then tells.

use crate::exchange::Exchange;
use crate::support::corpus::Fields;
use crate::way::Way;
use serde_json::Value;

/// What the upstream tells where it was not asked when it was recorded.
pub const TOKENS: (u64, u64) = (1234, 56);

const OPTION: &str = r#""stream_options":{"include_usage":true},"#;
/// From this version on, Azure knows the option.
const AZURE_SINCE: &str = "2024-09-01";

/// The body that the provider has to get: the client's, but where its stream is to be asked for
/// its usage.
pub fn body(exchange: &Exchange) -> Option<Vec<u8>> {
    let (_, path) = exchange.address();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let knows = match Way::of(exchange).slug.as_str() {
        "openai" => true,
        "azure-openai" => query
            .split_once("api-version=")
            .is_none_or(|(_, version)| version >= AZURE_SINCE),
        _ => false,
    };
    // A body that does not say what it is passes unread.
    if !is(&exchange.request_headers, "application/json") {
        return None;
    }
    let request: Value = serde_json::from_slice(&exchange.request_body).ok()?;
    let asked = request["stream_options"]["include_usage"] == true;
    if !knows || !path.ends_with("completions") || request["stream"] != true || asked {
        return None;
    }
    let text = String::from_utf8(exchange.request_body.clone()).unwrap();
    if request.get("stream_options").is_none() {
        return Some(text.replacen('{', &format!("{{{OPTION}"), 1).into_bytes());
    }
    let (lead, options) = text.split_once("\"include_usage\"").unwrap();
    let options = options.replacen("false", "true", 1);
    Some(format!("{lead}\"include_usage\"{options}").into_bytes())
}

/// The answer of a provider that was asked as [`body`] says: the recorded one with one event more,
/// before its end mark.
pub fn answer(exchange: &Exchange) -> Option<Vec<u8>> {
    body(exchange)?;
    let fields = &exchange.response_headers;
    let packed = fields.iter().any(|(name, _)| name == "content-encoding");
    // From what is packed nothing is taken out.
    if exchange.status != 200 || packed || !is(fields, "text/event-stream") {
        return None;
    }
    let text = std::str::from_utf8(&exchange.response_body).unwrap();
    let at = text.rfind("data: [DONE]").unwrap_or(text.len());
    let (lead, tail) = text.split_at(at);
    let end = if lead.ends_with("\r\n") { "\r\n" } else { "\n" };
    let event = format!(
        r#"data: {{"id":"told","choices":[],"usage":{{"prompt_tokens":{},"completion_tokens":{}}}}}"#,
        TOKENS.0, TOKENS.1
    );
    Some(format!("{lead}{event}{end}{end}{tail}").into_bytes())
}

fn is(fields: &Fields, media_type: &str) -> bool {
    let mut types = fields.iter().filter(|(name, _)| name == "content-type");
    types.any(|(_, value)| value.starts_with(media_type))
}
