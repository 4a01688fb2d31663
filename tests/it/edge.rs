//! Origin and edge as processes of their own, and the commands that end.

use std::process::Stdio;

use crate::client::{flights, get, ingest, sql};
use crate::program::{House, Server, eventually, run, said, springtide};

const COUNT: &str = "SELECT count(*) AS n FROM flights";

#[test]
fn an_edge_stands_before_an_origin_elsewhere() {
    let house = House::journal();
    let origin = Server::start(house.command(&["origin"]).args(["--origin-listen", "127.0.0.1:0"]));
    assert!(origin.edge.is_empty());
    let mut command = springtide(&["edge", "--upstream", &origin.origin]);
    let edge = Server::start(command.args(["--edge-listen", "127.0.0.1:0"]));
    assert!(edge.origin.is_empty());
    ingest(&edge.edge, &flights(0..5, "2001-03-10", "ATL"));
    eventually("the rows are answered", || sql(&edge.edge, COUNT, &[]).row()["n"] == 5);
    eventually("a hit", || sql(&edge.edge, COUNT, &[]).header("cache-status").contains("; hit"));
    assert!(edge.stop().success());
    assert!(origin.stop().success());
}

#[test]
fn an_edge_stands_before_any_http_server() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer_its_target(stream.unwrap());
        }
    });
    let mut command = springtide(&["edge", "--upstream", &upstream, "--upstream-kind", "http"]);
    let edge = Server::start(command.args(["--edge-listen", "127.0.0.1:0"]));
    let url = format!("{}/shop//a?b=2&a=1&c=", edge.edge);
    let miss = get(&url, &[]);
    assert_eq!(miss.body, "/shop//a?b=2&a=1&c=", "as it was asked for");
    eventually("a hit", || get(&url, &[]).header("cache-status").contains("; hit"));
    assert!(edge.stop().success());
}

/// The least of an HTTP server: one answer a connection, its own target.
fn answer_its_target(mut stream: std::net::TcpStream) {
    use std::io::{BufRead as _, Write as _};
    let mut reader = std::io::BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while reader.read_line(&mut head).is_ok_and(|bytes| bytes > 2) {}
    let target = head.split(' ').nth(1).unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\ncache-control: max-age=60\r\nconnection: close\r\n\r\n{target}",
        target.len(),
    );
    // Whoever went away needs no answer.
    let _ = stream.write_all(answer.as_bytes());
}

#[test]
fn one_folder_has_one_program() {
    let house = House::journal();
    let server = house.serve();
    let refused = run(&mut house.command(&["sql", COUNT]));
    assert_eq!(refused.status.code(), Some(2));
    let said = said(&refused);
    assert!(said.contains("is in use by another springtide"), "{said}");
    assert!(said.contains(&server.edge), "it says whom to ask: {said}");
}

#[test]
fn sql_and_commit_work_on_what_a_server_left() {
    let house = House::with("[tail]\nsegment_rows = 10\n");
    let server = house.serve();
    ingest(&server.edge, &flights(0..25, "2001-03-10", "ATL"));
    assert!(server.stop().success());

    let answer = run(house.command(&["sql", COUNT]).args(["--format", "csv"]));
    assert!(answer.status.success(), "{}", said(&answer));
    assert_eq!(String::from_utf8(answer.stdout).unwrap(), "n\r\n25\r\n");
    let table = run(&mut house.command(&["sql", COUNT]));
    assert_eq!(String::from_utf8(table.stdout).unwrap(), " n\n--\n25\n(1 row)\n");

    let committed = run(&mut house.command(&["commit", "--once"]));
    assert!(committed.status.success(), "{}", said(&committed));
    let version = String::from_utf8(committed.stdout).unwrap();
    assert!(version.trim().starts_with("flights.") && version.contains(".o0-25"), "{version}");
}

#[test]
fn a_stopped_server_ends_its_streams() {
    let house = House::journal();
    let server = house.serve();
    let curl = std::process::Command::new("curl")
        .args(["-sN", &format!("{}/v1/changes", server.edge)])
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut curl) = curl else { return };
    let mut line = String::new();
    let mut lines = std::io::BufReader::new(curl.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
    assert!(server.stop().success());
    curl.wait().unwrap();
}
