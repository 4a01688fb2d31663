//! An independent reader of the lake agrees with the answers.

use std::path::Path;
use std::process::Command;

use crate::client::{flights, ingest, sql};
use crate::program::{House, run, said};

#[test]
#[allow(clippy::disallowed_methods)]
fn pyiceberg_reads_what_was_answered() {
    if std::env::var("SPRINGTIDE_TEST_SERVICES").as_deref() == Ok("none") {
        eprintln!("left out: SPRINGTIDE_TEST_SERVICES=none, so no Python environment is made");
        return;
    }
    let house = House::journal();
    let server = house.serve();
    for (batch, day) in ["2001-03-10", "2001-03-11", "2001-03-12"].into_iter().enumerate() {
        let first = batch as u64 * 1000;
        ingest(&server.edge, &flights(first..first + 1000, day, "ATL"));
    }
    assert!(server.stop().success());
    let committed = run(&mut house.command(&["commit", "--once"]));
    assert!(committed.status.success(), "{}", said(&committed));

    let server = house.serve();
    let statement = "SELECT count(*) AS n, sum(flight_id) AS s, sum(delay) AS d FROM flights";
    let row = sql(&server.origin, statement, &[]).row();
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services");
    let python = Command::new(services.join("python.sh")).output().unwrap();
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
    let tables = house.path().join("state/tables");
    let reader = Command::new(String::from_utf8(python.stdout).unwrap().trim())
        .arg(services.join("pyiceberg/check.py"))
        .arg("--database")
        .arg(tables.join("catalog.sqlite"))
        .arg("--warehouse")
        .arg(format!("file://{}", tables.join("warehouse").display()))
        .args(["--table", "demo.flights", "--rows", &row["n"].to_string()])
        .args([
            "--sum",
            &format!("flight_id={}", row["s"]),
            "--sum",
            &format!("delay={}", row["d"]),
        ])
        .args(["--filter", "date >= '2001-03-11T00:00:00'=2000"])
        .output()
        .unwrap();
    assert!(reader.status.success(), "{}", String::from_utf8_lossy(&reader.stderr));
    assert_eq!(row["n"], 3000);
}
