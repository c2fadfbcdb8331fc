//! What an answer probably used, where the provider did not live to tell: bytes by a ratio learned per model.

use super::spread::Spread;
use crate::dialect::call;
use crate::dialect::usage::Reading;
use crate::llm::operation::Operation;
use crate::llm::usage::Usage;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Where nothing was learned: a token is about four bytes of English, by OpenAI's own rule of thumb.
const BYTES_PER_TOKEN: f64 = 4.0;
/// Models whose ratios are kept; with more, all are forgotten and learned anew.
const MODELS_MAX: usize = 4096;
/// Once this many tokens were counted, older ones begin to weigh less.
const TOKENS_MAX: u64 = 1 << 20;
/// So many answers teach a model's ratios; of those that follow, one in [`SAMPLE`].
const FIRST: u64 = 64;
const SAMPLE: u64 = 8;
/// Bodies above this are not learned from: to find the text in them would cost more than it tells.
const LEARN_BYTES_MAX: usize = 64 << 10;

/// The ratios of all models, learned from what providers report.
#[derive(Default)]
pub struct Ratios {
    models: RwLock<HashMap<Arc<str>, OfProvider>>,
}

/// By model.
type OfProvider = HashMap<String, Arc<Ratio>>;

/// Bytes and tokens seen of one model, both ways.
#[derive(Debug, Default)]
struct Ratio {
    /// Answers seen.
    seen: AtomicU64,
    input: Scale,
    output: Scale,
    answers: Spread,
}

/// A sum of bytes over a sum of tokens. A sum that misses another thread's step now and then is
/// still a good ratio.
#[derive(Debug, Default)]
struct Scale {
    bytes: AtomicU64,
    tokens: AtomicU64,
}

