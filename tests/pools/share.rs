//! Which of several endpoints a request gets, as long as all are well.

use super::*;
use support::client::Client;
use support::wait;

fn mocks(count: usize) -> Vec<Mock> {
    (0..count).map(|_| Mock::start()).collect()
}

fn urls(mocks: &[Mock]) -> Vec<String> {
    mocks.iter().map(|mock| url(mock.address)).collect()
}

/// How many requests each mock got since this was asked last.
fn counts(mocks: &[Mock]) -> Vec<u64> {
    let counts = mocks.iter().map(|mock| mock.count("requests")).collect();
    mocks.iter().for_each(Mock::reset);
    counts
}

/// The only mock that got requests since this was asked last.
fn only_one(mocks: &[Mock]) -> usize {
    let counts = counts(mocks);
    let mut got = (0..mocks.len()).filter(|at| counts[*at] > 0);
    let one = got.next().unwrap();
    assert_eq!(got.next(), None, "{counts:?}");
    one
}

/// Many requests over one connection.
fn ask(gateway: &Gateway, count: usize, request: &Request) {
    let mut client = gateway.connect();
    for _ in 0..count {
        client.send(&request.bytes());
        assert_eq!(client.read_answer(false).status, 200);
    }
}

#[test]
fn endpoints_get_shares_by_their_weights() {
    let mocks = mocks(3);
    let endpoints: Vec<_> = urls(&mocks)
        .iter()
        .zip([1, 2, 5])
        .map(|(url, weight)| format!("{{base_url: {url}, weight: {weight}}}"))
        .collect();
    let gateway = only(&pool(&endpoints, "")).start();
    ask(&gateway, 800, &chat("custom-pool"));
    let counts = counts(&mocks);
    assert_eq!(counts.iter().sum::<u64>(), 800);
    // Six deviations of a fair draw on either side: one run in half a billion fails by chance.
    for (count, share) in counts.iter().zip([100.0, 200.0, 500.0]) {
        let deviation = f64::sqrt(share * (1.0 - share / 800.0));
        assert!(
            (*count as f64 - share).abs() < 6.0 * deviation,
            "{counts:?}"
        );
    }
}

#[test]
fn keys_get_shares_by_their_weights() {
    let provider = provider::Provider::well();
    let keys = "keys: [{key: zq-a, weight: 3}, zq-b]";
    let gateway = only(&pool(&[url(provider.address)], keys)).start();
    ask(&gateway, 400, &chat("custom-pool"));
    let (a, b) = (provider.seen_with("zq-a"), provider.seen_with("zq-b"));
    assert_eq!(a + b, 400);
    assert!((248..352).contains(&a), "{a} {b}");
}

/// Requests that hang until they are dropped.
fn hang(gateway: &Gateway, count: usize) -> Vec<Client> {
    let request = chat("custom-pool").mock("hang").bytes();
    let hung = (0..count).map(|_| {
        let mut client = gateway.connect();
        client.send(&request);
        client
    });
    hung.collect()
}

#[test]
fn the_least_busy_endpoint_is_taken() {
    let mocks = mocks(2);
    let endpoints = [
        format!("{{base_url: {}, weight: 1}}", url(mocks[0].address)),
        format!("{{base_url: {}, weight: 3}}", url(mocks[1].address)),
    ];
    let gateway = only(&pool(&endpoints, "balance: least_busy")).start();
    let _hung = hang(&gateway, 40);
    wait::until("all to hang", || {
        let counts: u64 = mocks.iter().map(|mock| mock.count("requests")).sum();
        (counts == 40).then_some(())
    });
    let shares: Vec<_> = mocks.iter().map(|mock| mock.count("requests")).collect();
    assert_eq!(shares, [10, 30]);
    counts(&mocks);
    // What runs at one of them pushes the next ones to the other.
    let gateway = only(&pool(&urls(&mocks), "balance: least_busy")).start();
    let _one = hang(&gateway, 1);
    let busy = wait::until("one to hang", || {
        mocks.iter().position(|mock| mock.count("requests") == 1)
    });
    ask(&gateway, 10, &chat("custom-pool"));
    assert_eq!(mocks[busy].count("requests"), 1);
    assert_eq!(mocks[1 - busy].count("requests"), 10);
}

#[test]
fn the_fastest_endpoint_is_taken() {
    let slow = Mock::listening("127.0.0.1:0", Some("- {faults: delay=3000}"));
    let mocks = [slow, Mock::start()];
    let gateway = only(&pool(&urls(&mocks), "balance: fastest")).start();
    ask(&gateway, 60, &chat("custom-pool"));
    let counts = counts(&mocks);
    // Both have to be known.
    assert!((1..=3).contains(&counts[0]), "{counts:?}");
}

#[test]
fn requests_with_something_in_common_stay_together() {
    let mocks = mocks(3);
    let by_header = |user: usize| chat("custom-pool").field("x-user", &format!("u{user}"));
    let by_metadata = |user: usize| {
        let metadata = format!(r#"{{"user":"u{user}"}}"#);
        chat("custom-pool").field("cf-aig-metadata", &metadata)
    };
    let by_prompt = |user: usize| {
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"system","content":"you are {user}"}}]}}"#
        );
        chat_of("custom-pool", &body)
    };
    let kinds: [(&str, &dyn Fn(usize) -> Request); 3] = [
        ("header:x-user", &by_header),
        ("metadata.user", &by_metadata),
        ("prompt", &by_prompt),
    ];
    for (by, request) in kinds {
        let balance = format!("balance: {{sticky: {by}}}");
        let gateway = only(&pool(&urls(&mocks), &balance)).start();
        let homes: Vec<_> = (0..48)
            .map(|user| {
                ask(&gateway, 4, &request(user));
                only_one(&mocks)
            })
            .collect();
        for at in 0..mocks.len() {
            assert!(homes.contains(&at), "{by}: {homes:?}");
        }
        // Another process finds the same.
        let gateway = only(&pool(&urls(&mocks), &balance)).start();
        for (user, home) in homes.iter().enumerate() {
            ask(&gateway, 1, &request(user));
            assert_eq!(only_one(&mocks), *home, "{by}");
        }
    }
}

#[test]
fn a_lost_endpoint_moves_only_its_own() {
    let mut mocks = mocks(3);
    let settings = "balance: {sticky: header:x-user}, breaker: {min_requests: 1, open: 1h}";
    let gateway = only(&pool(&urls(&mocks), settings)).start();
    let request = |user: usize| chat("custom-pool").field("x-user", &format!("u{user}"));
    let homes: Vec<_> = (0..30)
        .map(|user| {
            ask(&gateway, 1, &request(user));
            only_one(&mocks)
        })
        .collect();
    assert!(homes.contains(&2), "{homes:?}");
    let lost = mocks.pop().unwrap().address;
    dead(&lost.to_string());
    for (user, home) in homes.iter().enumerate() {
        ask(&gateway, 2, &request(user));
        let now = only_one(&mocks);
        assert!(now == *home || *home == 2, "{user}: {home} {now}");
    }
}
