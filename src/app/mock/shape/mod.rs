//! The shapes of the providers' answers.

pub mod anthropic;
pub mod bedrock;
pub mod cohere;
pub mod echo;
pub mod error;
pub mod eventstream;
pub mod gemini;
pub mod kind;
pub mod media;
pub mod openai;
pub mod responses;

pub use kind::{Shape, find};

use super::answer::{Answer, Stream};
use super::ask::Ask;

/// The answer to a request, with what its faults want said.
pub fn answer(shape: Shape, ask: &Ask<'_>) -> Answer {
    let content = ask.content;
    if let Some(status) = content.status.filter(|status| *status >= 300) {
        return error::answer(shape.family(), status, ask);
    }
    let answer = if content.garbage {
        Answer::json("{\"id\":\"mock\",\"choices\":[{\"message\":{\"content\":\"never clo")
    } else if content.error_event {
        broken(shape, ask)
    } else if content.echo {
        echo::answer(ask)
    } else {
        healthy(shape, ask)
    };
    match content.status {
        Some(status) => answer.status(status),
        None => answer,
    }
}

fn healthy(shape: Shape, ask: &Ask<'_>) -> Answer {
    match shape {
        Shape::Chat => openai::chat(ask),
        Shape::Completion => openai::completion(ask),
        Shape::Response => responses::answer(ask),
        Shape::Embedding => openai::embed(ask),
        Shape::ModelList if gemini::asks_models(ask) => gemini::list_models(&openai::MODELS),
        Shape::ModelList => openai::list_models(),
        Shape::Transcription => media::transcribe(ask),
        Shape::Speech => media::speak(ask),
        Shape::File => media::file(ask),
        Shape::Moderation => media::moderate(ask),
        Shape::Image => media::draw(ask),
        Shape::Message => anthropic::message(ask, ask.streams()),
        Shape::MessageCount => anthropic::count(ask),
        Shape::RawPredict { streamed } => anthropic::message(ask, streamed || ask.streams()),
        Shape::Generate { streamed } => gemini::generate(ask, streamed),
        Shape::GeminiEmbed { batch } => gemini::embed(ask, batch),
        Shape::GeminiCount => gemini::count(ask),
        Shape::GeminiPredict => gemini::predict(ask),
        Shape::CohereChat { v2 } => cohere::chat(ask, v2),
        Shape::CohereEmbed { v2 } => cohere::embed(ask, v2),
        Shape::Rerank => cohere::rerank(ask),
        Shape::Converse { streamed } => bedrock::converse(ask, streamed),
        Shape::Invoke { streamed } => bedrock::invoke(ask, streamed),
        Shape::Echo => echo::answer(ask),
    }
}

/// 200, and then an error: in a stream after some content, else as the whole body. With no content
/// before it the error is the very first event.
fn broken(shape: Shape, ask: &Ask<'_>) -> Answer {
    if !shape.streams(ask) {
        return error::answer(shape.family(), 500, ask).status(200);
    }
    let mut answer = healthy(shape, ask);
    if let super::answer::Body::Stream(stream) = &mut answer.body {
        let before = ask.content.chunks_before;
        let former = std::mem::take(stream);
        let event = error::event(shape, ask);
        *stream = match before {
            0 if !ask.content.greeting => Stream {
                content: vec![event],
                ..Stream::default()
            },
            _ => Stream {
                opening: former.opening,
                content: former.content.into_iter().take(before).collect(),
                closing: vec![event],
            },
        };
    }
    answer
}

#[cfg(test)]
mod tests;
