//! The stream once more: a reader of its own goes through `[B, E)` and decodes,
//! so that the tail is held against what the stream says now. Bounded in offsets
//! and in time; beyond the bounds it says so and compares nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use springtide_protocol::{OffsetMap, PartitionId};
use springtide_relation::Relation;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::{AgainCount, PartitionCount};
use crate::decode::Decoder;
use crate::stream::{Polled, StreamError, StreamSource};
use crate::table::health::describe;
use crate::table::shared::Shared;

/// The most offsets that one audit reads again.
pub const AGAIN_OFFSETS: i64 = 200_000;
/// The longest that it takes for it.
pub const AGAIN_TIME: Duration = Duration::from_secs(10);
/// Records of one poll.
const POLL_RECORDS: usize = 20_000;
const POLL_WAIT: Duration = Duration::from_millis(100);

/// What was read of one partition.
#[derive(Debug, Default)]
struct Reread {
    rows: Vec<i64>,
    rejected: u64,
}

/// Reads the window again and fills in what the stream has; why not, where it cannot.
/// Also whether the stream drops superseded records.
pub(super) async fn read(
    shared: &Arc<Shared>,
    relation: &Relation,
    partitions: &mut BTreeMap<PartitionId, PartitionCount>,
) -> (Result<(), String>, bool) {
    let Some(source) = shared.source() else {
        return (Err("the table has no stream, or it is not there yet".to_owned()), false);
    };
    let Some(topic_id) = relation.version.topic_id else {
        return (Err("the stream has not been seen yet".to_owned()), false);
    };
    let deadline = Instant::now() + AGAIN_TIME;
    let late = || format!("the stream was not read in {} s", AGAIN_TIME.as_secs());
    let asked = timeout_at(deadline, source.is_compacted()).await;
    let is_compacted = match asked {
        Ok(Ok(is_compacted)) => is_compacted,
        Ok(Err(error)) => return (Err(describe(&error)), false),
        Err(_elapsed) => return (Err(late()), false),
    };
    let decoder = Decoder::new(relation.schema.clone(), shared.settings.unknown_columns);
    let decoder = match decoder {
        Ok(decoder) => decoder,
        Err(error) => return (Err(describe(&error)), is_compacted),
    };
    let width: i64 = partitions.values().map(|count| count.end.0 - count.boundary.0).sum();
    if width > AGAIN_OFFSETS {
        let reason = format!("{width} offsets wait for the lake; {AGAIN_OFFSETS} are read again");
        return (Err(reason), is_compacted);
    }
    let from = &relation.boundary;
    let until = &relation.version.offsets;
    let reading = reread(source.as_ref(), topic_id, (from, until), decoder);
    match timeout_at(deadline, reading).await {
        Ok(Ok(mut found)) => {
            for (partition, count) in partitions.iter_mut() {
                fill(count, found.remove(partition).unwrap_or_default());
            }
            (Ok(()), is_compacted)
        }
        Ok(Err(error)) => (Err(describe(&error)), is_compacted),
        Err(_elapsed) => (Err(late()), is_compacted),
    }
}

async fn reread(
    source: &dyn StreamSource,
    topic_id: Uuid,
    (from, until): (&OffsetMap, &OffsetMap),
    mut decoder: Decoder,
) -> Result<BTreeMap<PartitionId, Reread>, StreamError> {
    let mut found: BTreeMap<PartitionId, Reread> = BTreeMap::new();
    if from.covers(until) {
        return Ok(found);
    }
    let mut reader = source.read_topic(topic_id, from).await?;
    let mut positions = OffsetMap::new();
    while !positions.covers(until) {
        let polled = match reader.poll(POLL_RECORDS, POLL_WAIT).await {
            Err(error) if error.is_transient() => continue,
            polled => polled?,
        };
        let Polled { mut records, positions: reached } = polled;
        positions = reached;
        records
            .retain(|r| from.next(r.partition) <= r.offset && r.offset < until.next(r.partition));
        let work = tokio::task::spawn_blocking(move || {
            let decoded = decoder.decode(&records);
            (decoder, decoded)
        });
        let cut_off = |source: tokio::task::JoinError| StreamError::Internal {
            doing: "decoding for an audit",
            source: source.into(),
        };
        let (back, decoded) = work.await.map_err(cut_off)?;
        decoder = back;
        for batch in decoded.batches {
            let rows = &mut found.entry(batch.partition).or_default().rows;
            rows.extend_from_slice(batch.offsets.values());
        }
        for rejected in decoded.rejected {
            found.entry(rejected.partition).or_default().rejected += 1;
        }
    }
    Ok(found)
}

/// Holds the tail's offsets against those read again; both rise.
fn fill(count: &mut PartitionCount, mut found: Reread) {
    found.rows.sort_unstable();
    let lacks = |those: &[i64], these: &[i64]| {
        those.iter().filter(|offset| these.binary_search(offset).is_err()).count() as u64
    };
    let rows = found.rows.len() as u64;
    let records = (rows + found.rejected).cast_signed();
    let gaps = count.end.0 - count.boundary.0 - records;
    count.gaps = gaps;
    count.again = Some(AgainCount {
        rows,
        rejected: found.rejected,
        gaps,
        missing: lacks(&found.rows, &count.offsets),
        extra: lacks(&count.offsets, &found.rows),
    });
}
