//! Prices that were looked up lately, so that most requests need not search the book.

use crate::provider::prices::book::Book;
use crate::provider::prices::price::Price;
use std::collections::HashMap;
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
    known: RwLock<HashMap<Arc<str>, HashMap<String, Known>>>,
}

impl Memo {
    pub fn new(book: Book) -> Self {
        Self {
            book,
            known: RwLock::default(),
        }
    }

    /// The price of a model now.
    pub fn find(&self, slug: &Arc<str>, model: &str, region: Option<&str>) -> Option<Arc<Price>> {
        // Where a region decides, the name alone does not tell the price.
        if region.is_some() {
            return self.look_up(slug, model, region);
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let remembered = known.get(slug).and_then(|models| models.get(model));
        if let Some((at, price)) = remembered
            && at.elapsed() < FRESH
        {
            return price.clone();
        }
        drop(known);
        let price = self.look_up(slug, model, None);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.values().map(HashMap::len).sum::<usize>() >= PRICES_MAX {
            known.clear();
        }
        let models = known.entry(slug.clone()).or_default();
        models.insert(model.to_owned(), (Instant::now(), price.clone()));
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
        let slug: Arc<str> = "openai".into();
        for model in ["gpt-4o", "gpt-4o-mini", "no-such-model"] {
            let book = memo.look_up(&slug, model, None);
            for _ in 0..2 {
                assert_eq!(memo.find(&slug, model, None), book, "{model}");
            }
        }
        for number in 0..=PRICES_MAX {
            assert!(memo.find(&slug, &format!("none-{number}"), None).is_none());
        }
        let known = memo.known.read().unwrap();
        assert!(known.values().map(HashMap::len).sum::<usize>() <= PRICES_MAX);
    }
}
