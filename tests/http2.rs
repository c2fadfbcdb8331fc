//! HTTP/2 clients, in plain text and over TLS, before providers of both kinds.
#![cfg(test)]

mod support;

use bytes::Bytes;
use std::time::Duration;
use support::gateway::Gateway;
use support::h2::{Client, post, send_all};
use support::tls::{Authority, Files, Identity};
use support::tls_provider::{CHUNKS, Provider};
use support::{CHAT, CHAT_PATH, CHAT_STREAM, Mock, Request, Setup, chat_of, wait};

const ECHO: &str = "/v1/acc/default/custom-tls/x";
/// A busy machine may join what came in pieces, but not so often.
const TRIES: usize = 20;

/// A gateway with TLS on its first listener and a provider that speaks HTTP/2 behind it.
struct Both {
    gateway: Gateway,
    mock: Mock,
    provider: Provider,
    authority: Authority,
    _files: Files,
}

async fn start(lines: &[&str]) -> Both {
    let (mock, authority) = (Mock::start(), Authority::new());
    let identity = authority.issue(&["localhost"]);
    let config = identity.server(&["h2", "http/1.1"]);
    let provider = Provider::start(config, mock.address).await;
    let Identity { cert, key } = &identity;
    let files = [
        ("cert.pem", cert.as_str()),
        ("key.pem", key),
        ("ca.pem", &authority.pem),
    ];
    let files = Files::new(&files);
    let base = format!("https://localhost:{}", provider.address.port());
    let mut setup = Setup::new(&mock)
        .tls(&files.path("cert.pem"), &files.path("key.pem"))
        .server(&format!("ca_file: \"{}\"", files.path("ca.pem")))
        .provider(&format!("custom-tls: {{base_url: \"{base}\"}}"));
    for line in lines {
        setup = setup.server(line);
    }
    let gateway = setup.config(
        "gateways: {default: {}, locked: {auth: {required: true, tokens: [secret-token-1]}}}",
    );
    Both {
        gateway: gateway.start(),
        mock,
        provider,
        authority,
        _files: files,
    }
}

impl Both {
    /// The plain-text listener knows prior knowledge.
    async fn plain(&self) -> Client {
        Client::connect(self.gateway.short).await
    }

    async fn secure(&self) -> Client {
        let config = self.authority.client(&["h2"]);
        Client::connect_tls(self.gateway.address, config).await
    }

    async fn check_healthy(mut self) {
        let request = post(CHAT_PATH).body(()).unwrap();
        let answer = self.plain().await.ask(request, CHAT.into()).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.wait_idle();
        assert!(self.gateway.process.ended().is_none());
        let notes = self.gateway.process.stderr();
        assert!(!notes.contains("panicked"), "{notes}");
    }

    fn wait_idle(&self) {
        wait::until("an idle gateway", || {
            (self.gateway.metric("tollgate_in_flight") == 0.0).then_some(())
        });
    }
}

/// Bodies of every size go through and come back, with and without their length.
async fn check_echo(
    client: &Client,
    path: &str,
    faults: &str,
    is_same: impl Fn(&[u8], &[u8]) -> bool,
) {
    for length in [80, 1 << 10, 16 << 10, 65_535, 65_537, 1 << 20, 5 << 20] {
        let body = chat_of(length);
        for announced in [true, false] {
            let mut request = post(path).header("x-mock", faults);
            if announced {
                request = request.header("content-length", length);
            }
            let answer = client.ask(request.body(()).unwrap(), body.clone()).await;
            let answer = answer.unwrap_or_else(|error| panic!("{length} {announced}: {error}"));
            assert_eq!(
                answer.status,
                200,
                "{length} {announced}: {}",
                answer.text()
            );
            assert!(is_same(&body, &answer.body), "{length} bytes, {announced}");
        }
    }
}

