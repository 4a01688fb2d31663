//! The same ways over a real Apache Kafka.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::client::{flights, get, ingest, post, sql};
use crate::faults::part;
use crate::flow;
use crate::program::{FREE_PORTS, House, Server, eventually, springtide};

/// The broker of these tests; it ends with this process. `None` where
/// `SPRINGTIDE_TEST_SERVICES=none`.
#[allow(clippy::disallowed_methods)]
fn broker() -> Option<&'static str> {
    static BROKER: OnceLock<Option<String>> = OnceLock::new();
    let start = || {
        if std::env::var("SPRINGTIDE_TEST_SERVICES").as_deref() == Ok("none") {
            eprintln!("left out: SPRINGTIDE_TEST_SERVICES=none, so no Kafka broker is started");
            return None;
        }
        let own = std::process::id().to_string();
        Some(script(&["start", &place("shared"), &own]))
    };
    BROKER.get_or_init(start).as_deref()
}

/// The folder of a broker of this process.
fn place(name: &str) -> String {
    let folder = format!("springtide-it-kafka-{}-{name}", std::process::id());
    std::env::temp_dir().join(folder).to_str().unwrap().to_owned()
}

/// Runs `kafka.sh`; what it printed.
fn script(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services/kafka.sh");
    let ran = Command::new(script).args(arguments).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

/// A house whose topic is its own.
fn house(broker: &str, topic: &str) -> House {
    let stream = format!(
        "[stream]\ntype = \"kafka\"\nbootstrap_servers = \"{broker}\"\ncreate_topics = true\npartitions = 3\n\
         produce_wait = \"30s\"\n"
    );
    let house = House::with(&stream);
    let file = house.path().join("springtide.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("topic = \"flights\"", &format!("topic = \"{topic}\""));
    std::fs::write(&file, text).unwrap();
    house
}

#[test]
fn an_answer_is_kept_until_a_row_matches() {
    let Some(broker) = broker() else { return };
    flow::miss_hit_change_304(&house(broker, "kept"));
}

#[test]
fn no_row_is_lost_or_doubled_by_commits_and_crashes() {
    let Some(broker) = broker() else { return };
    flow::every_row_once(&house(broker, "once"));
}

#[test]
fn the_demo_replays_through_it_and_goes_on_where_it_stopped() {
    let Some(broker) = broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let arguments = ["demo", "--rate", "500", "--kafka", broker, "--dir", "state"];
        Server::start(springtide(&arguments).args(FREE_PORTS).current_dir(folder.path()))
    };
    let totals = |base: &str| -> Value {
        let statement = "SELECT count(*) AS n, count(DISTINCT flight_id) AS d, \
            max(flight_id) - min(flight_id) + 1 AS span FROM flights";
        sql(base, statement, &[]).row()
    };
    let server = start();
    let first = totals(&server.origin)["n"].as_u64().unwrap();
    eventually("flights arrive", || totals(&server.origin)["n"].as_u64().unwrap() > first + 500);
    server.crash();
    let server = start();
    let again = totals(&server.origin);
    assert!(again["n"].as_u64().unwrap() > first + 500, "{again}");
    eventually("flights go on", || totals(&server.origin)["n"].as_u64() > again["n"].as_u64());
    let all = totals(&server.origin);
    assert_eq!((&all["n"], &all["n"]), (&all["d"], &all["span"]), "none lost, none twice");
    let table = get(&format!("{}/v1/tables/flights", server.origin), &[]).json();
    assert_eq!(table["state"], "live");
}

#[test]
fn a_broker_that_dies_is_named_and_loses_nothing() {
    if broker().is_none() {
        return;
    }
    let (folder, own) = (place("dies"), std::process::id().to_string());
    let address = script(&["start", &folder, &own]);
    let house = house(&address, "dies");
    let server = house.serve();
    let count = |minimum: &[(&str, &str)]| {
        sql(&server.origin, "SELECT count(*) AS n FROM flights", minimum)
    };
    let token = ingest(&server.edge, &flights(0..200, "2001-03-10", "ATL"));
    assert_eq!(count(&[("springtide-min-version", &token)]).row()["n"], 200);

    script(&["pause", &folder]);
    eventually("the stream is named", || !part(&server.origin, "stream").0);
    assert_eq!(count(&[]).row()["n"], 200, "answers go on");
    let url = format!("{}/v1/ingest/flights", server.edge);
    let refused = post(&url, &[], &flights(200..300, "2001-03-10", "ATL"));
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(!refused.header("retry-after").is_empty(), "{refused:?}");
    assert_eq!(refused.json()["rows_stored"], "no", "{}", refused.body);

    script(&["resume", &folder]);
    eventually("the stream is back", || part(&server.origin, "stream").0);
    // Each attempt has ids of its own: one whose outcome is not known may have landed.
    let mut next = 1000;
    let mut taken = None;
    eventually("rows are taken again", || {
        let ids = next..next + 100;
        next = ids.end;
        let reply = post(&url, &[], &flights(ids.clone(), "2001-03-10", "ATL"));
        if reply.status == 202 {
            taken = Some((ids, reply.header("springtide-version").to_owned()));
        }
        taken.is_some()
    });
    let (ids, token) = taken.unwrap();
    let surely = format!("flight_id < 200 OR flight_id BETWEEN {} AND {}", ids.start, ids.end - 1);
    let statement = format!(
        "SELECT count(*) FILTER ({surely}) AS n, count(DISTINCT flight_id) FILTER ({surely}) AS d, \
            count(*) FILTER (flight_id BETWEEN 200 AND 299) AS refused FROM flights"
    );
    let row = sql(&server.origin, &statement, &[("springtide-min-version", &token)]).row();
    assert_eq!((&row["n"], &row["d"]), (&Value::from(300), &Value::from(300)), "{row}");
    assert_eq!(row["refused"], 0, "what was refused was not added: {row}");
    server.crash();
    script(&["stop", &folder]);
}
