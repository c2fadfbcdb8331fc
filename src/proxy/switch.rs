//! A request is sent to another model than it asked for, of the same provider.

use crate::dialect::call;
use crate::provider::place::Place;
use bytes::Bytes;

/// Whether the request says its model in a way that can be changed.
pub fn can(place: &Place, body: Option<&Bytes>) -> bool {
    match &place.model {
        Some(old) => span_in_path(&place.path, old).is_some(),
        None => body.is_some_and(|body| call::with_model(body, "").is_some()),
    }
}

/// Puts `model` where the request says its own: in the path, or in the body, which comes back.
pub fn model(place: &mut Place, body: Option<Bytes>, model: &str) -> Option<Bytes> {
    let in_path = place.model.as_deref();
    match in_path.and_then(|old| span_in_path(&place.path, old)) {
        Some(span) => place.path.replace_range(span, model),
        None => {
            let changed = body.as_ref().and_then(|body| call::with_model(body, model));
            return changed.map(Bytes::from).or(body);
        }
    }
    place.model = Some(model.to_owned());
    body
}

/// The last whole part of the path that is the model: between a slash and a slash, a colon or the end.
fn span_in_path(path: &str, model: &str) -> Option<std::ops::Range<usize>> {
    let found = path
        .rmatch_indices(model)
        .map(|(at, _)| at..at + model.len());
    found.into_iter().find(|span| {
        let before = path
            .get(..span.start)
            .is_some_and(|lead| lead.ends_with('/'));
        let after = path.get(span.end..).unwrap_or_default();
        before && (after.is_empty() || after.starts_with(['/', ':']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(path: &str, old: &str) -> Option<String> {
        let mut path = path.to_owned();
        path.replace_range(span_in_path(&path, old)?, "new");
        Some(path)
    }

    #[test]
    fn a_model_in_a_path_is_found_whole() {
        let check = |path, expect: Option<&str>| {
            assert_eq!(replaced(path, "pro").as_deref(), expect, "{path}");
        };
        check(
            "/v1beta/models/pro:generateContent",
            Some("/v1beta/models/new:generateContent"),
        );
        check("/model/pro/converse", Some("/model/new/converse"));
        check("/projects/p/models/pro", Some("/projects/p/models/new"));
        check("/models/pro-max:generateContent", None);
        check("/pro-x/ypro", None);
    }
}
