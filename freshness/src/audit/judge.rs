//! The judgement over counts: pure, so that each comparison can be tested to fail.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use springtide_protocol::{Offset, OffsetMap};
use springtide_relation::ChunkId;

use super::{Audit, Check, Counted, NotCompared, PartitionCount, Past, Seen, Stretch};

/// Findings so far.
#[derive(Default)]
struct Findings {
    checks: Vec<Check>,
    not_compared: Vec<NotCompared>,
}

impl Findings {
    fn check(&mut self, name: impl Into<String>, ok: bool, expected: Value, found: Value) {
        self.checks.push(Check { name: name.into(), ok, expected, found });
    }

    fn equal(&mut self, name: impl Into<String>, expected: u64, found: u64) {
        self.check(name, expected == found, json!(expected), json!(found));
    }

    fn skip(&mut self, name: impl Into<String>, reason: impl Into<String>) {
        self.not_compared.push(NotCompared { name: name.into(), reason: reason.into() });
    }
}

/// Holds what was counted against what a statement saw and against the audit before.
#[must_use]
pub fn judge(counted: &Counted, seen: &Seen, past: Option<&Past>) -> Audit {
    let mut findings = Findings::default();
    files(&mut findings, counted);
    for count in counted.partitions.values() {
        tail(&mut findings, counted, count);
    }
    if let Err(reason) = &counted.again {
        findings.skip("stream", reason);
    }
    statement(&mut findings, counted, seen);
    before(&mut findings, counted, seen, past);
    let rows = *seen.now.as_ref().unwrap_or(&total(counted));
    Audit {
        ok: findings.checks.iter().all(|check| check.ok),
        checks: findings.checks,
        not_compared: findings.not_compared,
        partitions: counted.partitions.values().cloned().collect(),
        past: Past { version: counted.version.clone(), rows },
    }
}

/// Rows of lake and tail.
fn total(counted: &Counted) -> u64 {
    counted.lake.rows + counted.partitions.values().map(|count| count.tail_rows).sum::<u64>()
}

/// The lake's files against manifests, records and the boundary.
fn files(findings: &mut Findings, counted: &Counted) {
    let lake = &counted.lake;
    if lake.too_many {
        let most = super::AUDITED_FILES;
        let reason = format!("{} files; the footers of {most} are read", lake.files);
        return findings.skip("lake-files", reason);
    }
    let unreadable: Vec<&String> = lake.unreadable.iter().take(5).collect();
    let readable = lake.unreadable.is_empty();
    findings.check("lake-files-readable", readable, json!([]), json!(unreadable));
    findings.equal("lake-files-as-listed", lake.files, lake.files_as_listed);
    findings.equal("lake-files-as-recorded", lake.stream_files, lake.files_as_recorded);
    let mut chunks: BTreeMap<ChunkId, (u64, Offset, Offset)> = BTreeMap::new();
    let mut above = 0;
    for Stretch { partition, chunk, first, last, rows } in &lake.stretches {
        let boundary = counted.partitions.get(partition).map_or(Offset::ZERO, |p| p.boundary);
        above += u64::from(*last >= boundary);
        let (sum, from, to) = chunks.entry(*chunk).or_insert((0, *first, *last));
        (*sum, *from, *to) = (*sum + rows, (*first).min(*from), (*last).max(*to));
    }
    findings.equal("lake-rows-below-boundary", 0, above);
    // More rows than offsets: some were committed twice.
    let twice = chunks.values().filter(|(rows, from, to)| rows.cast_signed() > to.0 - from.0 + 1);
    findings.equal("lake-offsets-once", 0, twice.count() as u64);
}

