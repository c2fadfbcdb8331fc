//! The arithmetic: from what was used to what is charged, every token in exactly one item.

use super::rates::{Item, Rates};
use crate::base::money::{NanoUsd, Rate, Sum};
use crate::llm::usage::Usage;

/// What is charged for one use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bill {
    rates: Rates,
    counts: [u64; Item::ALL.len()],
    reported: bool,
    /// Something was used, and no rate is listed for any of it.
    unpriced: bool,
}

/// All tokens that the model read and that are charged for.
pub(super) fn whole_input(usage: &Usage) -> u64 {
    let parts = [
        usage.cached_input,
        usage.cache_write,
        usage.audio_input,
        usage.image_input,
    ];
    whole(usage.units.billed_input.or(usage.input), &parts)
}

fn whole_output(usage: &Usage) -> u64 {
    let parts = [usage.reasoning, usage.audio_output, usage.image_output];
    whole(usage.units.billed_output.or(usage.output), &parts)
}

/// The stated whole; the sum of the parts where only these are stated.
fn whole(stated: Option<u64>, parts: &[Option<u64>]) -> u64 {
    let sum = parts.iter().flatten().copied();
    stated.unwrap_or_else(|| sum.fold(0, u64::saturating_add))
}

impl Bill {
    pub(super) fn new(rates: Rates, usage: &Usage) -> Self {
        let mut bill = Self {
            rates,
            counts: [0; Item::ALL.len()],
            reported: usage.is_reported(),
            unpriced: false,
        };
        bill.count_input(usage);
        bill.count_output(usage);
        bill.count_units(usage);
        let used = bill.counts.iter().any(|count| *count > 0);
        bill.unpriced = used && bill.lines().next().is_none();
        bill
    }

    /// The charge; `None` where something was used and nothing of it has a rate, or where nothing
    /// is known of the use.
    pub fn total(&self) -> Option<NanoUsd> {
        let known = self.reported || self.rates.has(Item::Request);
        if self.unpriced || !known || self.rates.is_empty() {
            return None;
        }
        let mut sum = Sum::default();
        for (item, rate, count) in self.lines() {
            add(&mut sum, item, rate, count);
        }
        Some(sum.round())
    }

    /// How many of this item are charged for.
    pub fn count(&self, item: Item) -> u64 {
        self.counts.get(item as usize).copied().unwrap_or_default()
    }

    /// The items charged for: rate and count. Seconds are counted in milliseconds.
    pub fn lines(&self) -> impl Iterator<Item = (Item, Rate, u64)> {
        let listed = self.rates.listed();
        let lines = listed.map(|(item, rate)| (item, rate, self.count(item)));
        lines.filter(|(_, _, count)| *count > 0)
    }

    fn set(&mut self, item: Item, count: u64) {
        if let Some(slot) = self.counts.get_mut(item as usize) {
            *slot = count;
        }
    }

    /// Takes a part out of the whole if it has a rate of its own. Some providers state parts that
    /// are larger than the whole; never more is charged than the whole.
    fn take(&mut self, item: Item, part: Option<u64>, whole: &mut u64) {
        if self.rates.has(item) {
            let part = part.unwrap_or_default().min(*whole);
            *whole -= part;
            self.set(item, part);
        }
    }

    fn count_input(&mut self, usage: &Usage) {
        let mut rest = whole_input(usage);
        self.take(Item::CachedInput, usage.cached_input, &mut rest);
        let hour = usage.cache_write_1h;
        let short = usage.cache_write.unwrap_or_default();
        self.take(Item::CacheWrite1h, hour, &mut rest);
        let short = short.saturating_sub(self.count(Item::CacheWrite1h));
        self.take(Item::CacheWrite, Some(short), &mut rest);
        self.take(Item::AudioInput, usage.audio_input, &mut rest);
        self.take(Item::ImageInput, usage.image_input, &mut rest);
        self.set(Item::Input, rest);
    }

    fn count_output(&mut self, usage: &Usage) {
        let mut rest = whole_output(usage);
        self.take(Item::AudioOutput, usage.audio_output, &mut rest);
        self.take(Item::ImageOutput, usage.image_output, &mut rest);
        self.take(Item::Reasoning, usage.reasoning, &mut rest);
        self.set(Item::Output, rest);
    }

    /// Images, time and characters are charged only where tokens are not: where a price lists both,
    /// they are two ways to say the same.
    fn count_units(&mut self, usage: &Usage) {
        let units = &usage.units;
        let charged = |item: &Item| self.count(*item) > 0 && !self.is_free(*item);
        let written = [Item::Output, Item::ImageOutput, Item::AudioOutput];
        let by_output = written.iter().any(charged);
        let by_tokens = Item::ALL.iter().any(charged);
        let set = |count: Option<u64>, charged: bool| match charged {
            true => 0,
            false => count.unwrap_or_default(),
        };
        let images = set(units.images, by_output);
        let time = set(units.audio_ms.or(units.compute_ms), by_tokens);
        let characters = set(units.characters, by_tokens);
        self.set(Item::Image, images);
        self.set(Item::Second, time);
        self.set(Item::Character, characters);
        self.set(Item::Search, units.searches.unwrap_or_default());
        if self.rates.has(Item::Request) {
            self.set(Item::Request, 1);
        }
    }

    fn is_free(&self, item: Item) -> bool {
        self.rates.find(item).is_none_or(Rate::is_zero)
    }
}

fn add(sum: &mut Sum, item: Item, rate: Rate, count: u64) {
    match item {
        Item::Second => sum.add_thousandths(rate, count),
        _ => sum.add(rate, count),
    }
}

#[cfg(test)]
mod tests;
