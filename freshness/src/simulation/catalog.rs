//! The fake catalog: real Iceberg metadata in memory, moved by compare-and-swap
//! on its location, with the rows of every snapshot that ever was.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use iceberg::spec::{
    FormatVersion, NestedField, Operation, PrimitiveType, Schema, Snapshot, SnapshotRef, SortOrder,
    Summary, TableMetadata, TableMetadataBuilder, Type, UnboundPartitionSpec,
};
use serde_json::{Value, json};
use springtide_relation::{ChunkId, ColumnStatistics, DataFile, FileOrigin};
use uuid::Uuid;

use super::rows::{self, Row};
use crate::invariants::{Held, boundary_grows, committed_once, each_row_once, live_files_are_kept};
use crate::lake::{
    Ancestor, COMMIT_ID, LakeSnapshot, content_sequence, former, recorded_epoch, resolve,
};
use crate::statistics::union;

/// A data file.
#[derive(Debug)]
pub(super) struct LakeFile {
    pub(super) path: String,
    /// Whether our committer wrote it, and recorded its chunks.
    pub(super) is_ours: bool,
    pub(super) rows: Vec<Row>,
    pub(super) pieces: Vec<(ChunkId, Arc<[ColumnStatistics]>)>,
}

type Files = Vec<Arc<LakeFile>>;

/// A request for a snapshot, on its way.
#[derive(Debug)]
pub(super) struct Request {
    /// The location that it was made on.
    pub(super) base: u64,
    pub(super) properties: HashMap<String, String>,
    pub(super) files: Files,
}

/// What foreign commits added and removed, up to one of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Foreign {
    pub(super) rows: BTreeSet<Row>,
    pub(super) removed: BTreeSet<Row>,
}

/// One table.
#[derive(Debug)]
pub(super) struct Catalog {
    pub(super) metadata: TableMetadata,
    /// Names the metadata: it changes with each change.
    pub(super) location: u64,
    pub(super) foreign_commits: bool,
    files: HashMap<Option<i64>, Files>,
    pub(super) foreign: BTreeMap<i64, Foreign>,
    /// Requests that may still arrive.
    pub(super) in_flight: Vec<Request>,
    pub(super) discarded: BTreeSet<String>,
    next: i64,
    /// What happened that may cost versions of before.
    pub(super) was_rolled_back: bool,
    pub(super) was_expired: bool,
    known: Option<(u64, Arc<LakeSnapshot>)>,
}

impl Catalog {
    pub(super) fn new(uuid: Uuid, foreign_commits: bool, now: i64) -> Self {
        let field = |id, name: &str| {
            Arc::new(NestedField::optional(id, name, Type::Primitive(PrimitiveType::Long)))
        };
        let schema = Schema::builder().with_fields([field(1, "id"), field(2, "decoded")]);
        let built = TableMetadataBuilder::new(
            schema.build().unwrap(),
            UnboundPartitionSpec::default(),
            SortOrder::unsorted_order(),
            "sim://table".to_owned(),
            FormatVersion::V2,
            HashMap::new(),
        );
        let metadata = built.unwrap().assign_uuid(uuid).build().unwrap().metadata;
        let mut catalog = Self {
            metadata,
            location: 0,
            foreign_commits,
            files: HashMap::from([(None, Vec::new())]),
            foreign: BTreeMap::from([(0, Foreign::default())]),
            in_flight: Vec::new(),
            discarded: BTreeSet::new(),
            next: 1,
            was_rolled_back: false,
            was_expired: false,
            known: None,
        };
        // The library dates it by the machine's clock.
        catalog.edit(now, |_| ());
        catalog
    }

    pub(super) fn number(&mut self) -> i64 {
        self.next += 1;
        self.next
    }

    pub(super) fn files(&self, snapshot_id: Option<i64>) -> &Files {
        &self.files[&snapshot_id]
    }

    fn current_files(&self) -> Files {
        self.files[&self.metadata.current_snapshot_id()].clone()
    }

    /// The current state as the lake reads it, kept until the location moves.
    pub(super) fn refresh(&mut self) -> Arc<LakeSnapshot> {
        if let Some((location, known)) = &self.known
            && *location == self.location
        {
            return known.clone();
        }
        let snapshot = Arc::new(self.read(self.metadata.current_snapshot()));
        self.known = Some((self.location, snapshot.clone()));
        snapshot
    }

    pub(super) fn former(&self, since: i64, most: i64) -> Option<Arc<LakeSnapshot>> {
        let epoch = recorded_epoch(&self.metadata).unwrap();
        let found = former(&self.metadata, (epoch, self.foreign_commits), since, most)?;
        Some(Arc::new(self.read(Some(found))))
    }

