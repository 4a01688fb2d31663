//! Commits as other engines make them: data files, delete files of every kind
//! and deletion vectors, in snapshots of their own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use iceberg::MetadataLocation;
use iceberg::spec::{
    DataContentType, DataFile as Entry, DataFileBuilder, DataFileFormat, FormatVersion, Literal,
    ManifestFile, ManifestListWriter, ManifestWriterBuilder, Operation, Snapshot, Struct, Summary,
    TableMetadata, TableMetadataBuilder,
};
use iceberg::table::Table;
use parquet::arrow::ArrowWriter;
use roaring::RoaringTreemap;
use sqlx::SqlitePool;
use uuid::Uuid;

use super::{DAY, MICROS_PER_DAY, Place, Row, rows};
use crate::lake::LakeTable;

/// The table's day partition, counted from the tests' first day; `None`: unpartitioned.
pub(crate) type Day = Option<i32>;

/// Another engine that works on the table.
pub(crate) struct Other {
    pub(crate) table: LakeTable,
    database: PathBuf,
}

fn day(day: Day) -> Struct {
    let first = i32::try_from(DAY / MICROS_PER_DAY).unwrap();
    Struct::from_iter(day.map(|day| Some(Literal::date(first + day))))
}

/// A field with its id.
pub(crate) fn field(name: &str, kind: DataType, id: i32) -> Field {
    let id = HashMap::from([("PARQUET:field_id".to_owned(), id.to_string())]);
    Field::new(name, kind, true).with_metadata(id)
}

fn write(path: &Path, batch: &RecordBatch) -> u64 {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    std::fs::metadata(path).unwrap().len()
}

/// A deletion vector as the format writes it.
pub(crate) fn blob(positions: &[u64]) -> Vec<u8> {
    let bitmap: RoaringTreemap = positions.iter().copied().collect();
    let mut body = vec![0xD1, 0xD3, 0x39, 0x64];
    bitmap.serialize_into(&mut body).unwrap();
    let mut blob = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    blob.extend(&body);
    blob.extend(crc32fast::hash(&body).to_be_bytes());
    blob
}

impl Other {
    pub(crate) async fn new(place: &Place) -> Self {
        let table = place.shared_table().await;
        Self { table, database: place.folder.path().join("catalog.sqlite") }
    }

    /// Where a file of the table lies, as the lake calls it.
    pub(crate) async fn location(&self, name: &str) -> String {
        format!("{}/data/{name}", self.table.base().await.unwrap().metadata().location())
    }

    async fn put(&self, name: &str, batch: &RecordBatch) -> DataFileBuilder {
        let location = self.location(name).await;
        let bytes = write(Path::new(location.trim_start_matches("file://")), batch);
        let mut entry = DataFileBuilder::default();
        entry
            .file_path(location)
            .file_format(DataFileFormat::Parquet)
            .record_count(batch.num_rows() as u64)
            .file_size_in_bytes(bytes);
        entry
    }

    /// A data file with these rows.
    pub(crate) async fn file(&self, name: &str, of: Day, given: &[Row]) -> Entry {
        let schema = self.schema().await;
        self.batch(name, of, &rows(&schema, given)).await
    }

    pub(crate) async fn schema(&self) -> SchemaRef {
        let base = self.table.base().await.unwrap();
        super::super::columns::arrow(base.metadata().current_schema()).unwrap()
    }

    /// A data file with just these columns.
    pub(crate) async fn batch(&self, name: &str, of: Day, batch: &RecordBatch) -> Entry {
        let mut entry = self.put(name, batch).await;
        entry.content(DataContentType::Data).partition(day(of)).build().unwrap()
    }

