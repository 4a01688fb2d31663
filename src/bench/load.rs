//! The load generator: many kept connections, each asking again as soon as it
//! is answered. Runs in a process of its own, on one thread.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::connection::{Connection, Url};

/// Connections at once.
pub(super) const CONNECTIONS: usize = 64;
const WARM_UP: Duration = Duration::from_millis(500);

/// Asks `target` for `seconds`; prints a line when it is warm, then one with
/// requests and seconds.
pub(super) async fn run(target: &str, seconds: u64) -> anyhow::Result<()> {
    let target = target.to_owned();
    // Its own runtime, on this one thread: its share of the machine is one core.
    let worker = std::thread::spawn(move || -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(generate(&target, seconds))
    });
    tokio::task::spawn_blocking(move || worker.join())
        .await?
        .map_err(|_| anyhow::anyhow!("the load generator ended by a defect"))?
}

async fn generate(target: &str, seconds: u64) -> anyhow::Result<()> {
    let url: Url = target.parse()?;
    let request = url.get("");
    let begin = Instant::now() + WARM_UP;
    let end = begin + Duration::from_secs(seconds);
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::open(&url.authority).await?;
        let request = request.clone();
        connections.spawn(async move {
            let mut counted = 0_u64;
            loop {
                let status = connection.ask_and_drop(&request).await?;
                ensure!(status == 200, "the target answered {status}");
                let now = Instant::now();
                if now >= end {
                    return Ok(counted);
                }
                counted += u64::from(now >= begin);
            }
        });
    }
    tokio::time::sleep_until(begin).await;
    println!("warm");
    let mut requests = 0;
    while let Some(ended) = connections.join_next().await {
        requests += ended.context("a connection ended by a defect")??;
    }
    println!("{requests} {seconds}");
    Ok(())
}
