//! Prices that were looked up lately, so that most requests need not search the book.

use crate::base::key::{Key, Own};
use crate::provider::prices::book::Book;
use crate::provider::prices::price::Price;
use hashbrown::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

/// How long a price is remembered: some depend on the time of day.
const FRESH: Duration = Duration::from_secs(60);
/// Prices that are remembered; with more, all are forgotten and begin anew.
const PRICES_MAX: usize = 4096;

/// A model's price, or that it has none, and when that was looked up.
type Known = (Instant, Option<Arc<Price>>);

/// The book, with what was read of it lately.
pub struct Memo {
    book: Book,
    /// By provider and model.
    known: RwLock<HashMap<Own<2>, Known>>,
}

impl Memo {
    pub fn new(book: Book) -> Self {
        Self {
            book,
            known: RwLock::default(),
        }
    }

    /// The price of a model now, when it is `now`.
    pub fn find(
        &self,
        slug: &str,
        model: &str,
        region: Option<&str>,
        now: Instant,
    ) -> Option<Arc<Price>> {
        // Where a region decides, the name alone does not tell the price.
        if region.is_some() {
            return self.look_up(slug, model, region);
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let key = Key([slug, model]);
        if let Some((at, price)) = known.get(&key)
            && now.saturating_duration_since(*at) < FRESH
        {
            return price.clone();
        }
        drop(known);
        let price = self.look_up(slug, model, None);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= PRICES_MAX {
            known.clear();
        }
        known.insert(key.own(), (now, price.clone()));
        price
    }

    fn look_up(&self, slug: &str, model: &str, region: Option<&str>) -> Option<Arc<Price>> {
        let price = self.book.find(slug, model, region, SystemTime::now());
        price.map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_what_the_book_says() {
        let memo = Memo::new(Book::default());
        let slug = "openai";
        let now = Instant::now();
        for model in ["gpt-4o", "gpt-4o-mini", "no-such-model"] {
            let book = memo.look_up(slug, model, None);
            for _ in 0..2 {
                assert_eq!(memo.find(slug, model, None, now), book, "{model}");
            }
        }
        for number in 0..=PRICES_MAX {
            let model = format!("none-{number}");
            assert!(memo.find(slug, &model, None, now).is_none());
        }
        let known = memo.known.read().unwrap();
        assert!(known.len() <= PRICES_MAX);
    }
}
