//! Things that have something to be written down, gathered without a lock that all of them share.

use std::sync::{Arc, Mutex, PoisonError};

const PILES: usize = 64;

pub struct Dirty<T> {
    piles: [Mutex<Vec<Arc<T>>>; PILES],
}

impl<T> Default for Dirty<T> {
    fn default() -> Self {
        Self {
            piles: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl<T> Dirty<T> {
    /// `id` chooses the pile.
    pub fn push(&self, id: u128, thing: Arc<T>) {
        let index = usize::try_from(id % PILES as u128).unwrap_or(0);
        if let Some(pile) = self.piles.get(index) {
            let mut pile = pile.lock().unwrap_or_else(PoisonError::into_inner);
            pile.push(thing);
        }
    }

    /// All that was gathered.
    pub fn take(&self) -> Vec<Arc<T>> {
        let mut all = Vec::new();
        for pile in &self.piles {
            let mut pile = pile.lock().unwrap_or_else(PoisonError::into_inner);
            all.append(&mut pile);
        }
        all
    }
}
