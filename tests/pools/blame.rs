//! What is the client's fault gives nobody a rest.

use super::*;

use std::thread;
use std::time::Duration;
use support::wait;

/// One failure would be enough.
const STRICT: &str = "breaker: {min_requests: 1, failure_percent: 1, open: 1h, all_open: refuse}";

fn start(address: SocketAddr) -> Gateway {
    only(&pool(&[url(address)], STRICT)).start()
}

fn check_well(gateway: &Gateway, what: &str) {
    assert_eq!(state(gateway, "endpoint"), Some(0.0), "{what}");
    let answer = gateway.send(&chat("custom-pool").mock("none"));
    assert_eq!(answer.status, 200, "{what}: {}", answer.text());
}

#[test]
fn a_wrong_request_is_nobodys_fault_but_a_broken_provider_is() {
    let mock = Mock::start();
    let gateway = start(mock.address);
    let mut sent = 0;
    for status in [400, 405, 409, 413, 415, 422, 501] {
        for _ in 0..5 {
            let answer = gateway.send(&chat("custom-pool").mock(&format!("status={status}")));
            assert_eq!(answer.status, status);
        }
        sent += 6;
        gateway.log(sent - 1);
        check_well(&gateway, &status.to_string());
    }
    for fault in [
        "status=500",
        "overloaded",
        "close",
        "garbage-head",
        "cut-at=9",
    ] {
        let gateway = start(mock.address);
        gateway.send(&chat("custom-pool").mock(fault));
        gateway.log(1);
        assert_eq!(state(&gateway, "endpoint"), Some(2.0), "{fault}");
    }
}

#[test]
fn a_client_in_a_hurry_says_nothing_about_the_provider() {
    let mock = Mock::start();
    let gateway = start(mock.address);
    for request in [chat("custom-pool"), chat_of("custom-pool", CHAT_STREAM)] {
        for _ in 0..5 {
            let hurried = request.clone().mock("hang");
            let answer = gateway.send(&hurried.field("cf-aig-request-timeout", "30"));
            assert_eq!(answer.refusal(), (504, 9504));
        }
    }
    gateway.log(10);
    check_well(&gateway, "hurry");
}

/// The steps of one universal request, of which the first is in a hurry.
fn hurried_steps() -> Request {
    let step = |timeout: &str| {
        format!(
            r#"{{"provider":"custom-pool","endpoint":"chat/completions","headers":{{"x-mock":"{}"}},"config":{{{timeout}}},"query":{CHAT}}}"#,
            if timeout.is_empty() { "none" } else { "hang" }
        )
    };
    let body = format!("[{},{}]", step(r#""requestTimeout":30"#), step(""));
    Request::json("/v1/acc/default", body)
}

#[test]
fn a_step_in_a_hurry_says_nothing_about_its_provider() {
    let mock = Mock::start();
    let gateway = start(mock.address);
    for _ in 0..3 {
        let answer = gateway.send(&hurried_steps());
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.field("cf-aig-step"), Some("1"));
    }
    check_well(&gateway, "hurried step");
}

/// Nothing connects to it, and nothing refuses to.
fn silent() -> (socket2::Socket, Vec<std::net::TcpStream>, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(1).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    let time = Duration::from_millis(200);
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, time) {
        waiting.push(stream);
        assert!(waiting.len() < 100);
    }
    (socket, waiting, address)
}

#[test]
fn a_client_without_the_patience_to_connect_says_nothing_about_the_provider() {
    let (_socket, _waiting, address) = silent();
    let gateway = start(address);
    for _ in 0..5 {
        let answer = gateway.send(&chat("custom-pool").field("cf-aig-request-timeout", "50"));
        assert!((502..=504).contains(&answer.status), "{}", answer.text());
    }
    gateway.log(5);
    assert_eq!(state(&gateway, "endpoint"), Some(0.0));
    let answer = gateway.send(&chat("custom-pool"));
    assert_eq!(answer.status, 502, "{}", answer.text());
    gateway.log(6);
    assert_eq!(state(&gateway, "endpoint"), Some(2.0));
}

#[test]
fn clients_that_leave_say_nothing_about_the_provider() {
    let mock = Mock::start();
    let gateway = start(mock.address);
    let mut left = 0;
    let mut leave = |request: &Request, begun: bool| {
        for _ in 0..5 {
            let mut client = gateway.connect();
            mock.reset();
            client.send(&request.bytes());
            if begun {
                assert_eq!(client.read_head(false).status, 200);
                client.next_piece().unwrap().unwrap();
            } else {
                wait::until("the request", || {
                    (mock.count("requests") == 1).then_some(())
                });
            }
            drop(client);
            left += 1;
            gateway.log(left);
        }
        assert_eq!(state(&gateway, "endpoint"), Some(0.0));
    };
    leave(&chat("custom-pool").mock("hang"), false);
    leave(&chat_of("custom-pool", CHAT_STREAM).mock("hang"), false);
    leave(&chat("custom-pool").mock("hang-at=20"), false);
    leave(&chat_of("custom-pool", CHAT_STREAM).mock("endless"), true);
    leave(
        &chat_of("custom-pool", CHAT_STREAM).mock("hang-at=900,chunks=50"),
        true,
    );
    for line in gateway.log(left) {
        assert_eq!(line["end"], "client_gone", "{line}");
    }
    check_well(&gateway, "left");
}

#[test]
fn a_client_that_sends_half_a_body_says_nothing_about_the_provider() {
    let mock = Mock::start();
    let gateway = start(mock.address);
    thread::scope(|scope| {
        for body in ["multipart/form-data; boundary=x", "application/json"] {
            let gateway = &gateway;
            scope.spawn(move || {
                for _ in 0..3 {
                    let path = "/v1/acc/default/custom-pool/audio/transcriptions";
                    let request = Request::post(path)
                        .field("content-type", body)
                        .field("content-length", "1000")
                        .body("--x\r\n");
                    let mut client = gateway.connect();
                    client.send(&request.bytes());
                    assert!(client.is_silent_for(Duration::from_millis(100)));
                }
            });
        }
    });
    wait::until("all to be over", || {
        (gateway.metric("tollgate_in_flight") == 0.0).then_some(())
    });
    check_well(&gateway, "half a body");
}
