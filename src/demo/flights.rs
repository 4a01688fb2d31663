//! The flights themselves: four weeks, by place. Places go on past the last
//! flight: then the four weeks come again, later and with ids that keep growing.

use std::fmt::Write as _;

use anyhow::{Context as _, ensure};
use arrow::array::{
    Array as _, ArrayRef, AsArray as _, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

const FILE: &[u8] = include_bytes!("../../demo/flights.parquet");
const DAY_MICROS: i64 = 86_400_000_000;
/// What the replay begins with: the last days of the file.
const REPLAYED_DAYS: i64 = 2;
const BATCH_ROWS: usize = 16 * 1024;

/// All flights of the file, in order of their ids.
#[derive(Debug)]
pub(crate) struct Flights {
    columns: Columns,
    history: usize,
    cycle_micros: i64,
}

#[derive(Debug)]
struct Columns {
    id: Int64Array,
    date: TimestampMicrosecondArray,
    delay: Int64Array,
    distance: Int64Array,
    origin: StringArray,
    destination: StringArray,
}

impl Flights {
    /// Reads the file that lies in the program.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from_static(FILE))?
            .with_batch_size(BATCH_ROWS)
            .build()?;
        let batches = reader.collect::<Result<Vec<_>, _>>()?;
        let schema = batches.first().context("the demo's file is empty")?.schema();
        let all = arrow::compute::concat_batches(&schema, &batches)?;
        Self::new(&all)
    }

    fn new(all: &RecordBatch) -> anyhow::Result<Self> {
        let columns = Columns::new(all)?;
        let rows = columns.id.len();
        ensure!(rows > 0, "there is no flight");
        let (first_day, last_day) =
            (columns.date.value(0) / DAY_MICROS, columns.date.value(rows - 1) / DAY_MICROS);
        let first_replayed = (last_day + 1 - REPLAYED_DAYS) * DAY_MICROS;
        let history = columns.date.values().partition_point(|date| *date < first_replayed);
        let cycle_micros = (last_day + 1 - first_day) * DAY_MICROS;
        Ok(Self { columns, history, cycle_micros })
    }

    /// How many of them are history; the first place of the replay.
    pub(crate) const fn history_rows(&self) -> usize {
        self.history
    }

    /// The history, in batches.
    pub(crate) fn history(&self) -> anyhow::Result<Vec<RecordBatch>> {
        self.batches(self.history)
    }

    /// All of them, in batches.
    pub(crate) fn all(&self) -> anyhow::Result<Vec<RecordBatch>> {
        self.batches(self.columns.id.len())
    }

    fn batches(&self, rows: usize) -> anyhow::Result<Vec<RecordBatch>> {
        let all = self.columns.batch()?;
        let starts = (0..rows).step_by(BATCH_ROWS);
        Ok(starts.map(|at| all.slice(at, BATCH_ROWS.min(rows - at))).collect())
    }

    /// The id of the flight at a place.
    pub(crate) fn id(&self, place: u64) -> i64 {
        self.columns.id.value(0) + i64::try_from(place).unwrap_or(i64::MAX)
    }

    /// The place of an id; `None` where it is none of these flights'.
    pub(crate) fn place(&self, id: i64) -> Option<u64> {
        u64::try_from(id - self.columns.id.value(0)).ok()
    }

    /// Appends the flight at a place as one line of JSON.
    pub(crate) fn write_json(&self, place: u64, line: &mut String) {
        let rows = self.columns.id.len() as u64;
        let row = usize::try_from(place % rows).unwrap_or(0);
        let cycle = i64::try_from(place / rows).unwrap_or(0);
        let columns = &self.columns;
        let date = columns.date.value(row) + cycle * self.cycle_micros;
        let _ = writeln!(
            line,
            r#"{{"flight_id":{},"date":"{}","delay":{},"distance":{},"origin":"{}","destination":"{}"}}"#,
            self.id(place),
            iso(date),
            columns.delay.value(row),
            columns.distance.value(row),
            columns.origin.value(row),
            columns.destination.value(row),
        );
    }
}

impl Columns {
    fn new(all: &RecordBatch) -> anyhow::Result<Self> {
        let column = |name: &str, kind: &DataType| -> anyhow::Result<ArrayRef> {
            let found = all.column_by_name(name);
            let found = found.with_context(|| format!("the demo's file has no `{name}`"))?;
            ensure!(found.null_count() == 0, "`{name}` has NULLs");
            Ok(cast(found, kind)?)
        };
        let long = |name: &str| column(name, &DataType::Int64);
        let date = column("date", &DataType::Timestamp(TimeUnit::Microsecond, None))?;
        Ok(Self {
            id: long("flight_id")?.as_primitive::<Int64Type>().clone(),
            date: date.as_primitive::<TimestampMicrosecondType>().clone(),
            delay: long("delay")?.as_primitive::<Int64Type>().clone(),
            distance: long("distance")?.as_primitive::<Int64Type>().clone(),
            origin: column("origin", &DataType::Utf8)?.as_string::<i32>().clone(),
            destination: column("destination", &DataType::Utf8)?.as_string::<i32>().clone(),
        })
    }

    fn batch(&self) -> anyhow::Result<RecordBatch> {
        let array = |array: &dyn arrow::array::Array| arrow::array::make_array(array.to_data());
        Ok(RecordBatch::try_from_iter([
            ("flight_id", array(&self.id)),
            ("date", array(&self.date)),
            ("delay", array(&self.delay)),
            ("distance", array(&self.distance)),
            ("origin", array(&self.origin)),
            ("destination", array(&self.destination)),
        ])?)
    }
}

/// `2001-03-31T23:59:00`.
fn iso(micros: i64) -> String {
    let text = arrow::temporal_conversions::timestamp_us_to_datetime(micros);
    text.map(|date| date.format("%Y-%m-%dT%H:%M:%S").to_string()).unwrap_or_default()
}
