//! What our commits write into a snapshot's summary.
//!
//! It must never know how it gets there.

use std::collections::HashMap;

use iceberg::spec::TableMetadata;
use springtide_protocol::OffsetMap;
use uuid::Uuid;

use super::{CommitError, CommitRequest};
use crate::lake::{
    Ancestor, COMMIT_ID, DECODE_EPOCH, FOREIGN, FROM, LOAD, LakeBoundary, Marker, OFFSETS,
    foreign_sequence, recorded_epoch, resolve,
};

/// Decides whether `request` may be committed on this state of the table, and what its
/// snapshot's summary then says.
pub(crate) fn commit_properties(
    request: &CommitRequest,
    metadata: &TableMetadata,
    foreign_commits: bool,
) -> Result<HashMap<String, String>, CommitError> {
    let (boundary, marker) = resolve(Ancestor::chain(metadata), foreign_commits);
    let current = match boundary {
        LakeBoundary::Known(current) => current,
        LakeBoundary::Unknown { reason } => return Err(CommitError::BoundaryUnknown { reason }),
    };
    if !same(&current, &request.from) {
        return Err(CommitError::Fenced { current });
    }
    let (schema_id, decode_epoch) = (request.schema_id, request.decode_epoch);
    if metadata.current_schema_id() != schema_id || recorded_epoch(metadata)? != decode_epoch {
        return Err(CommitError::DecodedBefore { schema_id, decode_epoch });
    }
    if let Some(marker) = marker.filter(|marker| marker.topic_id != request.topic_id) {
        let what = format!(
            "the table holds offsets of topic {} ({}), and these are of topic {} ({}): was the topic made anew?",
            marker.topic, marker.topic_id, request.topic, request.topic_id
        );
        return Err(CommitError::Invalid { what });
    }
    let marker = Marker::new(
        request.cluster.clone(),
        request.topic.clone(),
        request.topic_id,
        request.next.clone(),
    );
    let text = |value: serde_json::Result<String>| {
        value.map_err(|e| CommitError::Invalid { what: e.to_string() })
    };
    Ok(HashMap::from([
        (OFFSETS.to_owned(), text(serde_json::to_string(&marker))?),
        (COMMIT_ID.to_owned(), request.commit_id.to_string()),
        (FROM.to_owned(), text(serde_json::to_string(&request.from))?),
        (DECODE_EPOCH.to_owned(), request.decode_epoch.to_string()),
        (FOREIGN.to_owned(), foreign_sequence(Ancestor::chain(metadata)).to_string()),
    ]))
}

/// The summary of a bulk load: a foreign commit that carries the nearest map along unchanged.
pub(crate) fn load_properties(
    load_id: Uuid,
    metadata: &TableMetadata,
    foreign_commits: bool,
) -> HashMap<String, String> {
    let mut properties = HashMap::from([
        (LOAD.to_owned(), "true".to_owned()),
        (COMMIT_ID.to_owned(), load_id.to_string()),
    ]);
    let (_, marker) = resolve(Ancestor::chain(metadata), foreign_commits);
    let carried = marker.and_then(|marker| serde_json::to_string(&marker).ok());
    properties.extend(carried.map(|text| (OFFSETS.to_owned(), text)));
    properties
}

/// Whether two maps mean the same: a partition that is not named stands at 0.
fn same(a: &OffsetMap, b: &OffsetMap) -> bool {
    a.covers(b) && b.covers(a)
}
