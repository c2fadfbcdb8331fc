//! Requests of every kind, and what is answered to them.

use super::*;

#[tokio::test]
async fn a_plain_answer_keeps_the_connection() {
    let mut twice = write_request(CHAT, "", PLAIN);
    twice.push_str(
        "POST /v1/embeddings HTTP/1.1\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
    );
    twice.push_str("a;x=y\r\n{\"input\":\"\r\n3\r\nx\"}\r\n0\r\nt: v\r\n\r\n");
    let seen = exchange(start(None).await, &twice).await;
    let text = seen.text();
    assert!(
        text.contains("chat.completion") && text.contains("\"embedding\""),
        "{text}"
    );
    assert_eq!(seen.end, End::Fin);
}

#[tokio::test]
async fn a_stream_is_chunked_by_event() {
    let seen = chat("chunks=3", STREAM).await;
    let (body, count) = seen.unchunk();
    assert!(body.ends_with(b"data: [DONE]\n\n"));
    assert_eq!(count, 1 + 3 + 1 + 1);
}

#[tokio::test]
async fn the_body_is_awaited_with_100_continue() {
    let address = start(None).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /x HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let (bytes, _) = read(&mut stream).await;
    assert_eq!(bytes, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"ab").await.unwrap();
    assert!(
        read(&mut stream)
            .await
            .0
            .starts_with(b"HTTP/1.1 200 OK\r\n")
    );
}

#[tokio::test]
async fn status_comes_in_each_shape_with_retry_after() {
    let check = async |path: &str, member: &str| {
        let request = write_request(path, "status=429,retry-after=7", "{}");
        let seen = exchange(start(None).await, &request).await;
        assert!(seen.head.starts_with("HTTP/1.1 429 Too Many Requests\r\n"));
        assert!(seen.head.contains("retry-after: 7\r\n"));
        assert!(seen.text().contains(member), "{path}: {}", seen.text());
    };
    check(CHAT, "\"rate_limit_exceeded\"").await;
    check("/v1/messages", "\"type\":\"rate_limit_error\"").await;
    check("/v1beta/models/g:generateContent", "\"RESOURCE_EXHAUSTED\"").await;
    check("/v2/chat", "\"message\":").await;
    check("/model/a.b%3A0/converse", "\"message\":").await;
}

#[tokio::test]
async fn overloaded_is_529() {
    let seen = exchange(
        start(None).await,
        &write_request("/v1/messages", "overloaded", "{}"),
    )
    .await;
    assert!(seen.head.starts_with("HTTP/1.1 529 "));
    assert!(seen.text().contains("overloaded_error"));
}

#[tokio::test]
async fn an_unknown_fault_is_named() {
    let seen = chat("gzip,sttus=1", PLAIN).await;
    assert!(seen.head.starts_with("HTTP/1.1 400 "));
    assert!(
        seen.text().contains("unknown fault \\\"sttus\\\"") && seen.text().contains("reset-at=N")
    );
}

#[tokio::test]
async fn an_error_event_follows_the_content_before_it() {
    let (body, count) = chat("error-event", STREAM).await.unchunk();
    assert_eq!(count, 1);
    assert!(body.starts_with(b"data: {\"error\""));
    let (body, count) = chat("error-event,chunks-before=2", STREAM).await.unchunk();
    assert_eq!(count, 1 + 2 + 1);
    assert!(!body.ends_with(b"[DONE]\n\n"));
}

#[tokio::test]
async fn a_script_applies_where_no_header_does() {
    let script = "- {match: {path: /completions, model: m}, times: 1, faults: status=503}";
    let address = start(Some(script)).await;
    let status = async |faults: &str| {
        let head = exchange(address, &write_request(CHAT, faults, PLAIN))
            .await
            .head;
        head.get(9..12).unwrap().to_owned()
    };
    assert_eq!(status("status=418").await, "418");
    assert_eq!(status("").await, "503");
    assert_eq!(status("").await, "200");
}

#[tokio::test]
async fn an_echo_and_the_stats_show_what_came() {
    let address = start(None).await;
    let seen = exchange(address, &write_request("/any/thing?x=1", "none", "hello")).await;
    let shown: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(
        (&shown["path"], &shown["query"]),
        (&"/any/thing".into(), &"x=1".into())
    );
    assert_eq!(
        (&shown["body"], &shown["body_crc32"]),
        (&"hello".into(), &"3610a686".into())
    );
    assert_eq!(shown["headers"][1], serde_json::json!(["x-mock", "none"]));
    let stats = control(address, "stats").await;
    assert_eq!(
        (&stats["requests"], &stats["paths"]["/any/thing"]),
        (&1.into(), &1.into())
    );
    assert_eq!(control(address, "last").await["body_bytes"], 5);
    let forced = exchange(address, &write_request(CHAT, "echo", "no json")).await;
    assert!(forced.text().contains("\"body\":\"no json\""));
}

#[tokio::test]
async fn an_upload_of_any_size_is_counted() {
    let address = start(None).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let size: usize = 70 << 20;
    let head =
        format!("POST /v1/files HTTP/1.1\r\nconnection: close\r\ncontent-length: {size}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; size]).await.unwrap();
    let mut text = String::new();
    timeout(Duration::from_secs(30), stream.read_to_string(&mut text))
        .await
        .unwrap()
        .unwrap();
    assert!(text.contains(&format!("\"bytes\":{size}")));
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let check = async |request: &str, status: &str| {
        let seen = exchange(start(None).await, request).await;
        assert!(
            seen.head.starts_with(&format!("HTTP/1.1 {status}")),
            "{request:.60} {}",
            seen.head
        );
    };
    check("GET /\r\n\r\n", "400").await;
    check(
        "POST /x HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n",
        "413",
    )
    .await;
    check(
        "POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "400",
    )
    .await;
    check(
        "POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        "413",
    )
    .await;
    check(&write_request(CHAT, "", "{no json"), "400").await;
    check(
        &format!("GET / HTTP/1.1\r\na: {}", "b".repeat(300 << 10)),
        "431",
    )
    .await;
}
