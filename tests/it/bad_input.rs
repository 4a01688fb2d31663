//! What is wrong is refused with a message that says what to change, and
//! nothing of it is taken.

use std::net::TcpListener;

use crate::client::{Reply, flights, get, ingest, post, sql};
use crate::program::{House, run, said, springtide};

/// A problem's status and the text that says what to change.
#[track_caller]
fn refused(reply: &Reply, status: u16, words: &[&str]) {
    assert_eq!(reply.status, status, "{}", reply.body);
    assert_eq!(reply.header("content-type"), "application/problem+json", "{reply:?}");
    let detail = reply.json()["detail"].as_str().unwrap().to_owned();
    for word in words {
        assert!(detail.contains(word), "`{word}` is not in: {detail}");
    }
}

#[test]
fn requests_that_are_wrong_are_told_what_to_change() {
    let house = House::journal();
    let query = "/*\ndescription = \"One airport\"\n[[parameters]]\nname = \"origin\"\ntype = \"string\"\n\
        [[parameters]]\nname = \"n\"\ntype = \"integer\"\ndefault = 5\n*/\n\
        SELECT count(*) AS n FROM flights WHERE origin = $origin AND delay < $n";
    house.publish("airport", query);
    let server = house.serve();
    ingest(&server.edge, &flights(0..3, "2001-03-10", "ATL"));
    for base in [&server.edge, &server.origin] {
        refused(&sql(base, "SELEC 1", &[]), 400, &[]);
        refused(&sql(base, "SELECT * FROM fligths", &[]), 400, &["flights"]);
        refused(&sql(base, "SELECT nothing FROM flights", &[]), 400, &["nothing"]);
        refused(&sql(base, "SELECT * FROM read_text('/etc/passwd')", &[]), 400, &["read_text"]);
        refused(&sql(base, "COPY flights TO '/tmp/x'", &[]), 400, &[]);
        let q = |rest: &str| get(&format!("{base}/v1/q/airport.json{rest}"), &[]);
        assert_eq!(q("?origin=ATL").row()["n"], 3);
        refused(&q(""), 400, &["origin"]);
        refused(&q("?origin=ATL&orgin=ATL"), 400, &["orgin"]);
        refused(&q("?origin=ATL&n=many"), 400, &["n", "many"]);
        refused(&get(&format!("{base}/v1/q/nowhere.json"), &[]), 404, &["nowhere"]);
        refused(&get(&format!("{base}/v1/tables/nowhere"), &[]), 404, &["nowhere"]);
    }
}

#[test]
fn a_batch_is_taken_whole_or_not_at_all() {
    let house = House::journal();
    let server = house.serve();
    let url = format!("{}/v1/ingest/flights", server.edge);
    let good = flights(0..2, "2001-03-10", "ATL");
    let bad = format!("{good}{}", flights(2..3, "soon", "ATL"));
    refused(&post(&url, &[], &bad), 400, &["3", "date"]);
    refused(&post(&url, &[], &format!("{good}{{\"flight_id\":")), 400, &["3"]);
    refused(&post(&url, &[], ""), 400, &[]);
    refused(&post(&format!("{}/v1/ingest/nowhere", server.edge), &[], &good), 404, &["nowhere"]);
    let token = ingest(&server.edge, &good);
    let minimum = [("springtide-min-version", token.as_str())];
    let count = sql(&server.origin, "SELECT count(*) AS n FROM flights", &minimum);
    assert_eq!(count.row()["n"], 2, "nothing of the refused batches was taken");

    // The same key again is the same batch.
    let key = [("idempotency-key", "once")];
    let (first, again) = (post(&url, &key, &good), post(&url, &key, &good));
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    let minimum = [("springtide-min-version", first.header("springtide-version"))];
    let count = sql(&server.origin, "SELECT count(*) AS n FROM flights", &minimum);
    assert_eq!(count.row()["n"], 4);
}

#[test]
fn a_port_in_use_is_told_with_the_flag_that_moves_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let house = House::journal();
    for flag in ["--edge-listen", "--origin-listen"] {
        let other = if flag == "--edge-listen" { "--origin-listen" } else { "--edge-listen" };
        let mut command = house.command(&["serve", flag, &address, other, "127.0.0.1:0"]);
        let refused = run(&mut command);
        assert_eq!(refused.status.code(), Some(1));
        let told = said(&refused);
        assert!(told.contains(&address) && told.contains("is in use"), "{told}");
        assert!(told.contains(flag), "{told}");
        assert!(!house.path().join("state").exists(), "nothing was opened");
    }
}

#[test]
fn without_a_table_there_is_nothing_to_serve() {
    let folder = tempfile::tempdir().unwrap();
    let refused = run(springtide(&["serve"]).current_dir(folder.path()));
    assert_eq!(refused.status.code(), Some(1));
    let told = said(&refused);
    assert!(told.contains("springtide.toml") && told.contains("springtide demo"), "{told}");
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let house = House::journal();
    std::fs::write(house.path().join("state"), "a file stands here").unwrap();
    let refused = run(house.command(&["serve"]).args(crate::program::FREE_PORTS));
    assert_eq!(refused.status.code(), Some(2));
    let told = said(&refused);
    assert!(told.contains("state") && told.contains("--dir"), "{told}");
}
