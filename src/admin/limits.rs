//! What stands on the counters of limits, and setting one of them back.

use super::page::{JSON, TEXT, page};
use crate::stage::limit::Limits;
use http::{Response, StatusCode};

/// All counters that are in use, as JSON.
pub fn list(limits: &Limits) -> Response<Vec<u8>> {
    match serde_json::to_string(&limits.page()) {
        Ok(text) => page(StatusCode::OK, JSON, text + "\n"),
        Err(fault) => page(
            StatusCode::INTERNAL_SERVER_ERROR,
            TEXT,
            format!("{fault}\n"),
        ),
    }
}

/// Forgets what one of them counted.
pub fn reset(limits: &Limits, id: &str) -> Response<Vec<u8>> {
    if limits.reset(id) {
        return page(StatusCode::OK, TEXT, "set back\n".to_owned());
    }
    let none = "there is no counter of this id; GET /limits lists those that are in use\n";
    page(StatusCode::NOT_FOUND, TEXT, none.to_owned())
}
