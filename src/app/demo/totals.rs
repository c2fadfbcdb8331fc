//! The gateway's metrics, summed up from the text that Prometheus would scrape.

use std::collections::BTreeMap;

const REQUESTS: &str = "tollgate_requests_total";

/// The sums that the demo shows, one a line.
pub fn sum_up(exposition: &str) -> String {
    let requests = by_label(exposition, REQUESTS, "status");
    let attempts = by_label(exposition, "tollgate_attempts_total", "outcome");
    let overhead = mean(exposition, "tollgate_overhead_seconds");
    let duration = mean(exposition, "tollgate_request_duration_seconds");
    let milliseconds = |seconds: Option<f64>| {
        seconds.map_or_else(|| "-".to_owned(), |s| format!("{:.2} ms", s * 1000.0))
    };
    format!(
        "  requests  {}\n  attempts  {}\n  duration  {} in the mean\n  overhead  {} of it inside the gateway\n",
        list(&requests),
        list(&attempts),
        milliseconds(duration),
        milliseconds(overhead),
    )
}

/// How many requests have ended.
pub fn requests(exposition: &str) -> f64 {
    samples(exposition, REQUESTS).map(|(_, value)| value).sum()
}

fn list(counts: &BTreeMap<&str, f64>) -> String {
    let sum: f64 = counts.values().sum();
    let parts = counts
        .iter()
        .map(|(value, count)| format!("{count} × {value}"));
    let parts: Vec<String> = parts.collect();
    format!("{sum}: {}", parts.join(", "))
}

/// The sums of one metric for each value of one of its labels.
fn by_label<'a>(exposition: &'a str, name: &str, label: &str) -> BTreeMap<&'a str, f64> {
    let mut sums = BTreeMap::new();
    for (labels, value) in samples(exposition, name) {
        *sums.entry(label_value(labels, label)).or_default() += value;
    }
    sums
}

fn mean(exposition: &str, name: &str) -> Option<f64> {
    let total = |part: &str| -> f64 {
        let samples = samples(exposition, part);
        samples.map(|(_, value)| value).sum()
    };
    let count = total(&format!("{name}_count"));
    (count > 0.0).then(|| total(&format!("{name}_sum")) / count)
}

/// The samples of one name: their labels as text, and their value.
fn samples<'a>(exposition: &'a str, name: &str) -> impl Iterator<Item = (&'a str, f64)> {
    exposition.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = rest.rsplit_once(' ')?;
        let is_whole_name = labels.is_empty() || labels.starts_with('{');
        is_whole_name.then_some((labels, value.parse().ok()?))
    })
}

/// The value of one label; the demo's labels hold no quotes.
fn label_value<'a>(labels: &'a str, label: &str) -> &'a str {
    let mut pairs = labels.trim_matches(['{', '}']).split(',');
    let value = pairs.find_map(|pair| pair.strip_prefix(label)?.strip_prefix('='));
    value.unwrap_or_default().trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_summed_by_label_and_histograms_averaged() {
        let text = "# TYPE a counter\na{x=\"1\",status=\"200\"} 2\na{x=\"2\",status=\"200\"} 3\n\
                    a{x=\"2\",status=\"429\"} 1\na_sum 3\na_count 2\nab 7\n";
        let expect = BTreeMap::from([("200", 5.0), ("429", 1.0)]);
        assert_eq!(by_label(text, "a", "status"), expect);
        assert_eq!(mean(text, "a"), Some(1.5));
        assert_eq!(mean(text, "b"), None);
        assert_eq!(list(&expect), "6: 5 × 200, 1 × 429");
    }
}
