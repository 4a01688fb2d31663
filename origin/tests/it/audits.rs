//! `/v1/audit`: what it compares, and that it sees what is wrong.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use springtide_origin::{AccessSettings, OriginSettings};

use crate::house::{House, TOKEN, give_token, sql};

const AUDIT: &str = "/v1/audit/flights";

/// The check of this name.
fn check(audit: &Value, name: &str) -> Value {
    let checks = audit["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("no check `{name}`: {audit:#}")).clone()
}

/// The names of what does not hold.
fn wrong(audit: &Value) -> Vec<String> {
    let checks = audit["checks"].as_array().unwrap();
    let wrong: Vec<String> = checks
        .iter()
        .filter(|check| check["ok"] == false)
        .map(|check| check["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(audit["ok"], wrong.is_empty(), "{audit:#}");
    wrong
}

async fn failures(house: &House) -> u64 {
    let text = String::from_utf8(house.get("/metrics").await.body.to_vec()).unwrap();
    let line = "springtide_audit_failures_total{table=\"flights\"} ";
    text.lines().find_map(|l| l.strip_prefix(line)).map_or(0, |n| n.parse().unwrap())
}

/// The data files of a house's lake.
fn data_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.join("state")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.starts_with("springtide-stream-") && name.ends_with(".parquet") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn lake_and_tail_and_statements_agree_before_and_after_commits() {
    let house = House::with_token().await;
    for id in 0..5 {
        house.flight(id, "2001-03-30", 5).await;
    }
    let first = house.get(AUDIT).await;
    assert_eq!((first.status.as_u16(), first.header("cache-control")), (200, "no-store"));
    let first = first.json();
    assert!(wrong(&first).is_empty());
    assert_eq!(check(&first, "sql-count")["found"], 5);
    assert_eq!(check(&first, "stream[0]")["ok"], true, "the journal was read once more");
    let left: Vec<_> = first["not_compared"].as_array().unwrap().iter().collect();
    assert_eq!(left.len(), 1, "only the audit before: {left:?}");
    assert_eq!(first["partitions"][0]["tail_rows"], 5);

    let committed = house.post("/v1/admin/commit/flights", &[], "").await;
    assert_eq!(committed.status, 200);
    house.until_status("flights", |s| s.snapshot_rows == 5).await;
    house.flight(5, "2001-03-31", 5).await;
    let second = house.get(AUDIT).await.json();
    assert!(wrong(&second).is_empty());
    assert_eq!(second["previous_version"], first["version"]);
    assert_eq!(check(&second, "previous-version")["expected"], 5);
    assert_eq!(check(&second, "previous-rows")["found"], 5);
    assert_eq!(check(&second, "sql-count")["expected"], 6);
    let partition = &second["partitions"][0];
    assert_eq!((&partition["lake_rows"], &partition["tail_rows"]), (&json!(5), &json!(1)));
    assert_eq!((&partition["boundary"], &partition["end"]), (&json!(5), &json!(6)));

    let third = house.get(AUDIT).await.json();
    assert!(wrong(&third).is_empty());
}

#[tokio::test]
async fn a_data_file_that_was_tampered_with_is_found() {
    let house = House::with_token().await;
    let before = failures(&house).await;
    for rows in [1, 3] {
        for id in 0..rows {
            house.flight(id, "2001-03-30", 5).await;
        }
        let committed = house.post("/v1/admin/commit/flights", &[], "").await;
        assert_eq!(committed.status, 200, "{committed:?}");
    }
    house.until_status("flights", |s| s.snapshot_rows == 4).await;
    assert!(wrong(&house.get(AUDIT).await.json()).is_empty());

    let files = data_files(house.folder());
    let [a, b] = &files[..] else { panic!("{files:?}") };
    let (small, large) =
        if a.metadata().unwrap().len() < b.metadata().unwrap().len() { (a, b) } else { (b, a) };
    std::fs::copy(small, large).unwrap();
    let audit = house.get(AUDIT).await;
    assert_eq!(audit.status, 200, "it is an answer");
    let audit = audit.json();
    let wrong = wrong(&audit);
    for name in ["lake-files-as-listed", "lake-files-as-recorded", "lake-offsets-once"] {
        assert!(wrong.contains(&name.to_owned()), "{name}: {wrong:?}");
    }
    assert!(wrong.contains(&"sql-count".to_owned()), "{audit:#}");
    assert!(failures(&house).await > before);

    // One that is gone is a finding too.
    std::fs::remove_file(large).unwrap();
    let audit = house.get(AUDIT).await;
    assert_eq!(audit.status, 200);
    let name = large.file_name().unwrap().to_str().unwrap();
    let audit = audit.json();
    let found = check(&audit, "lake-files-readable")["found"].to_string();
    assert!(found.contains(name) && !found.contains("state/"), "{found}");
}

#[tokio::test]
async fn it_tells_no_counts_to_those_who_may_not_see_all_rows() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), [b'k'; 32]).unwrap();
    let house = House::with(|settings: &mut OriginSettings| {
        give_token(settings);
        let text = format!(
            "algorithm = \"HS256\"\nsecret_file = {:?}\n[restricted.payroll]\n",
            secret.path().display().to_string()
        );
        settings.access = toml::from_str::<AccessSettings>(&text).unwrap();
    })
    .await;
    let refused = house.get("/v1/audit/payroll").await;
    assert_eq!(refused.status, 401, "{refused:?}");
    let bearer = format!("Bearer {TOKEN}");
    let opened = house.get_with("/v1/audit/payroll", &[("authorization", &bearer)]).await;
    assert_eq!(opened.status, 200, "{opened:?}");
    let unknown = house.get("/v1/audit/flihgts").await;
    assert_eq!((unknown.status.as_u16(), unknown.problem().as_str()), (404, "not-found"));
    assert!(unknown.detail().contains("flights"), "{}", unknown.detail());
    assert_eq!(house.get(&sql("SELECT 1 AS n")).await.value(), 1);
}
