//! What Prometheus scrapes: counters and histograms of all requests, in base units.

use super::counts::Counts;
use super::process::Process;
use super::record::Record;
use super::series::AllSeries;
use super::spending::Spending;
use crate::base::key::Key;
use crate::stage::cache::archive::CacheStore;
use crate::stage::plan::pools::Health;
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

/// Upper bounds in seconds for what providers take: 5 ms to 10 minutes.
const DURATION_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
];
/// Upper bounds in seconds for what the gateway itself takes: 10 µs to 1 s.
const OVERHEAD_BUCKETS: &[f64] = &[
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05,
    0.1, 1.0,
];

/// All instruments. They outlive every reload.
pub struct Metrics {
    registry: Registry,
    counts: Counts,
    spending: Spending,
    /// Of the providers' endpoints, keys and models.
    pub health: Health,
    duration: HistogramVec,
    first_token: HistogramVec,
    overhead: Histogram,
    pub in_flight: IntGauge,
    pub streams_open: IntGauge,
    pub log_dropped: IntCounter,
    pub log_errors: IntCounter,
    series: AllSeries,
}

impl Metrics {
    /// # Errors
    /// Two instruments have one name.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let metrics = Self {
            counts: Counts::register(&registry)?,
            spending: Spending::register(&registry)?,
            health: Health::register(&registry)?,
            duration: histogram_vec(
                "tollgate_request_duration_seconds",
                "From a request's arrival to the end of its answer.",
            )?,
            first_token: histogram_vec(
                "tollgate_first_token_seconds",
                "From a streamed request's arrival to the first token of the answer.",
            )?,
            overhead: Histogram::with_opts(
                HistogramOpts::new(
                    "tollgate_overhead_seconds",
                    "Time inside the gateway: provider and client upload taken out.",
                )
                .buckets(OVERHEAD_BUCKETS.to_vec()),
            )?,
            in_flight: IntGauge::new("tollgate_in_flight", "Requests that are running.")?,
            streams_open: IntGauge::new(
                "tollgate_streams_open",
                "Running requests whose answer comes in pieces.",
            )?,
            log_dropped: IntCounter::new(
                "tollgate_log_dropped_total",
                "Records that the request log could not take.",
            )?,
            log_errors: IntCounter::new(
                "tollgate_log_errors_total",
                "Failed writes to the request log.",
            )?,
            series: AllSeries::default(),
            registry,
        };
        metrics.register()?;
        Ok(metrics)
    }

    /// Shows one more instrument, of whoever keeps it.
    ///
    /// # Errors
    /// There is one of its name.
    pub fn show(&self, instrument: Box<dyn Collector>) -> Result<(), prometheus::Error> {
        self.registry.register(instrument)
    }

    fn register(&self) -> Result<(), prometheus::Error> {
        let build_info = IntGaugeVec::new(
            Opts::new("tollgate_build_info", "Always 1; the version is a label."),
            &["version"],
        )?;
        build_info
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        self.registry.register(Box::new(build_info))?;
        self.registry.register(Box::new(Process::new()?))?;
        self.registry.register(Box::new(self.duration.clone()))?;
        self.registry.register(Box::new(self.first_token.clone()))?;
        self.registry.register(Box::new(self.overhead.clone()))?;
        self.registry.register(Box::new(self.in_flight.clone()))?;
        self.registry
            .register(Box::new(self.streams_open.clone()))?;
        self.registry.register(Box::new(self.log_dropped.clone()))?;
        self.registry.register(Box::new(self.log_errors.clone()))
    }

    /// The text exposition format, version 0.0.4.
    ///
    /// # Errors
    /// An instrument cannot be written as text.
    pub fn expose(&self, store: &CacheStore) -> Result<String, prometheus::Error> {
        self.health.refresh();
        self.spending.savings.take_stock(store);
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Tells of no budget any more, until it is told anew: some may be gone.
    pub fn forget_budgets(&self) {
        self.counts.budget_used.reset();
    }

    /// Tells how much of a budget is used, from 0 on.
    pub fn set_budget(&self, gateway: &str, limit: &str, ratio: f64) {
        let gauge = &self.counts.budget_used;
        gauge.with_label_values(&[gateway, limit]).set(ratio);
    }

    /// Counts a finished request.
    pub fn observe(&self, record: &Record) {
        let gateway = record.asked.gateway.as_deref().unwrap_or_default();
        let provider = record.asked.provider.as_deref().unwrap_or_default();
        let model = record.asked.model.as_deref();
        let served = record.was_served() || record.cache.outcome.is_cached();
        let model = model.map_or("", |model| self.series.model_label(model, served));
        let labels = Key([gateway, provider, model]);
        let series = self.series.find(labels);
        self.counts.observe(labels, record, &series.counts);
        let savings = &self.spending.savings;
        savings.observe(labels, &record.cache, &series.savings);
        let of_provider = |instrument: &HistogramVec| {
            let labels = [gateway, provider];
            instrument.with_label_values(&labels)
        };
        let duration = || of_provider(&self.duration);
        let duration = series.duration.get_or_init(duration);
        duration.observe(record.duration.as_secs_f64());
        if let (true, Some(first)) = (record.asked.stream, record.ttft()) {
            let first_token = || of_provider(&self.first_token);
            let first_token = series.first_token.get_or_init(first_token);
            first_token.observe(first.as_secs_f64());
        }
        self.overhead.observe(record.overhead().as_secs_f64());
        for attempt in &record.attempts {
            if let Some(bill) = &attempt.bill {
                let served = attempt.status.is_some_and(|status| status < 400);
                let model = attempt.model.as_deref();
                let model = model.map_or("", |model| self.series.model_label(model, served));
                let own = Key([gateway, &*attempt.provider, model]);
                if own == labels {
                    self.spending.observe(own, bill, &series.spending);
                } else {
                    let series = self.series.find(own);
                    self.spending.observe(own, bill, &series.spending);
                }
            }
        }
    }
}