    /// A position delete file.
    pub(crate) async fn positions(&self, name: &str, of: Day, rows: &[(&str, i64)]) -> Entry {
        let fields = [
            field("file_path", DataType::Utf8, 2_147_483_546),
            field("pos", DataType::Int64, 2_147_483_545),
        ];
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0))),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1))),
        ];
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let mut entry = self.put(name, &RecordBatch::try_new(schema, columns).unwrap()).await;
        entry.content(DataContentType::PositionDeletes).partition(day(of)).build().unwrap()
    }

    /// An equality delete file with these columns.
    pub(crate) async fn equal(
        &self,
        name: &str,
        of: Day,
        columns: Vec<(Field, ArrayRef)>,
    ) -> Entry {
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
        let id = |field: &Field| field.metadata()["PARQUET:field_id"].parse().unwrap();
        let ids: Vec<i32> = fields.iter().map(id).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
        let mut entry = self.put(name, &batch).await;
        let entry = entry.content(DataContentType::EqualityDeletes).equality_ids(Some(ids));
        entry.partition(day(of)).build().unwrap()
    }

    /// Rows whose city is one of these.
    pub(crate) async fn cities(&self, name: &str, of: Day, cities: &[Option<&str>]) -> Entry {
        let values: ArrayRef = Arc::new(StringArray::from(cities.to_vec()));
        self.equal(name, of, vec![(field("city", DataType::Utf8, 4), values)]).await
    }

    /// A Puffin file with one deletion vector; `rows`: how many the manifest says.
    pub(crate) async fn vector(&self, name: &str, of: &Entry, blob: &[u8], rows: u64) -> Entry {
        let location = self.location(name).await;
        let footer = serde_json::json!({"blobs": [{
            "type": "deletion-vector-v1", "fields": [2_147_483_546], "snapshot-id": -1,
            "sequence-number": -1, "offset": 4, "length": blob.len(),
            "properties": {"referenced-data-file": of.file_path(), "cardinality": rows.to_string()},
        }]});
        let footer = footer.to_string();
        let size = u32::try_from(footer.len()).unwrap().to_le_bytes();
        let (magic, flags) = (b"PFA1".as_slice(), [0; 4]);
        let file = [magic, blob, magic, footer.as_bytes(), &size, &flags, magic].concat();
        std::fs::write(location.trim_start_matches("file://"), &file).unwrap();
        DataFileBuilder::default()
            .content(DataContentType::PositionDeletes)
            .file_path(location)
            .file_format(DataFileFormat::Puffin)
            .partition(of.partition().clone())
            .record_count(rows)
            .file_size_in_bytes(file.len() as u64)
            .referenced_data_file(Some(of.file_path().to_owned()))
            .content_offset(Some(4))
            .content_size_in_bytes(Some(i64::try_from(blob.len()).unwrap()))
            .build()
            .unwrap()
    }

    /// Adds files in one snapshot, under the table's own spec.
    pub(crate) async fn commit(&self, data: Vec<Entry>, deletes: Vec<Entry>) {
        self.commit_under(0, data, deletes).await;
    }

    /// The same under another spec.
    pub(crate) async fn commit_under(&self, spec: i32, data: Vec<Entry>, deletes: Vec<Entry>) {
        self.add((spec, -1), data, deletes).await;
    }

    /// Adds a file with a data sequence number of before, as compactions do.
    pub(crate) async fn commit_as_of(&self, sequence: i64, file: Entry) {
        self.add((0, sequence), vec![file], vec![]).await;
    }

    async fn add(&self, (spec, sequence): (i32, i64), data: Vec<Entry>, deletes: Vec<Entry>) {
        let base = self.table.base().await.unwrap();
        let id = (Uuid::new_v4().as_u64_pair().0 >> 1).cast_signed();
        let added: u64 = data.iter().map(Entry::record_count).sum();
        let mut manifests = Vec::new();
        if let Some(parent) = base.metadata().current_snapshot() {
            let list = base.manifest_list_reader(parent).load().await.unwrap();
            manifests.extend(list.consume_entries());
        }
        manifests.extend(manifest(&base, (id, spec, sequence), data, false).await);
        manifests.extend(manifest(&base, (id, spec, sequence), deletes, true).await);
        let snapshot = snapshot(&base, id, manifests, added).await;
        self.edit(|builder| builder.set_branch_snapshot(snapshot, "main").unwrap()).await;
    }

    /// Changes the table's metadata.
    pub(crate) async fn edit(
        &self,
        change: impl FnOnce(TableMetadataBuilder) -> TableMetadataBuilder,
    ) {
        let base = self.table.base().await.unwrap();
        let before = base.metadata_location().unwrap().to_owned();
        let builder = base.metadata().clone().into_builder(Some(before.clone()));
        let metadata: TableMetadata = change(builder).build().unwrap().metadata;
        let after = MetadataLocation::from_str(&before).unwrap().with_next_version();
        metadata.write_to(base.file_io(), &after).await.unwrap();
        let uri = format!("sqlite://{}", self.database.display());
        let pool = SqlitePool::connect(&uri);
        let swap = "UPDATE iceberg_tables SET metadata_location = ? WHERE metadata_location = ?";
        let swap = sqlx::query(swap).bind(after.to_string()).bind(before);
        let done = swap.execute(&pool.await.unwrap()).await.unwrap();
        assert_eq!(done.rows_affected(), 1);
    }
}

