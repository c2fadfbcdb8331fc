//! `POST /reload`: reads the configuration again.

use super::page::{TEXT, page};
use http::{Response, StatusCode};
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// What a reload came to, in words.
pub enum Reloaded {
    Done(String),
    /// The new configuration cannot be used, and the old one serves on.
    Refused(String),
    /// Not now.
    Busy(String),
}

/// Reloads; may block.
pub type Reload = Arc<dyn Fn() -> Reloaded + Send + Sync>;

pub async fn reload(reload: &Reload) -> Response<Vec<u8>> {
    let reload = reload.clone();
    match spawn_blocking(move || reload()).await {
        Ok(Reloaded::Done(text)) => page(StatusCode::OK, TEXT, text),
        Ok(Reloaded::Refused(text)) => page(StatusCode::UNPROCESSABLE_ENTITY, TEXT, text),
        Ok(Reloaded::Busy(text)) => page(StatusCode::CONFLICT, TEXT, text),
        Err(fault) => page(
            StatusCode::INTERNAL_SERVER_ERROR,
            TEXT,
            format!("{fault}\n"),
        ),
    }
}
