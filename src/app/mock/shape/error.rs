//! Errors in each family's own format, as a whole answer and as an event in a stream.

use super::eventstream;
use super::kind::{Family, Shape};
use crate::app::mock::answer::Answer;
use crate::app::mock::ask::Ask;
use serde_json::{Value, json};

/// An error answer of that status.
pub fn answer(family: Family, status: u16, ask: &Ask<'_>) -> Answer {
    let answer = Answer::value(&show(family, status, ask)).status(status);
    let answer = match family {
        Family::OpenAi => answer.header("x-request-id", ask.id("req_")),
        Family::Anthropic => answer.header("request-id", ask.id("req_")),
        Family::Bedrock => answer
            .header("x-amzn-requestid", ask.id(""))
            .header("x-amzn-errortype", exception(status)),
        Family::Gemini | Family::Cohere => answer,
    };
    match status {
        300..400 => answer.header("location", "/moved"),
        _ => answer,
    }
}

/// The error event of a shape's stream.
pub fn event(shape: Shape, ask: &Ask<'_>) -> Vec<u8> {
    let family = shape.family();
    let status = if family == Family::Anthropic {
        529
    } else {
        500
    };
    let error = show(family, status, ask);
    match shape {
        Shape::Response => {
            let error = json!({"type": "error", "code": "server_error", "message": message(status),
                "param": null, "sequence_number": 0});
            format!("event: error\ndata: {error}\n\n").into_bytes()
        }
        Shape::Message | Shape::RawPredict { .. } => {
            format!("event: error\ndata: {error}\n\n").into_bytes()
        }
        Shape::CohereChat { v2: false } => {
            let end =
                json!({"event_type": "stream-end", "is_finished": true, "finish_reason": "ERROR"});
            super::cohere::write_v1(ask, &end)
        }
        Shape::CohereChat { v2: true } => {
            let delta = json!({"finish_reason": "ERROR", "error": message(status)});
            let end = json!({"type": "message-end", "id": ask.id(""), "delta": delta});
            format!("event: message-end\ndata: {end}\n\n").into_bytes()
        }
        Shape::Generate { .. } if !super::gemini::asks_events(ask) => {
            format!("[{error}]").into_bytes()
        }
        Shape::Generate { .. } => format!("data: {error}\r\n\r\n").into_bytes(),
        Shape::Converse { .. } | Shape::Invoke { .. } => {
            eventstream::exception("internalServerException", error.to_string().as_bytes())
        }
        _ => format!("data: {error}\n\n").into_bytes(),
    }
}

/// The error's body.
pub fn show(family: Family, status: u16, ask: &Ask<'_>) -> Value {
    let message = message(status);
    match family {
        Family::OpenAi => {
            json!({"error": {"message": message, "type": kind(status), "param": null, "code": code(status)}})
        }
        Family::Anthropic => json!({
            "type": "error",
            "error": {"type": anthropic_kind(status), "message": message},
            "request_id": ask.id("req_"),
        }),
        Family::Gemini => {
            json!({"error": {"code": status, "message": message, "status": rpc_status(status)}})
        }
        Family::Cohere => json!({"id": ask.id(""), "message": message}),
        Family::Bedrock => json!({"message": message}),
    }
}

fn message(status: u16) -> String {
    format!("the mock was asked for status {status}")
}

fn kind(status: u16) -> &'static str {
    match status {
        429 => "rate_limit_error",
        401 => "authentication_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

fn code(status: u16) -> Option<&'static str> {
    match status {
        401 => Some("invalid_api_key"),
        404 => Some("model_not_found"),
        429 => Some("rate_limit_exceeded"),
        _ => None,
    }
}

fn anthropic_kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

fn rpc_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}

fn exception(status: u16) -> &'static str {
    match status {
        403 | 401 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 => "ModelTimeoutException",
        424 => "ModelErrorException",
        429 => "ThrottlingException",
        503 => "ServiceUnavailableException",
        500.. => "InternalServerException",
        _ => "ValidationException",
    }
}