    /// As the lake's table reads a snapshot.
    fn read(&self, snapshot: Option<&SnapshotRef>) -> LakeSnapshot {
        let chain = || Ancestor::chain_of(&self.metadata, snapshot);
        let (boundary, marker) = resolve(chain(), self.foreign_commits);
        let snapshot_id = snapshot.map(|snapshot| snapshot.snapshot_id());
        let schema_id = self.metadata.current_schema_id();
        let mut chunks: BTreeMap<ChunkId, Arc<[ColumnStatistics]>> = BTreeMap::new();
        let own = &self.files[&snapshot_id];
        for (id, columns) in own.iter().flat_map(|file| &file.pieces) {
            chunks
                .entry(*id)
                .and_modify(|before| *before = union(before, columns).into())
                .or_insert_with(|| columns.clone());
        }
        LakeSnapshot {
            snapshot_id,
            table_uuid: self.metadata.uuid(),
            schema_id,
            schema: rows::schema(schema_id),
            foreign_sequence: content_sequence(&boundary, chain()),
            boundary,
            topic_id: marker.map(|marker| marker.topic_id),
            sequence: snapshot.map_or(0, |snapshot| snapshot.sequence_number()),
            decode_epoch: recorded_epoch(&self.metadata).unwrap(),
            files: own.iter().map(|file| data_file(file)).collect(),
            chunks: Arc::new(chunks),
        }
    }

    /// A request arrives: it is taken where nothing has moved since its base.
    pub(super) fn arrive(&mut self, request: Request, now: i64) -> bool {
        if request.base != self.location {
            return false;
        }
        let mut files = self.current_files();
        files.extend(request.files);
        self.add(Operation::Append, request.properties, files, now);
        true
    }

    fn add(
        &mut self,
        operation: Operation,
        properties: HashMap<String, String>,
        files: Files,
        now: i64,
    ) -> i64 {
        let id = self.number();
        let sequence = self.metadata.last_sequence_number() + 1;
        let snapshot = Snapshot::builder()
            .with_snapshot_id(id)
            .with_parent_snapshot_id(self.metadata.current_snapshot_id())
            .with_sequence_number(sequence)
            .with_timestamp_ms(now / 1000)
            .with_manifest_list("none")
            .with_summary(Summary { operation, additional_properties: properties })
            .with_schema_id(self.metadata.current_schema_id())
            .build();
        let builder = self.metadata.clone().into_builder(None);
        let built = builder.set_branch_snapshot(snapshot, "main").unwrap().build().unwrap();
        self.metadata = built.metadata;
        self.location += 1;
        self.files.insert(Some(id), files);
        sequence
    }

    /// The state of foreign commits at the current snapshot.
    fn foreign_now(&self) -> Foreign {
        let current = self.read(self.metadata.current_snapshot()).foreign_sequence;
        self.foreign.get(&current).cloned().unwrap_or_default()
    }

    /// Another writer adds rows of its own.
    pub(super) fn append_foreign(&mut self, now: i64) {
        let mut foreign = self.foreign_now();
        let row = (rows::FOREIGN, 0, self.number());
        let path = format!("foreign-{}", row.2);
        let mut files = self.current_files();
        files.push(Arc::new(LakeFile { path, is_ours: false, rows: vec![row], pieces: vec![] }));
        foreign.rows.insert(row);
        let sequence = self.add(Operation::Append, HashMap::new(), files, now);
        self.foreign.insert(sequence, foreign);
    }

    /// Another writer removes the rows of one file.
    pub(super) fn delete_foreign(&mut self, place: usize, now: i64) {
        let mut files = self.current_files();
        if files.is_empty() {
            return;
        }
        let mut foreign = self.foreign_now();
        let gone = files.remove(place % files.len());
        for row in &gone.rows {
            if !foreign.rows.remove(row) {
                foreign.removed.insert(*row);
            }
        }
        let sequence = self.add(Operation::Delete, HashMap::new(), files, now);
        self.foreign.insert(sequence, foreign);
    }

    /// Some files become one that records no chunks.
    pub(super) fn compact(&mut self, most: usize, now: i64) {
        let mut files = self.current_files();
        let taken: Files = files.drain(..files.len().min(most)).collect();
        if taken.is_empty() {
            return;
        }
        let path = format!("compacted-{}", self.number());
        let rows = taken.iter().flat_map(|file| file.rows.iter().copied()).collect();
        files.push(Arc::new(LakeFile { path, is_ours: false, rows, pieces: Vec::new() }));
        self.add(Operation::Replace, HashMap::new(), files, now);
    }

