//! The three flight queries: by URL, uncached, against the same SQL in DuckDB
//! in process over the same Parquet files.

use anyhow::ensure;
use springtide_engine::peer::Peer;
use tokio::time::Instant;

use super::connection::{Connection, Url};
use super::fixture::Fixture;
use super::report::{Figure, Report, Samples, Wanted};

/// The three flight queries, with the table's name left open.
pub(super) const QUERIES: [(&str, &str); 3] = [
    (
        "top_origins",
        "SELECT origin, count(*) AS n, avg(delay) AS d FROM {table} GROUP BY 1 ORDER BY n DESC LIMIT 20",
    ),
    (
        "one_day_by_hour",
        "SELECT date_trunc('hour', date) AS h, count(*) AS n FROM {table} WHERE date >= TIMESTAMP '{day}' AND date < TIMESTAMP '{next}' GROUP BY 1 ORDER BY 1",
    ),
    (
        "one_airport_week",
        "SELECT destination, count(*) AS n, avg(delay) AS d FROM {table} WHERE origin = 'ATL' AND date >= TIMESTAMP '2001-03-20' AND date < TIMESTAMP '2001-03-27' GROUP BY 1 ORDER BY 2 DESC",
    ),
];
const RATIO: f64 = 1.5;
const WARM_UPS: usize = 5;
const RUNS: usize = 41;

/// A query over a table. The demo's weeks do not hold the day that the whole
/// quarter is asked for.
pub(super) fn sql(template: &str, table: &str, whole_quarter: bool) -> String {
    let (day, next) =
        if whole_quarter { ("2001-02-10", "2001-02-11") } else { ("2001-03-10", "2001-03-11") };
    template.replace("{table}", table).replace("{day}", day).replace("{next}", next)
}

/// `/v1/sql` of a statement; the edge is not asked, so nothing is cached.
pub(super) fn request(origin: &str, sql: &str, headers: &str) -> anyhow::Result<(Url, Vec<u8>)> {
    let url: Url = format!("{origin}/v1/sql.json?q={}", percent_encoded(sql)).parse()?;
    let request = url.get(headers);
    Ok((url, request))
}

/// Everything but letters and digits.
pub(super) fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

pub(super) async fn measure(fixture: &Fixture, report: &mut Report) -> anyhow::Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let peer = Peer::open(threads)?;
    let files = fixture.files("flights").await?;
    peer.view("flights", files.iter().map(std::path::PathBuf::as_path))?;
    for (name, template) in QUERIES {
        let sql = sql(template, "flights", fixture.is_whole_quarter());
        let (url, request) = request(fixture.origin(), &sql, "")?;
        let mut connection = Connection::open(&url.authority).await?;
        let (mut ours, mut theirs) = (Samples::default(), Samples::default());
        for run in 0..WARM_UPS + RUNS {
            let begun = Instant::now();
            let reply = connection.ask(&request).await?;
            let took = begun.elapsed();
            ensure!(reply.status == 200, "{}", String::from_utf8_lossy(&reply.body));
            let (peer_took, rows) = tokio::task::block_in_place(|| peer.run(&sql))?;
            ensure!(rows > 0, "`{name}` answers nothing on this data");
            if run >= WARM_UPS {
                ours.add(took);
                theirs.add(peer_took);
            }
        }
        let values = (ours.median_ms(), theirs.median_ms());
        let peer = "DuckDB in process, same Parquet";
        let figure =
            Figure::against(format!("query_{name}"), "ms", values, peer, Wanted::AtMost(RATIO));
        report.add(
            figure
                .with("p99_ms", ours.percentile_ms(99))
                .with("peer_p99_ms", theirs.percentile_ms(99))
                .with("runs", ours.len())
                .with("sql", sql),
        );
    }
    Ok(())
}
