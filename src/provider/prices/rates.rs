//! What can be charged for, and a rate for each of these.

use crate::base::money::{MoneyError, Rate};

/// Something that is counted and charged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    Input,
    Output,
    CachedInput,
    /// Written to the provider's cache for five minutes, or whatever is its default.
    CacheWrite,
    /// Written to the provider's cache for an hour.
    CacheWrite1h,
    Reasoning,
    AudioInput,
    AudioOutput,
    ImageInput,
    ImageOutput,
    Character,
    /// An image made.
    Image,
    /// A second of audio, or of the machine; counted in milliseconds.
    Second,
    Search,
    Request,
}

impl Item {
    pub const ALL: [Self; 15] = [
        Self::Input,
        Self::Output,
        Self::CachedInput,
        Self::CacheWrite,
        Self::CacheWrite1h,
        Self::Reasoning,
        Self::AudioInput,
        Self::AudioOutput,
        Self::ImageInput,
        Self::ImageOutput,
        Self::Character,
        Self::Image,
        Self::Second,
        Self::Search,
        Self::Request,
    ];

    /// The word for it in the price book.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Input => "in",
            Self::Output => "out",
            Self::CachedInput => "read",
            Self::CacheWrite => "write",
            Self::CacheWrite1h => "write1h",
            Self::Reasoning => "think",
            Self::AudioInput => "audio_in",
            Self::AudioOutput => "audio_out",
            Self::ImageInput => "image_in",
            Self::ImageOutput => "image_out",
            Self::Character => "char",
            Self::Image => "image",
            Self::Second => "second",
            Self::Search => "search",
            Self::Request => "request",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|item| item.word() == word)
    }

    /// Whether it is priced by the million.
    pub const fn is_small(self) -> bool {
        !matches!(
            self,
            Self::Image | Self::Second | Self::Search | Self::Request
        )
    }

    pub const fn is_token(self) -> bool {
        self.is_small() && !matches!(self, Self::Character)
    }

    /// Reads decimal dollars, for a million or for one as the price book has it.
    pub(super) fn read_rate(self, text: &str) -> Result<Rate, MoneyError> {
        if self.is_small() {
            Rate::per_million(text)
        } else {
            Rate::per_one(text)
        }
    }

    /// Decimal dollars, for a million or for one as the price book has it.
    pub fn show_rate(self, rate: Rate) -> String {
        if self.is_small() {
            rate.show_per_million()
        } else {
            rate.show_per_one()
        }
    }
}

/// A rate for each item that is priced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates([Option<Rate>; Item::ALL.len()]);

impl Rates {
    pub fn find(&self, item: Item) -> Option<Rate> {
        self.0.get(item as usize).copied().flatten()
    }

    pub fn has(&self, item: Item) -> bool {
        self.find(item).is_some()
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    pub fn set(&mut self, item: Item, rate: Rate) {
        if let Some(slot) = self.0.get_mut(item as usize) {
            *slot = Some(rate);
        }
    }

    /// The items that have a rate, in the order of [`Item::ALL`].
    pub fn listed(&self) -> impl Iterator<Item = (Item, Rate)> {
        let all = Item::ALL.into_iter().zip(&self.0);
        all.filter_map(|(item, rate)| Some((item, (*rate)?)))
    }

    /// These rates, with `other`'s in their place where it has one.
    pub fn overlay(mut self, other: &Self) -> Self {
        for (item, rate) in other.listed() {
            self.set(item, rate);
        }
        self
    }

    /// The rates of tokens times `thousandths` / 1000.
    pub(super) fn scale_tokens(mut self, thousandths: u64) -> Self {
        for (item, rate) in self.listed().collect::<Vec<_>>() {
            if item.is_token() {
                self.set(item, rate.scale(thousandths));
            }
        }
        self
    }
}
