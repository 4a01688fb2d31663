//! Rows into data files: fanned out by table partition, in order of stream
//! partition and offset, with the record of their chunks. All of it blocks.
//!
//! It must never know snapshots or the catalog.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, Int64Array, RecordBatch, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, concat, concat_batches, take};
use arrow::datatypes::SchemaRef;
use iceberg::spec::{Struct, TableMetadata};
use springtide_protocol::{Offset, PartitionId};
use springtide_relation::{ChunkId, TailBatch};
use uuid::Uuid;

use super::LakeError;
use super::columns::{self, field_ids};
use super::data_file::{OpenFile, WrittenFile};
use super::partition::{Partitioner, pick};
use super::record::{Piece, STREAM_FILE};
use crate::statistics::column_statistics;

/// A file is ended when it has so many bytes; Iceberg's customary target is larger,
/// but smaller files spread better over threads and caches.
const FILE_BYTES: usize = 128 << 20;
/// Open files may hold so many bytes together; then the largest is ended.
const OPEN_BYTES: usize = 256 << 20;
/// How the names of bulk-loaded data files begin.
const LOAD_FILE: &str = "springtide-load-";

/// Writes rows of one table.
pub(crate) struct FileWriter {
    schema: iceberg::spec::SchemaRef,
    arrow: SchemaRef,
    ids: Vec<i32>,
    partitioner: Partitioner,
    data_location: String,
    prefix: String,
    files: u32,
    open: HashMap<Struct, Open>,
}

struct Open {
    file: OpenFile,
    pieces: Vec<Piece>,
}

impl FileWriter {
    /// For rows of the stream, or of a bulk load; `id` makes the files' names unique.
    pub(crate) fn new(
        metadata: &TableMetadata,
        from_stream: bool,
        id: Uuid,
    ) -> Result<Self, LakeError> {
        let schema = metadata.current_schema().clone();
        let arrow = columns::arrow(&schema)?;
        let spec = metadata.default_partition_spec().clone();
        let start = if from_stream { STREAM_FILE } else { LOAD_FILE };
        Ok(Self {
            ids: field_ids(&arrow),
            partitioner: Partitioner::new(spec, &schema)?,
            schema,
            arrow,
            data_location: data_location(metadata),
            prefix: format!("{start}{id}"),
            files: 0,
            open: HashMap::new(),
        })
    }

    /// Writes all rows of one commit: within each file sorted by stream partition and offset.
    pub(crate) fn write_stream(
        mut self,
        batches: &[TailBatch],
    ) -> Result<Vec<WrittenFile>, LakeError> {
        for (partition, (offsets, rows)) in self.joined(batches)? {
            for part in self.partitioner.split(&rows)? {
                let (offsets, rows) = match &part.rows {
                    None => (offsets.clone(), rows.clone()),
                    Some(picked) => {
                        let offsets = take(&offsets, picked, None)?;
                        (Int64Array::from(offsets.to_data()), pick(&rows, picked)?)
                    }
                };
                let pieces = pieces(partition, &offsets, &rows, &self.ids);
                let open = self.open(part.values)?;
                open.file.write(&rows)?;
                open.pieces.extend(pieces);
            }
        }
        self.finish(true)
    }

    /// Takes rows of a bulk load; hands back files that are full.
    pub(crate) fn load(&mut self, batch: &RecordBatch) -> Result<Vec<WrittenFile>, LakeError> {
        let batch = conform(batch, &self.arrow)?;
        let mut full = Vec::new();
        for part in self.partitioner.split(&batch)? {
            let rows = match &part.rows {
                None => batch.clone(),
                Some(picked) => pick(&batch, picked)?,
            };
            let values = part.values;
            let open = self.open(values.clone())?;
            open.file.write(&rows)?;
            if open.file.file_bytes() >= FILE_BYTES {
                full.extend(self.end(&values, false)?);
            }
        }
        while self.open.values().map(|open| open.file.memory_bytes()).sum::<usize>() > OPEN_BYTES {
            let largest = self.open.iter().max_by_key(|(_, open)| open.file.memory_bytes());
            let Some(values) = largest.map(|(values, _)| values.clone()) else { break };
            full.extend(self.end(&values, false)?);
        }
        Ok(full)
    }

    /// Ends all files that are open.
    pub(crate) fn finish(mut self, from_stream: bool) -> Result<Vec<WrittenFile>, LakeError> {
        let keys: Vec<Struct> = self.open.keys().cloned().collect();
        let mut files = Vec::with_capacity(keys.len());
        for values in keys {
            files.extend(self.end(&values, from_stream)?);
        }
        files.sort_by(|a, b| a.entry.file_path().cmp(b.entry.file_path()));
        Ok(files)
    }

