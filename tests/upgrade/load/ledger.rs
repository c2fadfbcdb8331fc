//! The gateway's log against what was sent: one line for each request, and no other.

use super::tally::{Fate, Report};
use serde_json::Value;
use std::collections::HashMap;

/// What is wrong with a log, as sentences: a request without its line or with two, a line that no request explains,
/// text that is no line. A failed request may or may not have come to the log.
pub fn faults(log: &str, report: &Report) -> Vec<String> {
    let mut faults = Vec::new();
    let mut lines: HashMap<&str, (usize, bool)> = HashMap::new();
    if !log.is_empty() && !log.ends_with('\n') {
        faults.push("the last line has no end".to_owned());
    }
    let mut strange = Vec::new();
    for line in log.lines() {
        let Ok(value) = serde_json::from_str::<Value>(line) else {
            strange.push(format!("no line: {line:?}"));
            continue;
        };
        let sent = value["event_id"]
            .as_str()
            .and_then(|event| report.fates.get_key_value(event));
        match sent {
            Some((event, _)) => {
                let (count, complete) = lines.entry(event).or_insert((0, true));
                *count += 1;
                *complete &= value["end"] == "complete" && value["success"] == true;
            }
            None => strange.push(format!("nobody sent this: {line}")),
        }
    }
    for (event, fate) in &report.fates {
        let (count, complete) = lines.get(event.as_str()).copied().unwrap_or((0, true));
        match fate {
            Fate::Ok if count != 1 => faults.push(format!("{event} has {count} lines")),
            Fate::Ok if !complete => faults.push(format!("{event} is not complete in the log")),
            Fate::Failed if count > 1 => faults.push(format!("{event}, failed, has {count} lines")),
            Fate::Running => faults.push(format!("{event} has not ended")),
            Fate::Ok | Fate::Failed => {}
        }
    }
    faults.extend(strange);
    faults
}
