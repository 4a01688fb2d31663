//! Snapshot ∪ 100,000 rows of tail, against the same rows all in Parquet, both
//! by our own engine.

use springtide_engine::Encoding;
use springtide_protocol::Format;
use tokio::time::Instant;

use super::fixture::{Fixture, TAIL_ROWS};
use super::queries::{QUERIES, sql};
use super::report::{Figure, Report, Samples, Wanted};

const RATIO: f64 = 1.3;
const WARM_UPS: usize = 5;
const RUNS: usize = 31;
const SUMS: (&str, &str) =
    ("count_and_sum", "SELECT count(*) AS n, sum(delay) AS s, sum(distance) AS m FROM {table}");

pub(super) async fn measure(fixture: &Fixture, report: &mut Report) -> anyhow::Result<()> {
    for (name, template) in QUERIES.into_iter().chain([SUMS]) {
        let whole = fixture.is_whole_quarter();
        let (tailed, plain) = (sql(template, "tailed", whole), sql(template, "flights", whole));
        let (mut ours, mut theirs) = (Samples::default(), Samples::default());
        for run in 0..WARM_UPS + RUNS {
            let samples = [(&tailed, &mut ours), (&plain, &mut theirs)];
            for (sql, samples) in samples {
                let begun = Instant::now();
                answer(fixture, sql).await?;
                if run >= WARM_UPS {
                    samples.add(begun.elapsed());
                }
            }
        }
        let values = (ours.median_ms(), theirs.median_ms());
        let peer = "the same rows all in Parquet";
        let figure =
            Figure::against(format!("union_{name}"), "ms", values, peer, Wanted::AtMost(RATIO));
        report.add(
            figure
                .with("p99_ms", ours.percentile_ms(99))
                .with("peer_p99_ms", theirs.percentile_ms(99))
                .with("tail_rows", TAIL_ROWS.min(fixture.rows() / 2))
                .with("runs", ours.len()),
        );
    }
    Ok(())
}

async fn answer(fixture: &Fixture, sql: &str) -> anyhow::Result<()> {
    let encoding = Encoding { format: Format::Json, numbers_as_text: false };
    let mut answer = fixture.house.query(sql, encoding).await?;
    while let Some(piece) = answer.next().await {
        piece?;
    }
    Ok(())
}
