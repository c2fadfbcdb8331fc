//! The fault matrix: every line of the table, in every shape, asked both ways, in every place.

use super::shape::{PATH, Shape};
use super::support::client::{Answer, Client, End};
use super::support::gateway::Gateway;
use super::support::{Mock, Request, Setup};
use super::table::{self, Expected, Face, Place, Row};
use serde_json::Value;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Most cases wait for the mock, some for a timeout.
const WORKERS: usize = 64;
/// Long enough for a busy machine, short enough for a test; only for those that are to wait in vain.
const GATEWAYS: &str = "gateways: {default: {}, hasty: {timeout: {first_byte: 4s, idle: 4s}}}";
/// Faults that break an answer off, whose content they leave alone.
const ENDINGS: [&str; 5] = ["cut-at", "reset-at", "hang-at", "half-close", "chunk-delay"];

struct Case<'a> {
    row: &'a Row,
    shape: Shape,
    stream: bool,
    place: Place,
}

fn cases(rows: &[Row]) -> Vec<Case<'_>> {
    let mut cases = Vec::new();
    for row in rows {
        for shape in Shape::ALL {
            for stream in [false, true] {
                for place in Place::ALL {
                    if row.is_about(shape, stream) {
                        cases.push(Case {
                            row,
                            shape,
                            stream,
                            place,
                        });
                    }
                }
            }
        }
    }
    cases
}

impl Case<'_> {
    fn name(&self) -> String {
        let way = if self.stream { "stream" } else { "plain" };
        let Self {
            row, shape, place, ..
        } = self;
        format!("{} {} {way} {place:?}", row.fault, shape.name())
    }

    fn model(step: usize) -> String {
        format!("m-{step}")
    }

    fn request(&self, number: usize) -> Request {
        let faults = self.place.faults(&self.row.fault);
        let steps = faults.iter().enumerate();
        let steps: Value = steps
            .map(|(step, faults)| self.shape.step(&Self::model(step), self.stream, faults))
            .collect();
        let gateway = if self.row.times_out() {
            "hasty"
        } else {
            "default"
        };
        let path = PATH.replace("default", gateway);
        Request::json(&path, steps.to_string()).field("cf-aig-event-id", &number.to_string())
    }

    /// What the mock says to this step when nobody stands between.
    fn direct(&self, mock: &Mock, step: usize) -> Answer {
        let faults = self.place.faults(&self.row.fault)[step].split(',');
        let faults: Vec<&str> = faults
            .filter(|fault| !ENDINGS.iter().any(|ending| fault.starts_with(ending)))
            .collect();
        let model = Self::model(step);
        let target = self.shape.at_provider(&model, self.stream);
        let body = self.shape.query(&model, self.stream).to_string();
        let request = Request::json(&target, body).mock(&format!("none,{}", faults.join(",")));
        let mut client = Client::connect(mock.address);
        client.send(&request.bytes());
        client.read_answer(false)
    }

    /// What is wrong with the client's answer.
    fn judge_answer(&self, mock: &Mock, answer: &Answer, expected: &Expected) -> Vec<String> {
        let mut wrong = Faults::default();
        wrong.differ(
            "cf-aig-step",
            answer.field("cf-aig-step"),
            Some(expected.step.to_string().as_str()),
        );
        wrong.differ(
            "x-tollgate-attempts",
            answer.field("x-tollgate-attempts"),
            Some(expected.attempts.len().to_string().as_str()),
        );
        let status = u64::from(answer.status);
        match expected.face {
            Face::Own(own, code) => {
                let told: Option<Value> = serde_json::from_slice(&answer.body).ok();
                let seen = told.and_then(|told| told["error"][0]["code"].as_u64());
                wrong.differ("status and code", (status, seen), (own, Some(code)));
                wrong.differ("ending", &answer.end, &End::Whole);
            }
            Face::Whole(own) => {
                let direct = self.direct(mock, expected.step);
                wrong.differ("status", status, own);
                let broken = matches!(answer.end, End::Broken(_));
                wrong.differ("broken off", broken, false);
                wrong.differ("sameness", answer.body == direct.body, true);
                for name in ["content-type", "retry-after", "content-encoding"] {
                    wrong.differ(name, answer.field(name), direct.field(name));
                }
            }
            Face::Cut(own) => {
                let direct = self.direct(mock, expected.step);
                wrong.differ("status", status, own);
                let broken = matches!(answer.end, End::Broken(_));
                wrong.differ("broken off", broken, true);
                let begins = direct.body.starts_with(&answer.body);
                wrong.differ("sameness", begins, true);
            }
        }
        wrong.0
    }

    /// What is wrong with the line of the log.
    fn judge_line(&self, line: &Value, expected: &Expected, status: u64) -> Vec<String> {
        let mut wrong = Faults::default();
        wrong.differ("end", line["end"].as_str(), Some(expected.end.as_str()));
        wrong.differ("step", line["step"].as_u64(), Some(expected.step as u64));
        wrong.differ("status_code", line["status_code"].as_u64(), Some(status));
        let fine = expected.end == "complete" && status < 400;
        wrong.differ("success", line["success"].as_bool(), Some(fine));
        let refusal = match expected.face {
            Face::Own(_, code) => Some(format!("upstream:{code}")),
            Face::Whole(_) | Face::Cut(_) => None,
        };
        wrong.differ("refusal", line["refusal"].as_str(), refusal.as_deref());
        let model = Self::model(expected.step);
        wrong.differ("model", line["model"].as_str(), Some(model.as_str()));
        let attempts = line["attempts"].as_array().unwrap();
        let seen: Vec<_> = attempts
            .iter()
            .map(|attempt| {
                let usage = attempt["usage_source"].as_str().unwrap().to_owned();
                let status = attempt["status"].as_u64();
                table::Attempt { status, usage }
            })
            .collect();
        wrong.differ("attempts", &seen, &expected.attempts);
        for (step, attempt) in attempts.iter().enumerate() {
            let provider = attempt["provider"].as_str();
            wrong.differ("provider", provider, Some(self.shape.provider()));
            let model = Self::model(step);
            wrong.differ("model", attempt["model"].as_str(), Some(model.as_str()));
        }
        for member in ["tokens_in", "tokens_out"] {
            let sum: u64 = attempts
                .iter()
                .filter_map(|attempt| attempt[member].as_u64())
                .sum();
            wrong.differ(member, line[member].as_u64().unwrap_or_default(), sum);
        }
        let used = |source| expected.attempts.iter().any(|own| own.usage == source);
        let source = match () {
            () if used("estimated") => "estimated",
            () if used("reported") => "reported",
            () => "none",
        };
        wrong.differ("usage_source", line["usage_source"].as_str(), Some(source));
        for (own, attempt) in expected.attempts.iter().zip(attempts) {
            let counted = attempt["tokens_in"].as_u64().is_some_and(|count| count > 0);
            wrong.differ("tokens counted", counted, own.usage != "none");
        }
        wrong.0
    }
}

