//! The cache between a client and a provider that both speak HTTP/2.

use crate::ON;
use crate::support::h2::{Client, post};
use crate::support::tls::{Authority, Files};
use crate::support::tls_provider::Provider;
use crate::support::{CHAT, Mock, Setup};

const PATH: &str = "/v1/acc/default/custom-tls/chat/completions";

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_over_http2_cost_one() {
    let (mock, authority) = (Mock::start(), Authority::new());
    let identity = authority.issue(&["localhost"]);
    let provider = Provider::start(identity.server(&["h2"]), mock.address).await;
    let files = Files::new(&[("ca.pem", &authority.pem)]);
    let base = format!("https://localhost:{}", provider.address.port());
    let setup = Setup::new(&mock)
        .server(&format!("ca_file: \"{}\"", files.path("ca.pem")))
        .provider(&format!(
            "custom-tls: {{base_url: \"{base}\", dialect: openai}}"
        ));
    let gateway = setup.config(ON).start();
    for round in 0..20 {
        let client = Client::connect(gateway.address).await;
        let asks = (0..20).map(|_| {
            let client = client.clone();
            let request = post(PATH)
                .header("cf-aig-cache-key", round)
                .body(())
                .unwrap();
            tokio::spawn(async move { client.ask(request, CHAT.into()).await.unwrap() })
        });
        let asks: Vec<_> = asks.collect();
        let mut hits = 0;
        for ask in asks {
            let answer = ask.await.unwrap();
            assert_eq!(
                (answer.status, answer.body.as_slice()),
                (200, CHAT.as_bytes())
            );
            hits += usize::from(answer.fields["cf-aig-cache-status"] == "HIT");
        }
        assert_eq!(hits, 19);
        assert_eq!(provider.seen().len(), round + 1);
    }
}
