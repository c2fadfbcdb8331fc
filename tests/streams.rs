//! Answers in pieces: each passes the moment it comes, and every ending is told from the others.
#![cfg(test)]

mod support;

use serde_json::Value;
use std::time::Duration;
use support::client::{Answer, Client, End};
use support::gateway::Gateway;
use support::{CHAT, CHAT_PATH, CHAT_STREAM, Mock, Request, Setup, wait};

const BEDROCK: &str =
    "/v1/acc/default/aws-bedrock/bedrock-runtime/us-east-1/model/m1/converse-stream";
const GEMINI: &str =
    "/v1/acc/default/google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent";

/// A gateway with these times.
fn start(mock: &Mock, timeout: &str) -> Gateway {
    let config = format!("gateways: {{default: {{timeout: {{{timeout}}}}}}}");
    Setup::new(mock).config(&config).start()
}

/// Reads pieces until their bytes hold `part`.
fn read_until(client: &mut Client, part: &str) -> String {
    let mut text = String::new();
    while !text.contains(part) {
        match client.next_piece() {
            Ok(Some(piece)) => text += &String::from_utf8_lossy(&piece),
            end => panic!("{end:?} before {part:?}, after {text:?}"),
        }
    }
    text
}

/// The answer's first piece has to come although the mock sends no second one for long.
fn check_arrival(path: &str, body: &str, faults: &str, first: &str) {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let faults = format!("chunk-delay=60000,{faults}");
    let mut client = gateway.connect();
    client.send(&Request::json(path, body).mock(&faults).bytes());
    let head = client.read_head(false);
    assert_eq!(head.status, 200);
    read_until(&mut client, first);
    drop(client);
    assert_eq!(gateway.last_log(1)["stream"], true, "{path}");
}

#[test]
fn each_event_arrives_before_the_next_is_sent() {
    check_arrival(CHAT_PATH, CHAT_STREAM, "none", "data: ");
}

#[test]
fn events_do_not_wait_where_the_connection_is_the_frame() {
    check_arrival(CHAT_PATH, CHAT_STREAM, "eof", "data: ");
}

#[test]
fn anthropics_events_do_not_wait() {
    let body = CHAT_STREAM.replace("\"stream\"", "\"max_tokens\":900,\"stream\"");
    let path = "/v1/acc/default/anthropic/v1/messages";
    check_arrival(path, &body, "none", "message_start");
}

#[test]
fn bedrocks_binary_messages_do_not_wait() {
    let body = r#"{"messages":[{"role":"user","content":[{"text":"hello"}]}]}"#;
    check_arrival(BEDROCK, body, "none", ":event-type");
}

#[test]
fn the_members_of_geminis_array_do_not_wait() {
    let body = r#"{"contents":[{"parts":[{"text":"hello"}]}]}"#;
    check_arrival(GEMINI, body, "none", "candidates");
    check_arrival(&format!("{GEMINI}?alt=sse"), body, "none", "data: ");
}

#[test]
fn a_client_that_leaves_stops_the_providers_work() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let mut client = gateway.connect();
    let request = Request::json(CHAT_PATH, CHAT_STREAM).mock("endless,chunk-delay=20");
    client.send(&request.bytes());
    client.read_head(false);
    read_until(&mut client, "data: ");
    assert_eq!(gateway.metric("tollgate_streams_open"), 1.0);
    drop(client);
    wait::until("the mock to see the abort", || {
        (mock.count("aborted") == 1).then_some(())
    });
    let line = gateway.last_log(1);
    assert_eq!(line["end"], "client_gone");
    assert_eq!(line["status_code"], 200);
    assert_eq!(line["success"], false);
    assert_eq!(gateway.metric("tollgate_streams_open"), 0.0);
    assert_eq!(gateway.metric("tollgate_in_flight"), 0.0);
}

#[test]
fn a_client_that_leaves_before_the_answer_stops_the_providers_work() {
    for faults in ["hang", "delay=15000"] {
        let mock = Mock::start();
        let gateway = Setup::new(&mock).start();
        let mut client = gateway.connect();
        client.send(&Request::json(CHAT_PATH, CHAT).mock(faults).bytes());
        wait::until("the request at the mock", || {
            (mock.count("requests") == 1).then_some(())
        });
        drop(client);
        wait::until("the mock to see the abort", || {
            (mock.count("aborted") == 1).then_some(())
        });
        assert_eq!(gateway.last_log(1)["end"], "client_gone", "{faults}");
    }
}

