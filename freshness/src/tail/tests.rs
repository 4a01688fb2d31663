//! Segments and their files: rows come back as they were, memory is let go,
//! files go with their last reader.

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::*;

fn schema() -> SchemaRef {
    let id = Field::new("id", DataType::Int64, false)
        .with_metadata([("PARQUET:field_id".to_owned(), "1".to_owned())].into());
    Arc::new(Schema::new(vec![id, Field::new("name", DataType::Utf8, true)]))
}

fn batch(partition: i32, offsets: std::ops::Range<i64>) -> TailBatch {
    let names = offsets.clone().map(|o| (o % 3 > 0).then(|| format!("row {o}")));
    let columns: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(offsets.clone())),
        Arc::new(names.collect::<StringArray>()),
    ];
    TailBatch {
        partition: PartitionId(partition),
        offsets: Int64Array::from_iter_values(offsets),
        rows: RecordBatch::try_new(schema(), columns).unwrap(),
    }
}

fn map(entries: &[(i32, i64)]) -> OffsetMap {
    entries.iter().map(|(p, o)| (PartitionId(*p), Offset(*o))).collect()
}

fn offsets(batches: &[TailBatch]) -> Vec<(i32, i64)> {
    let all = batches.iter().flat_map(|b| b.offsets.values().iter().map(|o| (b.partition.0, *o)));
    all.collect()
}

#[test]
fn a_segment_file_gives_back_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t").join("1.parquet");
    let batches = [batch(0, 5..2000), batch(0, 3000..3010), batch(2, 0..20_000)];
    let (segment, bytes) = file::write(&path, &schema(), &batches).unwrap();
    assert_eq!(bytes, std::fs::metadata(&path).unwrap().len());
    let read = file::read(segment.path(), &schema()).unwrap();
    assert_eq!(offsets(&read), offsets(&batches));
    let joined = |batches: &[TailBatch]| {
        let rows: Vec<_> = batches.iter().map(|b| &b.rows).collect();
        arrow::compute::concat_batches(&schema(), rows).unwrap()
    };
    assert_eq!(joined(&read), joined(&batches));
    let window = (Offset(1990), Offset(3002));
    let some = file::read_window(&path, &schema(), PartitionId(0), window).unwrap();
    assert_eq!(offsets(&some).len(), 12);
    drop(segment);
    assert!(!path.exists(), "the file goes with its last reader");
}

#[test]
fn a_sweep_takes_only_what_is_ours() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["1.parquet", "2.partial", "notes.txt"] {
        std::fs::write(folder.path().join(name), "x").unwrap();
    }
    file::sweep(folder.path()).unwrap();
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].file_name(), "notes.txt");
}

#[test]
fn a_write_that_fails_leaves_nothing_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("file");
    std::fs::write(&blocked, "x").unwrap();
    let error = file::write(&blocked.join("1.parquet"), &schema(), &[batch(0, 0..1)]).unwrap_err();
    assert!(error.to_string().contains("1.p"), "{error}");
}

#[test]
fn driblets_become_few_batches_in_order() {
    let mut tail = Tail::new(map(&[(0, 0), (1, 0)]), 0);
    for offset in 0..3000 {
        let batches = vec![batch(0, offset..offset + 1), batch(1, offset..offset + 1)];
        tail.append(batches, &map(&[(0, offset + 1), (1, offset + 1)]));
    }
    let view = tail.view(&LakeChunks::new(), &OffsetMap::new(), &map(&[(0, 3000), (1, 3000)]));
    let SegmentData::Memory(batches) = &view.segments[0].data else { panic!("no file yet") };
    assert!(batches.len() < 40, "{}", batches.len());
    let expected: Vec<_> = (0..2).flat_map(|p| (0..3000).map(move |o| (p, o))).collect();
    assert_eq!(offsets(batches), expected);
    assert_eq!(view.sealed.len(), 4, "two chunks a partition are whole");
    assert_eq!(offsets(&view.open[0].rows), (2048..3000).map(|o| (0, o)).collect::<Vec<_>>());
}

#[test]
fn rows_that_came_before_are_left_out() {
    let mut tail = Tail::new(map(&[(0, 10)]), 0);
    assert_eq!(tail.append(vec![batch(0, 5..20)], &map(&[(0, 20)])).len(), 1);
    let taken = tail.append(vec![batch(0, 12..25)], &map(&[(0, 30)]));
    assert_eq!(offsets(&taken), (20..25).map(|o| (0, o)).collect::<Vec<_>>());
    assert_eq!(tail.next(), &map(&[(0, 30)]), "positions pass what has no row");
    assert_eq!(tail.holdings().rows, 15);
}

