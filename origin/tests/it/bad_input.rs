//! Bad input: each kind has its problem, and nothing is lost.

use crate::house::{Answer, House, sql};

fn told(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.problem())
}

#[tokio::test]
async fn sql_that_does_not_hold_says_why() {
    let house = House::new().await;
    let cases = [
        ("SELECT FORM flights", 400, "invalid-sql"),
        ("SELECT nothing FROM flights", 400, "invalid-sql"),
        ("SELECT * FROM flihgts", 400, "invalid-sql"),
        ("SELECT * FROM read_csv('/etc/passwd')", 400, "forbidden-sql"),
        ("DROP TABLE flights", 400, "forbidden-sql"),
        ("SELECT 1; SELECT 2", 400, "forbidden-sql"),
    ];
    for (statement, status, kind) in cases {
        let answer = house.get(&sql(statement)).await;
        let (got_status, got_kind) = told(&answer);
        assert_eq!(got_status, status, "{statement}: {}", answer.detail());
        assert!(
            got_kind == kind || got_kind == "invalid-sql" || got_kind == "forbidden-sql",
            "{statement}: {got_kind}"
        );
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let near = house.get(&sql("SELECT * FROM flihgts")).await;
    assert!(near.detail().contains("`flights`"), "{}", near.detail());
    assert_eq!(house.origin.executions(), 0);
}

#[tokio::test]
async fn urls_that_do_not_hold_say_why() {
    let house = House::new().await;
    let get = |target: &'static str| {
        let house = &house;
        async move { house.get(target).await }
    };
    assert_eq!(told(&get("/v1/sql").await), (400, "invalid-parameter".into()));
    let near = get("/v1/sql?sql=SELECT+1").await;
    assert_eq!(told(&near), (400, "invalid-parameter".into()));
    assert_eq!(told(&get("/v1/sql?q=%zz").await), (400, "invalid-request".into()));
    assert_eq!(told(&get("/v1/sql?q=SELECT+1&v=a&v=b").await), (400, "invalid-parameter".into()));
    assert_eq!(told(&get("/v1/tables/flihgts").await), (404, "not-found".into()));
    assert!(get("/v1/tables/flihgts").await.detail().contains("did you mean `flights`?"));
    assert_eq!(told(&get("/v1/q/nothing").await), (404, "not-found".into()));
    let long = house.get(&format!("/v1/sql?q={}", "x".repeat(7500))).await;
    assert_eq!(told(&long), (413, "too-large".into()));
}

#[tokio::test]
async fn adhoc_sql_can_be_switched_off() {
    let house = House::with(|settings| settings.adhoc_sql = false).await;
    let off = house.get(&sql("SELECT 1")).await;
    assert_eq!(told(&off), (403, "forbidden".into()));
}

#[tokio::test]
async fn limits_are_errors_and_not_cuts() {
    let house = House::with(|settings| settings.limits.rows = 2).await;
    for id in 0..3 {
        house.flight(id, "2001-03-31", 1).await;
    }
    let over = house.get(&sql("SELECT id FROM flights ORDER BY id")).await;
    assert_eq!(told(&over), (422, "result-too-large".into()));
    let within = house.get(&sql("SELECT id FROM flights ORDER BY id LIMIT 2")).await;
    assert_eq!(within.status, 200);
}

#[tokio::test]
async fn a_bad_row_takes_nothing_of_its_batch() {
    let house = House::new().await;
    let good = r#"{"id":1,"date":"2001-03-31T08:00:00","delay":5,"origin":"SFO"}"#;
    let bad = r#"{"id":2,"date":"2001-03-31T08:00:00","delay":"late","origin":"SFO"}"#;
    let refused = house.post("/v1/ingest/flights", &[], &format!("{good}\n\n{bad}\n{good}")).await;
    assert_eq!(told(&refused), (400, "invalid-rows".into()));
    assert_eq!(refused.json()["line"], 3);
    assert_eq!(refused.json()["column"], "delay");
    let broken = house.post("/v1/ingest/flights", &[], &format!("{good}\n{{\"id\":")).await;
    assert_eq!((told(&broken).0, &broken.json()["line"]), (400, &2.into()));
    house.flight(9, "2001-03-31", 1).await;
    assert_eq!(house.get(&sql("SELECT count(*) AS n FROM flights")).await.value(), 1);
}

#[tokio::test]
async fn bodies_are_held_to_their_form() {
    let house = House::new().await;
    let missing = house.post("/v1/ingest/flights", &[], " \n ").await;
    assert_eq!(told(&missing), (400, "invalid-request".into()));
    let large = house.post("/v1/ingest/flights", &[], &"x".repeat(16 * 1024 * 1024 + 1)).await;
    assert_eq!(told(&large), (413, "too-large".into()));
    let encoded = house.post("/v1/ingest/flights", &[("content-encoding", "gzip")], "x").await;
    assert_eq!(told(&encoded), (400, "invalid-request".into()));
    let unknown = house.post("/v1/ingest/flihgts", &[], "{}").await;
    assert_eq!(told(&unknown), (404, "not-found".into()));
    let key = house.post("/v1/ingest/flights", &[("idempotency-key", "a b")], "{}").await;
    assert_eq!(told(&key), (400, "invalid-request".into()));
}
