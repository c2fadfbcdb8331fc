//! One page of the admin listener.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

pub const TEXT: &str = "text/plain; charset=utf-8";
pub const JSON: &str = "application/json";

pub fn page(status: StatusCode, content_type: &'static str, text: String) -> Response<Vec<u8>> {
    let length = HeaderValue::from(text.len());
    let mut page = Response::new(text.into_bytes());
    page.headers_mut().insert(CONTENT_LENGTH, length);
    *page.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    page.headers_mut().insert(CONTENT_TYPE, content_type);
    page
}