#[test]
fn a_client_that_ends_its_own_side_counts_as_gone() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let mut client = gateway.connect();
    client.send(&Request::json(CHAT_PATH, CHAT).mock("hang").bytes());
    wait::until("the request at the mock", || {
        (mock.count("requests") == 1).then_some(())
    });
    client.half_close();
    let line = gateway.last_log(1);
    assert_eq!(line["end"], "client_gone");
    assert_eq!(line["refusal"], Value::Null, "nobody was refused: {line}");
}

/// One answer and its line of the log.
fn ask(gateway: &Gateway, request: &Request) -> (Answer, Value) {
    let before = gateway.log_text().lines().count();
    let answer = gateway.send(request);
    (answer, gateway.last_log(before + 1))
}

#[test]
fn an_answer_that_the_provider_cuts_never_ends_cleanly() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    for body in [CHAT, CHAT_STREAM] {
        for framing in ["chunked", "length"] {
            for ending in [
                "cut-at=0",
                "cut-at=40",
                "reset-at=0",
                "reset-at=40",
                "half-close",
            ] {
                let faults = format!("{framing},{ending}");
                let request = Request::json(CHAT_PATH, body).mock(&faults);
                let (answer, line) = ask(&gateway, &request);
                if answer.status == 502 && line["attempts"][0]["status"].is_null() {
                    // The reset overtook the head.
                    assert_eq!(line["end"], "error", "{faults}: {line}");
                    continue;
                }
                if body == CHAT {
                    // A plain answer waits for its end, so its client learns what happened.
                    assert_eq!(answer.refusal(), (502, 9502), "{faults}");
                    assert_eq!(line["status_code"], 502, "{faults}");
                } else {
                    assert_eq!(answer.status, 200, "{faults}");
                    assert!(matches!(answer.end, End::Broken(_)), "{faults}: {answer:?}");
                }
                assert_eq!(line["attempts"][0]["status"], 200, "{faults}: {line}");
                assert_eq!(line["end"], "upstream_cut", "{faults}: {line}");
                assert_eq!(line["success"], false, "{faults}");
                assert!(line["attempts"][0]["error"].is_string(), "{faults}: {line}");
            }
        }
    }
    assert_eq!(gateway.metric("tollgate_in_flight"), 0.0);
}

#[test]
fn a_content_length_that_is_too_large_is_a_cut() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let request = Request::json(CHAT_PATH, CHAT).mock("content-length=100000");
    let (answer, line) = ask(&gateway, &request);
    assert_eq!(answer.refusal(), (502, 9502));
    assert_eq!(line["end"], "upstream_cut");
    let request = Request::json(CHAT_PATH, CHAT).mock("content-length=1000000");
    let (answer, _) = ask(&gateway, &request);
    // Too long to wait for.
    assert!(matches!(answer.end, End::Broken(_)), "{answer:?}");
}

#[test]
fn a_connection_reset_before_the_end_mark_is_a_cut() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let request = Request::json(CHAT_PATH, CHAT_STREAM).mock("reset-at=1000000");
    let (answer, line) = ask(&gateway, &request);
    assert!(matches!(answer.end, End::Broken(_)), "{:?}", answer.end);
    assert_eq!(line["end"], "upstream_cut");
}

#[test]
fn a_provider_that_never_answers_is_a_504_after_the_clients_own_time() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let request = Request::json(CHAT_PATH, CHAT).mock("hang");
    let (answer, line) = ask(&gateway, &request.field("cf-aig-request-timeout", "200"));
    assert_eq!(answer.refusal(), (504, 9504));
    assert_eq!(line["end"], "timeout");
    assert_eq!(line["status_code"], 504);
    assert_eq!(line["refusal"], "upstream:9504");
    wait::until("the abandoned call", || {
        (mock.count("aborted") == 1).then_some(())
    });
}

