//! Which questions and answers may be kept at all.

use crate::dialect::usage::Reading;
use crate::llm::operation::Operation;
use http::{Method, Version};
use pingora::http::ResponseHeader;

/// Whether asking twice may give the same answer: what makes, lists or looks something up may not.
pub fn is_question(method: &Method, operation: Operation) -> bool {
    use Operation::{
        Chat, Completion, Embeddings, Image, Inference, Moderation, Rerank, Responses,
    };
    let asks = matches!(
        operation,
        Chat | Completion | Responses | Embeddings | Rerank | Moderation | Image | Inference
    );
    asks && *method == Method::POST
}

/// What an answer is made of, where that can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matter {
    /// JSON or events: whether it is whole is read from the bytes.
    Words,
    /// An image: whole if all its bytes came.
    Image,
}

/// Whether an answer with this head may be kept, if it ends well.
pub fn matter(head: &ResponseHeader) -> Option<Matter> {
    let header = |name: &str| head.headers.get(name)?.to_str().ok();
    // Without either, an HTTP/1 body ends where the connection does, for whatever reason.
    let framed = head.version == Version::HTTP_2
        || header("content-length").is_some()
        || header("transfer-encoding").is_some();
    if head.status != http::StatusCode::OK || !framed {
        return None;
    }
    let media = header("content-type")?.split(';').next()?.trim();
    let media = media.to_ascii_lowercase();
    let words = [
        "application/json",
        "text/event-stream",
        "application/x-ndjson",
        "application/vnd.amazon.eventstream",
    ];
    if words.contains(&media.as_str()) || media.ends_with("+json") {
        return Some(Matter::Words);
    }
    media.starts_with("image/").then_some(Matter::Image)
}

/// Whether an answer that ended has come whole and without an error inside.
pub fn is_whole(matter: Matter, operation: Operation, reading: &Reading) -> bool {
    match matter {
        Matter::Image => true,
        // A response that runs in the background is a promise, and has used nothing yet.
        Matter::Words if operation == Operation::Responses && reading.usage.is_none() => false,
        Matter::Words => reading.complete && !reading.error && !reading.unread,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::usage::Usage;

    fn check(status: u16, fields: &[(&'static str, &str)], expect: Option<Matter>) {
        let mut head = ResponseHeader::build(status, None).unwrap();
        for (name, value) in fields {
            head.append_header(*name, *value).unwrap();
        }
        assert_eq!(matter(&head), expect, "{status} {fields:?}");
    }

    #[test]
    fn framed_answers_of_words_or_images_may_be_kept() {
        let chunked = ("transfer-encoding", "chunked");
        let stream = ("content-type", "text/event-stream; charset=utf-8");
        check(200, &[stream, chunked], Some(Matter::Words));
        check(
            200,
            &[
                ("content-type", "Application/JSON"),
                ("content-length", "2"),
            ],
            Some(Matter::Words),
        );
        check(
            200,
            &[("content-type", "image/png"), chunked],
            Some(Matter::Image),
        );
        check(200, &[stream], None);
        check(200, &[chunked], None);
        check(201, &[stream, chunked], None);
        check(206, &[stream, chunked], None);
        check(200, &[("content-type", "audio/mpeg"), chunked], None);
    }

    #[test]
    fn only_whole_answers_without_an_error_are_kept() {
        let whole = Reading {
            complete: true,
            ..Reading::default()
        };
        let check = |reading: &Reading| is_whole(Matter::Words, Operation::Chat, reading);
        assert!(check(&whole));
        assert!(!check(&Reading::default()));
        assert!(!check(&Reading {
            error: true,
            ..whole.clone()
        }));
        assert!(!check(&Reading {
            unread: true,
            ..whole.clone()
        }));
        assert!(!is_whole(Matter::Words, Operation::Responses, &whole));
        let used = Reading {
            usage: Some(Usage::default()),
            ..whole
        };
        assert!(is_whole(Matter::Words, Operation::Responses, &used));
    }
}
