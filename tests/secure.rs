//! TLS on both sides of the gateway: protocols agreed on, names checked, connections reused.
#![cfg(test)]

mod support;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use support::client::Client;
use support::gateway::Gateway;
use support::h2::post;
use support::tls::{Authority, Files, Identity};
use support::tls_provider::Provider;
use support::{CHAT, CHAT_PATH, Mock, Request, Setup, chat_of, h2, wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const ECHO: &str = "/v1/acc/default/custom-tls/x";

/// A gateway that trusts `authority` and asks the provider at `base`.
fn start(mock: &Mock, authority: &Authority, base: &str) -> (Gateway, Files) {
    let files = Files::new(&[("ca.pem", &authority.pem)]);
    let setup = Setup::new(mock).server(&format!("ca_file: \"{}\"", files.path("ca.pem")));
    let setup = setup.provider(&format!("custom-tls: {{base_url: \"{base}\"}}"));
    (setup.start(), files)
}

async fn provider(identity: &Identity, protocols: &[&str], mock: &Mock) -> Provider {
    Provider::start(identity.server(protocols), mock.address).await
}

/// What a gateway answers for a provider with this certificate, and its own words in the log.
async fn refused(identity: &Identity, authority: &Authority, host: &str) -> (u16, u64, String) {
    let mock = Mock::start();
    let provider = provider(identity, &["h2", "http/1.1"], &mock).await;
    let base = format!("https://{host}:{}", provider.address.port());
    let (gateway, _files) = start(&mock, authority, &base);
    let answer = gateway.send(&Request::json(ECHO, CHAT));
    let (status, code) = answer.refusal();
    assert_eq!(provider.seen().len(), 0);
    let description = answer.json()["description"].as_str().unwrap().to_owned();
    (status, code, description)
}

fn check_refused((status, code, description): (u16, u64, String), cause: &str) {
    assert_eq!((status, code), (502, 2005), "{description}");
    let lower = description.to_lowercase();
    assert!(lower.contains("certificate"), "{description}");
    assert!(lower.contains(cause), "{description}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_host_is_refused() {
    let authority = Authority::new();
    let identity = authority.issue(&["other.test"]);
    check_refused(refused(&identity, &authority, "localhost").await, "name");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_authority_is_refused() {
    let identity = Authority::new().issue(&["localhost"]);
    let refusal = refused(&identity, &Authority::new(), "localhost").await;
    check_refused(refusal, "issuer");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let identity = authority.issue_until(&["localhost"], 2021);
    check_refused(refused(&identity, &authority, "localhost").await, "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_speaks_plain_text_on_the_tls_port_is_a_502() {
    let (mock, authority) = (Mock::start(), Authority::new());
    let base = format!("https://localhost:{}", mock.address.port());
    let (gateway, _files) = start(&mock, &authority, &base);
    let answer = gateway.send(&Request::json(ECHO, CHAT));
    assert_eq!(answer.refusal(), (502, 2005), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_h2_provider_gets_name_authority_and_bytes_on_one_connection() {
    let (mock, authority) = (Mock::start(), Authority::new());
    let provider = provider(&authority.issue(&["localhost"]), &["h2", "http/1.1"], &mock).await;
    let host = format!("localhost:{}", provider.address.port());
    let (gateway, _files) = start(&mock, &authority, &format!("https://{host}"));
    for length in [80, 1 << 10, 70_000, 1 << 20, 5 << 20] {
        let body = chat_of(length);
        let answer = gateway.send(&Request::json(ECHO, body.clone()));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.body == body, "{length} bytes came back changed");
        let chunked = Request::post(ECHO).field("content-type", "application/json");
        let answer = gateway.send(&chunked.chunked(body.clone(), vec![length]));
        assert!(
            answer.body == body,
            "{length} chunked bytes came back changed"
        );
    }
    let seen = provider.seen();
    assert_eq!(seen.len(), 10);
    for request in seen {
        assert_eq!(request.sni.as_deref(), Some("localhost"));
        assert_eq!(request.authority, host);
        assert_eq!(request.path, "/x");
        assert!(request.length.is_some());
        let odd = |name: &String| {
            [
                "connection",
                "transfer-encoding",
                "upgrade",
                "keep-alive",
                "te",
            ]
            .contains(&name.as_str())
                || name.starts_with("cf-")
        };
        assert!(!request.fields.iter().any(odd), "{:?}", request.fields);
        assert!(request.host_fields <= 1);
    }
    assert_eq!(provider.accepted(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http1_provider_gets_name_host_and_bytes_on_one_connection() {
    let (mock, authority) = (Mock::start(), Authority::new());
    let provider = provider(&authority.issue(&["localhost"]), &["http/1.1"], &mock).await;
    let host = format!("localhost:{}", provider.address.port());
    let (gateway, _files) = start(&mock, &authority, &format!("https://{host}"));
    for length in [80, 70_000, 1 << 20, 5 << 20] {
        let body = chat_of(length);
        let request = Request::json(ECHO, body.clone()).mock("echo");
        let answer = gateway.send(&request);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["body_bytes"], length);
        let shown = answer.json();
        assert_eq!(support::mock::shown(&shown, "host"), [host.as_str()]);
    }
    assert_eq!(provider.seen()[0].sni.as_deref(), Some("localhost"));
    assert_eq!(provider.accepted(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_without_alpn_is_asked_in_http1() {
    let (mock, authority) = (Mock::start(), Authority::new());
    let provider = provider(&authority.issue(&["localhost"]), &[], &mock).await;
    let base = format!("https://localhost:{}", provider.address.port());
    let (gateway, _files) = start(&mock, &authority, &base);
    assert_eq!(gateway.send(&Request::json(ECHO, CHAT)).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_may_be_named_by_its_address() {
    let (mock, authority) = (Mock::start(), Authority::new());
    let provider = provider(&authority.issue(&["127.0.0.1"]), &["h2"], &mock).await;
    let base = format!("https://{}", provider.address);
    let (gateway, _files) = start(&mock, &authority, &base);
    let answer = gateway.send(&Request::json(ECHO, CHAT));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(provider.seen()[0].sni, None);
    assert_eq!(provider.seen()[0].authority, provider.address.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_share_an_h2_connection() {
    let (mock, authority) = (Mock::start(), Authority::new());
    let provider = provider(&authority.issue(&["localhost"]), &["h2"], &mock).await;
    let base = format!("https://localhost:{}", provider.address.port());
    let (gateway, _files) = start(&mock, &authority, &base);
    assert_eq!(gateway.send(&Request::json(ECHO, CHAT)).status, 200);
    let path = format!("{ECHO}/stream");
    let mut clients: Vec<_> = (0..30).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.send(&Request::json(&path, CHAT).bytes());
    }
    for client in &mut clients {
        assert_eq!(client.read_answer(false).status, 200);
    }
    assert_eq!(provider.accepted(), 1);
}

/// A gateway whose first listener speaks TLS.
fn secure(mock: &Mock, authority: &Authority) -> (Gateway, Files) {
    let Identity { cert, key } = authority.issue(&["localhost"]);
    let files = Files::new(&[("cert.pem", &cert), ("key.pem", &key)]);
    let setup = Setup::new(mock).tls(&files.path("cert.pem"), &files.path("key.pem"));
    (setup.server("head_timeout: 1s").start(), files)
}

/// One HTTP/1.1 request over TLS, and the protocol that was agreed on.
async fn ask(gateway: &Gateway, authority: &Authority, protocols: &[&str]) -> (String, String) {
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let connector = TlsConnector::from(authority.client(protocols));
    let name = "localhost".try_into().unwrap();
    let mut stream = connector.connect(name, stream).await.unwrap();
    let agreed = stream.get_ref().1.alpn_protocol().unwrap_or(b"none");
    let agreed = String::from_utf8_lossy(agreed).into_owned();
    let request = Request::json(CHAT_PATH, CHAT).field("connection", "close");
    stream.write_all(&request.bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    (agreed, String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_choose_their_protocol_over_tls() {
    let (mock, authority) = (Mock::start(), Authority::new());
    let (gateway, _files) = secure(&mock, &authority);
    for protocols in [&["http/1.1"][..], &[]] {
        let (agreed, answer) = ask(&gateway, &authority, protocols).await;
        assert_eq!(agreed, *protocols.first().unwrap_or(&"none"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let config = authority.client(&["h2", "http/1.1"]);
    let client = h2::Client::connect_tls(gateway.address, config).await;
    let request = post(CHAT_PATH).body(()).unwrap();
    let answer = client.ask(request, CHAT.into()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_text_and_garbage_on_the_tls_port_do_no_harm() {
    let (mock, authority) = (Mock::start(), Authority::new());
    let (gateway, _files) = secure(&mock, &authority);
    let hello = b"\x16\x03\x01\xff\xff\x01\x00\x01\xfc\x03\x03";
    let plain = Request::json(CHAT_PATH, CHAT).bytes();
    for bytes in [
        &plain[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        hello,
        b"\0",
        b"",
    ] {
        let mut client = Client::connect(gateway.address);
        client.stream.write_all(bytes).unwrap();
        if bytes.is_empty() {
            client.half_close();
        }
    }
    let (_, answer) = ask(&gateway, &authority, &["http/1.1"]).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(mock.count("requests"), 1);
    assert!(!gateway.process.stderr().contains("panicked"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "Pingora gives every handshake a minute, and nothing to set it by"]
async fn an_unfinished_handshake_is_ended_in_time() {
    let (mock, authority) = (Mock::start(), Authority::new());
    let (gateway, _files) = secure(&mock, &authority);
    let mut silent = Client::connect(gateway.address);
    silent
        .stream
        .write_all(b"\x16\x03\x01\x02\x00\x01")
        .unwrap();
    let limit = Some(Duration::from_secs(8));
    silent.stream.set_read_timeout(limit).unwrap();
    assert!(
        silent.is_closed(),
        "still open after {limit:?}, head_timeout is 1s"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_over_tls_stops_when_its_client_leaves() {
    let (mock, authority) = (Mock::start(), Authority::new());
    let (gateway, _files) = secure(&mock, &authority);
    let connector = TlsConnector::from(authority.client(&["http/1.1"]));
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let mut stream = connector.connect(name, stream).await.unwrap();
    let request = Request::json(CHAT_PATH, support::CHAT_STREAM).mock("endless");
    stream.write_all(&request.bytes()).await.unwrap();
    let mut some = [0; 1000];
    stream.read_exact(&mut some).await.unwrap();
    drop(stream);
    let mock = Arc::new(mock);
    wait::until("the provider's call to end", || {
        (mock.count("aborted") == 1).then_some(())
    });
}
