//! Every technique with every kind: what passes, what is refused, and what is counted.

use super::*;
use support::wait;

const TECHNIQUES: [&str; 3] = ["fixed", "sliding", "burst"];
/// A limit's amount, the code of its refusal, and what a request uses of it. Each lets two or three pass.
const KINDS: [(&str, u64, Used); 5] = [
    ("requests: 3", 2003, |_| 1.0),
    ("tokens: 120", 2003, |answer| {
        (tokens(answer).0 + tokens(answer).1) as f64
    }),
    ("tokens: 70, count: in", 2003, |answer| {
        tokens(answer).0 as f64
    }),
    ("tokens: 40, count: out", 2003, |answer| {
        tokens(answer).1 as f64
    }),
    ("cost: $0.12", 2041, |answer| {
        (tokens(answer).0 + tokens(answer).1) as f64 / 1e3
    }),
];

type Used = fn(&Answer) -> f64;

#[test]
fn what_does_not_fit_is_refused_and_not_counted() {
    let (mock, folder) = (Mock::start(), Scratch::new());
    let name = |technique: &str, kind: usize| format!("{technique}-{kind}");
    let mut gateways = String::new();
    for technique in TECHNIQUES {
        for (kind, (amount, ..)) in KINDS.iter().enumerate() {
            let name = name(technique, kind);
            gateways += &format!(
                "  {name}: {{limits: [{{name: {name}, {amount}, per: 31d, technique: {technique}}}]}}\n"
            );
        }
    }
    let gateway = setup(&mock, &folder, &gateways).start();
    let mut sent = 0;
    for technique in TECHNIQUES {
        for (kind, (_, code, used)) in KINDS.iter().enumerate() {
            let name = name(technique, kind);
            let mut sum = 0.0;
            let mut passed = 0;
            let refused = loop {
                let answer = gateway.send(&chat(&name, "m", 10));
                sent += 1;
                if answer.status != 200 {
                    break answer;
                }
                sum += used(&answer);
                passed += 1;
                assert!(passed < 20, "{name}");
            };
            assert!(passed >= 2, "{name}: {passed}");
            check_refused(&refused, &name, *code);
            let seconds: u64 = refused.field("retry-after").unwrap().parse().unwrap();
            assert!(seconds <= 31 * 86_400 + 31 * 864, "{name}: {seconds}");
            // Who is in the log has been counted.
            gateway.log(sent);
            // A bucket drains meanwhile, by less than one unit.
            let stands = || (stands(&gateway, &name, "used") - sum).abs() < 0.0011;
            assert!(stands(), "{name}: {sum} {:?}", counters(&gateway));
            let asked = mock.count("requests");
            gateway.send(&chat(&name, "m", 10));
            sent += 1;
            gateway.log(sent);
            assert_eq!(mock.count("requests"), asked, "{name}");
            assert!(stands(), "{name}: {sum} {:?}", counters(&gateway));
        }
    }
    let limited = gateway.metrics();
    for technique in TECHNIQUES {
        let name = name(technique, 4);
        let series = format!("{{gateway=\"{name}\",limit=\"{name}\"}}");
        assert_eq!(limited[&format!("tollgate_limited_total{series}")], 2.0);
        let ratio = limited[&format!("tollgate_budget_used_ratio{series}")];
        assert!(ratio > 0.5 && ratio <= 1.0, "{ratio}");
    }
    let lines = gateway.log(sent);
    let refused = lines
        .iter()
        .find(|line| line["status_code"] == 429)
        .unwrap();
    assert_eq!(refused["refusal"], "limit:2003");
    assert_eq!(refused["limit"], "fixed-0");
    assert_eq!(refused["attempts"].as_array().unwrap().len(), 0);
}

#[test]
fn the_refusal_of_a_budget_says_which_and_how_much() {
    let (mock, folder) = (Mock::start(), Scratch::new());
    let limits = "  a: {limits: [{name: spend, cost: $0.05, per: 1d, technique: sliding}]}\n";
    let gateway = setup(&mock, &folder, limits).start();
    let answer = gateway.send(&chat("a", "gpt-x", 1_000));
    assert_eq!(answer.refusal(), (429, 2041));
    let message = answer.json()["error"][0]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    let expect = "Spend limit exceeded: rule 'spend' (cost limit 0.05 per 86400s, sliding) for custom-priced gpt-x";
    assert!(message.starts_with(expect), "{message}");
    // It could never pass, so there is no use in coming back.
    assert_eq!(answer.field("retry-after"), None);
    assert!(
        message.contains("more than the limit allows in all"),
        "{message}"
    );
}

#[test]
fn a_window_that_has_passed_makes_room() {
    let (mock, folder) = (Mock::start(), Scratch::new());
    let mut gateways = String::new();
    for technique in TECHNIQUES {
        gateways += &format!(
            "  {technique}: {{limits: [{{name: l, requests: 2, per: 1s, technique: {technique}}}]}}\n"
        );
    }
    let gateway = setup(&mock, &folder, &gateways).start();
    for technique in TECHNIQUES {
        let pass = || gateway.send(&chat(technique, "m", 5)).status == 200;
        wait::until("a refusal", || (!pass()).then_some(()));
        wait::until("room", || pass().then_some(()));
    }
}

#[test]
fn what_runs_at_once_is_limited_and_comes_back() {
    let (mock, folder) = (Mock::start(), Scratch::new());
    let limits = "  a: {limits: [{name: few, concurrent: 2}]}\n";
    let gateway = setup(&mock, &folder, limits).start();
    let slow = chat("a", "m", 5).mock("hang");
    let mut running = Vec::new();
    for _ in 0..2 {
        let mut client = gateway.connect();
        client.send(&slow.bytes());
        running.push(client);
    }
    wait::until("both to run", || {
        (stands(&gateway, "few", "held") == 2.0).then_some(())
    });
    check_refused(&gateway.send(&chat("a", "m", 5)), "few", 2003);
    // A client that leaves gives its place back.
    running.pop();
    wait::until("a place", || {
        (gateway.send(&chat("a", "m", 5)).status == 200).then_some(())
    });
    drop(running);
    wait::until("all places", || {
        (stands(&gateway, "few", "held") == 0.0).then_some(())
    });
}
