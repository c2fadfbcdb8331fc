//! A request is sent to another model than it asked for, of the same provider.

use crate::dialect::call;
use crate::provider::place::Place;
use bytes::Bytes;

/// Whether the request says its model in a way that can be changed.
pub fn can(place: &Place, body: Option<&Bytes>) -> bool {
    match &place.model {
        Some(_) => place.can_rename(),
        None => body.is_some_and(|body| call::with_model(body, "").is_some()),
    }
}

/// Puts `model` where the request says its own: in the path, or in the body, which comes back.
pub fn model(place: &mut Place, body: Option<Bytes>, model: &str) -> Option<Bytes> {
    if place.rename(model) {
        return body;
    }
    let changed = body.as_ref().and_then(|body| call::with_model(body, model));
    changed.map(Bytes::from).or(body)
}
