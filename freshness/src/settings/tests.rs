//! The configuration's shape: defaults, refusals, and messages that say what to change.

use super::*;

const FLIGHTS: &str = r#"
    folder = "state"
    pin_window = "30m"

    [catalog]
    type = "sql"

    [stream]
    type = "kafka"
    bootstrap_servers = "127.0.0.1:9092"
    produce_wait = "5s"
    [stream.settings]
    "client.id" = "springtide"

    [tail]
    memory = "64MiB"

    [[table]]
    name = "flights"
    identifier = "demo.flights"
    topic = "flights"
    format = "json"
    columns = ["flight_id long required", "date timestamp", "fare decimal(10, 2)"]
    partition_by = ["day(date)"]
    commit = { every = "10s", rows = 100_000 }
"#;

fn read(text: &str) -> Result<FreshnessSettings, String> {
    let settings: FreshnessSettings = toml::from_str(text).map_err(|e| e.to_string())?;
    settings.validate().map_err(|e| e.to_string())?;
    Ok(settings)
}

#[test]
fn the_documented_shape_is_read() {
    let settings = read(FLIGHTS).unwrap();
    assert_eq!(settings.pin_window, Duration::from_secs(1800));
    assert_eq!(settings.stream.produce_wait, Duration::from_secs(5));
    assert_eq!(StreamSettings::default().produce_wait, Duration::from_secs(3));
    assert_eq!(settings.tail.memory, 64 << 20);
    assert_eq!(settings.tail.segment_rows, 32_768);
    let table = &settings.tables[0];
    assert_eq!(table.columns[0].to_string(), "flight_id long required");
    assert_eq!(table.columns[2].kind, ColumnType::Decimal(10, 2));
    assert_eq!(table.tag_partition().unwrap().to_string(), "day(date)");
    assert_eq!(table.parts().unwrap(), (vec!["demo".to_owned()], "flights".to_owned()));
    assert_eq!(table.commit.bytes, 64 << 20);
}

#[test]
fn each_mistake_is_refused_with_what_to_change() {
    let cases = [
        ("pin_window = \"30m\"", "pin_windw = \"30m\"", "pin_windw"),
        ("pin_window = \"30m\"", "pin_window = \"30 parsecs\"", "write for example \"10s\""),
        ("memory = \"64MiB\"", "memory = \"many\"", "write for example \"256MiB\""),
        ("memory = \"64MiB\"", "memory = 0", "tail.memory: must be greater than zero"),
        ("bootstrap_servers = \"127.0.0.1:9092\"", "", "stream.bootstrap_servers"),
        ("bootstrap_servers", "partitions = 65\nbootstrap_servers", "must be at most 64"),
        ("\"demo.flights\"", "\"flights\"", "write `namespace.table`"),
        ("\"date timestamp\"", "\"date moment\"", "`moment` is not a type"),
        ("\"date timestamp\"", "\"__date timestamp\"", "reserved"),
        ("\"date timestamp\"", "\"FLIGHT_ID timestamp\"", "given twice"),
        ("day(date)", "day(dawn)", "does not have"),
        ("day(date)", "week(date)", "is not a partition"),
        ("format = \"json\"", "key = [\"flight_id\"]", "not supported yet"),
        ("name = \"flights\"", "name = \"Flights\"", "is not a table name"),
        ("rows = 100_000", "rows = 0", "must be above zero"),
        ("rows = 100_000", "row = 1", "unknown field `row`"),
    ];
    for (from, to, expected) in cases {
        assert!(FLIGHTS.contains(from), "{from}");
        let message = read(&FLIGHTS.replace(from, to)).unwrap_err();
        assert!(message.contains(expected), "{to}: {message}");
    }
}

#[test]
fn one_topic_feeds_one_table() {
    let second = "[[table]]\nname = \"b\"\nidentifier = \"demo.b\"\ntopic = \"flights\"\n";
    let message = read(&format!("{FLIGHTS}\n{second}")).unwrap_err();
    assert!(message.contains("already feeds table `flights`"), "{message}");
    let again = FLIGHTS.split("[[table]]").nth(1).unwrap();
    let message = read(&format!("{FLIGHTS}\n[[table]]{again}")).unwrap_err();
    assert!(message.contains("is given twice"), "{message}");
}
