//! Lines of the request log, shown as a table.

use serde_json::Value;

/// What a column is called, how it stands, and what it shows of a line.
struct Column {
    title: &'static str,
    right: bool,
    cell: fn(&Value) -> String,
}

/// The table, from left to right. A new member of the log becomes visible by a line here.
const COLUMNS: &[Column] = &[
    left("gateway", |line| text(line, "gateway")),
    left("provider", |line| text(line, "provider")),
    left("model", |line| text(line, "model")),
    left("operation", |line| text(line, "model_type")),
    right("status", |line| text(line, "status_code")),
    left("stream", |line| yes(line, "stream")),
    left("cache", |line| text(line, "cache")),
    right("in", |line| bytes(line, "bytes_in")),
    right("out", |line| bytes(line, "bytes_out")),
    right("tokens in", |line| text(line, "tokens_in")),
    right("tokens out", |line| text(line, "tokens_out")),
    right("cost in $", cost),
    right("took", |line| milliseconds(line, "duration")),
    right("first byte", |line| milliseconds(line, "ttft")),
    left("end", ending),
];

const fn left(title: &'static str, cell: fn(&Value) -> String) -> Column {
    Column {
        title,
        right: false,
        cell,
    }
}

const fn right(title: &'static str, cell: fn(&Value) -> String) -> Column {
    Column {
        title,
        right: true,
        cell,
    }
}

/// The lines as a table with a head, each row ended by a line break.
pub fn tabulate(lines: &[Value]) -> String {
    let columns: Vec<Vec<String>> = COLUMNS
        .iter()
        .map(|column| lines.iter().map(column.cell).collect())
        .collect();
    let width = |(column, cells): (&Column, &Vec<String>)| {
        let cells = cells.iter().map(|cell| cell.chars().count());
        cells.max().unwrap_or(0).max(column.title.len())
    };
    let widths: Vec<usize> = COLUMNS.iter().zip(&columns).map(width).collect();
    let mut table = row(COLUMNS.iter().map(|column| column.title), &widths);
    let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    table.push_str(&row(rules.iter().map(String::as_str), &widths));
    for at in 0..lines.len() {
        let cells = columns.iter().filter_map(|cells| cells.get(at));
        table.push_str(&row(cells.map(String::as_str), &widths));
    }
    table
}

fn row<'a>(cells: impl Iterator<Item = &'a str>, widths: &[usize]) -> String {
    let cells = cells.zip(COLUMNS).zip(widths);
    let cells = cells.map(|((cell, column), width)| match column.right {
        true => format!("{cell:>width$}"),
        false => format!("{cell:<width$}"),
    });
    let cells: Vec<String> = cells.collect();
    format!("{}\n", cells.join("  ").trim_end())
}

/// Dollars in full: JSON's own way of writing small numbers has an exponent.
fn cost(line: &Value) -> String {
    let dollars = line.get("cost").and_then(Value::as_f64);
    dollars.map_or_else(|| "-".to_owned(), |dollars| dollars.to_string())
}

/// A member as text; `-` where it is absent or null.
pub fn text(line: &Value, key: &str) -> String {
    match line.get(key) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn yes(line: &Value, key: &str) -> String {
    match line.get(key) {
        Some(Value::Bool(true)) => "yes".to_owned(),
        Some(Value::Bool(false)) => "no".to_owned(),
        _ => "-".to_owned(),
    }
}

fn bytes(line: &Value, key: &str) -> String {
    match line.get(key).and_then(Value::as_u64) {
        None => "-".to_owned(),
        Some(bytes) if bytes < 10_000 => format!("{bytes} B"),
        Some(bytes) => format!("{} KiB", bytes.div_ceil(1024)),
    }
}

fn milliseconds(line: &Value, key: &str) -> String {
    let time = line.get(key).and_then(Value::as_f64);
    time.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"))
}

/// How the request ended; where the gateway answered by itself, the stage and code; which step
/// answered, where it was not the first; and what a hit saved.
fn ending(line: &Value) -> String {
    let mut end = text(line, "end");
    if let Some(Value::String(refusal)) = line.get("refusal") {
        end += &format!(", {refusal}");
    }
    if let Some(step) = line
        .get("step")
        .and_then(Value::as_u64)
        .filter(|step| *step > 0)
    {
        end += &format!(", step {step}");
    }
    if let Some(saved) = line.get("saved").and_then(Value::as_f64) {
        end += &format!(", saved ${saved}");
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let lines = [
            json!({"provider": "openai", "status_code": 200, "stream": true, "bytes_in": 9_999,
                   "bytes_out": 1_048_577, "tokens_in": 12, "tokens_out": 3, "cost": 0.000_000_4,
                   "duration": 1.25, "end": "complete"}),
            json!({"provider": null, "status_code": 401, "end": "refused", "refusal": "auth:2009"}),
        ];
        let table = tabulate(&lines);
        let rows: Vec<&str> = table.lines().collect();
        assert_eq!(rows.len(), 4);
        let head = rows[0].find("end").unwrap();
        assert_eq!(rows[2].find("complete"), Some(head));
        assert_eq!(rows[3].find("refused, auth:2009"), Some(head));
        let shown = ["9999 B", "1025 KiB", "12", "3", "0.0000004", "1.2 ms"];
        let cells: Vec<&str> = rows[2].split("  ").map(str::trim).collect();
        for cell in shown {
            assert!(cells.contains(&cell), "{cell} in {table}");
        }
    }
}
