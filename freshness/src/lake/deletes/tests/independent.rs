//! An independent reader finds the same rows alive: pyiceberg, which reads position
//! deletes and deletion vectors (it cannot write them, and reads no equality deletes).
//! `SPRINGTIDE_TEST_SERVICES=none` leaves it out; without Python it fails and says so.

use std::path::Path;
use std::process::Command;

use super::*;

/// Runs the reader over the table; panics with what it says where it does not agree.
fn check(place: &Place, living: &[i64]) {
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/services");
    let python = Command::new("bash").arg(services.join("python.sh")).output().unwrap();
    let made = String::from_utf8_lossy(&python.stderr);
    assert!(python.status.success(), "the reader's Python environment cannot be made: {made}");
    let folder = place.folder.path();
    let few = living.iter().filter(|id| **id >= 3).count();
    let output = Command::new(String::from_utf8(python.stdout).unwrap().trim())
        .arg(services.join("pyiceberg/check.py"))
        .arg("--database")
        .arg(folder.join("catalog.sqlite"))
        .arg("--warehouse")
        .arg(format!("file://{}", folder.join("warehouse").display()))
        .args(["--table", "demo.events", "--rows", &living.len().to_string()])
        .args(["--sum", &format!("id={}", living.iter().sum::<i64>())])
        .args(["--filter", &format!("id >= 3 = {few}")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "pyiceberg disagrees: {said}");
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says so here")]
async fn pyiceberg_finds_the_same_rows_alive() {
    if std::env::var("SPRINGTIDE_TEST_SERVICES").as_deref() == Ok("none") {
        eprintln!("left out: SPRINGTIDE_TEST_SERVICES=none, so no independent reader is made");
        return;
    }
    let place = Place::new();
    let other = Other::new(&place).await;
    let agree = async || {
        let living = living_in(&other).await;
        tokio::task::block_in_place(|| check(&place, &living));
        living
    };
    let a = other.file("a.parquet", Some(0), &on(0, 0..6)).await;
    let b = other.file("b.parquet", Some(1), &on(1, 6..9)).await;
    let rows = [(&*a.file_path().to_owned(), 0), (&*a.file_path().to_owned(), 3)];
    let first = other.positions("d1.parquet", Some(0), &rows).await;
    other.commit(vec![a, b.clone()], vec![first]).await;
    assert_eq!(agree().await, [1, 2, 4, 5, 6, 7, 8]);
    let late = other.file("late.parquet", Some(0), &on(0, 20..23)).await;
    let second = other.positions("d2.parquet", Some(1), &[(b.file_path(), 2)]).await;
    other.commit(vec![late], vec![second]).await;
    assert_eq!(agree().await, [1, 2, 4, 5, 6, 7, 20, 21, 22]);
    upgrade(&other).await;
    let vector = other.vector("v.puffin", &b, &blob(&[0, 2]), 2).await;
    other.commit(vec![], vec![vector]).await;
    assert_eq!(agree().await, [1, 2, 4, 5, 7, 20, 21, 22]);
}
