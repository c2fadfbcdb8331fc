//! Tests of the whole choice: whose fault moves what, and what is left when all rest.

mod keys;

use super::*;
use crate::provider::catalogue::Catalogue;
use prometheus::Opts;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// A pool, the clock that it goes by, and where requests go by their path.
struct Bench {
    pool: Arc<Pool>,
    clock: Arc<AtomicU64>,
    parked: IntCounterVec,
    origin: Arc<Origin>,
}

fn bench(config: &str) -> Bench {
    let slug = "custom-x".to_owned();
    let config: Config = serde_yaml::from_str(config).unwrap();
    let own = BTreeMap::from([(slug.clone(), config)]);
    let catalogue = Catalogue::build(&own).unwrap();
    let provider = catalogue.provider(&slug).unwrap();
    let clock = Arc::new(AtomicU64::new(0));
    let parked = IntCounterVec::new(Opts::new("p", "p"), &["provider", "key"]).unwrap();
    let ticks = Ticks::Wound(clock.clone());
    let pool = Pool::build(provider, &own[&slug], parked.clone(), ticks).unwrap();
    Bench {
        pool: Arc::new(pool),
        clock,
        parked,
        origin: provider.place("chat/completions", None).unwrap().origin,
    }
}

impl Bench {
    fn asked(&self) -> Asked<'_> {
        Asked {
            origin: &self.origin,
            model: Some("m"),
            affinity: None,
            own_key: false,
        }
    }

    fn choose(&self, resort: Resort) -> Result<Choice, Unfit> {
        self.pool.choose(&self.asked(), &Tried::default(), resort)
    }

    /// Sends `count` requests that end with `fault`.
    fn send(&self, count: usize, fault: impl Into<Option<Fault>>) {
        let fault = fault.into();
        for _ in 0..count {
            let choice = self.choose(Resort::LeastBad).unwrap();
            choice.ticket.report(Outcome {
                fault,
                ..Outcome::default()
            });
        }
    }

    fn wait(&self, seconds: u64) {
        self.clock.fetch_add(seconds * 1000, Ordering::AcqRel);
    }

    fn states(&self) -> Vec<(String, State)> {
        let conditions = self.pool.conditions().into_iter();
        conditions.map(|told| (told.member, told.state)).collect()
    }
}

fn host(choice: &Choice) -> String {
    choice.endpoint.as_ref().unwrap().origin.host.clone()
}

fn key(choice: &Choice) -> &str {
    &choice.key.as_ref().unwrap().name
}

const DOWN: Fault = Fault::Connect;
const TWO: &str = "{endpoints: ['http://a/v1', 'http://b']}";
const KEYS: &str = "{base_url: 'http://a', keys: [zq1, zq2]}";

#[test]
fn a_provider_without_endpoints_and_keys_rests_too() {
    let one = bench("{base_url: 'http://a'}");
    let choice = one.choose(Resort::Healthy).unwrap();
    assert!(choice.endpoint.is_none() && choice.key.is_none());
    assert_eq!(one.states(), []);
    one.send(5, DOWN);
    let rests = Unfit::Resting(Duration::from_secs(15));
    assert_eq!(one.choose(Resort::Healthy).unwrap_err(), rests);
    assert_eq!(
        one.states(),
        [("endpoint http://a".to_owned(), State::Open)]
    );
    assert!(one.choose(Resort::LeastBad).is_ok());
    // Another host of the same provider is another endpoint.
    let elsewhere = Arc::new(Origin::new(true, "b".to_owned(), 443).unwrap());
    let asked = Asked {
        origin: &elsewhere,
        ..one.asked()
    };
    let tried = Tried::default();
    assert!(one.pool.choose(&asked, &tried, Resort::Healthy).is_ok());
    one.wait(15);
    let probe = one.choose(Resort::Healthy).unwrap();
    assert!(one.choose(Resort::Healthy).is_err());
    drop(probe);
    let probe = one.choose(Resort::Healthy).unwrap();
    probe.ticket.report(Outcome::default());
    assert_eq!(one.states(), []);
}

