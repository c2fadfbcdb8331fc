//! A request's head as it arrives: what is noted of it, and what it may not be.

use super::refusal::HeadFault;
use super::{fields, text};
use crate::provider::origin::is_host_name;
use crate::stage::journal::record::{Asked, Received};
use crate::stage::route::Target;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING, USER_AGENT};
use pingora::http::RequestHeader;
use pingora_proxy::Session;

/// The longest path that is kept.
const PATH_CHARS_MAX: usize = 2048;

/// Notes what the client sent.
pub fn note(session: &Session, received: &mut Received, asked: &mut Asked) {
    let head = session.req_header();
    received.method = Some(head.method.clone());
    let path = String::from_utf8_lossy(head.raw_path());
    let path = path.split('?').next().unwrap_or_default();
    received.path = text::cut(path, PATH_CHARS_MAX);
    let address = session.client_addr().and_then(|address| address.as_inet());
    received.client = address.map(std::net::SocketAddr::ip);
    received.user_agent = text::field(&head.headers, &USER_AGENT);
    received.content_type = text::field(&head.headers, &CONTENT_TYPE);
    asked.event_id = text::field(&head.headers, &fields::EVENT_ID).filter(|id| !id.is_empty());
}

/// Refuses heads that are too large, and those that two servers could frame differently
/// (RFC 9112, 6.1 and 11.2).
///
/// # Errors
/// What is wrong with the head.
pub fn check(session: &Session, bytes_max: u64) -> Result<(), HeadFault> {
    let head = session.req_header();
    let fields = head.headers.iter();
    let fields: usize = fields
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if (fields + head.raw_path().len()) as u64 > bytes_max {
        return Err(HeadFault::TooLarge(bytes_max));
    }
    check_host(head)?;
    check_length(&head.headers)?;
    if !head.headers.contains_key(TRANSFER_ENCODING) {
        return Ok(());
    }
    // Pingora lets Transfer-Encoding win and forgets the length, so the raw head has to tell.
    let raw = session.as_downstream().to_h1_raw();
    let mut lines = raw.split(|byte| *byte == b'\n');
    let is_length = |line: &[u8]| {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        let name = name.trim_ascii();
        name.eq_ignore_ascii_case(CONTENT_LENGTH.as_str().as_bytes())
    };
    if lines.any(is_length) {
        let fault = "both content-length and transfer-encoding";
        return Err(HeadFault::Malformed(fault.into()));
    }
    Ok(())
}

/// An HTTP/1.1 request names its host once, and as a host (RFC 9112, 3.2).
fn check_host(head: &RequestHeader) -> Result<(), HeadFault> {
    let Some(host) = head.headers.get(HOST) else {
        if head.version == http::Version::HTTP_11 {
            return Err(HeadFault::Malformed("no host".into()));
        }
        return Ok(());
    };
    let is_port = |port: &str| port.is_empty() || port.parse::<u16>().is_ok();
    let is_sound = |host: &str| {
        if let Some(literal) = host.strip_prefix('[') {
            return literal.split_once(']').is_some_and(|(address, port)| {
                let port = port.strip_prefix(':').unwrap_or(port);
                address.parse::<std::net::Ipv6Addr>().is_ok() && is_port(port)
            });
        }
        let (name, port) = host.split_once(':').unwrap_or((host, ""));
        is_host_name(name.strip_suffix('.').unwrap_or(name)) && is_port(port)
    };
    match host.to_str() {
        Ok(host) if host.is_empty() || is_sound(host) => Ok(()),
        _ => Err(HeadFault::Malformed("the host is none".into())),
    }
}

/// A body's length is told once, in one way that nobody can read differently.
fn check_length(headers: &HeaderMap) -> Result<(), HeadFault> {
    let one = |name, is_sound: fn(&[u8]) -> bool| {
        let mut values = headers.get_all(name).iter();
        let first = values.next();
        values.next().is_none() && first.is_none_or(|value| is_sound(value.as_bytes()))
    };
    if !one(CONTENT_LENGTH, |value| value.iter().all(u8::is_ascii_digit)) {
        let fault = "content-length is not one number";
        return Err(HeadFault::Malformed(fault.into()));
    }
    let is_chunked = |value: &[u8]| value.trim_ascii().eq_ignore_ascii_case(b"chunked");
    if !one(TRANSFER_ENCODING, is_chunked) {
        let fault = "transfer-encoding is not `chunked` alone";
        return Err(HeadFault::Malformed(fault.into()));
    }
    Ok(())
}

/// The path and query of a target that came in origin form or in absolute form (RFC 9112, 3.2.2).
fn origin_form(target: &str) -> &str {
    let http = target.strip_prefix("http://");
    let Some(rest) = http.or_else(|| target.strip_prefix("https://")) else {
        return target;
    };
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    match rest.get(at..) {
        Some(path) if path.starts_with('/') => path,
        _ => "/",
    }
}

/// What routing looks at, and the query with its `?`.
pub fn target(session: &Session) -> (Target<'_>, &str) {
    let head = session.req_header();
    let path = std::str::from_utf8(head.raw_path()).unwrap_or_default();
    let path = origin_form(path);
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let target = Target {
        path,
        host: host.or_else(|| head.uri.authority().map(http::uri::Authority::as_str)),
        local: session
            .server_addr()
            .and_then(|address| address.as_inet().copied()),
    };
    (target, query)
}