async fn manifest(
    base: &Table,
    (snapshot, spec, sequence): (i64, i32, i64),
    entries: Vec<Entry>,
    deletes: bool,
) -> Option<ManifestFile> {
    if entries.is_empty() {
        return None;
    }
    let metadata = base.metadata();
    let path = format!("{}/metadata/{}.avro", metadata.location(), Uuid::new_v4());
    let output = base.file_io().new_output(&path).unwrap();
    let spec = metadata.partition_spec_by_id(spec).unwrap().as_ref().clone();
    let schema = metadata.current_schema().clone();
    let builder = ManifestWriterBuilder::new(output, Some(snapshot), schema, spec);
    let mut writer = match (metadata.format_version(), deletes) {
        (FormatVersion::V3, false) => builder.build_v3_data(),
        (FormatVersion::V3, true) => builder.build_v3_deletes(),
        (_, false) => builder.build_v2_data(),
        (_, true) => builder.build_v2_deletes(),
    };
    for entry in entries {
        writer.add_file(entry, sequence).unwrap();
    }
    Some(writer.write_manifest_file().await.unwrap())
}

async fn snapshot(base: &Table, id: i64, manifests: Vec<ManifestFile>, added: u64) -> Snapshot {
    let metadata = base.metadata();
    let parent = metadata.current_snapshot_id();
    let sequence = metadata.next_sequence_number();
    let path = format!("{}/metadata/snap-{id}.avro", metadata.location());
    let output = base.file_io().new_output(&path).unwrap().writer().await.unwrap();
    let is_v3 = metadata.format_version() == FormatVersion::V3;
    let mut list = if is_v3 {
        ManifestListWriter::v3(output, id, parent, sequence, Some(metadata.next_row_id()))
    } else {
        ManifestListWriter::v2(output, id, parent, sequence)
    };
    list.add_manifests(manifests.into_iter()).unwrap();
    let given = list.next_row_id().map_or(added, |next| next - metadata.next_row_id());
    list.close().await.unwrap();
    let summary =
        Summary { operation: Operation::Overwrite, additional_properties: HashMap::new() };
    let builder = Snapshot::builder()
        .with_snapshot_id(id)
        .with_parent_snapshot_id(parent)
        .with_sequence_number(sequence)
        .with_timestamp_ms(metadata.last_updated_ms() + 1)
        .with_manifest_list(path)
        .with_summary(summary)
        .with_schema_id(metadata.current_schema_id());
    if is_v3 {
        builder.with_row_range(metadata.next_row_id(), given).build()
    } else {
        builder.build()
    }
}