    /// The parent becomes current again.
    pub(super) fn roll_back(&mut self, now: i64) {
        let current = self.metadata.current_snapshot();
        let parent = current.and_then(|s| s.parent_snapshot_id());
        let Some(parent) = parent.filter(|id| self.metadata.snapshot_by_id(*id).is_some()) else {
            return;
        };
        self.was_rolled_back = true;
        self.edit(now, |metadata| {
            metadata["current-snapshot-id"] = json!(parent);
            metadata["refs"]["main"]["snapshot-id"] = json!(parent);
        });
    }

    /// The oldest snapshots go, but for the current one.
    pub(super) fn expire(&mut self, most: usize, now: i64) {
        let current = self.metadata.current_snapshot_id();
        let mut ids: Vec<i64> = self.metadata.snapshots().map(|s| s.snapshot_id()).collect();
        ids.sort_unstable();
        let gone: Vec<i64> = ids.into_iter().take(most).filter(|id| Some(*id) != current).collect();
        self.was_expired |= !gone.is_empty();
        self.edit(now, |metadata| {
            let Some(all) = metadata["snapshots"].as_array_mut() else { return };
            all.retain(|s| !gone.contains(&s["snapshot-id"].as_i64().unwrap()));
        });
    }

    /// A column is added.
    pub(super) fn change_schema(&mut self, now: i64) {
        let id = self.metadata.current_schema_id() + 1;
        self.edit(now, |metadata| {
            let mut schema = metadata["schemas"].as_array().unwrap().last().unwrap().clone();
            schema["schema-id"] = json!(id);
            let column = json!({"id": 2 + id, "name": format!("more{}", id - 1),
                "required": false, "type": "long"});
            schema["fields"].as_array_mut().unwrap().push(column);
            metadata["schemas"].as_array_mut().unwrap().push(schema);
            metadata["current-schema-id"] = json!(id);
            metadata["last-column-id"] = json!(2 + id);
        });
    }

    /// The decoding policy changes.
    pub(super) fn raise_epoch(&mut self, now: i64) {
        let epoch = recorded_epoch(&self.metadata).unwrap() + 1;
        let record = json!({"epoch": epoch, "fingerprint": epoch.to_string()}).to_string();
        self.edit(now, |metadata| metadata["properties"]["springtide.decode"] = json!(record));
    }

    fn edit(&mut self, now: i64, change: impl FnOnce(&mut Value)) {
        let mut metadata = serde_json::to_value(&self.metadata).unwrap();
        if metadata["properties"].is_null() {
            metadata["properties"] = json!({});
        }
        change(&mut metadata);
        metadata["last-updated-ms"] = json!(now / 1000);
        metadata["snapshot-log"] = match metadata["current-snapshot-id"].as_i64() {
            Some(id) if id >= 0 => json!([{"snapshot-id": id, "timestamp-ms": now / 1000}]),
            _ => json!([]),
        };
        self.metadata = serde_json::from_value(metadata).unwrap();
        self.location += 1;
    }

    /// What must hold of the lake by itself.
    pub(super) fn check(&self) -> Held {
        let chain: Vec<Ancestor> = Ancestor::chain(&self.metadata).collect();
        let ids = chain.iter().filter_map(|a| a.summary.get(COMMIT_ID)?.parse().ok());
        committed_once(&ids.collect::<Vec<Uuid>>())?;
        let boundary = |from| resolve(chain[from..].iter().cloned(), self.foreign_commits).0;
        if chain.len() > 1
            && let (Some(child), Some(parent)) = (boundary(0).known(), boundary(1).known())
        {
            boundary_grows(parent, child)?;
        }
        let files = self.current_files();
        live_files_are_kept(files.iter().map(|file| file.path.as_str()), &self.discarded)?;
        let rows: Vec<Row> = files.iter().flat_map(|file| file.rows.iter().copied()).collect();
        let distinct = rows.iter().copied().collect();
        each_row_once(rows, &distinct)
    }
}

fn data_file(file: &LakeFile) -> DataFile {
    let chunks = file.pieces.iter().map(|(id, _)| *id).collect();
    let origin = if file.is_ours {
        FileOrigin::Stream(chunks)
    } else {
        FileOrigin::Foreign(file.path.as_str().into())
    };
    DataFile {
        path: file.path.clone().into(),
        origin,
        rows: file.rows.len() as u64,
        bytes: 1,
        columns: Arc::new([]),
        dead: None,
    }
}