/// One partition of the tail against its window and the stream.
fn tail(findings: &mut Findings, counted: &Counted, count: &PartitionCount) {
    let named = |what: &str| format!("{what}[{}]", count.partition);
    let window = count.end.0 - count.boundary.0;
    findings.equal(named("tail-offsets-once"), 0, count.tail_repeated);
    let records = (count.tail_rows + count.tail_dead_letters).cast_signed();
    let accounted = records + count.gaps.max(0);
    if let Some(again) = &count.again {
        let accounted = (count.tail_rows + again.rejected).cast_signed() + again.gaps;
        let ok = if counted.is_compacted { accounted >= window } else { accounted == window };
        findings.check(named("offsets-accounted"), ok, json!(window), json!(accounted));
        let extra = if counted.is_compacted { 0 } else { again.extra };
        let found = json!({ "missing": again.missing, "extra": again.extra });
        let ok = again.missing == 0 && extra == 0;
        findings.check(named("stream"), ok, json!({ "missing": 0, "extra": 0 }), found);
    } else {
        let ok = records <= window;
        findings.check(named("offsets-accounted"), ok, json!(window), json!(accounted));
    }
    match count.validator_rows {
        Some(rows) if counted.is_whole && !counted.lake.too_many => {
            findings.equal(named("validator-rows"), count.lake_rows + count.tail_rows, rows);
        }
        _ => findings.skip(named("validator-rows"), "a chunk does not tell how many rows it has"),
    }
}

/// What `count(*)` gives.
fn statement(findings: &mut Findings, counted: &Counted, seen: &Seen) {
    let expected = total(counted);
    let told = |seen: &Result<u64, String>| match seen {
        Ok(rows) => json!(rows),
        Err(reason) => json!(reason),
    };
    match &seen.keys {
        // Which rows a later one replaces is not counted by offset.
        Some(keys) => {
            let ok = matches!((&seen.now, keys), (Ok(rows), Ok(keys)) if rows == keys);
            findings.check("keys-once", ok, told(keys), told(&seen.now));
        }
        None => {
            let ok = seen.now == Ok(expected);
            findings.check("sql-count", ok, json!(expected), told(&seen.now));
        }
    }
}

/// The audit before: what lay below its end must be as it was.
fn before(findings: &mut Findings, counted: &Counted, seen: &Seen, past: Option<&Past>) {
    const NAMES: [&str; 3] = ["previous-end", "previous-rows", "previous-version"];
    let Some(past) = past else {
        return findings.skip("previous", "this process has audited the table for the first time");
    };
    let (then, now) = (&past.version, &counted.version);
    if then.table_uuid != now.table_uuid || then.topic_id != now.topic_id {
        return findings.skip("previous", "it was of another table or topic");
    }
    let is_reached = now.offsets.covers(&then.offsets);
    findings.check(NAMES[0], is_reached, json!(then.offsets), json!(now.offsets));
    if then.foreign_sequence != now.foreign_sequence || then.decode_epoch != now.decode_epoch {
        return findings.skip(NAMES[1], "a foreign commit, or another decoding, came between");
    }
    match &seen.before {
        Some(Ok(rows)) => findings.equal(NAMES[2], past.rows, *rows),
        Some(Err(reason)) => findings.skip(NAMES[2], reason),
        None => findings.skip(NAMES[2], "it was not asked"),
    }
    if seen.keys.is_some() {
        return findings.skip(NAMES[1], "a later row may replace one of before");
    }
    let (least, most) = rows_below(counted, &then.offsets);
    let ok = (least..=most).contains(&past.rows);
    let found = if least == most { json!(least) } else { json!(format!("{least} to {most}")) };
    findings.check(NAMES[1], ok, json!(past.rows), found);
}

/// Rows of the state that lie below `end`, at least and at most: of a stretch that `end`
/// divides only its first, its last and its number are known.
fn rows_below(counted: &Counted, end: &OffsetMap) -> (u64, u64) {
    let (mut least, mut most) = (0_i64, 0_i64);
    for stretch in &counted.lake.stretches {
        let end = end.next(stretch.partition);
        let rows = stretch.rows.cast_signed();
        let (below, above) = (end.0 - stretch.first.0, stretch.last.0 - end.0 + 1);
        if above <= 0 {
            continue;
        }
        // From here on: rows at or above the end, to be taken off.
        let (fewest, greatest) =
            if below <= 0 { (rows, rows) } else { ((rows - below).max(1), above.min(rows - 1)) };
        least -= greatest;
        most -= fewest;
    }
    let total = total(counted).cast_signed();
    let above = counted.partitions.values().map(|count| {
        let end = end.next(count.partition).0;
        (count.offsets.len() - count.offsets.partition_point(|offset| *offset < end)) as i64
    });
    let above: i64 = above.sum();
    let bounded = |rows: i64| u64::try_from(rows).unwrap_or(0);
    (bounded(total - above + least), bounded(total - above + most))
}