/// The mock shows the count and the CRC-32 of what it got.
fn is_shown(sent: &[u8], shown: &[u8]) -> bool {
    let shown: serde_json::Value = serde_json::from_slice(shown).unwrap();
    let mut crc = crc32fast::Hasher::new();
    crc.update(sent);
    shown["body_bytes"] == sent.len() && shown["body_crc32"] == format!("{:08x}", crc.finalize())
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_pass_from_plain_h2_to_http1() {
    let both = start(&[]).await;
    check_echo(&both.plain().await, CHAT_PATH, "echo", is_shown).await;
    both.check_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_pass_from_secure_h2_to_http1() {
    let both = start(&[]).await;
    check_echo(&both.secure().await, CHAT_PATH, "echo", is_shown).await;
    both.check_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_pass_from_plain_h2_to_h2() {
    let both = start(&[]).await;
    check_echo(&both.plain().await, ECHO, "none", |sent, back| sent == back).await;
    assert!(
        both.provider
            .seen()
            .iter()
            .all(|request| request.host_fields <= 1)
    );
    both.check_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_pass_from_secure_h2_to_h2() {
    let both = start(&[]).await;
    check_echo(&both.secure().await, ECHO, "none", |sent, back| {
        sent == back
    })
    .await;
    both.check_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_stream_through_from_h2_to_both() {
    let both = start(&[]).await;
    let body = support::noise(3 << 20, 7);
    for (path, faults) in [(CHAT_PATH, "echo"), (ECHO, "none")] {
        let uri = format!("http://gateway.test{path}");
        let request = http::Request::post(uri).header("content-type", "audio/wav");
        let request = request.header("x-mock", faults).body(()).unwrap();
        let answer = both.plain().await.ask(request, body.clone()).await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(
            answer.body == body || is_shown(&body, &answer.body),
            "{path}"
        );
    }
    both.check_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_the_limit_is_a_413_and_the_connection_goes_on() {
    let both = start(&["max_body: 1MiB"]).await;
    let client = both.plain().await;
    for length in [Some(3 << 20), None] {
        let mut request = post(CHAT_PATH);
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        let answer = client
            .ask(request.body(()).unwrap(), chat_of(3 << 20))
            .await;
        assert_eq!(answer.unwrap().refusal(), (413, 9413), "{length:?}");
        let request = post(CHAT_PATH).body(()).unwrap();
        assert_eq!(client.ask(request, CHAT.into()).await.unwrap().status, 200);
    }
    both.check_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_refused_bodies_do_not_use_the_connections_window_up() {
    let both = start(&["max_body: 64KiB"]).await;
    let client = both.plain().await;
    for number in 0..40 {
        let request = post(CHAT_PATH).body(()).unwrap();
        let answer = client.ask(request, chat_of(1 << 20)).await;
        let answer = answer.unwrap_or_else(|error| panic!("{number}: {error}"));
        assert_eq!(answer.refusal(), (413, 9413), "{number}");
    }
    let request = post(CHAT_PATH).body(()).unwrap();
    assert_eq!(client.ask(request, CHAT.into()).await.unwrap().status, 200);
    both.check_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_auth_is_answered_while_the_body_is_still_sent() {
    let both = start(&[]).await;
    let client = both.plain().await;
    let path = "/v1/acc/locked/openai/chat/completions";
    let (answer, stream) = client
        .open(post(path).body(()).unwrap(), false)
        .await
        .unwrap();
    let sending = tokio::spawn(send_all(stream, Bytes::from(chat_of(5 << 20))));
    let answer = tokio::time::timeout(Duration::from_secs(10), answer).await;
    assert_eq!(answer.unwrap().unwrap().status(), 401);
    sending.abort();
    let answer = client
        .ask(post(path).body(()).unwrap(), chat_of(5 << 20))
        .await
        .unwrap();
    assert_eq!(answer.refusal(), (401, 2009));
    assert_eq!(both.mock.count("requests"), 0);
    both.check_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_come_chunk_by_chunk() {
    let both = start(&[]).await;
    let asked = [
        (CHAT_PATH, CHAT_STREAM, "chunks=20,chunk-delay=20"),
        (&format!("{ECHO}/stream"), CHAT, "none"),
    ];
    for client in [both.plain().await, both.secure().await] {
        for (path, body, faults) in asked {
            let mut most = 0;
            for _ in 0..TRIES {
                let request = post(path).header("x-mock", faults).body(()).unwrap();
                let answer = client.ask(request, body.into()).await.unwrap();
                assert_eq!(answer.status, 200, "{path}: {}", answer.text());
                assert_eq!(answer.fields.get_all("cf-aig-log-id").iter().count(), 1);
                assert!(answer.fields.get("connection").is_none());
                assert!(answer.fields.get("transfer-encoding").is_none());
                most = most.max(answer.pieces);
                if most >= CHUNKS / 2 {
                    break;
                }
            }
            assert!(most >= CHUNKS / 2, "{path}: {most} pieces");
        }
    }
    both.check_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_streams_run_on_one_connection() {
    let both = start(&[]).await;
    for path in [CHAT_PATH, ECHO] {
        let client = both.plain().await;
        let mut running = tokio::task::JoinSet::new();
        for number in 0..50 {
            let client = client.clone();
            let body = chat_of(1000 * number + 100);
            let faults = if path == ECHO {
                "none"
            } else {
                "echo,delay=50"
            };
            let request = post(path).header("x-mock", faults).body(()).unwrap();
            running.spawn(async move {
                let answer = client.ask(request, body.clone()).await.unwrap();
                assert_eq!(answer.status, 200, "{}", answer.text());
                assert!(answer.body == body || is_shown(&body, &answer.body));
            });
        }
        while let Some(done) = running.join_next().await {
            done.unwrap();
        }
    }
    both.check_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_in_a_stream_stops_the_providers_call() {
    let both = start(&[]).await;
    let client = both.plain().await;
    let request = post(CHAT_PATH).header("x-mock", "endless");
    let (answer, stream) = client.open(request.body(()).unwrap(), false).await.unwrap();
    send_all(stream, Bytes::from(CHAT_STREAM)).await.unwrap();
    let mut answer = answer.await.unwrap().into_body();
    answer.data().await.unwrap().unwrap();
    drop(answer);
    wait::until("the mock's call to end", || {
        (both.mock.count("aborted") == 1).then_some(())
    });
    both.wait_idle();

    let request = post(&format!("{ECHO}/stream")).body(()).unwrap();
    let (answer, stream) = client.open(request, false).await.unwrap();
    send_all(stream, Bytes::from(CHAT)).await.unwrap();
    let mut answer = answer.await.unwrap().into_body();
    answer.data().await.unwrap().unwrap();
    drop(answer);
    wait::until("the provider's call to end", || {
        (both.provider.reset() == 1).then_some(())
    });
    both.check_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_while_the_provider_thinks_stops_its_call() {
    let both = start(&[]).await;
    let client = both.plain().await;
    let request = post(CHAT_PATH).header("x-mock", "hang").body(()).unwrap();
    let (answer, stream) = client.open(request, false).await.unwrap();
    send_all(stream, Bytes::from(CHAT)).await.unwrap();
    wait::until("the call", || {
        (both.mock.count("requests") == 1).then_some(())
    });
    drop(answer);
    both.wait_idle();
    both.check_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_well_after_sigterm() {
    let mut both = start(&[]).await;
    let client = both.plain().await;
    let request = post(CHAT_PATH).header("x-mock", "chunks=30,chunk-delay=50");
    let (answer, stream) = client.open(request.body(()).unwrap(), false).await.unwrap();
    send_all(stream, Bytes::from(CHAT_STREAM)).await.unwrap();
    let mut answer = answer.await.unwrap().into_body();
    let mut body = answer.data().await.unwrap().unwrap().to_vec();
    both.gateway.process.signal("TERM");
    while let Some(piece) = answer.data().await {
        let piece = piece.expect("a stream that goes on");
        answer.flow_control().release_capacity(piece.len()).unwrap();
        body.extend_from_slice(&piece);
    }
    let text = String::from_utf8_lossy(&body);
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    let ended = wait::until("the end of the process", || both.gateway.process.ended());
    assert!(ended.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_hears_of_sigterm() {
    let mut both = start(&[]).await;
    let client = both.plain().await;
    let request = || post(CHAT_PATH).body(()).unwrap();
    assert_eq!(
        client.ask(request(), CHAT.into()).await.unwrap().status,
        200
    );
    both.gateway.process.signal("TERM");
    wait::until("the end of the process", || both.gateway.process.ended());
    assert!(client.ask(request(), CHAT.into()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_opened_and_reset_at_once_do_no_harm() {
    let both = start(&[]).await;
    let client = both.plain().await;
    for number in 0..500 {
        let request = post(CHAT_PATH)
            .header("x-mock", "delay=200")
            .body(())
            .unwrap();
        let Ok((answer, mut stream)) = client.open(request, false).await else {
            // The gateway may take the connection away, but nothing else.
            break;
        };
        if number % 2 == 0 {
            stream.send_data(Bytes::from(CHAT), true).ok();
        } else {
            stream.send_reset(h2::Reason::CANCEL);
        }
        drop((answer, stream));
    }
    both.wait_idle();
    both.check_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_heads_are_held_to_the_same_rules() {
    let both = start(&["max_head: 16KiB"]).await;
    let client = both.plain().await;
    let ask = async |request: http::request::Builder, status: u16| {
        let asked = format!("{request:?}").chars().take(200).collect::<String>();
        let answer = client
            .ask(request.body(()).unwrap(), CHAT.into())
            .await
            .unwrap();
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(
            answer.fields.contains_key("cf-aig-log-id"),
            "{asked}: {answer:?}"
        );
    };
    ask(post(CHAT_PATH).header("x-a", "a".repeat(17 << 10)), 431).await;
    ask(post("/v1/acc/default/openai/%2e%2e/x"), 400).await;
    ask(post("/v1/acc/default/nobody/x"), 400).await;
    // Pingora itself refuses two authorities, before anybody could give the answer an id.
    let request = post(CHAT_PATH)
        .header("host", "other.test")
        .body(())
        .unwrap();
    assert_eq!(client.ask(request, CHAT.into()).await.unwrap().status, 400);
    ask(
        post(CHAT_PATH)
            .header("cookie", "a=1")
            .header("cookie", "b=2"),
        200,
    )
    .await;
    both.check_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http1_clients_stream_from_h2_providers() {
    let both = start(&[]).await;
    let path = format!("{ECHO}/stream").replacen("/v1/acc/default", "", 1);
    let mut client = support::client::Client::connect(both.gateway.short);
    let pieces = (0..TRIES).map(|_| {
        client.send(&Request::json(&path, CHAT).bytes());
        let answer = client.read_answer(false);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.pieces.len()
    });
    let mut in_pieces = pieces.filter(|pieces| *pieces >= CHUNKS / 2);
    assert!(in_pieces.nth(1).is_some(), "they are joined");
    both.check_healthy().await;
}
