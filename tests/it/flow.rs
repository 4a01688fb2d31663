//! The main way: a miss, a hit, a row that matches, one that cannot, a 304; all
//! rows once while the committer runs; killed in the middle and started again.

use serde_json::json;

use crate::client::{flights, get, ingest, sql, sql_url};
use crate::program::{House, eventually};

const MARCH_10: &str = "SELECT count(*) AS n, sum(delay) AS d FROM flights \
    WHERE date >= TIMESTAMP '2001-03-10' AND date < TIMESTAMP '2001-03-11'";
const TOTALS: &str =
    "SELECT count(*) AS n, sum(flight_id) AS s, count(DISTINCT flight_id) AS d FROM flights";

/// From the first miss to the last 304, over whichever stream the house has.
pub(crate) fn miss_hit_change_304(house: &House) {
    let server = house.serve();
    let token = ingest(&server.edge, &flights(0..100, "2001-03-10", "ATL"));
    let minimum = [("springtide-min-version", token.as_str())];
    let first = sql(&server.edge, MARCH_10, &minimum);
    assert_eq!(first.row()["n"], 100);
    assert!(first.header("cache-tag").contains("t:flights/2001-03-10"), "{first:?}");

    // Held once the edge follows the feed.
    eventually("a hit", || {
        let again = sql(&server.edge, MARCH_10, &[]);
        assert_eq!((again.etag(), &again.body), (first.etag(), &first.body));
        again.header("cache-status").contains("; hit")
    });

    // A row of another day cannot match: neither edge nor origin tells another ETag.
    let token = ingest(&server.edge, &flights(100..101, "2001-03-12", "ATL"));
    let minimum = [("springtide-min-version", token.as_str())];
    let unmoved = sql(&server.origin, MARCH_10, &minimum);
    assert_eq!((unmoved.etag(), &unmoved.body), (first.etag(), &first.body));

    // A row of the day matches.
    let token = ingest(&server.edge, &flights(101..102, "2001-03-10", "ATL"));
    let minimum = [("springtide-min-version", token.as_str())];
    let moved = sql(&server.edge, MARCH_10, &minimum);
    assert_eq!(moved.row()["n"], 101);
    assert_ne!(moved.etag(), first.etag());
    // Without a token the change reaches the edge by itself.
    eventually("the edge renews", || sql(&server.edge, MARCH_10, &[]).row()["n"] == 101);

    for base in [&server.edge, &server.origin] {
        let same = sql(base, MARCH_10, &[("if-none-match", moved.etag())]);
        assert_eq!((same.status, same.body.as_str()), (304, ""));
        assert_eq!(same.etag(), moved.etag());
        assert!(!same.header("springtide-version").is_empty(), "{same:?}");
    }

    // What was issued can be asked for again, and is as it was.
    let version = first.header("springtide-version");
    let pinned = get(&format!("{}&v={version}", sql_url(&server.origin, MARCH_10)), &[]);
    assert_eq!((pinned.status, &pinned.body), (200, &first.body), "{pinned:?}");
    assert!(pinned.header("cache-control").contains("immutable"), "{pinned:?}");
    assert!(server.stop().success());
}

/// Every row once, in tail and lake together, at each moment, through two crashes.
pub(crate) fn every_row_once(house: &House) {
    const BATCH: u64 = 500;
    let mut server = house.serve();
    let mut sent = 0;
    for round in 0..40 {
        if round == 13 || round == 27 {
            server.crash();
            server = house.serve();
        }
        let token = ingest(&server.edge, &flights(sent..sent + BATCH, "2001-03-10", "ATL"));
        sent += BATCH;
        let minimum = [("springtide-min-version", token.as_str())];
        let totals = sql(&server.origin, TOTALS, &minimum);
        let wanted = json!({"n": sent, "s": sent * (sent - 1) / 2, "d": sent});
        assert_eq!(totals.row(), wanted, "round {round}");
    }
    // Nothing moves when the rest goes from tail to lake.
    let before = sql(&server.origin, TOTALS, &[]);
    eventually("all rows are in the lake", || {
        let tables = get(&format!("{}/v1/tables/flights", server.origin), &[]).json();
        tables["lake"]["rows"] == sent
    });
    let after = sql(&server.origin, TOTALS, &[]);
    assert_eq!((after.etag(), &after.body), (before.etag(), &before.body));
    server.crash();
    let server = house.serve();
    let again = sql(&server.origin, TOTALS, &[]);
    assert_eq!((again.etag(), &again.body), (before.etag(), &before.body));
}

#[test]
fn an_answer_is_kept_until_a_row_matches() {
    miss_hit_change_304(&House::journal());
}

#[test]
fn no_row_is_lost_or_doubled_by_commits_and_crashes() {
    every_row_once(&House::journal());
}
