//! The instruments of one gateway, provider and model, so that their labels are looked up once a request.

use super::counts;
use super::savings;
use super::spending;
use crate::base::key::{Key, Own};
use hashbrown::{HashMap, HashSet};
use prometheus::Histogram;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// Models that may become label values; what comes beyond is counted as `other`.
const MODELS_MAX: usize = 500;
/// The longest model name that may become a label value.
const MODEL_BYTES_MAX: usize = 128;
/// Series that are remembered; with more, all are forgotten and looked up anew.
const SERIES_MAX: usize = 4096;

/// What was counted lately under these labels. Each is looked up when it is first needed, because
/// that also makes it visible.
#[derive(Default)]
pub struct Series {
    pub counts: counts::Known,
    pub savings: savings::Known,
    pub spending: spending::Known,
    pub duration: OnceLock<Histogram>,
    pub first_token: OnceLock<Histogram>,
}

/// All series, and the models that they may name.
#[derive(Default)]
pub struct AllSeries {
    models: RwLock<HashSet<String>>,
    /// By gateway, provider and model.
    known: RwLock<HashMap<Own<3>, Arc<Series>>>,
}

impl AllSeries {
    /// A model may become a label only once a provider has answered for it, so that nobody can
    /// fill the metrics with names of their own.
    pub fn model_label<'a>(&self, model: &'a str, answered: bool) -> &'a str {
        const OTHER: &str = "other";
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        if models.contains(model) {
            return model;
        }
        let full = models.len() >= MODELS_MAX;
        drop(models);
        if full || !answered || model.len() > MODEL_BYTES_MAX || !model.is_ascii() {
            return OTHER;
        }
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        models.insert(model.to_owned());
        model
    }

    /// The series of a gateway, a provider and a model's label.
    pub fn find(&self, labels: Key<'_, 3>) -> Arc<Series> {
        let all = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = all.get(&labels) {
            return series.clone();
        }
        drop(all);
        let mut all = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= SERIES_MAX {
            all.clear();
        }
        let series = all.entry(labels.own()).or_default();
        series.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_told_apart_and_bounded() {
        let all = AllSeries::default();
        let find = |labels| all.find(Key(labels));
        let first = find(["a", "b", "c"]);
        assert!(Arc::ptr_eq(&first, &find(["a", "b", "c"])));
        assert!(!Arc::ptr_eq(&first, &find(["a", "b", ""])));
        for number in 0..SERIES_MAX {
            all.find(Key(["a", "b", &number.to_string()]));
        }
        assert!(all.known.read().unwrap().len() <= SERIES_MAX);
    }
}
