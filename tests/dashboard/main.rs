//! The dashboard and the alerts name only what /metrics has, and Prometheus takes them.
#![cfg(test)]

mod promql;
#[path = "../support/mod.rs"]
mod support;

use promql::Named;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::gateway::Gateway;
use support::process::Scratch;
use support::{CHAT, CHAT_PATH, CHAT_STREAM, Mock, Request, Setup};

/// Labels that Prometheus adds to every series it scrapes.
const OF_PROMETHEUS: [&str; 2] = ["instance", "job"];

/// An expression and the place where it stands.
struct Expression {
    place: String,
    text: String,
    /// Labels that a legend or an annotation shows.
    shown: Vec<String>,
}

fn conf(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("conf")
        .join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(conf(name)).unwrap()
}

fn dashboard() -> Vec<Expression> {
    let dashboard: Value = serde_json::from_str(&read("grafana/dashboard.json")).unwrap();
    let mut found = Vec::new();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let annotations = dashboard["annotations"]["list"].as_array().unwrap().iter();
    for part in panels.chain(annotations) {
        let place = part["title"].as_str().or(part["name"].as_str()).unwrap();
        let targets = part["targets"].as_array().into_iter().flatten();
        for target in targets.chain(Some(part)) {
            let Some(text) = target["expr"].as_str() else {
                continue;
            };
            let legend = target["legendFormat"].as_str();
            let legend = legend.or(target["textFormat"].as_str()).unwrap_or_default();
            found.push(Expression {
                place: place.to_owned(),
                text: text.to_owned(),
                shown: shown(legend, ""),
            });
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let Some(query) = variable["definition"].as_str() else {
            continue;
        };
        let arguments = query.strip_prefix("label_values(").unwrap();
        let (metric, label) = arguments.trim_end_matches(')').split_once(", ").unwrap();
        found.push(Expression {
            place: format!("variable {}", variable["name"]),
            text: format!("{metric}{{{label}=\"\"}}"),
            shown: Vec::new(),
        });
    }
    found
}

fn alerts() -> Vec<Expression> {
    let file: serde_yaml::Value = serde_yaml::from_str(&read("prometheus/alerts.yml")).unwrap();
    let groups = file["groups"].as_sequence().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_sequence().unwrap());
    let alert = |rule: &serde_yaml::Value| {
        let texts = rule["annotations"].as_mapping().unwrap().values();
        let texts: Vec<_> = texts.map(|text| text.as_str().unwrap()).collect();
        Expression {
            place: rule["alert"].as_str().unwrap().to_owned(),
            text: rule["expr"].as_str().unwrap().to_owned(),
            shown: shown(&texts.concat(), "$labels."),
        }
    };
    rules.map(alert).collect()
}

/// The labels in `{{label}}` or `{{ $labels.label }}`.
fn shown(text: &str, prefix: &str) -> Vec<String> {
    let inner = text.split("{{").skip(1).map(|part| part.split("}}").next());
    let names = inner.filter_map(|inner| inner?.trim().strip_prefix(prefix));
    names.map(str::to_owned).collect()
}

/// The labels of each family, by its name; histograms by those of their series.
fn families(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut families: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for series in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) = match series.split_once('{') {
            Some((name, rest)) => (name, rest.rsplit_once('}').unwrap().0),
            None => (series.split(' ').next().unwrap(), ""),
        };
        // A selector's labels are read as an expression's are.
        let named = promql::read(&format!("{name}{{{labels}}}"));
        let known = families.entry(name.to_owned()).or_default();
        known.extend(named.selectors.into_iter().flat_map(|one| one.labels));
        known.extend(OF_PROMETHEUS.map(str::to_owned));
    }
    let up = OF_PROMETHEUS.map(str::to_owned).into_iter().collect();
    families.insert("up".to_owned(), up);
    families
}

/// What an expression names that there is not.
fn faults(expression: &Expression, families: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let Expression { place, text, shown } = expression;
    let Named {
        selectors,
        groupings,
    } = promql::read(text);
    let mut faults = Vec::new();
    let mut all: BTreeSet<&str> = BTreeSet::new();
    if selectors.is_empty() {
        faults.push(format!("{place}: names no metric"));
    }
    for selector in &selectors {
        let Some(labels) = families.get(&selector.metric) else {
            faults.push(format!("{place}: there is no metric {}", selector.metric));
            continue;
        };
        all.extend(labels.iter().map(String::as_str));
        let strange = selector
            .labels
            .iter()
            .filter(|label| !labels.contains(*label));
        faults.extend(
            strange.map(|label| format!("{place}: {} has no label {label}", selector.metric)),
        );
    }
    // What was grouped away cannot be shown.
    let left = |label: &str| groupings.is_empty() || groupings.iter().any(|own| own == label);
    let grouped = groupings
        .iter()
        .filter(|label| !all.contains(label.as_str()));
    faults.extend(grouped.map(|label| format!("{place}: groups by {label}, which nothing has")));
    let unseen = shown
        .iter()
        .filter(|label| !all.contains(label.as_str()) || !left(label));
    faults.extend(unseen.map(|label| format!("{place}: shows {label}, which is not there")));
    faults
}

