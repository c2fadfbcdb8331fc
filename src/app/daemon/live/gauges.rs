//! What reloads have come to, for Prometheus.

use crate::stage::journal::metrics::Metrics;
use prometheus::{Gauge, IntGauge};
use std::time::SystemTime;

pub struct Gauges {
    success: IntGauge,
    timestamp: Gauge,
    generation: IntGauge,
}

impl Gauges {
    /// # Errors
    /// Two instruments have one name.
    pub fn register(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        let gauges = Self {
            success: IntGauge::new(
                "tollgate_config_reload_success",
                "1 if the configuration that was read last is the one that serves, else 0.",
            )?,
            timestamp: Gauge::new(
                "tollgate_config_reload_timestamp_seconds",
                "When the configuration that serves was put in force, in seconds since 1970.",
            )?,
            generation: IntGauge::new(
                "tollgate_config_generation",
                "Configurations that this process has put in force.",
            )?,
        };
        metrics.show(Box::new(gauges.success.clone()))?;
        metrics.show(Box::new(gauges.timestamp.clone()))?;
        metrics.show(Box::new(gauges.generation.clone()))?;
        Ok(gauges)
    }

    pub fn swapped(&self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.timestamp.set(now.unwrap_or_default().as_secs_f64());
        self.success.set(1);
        self.generation.inc();
    }

    pub fn failed(&self) {
        self.success.set(0);
    }

    pub fn generation(&self) -> i64 {
        self.generation.get()
    }
}