#[test]
fn a_dead_endpoint_is_left_alone_but_for_its_probes() {
    let two = bench(TWO);
    let hosts = |count: usize, dead: &str| {
        let mut seen = 0;
        for _ in 0..count {
            let choice = two.choose(Resort::Healthy).unwrap();
            let is_dead = host(&choice) == dead;
            seen += usize::from(is_dead);
            choice.ticket.report(Outcome {
                fault: is_dead.then_some(DOWN),
                ..Outcome::default()
            });
        }
        seen
    };
    assert!(hosts(100, "a") >= 5);
    assert_eq!(hosts(100, "a"), 0);
    two.wait(15);
    assert_eq!(hosts(100, "a"), 1);
    assert_eq!(hosts(100, "a"), 0);
    two.wait(15);
    assert_eq!(hosts(100, "nobody"), 0);
    assert!(
        two.states()
            .iter()
            .all(|(_, state)| *state == State::Closed)
    );
}

#[test]
fn an_attempt_goes_where_the_last_one_did_not() {
    let two = bench(TWO);
    for _ in 0..50 {
        let mut tried = Tried::default();
        let first = two
            .pool
            .choose(&two.asked(), &tried, Resort::Healthy)
            .unwrap();
        tried.note(&first.ticket, DOWN);
        let second = two
            .pool
            .choose(&two.asked(), &tried, Resort::Healthy)
            .unwrap();
        assert_ne!(host(&first), host(&second));
        tried.note(&second.ticket, DOWN);
        // Both were tried: a third attempt may go to either.
        assert!(
            two.pool
                .choose(&two.asked(), &tried, Resort::Healthy)
                .is_ok()
        );
    }
}

#[test]
fn a_ticket_knows_whether_another_could_take_its_place() {
    let fresh = Tried::default();
    let two = bench(TWO);
    let first = two.choose(Resort::Healthy).unwrap().ticket;
    assert!(first.has_another(fresh, DOWN) && first.has_another(fresh, Fault::Status(404)));
    assert!(!first.has_another(fresh, Fault::Status(401)));
    assert!(!first.has_another(fresh, Fault::Status(400)));
    let mut tried = fresh;
    tried.note(&first, DOWN);
    let second = two.pool.choose(&two.asked(), &tried, Resort::Healthy);
    assert!(!second.unwrap().ticket.has_another(tried, DOWN));

    let keys = bench(KEYS);
    let first = keys.choose(Resort::Healthy).unwrap();
    assert!(first.ticket.has_another(fresh, Fault::Status(401)));
    assert!(!first.ticket.has_another(fresh, DOWN));
    let asked = Asked {
        own_key: true,
        ..keys.asked()
    };
    let own = keys.pool.choose(&asked, &fresh, Resort::Healthy).unwrap();
    assert!(!own.ticket.has_another(fresh, Fault::Status(401)));
    // The other one rests.
    while keys
        .states()
        .iter()
        .all(|(_, state)| *state == State::Closed)
    {
        let choice = keys.choose(Resort::Healthy).unwrap();
        if key(&choice) != key(&first) {
            choice.ticket.report(Outcome {
                fault: Some(Fault::Quota),
                ..Outcome::default()
            });
        }
    }
    assert!(!first.ticket.has_another(fresh, Fault::Status(401)));
}

#[test]
fn a_model_that_one_endpoint_lacks_is_asked_of_the_other() {
    let two = bench(TWO);
    for _ in 0..50 {
        let choice = two.choose(Resort::Healthy).unwrap();
        choice.ticket.report(Outcome {
            fault: (host(&choice) == "a").then_some(Fault::Status(404)),
            ..Outcome::default()
        });
    }
    let hosts: Vec<_> = (0..50)
        .map(|_| host(&two.choose(Resort::Healthy).unwrap()))
        .collect();
    assert!(hosts.iter().all(|host| host == "b"));
    let open: Vec<_> = two
        .states()
        .into_iter()
        .filter(|told| told.1 == State::Open)
        .collect();
    assert_eq!(open, [("model m".to_owned(), State::Open)]);
    let other = Asked {
        model: Some("n"),
        ..two.asked()
    };
    let tried = Tried::default();
    let hosts = (0..50).map(|_| host(&two.pool.choose(&other, &tried, Resort::Healthy).unwrap()));
    assert!(hosts.into_iter().any(|host| host == "a"));
}

#[test]
fn a_stream_that_breaks_after_its_first_token_counts_as_broken() {
    let one = bench("{endpoints: ['http://a']}");
    for _ in 0..5 {
        let choice = one.choose(Resort::Healthy).unwrap();
        choice.ticket.report(Outcome {
            first_token: Some(Duration::from_millis(5)),
            ..Outcome::default()
        });
        choice.ticket.report(Outcome {
            fault: Some(Fault::Cut),
            ..Outcome::default()
        });
        choice.ticket.report(Outcome::default());
    }
    assert_eq!(one.states()[0].1, State::Open);
}