    fn open(&mut self, values: Struct) -> Result<&mut Open, LakeError> {
        use std::collections::hash_map::Entry;
        match self.open.entry(values) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let folder = self.partitioner.folder(entry.key());
                let slash = if folder.is_empty() { "" } else { "/" };
                let name = format!("{}-{:05}.parquet", self.prefix, self.files);
                let path = format!("{}/{folder}{slash}{name}", self.data_location);
                self.files += 1;
                let file = OpenFile::new(path, entry.key().clone(), self.arrow.clone())?;
                Ok(entry.insert(Open { file, pieces: Vec::new() }))
            }
        }
    }

    fn end(&mut self, values: &Struct, stream: bool) -> Result<Option<WrittenFile>, LakeError> {
        let Some(open) = self.open.remove(values) else { return Ok(None) };
        let pieces = stream.then_some(open.pieces.as_slice());
        let spec_id = self.partitioner.spec_id();
        open.file.finish(&self.schema, spec_id, &self.ids, pieces).map(Some)
    }

    /// All rows of each stream partition in one batch, in order of offsets.
    fn joined(
        &self,
        batches: &[TailBatch],
    ) -> Result<BTreeMap<PartitionId, (Int64Array, RecordBatch)>, LakeError> {
        let mut partitions: BTreeMap<PartitionId, Vec<&TailBatch>> = BTreeMap::new();
        for batch in batches.iter().filter(|batch| !batch.is_empty()) {
            partitions.entry(batch.partition).or_default().push(batch);
        }
        let mut joined = BTreeMap::new();
        for (partition, mut batches) in partitions {
            batches.sort_by_key(|batch| batch.offsets.values().first().copied());
            let offsets: Vec<&dyn Array> = batches.iter().map(|b| &b.offsets as _).collect();
            let offsets = Int64Array::from(concat(&offsets)?.to_data());
            if !offsets.values().is_sorted_by(|a, b| a < b) {
                let what = format!("offsets of stream partition {partition} overlap");
                return Err(LakeError::Rows { what });
            }
            let rows = batches.iter().map(|batch| conform(&batch.rows, &self.arrow));
            let rows = rows.collect::<Result<Vec<_>, _>>()?;
            joined.insert(partition, (offsets, concat_batches(&self.arrow, &rows)?));
        }
        Ok(joined)
    }
}

/// The pieces of chunks that rows of one stream partition are.
fn pieces(
    partition: PartitionId,
    offsets: &Int64Array,
    rows: &RecordBatch,
    ids: &[i32],
) -> Vec<Piece> {
    let values = offsets.values();
    let mut pieces = Vec::new();
    let mut from = 0;
    while from < values.len() {
        let first = Offset(values[from]);
        let chunk = ChunkId::containing(partition, first);
        let to = from + values[from..].partition_point(|offset| *offset < chunk.end().0);
        let statistics = column_statistics(&rows.slice(from, to - from));
        pieces.push(Piece {
            chunk,
            first,
            last: Offset(values[to - 1]),
            rows: (to - from) as u64,
            columns: ids.iter().copied().zip(statistics).collect(),
        });
        from = to;
    }
    pieces
}

/// The same rows in exactly `schema`: columns by name, cast where that loses nothing, absent ones NULL.
fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, LakeError> {
    const EXACT: CastOptions<'_> =
        CastOptions { safe: false, format_options: arrow::util::display::FormatOptions::new() };
    let given = batch.schema();
    let known = |name: &str| schema.fields().iter().any(|f| f.name().eq_ignore_ascii_case(name));
    if let Some(extra) = given.fields().iter().find(|field| !known(field.name())) {
        let what = format!("the table has no column `{}`", extra.name());
        return Err(LakeError::Rows { what });
    }
    let mut arrays = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let at = given.fields().iter().position(|f| f.name().eq_ignore_ascii_case(field.name()));
        arrays.push(match at.map(|at| batch.column(at)) {
            None => new_null_array(field.data_type(), batch.num_rows()),
            Some(array) if array.data_type() == field.data_type() => array.clone(),
            Some(array) => cast_with_options(array, field.data_type(), &EXACT)?,
        });
    }
    let rows = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), arrays, &rows)?)
}

fn data_location(metadata: &TableMetadata) -> String {
    let properties = metadata.properties();
    let named = properties.get("write.data.path").cloned();
    named.unwrap_or_else(|| format!("{}/data", metadata.location()))
}
