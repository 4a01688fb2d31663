//! The listener's bounds: headers, time, connections, statements.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::house::{House, PATIENCE, sql};

/// Sends bytes as they are and reads until the server closes or is silent.
async fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> String {
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(Ok(read)) = timeout(Duration::from_secs(2), stream.read(&mut piece)).await {
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&piece[..read]);
        if answer.windows(4).any(|w| w == b"\r\n\r\n") {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn headers_are_bounded() {
    let house = House::new().await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let large =
        format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-pad: {}\r\n\r\n", "x".repeat(64 * 1024));
    let answer = exchange(&mut stream, large.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(house.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn headers_that_never_end_lose_their_connection() {
    let house =
        House::with(|settings| settings.bounds.header_time = Duration::from_millis(200)).await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let mut rest = Vec::new();
    let closed = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    closed.expect("the server closes").ok();
}

#[tokio::test]
async fn a_connection_beyond_the_bound_waits_for_a_place() {
    let house = House::with(|settings| settings.bounds.connections = 2).await;
    let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut first = TcpStream::connect(house.address).await.unwrap();
    assert!(exchange(&mut first, request).await.starts_with("HTTP/1.1 200"));
    let mut second = TcpStream::connect(house.address).await.unwrap();
    assert!(exchange(&mut second, request).await.starts_with("HTTP/1.1 200"));
    let mut third = TcpStream::connect(house.address).await.unwrap();
    third.write_all(request).await.unwrap();
    let mut byte = [0; 1];
    let waited = timeout(Duration::from_millis(300), third.read(&mut byte)).await;
    assert!(waited.is_err(), "it is not served yet");
    drop((first, second));
    let served = timeout(PATIENCE, third.read(&mut byte)).await.expect("a place is free");
    assert_eq!(served.unwrap(), 1);
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_an_error() {
    let house = House::with(|settings| settings.limits.time = Duration::from_millis(200)).await;
    let rows: String = (0..3000)
        .map(|id| {
            format!(
                "{{\"id\":{id},\"date\":\"2001-03-31T08:00:00\",\"delay\":1,\"origin\":\"SFO\"}}\n"
            )
        })
        .collect();
    house.ingest("flights", &rows).await;
    let slow =
        "SELECT count(*) AS n FROM flights a, flights b, flights c WHERE a.id + b.id * c.id = -1";
    let answer = timeout(PATIENCE, house.get(&sql(slow))).await.expect("it is interrupted");
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (503, "query-timeout"));
    assert_eq!(house.get(&sql("SELECT 1 AS x")).await.status, 200, "the next one runs");
}