impl Scale {
    fn learn(&self, bytes: u64, tokens: u64) {
        if bytes == 0 || tokens == 0 {
            return;
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.tokens.fetch_add(tokens, Ordering::Relaxed) > TOKENS_MAX {
            let half =
                |sum: &AtomicU64| sum.store(sum.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
            half(&self.bytes);
            half(&self.tokens);
        }
    }

    fn tokens(&self, bytes: u64) -> Option<u64> {
        let seen = self.bytes.load(Ordering::Relaxed);
        let tokens = self.tokens.load(Ordering::Relaxed);
        (seen > 0 && tokens > 0).then(|| (bytes as f64 * tokens as f64 / seen as f64).ceil() as u64)
    }
}

/// Tokens in so many bytes where nothing is known.
fn by_rule(bytes: u64) -> u64 {
    (bytes as f64 / BYTES_PER_TOKEN).ceil() as u64
}

impl Ratios {
    /// Takes note of what a provider reported for this request and its answer.
    pub fn learn(&self, slug: &Arc<str>, model: &str, body: &[u8], reading: &Reading) {
        let Some(usage) = &reading.usage else {
            return;
        };
        let ratio = self.ratio(slug, model);
        if let Some(output) = usage.output {
            ratio.answers.note(output);
        }
        if body.len() > LEARN_BYTES_MAX {
            return;
        }
        let seen = ratio.seen.fetch_add(1, Ordering::Relaxed);
        if seen >= FIRST && !seen.is_multiple_of(SAMPLE) {
            return;
        }
        // What was not text says nothing about text.
        let text = |tokens: Option<u64>, other: [Option<u64>; 2]| {
            let other = other.into_iter().flatten().fold(0, u64::saturating_add);
            tokens.filter(|_| other == 0).unwrap_or_default()
        };
        let read = text(usage.input, [usage.audio_input, usage.image_input]);
        let written = text(usage.output, [usage.audio_output, usage.image_output]);
        ratio.input.learn(call::text_bytes(body), read);
        ratio.output.learn(reading.output_bytes, written);
    }

    /// Input tokens that a request's body probably makes.
    pub fn input(&self, slug: &str, model: &str, body: &[u8]) -> u64 {
        let bytes = call::text_bytes(body);
        let known = self.known(slug, model);
        let learned = known.and_then(|ratio| ratio.input.tokens(bytes));
        learned.unwrap_or_else(|| by_rule(bytes))
    }

    /// Output tokens that so many bytes of generated text probably were.
    pub fn output(&self, slug: &str, model: &str, bytes: u64) -> u64 {
        let known = self.known(slug, model);
        let learned = known.and_then(|ratio| ratio.output.tokens(bytes));
        learned.unwrap_or_else(|| by_rule(bytes))
    }

    /// Output tokens that 95 of 100 answers of this model do not exceed; `None` as long as too
    /// little is known.
    pub fn output_p95(&self, slug: &str, model: &str) -> Option<u64> {
        self.known(slug, model)?.answers.p95()
    }

    fn known(&self, slug: &str, model: &str) -> Option<Arc<Ratio>> {
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        models.get(slug)?.get(model).cloned()
    }

    fn ratio(&self, slug: &Arc<str>, model: &str) -> Arc<Ratio> {
        if let Some(known) = self.known(slug, model) {
            return known;
        }
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        if models.values().map(HashMap::len).sum::<usize>() >= MODELS_MAX {
            models.clear();
        }
        let own = models.entry(slug.clone()).or_default();
        own.entry(model.to_owned()).or_default().clone()
    }
}

/// Whether the tokens of such a request can be told from its text.
pub fn is_text(operation: Operation, output_bytes: u64) -> bool {
    match operation {
        Operation::Chat | Operation::Completion | Operation::Responses | Operation::Embeddings => {
            true
        }
        Operation::Inference => output_bytes > 0,
        _ => false,
    }
}

/// `told`, what a provider had reported when it was last heard, made up to what it probably came to.
pub fn complete(told: Usage, input: u64, output: u64) -> Usage {
    Usage {
        input: told.input.or(Some(input)),
        output: told.output.max(Some(output)),
        ..told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(input: u64, output: u64, output_bytes: u64) -> Reading {
        let usage = Usage {
            input: Some(input),
            output: Some(output),
            ..Usage::default()
        };
        Reading {
            usage: Some(usage),
            output_bytes,
            ..Reading::default()
        }
    }

    #[test]
    fn unknown_models_go_by_the_rule_of_thumb() {
        let ratios = Ratios::default();
        assert_eq!(ratios.input("openai", "gpt", b""), 0);
        assert_eq!(ratios.input("openai", "gpt", &[b'a'; 41]), 11);
        assert_eq!(ratios.output("openai", "gpt", 8), 2);
    }

    #[test]
    fn ratios_are_learned_by_model_and_provider() {
        let ratios = Ratios::default();
        let slug: Arc<str> = "openai".into();
        for _ in 0..10 {
            ratios.learn(&slug, "gpt", &[b'a'; 100], &reading(50, 10, 80));
        }
        assert_eq!(ratios.input("openai", "gpt", &[b'a'; 20]), 10);
        assert_eq!(ratios.output("openai", "gpt", 16), 2);
        assert_eq!(ratios.output("openai", "other", 16), 4);
        assert_eq!(ratios.output("azure-openai", "gpt", 16), 4);
    }

    #[test]
    fn sound_and_pictures_teach_nothing_about_text() {
        let ratios = Ratios::default();
        let slug: Arc<str> = "openai".into();
        let mut heard = reading(5000, 5000, 80);
        if let Some(usage) = &mut heard.usage {
            usage.audio_input = Some(4000);
            usage.image_output = Some(4000);
        }
        ratios.learn(&slug, "gpt", &[b'a'; 100], &heard);
        assert_eq!(ratios.input("openai", "gpt", &[b'a'; 40]), 10);
        assert_eq!(ratios.output("openai", "gpt", 40), 10);
    }

    #[test]
    fn a_ratio_follows_the_latest_and_models_are_bounded() {
        let ratios = Ratios::default();
        let slug: Arc<str> = "openai".into();
        let learn = |tokens: u64| {
            ratios.learn(&slug, "gpt", &[], &reading(0, tokens, 100_000));
        };
        (0..50).for_each(|_| learn(100_000));
        (0..1600).for_each(|_| learn(25_000));
        let tokens = ratios.output("openai", "gpt", 1000);
        assert!((250..=270).contains(&tokens), "{tokens}");
        for number in 0..=MODELS_MAX {
            ratios.learn(&slug, &number.to_string(), &[], &reading(0, 1, 1));
        }
        let models = ratios.models.read().unwrap();
        assert!(models.values().map(HashMap::len).sum::<usize>() <= MODELS_MAX);
    }
}
