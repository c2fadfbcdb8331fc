//! Checks the cache: its room, and each gateway's rule.

use crate::base::size::Size;
use crate::config::Config;
use crate::config::findings::{Findings, Spot};
use crate::config::place::Path;
use crate::stage::cache::config::{self, Partition, Room};
use std::time::Duration;

const ENTRY_MIN: Size = Size::new(1 << 10);
const ENTRY_MAX: Size = Size::new(256 << 20);
const MEMORY_MAX: Size = Size::new(1 << 40);
const DISK_MAX: Size = Size::new(16 << 40);
/// As Cloudflare has it; a month has at most 31 days.
const TTL_MAX: Duration = Duration::from_secs(31 * 86_400);
const IGNORED_MAX: usize = 64;

pub fn check(config: &Config, findings: &mut Findings<'_>) {
    check_room(&config.cache, &Path::top().key("cache"), findings);
    let path = Path::top().key("gateways");
    for (id, gateway) in &config.gateways {
        check_rule(&gateway.cache, &path.key(id).key("cache"), findings);
    }
}

fn check_room(room: &Room, path: &Path, findings: &mut Findings<'_>) {
    let sizes = [
        (
            "memory",
            room.memory,
            Size::new(0),
            MEMORY_MAX,
            "0 to 1024GiB",
        ),
        (
            "disk",
            room.disk,
            Size::new(1 << 20),
            DISK_MAX,
            "1MiB to 16384GiB",
        ),
        ("entry", room.entry, ENTRY_MIN, ENTRY_MAX, "1KiB to 256MiB"),
    ];
    for (key, size, min, max, range) in sizes {
        if size < min || size > max {
            let how = if size < min { "small" } else { "large" };
            findings.add(
                &path.key(key),
                Spot::Value,
                format!("`{key}` is too {how}"),
                format!("write a size from {range}"),
            );
        }
    }
    if room.disk != Room::default().disk && room.directory.is_none() {
        findings.add(
            &path.key("disk"),
            Spot::Key,
            "there is no directory that this could be the size of",
            "write directory: PATH beside it, or leave it out",
        );
    }
}

fn check_rule(rule: &config::Config, path: &Path, findings: &mut Findings<'_>) {
    for (key, period) in [("ttl", rule.ttl), ("stale_if_error", rule.stale_if_error)] {
        let period = period.duration();
        if period > TTL_MAX || (!period.is_zero() && period < Duration::from_secs(1)) {
            findings.add(
                &path.key(key),
                Spot::Value,
                format!("answers cannot be kept for such a `{key}`"),
                "write a period from 1s to 31d, or 0s to switch it off",
            );
        }
    }
    if !rule.ignore.is_empty() && !rule.canonical {
        findings.add(
            &path.key("ignore"),
            Spot::Key,
            "members are ignored in canonical bodies only",
            "write canonical: true beside it, or remove it",
        );
    }
    if rule.ignore.len() > IGNORED_MAX {
        let fix = "list at most 64";
        findings.add(
            &path.key("ignore"),
            Spot::Key,
            "these are too many members",
            fix,
        );
    }
    if matches!(&rule.partition, Partition::Metadata(name) if name.is_empty()) {
        findings.add(
            &path.key("partition"),
            Spot::Value,
            "the metadata that tells callers apart has no name",
            "name one, as in {metadata: team}",
        );
    }
}
