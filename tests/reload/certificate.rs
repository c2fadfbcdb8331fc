//! A listener's certificate is changed while it serves.

use super::support::client::Client;
use super::support::h2;
use super::support::tls::{Authority, Files, Identity};
use super::*;
use std::net::SocketAddr;

fn write(files: &Files, identity: &Identity) {
    fs::write(files.path("cert.pem"), &identity.cert).unwrap();
    fs::write(files.path("key.pem"), &identity.key).unwrap();
}

/// Whether a handshake succeeds for who trusts this authority.
async fn is_trusted(address: SocketAddr, authority: &Authority) -> bool {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(authority.client(&["h2"]));
    let name = "localhost".try_into().unwrap();
    connector.connect(name, stream).await.is_ok()
}

async fn ask(client: &h2::Client) -> u16 {
    let request = h2::post(support::CHAT_PATH).body(()).unwrap();
    let answer = client.ask(request, support::CHAT.into()).await;
    answer.unwrap().status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_from_the_next_connection_on() {
    let mock = Mock::start();
    let (first, second) = (Authority::new(), Authority::new());
    let names = ["localhost"];
    let files = Files::new(&[("cert.pem", ""), ("key.pem", "")]);
    write(&files, &first.issue(&names));
    let gateway = setup(&mock)
        .tls(&files.path("cert.pem"), &files.path("key.pem"))
        .start();
    let address = gateway.address;
    assert!(is_trusted(address, &first).await && !is_trusted(address, &second).await);
    let kept = h2::Client::connect_tls(address, first.client(&["h2"])).await;
    assert_eq!(ask(&kept).await, 200);

    write(&files, &second.issue(&names));
    assert!(is_trusted(address, &first).await);
    reload_well(&gateway);
    assert!(is_trusted(address, &second).await && !is_trusted(address, &first).await);
    // Who is connected stays so.
    assert_eq!(ask(&kept).await, 200);

    // One that does not fit changes nothing, of the rest neither.
    fs::write(files.path("key.pem"), first.issue(&names).key).unwrap();
    append(&gateway, "gateways: {team: {}}\n");
    let answer = reload(&gateway);
    assert_eq!(answer.status, 422);
    assert!(
        answer.text().contains("does not belong"),
        "{}",
        answer.text()
    );
    assert!(is_trusted(address, &second).await);
    let client = h2::Client::connect_tls(address, second.client(&["h2"])).await;
    assert_eq!(ask(&client).await, 200);
    let mut plain = Client::connect(gateway.short);
    let team = Request::json("/v1/acc/team/openai/chat/completions", support::CHAT);
    plain.send(&team.bytes());
    assert_eq!(plain.read_answer(false).status, 400);

    // Other files are as good as the same ones.
    let others = Files::new(&[("cert.pem", ""), ("key.pem", "")]);
    write(&others, &first.issue(&names));
    change(&gateway, &files.path("cert.pem"), &others.path("cert.pem"));
    change(&gateway, &files.path("key.pem"), &others.path("key.pem"));
    reload_well(&gateway);
    assert!(is_trusted(address, &first).await);
    assert_eq!(ask(&kept).await, 200);
}