/// A gateway that has seen so much that every metric has a value.
fn busy_gateway(mock: &Mock, scratch: &Scratch) -> Gateway {
    let setup = Setup::new(mock)
        .provider("custom-unpriced: {base_url: \"http://<mock>/v1\", dialect: openai}")
        .provider("groq: {base_url: \"http://<mock>/v1\", keys: [a-key-that-is-refused]}")
        .config(&format!(
            "counters: {{folder: \"{}\"}}\ncache: {{directory: \"{}\"}}",
            scratch.join("counters").display(),
            scratch.join("cache").display()
        ))
        .config(
            "gateways:\n  default: {}\n  kept: {cache: {ttl: 1h}}\n  \
             tight: {limits: [{name: rpm, requests: 1, per: 1h}, {name: spend, cost: $5, per: 1d}]}",
        );
    let gateway = setup.start();
    let chat = |path: &str, body: &str| Request::json(path, body);
    let of = |gateway: &str| CHAT_PATH.replace("/default/", &format!("/{gateway}/"));
    let unpriced = CHAT_PATH.replace("/openai/", "/custom-unpriced/");
    for request in [
        chat(CHAT_PATH, CHAT).field("cf-aig-metadata", "no json"),
        chat(CHAT_PATH, CHAT_STREAM),
        chat(CHAT_PATH, CHAT_STREAM).mock("cut-at=400"),
        chat(CHAT_PATH, CHAT).mock("status=500"),
        chat(&of("kept"), CHAT),
        chat(&of("kept"), CHAT),
        chat(&of("tight"), CHAT),
        chat(&of("tight"), CHAT),
        chat(&unpriced, &CHAT.replace("gpt-4o-mini", "nobody-knows")),
        chat(&CHAT_PATH.replace("/openai/", "/groq/"), CHAT).mock("status=401"),
    ] {
        gateway.send(&request);
    }
    gateway.log(10);
    gateway
}

#[test]
fn dashboard_and_alerts_name_only_what_there_is() {
    let (mock, scratch) = (Mock::start(), Scratch::new());
    let gateway = busy_gateway(&mock, &scratch);
    let families = families(&gateway.metrics_text());
    let (dashboard, alerts) = (dashboard(), alerts());
    assert!(dashboard.len() > 30 && alerts.len() > 10);
    let expressions = dashboard.iter().chain(&alerts);
    let faults: Vec<_> = expressions.flat_map(|one| faults(one, &families)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));

    let shown: BTreeSet<_> = dashboard
        .iter()
        .flat_map(|one| promql::read(&one.text).selectors)
        .map(|selector| selector.metric)
        .collect();
    let of_histograms = ["_bucket", "_sum", "_count"];
    let unseen = families.keys().filter(|name| {
        let part = of_histograms.iter().find_map(|end| name.strip_suffix(end));
        !shown.contains(&format!("{}_bucket", part.unwrap_or(name))) && !shown.contains(*name)
    });
    let unseen: Vec<_> = unseen.collect();
    assert!(unseen.is_empty(), "not on the dashboard: {unseen:?}");
}

#[test]
fn what_there_is_not_is_found() {
    let families =
        families("# HELP a_total x\na_total{x=\"1\",y=\"}{\"} 1\nb_bucket{le=\"1\"} 0\nc 4\n");
    for (text, shown, expect) in [
        (r#"sum by (x, job) (rate(a_total{y="2"}[5m])) / c"#, "x", ""),
        ("up == 0", "instance", ""),
        ("1 > 2", "", "names no metric"),
        ("rate(b[5m])", "", "no metric b"),
        ("d_total", "", "no metric d_total"),
        (r#"c{x="1"}"#, "", "c has no label x"),
        ("sum by (z) (a_total)", "", "groups by z"),
        ("sum by (x) (a_total)", "y", "shows y"),
        ("c", "x", "shows x"),
    ] {
        let expression = Expression {
            place: "here".to_owned(),
            text: text.to_owned(),
            shown: shown.split_terminator(' ').map(str::to_owned).collect(),
        };
        let told = faults(&expression, &families).join("\n");
        assert_eq!(told.is_empty(), expect.is_empty(), "{text}: {told}");
        assert!(told.contains(expect), "{text}: {told}");
    }
}

#[test]
fn every_alert_is_tried() {
    let tests = read("prometheus/alerts_test.yml");
    for alert in alerts() {
        let name = &alert.place;
        let fires = format!("alertname: {name}\n        exp_alerts:\n");
        let silent = format!("alertname: {name}}}");
        assert!(tests.contains(&fires), "{name} is never seen to fire");
        assert!(tests.contains(&silent), "{name} is never seen to be silent");
    }
}

#[test]
fn prometheus_takes_configuration_alerts_and_expressions() {
    if Command::new("promtool").arg("--version").output().is_err() {
        eprintln!("skipped: promtool is not installed (Debian's package is prometheus)");
        return;
    }
    promtool(&["check", "config"], &conf("prometheus/prometheus.yml"));
    promtool(&["test", "rules"], &conf("prometheus/alerts_test.yml"));
    // The dashboard's expressions as rules, for promtool to read.
    let scratch = Scratch::new();
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (number, expression) in dashboard().iter().enumerate() {
        let text = expression.text.replace("$__rate_interval", "5m");
        let text = serde_json::to_string(&text.replace("$__range", "3h")).unwrap();
        rules += &format!("      - {{record: expression_{number}, expr: {text}}}\n");
    }
    let path = scratch.join("dashboard.yml");
    std::fs::write(&path, rules).unwrap();
    promtool(&["check", "rules"], &path);
}

fn promtool(arguments: &[&str], file: &Path) {
    let run = Command::new("promtool").args(arguments).arg(file).output();
    let run = run.unwrap();
    let said = [run.stdout, run.stderr].concat();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&said));
}
