//! The answer to anything that no provider answers: the request itself.

use crate::app::mock::answer::Answer;
use crate::app::mock::ask::Ask;
use crate::app::mock::stats::show_request;
use serde_json::Value;

/// A body up to here is shown, in bytes.
const SHOWN_BYTES_MAX: usize = 4096;

/// The request as JSON.
pub fn answer(ask: &Ask<'_>) -> Answer {
    let mut shown = show_request(ask.head, ask.body.count, ask.body.crc);
    let bytes = &ask.body.bytes;
    let text = Some(bytes)
        .filter(|bytes| bytes.len() <= SHOWN_BYTES_MAX && bytes.len() as u64 == ask.body.count);
    if let (Some(members), Some(Ok(text))) = (
        shown.as_object_mut(),
        text.map(|text| std::str::from_utf8(text)),
    ) {
        members.insert("body".to_owned(), Value::from(text));
    }
    Answer::value(&shown)
}
