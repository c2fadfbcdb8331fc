//! What an answer used, as the provider reports it.

/// Tokens and other units of one answer; `None` means that the provider said nothing of it.
///
/// `input` is everything the model read: `cached_input`, `cache_write`, `audio_input` and
/// `image_input` are parts of it. `output` is everything it wrote: `reasoning`, `audio_output` and
/// `image_output` are parts of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub input: Option<u64>,
    pub output: Option<u64>,
    pub cached_input: Option<u64>,
    /// Tokens written to the provider's cache, whatever their time to live.
    pub cache_write: Option<u64>,
    /// The part of `cache_write` that is kept for an hour.
    pub cache_write_1h: Option<u64>,
    pub reasoning: Option<u64>,
    pub audio_input: Option<u64>,
    pub audio_output: Option<u64>,
    pub image_input: Option<u64>,
    pub image_output: Option<u64>,
    pub units: Units,
    /// What the provider itself says it bills, in billionths of a US dollar.
    pub stated_cost_nano_usd: Option<u64>,
}

/// What is billed by something other than the tokens that the model handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// Images made.
    pub images: Option<u64>,
    /// Length of the audio heard or spoken, in milliseconds.
    pub audio_ms: Option<u64>,
    /// Characters spoken.
    pub characters: Option<u64>,
    /// Searches and reranked batches.
    pub searches: Option<u64>,
    /// Time on the machine, in milliseconds.
    pub compute_ms: Option<u64>,
    /// Input tokens that are billed, where these differ from what the model read.
    pub billed_input: Option<u64>,
    /// Output tokens that are billed, where these differ from what the model wrote.
    pub billed_output: Option<u64>,
}

impl Usage {
    /// Whether the provider said anything at all.
    pub fn is_reported(&self) -> bool {
        *self != Self::default()
    }

    /// Counts one image more.
    pub fn add_image(&mut self) {
        self.units.images = Some(self.units.images.unwrap_or_default() + 1);
    }

    /// This usage and another one's together; what both leave open stays open.
    pub fn plus(self, other: Self) -> Self {
        Self {
            input: sum(self.input, other.input),
            output: sum(self.output, other.output),
            cached_input: sum(self.cached_input, other.cached_input),
            cache_write: sum(self.cache_write, other.cache_write),
            cache_write_1h: sum(self.cache_write_1h, other.cache_write_1h),
            reasoning: sum(self.reasoning, other.reasoning),
            audio_input: sum(self.audio_input, other.audio_input),
            audio_output: sum(self.audio_output, other.audio_output),
            image_input: sum(self.image_input, other.image_input),
            image_output: sum(self.image_output, other.image_output),
            units: self.units.plus(other.units),
            stated_cost_nano_usd: sum(self.stated_cost_nano_usd, other.stated_cost_nano_usd),
        }
    }

    /// This usage, with what it leaves open taken from `base`.
    pub fn over(self, base: Self) -> Self {
        Self {
            input: self.input.or(base.input),
            output: self.output.or(base.output),
            cached_input: self.cached_input.or(base.cached_input),
            cache_write: self.cache_write.or(base.cache_write),
            cache_write_1h: self.cache_write_1h.or(base.cache_write_1h),
            reasoning: self.reasoning.or(base.reasoning),
            audio_input: self.audio_input.or(base.audio_input),
            audio_output: self.audio_output.or(base.audio_output),
            image_input: self.image_input.or(base.image_input),
            image_output: self.image_output.or(base.image_output),
            units: self.units.over(base.units),
            stated_cost_nano_usd: self.stated_cost_nano_usd.or(base.stated_cost_nano_usd),
        }
    }
}

impl Units {
    /// These units and another one's together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            images: sum(self.images, other.images),
            audio_ms: sum(self.audio_ms, other.audio_ms),
            characters: sum(self.characters, other.characters),
            searches: sum(self.searches, other.searches),
            compute_ms: sum(self.compute_ms, other.compute_ms),
            billed_input: sum(self.billed_input, other.billed_input),
            billed_output: sum(self.billed_output, other.billed_output),
        }
    }

    /// These units, with what they leave open taken from `base`.
    pub fn over(self, base: Self) -> Self {
        Self {
            images: self.images.or(base.images),
            audio_ms: self.audio_ms.or(base.audio_ms),
            characters: self.characters.or(base.characters),
            searches: self.searches.or(base.searches),
            compute_ms: self.compute_ms.or(base.compute_ms),
            billed_input: self.billed_input.or(base.billed_input),
            billed_output: self.billed_output.or(base.billed_output),
        }
    }
}

fn sum(one: Option<u64>, two: Option<u64>) -> Option<u64> {
    match (one, two) {
        (Some(one), Some(two)) => Some(one.saturating_add(two)),
        (one, two) => one.or(two),
    }
}
