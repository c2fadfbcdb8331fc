//! A request's head as it arrives: what is noted of it, and what it may not be.

use super::buffered::CLIENT_STALL;
use super::context::Context;
use super::faults::HeadFault;
use super::intake;
use super::refusal::Refusal;
use super::{fields, text};
use crate::dialect;
use crate::provider::origin::is_host_name;
use crate::provider::place::{Place, Provider};
use crate::stage::Stages;
use crate::stage::conduct::Conduct;
use crate::stage::journal::record::{Asked, Received, Record};
use crate::stage::route::{Found, RouteError, Target};
use bytes::Bytes;
use http::HeaderMap;
use http::Method;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING, USER_AGENT};
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use std::time::Instant;

/// The longest path that is kept.
const PATH_CHARS_MAX: usize = 2048;

/// A request begins: its client may take only so long, and what it sent is noted.
pub fn arrive(session: &mut ServerSession, context: &mut Context) {
    session.set_write_timeout(Some(CLIENT_STALL));
    let record = &mut context.record;
    note(session, &mut record.received, &mut record.asked);
}

/// Notes where the request goes.
pub fn note_target(asked: &mut Asked, provider: &Provider, place: &Place, model: Option<&str>) {
    asked.provider = Some(provider.slug.clone());
    asked.operation = Some(place.operation);
    asked.model = place.model.as_deref().or(model).map(text::plain);
    asked.stream = place.streams;
}

fn note(session: &ServerSession, received: &mut Received, asked: &mut Asked) {
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

/// Where the request goes by its head, and the query with its `?`; noted in `asked` as far as known.
///
/// # Errors
/// It leads nowhere.
pub fn locate(
    session: &ServerSession,
    stages: &Stages,
    asked: &mut Asked,
) -> Result<(Found, String), Refusal> {
    let (target, query) = target(session);
    let found = stages.routes.find(target);
    let gateway = match &found {
        Ok(Found::Place(route)) => Some(&route.gateway),
        Ok(Found::Universal(trunk)) => Some(&trunk.gateway),
        Err(lost) => lost.gateway.as_ref(),
    };
    let headers = &session.req_header().headers;
    (asked.metadata, asked.metadata_faults) = stages.metadata.read(gateway, headers);
    asked.gateway = gateway.map(|gateway| gateway.name.clone());
    match found {
        Ok(Found::Place(mut route)) => {
            asked.account = route.account.take();
            note_target(asked, &route.provider, &route.place, None);
            Ok((Found::Place(route), query.to_owned()))
        }
        Ok(Found::Universal(trunk)) => {
            asked.account.clone_from(&trunk.account);
            if session.req_header().method != Method::POST {
                return Err(Refusal::Route(RouteError::Path));
            }
            Ok((Found::Universal(trunk), String::new()))
        }
        Err(lost) => {
            asked.account = lost.account;
            Err(Refusal::Route(lost.error))
        }
    }
}

/// The body; what it asks for is noted.
///
/// # Errors
/// The body is too large, too slow or malformed.
pub async fn read_call(
    session: &mut ServerSession,
    record: &mut Record,
    conduct: &Conduct,
) -> Result<Bytes, Refusal> {
    let began = Instant::now();
    let body = intake::read_body(session, conduct.body_bytes_max, conduct.pause_max);
    let body = body.await;
    record.received.waited = began.elapsed();
    let body = body?;
    let call = dialect::call::read(&body);
    let model = call.model.as_deref().map(text::plain);
    record.asked.model = record.asked.model.take().or(model);
    record.asked.stream |= call.stream;
    record.asked.output_max = call.output_max;
    Ok(body)
}

/// Refuses heads that are too large, and those that two servers could frame differently
/// (RFC 9112, 6.1 and 11.2).
///
/// # Errors
/// What is wrong with the head.
pub fn check(session: &ServerSession, bytes_max: u64) -> Result<(), HeadFault> {
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
    let raw = session.to_h1_raw();
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
pub fn target(session: &ServerSession) -> (Target<'_>, &str) {
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
