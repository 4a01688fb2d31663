//! The same ways over a real Apache Kafka.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::client::{get, sql};
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
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services/kafka.sh");
        let own = std::process::id().to_string();
        let folder: PathBuf = std::env::temp_dir().join(format!("springtide-it-kafka-{own}"));
        let ran = Command::new(script).arg("start").arg(folder).arg(own).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        Some(String::from_utf8(ran.stdout).unwrap().trim().to_owned())
    };
    BROKER.get_or_init(start).as_deref()
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