#[test]
fn a_provider_that_never_answers_is_a_504_after_the_gateways_time() {
    let mock = Mock::start();
    let gateway = start(&mock, "first_byte: 300ms");
    let (answer, line) = ask(&gateway, &Request::json(CHAT_PATH, CHAT).mock("hang"));
    assert_eq!(answer.refusal(), (504, 9504));
    assert_eq!(line["end"], "timeout");
}

#[test]
fn the_time_to_the_first_byte_counts_from_the_end_of_an_upload() {
    let mock = Mock::start();
    let gateway = start(&mock, "first_byte: 3s");
    let request = Request::post("/v1/acc/default/openai/files")
        .field("content-type", "audio/wav")
        .field("content-length", "40");
    let mut client = gateway.connect();
    client.send(&request.head());
    for _ in 0..4 {
        std::thread::park_timeout(Duration::from_secs(1));
        client.send(&[b'x'; 10]);
    }
    assert_eq!(client.read_answer(false).status, 200);
}

#[test]
fn an_answer_that_falls_silent_ends_broken_and_as_a_timeout() {
    let mock = Mock::start();
    let gateway = start(&mock, "first_byte: 20s, idle: 300ms");
    for body in [CHAT, CHAT_STREAM] {
        for framing in ["chunked", "length"] {
            let faults = format!("{framing},hang-at=60");
            let request = Request::json(CHAT_PATH, body).mock(&faults);
            let (answer, line) = ask(&gateway, &request);
            if body == CHAT {
                assert_eq!(answer.refusal(), (504, 9505), "{faults}");
            } else {
                assert_eq!(answer.status, 200);
                assert!(
                    matches!(answer.end, End::Broken(_)),
                    "{faults}: {:?}",
                    answer.end
                );
            }
            assert_eq!(line["end"], "timeout", "{faults}: {line}");
            assert_eq!(line["success"], false);
        }
    }
}

#[test]
fn a_stream_that_keeps_coming_outlives_the_idle_time() {
    let mock = Mock::start();
    let gateway = start(&mock, "first_byte: 4s, idle: 4s");
    let request = Request::json(CHAT_PATH, CHAT_STREAM).mock("chunk-delay=500,chunks=10");
    let (answer, line) = ask(&gateway, &request);
    assert_eq!(answer.end, End::Whole);
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(line["end"], "complete");
}

#[test]
fn the_total_time_ends_a_request_before_and_within_its_answer() {
    let mock = Mock::start();
    let gateway = start(&mock, "total: 3s");
    let (answer, line) = ask(&gateway, &Request::json(CHAT_PATH, CHAT).mock("hang"));
    assert_eq!(answer.refusal(), (504, 9505));
    assert_eq!(line["end"], "timeout");
    let request = Request::json(CHAT_PATH, CHAT_STREAM).mock("endless,chunk-delay=50");
    let (answer, line) = ask(&gateway, &request);
    assert_eq!(answer.status, 200);
    assert!(matches!(answer.end, End::Broken(_)), "{:?}", answer.end);
    assert_eq!(line["end"], "timeout");
}

#[test]
fn an_error_event_within_a_stream_passes_as_it_is() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let request = Request::json(CHAT_PATH, CHAT_STREAM).mock("error-event,chunks-before=2");
    let (answer, line) = ask(&gateway, &request);
    assert_eq!(answer.end, End::Whole);
    assert!(answer.text().contains("\"error\""), "{}", answer.text());
    assert_eq!(line["end"], "complete");
}

#[test]
fn interim_answers_of_a_provider_do_not_confuse_the_final_one() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    for body in [CHAT, CHAT_STREAM] {
        let (answer, line) = ask(&gateway, &Request::json(CHAT_PATH, body).mock("100-twice"));
        assert_eq!(answer.status, 200);
        assert_eq!(answer.end, End::Whole);
        assert_eq!(line["status_code"], 200);
    }
}

#[test]
fn an_answer_that_comes_before_the_upload_ended_reaches_the_client() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let request = Request::post("/v1/acc/default/openai/files")
        .field("content-type", "audio/wav")
        .field("content-length", "1000000")
        .mock("early,status=413");
    let mut client = gateway.connect();
    client.send(&request.head());
    client.send(&[b'x'; 1000]);
    let head = client.read_head(false);
    assert_eq!(head.status, 413);
}
