//! The usage object of Bedrock's converse, which counts cached tokens beside the input.

use super::count::Count;
use crate::llm::usage::Usage;
use serde::Deserialize;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Wire {
    input_tokens: Count,
    output_tokens: Count,
    cache_read_input_tokens: Count,
    cache_write_input_tokens: Count,
    cache_read_input_token_count: Count,
    cache_write_input_token_count: Count,
}

/// Reads the usage object of converse and of Nova.
pub(super) fn read(raw: &[u8]) -> Option<Usage> {
    let wire: Wire = serde_json::from_slice(raw).ok()?;
    Some(total(
        wire.input_tokens.0,
        wire.output_tokens.0,
        wire.cache_read_input_tokens
            .or(wire.cache_read_input_token_count)
            .0,
        wire.cache_write_input_tokens
            .or(wire.cache_write_input_token_count)
            .0,
    ))
}

/// Adds the cached tokens to the input.
pub(super) fn total(
    uncached: Option<u64>,
    output: Option<u64>,
    read: Option<u64>,
    written: Option<u64>,
) -> Usage {
    let cache = read
        .unwrap_or_default()
        .saturating_add(written.unwrap_or_default());
    Usage {
        input: uncached.map(|uncached| uncached.saturating_add(cache)),
        output,
        cached_input: read,
        cache_write: written,
        ..Usage::default()
    }
}