#[test]
fn where_all_rest_the_one_that_rested_longest_is_tried_unless_forbidden() {
    let two = bench(TWO);
    let down = |name: &str| {
        let mut bad = 0;
        while bad < 5 {
            let choice = two.choose(Resort::Healthy).unwrap();
            if host(&choice) == name {
                bad += 1;
                choice.ticket.report(Outcome {
                    fault: Some(DOWN),
                    ..Outcome::default()
                });
            }
        }
    };
    down("b");
    two.wait(3);
    down("a");
    assert_eq!(
        two.choose(Resort::Healthy).unwrap_err(),
        Unfit::Resting(Duration::from_secs(12))
    );
    let choice = two.choose(Resort::LeastBad).unwrap();
    assert_eq!(host(&choice), "b");
    choice.ticket.report(Outcome::default());
    assert_eq!(two.states()[1].1, State::Closed);

    let strict = bench("{base_url: 'http://a', breaker: {all_open: refuse}}");
    strict.send(5, DOWN);
    assert!(strict.choose(Resort::LeastBad).is_err());
}

#[test]
fn a_breaker_that_is_off_never_opens() {
    let off = bench("{base_url: 'http://a', keys: [zq], breaker: {enabled: false}}");
    off.send(100, DOWN);
    off.send(100, Fault::Status(401));
    assert!(off.choose(Resort::Healthy).is_ok());
}

#[test]
fn a_ticket_without_a_report_says_nothing_and_frees_its_place() {
    let two = bench("{endpoints: ['http://a', 'http://b'], balance: least_busy}");
    let held: Vec<_> = (0..10)
        .map(|_| two.choose(Resort::Healthy).unwrap())
        .collect();
    let on_a = held.iter().filter(|choice| host(choice) == "a").count();
    assert_eq!(on_a, 5);
    drop(held);
    assert!(
        two.pool
            .endpoints
            .iter()
            .all(|member| member.running() == 0)
    );
    assert!(
        two.states()
            .iter()
            .all(|(_, state)| *state == State::Closed)
    );
}

fn clients_doing() -> impl Strategy<Value = Fault> {
    let statuses = [
        400, 405, 408, 409, 411, 413, 414, 415, 418, 422, 425, 431, 451, 499, 501, 505,
    ];
    let status = proptest::sample::select(statuses.to_vec()).prop_map(Fault::Status);
    prop_oneof![5 => status, 1 => Just(Fault::ClientGone), 1 => Just(Fault::Total)]
}

proptest! {
    #[test]
    fn nothing_that_a_client_does_opens_anything(
        faults in proptest::collection::vec(clients_doing(), 0..200)
    ) {
        let pool = bench("{endpoints: ['http://a', 'http://b'], keys: [zq1, zq2]}");
        for fault in faults {
            pool.send(1, fault);
        }
        prop_assert!(pool.states().iter().all(|(_, state)| *state == State::Closed));
        prop_assert_eq!(pool.states().len(), 4);
    }
}

#[test]
fn made_up_models_do_not_fill_the_memory() {
    let pool = bench("{base_url: 'http://a'}");
    for name in 0..2000 {
        let name = format!("model-{name}");
        let asked = Asked {
            model: Some(&name),
            ..pool.asked()
        };
        for _ in 0..2 {
            let choice = pool
                .pool
                .choose(&asked, &Tried::default(), Resort::LeastBad);
            choice.unwrap().ticket.report(Outcome {
                fault: Some(Fault::Status(404)),
                ..Outcome::default()
            });
        }
        assert!(pool.pool.models.members().len() <= 256);
    }
}

#[test]
fn of_many_threads_one_probes_and_the_rest_go_elsewhere() {
    let two = bench(TWO);
    while two.states()[0].1 == State::Closed {
        let choice = two.choose(Resort::Healthy).unwrap();
        let fault = (host(&choice) == "a").then_some(DOWN);
        choice.ticket.report(Outcome {
            fault,
            ..Outcome::default()
        });
    }
    two.wait(15);
    let start = std::sync::Barrier::new(4);
    let probes = AtomicU64::new(0);
    let held = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                start.wait();
                for _ in 0..200 {
                    let choice = two.choose(Resort::Healthy).unwrap();
                    probes.fetch_add(u64::from(host(&choice) == "a"), Ordering::Relaxed);
                    held.lock().unwrap().push(choice);
                }
            });
        }
    });
    assert_eq!(probes.into_inner(), 1);
}
