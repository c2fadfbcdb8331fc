//! A kept connection that the provider closes at the wrong moment costs no request.
#![cfg(test)]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use support::{CHAT, Mock, Request, Setup};

/// Answers the first request of each connection, promises to keep it, and hangs up on the second.
fn fickle_provider() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || answer_once(&mut stream.unwrap()));
        }
    });
    address
}

fn answer_once(stream: &mut TcpStream) {
    let mut some = [0; 64 << 10];
    if stream.read(&mut some).is_ok_and(|count| count > 0) {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        stream.write_all(answer).unwrap();
        let _ = stream.read(&mut some);
    }
}

#[test]
fn what_can_be_sent_again_is_sent_on_a_new_connection() {
    let mock = Mock::start();
    let provider = format!(
        "custom-fickle: {{base_url: \"http://{}\"}}",
        fickle_provider()
    );
    let gateway = Setup::new(&mock).provider(&provider).start();
    let path = "/v1/acc/default/custom-fickle/v1/chat/completions";
    for request in [Request::json(path, CHAT), Request::get(path)] {
        for _ in 0..4 {
            let answer = gateway.send(&request);
            assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
        }
    }
    for line in gateway.log(8) {
        assert_eq!(line["end"], "complete");
        assert_eq!(line["attempts"].as_array().unwrap().len(), 1);
    }
}
