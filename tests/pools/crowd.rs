//! Many streams at once, while one of three endpoints dies and comes back.

use super::*;
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;
use support::client::End;
use support::wait;

const STREAMS: usize = 500;

#[test]
fn nobody_notices_that_an_endpoint_dies_and_comes_back() {
    // Slow to begin, so that many wait for their first token when it dies.
    let script = "- {faults: 'delay=500,chunk-delay=4'}";
    // At an address that nobody else gets while it is gone.
    let start = |address: &str| Mock::listening(address, Some(script));
    let held = || dead("127.0.0.1:0").to_string();
    let mut mocks: Vec<_> = (0..3).map(|_| start(&held())).collect();
    let urls: Vec<_> = mocks.iter().map(|mock| url(mock.address)).collect();
    let gateway = only(&pool(&urls, "breaker: {open: 200ms}")).start();
    let request = chat_of("custom-pool", CHAT_STREAM).bytes();
    let answers: Vec<_> = thread::scope(|scope| {
        let ask_half = || {
            let (gateway, request) = (&gateway, &request);
            let half = (0..STREAMS / 2).map(|number| {
                let ask = move || {
                    // They come in over half a second.
                    thread::park_timeout(Duration::from_millis(number as u64 * 2));
                    let mut client = gateway.connect();
                    client.send(request);
                    client.try_read_answer(false)
                };
                thread::Builder::new()
                    .stack_size(256 << 10)
                    .spawn_scoped(scope, ask)
                    .unwrap()
            });
            half.collect::<Vec<_>>()
        };
        let mut asking = ask_half();
        let killed = mocks.remove(1);
        wait::until("it to be asked", || {
            (killed.count("requests") >= 10).then_some(())
        });
        let address = killed.address.to_string();
        drop(killed);
        asking.extend(ask_half());
        // A short rest may be over before it is seen, but only a good answer ends it.
        wait::until("it to rest", || {
            state(&gateway, &address).filter(|state| *state > 0.0)
        });
        mocks.push(start(&address));
        let answers = asking.into_iter().map(|asked| asked.join().unwrap());
        answers.collect()
    });
    let mut failed = BTreeMap::new();
    for answer in answers {
        let how = match answer {
            Ok(answer) if answer.status != 200 => answer.text(),
            Ok(answer) if answer.end != End::Whole => format!("{:?}", answer.end),
            Ok(answer) if !answer.text().ends_with("data: [DONE]\n\n") => answer.text(),
            Ok(_) => continue,
            Err(error) => error.to_string(),
        };
        *failed.entry(how).or_insert(0) += 1;
    }
    assert!(failed.is_empty(), "{failed:?}");
    let lines = gateway.log(STREAMS);
    assert_eq!(lines.len(), STREAMS);
    let ids: std::collections::BTreeSet<_> = lines.iter().map(|line| line["id"].as_str()).collect();
    assert_eq!(ids.len(), STREAMS);
    let moved = lines.iter().filter(|line| attempts(line).len() > 1).count();
    assert!(moved > 0, "it died unnoticed");
    // It is asked again.
    wait::until("it to be well", || {
        let mut client = gateway.connect();
        client.send(&request);
        client.read_answer(false);
        (mocks[2].count("requests") > 0).then_some(())
    });
}
