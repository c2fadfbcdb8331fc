//! Faults of pace, framing, coding and ending.

use super::*;
use std::io::Read;
use std::time::Instant;

#[tokio::test]
async fn delays_are_kept() {
    let check = async |faults: &str, body: &str, least_ms: u64| {
        let start = Instant::now();
        let seen = chat(&format!("{faults},eof"), body).await;
        assert!(
            start.elapsed() >= Duration::from_millis(least_ms),
            "{faults}"
        );
        assert_eq!(seen.end, End::Fin);
    };
    check("delay=60", PLAIN, 60).await;
    check("chunk-delay=10,chunks=4", STREAM, 60).await;
    check("chunk-delay=20,chunks=4", PLAIN, 60).await;
}

#[tokio::test]
async fn a_body_breaks_off_where_it_is_told() {
    let check = async |fault: &str, end: End| {
        let seen = chat(fault, PLAIN).await;
        assert_eq!((seen.body.len(), seen.end), (100, end), "{fault}");
    };
    check("reset-at=100", End::Reset).await;
    check("cut-at=100", End::Fin).await;
    check("hang-at=100", End::Silence).await;
}

#[tokio::test]
async fn a_chunked_body_that_breaks_off_has_no_end_mark() {
    let seen = chat("cut-at=1000000", STREAM).await;
    assert!(seen.body.ends_with(b"data: [DONE]\n\n\r\n"));
    assert_eq!(seen.end, End::Fin);
}

#[tokio::test]
async fn nothing_comes_from_hang_and_close() {
    let hang = chat("hang", PLAIN).await;
    assert_eq!((hang.head.as_str(), hang.end), ("", End::Silence));
    let close = chat("close", PLAIN).await;
    assert_eq!((close.head.as_str(), close.end), ("", End::Fin));
}

#[tokio::test]
async fn half_close_sends_a_head_and_reads_on() {
    let seen = chat("half-close", PLAIN).await;
    assert!(seen.head.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!((seen.body.len(), seen.end), (0, End::Fin));
}

#[tokio::test]
async fn a_wrong_length_is_promised() {
    let long = chat("content-length=99999", PLAIN).await;
    assert!(long.head.contains("content-length: 99999\r\n"));
    assert_eq!(long.end, End::Fin);
    let short = chat("content-length=3", PLAIN).await;
    assert!(short.body.len() > 3);
    assert_eq!(short.end, End::Silence);
}

#[tokio::test]
async fn garbage_is_no_json_and_no_http() {
    let body = chat("garbage", PLAIN).await;
    assert!(body.head.contains("content-type: application/json\r\n"));
    assert!(serde_json::from_slice::<Value>(&body.body).is_err());
    let head = chat("garbage-head", PLAIN).await;
    assert!(!head.head.contains("HTTP/1"));
    assert_eq!(head.end, End::Fin);
}

#[tokio::test]
async fn heads_grow() {
    let huge = chat("huge-headers=300", PLAIN).await;
    assert!(huge.head.len() > 300 << 10);
    let many = chat("many-headers=200", PLAIN).await;
    assert_eq!(many.head.matches("\r\nx-mock-").count(), 200);
}

#[tokio::test]
async fn an_endless_stream_goes_on_until_the_client_leaves() {
    let address = start(None).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(write_request(CHAT, "endless", STREAM).as_bytes())
        .await
        .unwrap();
    let mut bytes = vec![0; 20_000];
    stream.read_exact(&mut bytes).await.unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("[DONE]"));
    assert_eq!(control(address, "stats").await["aborted"], 0);
    drop(stream);
    let counted = async {
        loop {
            let stats = control(address, "stats").await;
            if stats["aborted"] == 1 && stats["connections"]["open"] == 1 {
                return;
            }
        }
    };
    timeout(Duration::from_secs(20), counted).await.unwrap();
}

#[tokio::test]
async fn codings_read_back() {
    let plain = chat("", STREAM).await.unchunk().0;
    let check = async |coding: &str, decode: fn(&[u8]) -> Vec<u8>| {
        let seen = chat(coding, STREAM).await;
        assert!(
            seen.head
                .contains(&format!("content-encoding: {coding}\r\n"))
        );
        assert_eq!(decode(&seen.unchunk().0), plain, "{coding}");
        let whole = chat(coding, PLAIN).await;
        serde_json::from_slice::<Value>(&decode(&whole.body)).unwrap();
    };
    fn all(mut reader: impl Read) -> Vec<u8> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    }
    check("gzip", |bytes| all(flate2::read::GzDecoder::new(bytes))).await;
    check("deflate", |bytes| {
        all(flate2::read::ZlibDecoder::new(bytes))
    })
    .await;
    check("br", |bytes| all(brotli::Decompressor::new(bytes, 4096))).await;
    check("zstd", |bytes| {
        all(zstd::stream::read::Decoder::new(bytes).unwrap())
    })
    .await;
}

#[tokio::test]
async fn splits_change_the_chunks_and_not_the_body() {
    let plain = chat("", STREAM).await.unchunk().0;
    let (body, count) = chat("split=byte", STREAM).await.unchunk();
    assert_eq!(count, plain.len());
    assert!(body == plain);
    let one = chat("split=random,seed=1", STREAM).await.unchunk();
    let same = chat("split=random,seed=1", STREAM).await.unchunk();
    let other = chat("split=random,seed=2", STREAM).await.unchunk();
    assert!(one == same && one.1 != other.1 && one.0 == plain && other.0 == plain);
    let limited = chat("split=byte,cut-at=50,length", STREAM).await;
    assert_eq!(limited.body, plain[..50]);
}

#[tokio::test]
async fn framings_are_as_told() {
    let plain = chat("", STREAM).await.unchunk().0;
    let length = chat("length", STREAM).await;
    assert!(
        length
            .head
            .contains(&format!("content-length: {}\r\n", plain.len()))
    );
    assert!(length.body == plain);
    let eof = chat("eof", STREAM).await;
    assert!(!eof.head.contains("transfer-encoding") && !eof.head.contains("content-length"));
    assert!(eof.body == plain && eof.end == End::Fin);
    let old = chat("http10", STREAM).await;
    assert!(old.head.starts_with("HTTP/1.0 200 OK\r\n"));
    assert!(old.body == plain && old.end == End::Fin);
    let chunked = chat("chunked", PLAIN).await;
    serde_json::from_slice::<Value>(&chunked.unchunk().0).unwrap();
    let burst = chat("burst", STREAM).await;
    assert!(burst.unchunk().0 == plain);
    let trailers = chat("trailers", PLAIN).await;
    assert!(
        trailers
            .body
            .ends_with(b"\r\n0\r\nx-mock-trailer: the end\r\n\r\n")
    );
}

#[tokio::test]
async fn interim_answers_come_first() {
    let seen = chat("100-twice", PLAIN).await;
    assert_eq!(seen.head, "HTTP/1.1 100 Continue\r\n\r\n");
    let text = seen.text();
    assert!(text.starts_with("HTTP/1.1 103 ") && text.contains("\r\n\r\nHTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn early_answers_before_the_body_came() {
    let address = start(None).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("POST {CHAT} HTTP/1.1\r\nx-mock: early\r\ncontent-length: 5\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(
        read(&mut stream)
            .await
            .0
            .starts_with(b"HTTP/1.1 200 OK\r\n")
    );
    stream.write_all(b"12345").await.unwrap();
    stream
        .write_all(write_request("/x", "", "").as_bytes())
        .await
        .unwrap();
    assert!(
        read(&mut stream)
            .await
            .0
            .starts_with(b"HTTP/1.1 200 OK\r\n")
    );
}
