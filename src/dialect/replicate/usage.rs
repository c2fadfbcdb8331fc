//! What a prediction of Replicate used: time on the machine, and tokens where the model counts them.

use serde::Deserialize;

use crate::dialect::count::{Amount, Count};
use crate::dialect::tally::Field;
use crate::dialect::tree::Node;
use crate::llm::usage::Usage;

pub(in crate::dialect) static ROOT: Node = Node::root(&[
    Node::leaf("model", Field::Model),
    Node::leaf("output", Field::Text),
    Node::leaf("error", Field::Error),
    Node::leaf("metrics", Field::Part(add_metrics)),
]);

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metrics {
    predict_time: Amount,
    input_token_count: Count,
    output_token_count: Count,
    image_count: Count,
    characters: Count,
}

pub(in crate::dialect) fn add_metrics(usage: &mut Usage, raw: &[u8]) {
    let Ok(metrics) = serde_json::from_slice::<Metrics>(raw) else {
        return;
    };
    usage.input = metrics.input_token_count.0;
    usage.output = metrics.output_token_count.0;
    usage.units.compute_ms = metrics.predict_time.in_thousandths();
    usage.units.images = metrics.image_count.0;
    usage.units.characters = metrics.characters.0;
}
