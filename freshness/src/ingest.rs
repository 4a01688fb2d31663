//! Ingest (rule 19): the whole body is validated against the table's schema,
//! then added to its topic in one transaction; the receipt is the version from
//! which the rows can be read. It must never write to the lake.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use springtide_protocol::version::PartialTableVersion;
use springtide_protocol::{MinVersion, TableName};

use crate::decode::{InvalidBody, validate_ndjson};
use crate::registry::Freshness;
use crate::stream::{StreamError, StreamSource, TopicDescription};

/// Bodies above this many bytes are validated off the async threads.
const INLINE_BYTES: usize = 64 * 1024;

/// What was taken.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// Rows.
    pub rows: u64,
    /// The version from which they can be read.
    pub min_version: MinVersion,
}

/// Why nothing was taken (but see [`StreamError::UnknownOutcome`]).
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// Not a configured table.
    #[error("there is no table `{0}`")]
    UnknownTable(TableName),
    /// The table has no `topic`.
    #[error("table `{0}` has no topic: rows can only come through its lake")]
    NoStream(TableName),
    /// The table's schema or topic is not known yet.
    #[error("table `{table}` cannot take rows yet: {reason}")]
    Unavailable {
        /// The table.
        table: TableName,
        /// What is in the way.
        reason: String,
    },
    /// A row does not fit the table.
    #[error(transparent)]
    Invalid(#[from] InvalidBody),
    /// The stream refused or cannot be reached.
    #[error("the stream did not confirm the rows")]
    Stream(#[from] StreamError),
}

impl Freshness {
    /// Adds NDJSON rows to a table's stream: all of them or none.
    ///
    /// # Errors
    /// See [`IngestError`].
    pub async fn ingest(
        &self,
        table: &TableName,
        body: Bytes,
        idempotency_key: Option<&str>,
    ) -> Result<Receipt, IngestError> {
        let shared = self.table(table).ok_or_else(|| IngestError::UnknownTable(table.clone()))?;
        if shared.settings.topic.is_none() {
            return Err(IngestError::NoStream(table.clone()));
        }
        let unavailable = || {
            let (state, reason) = shared.state();
            let reason = reason.unwrap_or_else(|| format!("it is {}", state.name()));
            IngestError::Unavailable { table: table.clone(), reason }
        };
        let snapshot = shared.with_core(|core| core.snapshot().clone()).ok_or_else(unavailable)?;
        let source = shared.source().ok_or_else(unavailable)?;
        let (schema, unknown) = (snapshot.schema.clone(), shared.settings.unknown_columns);
        let records = if body.len() <= INLINE_BYTES {
            validate_ndjson(&schema, unknown, &body)?
        } else {
            let validate = move || validate_ndjson(&schema, unknown, &body);
            let validated = tokio::task::spawn_blocking(validate);
            validated.await.map_err(|_| unavailable())??
        };
        let described = shared.with_core(|core| core.topic().map(|topic| topic.topic_id));
        let topic_id = match described.flatten() {
            Some(id) => id,
            None => describe(&*source).await?.topic_id,
        };
        let rows = records.len() as u64;
        let offsets = source.produce(records, idempotency_key).await?;
        let version = PartialTableVersion {
            table_uuid: Some(snapshot.table_uuid),
            topic_id: Some(topic_id),
            offsets,
            ..PartialTableVersion::default()
        };
        let tables = [(table.clone(), version)].into();
        Ok(Receipt { rows, min_version: MinVersion { tables } })
    }
}

/// What the topic is, within the time that a produce may take; nothing was added yet.
async fn describe(source: &dyn StreamSource) -> Result<TopicDescription, StreamError> {
    let wait = source.produce_wait();
    let described = tokio::time::timeout(wait, source.describe()).await;
    described.unwrap_or_else(|late| Err(StreamError::Unreachable { source: late.into() }))
}
