//! Usage objects of unknown makers, told apart by their members.

use super::{anthropic, cohere, converse, gemini, openai};
use crate::llm::usage::Usage;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Members by which the makers of usage objects can be told apart.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Marks {
    input_tokens: Option<IgnoredAny>,
    output_tokens: Option<IgnoredAny>,
    #[serde(rename = "billed_units")]
    billed_units: Option<IgnoredAny>,
    tokens: Option<IgnoredAny>,
    #[serde(rename = "total_input_tokens")]
    total_input_tokens: Option<IgnoredAny>,
    #[serde(rename = "prompt_tokens")]
    prompt_tokens: Option<IgnoredAny>,
    #[serde(rename = "total_tokens")]
    total_tokens: Option<IgnoredAny>,
    #[serde(rename = "output_tokens")]
    anthropic_output: Option<IgnoredAny>,
    #[serde(rename = "input_tokens")]
    anthropic_input: Option<IgnoredAny>,
}

/// Works in a usage object of whichever dialect.
pub(super) fn work_in(usage: &mut Usage, raw: &[u8]) {
    let Ok(marks) = serde_json::from_slice::<Marks>(raw) else {
        return;
    };
    let whole = if marks.input_tokens.is_some() || marks.output_tokens.is_some() {
        converse::read(raw)
    } else if marks.billed_units.is_some() || marks.tokens.is_some() {
        cohere::usage::read(raw)
    } else if marks.total_input_tokens.is_some() {
        gemini::usage::read_interaction(raw)
    } else if marks.prompt_tokens.is_some() || marks.total_tokens.is_some() {
        openai::usage::read(raw)
    } else if marks.anthropic_input.is_some() || marks.anthropic_output.is_some() {
        anthropic::usage::overlay(usage, raw);
        return;
    } else {
        openai::usage::read(raw)
    };
    if let Some(whole) = whole {
        // A whole counts instead of what was known, but for what was counted beside it.
        *usage = whole.over(Usage {
            units: usage.units,
            ..Usage::default()
        });
    }
}
