//! What an answer probably used, where the provider did not live to tell: bytes by a ratio learned per model.

use super::learned::{Learned, NAME_BYTES_MAX, OfModel, Sums};
use super::spread::Spread;
use crate::base::key::{Key, Own};
use crate::dialect::call;
use crate::dialect::usage::Reading;
use crate::llm::operation::Operation;
use crate::llm::usage::Usage;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Where nothing was learned: a token is about four bytes of English, by OpenAI's own rule of thumb.
const BYTES_PER_TOKEN: f64 = 4.0;
/// Models whose ratios are kept; with more, all are forgotten and learned anew.
const MODELS_MAX: usize = 4096;
/// Once this many tokens were counted, older ones begin to weigh less.
const TOKENS_MAX: u64 = 1 << 20;
/// No sum of so many tokens has more bytes than this.
const SUM_BYTES_MAX: u64 = 1 << 40;
/// So many answers teach a model's ratios; of those that follow, one in [`SAMPLE`].
const FIRST: u64 = 64;
const SAMPLE: u64 = 8;
/// Bodies above this are not learned from: to find the text in them would cost more than it tells.
const LEARN_BYTES_MAX: usize = 64 << 10;

/// The ratios of all models, learned from what providers report.
#[derive(Default)]
pub struct Ratios {
    /// By provider and model.
    models: RwLock<HashMap<Own<2>, Arc<Ratio>>>,
}

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

impl Scale {
    fn tell(&self) -> Sums {
        Sums {
            bytes: self.bytes.load(Ordering::Relaxed),
            tokens: self.tokens.load(Ordering::Relaxed),
        }
    }

    fn resume(&self, told: Sums) {
        // Beyond this, sums are halved; what is told to be more was never counted.
        if told.tokens <= 2 * TOKENS_MAX && told.bytes <= SUM_BYTES_MAX {
            self.bytes.store(told.bytes, Ordering::Relaxed);
            self.tokens.store(told.tokens, Ordering::Relaxed);
        }
    }
}

/// Tokens in so many bytes where nothing is known.
fn by_rule(bytes: u64) -> u64 {
    (bytes as f64 / BYTES_PER_TOKEN).ceil() as u64
}

impl Ratios {
    /// Takes note of what a provider reported for this request and its answer.
    pub fn learn(&self, slug: &str, model: &str, body: &[u8], reading: &Reading) {
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

    /// All that was learned, but of models with names of no reasonable length.
    pub fn tell(&self) -> Learned {
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        let mut providers = BTreeMap::<String, BTreeMap<_, _>>::new();
        for (Own([slug, model]), ratio) in models.iter() {
            let told = OfModel {
                seen: ratio.seen.load(Ordering::Relaxed),
                input: ratio.input.tell(),
                output: ratio.output.tell(),
                answers: ratio.answers.tell(),
            };
            let of_provider = providers.entry(slug.to_string()).or_default();
            if model.len() <= NAME_BYTES_MAX {
                of_provider.insert(model.to_string(), told);
            }
        }
        Learned { providers }
    }

    /// Takes over what a predecessor told.
    pub fn resume(&self, told: &Learned) {
        for (slug, models) in &told.providers {
            for (model, told) in models {
                let ratio = self.ratio(slug, model);
                ratio.seen.store(told.seen, Ordering::Relaxed);
                ratio.input.resume(told.input);
                ratio.output.resume(told.output);
                ratio.answers.resume(&told.answers);
            }
        }
    }

    fn known(&self, slug: &str, model: &str) -> Option<Arc<Ratio>> {
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        models.get(&Key([slug, model])).cloned()
    }

    fn ratio(&self, slug: &str, model: &str) -> Arc<Ratio> {
        if let Some(known) = self.known(slug, model) {
            return known;
        }
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        if models.len() >= MODELS_MAX {
            models.clear();
        }
        let own = models.entry(Key([slug, model]).own());
        own.or_default().clone()
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
        let slug = "openai";
        for _ in 0..10 {
            ratios.learn(slug, "gpt", &[b'a'; 100], &reading(50, 10, 80));
        }
        assert_eq!(ratios.input("openai", "gpt", &[b'a'; 20]), 10);
        assert_eq!(ratios.output("openai", "gpt", 16), 2);
        assert_eq!(ratios.output("openai", "other", 16), 4);
        assert_eq!(ratios.output("azure-openai", "gpt", 16), 4);
    }

    #[test]
    fn a_successor_knows_what_was_learned() {
        let (old, new) = (Ratios::default(), Ratios::default());
        let slug = "openai";
        for output in 1..100 {
            old.learn(slug, "gpt", &[b'a'; 100], &reading(50, output, 8 * output));
        }
        old.learn(slug, &"long".repeat(100), &[], &reading(1, 1, 1));
        let told = serde_json::to_string(&old.tell()).unwrap();
        new.resume(&serde_json::from_str(&told).unwrap());
        assert_eq!(new.input("openai", "gpt", &[b'a'; 20]), 10);
        assert_eq!(new.output("openai", "gpt", 80), 10);
        assert!(old.output_p95("openai", "gpt").is_some());
        assert_eq!(
            new.output_p95("openai", "gpt"),
            old.output_p95("openai", "gpt")
        );
        assert_eq!(new.models.read().unwrap().len(), 1);
        // What nobody can have counted is not believed.
        let far = r#"{"providers": {"openai": {"gpt": {"input": {"bytes": 18446744073709551615, "tokens": 9}, "answers": [4294967295, 4294967295]}}}}"#;
        new.resume(&serde_json::from_str(far).unwrap());
        assert_eq!(new.input("openai", "gpt", &[b'a'; 20]), 10);
        new.learn(slug, "gpt", &[b'a'; 100], &reading(50, 10, 80));
        assert_eq!(new.output_p95("openai", "gpt"), Some(1));
    }

    #[test]
    fn sound_and_pictures_teach_nothing_about_text() {
        let ratios = Ratios::default();
        let slug = "openai";
        let mut heard = reading(5000, 5000, 80);
        if let Some(usage) = &mut heard.usage {
            usage.audio_input = Some(4000);
            usage.image_output = Some(4000);
        }
        ratios.learn(slug, "gpt", &[b'a'; 100], &heard);
        assert_eq!(ratios.input("openai", "gpt", &[b'a'; 40]), 10);
        assert_eq!(ratios.output("openai", "gpt", 40), 10);
    }

    #[test]
    fn a_ratio_follows_the_latest_and_models_are_bounded() {
        let ratios = Ratios::default();
        let slug = "openai";
        let learn = |tokens: u64| {
            ratios.learn(slug, "gpt", &[], &reading(0, tokens, 100_000));
        };
        (0..50).for_each(|_| learn(100_000));
        (0..1600).for_each(|_| learn(25_000));
        let tokens = ratios.output("openai", "gpt", 1000);
        assert!((250..=270).contains(&tokens), "{tokens}");
        for number in 0..=MODELS_MAX {
            ratios.learn(slug, &number.to_string(), &[], &reading(0, 1, 1));
        }
        let models = ratios.models.read().unwrap();
        assert!(models.len() <= MODELS_MAX);
    }
}