#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn differ<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, seen: T, expected: T) {
        if seen != expected {
            self.0
                .push(format!("{what} is {seen:?} instead of {expected:?}"));
        }
    }
}

/// Asks all cases at once, and gives what came of each.
fn ask(gateway: &Gateway, cases: &[Case<'_>]) -> Vec<Result<Answer, String>> {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(Vec::new());
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(number) else {
                return;
            };
            let mut client = gateway.connect();
            client.send(&case.request(number).bytes());
            let answer = client.try_read_answer(false);
            let answer = answer.map_err(|error| format!("no answer: {error}"));
            answers.lock().unwrap().push((number, answer));
        }
    };
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(work);
        }
    });
    let mut answers = answers.into_inner().unwrap();
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// The lines by the number of their case, one each.
fn lines(gateway: &Gateway, count: usize) -> Vec<Value> {
    let mut lines = gateway.log(count);
    assert_eq!(lines.len(), count, "each request has one line");
    let number = |line: &Value| -> usize { line["event_id"].as_str().unwrap().parse().unwrap() };
    lines.sort_by_key(number);
    for (expected, line) in lines.iter().enumerate() {
        assert_eq!(number(line), expected);
    }
    lines
}

#[test]
fn every_fault_in_every_place_has_the_outcome_that_the_table_says() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock)
        .without_breakers()
        .config(GATEWAYS)
        .start();
    let rows = table::read();
    let cases = cases(&rows);
    let answers = ask(&gateway, &cases);
    let lines = lines(&gateway, cases.len());
    let mut faults = Vec::new();
    for ((case, answer), line) in cases.iter().zip(&answers).zip(&lines) {
        let expected = case.row.expected(case.place);
        let wrong = match answer {
            Ok(answer) => {
                let mut wrong = case.judge_answer(&mock, answer, &expected);
                wrong.extend(case.judge_line(line, &expected, u64::from(answer.status)));
                wrong
            }
            Err(error) => vec![error.clone()],
        };
        if !wrong.is_empty() {
            faults.push(format!("{}: {}", case.name(), wrong.join("; ")));
        }
    }
    println!("{} cases of {} lines", cases.len(), rows.len());
    let (wrong, all) = (faults.len(), cases.len());
    assert!(
        faults.is_empty(),
        "{wrong} of {all}:\n{}",
        faults.join("\n")
    );
}