fn histogram_vec(name: &str, help: &str) -> Result<HistogramVec, prometheus::Error> {
    let opts = HistogramOpts::new(name, help).buckets(DURATION_BUCKETS.to_vec());
    HistogramVec::new(opts, &["gateway", "provider"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::usage::Usage;
    use crate::stage::journal::record::AttemptRecord;
    use crate::stage::meter::Bill;
    use std::time::Duration;

    fn attempt(provider: &str, status: Option<u16>, bill: Option<Bill>) -> AttemptRecord {
        AttemptRecord {
            provider: provider.into(),
            model: Some("m".to_owned()),
            status,
            error: status.is_none().then(|| "gone".to_owned()),
            bill,
            started: Duration::ZERO,
            duration: Duration::ZERO,
        }
    }

    #[test]
    fn what_is_remembered_counts_as_what_is_looked_up() {
        let metrics = Metrics::new().unwrap();
        let bill = |input| Bill {
            usage: Usage {
                input: Some(input),
                ..Usage::default()
            },
            ..Bill::free()
        };
        let mut record = Record::begin();
        record.asked.gateway = Some("g".into());
        record.asked.provider = Some("p".into());
        record.asked.model = Some("m".to_owned());
        record.attempts = vec![
            attempt("q", None, None),
            attempt("q", Some(500), Some(bill(1))),
            attempt("p", Some(200), Some(bill(5))),
        ];
        for status in [200, 200, 404] {
            record.answered.status = Some(status);
            metrics.observe(&record);
        }
        let shown = TextEncoder::new().encode_to_string(&metrics.registry.gather());
        let shown = shown.unwrap();
        let has = |line: &str| assert!(shown.lines().any(|known| known == line), "{line}\n{shown}");
        has(r#"tollgate_requests_total{gateway="g",model="m",provider="p",status="200"} 2"#);
        has(r#"tollgate_requests_total{gateway="g",model="m",provider="p",status="404"} 1"#);
        has(r#"tollgate_attempts_total{outcome="ok",provider="p"} 3"#);
        has(r#"tollgate_attempts_total{outcome="error",provider="q"} 3"#);
        has(r#"tollgate_attempts_total{outcome="status_5xx",provider="q"} 3"#);
        has(r#"tollgate_tokens_total{gateway="g",kind="input",model="m",provider="p"} 15"#);
        has(r#"tollgate_tokens_total{gateway="g",kind="input",model="m",provider="q"} 3"#);
        has(r#"tollgate_request_duration_seconds_count{gateway="g",provider="p"} 3"#);
        // Nothing shows that was not counted.
        for other in [
            "saved_usd",
            "first_token",
            "estimated",
            "cache_requests",
            "unpriced",
        ] {
            assert!(
                !shown.contains(&format!("tollgate_{other}")),
                "{other}\n{shown}"
            );
        }
        assert!(!shown.contains(r#"kind="output""#), "{shown}");
    }
}
