//! What a table's runtime needs from outside: its lake table and its topic,
//! behind traits, so that a simulation can stand in for both.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use springtide_protocol::clock::Clock;
use tokio::sync::OnceCell;

use crate::commit::{CommitError, CommitRequest};
use crate::decode::POLICY;
use crate::lake::{Lake, LakeError, LakeSnapshot, LakeTable};
use crate::settings::{FreshnessSettings, RowFormat, StreamKind, TableSettings};
use crate::stream::{Journal, Kafka, StreamError, StreamSource};

/// One table of the lake.
#[async_trait]
pub trait TableLake: Send + Sync + 'static {
    /// The current state.
    ///
    /// # Errors
    /// The catalog's, or a state that cannot be read.
    async fn refresh(&self) -> Result<Arc<LakeSnapshot>, LakeError>;

    /// The decode epoch of this process; `None` where it decodes nothing. A table that
    /// records another is decoded otherwise elsewhere.
    fn own_epoch(&self) -> Option<u32>;

    /// The oldest ancestor of the current snapshot that was current after `since_micros` and
    /// differs from it by at most `most_offsets` rows of the stream and nothing else.
    ///
    /// # Errors
    /// As [`Self::refresh`].
    async fn former(
        &self,
        since_micros: i64,
        most_offsets: i64,
    ) -> Result<Option<Arc<LakeSnapshot>>, LakeError>;

    /// Commits rows of the stream.
    ///
    /// # Errors
    /// See [`CommitError`]: what may be tried again, and how.
    async fn commit(&self, request: CommitRequest) -> Result<Arc<LakeSnapshot>, CommitError>;
}

#[async_trait]
impl TableLake for LakeTable {
    async fn refresh(&self) -> Result<Arc<LakeSnapshot>, LakeError> {
        Self::refresh(self).await
    }

    fn own_epoch(&self) -> Option<u32> {
        Self::own_epoch(self)
    }

    async fn former(
        &self,
        since_micros: i64,
        most_offsets: i64,
    ) -> Result<Option<Arc<LakeSnapshot>>, LakeError> {
        Self::former(self, since_micros, most_offsets).await
    }

    async fn commit(&self, request: CommitRequest) -> Result<Arc<LakeSnapshot>, CommitError> {
        Self::commit(self, request).await
    }
}

/// Opens tables and topics. What fails is tried again by the caller.
#[async_trait]
pub trait Ports: Send + Sync + 'static {
    /// The table in the lake, made where it is absent.
    ///
    /// # Errors
    /// The catalog's.
    async fn lake(&self, table: &TableSettings) -> Result<Arc<dyn TableLake>, LakeError>;

    /// A topic.
    ///
    /// # Errors
    /// The stream's.
    async fn topic(&self, topic: &str) -> Result<Arc<dyn StreamSource>, StreamError>;
}

/// The real ones: one catalog, one journal file or one Kafka cluster.
#[derive(Debug)]
pub(crate) struct Connections {
    settings: FreshnessSettings,
    clock: Arc<dyn Clock>,
    lake: OnceCell<Lake>,
    journal: OnceCell<Journal>,
    kafka: OnceCell<Kafka>,
}

impl Connections {
    pub(crate) fn new(settings: FreshnessSettings, clock: Arc<dyn Clock>) -> Self {
        let (lake, journal, kafka) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { settings, clock, lake, journal, kafka }
    }

    fn journal_path(&self) -> PathBuf {
        self.settings.folder.join("journal.sqlite")
    }
}

#[async_trait]
impl Ports for Connections {
    async fn lake(&self, table: &TableSettings) -> Result<Arc<dyn TableLake>, LakeError> {
        let connect = || Lake::connect(&self.settings.catalog, &self.settings.folder);
        let lake = self.lake.get_or_try_init(connect).await?;
        let lake = lake.open_or_create(table).await?;
        if table.topic.is_some() {
            lake.ensure_decode_epoch(&decoding(table)).await?;
        }
        Ok(Arc::new(lake))
    }

    async fn topic(&self, topic: &str) -> Result<Arc<dyn StreamSource>, StreamError> {
        let stream = &self.settings.stream;
        match stream.kind {
            StreamKind::Journal => {
                let path = self.journal_path();
                let open = || Journal::open(&path, self.clock.clone());
                let journal = self.journal.get_or_try_init(open).await?;
                let topic = journal.topic(topic, stream.partitions).await?;
                Ok(Arc::new(topic.with_retention(stream.retention)))
            }
            StreamKind::Kafka => {
                let servers = stream.bootstrap_servers.as_deref().unwrap_or_default();
                let connect = || async {
                    let kafka = Kafka::connect(servers, &stream.settings)?;
                    Ok::<_, StreamError>(kafka.with_produce_wait(stream.produce_wait))
                };
                let kafka = self.kafka.get_or_try_init(connect).await?;
                if stream.create_topics {
                    kafka.create_topic(topic, stream.partitions).await?;
                }
                Ok(Arc::new(kafka.topic(topic)))
            }
        }
    }
}

/// What decides how a record becomes a row, apart from the schema: when it
/// changes, the decode epoch rises (rule 1).
fn decoding(table: &TableSettings) -> String {
    let format = match table.format {
        RowFormat::Json => "json",
    };
    let unknown = table.unknown_columns.name();
    format!("{format}.{POLICY};key={};unknown={unknown}", table.key.join(","))
}