#[test]
fn memory_is_let_go_once_the_file_is_there_and_eviction_frees_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let mut tail = Tail::new(map(&[(0, 0)]), 0);
    tail.append(vec![batch(0, 0..3000)], &map(&[(0, 3000)]));
    let before = tail.holdings();
    assert!(before.memory_bytes > 3000 * 16 && before.disk_bytes == 0);
    let job = tail.seal().unwrap();
    assert!(tail.seal().is_none(), "an open segment without rows is no segment");
    let path = folder.path().join("0.parquet");
    let (segment, bytes) = file::write(&path, &schema(), &job.batches).unwrap();
    tail.written(job.id, segment, bytes);
    assert_eq!(tail.holdings().memory_bytes, 0);
    assert_eq!(tail.holdings().disk_bytes, bytes);

    // An end of the past needs rows of its open chunk out of the file.
    let view = tail.view(&LakeChunks::new(), &OffsetMap::new(), &map(&[(0, 1500)]));
    assert_eq!(view.missing.len(), 1);
    assert!(view.open[0].complete && view.open[0].rows.is_empty());
    assert_eq!((view.missing[0].start, view.missing[0].end), (Offset(1024), Offset(1500)));

    assert_eq!(tail.evict(&map(&[(0, 2999)])), None, "one row of it is still needed");
    assert_eq!(tail.evict(&map(&[(0, 3000)])), Some(map(&[(0, 3000)])));
    assert_eq!(tail.holdings(), Holdings::default());
    assert!(path.exists(), "who has pinned it reads on");
    drop(view);
    assert!(!path.exists());
}

#[test]
fn a_chunk_whose_head_is_only_in_the_lake_has_the_bounds_of_both() {
    let lake: LakeChunks = {
        let id = ChunkId { partition: PartitionId(0), index: 0 };
        let head = crate::statistics::column_statistics(&batch(0, 0..500).rows);
        [(id, head.into())].into()
    };
    let mut tail = Tail::new(map(&[(0, 400)]), 0);
    tail.append(vec![batch(0, 400..1100)], &map(&[(0, 1100)]));
    let view = tail.view(&lake, &map(&[(0, 500)]), &map(&[(0, 1100)]));
    let bounds = &view.sealed[0].columns[0];
    let is = |bound: &Option<springtide_relation::Scalar>, value: i128| {
        let value = springtide_relation::Scalar::Integer(value);
        bound.as_ref().unwrap().compare(&value) == Some(std::cmp::Ordering::Equal)
    };
    assert!(is(&bounds.lower, 0) && is(&bounds.upper, 1023), "{bounds:?}");
    let view = tail.view(&lake, &map(&[(0, 500)]), &map(&[(0, 1000)]));
    assert!(!view.open[0].complete, "its head is not at hand");
}

#[test]
fn rows_that_a_foreign_commit_took_out_of_the_boundarys_chunk_are_missed() {
    let id = ChunkId { partition: PartitionId(0), index: 0 };
    let lake = |rows: &[TailBatch]| -> LakeChunks {
        let of = |b: &TailBatch| crate::statistics::column_statistics(&b.rows);
        rows.first().map(|b| (id, of(b).into())).into_iter().collect()
    };
    let mut tail = Tail::new(map(&[(0, 0)]), 0);
    tail.append(vec![batch(0, 0..900)], &map(&[(0, 900)]));
    let (boundary, end) = (map(&[(0, 500)]), map(&[(0, 900)]));
    let lost = |view: View| (view.open[0].complete, view.open[0].lost);
    let whole = lake(&[batch(0, 0..500)]);
    assert_eq!(lost(tail.view(&lake(&[]), &map(&[]), &end)), (true, 0));
    assert_eq!(lost(tail.view(&whole, &boundary, &end)), (true, 0), "our own commits lose none");
    assert_eq!(lost(tail.view(&lake(&[batch(0, 0..300)]), &boundary, &end)), (true, 200));
    assert_eq!(lost(tail.view(&lake(&[]), &boundary, &end)), (true, 500));

    tail.append(vec![batch(0, 900..1100)], &map(&[(0, 1100)]));
    let end = map(&[(0, 1100)]);
    let mut sealed = |lake: &LakeChunks, boundary: &OffsetMap| {
        tail.view(lake, boundary, &end).sealed.iter().find(|c| c.id == id).map(|c| c.rows)
    };
    assert_eq!(sealed(&lake(&[]), &map(&[])), Some(Some(1024)));
    assert_eq!(sealed(&whole, &boundary), Some(Some(1024)));
    assert_eq!(sealed(&lake(&[batch(0, 0..300)]), &boundary), Some(Some(824)));
    assert_eq!(sealed(&lake(&[]), &boundary), Some(Some(524)));
}
